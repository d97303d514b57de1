"""Fused kernels of the colour difference CIEDE2000, for float32 planes with gradients and for bytes."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

from beholder import strips
from beholder.kernels import machine
from beholder.kernels.machine import place

__all__ = ["mean_difference", "mean_difference_of_bytes"]

Array = Any
STRIP = 32768  # pixels: the same for any number of threads
ROOM = 32 + 18 * 256


def _room(matrix: Any, knee: float, slope: float, factor: float) -> Array:
    """What the kernels are given: XYZ relative to white of linear sRGB, and the constants of L*a*b*."""
    room = np.zeros(ROOM, np.float32)
    room[:9] = np.ravel(matrix)
    room[9:12] = knee, slope, factor
    x, y, z = np.asarray(matrix, np.float64)
    room[12:18] = [value for d in (x - y, y - z) for value in (d.sum(), d[0], d[2])]
    return room


def mean_difference(
    image: Array, reference: Array, gradients: Any, lab: tuple[Any, float, float], threads: int
) -> float:  # fmt: skip
    """Mean CIEDE2000 difference of float32 sRGB (C, H, W); gradients: two such arrays that are filled, or None.

    lab: XYZ relative to white of linear sRGB, and where and how steep the straight part of L*a*b*'s function is.
    """
    colours, height, width = image.shape
    given = _room(*lab, 1 / (height * width))
    mode = sum(1 << i for i, g in enumerate(gradients) if g is not None)
    run = machine.kernel("colour.ciede2000")

    def part(strip: strips.Strip) -> float:
        room, out = given.copy(), ctypes.c_double()
        run(
            place(image), place(reference), height, width, mode, colours, place(gradients[0]), place(room),
            place(gradients[1]), ctypes.addressof(out), strip.first, strip.last,
        )  # fmt: skip
        return out.value

    total: float = math.fsum(strips.run(part, strips.cut(height * width, STRIP), threads))
    return total / int(height * width)


def mean_difference_of_bytes(
    image: Array, reference: Array, table: Array, lab: tuple[Any, float, float], threads: int
) -> float:  # fmt: skip
    """As `mean_difference`, of uint8 (H, W) or (H, W, 3); table: float32, linear light of the 256 values."""
    pixels = image.shape[0] * image.shape[1]
    given = _room(*lab, 0.0)
    run = machine.kernel("colour.ciede2000_bytes")

    def part(strip: strips.Strip) -> float:
        room, out = given.copy(), ctypes.c_double()
        run(
            place(image), place(reference), 1, pixels, 0, image.size // pixels, place(table), place(room), None,
            ctypes.addressof(out), strip.first, strip.last,
        )  # fmt: skip
        return out.value

    total: float = math.fsum(strips.run(part, strips.cut(pixels, STRIP), threads))
    return total / int(pixels)
