"""MDSI, the sum, of pictures that are reduced already: its value and its slopes.

Pictures are float32 sums (3, H, W); what strips find is added up in their order, so that the value does not depend on
the threads.
"""

from __future__ import annotations

import ctypes
import math
import threading
from typing import Any

import numpy as np

from beholder import strips
from beholder.kernels import machine
from beholder.kernels.machine import place

__all__ = ["Deviation", "scratch"]

Array = Any
STRIP = 32  # rows at a time: the same for any number of threads


_own = threading.local()


def scratch(name: str, shape: tuple[int, ...]) -> Array:
    """Float32 values to work in, kept by each thread: to ask the system for new pages takes longer than the work.

    What they hold lasts until the thread asks for the same name again.
    """
    kept = _own.__dict__.get(name)
    if kept is None or kept.shape != shape:
        kept = _own.__dict__[name] = np.empty(shape, np.float32)
    return kept


class Deviation:
    """Mean deviation of the fourth root of the summed similarity of two pictures, the judged one first.

    weights: of lightness and of the two opponent channels, a row each, for values that become 0..255 by them. One at a
    time in a thread.
    """

    def __init__(self, image: Array, reference: Array, weights: Any, threads: int) -> None:
        self.pair, self.threads = (image, reference), threads
        self.rows, self.columns = image.shape[1:]
        self.weights = np.ravel(weights).astype(np.float32)
        # Two planes of roots, what their real and imaginary parts lack to 1 and 0, and room for three of slopes.
        self.planes = scratch("planes", (5, self.rows, self.columns))
        sums = self._run("similarity.mdsi", 0, self.weights, 7)
        count = self.rows * self.columns
        self.middle = [math.fsum(s[k] for s in sums) / count for k in (0, 1)]
        found = self._run("deviation.distances", 0, np.array(self.middle, np.float32), 0)
        distance, across, up = (math.fsum(s[k] for s in found) / count for k in (0, 1, 2))
        self.units = [across, up]
        self.value: float = distance

    def _run(self, name: str, mode: int, marks: Array, lines: int) -> list[list[float]]:
        """What a kernel finds in each strip; mode 1 and 0: as they are, -1: reference first."""
        x, y = self.pair if mode >= 0 else self.pair[::-1]
        run, size = machine.kernel(name), lines * (self.columns + 16)

        def part(strip: strips.Strip) -> list[float]:
            room, out = np.zeros(size, np.float32), (ctypes.c_double * 3)()
            run(
                place(x), place(y), self.rows, self.columns, max(mode, 0), 1, place(marks),
                place(room), place(self.planes), ctypes.addressof(out), strip.first, strip.last,
            )  # fmt: skip
            return list(out)

        return strips.run(part, strips.cut(self.rows, STRIP), self.threads)

    def slope(self, which: int, times: float) -> Array:
        """`times` the slope of the value by the first or second picture (3, H, W); overwritten by the next call."""
        steep = [*self.middle, *self.units, times / (self.rows * self.columns)]
        marks = np.concatenate([self.weights, np.array(steep, np.float32)])
        self._run("deviation.slopes", 1 if which == 0 else -1, marks, 16)
        return self.planes[2:]
