"""Variance of luma beside strong edges and elsewhere, in strips of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from beholder.kernels.artefact import luma, strips, sums
from beholder.strips import Strip

Array = np.ndarray[Any, Any]


def ringing(image: Array, slope: float, reach: int, threads: int) -> tuple[float, float]:
    """Mean variance of 3x3 pixels of luma near strong edges and elsewhere, in squared 8-bit steps.

    slope: Sobel gradient of a strong edge, in 8-bit steps for a pixel; reach: how far an edge rings, in pixels.
    """
    height = image.shape[0]

    def work(strip: Strip) -> tuple[float, ...]:
        first, last = max(strip.first, 1), min(strip.last, height - 1)  # the frame has no 3x3 pixels
        if first >= last:
            return 0.0, 0.0, 0.0, 0.0
        y = luma(image, strip)
        start = first - 1 - strip.top
        rows = slice(start, start + last - first)
        strong = _steep(y, slope)
        edges = _widened(strong, 1)[rows]
        near = _widened(strong, reach)[rows] & ~edges
        away = ~(near | edges)
        spread = _spread(y[start : start + last - first + 2])
        found = [(float(np.sum(spread, where=part)), float(np.count_nonzero(part))) for part in (near, away)]
        return *found[0], *found[1]

    near, pixels, away, others = sums(work, strips(image, reach + 2), threads)
    return near / max(pixels, 1), away / max(others, 1)


def _steep(y: Array, slope: float) -> Array:
    rows, columns = y[:-2] + 2 * y[1:-1] + y[2:], y[:, :-2] + 2 * y[:, 1:-1] + y[:, 2:]
    along, down = rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2]
    return np.asarray(along * along + down * down > 64 * slope**2 - 0.5)


def _widened(x: Array, reach: int) -> Array:
    """Every pixel within `reach` of a marked one, in a square."""
    for _ in range(2):
        wide = x.copy()
        for k in range(1, reach + 1):
            wide[k:] |= x[:-k]
            wide[:-k] |= x[k:]
        x = wide.T
    return x


def _spread(y: Array) -> Array:
    """Variance of 3x3 pixels, from their differences to the middle one: nothing is lost to rounding."""
    rows, columns = y.shape[0] - 2, y.shape[1] - 2
    middle = y[1:-1, 1:-1]
    first, second = np.zeros_like(middle), np.zeros_like(middle)
    for i, j in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2)):
        step = y[i : i + rows, j : j + columns] - middle
        first += step
        second += np.square(step, out=step)
    first /= 9
    second /= 9
    second -= np.square(first, out=first)
    return second
