"""The code of `structure`: SSIM of planes with its gradient, in tiles, and the way back from half-size planes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.kernels.code import (
    BYTES,
    C1,
    C2,
    DOUBLES,
    FLOATS,
    LIMIT,
    TWO,
    ZERO,
    F,
    _across1,
    _ahead,
    _down4,
    _fold,
    _level,
    _place,
    carray,
    exact,
    inline,
    loose,
    matrix,
    signature,
    wide,
)
from beholder.kernels.sizes import LINE, PITCH, SSIM_LINES, SSIM_MAP, TAPS

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
ONE, HALF, QUARTER = F(1), F(0.5), F(0.25)
STEP = 4 * PITCH  # from a line of one map to that of the next
MISSING = 4 * STEP  # the lines of what is missing to 1
FILL = SSIM_LINES - 2 * LINE  # the lines of sums and differences


@loose
def _fill(x: Array, y: Array, k: Any, s0: Any, d0: Any, s: Array, d: Array, count: int) -> None:
    """One row of sums and differences, times k, less the shifts."""
    wide()
    for j in range(count):
        a, b = F(x[j]), F(y[j])
        s[j] = (a + b) * k - s0
        d[j] = (a - b) * k - d0


@loose
def _smooth(v: Array, target: Array, count: int) -> None:
    """A row filtered along."""
    wide()
    for j in range(count):
        target[j] = _fold(
            v[j], v[j + 1], v[j + 2], v[j + 3], v[j + 4], v[j + 5], v[j + 6], v[j + 7], v[j + 8], v[j + 9], v[j + 10]
        )


@loose
def _four_down(v: Array, lines: Array, count: int) -> None:
    """Four rows filtered down, from a map to lines."""
    wide()
    for j in range(count):
        a, b, c, d = _down4(v, j)
        lines[j], lines[j + PITCH], lines[j + 2 * PITCH], lines[j + 3 * PITCH] = a, b, c, d


@inline
def _shares(v: Array, j: int, s0: Any, d0: Any, light: Any) -> Any:
    """Of a window: what luminance, and contrast and structure, miss to 1, and what their slopes are made of.

    All doubled, as s^2 - d^2 = 4xy and s^2 + d^2 = 2(x^2 + y^2). light: 1, or 0 to leave luminance out.
    """
    a, b = v[j], v[j + 2 * STEP]
    b2 = b * b
    vd = v[j + 3 * STEP] - b2
    below = v[j + STEP] - a * a + vd + C2
    s, d = a + s0, b + d0
    d2 = d * d
    bright = s * s + d2 + C1
    both = ONE / (bright * below)  # one division for two
    by_bright, by_below = both * below * light, both * bright
    return s, d, by_bright, by_below, TWO * d2 * by_bright, TWO * vd * by_below, max(b2 - LIMIT * below, ZERO)


@exact
def _miss(v: Array, s0: Any, d0: Any, light: Any, count: int) -> Any:
    """What a row of windows misses to 1, and by how much float32 is too short for it."""
    wide()
    total, excess = ZERO, ZERO
    for j in range(count):
        _, _, _, _, p, q, over = _shares(v, j, s0, d0, light)
        total += p + q - p * q
        excess += over
    return total, excess


@exact
def _slopes(v: Array, s0: Any, d0: Any, light: Any, count: int) -> Any:
    """The same, kept in a line, and in place of the maps the derivatives by mean and mean square.

    By the mean they are those for the first picture and for the second, by the mean squares those of s and d.
    """
    wide()
    excess = ZERO
    for j in range(count):
        s, d, by_bright, by_below, p, q, over = _shares(v, j, s0, d0, light)
        excess += over
        bright, contrast = ONE - p, ONE - q
        qs, qd = TWO * bright * q * by_below, -TWO * bright * (ONE + contrast) * by_below
        ps = TWO * contrast * s * p * by_bright - v[j] * qs
        pd = -TWO * contrast * d * (ONE + bright) * by_bright - v[j + 2 * STEP] * qd
        v[j + MISSING] = p + q - p * q
        v[j], v[j + STEP], v[j + 2 * STEP], v[j + 3 * STEP] = ps + pd, ps - pd, qs, qd
    return excess


@loose
def _sum(v: Array, count: int) -> Any:
    wide()
    total = ZERO
    for j in range(count):
        total += v[j]
    return total


@loose
def _clear(v: Array, count: int) -> None:
    for j in range(count):
        v[j] = ZERO


@exact
def _mix(
    x: Array, y: Array, k: Any, s0: Any, d0: Any, v: Array, by_mean: int, sign: Any, scale: Any, target: Array,
    count: int,
) -> None:  # fmt: skip
    """A row of the gradient."""
    wide()
    w = v[by_mean * STEP :]
    for j in range(count):
        a, b = F(x[j]), F(y[j])
        s, d = (a + b) * k - s0, (a - b) * k - d0
        target[j] = scale * (w[j] + s * v[j + 2 * STEP] + sign * d * v[j + 3 * STEP])


@loose
def _tile(
    x: Array, y: Array, halo: int, top: int, rows: int, left: int, columns: int, k: Any, light: Any, work: Array
) -> Any:
    """What the windows of a tile miss to 1, the excess, and the shifts.

    halo: 0, or with the gradient's maps TAPS: how far windows are needed above the tile and to the left of it.
    """
    height, width = x.shape[0] - TAPS, x.shape[1] - TAPS
    lines, maps = work[:SSIM_LINES], work[SSIM_LINES:]
    s, d = lines[FILL:], lines[FILL + LINE :]
    # Row i of the maps is row top - halo + i of the picture, column j is left - halo + j.
    upper, lower = max(0, halo - top), min(rows + halo, height - top + halo)
    start, stop = max(0, halo - left), min(columns + halo, width - left + halo)
    n, at = stop - start, left - halo + start
    middle = top - halo + (upper + lower + TAPS) // 2
    _fill(x[middle, at:], y[middle, at:], k, ZERO, ZERO, s, d, n + TAPS)
    s0, d0 = F(round(_level(s, n + TAPS))), F(round(_level(d, n + TAPS)))
    for i in range(upper, lower + TAPS):
        row, to = top - halo + i, i * PITCH + start
        if row + 4 < x.shape[0]:  # rows lie far apart: the processor does not guess the next one
            _ahead(x, row + 4, at, n + TAPS)
            _ahead(y, row + 4, at, n + TAPS)
        _fill(x[row, at:], y[row, at:], k, s0, d0, s, d, n + TAPS)
        _across1(s, maps[to:], maps[SSIM_MAP + to :], n)
        _across1(d, maps[2 * SSIM_MAP + to :], maps[3 * SSIM_MAP + to :], n)
    total, excess = 0.0, 0.0
    for i in range(upper, lower, 4):
        for m in range(4):
            _four_down(maps[m * SSIM_MAP + i * PITCH + start :], lines[m * STEP + start :], n)
        for r in range(min(4, lower - i)):
            v = lines[r * PITCH + start :]
            if halo == 0:
                missing, over = _miss(v, s0, d0, light, n)
                total += missing
                excess += over
                continue
            excess += _slopes(v, s0, d0, light, n)
            if i + r >= halo:
                total += _sum(lines[MISSING + r * PITCH + halo :], stop - halo)
            for m in range(4):
                line, to = lines[m * STEP + r * PITCH :], m * SSIM_MAP + (i + r) * PITCH
                _clear(line, start)
                _clear(line[stop:], columns + halo - stop)
                _smooth(line, maps[to:], columns)
    if halo != 0:
        for m in range(4):
            _clear(maps[m * SSIM_MAP :], upper * PITCH)
            _clear(maps[m * SSIM_MAP + lower * PITCH :], (rows + halo - lower) * PITCH)
    return total, excess, s0, d0


@loose
def _gradient(
    x: Array, y: Array, top: int, rows: int, left: int, columns: int, k: Any, s0: Any, d0: Any, scale: Any,
    work: Array, slopes: Array, second: int,
) -> None:  # fmt: skip
    """The gradient's tile out of its maps."""
    lines, maps = work[:SSIM_LINES], work[SSIM_LINES:]
    for i in range(0, rows, 4):
        for m in range(4):
            if m != 1 or second != 0:
                _four_down(maps[m * SSIM_MAP + i * PITCH :], lines[m * STEP :], columns)
        for r in range(min(4, rows - i)):
            a, b, v = x[top + i + r, left:], y[top + i + r, left:], lines[r * PITCH :]
            at = (top + i + r) * x.shape[1] + left
            _mix(a, b, k, s0, d0, v, 0, ONE, scale, slopes[at:], columns)
            if second != 0:
                _mix(a, b, k, s0, d0, v, 1, -ONE, scale, slopes[second + at :], columns)


