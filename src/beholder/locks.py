"""Processes that work on one folder: locks, which end with their process however it ends, and ends of processes."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from beholder.errors import OutputError

NAME = ".lock"
"""The file in a folder that is locked; it stays there."""
_held: set[IO[Any]] = set()


def lock_file(file: IO[Any]) -> bool:
    """Lock an open file until it is closed; False where another one holds it.

    On Windows, and on file systems without locks (some network shares), nothing is locked.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Make a folder where there is none, and hold it for oneself.

    what: what it is used for, as in "a run". Raises OutputError where it cannot be made, or another process, or another
    thread of this one, holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / NAME).open("ab", buffering=0)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made {what}'s folder: {error.strerror}; choose another one") from error
    with file:
        if not lock_file(file):
            raise OutputError(
                f"{folder} is {what}'s folder, in which another process is at work; wait for its end, or choose "
                "another folder"
            )
        _held.add(file)
        try:
            yield
        finally:
            _held.discard(file)


def end_with_parent() -> None:
    """End this process, which `multiprocessing` made, as soon as the one that made it has ended, in whatever way.

    It ends at once, as if it had been killed: what it keeps has to stand that.
    """
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), name="beholder-parent", daemon=True).start()


def _follow(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _let_go() -> None:
    """A process that was forked off, such as one that reads pictures, does not hold what its parent does."""
    for file in _held:
        file.close()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
