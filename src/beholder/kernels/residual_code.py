"""The code of `residual`: reducing float32 planes, resampling small ones, SR-SIM's similarity, and their adjoints.

Large planes are float32; the small ones are float64, as a spectrum has faint waves whose logarithm counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.kernels.code import DOUBLES, FLOATS, F, carray, exact, matrix, signature, types, wide

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
INDICES = types.CPointer(types.int32)
LINE = 256
"""Pixels at a time in `_compare`; lines: of each picture the gradient along, down and its length, then both maps."""
PICTURE, MAPS, ROOM = 3 * LINE, 6 * LINE, 8 * LINE
EDGE, MAP = 225.0, 0.40
FAINT, NOTHING = 1e-12, 1e-15


@exact
def _add(row: Array, weight: Any, sums: Array) -> None:
    wide()
    for j in range(sums.size):
        sums[j] += weight * float(row[j])


@exact
def _blocks(sums: Array, step: int, before: int, to: Array) -> None:
    """Sums of `step` values; those beyond the ends count as zero."""
    for i in range(to.size):
        left = i * step - before
        total = 0.0
        for k in range(max(left, 0), min(left + step, sums.size)):
            total += sums[k]
        to[i] = total


@exact
def _blocks4(sums: Array, before: int, to: Array) -> None:
    """As `_blocks` of four, but for the first and the last."""
    wide()
    v = sums[4 - before :]
    t = to[1:]
    for i in range(to.size - 2):
        t[i] = (v[4 * i] + v[4 * i + 1]) + (v[4 * i + 2] + v[4 * i + 3])


def _reduce(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Every step-th pixel of the weighted sum of planes over step x step. marks: the weights; mode: how many planes;
    line: a row; maps: the result.
    """
    p, weights, sums = matrix(x, mode * rows, columns), carray(marks, mode), carray(line, columns)
    before, height, width = (step - 1) // 2, (rows + step - 1) // step, (columns + step - 1) // step
    result = matrix(maps, height, width)
    for r in range(first, last):
        sums[:] = 0.0
        for c in range(mode):
            for k in range(max(r * step - before, 0), min(r * step - before + step, rows)):
                _add(p[c * rows + k], weights[c], sums)
        if step == 4 and width > 2:
            _blocks4(sums, before, result[r])
            for i in (0, width - 1):
                _blocks(sums[4 * i - (before if i else 0) :], 4, 0 if i else before, result[r, i : i + 1])
        else:
            _blocks(sums, step, before, result[r])


@exact
def _scaled(row: Array, weight: Any, to: Array) -> None:
    wide()
    for j in range(to.size):
        to[j] = weight * F(row[j])


