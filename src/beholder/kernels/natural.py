"""Fast twins for scene statistics: grey planes, their half, moments of normalised luminance, in several threads."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from beholder.kernels import machine
from beholder.kernels.machine import place
from beholder.kernels.sizes import FULL, PLAIN, ROUNDED, STUDIO
from beholder.statistics import Moments
from beholder.strips import run

Array = np.ndarray[Any, Any]
MODES = {"luma": FULL, "matlab": ROUNDED, "studio": STUDIO}
SUMS, MAPS = 5, 5
ROWS = 32
"""Rows of a strip."""


def _call(
    name: str, x: Array, columns: int, mode: int, step: int, maps: Array, span: tuple[int, int], *,
    line: Array | None = None, out: Array | None = None,
) -> None:  # fmt: skip
    unused = ctypes.c_double()
    machine.kernel(f"natural.{name}")(
        place(x), None, x.shape[0], columns, mode, step, None, place(line), place(maps),
        ctypes.addressof(unused) if out is None else place(out), *span,
    )  # fmt: skip


def _spans(count: int, rows: int = ROWS) -> list[tuple[int, int]]:
    return [(first, min(first + rows, count)) for first in range(0, count, rows)]


def grey(image: Array, colour: str, size: tuple[int, int], threads: int) -> Array:
    """Grey levels as float32, 0 to 255, of the upper left part of a picture of `size`, (H, W).

    image: uint8 (H, W) or (H, W, 3), C-contiguous. colour: "luma", "matlab" or "studio", the last two rounded.
    """
    plane = np.empty(size, np.float32)
    mode = PLAIN if image.ndim == 2 else MODES[colour]
    columns = image.size // image.shape[0]
    run(lambda s: _call("grey", image, columns, mode, size[1], plane, s), _spans(size[0]), threads)
    if image.ndim == 2 and colour == "studio":
        plane = np.floor(plane * np.float32(219 / 255) + np.float32(0.500001))
    return plane


def half(plane: Array, threads: int) -> Array:
    """The plane at half its size, as `beholder.resizing.resize` with scale .5."""
    rows, columns = plane.shape
    result = np.empty(((rows + 1) // 2, (columns + 1) // 2), np.float32)

    def work(span: tuple[int, int]) -> None:
        _call("half", plane, columns, 0, result.shape[1], result, span, line=np.empty(columns + 10))

    run(work, _spans(result.shape[0]), threads)
    return result


def block_scores(plane: Array, threads: int) -> tuple[float, float]:
    """How many blocks of 16x16 catch the eye, and the sum of their distortions, as PIQE has them."""
    rows, columns = plane.shape
    found = np.zeros((rows // 16, 2))

    def work(span: tuple[int, int]) -> None:
        line, maps = np.empty(2 * (columns + 6)), np.empty(16 * columns, np.float32)
        _call("blocks", plane, columns, 0, 16, maps, span, line=line, out=found)

    run(work, _spans(rows // 16, 2), threads)
    seen, score = found.sum(0)
    return float(seen), float(score)


def block_moments(plane: Array, side: int, threads: int) -> list[Moments]:
    """Moments of every square of `side` pixels, by rows: own values and products with four neighbours."""
    rows, columns = plane.shape
    sums = np.zeros((rows // side * (columns // side), MAPS, SUMS))

    def work(span: tuple[int, int]) -> None:
        line, maps = np.empty(2 * (columns + 6)), np.empty((side + 4) * (columns + 2), np.float32)
        _call("moments", plane, columns, 0, side, maps, span, line=line, out=sums)

    run(work, _spans(rows // side, 1), threads)
    return _moments(sums, side * side)


def plane_moments(plane: Array, threads: int) -> list[Moments]:
    """Moments of a whole plane, with zeros beyond its border."""
    rows, columns = plane.shape
    sums = np.zeros((rows, MAPS, SUMS))

    def work(span: tuple[int, int]) -> None:
        line, maps = np.empty(2 * (columns + 6)), np.empty(5 * (columns + 2), np.float32)
        _call("moments", plane, columns, 1, 0, maps, span, line=line, out=sums)

    run(work, _spans(rows), threads)
    return _moments(sums.sum(0, keepdims=True), plane.size)


def _moments(sums: Array, count: int) -> list[Moments]:
    modulus, below, above, fewer, more = (sums[:, :, i] for i in range(SUMS))
    square = (below + above) / count
    means = modulus / count, square, below / np.maximum(fewer, 1), above / np.maximum(more, 1)
    return [Moments(*(a[:, i] for a in means)) for i in range(MAPS)]
