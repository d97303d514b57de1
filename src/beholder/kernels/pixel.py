"""Differences of float32 pictures, their slopes, and whether values lie in [0, 1], in several threads.

Pictures are C-contiguous float32 arrays (C, H, W). What the parts find is added up in their order, so that the value
does not depend on the threads.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from beholder import strips
from beholder.kernels import machine
from beholder.kernels.machine import place

__all__ = ["absolute_difference", "absolute_slope", "square_slope", "squared_difference", "within_unit"]

Array = Any
PART = 1 << 18  # values at a time: the same for any number of threads
ONE = 0x3F800000  # the bits of 1.0


def _parts(rows: int, columns: int, first: int = 0) -> list[tuple[int, int]]:
    """Rows from `first` up to `rows`, in parts of about PART values."""
    step = max(1, PART // columns)
    return [(top, min(top + step, rows)) for top in range(first, rows, step)]


def _planes(x: Array, weights: tuple[float, ...], crop: int) -> Iterator[tuple[tuple[slice, ...], int, int]]:
    """What to work on: a part of the picture (planes), its rows, those left out at either end."""
    channels, rows, _ = x.shape
    if len(weights) == channels == 3 or not crop:
        yield (slice(None),), rows if len(weights) == 3 else channels * rows, crop
    else:
        for channel in range(channels):
            yield (slice(channel, channel + 1),), rows, crop


def _each(
    name: str, x: Array, y: Array, weights: tuple[float, ...], crop: int, threads: int, result: Array | None = None,
    times: float = 1.0,
) -> float | None:  # fmt: skip
    """The sum of what a kernel finds over all planes, None for values outside of [0, 1]; result: what it fills."""
    marks = np.array([*[*weights, 0, 0][:3], times], np.float32)
    run, columns, total = machine.kernel(name), x.shape[2], []
    for chosen, rows, left in _planes(x, weights, crop):
        one, other, at = place(x[chosen]), place(y[chosen]), None if result is None else place(result[chosen])

        def part(
            span: tuple[int, int], one: Any = one, other: Any = other, at: Any = at, rows: int = rows
        ) -> tuple[float, float]:
            out = (ctypes.c_double * 2)()
            run(one, other, rows, columns, len(weights), crop, place(marks), None, at, ctypes.addressof(out), *span)
            return out[0], out[1]

        total += strips.run(part, _parts(rows - left, columns, left), threads)
    return math.fsum(found for found, _ in total) if max(largest for _, largest in total) <= ONE else None


def squared_difference(
    image: Array, reference: Array, weights: tuple[float, ...], crop: int, threads: int
) -> float | None:
    """Mean squared difference of all values, or of weighted sums of three channels where there are three weights.

    weights: one, which all values are times, or three; crop: border pixels left out. None where a value is outside of
    [0, 1].
    """
    if crop and not (within_unit(image, threads) and within_unit(reference, threads)):
        return None
    channels, rows, columns = image.shape
    count = (rows - 2 * crop) * (columns - 2 * crop) * (1 if len(weights) == 3 else channels)
    total = _each("pixel.squares", image, reference, weights, crop, threads)
    return None if total is None else total / int(count)


def square_slope(
    image: Array, reference: Array, weights: tuple[float, ...], crop: int, times: float, result: Array, threads: int
) -> None:
    """Fill result with the slope by the image of half the sum of squared differences, as above, `times` that."""
    if crop:
        result.fill(0)
    _each("pixel.slopes", image, reference, weights, crop, threads, result, times)


def absolute_difference(image: Array, reference: Array, threads: int) -> float | None:
    """Mean absolute difference of all values; None where one is outside of [0, 1]."""
    total = _each("pixel.absolute", image, reference, (1.0,), 0, threads)
    return None if total is None else total / int(image.size)


def absolute_slope(image: Array, reference: Array, times: float, result: Array, threads: int) -> None:
    """Fill result with the slope by the image of the sum of absolute differences, `times` that; 0 where equal."""
    _each("pixel.signs", image, reference, (times,), 0, threads, result)


def within_unit(array: Array, threads: int) -> bool:
    """Whether all float32 values of a C-contiguous array lie in [0, 1]; NaN does not."""
    values = array.reshape(-1)
    run, start = machine.kernel("pixel.largest"), place(array)

    def part(span: tuple[int, int]) -> float:
        out = ctypes.c_double()
        run(start, None, 1, values.size, 1, 1, None, None, None, ctypes.addressof(out), *span)
        return out.value

    return max(strips.run(part, _parts(values.size, 1), threads)) <= ONE
