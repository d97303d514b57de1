"""The code of `pixel`: differences of float32 planes, their slopes, and whether values lie in [0, 1], in Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.kernels.code import FLOATS, F, carray, exact, inline, matrix, signature, types, wide

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
ZERO = F(0)
NEGATIVE_ZERO = np.uint32(0x80000000)


@exact
def _largest_bits(bits: Array) -> Any:
    wide()
    largest = np.uint32(0)
    for j in range(bits.size):
        largest = max(largest, bits[j])
    return largest


@exact
def _largest_but_negative_zeros(bits: Array) -> Any:
    wide()
    largest = np.uint32(0)
    for j in range(bits.size):
        largest = max(largest, bits[j] if bits[j] != NEGATIVE_ZERO else np.uint32(0))
    return largest


@inline
def _limit(bits: Array, limit: Any) -> Any:
    """The largest bit pattern of float32 values, or `limit`: those of [0, 1] come first, then all others, also NaN."""
    largest = _largest_bits(bits)
    if largest >= NEGATIVE_ZERO:
        largest = _largest_but_negative_zeros(bits)
    return max(limit, largest)


@exact
def _squares1(a: Array, b: Array, w: Any) -> Any:
    wide()
    total = ZERO
    for j in range(a.size):
        difference = w * (a[j] - b[j])
        total += difference * difference
    return total


@exact
def _squares3(a: Array, b: Array, c: Array, d: Array, e: Array, f: Array, u: Any, v: Any, w: Any) -> Any:
    wide()
    total = ZERO
    for j in range(a.size):
        difference = u * (a[j] - b[j]) + v * (c[j] - d[j]) + w * (e[j] - f[j])
        total += difference * difference
    return total


def _squares(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Sum of squared weighted differences of rows. mode: planes that are mixed, 1 or 3; step: columns left out.

    rows: of one plane; marks: the planes' weights; out: the sum, and the largest bit pattern of both pictures' rows.
    """
    p, q, w = matrix(x, mode * rows, columns), matrix(y, mode * rows, columns), carray(marks, 3)
    a, b = p.view(np.uint32), q.view(np.uint32)
    total, end, largest = 0.0, columns - step, np.uint32(0)
    for r in range(first, last):
        for c in range(mode):
            largest = _limit(b[r + c * rows], _limit(a[r + c * rows], largest))
        if mode == 1:
            total += _squares1(p[r, step:end], q[r, step:end], w[0])
        else:
            s, t = r + rows, r + 2 * rows
            total += _squares3(
                p[r, step:end], q[r, step:end], p[s, step:end], q[s, step:end], p[t, step:end], q[t, step:end],
                w[0], w[1], w[2],
            )  # fmt: skip
    out[0], out[1] = total, float(largest)


@exact
def _distance(a: Array, b: Array) -> Any:
    wide()
    total = ZERO
    for j in range(a.size):
        total += abs(a[j] - b[j])
    return total


def _absolute(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Sum of absolute differences of rows, and the largest bit pattern."""
    p, q = matrix(x, rows, columns), matrix(y, rows, columns)
    a, b = p.view(np.uint32), q.view(np.uint32)
    total, largest = 0.0, np.uint32(0)
    for r in range(first, last):
        largest = _limit(b[r], _limit(a[r], largest))
        total += _distance(p[r], q[r])
    out[0], out[1] = total, float(largest)


@exact
def _slope1(a: Array, b: Array, k: Any, result: Array) -> None:
    wide()
    for j in range(a.size):
        result[j] = k * (a[j] - b[j])


@exact
def _slope3(
    a: Array, b: Array, c: Array, d: Array, e: Array, f: Array, w: Array, k: Any, r: Array, s: Array, t: Array
) -> None:
    wide()
    u, v, z = w[0], w[1], w[2]
    ku, kv, kz = k * u, k * v, k * z
    for j in range(a.size):
        difference = u * (a[j] - b[j]) + v * (c[j] - d[j]) + z * (e[j] - f[j])
        r[j] = ku * difference
        s[j] = kv * difference
        t[j] = kz * difference


def _slopes(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """The slope of the sum of squares by x, into maps. As `_squares`; marks: the weights, and what the slope is times.

    The slope by y is that of (y, x).
    """
    p, q = matrix(x, mode * rows, columns), matrix(y, mode * rows, columns)
    target, w = matrix(maps, mode * rows, columns), carray(marks, 4)
    end = columns - step
    for r in range(first, last):
        if mode == 1:
            _slope1(p[r, step:end], q[r, step:end], w[0] * w[0] * w[3], target[r, step:end])
        else:
            s, t = r + rows, r + 2 * rows
            _slope3(
                p[r, step:end], q[r, step:end], p[s, step:end], q[s, step:end], p[t, step:end], q[t, step:end],
                w, w[3], target[r, step:end], target[s, step:end], target[t, step:end],
            )  # fmt: skip


@exact
def _sign(a: Array, b: Array, k: Any, result: Array) -> None:
    wide()
    for j in range(a.size):
        result[j] = k if a[j] > b[j] else (-k if a[j] < b[j] else ZERO)


def _signs(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """The slope of the sum of absolute differences by x, into maps, times marks."""
    p, q, target = matrix(x, rows, columns), matrix(y, rows, columns), matrix(maps, rows, columns)
    k = carray(marks, 1)[0]
    for r in range(first, last):
        _sign(p[r], q[r], k, target[r])


def _largest(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """The largest bit pattern of float32 values."""
    out[0] = float(_limit(carray(x, rows * columns)[first:last], np.uint32(0)))


WORDS = types.CPointer(types.uint32)
KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "squares": (_squares, signature(FLOATS, FLOATS)),
    "slopes": (_slopes, signature(FLOATS, FLOATS)),
    "absolute": (_absolute, signature(FLOATS)),
    "signs": (_signs, signature(FLOATS, FLOATS)),
    "largest": (_largest, signature(WORDS)),
}
"""As in `code`: x, y, rows, columns, mode, step, marks, line, maps, out, first, last."""
