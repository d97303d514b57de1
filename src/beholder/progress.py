"""How long work tells what it does: lines on stderr, so that results on stdout stay clean."""

from __future__ import annotations

import sys
import time


def tell(text: str) -> None:
    """Write a line to stderr, at once."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


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
