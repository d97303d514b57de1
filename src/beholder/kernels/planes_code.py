"""The code of `planes`: separable filters, luma and halving of float32 planes, in Numba."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from beholder.kernels.code import BYTES, DOUBLES, FLOATS, F, carray, exact, inline, matrix, signature, wide

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
ZERO = F(0)


@exact
def _gather8(source: Array, at: int, pitch: int, t: Array, k: int, total: Array, count: int) -> None:
    """Add eight taps, `pitch` values apart, to a line: one load and one store of the line for eight products."""
    wide()
    t0, t1, t2, t3, t4, t5, t6, t7 = t[k], t[k + 1], t[k + 2], t[k + 3], t[k + 4], t[k + 5], t[k + 6], t[k + 7]
    a, b, c, d = source[at:], source[at + pitch :], source[at + 2 * pitch :], source[at + 3 * pitch :]
    e, f, g, h = source[at + 4 * pitch :], source[at + 5 * pitch :], source[at + 6 * pitch :], source[at + 7 * pitch :]
    for j in range(count):
        near = t0 * a[j] + t1 * b[j] + t2 * c[j] + t3 * d[j]
        total[j] += near + (t4 * e[j] + t5 * f[j] + t6 * g[j] + t7 * h[j])


@exact
def _gather4(source: Array, at: int, pitch: int, t: Array, k: int, total: Array, count: int) -> None:
    wide()
    t0, t1, t2, t3 = t[k], t[k + 1], t[k + 2], t[k + 3]
    a, b, c, d = source[at:], source[at + pitch :], source[at + 2 * pitch :], source[at + 3 * pitch :]
    for j in range(count):
        total[j] += t0 * a[j] + t1 * b[j] + t2 * c[j] + t3 * d[j]


@exact
def _gather2(source: Array, at: int, pitch: int, t: Array, k: int, total: Array, count: int) -> None:
    wide()
    t0, t1 = t[k], t[k + 1]
    a, b = source[at:], source[at + pitch :]
    for j in range(count):
        total[j] += t0 * a[j] + t1 * b[j]


@exact
def _gather1(source: Array, at: int, t: Array, k: int, total: Array, count: int) -> None:
    wide()
    t0 = t[k]
    a = source[at:]
    for j in range(count):
        total[j] += t0 * a[j]


@inline
def _gather(source: Array, at: int, pitch: int, t: Array, taps: int, total: Array, count: int) -> None:
    """The sum of `taps` values, `pitch` apart and the first at `at`, times t."""
    for j in range(count):
        total[j] = ZERO
    k = 0
    while k + 8 <= taps:
        _gather8(source, at + k * pitch, pitch, t, k, total, count)
        k += 8
    if k + 4 <= taps:
        _gather4(source, at + k * pitch, pitch, t, k, total, count)
        k += 4
    if k + 2 <= taps:
        _gather2(source, at + k * pitch, pitch, t, k, total, count)
        k += 2
    if k < taps:
        _gather1(source, at + k * pitch, t, k, total, count)


@exact
def _spread(source: Array, step: int, phase: int, target: Array, count: int) -> None:
    """Every `step`-th value, next to each other."""
    wide()
    a = source[phase:]
    if step == 2:
        for j in range(count):
            target[j] = a[2 * j]
    else:
        for j in range(count):
            target[j] = a[step * j]


def _correlate(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Rows `first` to `last` of a filtered plane: x the plane, y the taps, marks the result.

    mode: taps down times 64 plus taps along; line: 2 * (columns + 64 * step) floats.
    """
    down, along = mode // 64, mode % 64
    width = (columns - along) // step + 1
    source, target, taps = carray(x, rows * columns), matrix(marks, rows, width), carray(y, down + along)
    pitch = columns // step + 64
    middle, parts = carray(line, columns + 64 * step), carray(line, 2 * (columns + 64 * step))[columns + 64 * step :]
    for row in range(first, last):
        _gather(source, row * step * columns, columns, taps, down, middle, columns)
        result = target[row]
        if step == 1:
            _gather(middle, 0, 1, taps[down:], along, result, width)
            continue
        for phase in range(step):
            _spread(middle, step, phase, parts[phase * pitch :], (columns - phase + step - 1) // step)
        for j in range(width):
            result[j] = ZERO
        for k in range(along):
            _gather1(parts, k % step * pitch + k // step, taps, down + k, result, width)


def _luma(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Weighted sums of three interleaved bytes; mode 1: in float64 and rounded. out: the weights."""
    wide()
    p, result, weights = carray(x, 3 * rows * columns), carray(marks, rows * columns), carray(out, 3)
    r, g, b = weights[0], weights[1], weights[2]
    red, green, blue = F(r), F(g), F(b)
    if mode == 1:
        for j in range(first * columns, last * columns):
            result[j] = F(math.floor(r * p[3 * j] + g * p[3 * j + 1] + b * p[3 * j + 2] + 0.5))
    else:
        for j in range(first * columns, last * columns):
            result[j] = red * F(p[3 * j]) + green * F(p[3 * j + 1]) + blue * F(p[3 * j + 2])


@exact
def _triples(a: Array, b: Array, c: Array, target: Array) -> None:
    wide()
    for j in range(a.size):
        target[3 * j] = a[j]
        target[3 * j + 1] = b[j]
        target[3 * j + 2] = c[j]


def _interleave(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """The values of three planes side by side."""
    p, target = matrix(x, 3 * rows, columns), matrix(marks, rows, 3 * columns)
    for row in range(first, last):
        _triples(p[row], p[rows + row], p[2 * rows + row], target[row])


@exact
def _part(source: Array, a: Array, b: Array, c: Array) -> None:
    wide()
    for j in range(a.size):
        a[j] = source[3 * j]
        b[j] = source[3 * j + 1]
        c[j] = source[3 * j + 2]


def _separate(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """The other way round: three planes of values side by side."""
    p, target = matrix(x, rows, 3 * columns), matrix(marks, 3 * rows, columns)
    for row in range(first, last):
        _part(p[row], target[row], target[rows + row], target[2 * rows + row])


@exact
def _mean4(a: Array, b: Array, target: Array, count: int) -> None:
    wide()
    quarter = F(0.25)
    for j in range(count):
        target[j] = ((a[2 * j] + a[2 * j + 1]) + (b[2 * j] + b[2 * j + 1])) * quarter


def _halve(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Means of 2 x 2 values; mode: 0 leaves out an odd last row and column, 1 repeats them, 2 takes zeros beyond."""
    more = 0 if mode == 0 else 1
    height, width = (rows + more) // 2, (columns + more) // 2
    source, target = matrix(x, rows, columns), matrix(marks, height, width)
    for row in range(first, last):
        a = source[2 * row]
        lone = 2 * row + 1 == rows
        b = a if lone else source[2 * row + 1]
        result = target[row]
        _mean4(a, b, result, columns // 2)
        if width > columns // 2:
            result[width - 1] = (a[columns - 1] + b[columns - 1]) * F(0.5 if mode == 1 else 0.25)
        if lone and mode == 2:
            for j in range(width):
                result[j] *= F(0.5)


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "correlate": (_correlate, signature(FLOATS, FLOATS)),
    "correlate_double": (_correlate, signature(DOUBLES, DOUBLES, DOUBLES)),
    "luma": (_luma, signature(BYTES, FLOATS)),
    "interleave": (_interleave, signature(BYTES)),
    "interleave_float": (_interleave, signature(FLOATS, FLOATS)),
    "separate_float": (_separate, signature(FLOATS, FLOATS)),
    "halve": (_halve, signature(FLOATS, FLOATS)),
}
"""As in `code`: x, y, rows, columns, mode, step, marks, line, maps, out, first, last."""
