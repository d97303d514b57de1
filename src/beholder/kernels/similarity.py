"""Fused kernels of the gradient, wavelet and cosine-transform similarities.

Pictures are C-contiguous uint8 arrays (H, W) or interleaved (H, W, 3). Work is done in strips of rows with small
float32 buffers; what strips find is added up in their order, so that the value does not depend on the threads.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

from beholder import strips
from beholder.kernels import machine
from beholder.kernels.deviation import Deviation, scratch
from beholder.kernels.machine import place
from beholder.kernels.planes import halve, luma
from beholder.kernels.sizes import FULL, PLAIN, ROUNDED

__all__ = [
    "box_means",
    "gradient_variances",
    "haar_sums",
    "hvs_error",
    "low_subbands",
    "mean_deviation",
    "subband_missing",
]

Array = Any
LUMA = {"luma": FULL, "matlab": ROUNDED}
STRIP = 16  # rows of a result at a time: the same for any number of threads


def _flat(picture: Array) -> tuple[int, int, int]:
    """Rows, values in a row, channels."""
    rows, channels = picture.shape[0], 1 if picture.ndim == 2 else picture.shape[2]
    return rows, picture.shape[1] * channels, channels


def _sums(
    name: str, x: Array, y: Array | None, shape: tuple[int, int], mode: int, step: int, marks: Array | None,
    line: int, maps: Array | int, count: int, threads: int,
) -> list[list[float]]:  # fmt: skip
    """What a kernel finds in each strip of `count` rows. line, maps: floats that a strip works in, or one for all."""
    run = machine.kernel(name)

    def part(strip: strips.Strip) -> list[float]:
        room = np.zeros(line, np.float32)
        own = np.zeros(maps, np.float32) if isinstance(maps, int) else maps
        out = (ctypes.c_double * 3)()
        run(
            place(x), place(y), *shape, mode, step, place(marks),
            place(room), place(own), ctypes.addressof(out), strip.first, strip.last,
        )  # fmt: skip
        return list(out)

    return strips.run(part, strips.cut(count, STRIP if name != "haar.haarpsi" else 4 * STRIP), threads)


def _box_sums(picture: Array, factor: int, before: int, threads: int, result: Array | None = None) -> Array:
    """Sums over factor x factor pixels, zeros beyond the border: float32 (C, h, w), exact, as they are whole."""
    rows, columns, channels = _flat(picture)
    height, width = -(-rows // factor), -(-(columns // channels) // factor)
    sums = np.empty((channels, height, width), np.float32) if result is None else result
    marks, line = np.array([before], np.float32), 2 * (columns + 2 * factor * channels)
    _sums("similarity.boxes", picture, None, (rows, columns), channels, factor, marks, line, sums, height, threads)
    return sums


def box_means(picture: Array, factor: int, before: int, threads: int) -> Array:
    """Means over factor x factor pixels, zeros beyond the border: float64 (1, C, h, w) in [0, 1].

    before: how many pixels a window reaches back; those of neighbours lie side by side.
    """
    return _box_sums(picture, factor, before, threads)[None].astype(np.float64) / (255 * factor**2)


def mean_deviation(
    image: Array, reference: Array, factor: int, weights: Any, threads: int, *, planar: bool = False
) -> float:
    """Mean deviation of the fourth root of the summed similarity, as MDSI needs it, after reduction by `factor`.

    weights: of lightness and of the two opponent channels, a row each; planar: pictures are (3, H, W).
    """
    rows, columns = image.shape[1:] if planar else image.shape[:2]
    small = scratch("small", (2, 3, -(-rows // factor), -(-columns // factor)))
    for picture, sums in zip((image, reference), small, strict=True):
        if planar:
            for plane, part in zip(picture, sums, strict=True):
                _box_sums(plane, factor, (factor - 1) // 2, threads, part)
        else:
            _box_sums(picture, factor, (factor - 1) // 2, threads, sums)
            if picture.ndim == 2:
                sums[1:] = sums[0]
    return Deviation(small[0], small[1], np.divide(weights, factor**2), threads).value


def gradient_variances(image: Array, reference: Array, weights: Any, rounded: bool, scales: int, threads: int) -> Array:
    """Variance of the masked gradient similarity at each scale, as MS-GMSD needs them; weights: of luma."""
    x, y = (luma(p, weights, rounded=rounded, threads=threads) for p in (image, reference))
    found = []
    for scale in range(scales):
        if scale:
            x, y = (halve(p, edge="zeros", threads=threads) for p in (x, y))
        room = 7 * (x.shape[1] + 16)
        parts = _sums("similarity.masked", x, y, x.shape, 0, 1, None, room, 1, x.shape[0], threads)
        number = math.fsum(n for n, _, _ in parts)
        mean = math.fsum(n * m for n, m, _ in parts) / number
        found.append(math.fsum(s + n * (m - mean) ** 2 for n, m, s in parts) / number)
    return np.array(found)


def haar_sums(
    image: Array, reference: Array, factor: int, loss: Any, c: float, yiq: Any, threads: int
) -> tuple[float, float]:
    """Sums of loss times weight and of weights, as HaarPSI needs them, of pictures reduced by `factor`, 1 or 2.

    loss: 14 coefficients of its polynomial in 2 t - 1, divided by t; c: for values in 0..255; yiq: the matrix.
    """
    rows, columns, channels = _flat(image)
    marks = np.array([*loss, c, *np.ravel(yiq)], np.float32)
    width, count = -(-(columns // channels) // factor), -(-rows // factor)
    room, shape = 60 * (width + 16), (rows, columns)
    parts = _sums("haar.haarpsi", image, reference, shape, factor, channels, marks, room, 1, count, threads)
    return math.fsum(p[0] for p in parts), math.fsum(p[1] for p in parts)


def hvs_error(image: Array, reference: Array, colour: str, tables: Any, masked: bool, threads: int) -> float:
    """Mean weighted squared difference of 8x8 cosine transforms, in [0, 1] squared.

    colour: "luma" or "matlab"; tables: squared sensitivities, masking and limits, 64 each.
    """
    rows, columns, channels = _flat(image)
    mode, blocks = PLAIN if channels == 1 else LUMA[colour], (rows // 8) * (columns // channels // 8)
    marks = np.concatenate([np.ravel(t) for t in tables]).astype(np.float32)
    shape, step = (rows, columns), 2 if masked else 1
    parts = _sums("cosine.hvs", image, reference, shape, mode, step, marks, 12 * 64, 64 * 64, rows // 8, threads)
    return math.fsum(p[0] for p in parts) / (blocks * 64 * 255**2)


def low_subbands(picture: Array, colour: str, threads: int) -> Array:
    """The first 5 x 5 coefficients of 8x8 cosine transforms: float32 (5, 5, H // 8, W // 8), of values in 0..255."""
    rows, columns, channels = _flat(picture)
    mode = PLAIN if channels == 1 else LUMA[colour]
    planes = np.empty((5, 5, rows // 8, columns // channels // 8), np.float32)
    _sums("cosine.subbands", picture, None, (rows, columns), mode, 1, None, 72 * 64, planes, rows // 8, threads)
    return planes


def subband_missing(x: Array, y: Array, window: tuple[float, float], constant: float, correlation: bool) -> Array:
    """What the local spread or correlation of two subbands lacks to 1: float64, of their shape (h, w).

    x, y: as `low_subbands` returns them; window: its weight of a corner and of a side; constant: for values in 0..255.
    """
    result, marks = np.empty(x.shape), np.array([*window, constant])
    room, out = np.zeros((6, x.shape[1] + 2)), ctypes.c_double()
    machine.kernel("subbands.compare")(
        place(x), place(y), *x.shape, int(correlation), 1, place(marks),
        place(room), place(result), ctypes.addressof(out), 0, len(x),
    )  # fmt: skip
    return result
