"""SSIM of planes with its gradient, fused: in tiles that stay in the cache, in float64 where float32 is too short."""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from beholder import strips
from beholder.kernels import machine
from beholder.kernels.machine import place
from beholder.kernels.planes import halve, plane_of, ranges
from beholder.kernels.sizes import SSIM_LINES, SSIM_MAP, TAPS, TILE, TILE_ROWS

__all__ = ["add_from_half", "by_planes", "byte_planes", "mean_similarity", "over_scales"]

Array = Any
Slopes = tuple[Any, ...]
NONE: Slopes = (None, None)
PARTS = 16  # ranges of tiles: the same for any number of threads
SMALL = 32768  # pixels that are not worth a second thread
_own = threading.local()


def _rooms() -> tuple[Array, Array]:
    """What a thread works in and keeps; the second, in float64, is hardly ever touched, and till then takes nothing."""
    if not hasattr(_own, "rooms"):
        _own.rooms = tuple(_aligned(SSIM_LINES + 4 * SSIM_MAP, kind) for kind in (np.float32, np.float64))
    kept: tuple[Array, Array] = _own.rooms
    return kept


def _aligned(count: int, kind: Any) -> Array:
    """Zeros that start at a cache line."""
    size = count * np.dtype(kind).itemsize
    room = np.zeros(size + 64, np.uint8)
    skip = -room.ctypes.data % 64
    return room[skip : skip + size].view(kind)