def _spread(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """The adjoint of `_reduce`, for rows `first` to `last` of its result. x: slopes by it; y: the weights; line: a row;
    marks: slopes by the planes, all rows that lie nearest to these.
    """
    before, height, width = (step - 1) // 2, (rows + step - 1) // step, (columns + step - 1) // step
    given, weights, planes = matrix(x, height, width), carray(y, mode), matrix(marks, mode * rows, columns)
    row = carray(line, columns)
    for r in range(first, last):
        for j in range(columns):
            i = (j + before) // step
            row[j] = given[r, i] if i < width else 0.0
        bottom = rows if r == height - 1 else (r + 1) * step - before
        for k in range(max(r * step - before, 0), bottom):
            inside = k < r * step - before + step
            for c in range(mode):
                _scaled(row, F(weights[c]) if inside else F(0), planes[c * rows + k])


@exact
def _add_row(source: Array, weight: Any, to: Array) -> None:
    wide()
    for j in range(to.size):
        to[j] += weight * source[j]


def _taps(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Weighted sums of rows. mode: of how many each is made; y: weights; marks: their rows; step: how many results."""
    p, weights, place = matrix(x, rows, columns), matrix(y, step, mode), matrix(marks, step, mode)
    result = matrix(maps, step, columns)
    for r in range(first, last):
        result[r, :] = 0.0
        for k in range(mode):
            if weights[r, k] != 0.0:
                _add_row(p[place[r, k]], weights[r, k], result[r])


@exact
def _scharr(a: Array, b: Array, c: Array, v: Array, n: int) -> None:
    """Gradient along, down, and its length, of three rows that begin one pixel earlier."""
    wide()
    for j in range(n):
        along = 0.1875 * ((a[j] - a[j + 2]) + (c[j] - c[j + 2])) + 0.625 * (b[j] - b[j + 2])
        down = 0.1875 * ((a[j] - c[j]) + (a[j + 2] - c[j + 2])) + 0.625 * (a[j + 1] - c[j + 1])
        v[j], v[j + LINE] = along, down
        v[j + 2 * LINE] = np.sqrt(max(along * along + down * down, NOTHING * NOTHING))


@exact
def _score(v: Array, n: int) -> Any:
    """Sums of weighted similarities and of weights."""
    wide()
    total, weights = 0.0, 0.0
    for j in range(n):
        p, q, x, y = v[j + 2 * LINE], v[j + 5 * LINE], v[j + MAPS], v[j + MAPS + LINE]
        edge = 1.0 - (p - q) * (p - q) / (p * p + q * q + EDGE)
        similar = (1.0 - (x - y) * (x - y) / (x * x + y * y + MAP)) * np.sqrt(max(edge, 0.0))
        weight = max(x, y) + FAINT
        total += similar * weight
        weights += weight
    return total, weights


@exact
def _slopes(v: Array, value: Any, share: Any, n: int) -> None:
    """The lines are replaced by slopes: by the gradients along and down, by the maps. share: 1 / sum of weights."""
    wide()
    for j in range(n):
        p, q, x, y = v[j + 2 * LINE], v[j + 5 * LINE], v[j + MAPS], v[j + MAPS + LINE]
        below, apart = 1.0 / (p * p + q * q + EDGE), p - q
        loss = apart * apart * below
        root = np.sqrt(max(1.0 - loss, 0.0))
        under, off = 1.0 / (x * x + y * y + MAP), x - y
        lack = off * off * under
        weight = (max(x, y) + FAINT) * share
        by_map = 2.0 * weight * root * under
        by_edge = weight * (1.0 - lack) * below / (root if root > 0.0 else 1.0) if root > 0.0 else 0.0
        by_weight = ((1.0 - lack) * root - value) * share
        # Where both weigh the same, each has half of it, as the definition's maximum.
        mine = 1.0 if x > y else (0.5 if x == y else 0.0)
        v[j + MAPS] = by_map * (lack * x - off) + by_weight * mine
        v[j + MAPS + LINE] = by_map * (lack * y + off) + by_weight * (1.0 - mine)
        first = by_edge * (loss * p - apart) / p if p > NOTHING else 0.0
        second = by_edge * (loss * q + apart) / q if q > NOTHING else 0.0
        v[j], v[j + LINE] = first * v[j], first * v[j + LINE]
        v[j + PICTURE], v[j + PICTURE + LINE] = second * v[j + PICTURE], second * v[j + PICTURE + LINE]


def _compare(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """SR-SIM's sums over rows, or with mode 1 the slopes, given value and 1 / sum of weights in out.

    x: both planes between zeros, rows + 2 by columns + 2 each; y: both maps; marks: for slopes by the maps; maps: for
    those by both gradients of both planes, four planes like x; line: 8 lines.
    """
    pitch = columns + 2
    p, q, v = matrix(x, 2 * (rows + 2), pitch), matrix(y, 2 * rows, columns), carray(line, ROOM)
    by_map, by_plane = matrix(marks, 2 * rows, columns), matrix(maps, 4 * (rows + 2), pitch)
    total, weights = 0.0, 0.0
    for r in range(first, last):
        for left in range(0, columns, LINE):
            n = min(LINE, columns - left)
            for i in range(2):
                at = i * (rows + 2) + r
                _scharr(p[at, left:], p[at + 1, left:], p[at + 2, left:], v[i * PICTURE :], n)
                v[MAPS + i * LINE : MAPS + i * LINE + n] = q[i * rows + r, left : left + n]
            if mode == 0:
                part = _score(v, n)
                total += part[0]
                weights += part[1]
                continue
            _slopes(v, out[0], out[1], n)
            for i in range(2):
                by_map[i * rows + r, left : left + n] = v[MAPS + i * LINE : MAPS + i * LINE + n]
                for k in range(2):
                    at, start = (2 * i + k) * (rows + 2) + r + 1, i * PICTURE + k * LINE
                    by_plane[at, left + 1 : left + 1 + n] = v[start : start + n]
    if mode == 0:
        out[0], out[1] = total, weights


@exact
def _along(a: Array, b: Array, c: Array, to: Array) -> None:
    wide()
    for j in range(to.size):
        to[j] = 0.1875 * ((a[j + 2] - a[j]) + (c[j + 2] - c[j])) + 0.625 * (b[j + 2] - b[j])


@exact
def _down(a: Array, c: Array, to: Array) -> None:
    wide()
    for j in range(to.size):
        to[j] += 0.1875 * ((c[j] - a[j]) + (c[j + 2] - a[j + 2])) + 0.625 * (c[j + 1] - a[j + 1])


def _back(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """The adjoint of Scharr's gradients. x: slopes by that along and that down, between zeros; maps: by a plane."""
    p, to = matrix(x, 2 * (rows + 2), columns + 2), matrix(maps, rows, columns)
    for r in range(first, last):
        _along(p[r], p[r + 1], p[r + 2], to[r])
        _down(p[rows + 2 + r], p[rows + 4 + r], to[r])


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "reduce": (_reduce, signature(FLOATS, DOUBLES, DOUBLES, DOUBLES)),
    "spread": (_spread, signature(DOUBLES, FLOATS, DOUBLES, DOUBLES)),
    "taps": (_taps, signature(DOUBLES, INDICES, DOUBLES, DOUBLES)),
    "compare": (_compare, signature(DOUBLES, DOUBLES, DOUBLES, DOUBLES)),
    "back": (_back, signature(DOUBLES, DOUBLES, DOUBLES, DOUBLES)),
}
"""As in `code`: x, y, rows, columns, mode, step, marks, line, maps, out, first, last."""
