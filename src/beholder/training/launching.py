"""A member's training in several processes, one on each device; the one that begins them watches over them."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, resource_tracker
from pathlib import Path
from typing import Any, NamedTuple

from beholder.datasets.tables import Dataset
from beholder.errors import BeholderError, InputError, StoppedError
from beholder.locks import end_with_parent
from beholder.training.config import Config
from beholder.training.devices import Devices
from beholder.training.folders import LAST

SIGNALS = (signal.SIGINT, signal.SIGTERM)
END = 30.0
"""Seconds that processes have to end once their work is done."""
Watch = Callable[[list[dict[str, float]]], None]


class Place(NamedTuple):
    """Which of the processes one is, where all meet, and how it works."""

    meeting: Path
    number: int
    devices: Devices
    threads: int
    start: str


@dataclass
class Line:
    """What a process of a training has of the one that began it."""

    pipe: Any
    stop: Any

    def begun(self) -> None:
        """Tell that an interrupt is from now on answered by keeping the state."""
        self.pipe.send(("begun", None))

    def show(self, figures: list[dict[str, float]]) -> None:
        """Show the figures so far, and wait until they have been seen."""
        self.pipe.send(("figures", figures))
        self.pipe.recv()

    def asked(self) -> bool:
        """Whether the training is to stop."""
        return bool(self.stop.value)


def train_on(devices: Devices, config: Config, data: Dataset, folder: Path, watch: Watch, *, quiet: bool) -> None:
    """Train a member, whose seed is the configuration's, in a process on every device, into its folder.

    watch: is shown the figures of all epochs so far after each, in this process; what it raises ends the training.
    Raises what the first process raised that failed; InputError for processes that could not begin, StoppedError
    after an interrupt, and where a process was ended from outside.
    """
    import torch

    if not torch.distributed.is_available():
        raise InputError("this PyTorch has no torch.distributed, which several devices need; set run.devices = 'auto'")
    threads = config.run.threads or max(1, torch.get_num_threads() // devices.size)
    context: Any = multiprocessing.get_context("spawn")
    stop = context.RawValue(ctypes.c_bool, False)
    state = folder / LAST
    with tempfile.TemporaryDirectory(prefix="beholder-") as meeting, _listening(stop) as ear:
        pipes, each = [], []
        try:
            with _masked():
                for number in range(devices.size):
                    ours, theirs = context.Pipe()
                    place = Place(
                        Path(meeting) / "meeting", number, devices, threads, multiprocessing.get_start_method()
                    )
                    line = Line(theirs, stop)
                    made = context.Process(target=_work, args=(place, line, config, data, folder, quiet or number > 0))
                    pipes.append(ours)
                    each.append(made)
                    made.start()
                    theirs.close()  # so that the end of the process is the end of the pipe
            _follow(pipes, each, watch, ear, state)
            _end(each)
        except KeyboardInterrupt as error:
            raise StoppedError(
                f"the training was stopped at once; what {state} holds, the same command goes on from"
            ) from error
        finally:
            for process in each:
                if process.pid is not None:
                    process.kill()
                    process.join()


def _follow(pipes: list[Any], each: list[Any], watch: Watch, ear: _Ear, state: Path) -> None:
    """Listen to the processes until all have done their work; raise what the first says that failed."""
    left = dict(zip(pipes, each, strict=True))
    while left:
        ready: list[Any] = connection.wait(list(left))
        for pipe in ready:
            try:
                word, what = pipe.recv()
            except (EOFError, OSError):
                raise _lost(pipes.index(pipe), left[pipe], state, begun=ear.begun) from None
            if word == "failed":
                if isinstance(what, StoppedError):  # all of them: the first one may have logs to write
                    _end(each)
                raise what
            if word == "done":
                del left[pipe]
            elif word == "begun":
                ear.begun = True
            else:
                watch(what)
                pipe.send(None)


def _end(each: list[Any]) -> None:
    """Wait for the end of processes that know that it has come."""
    latest = time.monotonic() + END
    for process in each:
        process.join(max(0.0, latest - time.monotonic()))


def _lost(number: int, process: Any, state: Path, *, begun: bool) -> BeholderError:
    process.join(END)
    if begun:
        return StoppedError(
            f"process {number + 1} of the training was ended from outside (status {process.exitcode}), as where memory "
            f"runs out; what {state} holds, the same command goes on from"
        )
    return InputError(
        f"process {number + 1} of the training could not begin (status {process.exitcode}); a script has to call fit "
        "below `if __name__ == '__main__':`, since every process reads it"
    )


# --- interrupts -------------------------------------------------------------------------------------------------------


@dataclass
class _Ear:
    """What an interrupt does: before the processes have begun it ends them, then it asks them; a second one ends."""

    stop: Any
    begun: bool = False

    def __call__(self, *_: Any) -> None:
        if self.stop.value or not self.begun:
            raise KeyboardInterrupt
        self.stop.value = True


@contextmanager
def _listening(stop: Any) -> Iterator[_Ear]:
    """Answer interrupts; elsewhere than in the main thread nobody can."""
    ear, before = _Ear(stop), {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                before[number] = signal.signal(number, ear)
        yield ear
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _masked() -> Iterator[None]:
    """Processes that begin within it are deaf to interrupts, which come to a whole group: this one tells them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it would begin with the first process, and end the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- one of the processes ---------------------------------------------------------------------------------------------


def _work(  # pragma: no cover  # in another process
    place: Place, line: Line, config: Config, data: Dataset, folder: Path, quiet: bool
) -> None:
    """Join the others, train, and say how it went."""
    for each in SIGNALS:  # where there is no mask
        signal.signal(each, signal.SIG_IGN)
    end_with_parent()
    multiprocessing.set_start_method(place.start, force=True)  # for workers, which else import all anew in every epoch
    number, devices, threads = place.number, place.devices, place.threads
    os.environ["OMP_NUM_THREADS"] = str(threads)  # else Lightning shares the processors out in its own way
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # advice on what `make_strategy` chooses
    try:
        import torch

        from beholder.training import fitting, ranks

        torch.set_num_threads(threads)
        ranks.join(place.meeting, number, devices.size, devices.numbers[number] if devices.numbers else None)
        fitting.train_here(config, data, folder, line.show, line=line, quiet=quiet)
        ranks.wait()
        line.pipe.send(("done", None))
        ranks.part()
    except BaseException as error:  # noqa: BLE001  # whatever it is, the one that waits has to know
        with contextlib.suppress(OSError):  # it may have ended
            line.pipe.send(("failed", _portable(error)))
    sys.stderr.flush()
    os._exit(0)  # without a farewell, for which others may be waited for in vain


def _portable(error: BaseException) -> BaseException:
    """An error as another process can raise it; of one that nobody raised on purpose, its text."""
    if isinstance(error, (BeholderError, OSError)):  # others may hold anything
        return error
    return RuntimeError("a process of the training failed:\n" + "".join(traceback.format_exception(error)))
