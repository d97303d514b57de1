"""The code of `similarity`: cosine transforms of 8x8 blocks and what is seen of their differences, in Numba.

Blocks are done 64 at a time: line 8 k + m of a tile holds coefficient (k, m) of each, so that lines are vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.kernels.code import BYTES, FLOATS, F, _rounded, carray, exact, inline, loose, matrix, signature, wide
from beholder.kernels.sizes import FULL, PLAIN

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
ZERO = F(0)
RED, GREEN, BLUE = F(0.299), F(0.587), F(0.114)
BLOCKS = 64  # blocks of a tile: its 64 coefficients of each fill half of the level-1 cache
TILE = 64 * BLOCKS


_C = [F(math.cos(k * math.pi / 16) / 2) for k in range(8)]
C1, C2, C3, C4, C5, C6, C7 = _C[1:]


@exact
def _grey(a: Array, mode: int, target: Array, count: int) -> None:
    wide()
    if mode == PLAIN:
        for j in range(count):
            target[j] = F(a[j])
    elif mode == FULL:
        for j in range(count):
            target[j] = RED * F(a[3 * j]) + GREEN * F(a[3 * j + 1]) + BLUE * F(a[3 * j + 2])
    else:
        for j in range(count):
            target[j] = _rounded(a[3 * j], a[3 * j + 1], a[3 * j + 2])


@exact
def _grey_difference(a: Array, b: Array, mode: int, target: Array, count: int) -> None:
    wide()
    if mode == PLAIN:
        for j in range(count):
            target[j] = F(np.int32(a[j]) - np.int32(b[j]))
    elif mode == FULL:
        for j in range(count):
            r, g = F(np.int32(a[3 * j]) - np.int32(b[3 * j])), F(np.int32(a[3 * j + 1]) - np.int32(b[3 * j + 1]))
            target[j] = RED * r + GREEN * g + BLUE * F(np.int32(a[3 * j + 2]) - np.int32(b[3 * j + 2]))
    else:
        for j in range(count):
            upper = _rounded(a[3 * j], a[3 * j + 1], a[3 * j + 2])
            target[j] = upper - _rounded(b[3 * j], b[3 * j + 1], b[3 * j + 2])


@loose
def _part(row: Array, blocks: int, r: int, tile: Array) -> None:
    """A row of pixels into a tile: line 8 r + c of it holds column c of every block."""
    for c in range(8):
        target = tile[(8 * r + c) * BLOCKS :]
        for b in range(blocks):
            target[b] = row[8 * b + c]


def _cosine(apart: int) -> Callable[..., None]:
    """The transform of eight lines of a tile, `apart` values from each other (a constant, for speed), in place."""

    @exact
    def cosine(v: Array, n: int) -> None:
        wide()
        for j in range(n):
            a, b, c, d = v[j], v[j + apart], v[j + 2 * apart], v[j + 3 * apart]
            e, f, g, h = v[j + 4 * apart], v[j + 5 * apart], v[j + 6 * apart], v[j + 7 * apart]
            p, q, r, s = a + h, b + g, c + f, d + e
            h, g, f, e = a - h, b - g, c - f, d - e
            v[j] = C4 * ((p + s) + (q + r))
            v[j + 4 * apart] = C4 * ((p + s) - (q + r))
            v[j + 2 * apart] = C2 * (p - s) + C6 * (q - r)
            v[j + 6 * apart] = C6 * (p - s) - C2 * (q - r)
            v[j + apart] = C1 * h + C3 * g + C5 * f + C7 * e
            v[j + 3 * apart] = C3 * h - C7 * g - C1 * f - C5 * e
            v[j + 5 * apart] = C5 * h - C1 * g + C7 * f + C3 * e
            v[j + 7 * apart] = C7 * h - C5 * g + C3 * f - C1 * e

    return cosine


_cosine_down, _cosine_along = _cosine(8 * BLOCKS), _cosine(BLOCKS)


@inline
def _transform(tile: Array, n: int) -> None:
    for k in range(8):
        _cosine_down(tile[k * BLOCKS :], n)
    for k in range(8):
        _cosine_along(tile[8 * k * BLOCKS :], n)


@exact
def _energy_of(v: Array, n: int) -> Any:
    wide()
    total = ZERO
    for j in range(n):
        total += v[j] * v[j]
    return total


@exact
def _local(v: Array, n: int, total: Array) -> None:
    """Squared deviations of a quarter's 16 pixels from their mean, added to a line."""
    wide()
    for j in range(n):
        first = v[j]
        sums, squares = ZERO, ZERO
        for k in range(4):
            for m in range(4):
                offset = v[j + (8 * k + m) * BLOCKS] - first
                sums += offset
                squares += offset * offset
        total[j] += squares - sums * sums * F(1 / 16)