def mean_similarity(
    x: Array, y: Array, slopes: Slopes = NONE, *, light: bool = True, factor: float = 1.0, full: float = 255.0,
    threads: int = 1,
) -> float:  # fmt: skip
    """Mean SSIM of two planes with the 11x11 Gaussian of sigma 1.5 where it fits; without luminance if `light` is off.

    x, y: C-contiguous (H, W) of at least 11x11, float32 or uint8; `full` times them lies in 0..255. slopes: for x and
    for y None, or a C-contiguous float32 array (H, W) that is filled with the gradient of `factor` times the mean;
    bytes have none. Source: Wang et al. 2004, doi:10.1109/TIP.2003.819861.
    """
    rows, columns = x.shape
    wanted = sorted((address, g) for address, g in ((place(g), g) for g in slopes) if address is not None)
    if wanted and wanted[0][1] is not slopes[0]:
        x, y = y, x  # the gradient that lies first in memory is that of the first picture: SSIM is symmetric
    apart = (wanted[1][0] - wanted[0][0]) // 4 if len(wanted) == 2 else 0
    halo, target = (TAPS, wanted[0][0]) if wanted else (0, None)
    windows, height, width = (rows - TAPS) * (columns - TAPS), rows - TAPS + halo, columns - TAPS + halo
    tiles = -(-height // TILE_ROWS) * -(-width // TILE)
    run = machine.kernel("structure.similarity" if x.dtype == np.float32 else "structure.similarity_bytes")

    def part(span: tuple[int, int]) -> float:
        line, maps = _rooms()
        out = (ctypes.c_double * 3)(full, float(light), full * factor / windows)
        run(
            place(x), place(y), rows, columns, halo, apart, target, place(line), place(maps), ctypes.addressof(out),
            *span,
        )  # fmt: skip
        return out[0]

    many = min(PARTS, tiles)
    spans = [(tiles * i // many, tiles * (i + 1) // many) for i in range(many)]
    missing = math.fsum(strips.run(part, spans, threads if rows * columns > SMALL else 1))
    return float(1 - missing / windows)


def over_scales(
    x: Array, y: Array, slopes: Slopes = NONE, *, scales: int, combined: Callable[[list[float]], Any],
    factor: float = 1.0, full: float = 255.0, threads: int = 1,
) -> float:  # fmt: skip
    """A value of the mean contrast-structure terms of scales, each half of the one before, and of SSIM at the last.

    combined: the value of the means, and its derivatives by them. Else as `mean_similarity`.
    """
    means: list[float] = []
    kept: list[Slopes] = []
    for scale in range(scales):
        if scale:
            x, y = (_halve(plane, threads) for plane in (x, y))
        own = slopes if scale == 0 else tuple(None if g is None else np.empty(x.shape, np.float32) for g in slopes)
        kept.append(own)
        light = scale == scales - 1
        means.append(mean_similarity(x, y, own, light=light, full=full, threads=threads))
    value, weights = combined(means)
    for found in zip(*kept, strict=True):
        if found[0] is None:
            continue
        last = factor * weights[-1]
        for weight, slope, small in zip(weights[-2::-1], found[-2::-1], found[:0:-1], strict=True):
            add_from_half(small, slope, factor * weight, last, threads=threads)
            last = 1.0
    return float(value)


def _halve(plane: Array, threads: int) -> Array:
    """Means of 2 x 2 values, mirrored beyond an odd end; in float32."""
    if plane.dtype != np.uint8:
        return halve(plane, threads=threads)
    rows, columns = plane.shape
    result = np.empty(((rows + 1) // 2, (columns + 1) // 2), np.float32)

    def part(span: tuple[int, int]) -> None:
        machine.kernel("structure.halve_bytes")(
            place(plane), None, rows, columns, 0, 1, place(result), None, None, None, *span
        )  # fmt: skip

    strips.run(part, ranges(len(result), result.shape[1], threads), threads)
    return result


def add_from_half(small: Array, slope: Array, own: float, by: float, *, threads: int = 1) -> None:
    """To `own` times a gradient add what `by` times the gradient by the halved plane makes of it; in place."""
    rows, columns = slope.shape

    def part(span: tuple[int, int]) -> None:
        given = (ctypes.c_double * 2)(own, by)
        machine.kernel("structure.unhalve")(
            place(small), None, rows, columns, 0, 1, place(slope), None, None, ctypes.addressof(given), *span
        )  # fmt: skip

    strips.run(part, ranges(rows, columns, threads), threads)


def byte_planes(image: Array, reference: Array, colour: str, *, threads: int = 1) -> Iterator[tuple[Array, Array]]:
    """The planes of two uint8 pictures (H, W) or (H, W, 3) in 0..255, as `planes.pairs`, bytes where they can be."""
    if image.ndim == 2:
        yield image, reference
    elif colour == "rgb":
        for channel in range(image.shape[2]):
            yield np.ascontiguousarray(image[..., channel]), np.ascontiguousarray(reference[..., channel])
    else:
        yield plane_of(image, colour, threads=threads), plane_of(reference, colour, threads=threads)


def by_planes(
    measure: Callable[..., float], image: Array, reference: Array, gradients: Slopes = NONE, weights: Any = None,
    threads: int = 1,
) -> float:  # fmt: skip
    """The mean of a measure over channels, or the measure of the luma, and the gradients.

    measure: of two planes and their gradients to be filled, with the gradients' `factor`. image, reference, gradients:
    C-contiguous float32 (C, H, W), as for `metrics.tensors`; or uint8 without gradients and weights. weights: of luma,
    None for the channels.
    """
    channels = len(image)
    if weights is None or channels == 1:
        values = []
        for c in range(channels):
            slopes = tuple(None if g is None else g[c] for g in gradients)
            values.append(measure(image[c], reference[c], slopes, factor=1 / channels))
        return math.fsum(values) / channels
    x, y = (_luma(picture, weights, threads) for picture in (image, reference))
    slopes = tuple(None if g is None else np.empty_like(x) for g in gradients)
    value = measure(x, y, slopes, factor=1.0)
    shares: list[tuple[Any, ...]] = [
        (s, w, g[c]) for s, g in zip(slopes, gradients, strict=True) if g is not None for c, w in enumerate(weights)
    ]
    strips.run(lambda share: np.multiply(share[0], share[1], out=share[2]), shares, threads)
    return value


def _luma(picture: Array, weights: Any, threads: int) -> Array:
    """Weighted sum of three planes: float32 (3, H, W) to (H, W)."""
    result = np.empty_like(picture[0])

    def part(strip: strips.Strip) -> None:
        red, green, blue = picture[:, strip.first : strip.last]
        result[strip.first : strip.last] = red * weights[0] + green * weights[1] + blue * weights[2]

    strips.run(part, strips.cut(len(result), 32), threads)
    return result
