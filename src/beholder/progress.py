"""How long work tells what it does: lines on stderr, so that results on stdout stay clean."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


def tell(text: str) -> None:
    """Write a line to stderr, at once."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@contextmanager
def quieted(*libraries: str) -> Iterator[None]:
    """Within it the logs of these libraries tell errors alone."""
    logs = [logging.getLogger(name) for name in libraries]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


class Counter:
    """Tells now and then how many of how many are done.

    quiet: say nothing; every: seconds between two lines.
    """

    def __init__(self, doing: str, total: int, *, quiet: bool = False, every: float = 10.0) -> None:
        self.doing, self.total, self.quiet, self.every = doing, total, quiet, every
        self.done, self.told = 0, time.monotonic()

    def step(self) -> None:
        """One more is done."""
        self.done += 1
        if not self.quiet and time.monotonic() - self.told > self.every:
            self.told = time.monotonic()
            tell(f"{self.doing}: {self.done} of {self.total}")


def watch(
    items: Iterable[Item], total: int | None, doing: str, *, done: int = 0, shown: bool | None = None
) -> Generator[Item, None, None]:
    """The same items, with a bar on stderr where that is a terminal, and a line now and then where it is not.

    total: how many there are, None where nobody knows; done: how many were there before. shown: False for nothing,
    None for the bar alone.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True) if shown is not False else None
    if console is None or not (shown or console.is_terminal):
        yield from items
        return
    if not console.is_terminal:
        step = max(1, (total or 1000) // 10)
        for number, item in enumerate(items, done + 1):
            if number % step == 0 or number == total:
                tell(f"{number} of {total}" if total else str(number))
            yield item
        return
    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(doing, total=total, completed=done)
        for item in items:
            bar.advance(task)
            yield item


listeners: list[Callable[[str], None]] = []
"""Who wants to know of work that is done once and takes its time; a library says nothing by itself."""


def announce(text: str) -> None:
    """Tell those who listen."""
    for listener in listeners:
        listener(text)