@exact
def _weighted_squares(v: Array, weight: Any, total: Array, n: int) -> None:
    wide()
    for j in range(n):
        total[j] += weight * (v[j] * v[j])


@exact
def _contrast(energy: Array, local: Array, whole: Array, hidden: Array, n: int) -> None:
    wide()
    for j in range(n):
        share = local[j] * F(16 / 15) / (whole[j] * F(64 / 63) + F(1e-20))
        hidden[j] = max(hidden[j], np.sqrt(max(energy[j] * share, ZERO)) * F(1 / 32))


@exact
def _visible(v: Array, hidden: Array, limit: Any, n: int) -> Any:
    wide()
    total = ZERO
    for j in range(n):
        excess = max(abs(v[j]) - limit * hidden[j], ZERO)
        total += excess * excess
    return total


@inline
def _masking(tile: Array, tables: Array, lines: Array, n: int) -> None:
    """What each block of a tile of pixels hides, raised in line 0; lines 1 to 3: energy, quarters, whole."""
    lines[1:4, :n] = ZERO
    for k in range(2):
        for m in range(2):
            _local(tile[(32 * k + 4 * m) * BLOCKS :], n, lines[2])
    _transform(tile, n)
    for k in range(1, 64):
        _weighted_squares(tile[k * BLOCKS :], tables[64 + k], lines[1], n)
        _weighted_squares(tile[k * BLOCKS :], F(1), lines[3], n)
    _contrast(lines[1], lines[2], lines[3], lines[0], n)


def _hvs(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Sum of weighted squared differences of cosine transforms over rows of blocks. step: 2 with masking.

    marks: squared sensitivities, masking, limits, 64 each; line: a tile row of pixels and 4 lines; maps: a tile.
    """
    p, q, tables = matrix(x, rows, columns), matrix(y, rows, columns), carray(marks, 192)
    row, tile, lines = carray(line, 8 * BLOCKS), carray(maps, TILE), matrix(line, 12, BLOCKS)[8:]
    colours = 1 if mode == PLAIN else 3
    blocks = columns // colours // 8
    total = 0.0
    for r in range(first, last):
        for left in range(0, blocks, BLOCKS):
            n = min(BLOCKS, blocks - left)
            start, stop = 8 * left * colours, 8 * (left + n) * colours
            lines[0, :n] = ZERO
            if step == 2:
                for i in range(8):
                    _grey(p[8 * r + i, start:stop], mode, row, 8 * n)
                    _part(row, n, i, tile)
                _masking(tile, tables, lines, n)
                for i in range(8):
                    _grey(q[8 * r + i, start:stop], mode, row, 8 * n)
                    _part(row, n, i, tile)
                _masking(tile, tables, lines, n)
            for i in range(8):
                _grey_difference(p[8 * r + i, start:stop], q[8 * r + i, start:stop], mode, row, 8 * n)
                _part(row, n, i, tile)
            _transform(tile, n)
            for k in range(64):
                if step == 2:
                    total += tables[k] * _visible(tile[k * BLOCKS :], lines[0], tables[128 + k], n)
                else:
                    total += tables[k] * _energy_of(tile[k * BLOCKS :], n)
    out[0] = total


def _subbands(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """The first 5 x 5 coefficients of all blocks, a plane for each. line: a tile row and a tile; maps: the planes."""
    p, row, tile = matrix(x, rows, columns), carray(line, 8 * BLOCKS), carray(line, 8 * BLOCKS + TILE)[8 * BLOCKS :]
    colours = 1 if mode == PLAIN else 3
    blocks = columns // colours // 8
    planes = matrix(maps, 25 * (rows // 8), blocks)
    for r in range(first, last):
        for left in range(0, blocks, BLOCKS):
            n = min(BLOCKS, blocks - left)
            for i in range(8):
                _grey(p[8 * r + i, 8 * left * colours : 8 * (left + n) * colours], mode, row, 8 * n)
                _part(row, n, i, tile)
            _transform(tile, n)
            for k in range(5):
                for m in range(5):
                    source = tile[(8 * k + m) * BLOCKS :]
                    planes[(5 * k + m) * (rows // 8) + r, left : left + n] = source[:n]


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "hvs": (_hvs, signature(BYTES, FLOATS)),
    "subbands": (_subbands, signature(BYTES)),
}
"""All take x, y, rows, columns of a row in values, mode, step, marks, line, maps, out, first, last."""