def _similarity(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """What the windows of some tiles miss to 1, in all, and on the way the gradient of a multiple of the sum.

    mode: 0, or TAPS for the gradient in marks; step: how many values behind it that for y lies, 0 for none.
    line, maps: rooms in float32 and, for tiles that it is too short for, in float64. out: factor to 0..255, 1 or 0
    for luminance, and the multiple; then the result.
    """
    p, q, given = matrix(x, rows, columns), matrix(y, rows, columns), carray(out, 3)
    work, double = carray(line, SSIM_LINES + 4 * SSIM_MAP), carray(maps, SSIM_LINES + 4 * SSIM_MAP)
    slopes = carray(marks, step + rows * columns)
    k, light, scale = F(given[0]), F(given[1]), F(given[2])
    height, width = rows - TAPS + mode, columns - TAPS + mode
    total = 0.0
    for tile in range(first, last):
        top, count, left, n = _place(tile, height, width)
        part, excess, s0, d0 = _tile(p, q, mode, top, count, left, n, k, light, work)
        if excess > 0:
            part, excess, s0, d0 = _tile(p, q, mode, top, count, left, n, k, light, double)
            if mode != 0:
                _gradient(p, q, top, count, left, n, k, s0, d0, scale, double, slopes, step)
        elif mode != 0:
            _gradient(p, q, top, count, left, n, k, s0, d0, scale, work, slopes, step)
        total += part
    out[0] = total


# --- halves ----------------------------------------------------------------------------------------------------------


@exact
def _mean4(a: Array, b: Array, target: Array, count: int) -> None:
    wide()
    for j in range(count):
        pair = np.int32(a[2 * j]) + np.int32(b[2 * j])
        target[j] = QUARTER * F(np.int32(pair + np.int32(a[2 * j + 1]) + np.int32(b[2 * j + 1])))


def _halve_bytes(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Means of 2 x 2 bytes, mirrored beyond an odd end: rows `first` to `last` of marks."""
    half = (columns + 1) // 2
    source, target = matrix(x, rows, columns), matrix(marks, (rows + 1) // 2, half)
    for i in range(first, last):
        a, b, row = source[2 * i], source[min(2 * i + 1, rows - 1)], target[i]
        _mean4(a, b, row, columns // 2)
        if columns % 2 == 1:
            row[half - 1] = HALF * (F(a[columns - 1]) + F(b[columns - 1]))


@exact
def _spread(small: Array, factor: Any, row: Array, own: Any, count: int) -> None:
    wide()
    for j in range(count):
        row[2 * j] = own * row[2 * j] + factor * small[j]
        row[2 * j + 1] = own * row[2 * j + 1] + factor * small[j]


def _unhalve(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Rows of marks, times out[0], and out[1] times what the gradient x by means of 2 x 2 values makes of them."""
    half = (columns + 1) // 2
    small, target = matrix(x, (rows + 1) // 2, half), matrix(marks, rows, columns)
    given = carray(out, 2)
    own, by = F(given[0]), F(given[1])
    for i in range(first, last):
        row, source = target[i], small[i // 2]
        factor = by * (HALF if i == rows - 1 and rows % 2 == 1 else QUARTER)
        _spread(source, factor, row, own, columns // 2)
        if columns % 2 == 1:
            row[columns - 1] = own * row[columns - 1] + TWO * factor * source[half - 1]


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "similarity": (_similarity, signature(FLOATS, FLOATS, FLOATS, DOUBLES)),
    "similarity_bytes": (_similarity, signature(BYTES, FLOATS, FLOATS, DOUBLES)),
    "halve_bytes": (_halve_bytes, signature(BYTES, FLOATS)),
    "unhalve": (_unhalve, signature(FLOATS, FLOATS)),
}
"""As in `code`: x, y, rows, columns, mode, step, marks, line, maps, out, first, last."""
