"""Fast float32 primitives on planes, in several threads: separable filter, luma, halving.

A plane is a C-contiguous float32 array (H, W). They work in strips of rows that stay in the cache; the value does not
depend on the threads. Metrics' kernels are built of them.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from beholder import strips
from beholder.arrays import LUMA_FULL, LUMA_MATLAB, LUMA_STUDIO
from beholder.errors import InputError, LayoutError, SizeError
from beholder.kernels import machine
from beholder.kernels.machine import place

__all__ = ["correlate", "halve", "interleave", "luma", "pairs", "plane_of", "separate", "unit_taps"]

Array = Any
MOST_TAPS = 63
SMALL = 32768  # values of a result that are not worth another strip
WEIGHTS = {"luma": LUMA_FULL, "studio": LUMA_STUDIO, "matlab": LUMA_MATLAB}
EDGES = {"drop": 0, "mirror": 1, "zeros": 2}


def ranges(rows: int, columns: int, threads: int) -> list[tuple[int, int]]:
    """Rows cut into ranges: a few for each thread, so that a slow one does not hold up the others."""
    if threads < 1:
        raise InputError(f"expected threads of at least 1, got {threads}; pass how many strips to run at once")
    parts = 1 if threads == 1 else max(1, min(4 * threads, rows, rows * columns // SMALL))
    cuts = [rows * part // parts for part in range(parts + 1)]
    return list(itertools.pairwise(cuts))


def check(plane: Array, kinds: tuple[Any, ...] = (np.float32,)) -> None:
    """Raise LayoutError unless this is a C-contiguous float32 array (H, W)."""
    if not isinstance(plane, np.ndarray) or plane.ndim != 2 or plane.dtype not in kinds or not plane.flags.c_contiguous:
        got = f"{plane.dtype} {plane.shape}" if isinstance(plane, np.ndarray) else type(plane).__name__
        raise LayoutError(
            f"expected a C-contiguous float32 array (H, W), got {got}; pass it through np.ascontiguousarray"
        )


def unit_taps(taps: Any) -> Array:
    """Taps of a mean as multiples of 2^-24 whose sum is 1 without rounding.

    Float32 holds them as they are: the mean of squares less the square of the mean is then not off by a share of
    the mean, as it is with taps rounded one by one.
    """
    rounded = np.round(np.asarray(taps, dtype=np.float64) * 2**24)
    rounded[rounded.size // 2] += 2**24 - rounded.sum()
    return np.asarray(rounded / 2**24, dtype=np.float32)


def correlate(plane: Array, down: Any, along: Any, *, step: int = 1, threads: int = 1) -> Array:
    """Separable correlation of a plane, only where the window fits, and every `step`-th value of it.

    plane: float32 (H, W), or float64, which takes twice as long. down, along: taps down the rows and
    along them, 1 to 63. Returns the same type, ((H - len(down)) // step + 1, (W - len(along)) // step + 1).
    Raises LayoutError, SizeError, InputError.
    """
    check(plane, (np.float32, np.float64))
    first, second = (np.asarray(t, dtype=plane.dtype).ravel() for t in (down, along))
    if not (1 <= first.size <= MOST_TAPS and 1 <= second.size <= MOST_TAPS and step >= 1):
        raise InputError(
            f"expected 1 to {MOST_TAPS} taps and a step of at least 1, got {first.size}, {second.size}, {step}"
        )
    rows, columns = plane.shape
    if rows < first.size or columns < second.size:
        raise SizeError(
            f"a window of {first.size}x{second.size} does not fit into {rows}x{columns}; pass larger planes"
        )
    taps = np.concatenate([first, second])
    name = "planes.correlate" if plane.dtype == np.float32 else "planes.correlate_double"
    result = np.empty(((rows - first.size) // step + 1, (columns - second.size) // step + 1), plane.dtype)

    def part(span: tuple[int, int]) -> None:
        line, out = np.empty(2 * (columns + 64 * step), plane.dtype), ctypes.c_double()
        machine.kernel(name)(
            place(plane), place(taps), rows, columns, first.size * 64 + second.size, step, place(result), place(line),
            None, ctypes.addressof(out), *span,
        )  # fmt: skip

    strips.run(part, ranges(result.shape[0], result.shape[1], threads), threads)
    return result


def luma(picture: Array, weights: Any, *, rounded: bool = False, threads: int = 1) -> Array:
    """Weighted sum of the three colours of a picture, as a plane in 0..255.

    picture: C-contiguous uint8 (H, W, 3), or (H, W), which stays as it is. weights: of red, green and blue. rounded:
    to whole numbers, halves up, as MATLAB does with bytes. Returns float32 (H, W). Raises LayoutError.
    """
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or not picture.flags.c_contiguous:
        raise LayoutError(f"expected C-contiguous uint8 (H, W) or (H, W, 3), got {picture.dtype} {picture.shape}")
    if picture.ndim == 2:
        return picture.astype(np.float32)
    rows, columns, colours = picture.shape
    if colours != 3:
        raise LayoutError(f"expected uint8 (H, W) or (H, W, 3), got {picture.shape}; drop the other channels")
    result = np.empty((rows, columns), np.float32)

    def part(span: tuple[int, int]) -> None:
        given = (ctypes.c_double * 3)(*(float(w) for w in weights))
        machine.kernel("planes.luma")(
            place(picture), None, rows, columns, int(rounded), 1, place(result), None, None,
            ctypes.addressof(given), *span,
        )  # fmt: skip

    strips.run(part, ranges(rows, columns, threads), threads)
    return result


def interleave(picture: Array, result: Array | None = None, *, threads: int = 1) -> Array:
    """A C-contiguous picture (3, H, W), uint8 or float32, as (H, W, 3), in result where it is given. LayoutError."""
    kinds = {np.dtype(np.uint8): "planes.interleave", np.dtype(np.float32): "planes.interleave_float"}
    if picture.dtype not in kinds or picture.ndim != 3 or len(picture) != 3 or not picture.flags.c_contiguous:
        raise LayoutError(f"expected C-contiguous uint8 or float32 (3, H, W), got {picture.dtype} {picture.shape}")
    _, rows, columns = picture.shape
    result = np.empty((rows, columns, 3), picture.dtype) if result is None else result
    _reorder(kinds[picture.dtype], picture, result, rows, columns, threads)
    return result


def separate(picture: Array, *, threads: int = 1) -> Array:
    """A C-contiguous float32 picture (H, W, 3) as (3, H, W). Raises LayoutError."""
    if picture.dtype != np.float32 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.flags.c_contiguous:
        raise LayoutError(f"expected C-contiguous float32 (H, W, 3), got {picture.dtype} {picture.shape}")
    rows, columns, _ = picture.shape
    result = np.empty((3, rows, columns), np.float32)
    _reorder("planes.separate_float", picture, result, rows, columns, threads)
    return result


def _reorder(name: str, picture: Array, result: Array, rows: int, columns: int, threads: int) -> None:
    def part(span: tuple[int, int]) -> None:
        out = ctypes.c_double()
        machine.kernel(name)(
            place(picture), None, rows, columns, 1, 1, place(result), None, None, ctypes.addressof(out), *span
        )  # fmt: skip

    strips.run(part, ranges(rows, columns, threads), threads)


def plane_of(picture: Array, colour: str, *, threads: int = 1) -> Array:
    """The grey plane of a picture in 0..255, as `beholder.arrays.to_luma`: colour "luma", "studio" or "matlab".

    picture: C-contiguous uint8 (H, W, 3), or (H, W), which stays as it is but for "studio". Returns float32 (H, W).
    """
    if colour not in WEIGHTS:
        raise InputError(f"colour must be one of {', '.join(WEIGHTS)}, got {colour!r}")
    if picture.ndim == 2:
        return picture * np.float32(219 / 255) if colour == "studio" else picture.astype(np.float32)
    return luma(picture, WEIGHTS[colour], rounded=colour == "matlab", threads=threads)


def pairs(image: Array, reference: Array, colour: str, *, threads: int = 1) -> Iterator[tuple[Array, Array]]:
    """The planes of two pictures in 0..255, one pair after the other: three for "rgb", else one as `plane_of`."""
    if colour == "rgb" and image.ndim == 3:
        for channel in range(image.shape[2]):
            x, y = (np.ascontiguousarray(a[..., channel], dtype=np.float32) for a in (image, reference))
            yield x, y
    else:
        how = "luma" if colour == "rgb" else colour
        yield plane_of(image, how, threads=threads), plane_of(reference, how, threads=threads)


def halve(plane: Array, *, edge: str = "mirror", threads: int = 1) -> Array:
    """Means of 2 x 2 values, as `beholder.arrays.shrink` by 2.

    plane: float32 (H, W). edge: what an odd last row or column meets: "mirror" itself, "zeros", or "drop" it.
    Returns float32 (ceil(H / 2), ceil(W / 2)), with "drop" rounded down. Raises LayoutError, InputError.
    """
    check(plane)
    if edge not in EDGES:
        raise InputError(f"edge must be one of {', '.join(EDGES)}, got {edge!r}")
    rows, columns = plane.shape
    more = 0 if edge == "drop" else 1
    result = np.empty(((rows + more) // 2, (columns + more) // 2), np.float32)

    def part(span: tuple[int, int]) -> None:
        out = ctypes.c_double()
        machine.kernel("planes.halve")(
            place(plane), None, rows, columns, EDGES[edge], 1, place(result), None, None, ctypes.addressof(out), *span
        )  # fmt: skip

    strips.run(part, ranges(result.shape[0], result.shape[1], threads), threads)
    return result
