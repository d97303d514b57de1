"""The information that pixels carry, VIF in pixels, of two planes in strips of rows: twin of the definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from beholder import strips
from beholder.kernels import machine, planes
from beholder.kernels.machine import place

__all__ = ["LEAST_NOISE", "pixel_information"]

Array = Any
ROWS = 16
"""Rows of a strip, whose factors are multiplied before the logarithm."""
LEAST_NOISE = 1e-12
"""The least variance of noise: with less, the product of so many factors may not fit into double precision."""


def _strip(x: Array, y: Array, taps: Array, noise: float, first: int, last: int) -> tuple[float, float]:
    """Information received and sent in the windows of the rows first to last of the result."""
    half, (rows, columns) = taps.size // 2, x.shape
    given = np.append(taps[half:], noise).astype(np.float32)
    line, out = np.empty(10 * (columns + 64), np.float32), np.empty((2, columns - 2 * half))
    machine.kernel("fidelity.pixels")(
        place(x), place(y), rows, columns, half, 1, None, place(line), place(given), place(out), first, last
    )
    received, sent = np.log(out, out=out).sum(axis=1)
    return float(received), float(sent)


def pixel_information(x: Array, y: Array, noise: float, threads: int) -> tuple[float, float]:
    """Information over four scales that the image y carries of the reference x, and that x carries; planes, 0..255.

    noise: its variance, at least `LEAST_NOISE`.
    Works in float32 and adds up in float64; the value does not depend on the threads.
    """
    from beholder.arrays import gaussian_window

    found = []
    x, y = (a - np.rint(a.mean(dtype=np.float64)).astype(np.float32) for a in (x, y))  # small values have small errors
    for scale in range(4):
        size = 2 ** (4 - scale) + 1
        taps = np.asarray(gaussian_window(size, size / 5))
        if scale:
            weights = planes.unit_taps(taps)
            x, y = (planes.correlate(a, weights, weights, step=2, threads=threads) for a in (x, y))

        def part(strip: strips.Strip, x: Array = x, y: Array = y, taps: Array = taps) -> tuple[float, float]:
            return _strip(x, y, taps, noise, strip.first, strip.last)

        found += strips.run(part, strips.cut(x.shape[0] - size + 1, ROWS), threads)
    return math.fsum(f[0] for f in found), math.fsum(f[1] for f in found)
