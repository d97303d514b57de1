"""Gradient similarities of float32 pictures, and their slopes, in strips of rows and several threads.

Planes are C-contiguous float32 arrays. What strips find is added up in their order, so that the value does not depend
on the threads.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any, NamedTuple

import numpy as np

from beholder import strips
from beholder.kernels import machine
from beholder.kernels.machine import place
from beholder.kernels.pixel import ONE

__all__ = ["Similarity", "boxes", "moments", "slopes", "small_moments", "spread"]

Array = Any
PART = 1 << 18  # values of a strip, about: the same for any number of threads


class Similarity(NamedTuple):
    """How gradient magnitudes are compared: the constant, for sums over 3 x 3 values, and masking."""

    constant: float
    masking: float


class Moments(NamedTuple):
    """Of a map: how many values, their mean, and the sum of squared deviations from it."""

    number: float
    mean: float
    spread: float


def _run(
    name: str, x: Array, y: Array | None, shape: tuple[int, int], mode: int, step: int, marks: list[float], line: int,
    maps: Array | None, count: int, threads: int,
) -> list[list[float]]:  # fmt: skip
    """What a kernel finds in each strip of `count` rows. line: zeros that a strip works in."""
    run, values = machine.kernel(f"gradient_float.{name}"), np.array(marks, np.float32)
    size = max(8, min(128, PART * count // max(1, shape[0] * shape[1])))

    def part(strip: strips.Strip) -> list[float]:
        room, out = np.zeros(line + 16, np.float32), (ctypes.c_double * 4)()
        room = room[-room.ctypes.data % 64 // 4 :]  # from a cache line on
        run(
            place(x), place(y), *shape, mode, step, place(values),
            place(room), place(maps), ctypes.addressof(out), strip.first, strip.last,
        )  # fmt: skip
        return list(out)

    return strips.run(part, strips.cut(count, size), threads)


def boxes(picture: Array, factor: int, before: int, weights: tuple[float, ...], mixed: bool, threads: int) -> Array:
    """Weighted sums over factor x factor pixels of a picture (C, H, W), zeros beyond the border: float32 (C, h, w).

    before: how many pixels a window reaches back; weights: of the channels; mixed: added up to a plane (h, w).
    """
    channels, rows, columns = picture.shape
    height, width = -(-rows // factor), -(-columns // factor)
    sums = np.empty((height, width) if mixed else (channels, height, width), np.float32)
    marks = [before, mixed, *weights, 0, 0][:5]
    room = columns + 2 * factor
    _run("boxes", picture, None, (rows, columns), channels, factor, marks, room, sums, height, threads)
    return sums


def spread(
    sums: Array, result: Array, factor: int, before: int, weights: tuple[float, ...], threads: int, *, add: bool = False
) -> None:
    """The adjoint of `boxes`: every sum to all the pixels (C, H, W) that went into it; add: to what is there."""
    channels, rows, columns = result.shape
    marks = [before, sums.ndim == 2, *[*weights, 0, 0][:3], add]
    room, count = columns + 2 * factor, -(-rows // factor)
    _run("spread", sums, None, (rows, columns), channels, factor, marks, room, result, count, threads)


def moments(x: Array, y: Array, how: Similarity, threads: int) -> Moments:
    """Of what the similarity of the gradient magnitudes of two planes lacks to 1."""
    return _merge(_run("moments", x, y, x.shape, 0, 1, list(how), 7 * (x.shape[1] + 16), None, x.shape[0], threads))


def small_moments(x: Array, y: Array, how: Similarity, weights: tuple[float, ...], threads: int) -> Moments | None:
    """The same of pictures (C, H, W) that are summed over 2 x 2 pixels first, and over channels with weights.

    None where a value is outside of [0, 1].
    """
    channels, rows, columns = x.shape
    marks, room = [*how, *weights, 0, 0][:5], 14 * ((columns + 1) // 2 + 31) + columns
    count = (rows + 1) // 2
    parts = _run("small_moments", x, y, (rows, columns), channels, 1, marks, room, None, count, threads)
    return _merge(parts) if max(part[3] for part in parts) <= ONE else None


def _merge(parts: list[list[float]]) -> Moments:
    number = math.fsum(n for n, *_ in parts)
    mean = math.fsum(n * m for n, m, *_ in parts) / number
    return Moments(number, mean, math.fsum(s + n * (m - mean) ** 2 for n, m, s, _ in parts))


def slopes(
    x: Array, y: Array, how: Similarity, mean: float, times: float, result: Array, threads: int, *, add: bool = False
) -> None:
    """The slope of `times` the squared deviations, as above, by x; add: to what result holds."""
    marks, room = [*how, mean, 4 * times], 12 * (x.shape[1] + 16)
    _run("slopes", x, y, x.shape, int(add), 1, marks, room, result, x.shape[0], threads)
