"""The code of `similarity`: box sums and the similarity of gradients, in Numba.

Rows stay in the cache; loops either store to one line or only add up, so that LLVM makes vectors of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.kernels.code import (
    BYTES,
    FLOATS,
    F,
    _moments,
    carray,
    exact,
    inline,
    loose,
    matrix,
    signature,
    wide,
)

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
ZERO, HALF, QUARTER, TWO = F(0), F(0.5), F(0.25), F(2)
MASKED_SCALE = F(170 * 9)  # gradients are three times too large

# --- box sums ---------------------------------------------------------------------------------------------------------


@loose
def _sum_rows(x: Array, top: int, bottom: int, total: Array) -> None:
    wide()
    start = top
    if bottom - top >= 4:
        a, b, c, d = x[top], x[top + 1], x[top + 2], x[top + 3]
        start = top + 4
        for j in range(total.size):
            total[j] = F(
                np.int32(np.int32(np.int32(a[j]) + np.int32(b[j])) + np.int32(np.int32(c[j]) + np.int32(d[j])))
            )
    else:
        total[:] = ZERO
    for r in range(start, bottom):
        row = x[r]
        for j in range(total.size):
            total[j] += F(row[j])


@loose
def _sum_along(source: Array, apart: int, step: int, target: Array) -> None:
    """Sums of `step` values that lie `apart` from each other, from every value on."""
    wide()
    done = 1
    if step >= 4:
        a, b, c = source[apart:], source[2 * apart :], source[3 * apart :]
        done = 4
        for j in range(target.size):
            target[j] = (source[j] + a[j]) + (b[j] + c[j])
    else:
        for j in range(target.size):
            target[j] = source[j]
    for k in range(done, step):
        more = source[k * apart :]
        for j in range(target.size):
            target[j] += more[j]


def _boxes(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Sums over step x step pixels, zeros beyond the border. mode: channels; maps: a plane for each; line: two rows.

    y: not used; marks: how far a window reaches back, in its first float.
    """
    p = matrix(x, rows, columns)
    before, width = int(carray(marks, 1)[0]), columns // mode
    height, count = (rows + step - 1) // step, (width + step - 1) // step
    target = matrix(maps, mode * height, count)
    room = matrix(line, 2, columns + 2 * step * mode)
    total, sums = room[0, before * mode : before * mode + columns], room[1, : columns + step * mode]
    for r in range(first, last):
        top = r * step - before
        _sum_rows(p, max(top, 0), min(top + step, rows), total)
        _sum_along(room[0], mode, step, sums)
        for c in range(mode):
            result = target[c * height + r]
            for j in range(count):
                result[j] = sums[step * mode * j + c]


# --- MS-GMSD ----------------------------------------------------------------------------------------------------------


@inline
def _energy(a: Array, b: Array, c: Array, j: int) -> Any:
    """Squared Prewitt magnitude, times 9."""
    gx = (a[j] + b[j] + c[j]) - (a[j + 2] + b[j + 2] + c[j + 2])
    gy = (a[j] + a[j + 1] + a[j + 2]) - (c[j] + c[j + 1] + c[j + 2])
    return gx * gx + gy * gy


@exact
def _masked(xa: Array, xb: Array, xc: Array, ya: Array, yb: Array, yc: Array, row: Array) -> None:
    wide()
    for j in range(row.size):
        p, q = _energy(xa, xb, xc, j), _energy(ya, yb, yc, j)
        both = np.sqrt(p * q)
        row[j] = (p + q - TWO * both) / (p + q - HALF * both + MASKED_SCALE)


@loose
def _bordered(plane: Array, row: int, target: Array) -> None:
    """A row between two zeros; a row of zeros outside the plane."""
    wide()
    if row < 0 or row >= plane.shape[0]:
        target[:] = ZERO
    else:
        source, inner = plane[row], target[1:]
        for j in range(source.size):
            inner[j] = source[j]


def _masked_similarity(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Number, mean and squared deviations of the masked gradient similarity of two planes. line: 7 rows, zero."""
    p, q, floats = matrix(x, rows, columns), matrix(y, rows, columns), matrix(line, 7, columns + 16)
    row, n = floats[6, :columns], columns + 2
    xa, xb, xc, ya, yb, yc = floats[0, :n], floats[1, :n], floats[2, :n], floats[3, :n], floats[4, :n], floats[5, :n]
    _bordered(p, first - 1, xb)
    _bordered(p, first, xc)
    _bordered(q, first - 1, yb)
    _bordered(q, first, yc)
    number, mean, spread = 0.0, 0.0, 0.0
    for r in range(first, last):
        xa, xb, xc = xb, xc, xa
        ya, yb, yc = yb, yc, ya
        _bordered(p, r + 1, xc)
        _bordered(q, r + 1, yc)
        _masked(xa, xb, xc, ya, yb, yc, row)
        part, squares = _moments(row)
        offset = part - mean
        number += columns
        mean += offset * columns / number
        spread += squares + offset * offset * columns * (number - columns) / number
    out[0], out[1], out[2] = number, mean, spread


# --- MDSI, the sum ----------------------------------------------------------------------------------------------------


@loose
def _lightness(r: Array, g: Array, b: Array, w: Array, target: Array) -> None:
    wide()
    red, green, blue, inner = w[0], w[1], w[2], target[1:]
    for j in range(r.size):
        inner[j] = red * r[j] + green * g[j] + blue * b[j]


@exact
def _change(r: Array, g: Array, b: Array, s: Array, t: Array, u: Array, w: Array, target: Array) -> None:
    """Difference of lightness, of whole numbers: faint changes keep all digits."""
    wide()
    red, green, blue, inner = w[0], w[1], w[2], target[1:]
    for j in range(r.size):
        inner[j] = red * (r[j] - s[j]) + green * (g[j] - t[j]) + blue * (b[j] - u[j])


@exact
def _chroma(r: Array, g: Array, b: Array, s: Array, t: Array, u: Array, w: Array, row: Array) -> None:
    """Two fifths of what is missing to 1 in the similarity of the opponent channels."""
    wide()
    a0, a1, a2, b0, b1, b2 = w[3], w[4], w[5], w[6], w[7], w[8]
    for j in range(row.size):
        x, y, z = r[j] - s[j], g[j] - t[j], b[j] - u[j]
        h, hy = a0 * x + a1 * y + a2 * z, a0 * s[j] + a1 * t[j] + a2 * u[j]
        m, my = b0 * x + b1 * y + b2 * z, b0 * s[j] + b1 * t[j] + b2 * u[j]
        hx, mx = hy + h, my + m
        row[j] = F(0.4) * (h * h + m * m) / (hx * hx + hy * hy + mx * mx + my * my + F(550))


@inline
def _across(a: Array, b: Array, c: Array, j: int) -> Any:
    return ((a[j] + b[j] + c[j]) - (a[j + 2] + b[j + 2] + c[j + 2])) * F(1 / 3)


@inline
def _upright(a: Array, c: Array, j: int) -> Any:
    return ((a[j] + a[j + 1] + a[j + 2]) - (c[j] + c[j + 1] + c[j + 2])) * F(1 / 3)


@inline
def _apart(change: Any, both: Any, sizes: Any, c: Any) -> Any:
    """What is missing to 1 in the similarity of two magnitudes. change: of their squares; both: the sum of these."""
    return change * change / (sizes * sizes * (both + c) + F(1e-20))


@exact
def _structure(ya: Array, yb: Array, yc: Array, da: Array, db: Array, dc: Array, row: Array) -> None:
    """Adds three fifths of what is missing to 1 in the similarity of the gradients of y + d and y."""
    wide()
    for j in range(row.size):
        s, t, h, v = _across(ya, yb, yc, j), _upright(ya, yc, j), _across(da, db, dc, j), _upright(da, dc, j)
        mh, mv, xh, xv = s + HALF * h, t + HALF * v, s + h, t + v
        p, q, f = xh * xh + xv * xv, s * s + t * t, mh * mh + mv * mv
        a, b, c = np.sqrt(p), np.sqrt(q), np.sqrt(f)
        changed = _apart(h * (xh + s) + v * (xv + t), p + q, a + b, F(140))
        changed += _apart(HALF * (h * (xh + mh) + v * (xv + mv)), p + f, a + c, F(55))
        row[j] += F(0.6) * (changed - _apart(HALF * (h * (s + mh) + v * (t + mv)), q + f, b + c, F(55)))


@exact
def _fourth_root(missing: Array, real: Array) -> Any:
    """What the real part of the fourth root of 1 - missing lacks to 1; returns its sum."""
    wide()
    total = ZERO
    for j in range(real.size):
        value = F(1) - missing[j]
        half = np.sqrt(abs(value))
        root = np.sqrt(half)
        lacking = missing[j] / ((F(1) + half) * (F(1) + root))
        real[j] = lacking if value >= ZERO else F(1) - root * F(math.sqrt(0.5))
    for j in range(real.size):
        total += real[j]
    return total


@exact
def _imaginary(missing: Array, imaginary: Array) -> Any:
    wide()
    total = ZERO
    for j in range(imaginary.size):
        value = max(missing[j] - F(1), ZERO)
        imaginary[j] = np.sqrt(np.sqrt(value)) * F(math.sqrt(0.5))
    for j in range(imaginary.size):
        total += imaginary[j]
    return total


@inline
def _light_rows(p: Array, q: Array, rows: int, row: int, w: Array, light: Array, change: Array) -> None:
    """Lightness of the reference q, and how far that of p is from it, between two zeros; zeros outside."""
    if row < 0 or row >= rows:
        light[:] = ZERO
        change[:] = ZERO
    else:
        _lightness(q[row], q[rows + row], q[2 * rows + row], w, light)
        _change(p[row], p[rows + row], p[2 * rows + row], q[row], q[rows + row], q[2 * rows + row], w, change)


def _mdsi(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Fourth roots of the similarity of two pictures, each three planes: what real and imaginary part lack to 1 and 0.

    marks: nine weights of lightness and opponents; line: 7 rows, zero; maps: two planes; out: their sums.
    """
    p, q, w = matrix(x, 3 * rows, columns), matrix(y, 3 * rows, columns), carray(marks, 9)
    floats, target, n = matrix(line, 7, columns + 16), matrix(maps, 2 * rows, columns), columns + 2
    ya, yb, yc, da, db, dc = floats[0, :n], floats[1, :n], floats[2, :n], floats[3, :n], floats[4, :n], floats[5, :n]
    row = floats[6, :columns]
    _light_rows(p, q, rows, first - 1, w, yb, db)
    _light_rows(p, q, rows, first, w, yc, dc)
    real, imaginary = 0.0, 0.0
    for r in range(first, last):
        ya, yb, yc = yb, yc, ya
        da, db, dc = db, dc, da
        _light_rows(p, q, rows, r + 1, w, yc, dc)
        _chroma(p[r], p[rows + r], p[2 * rows + r], q[r], q[rows + r], q[2 * rows + r], w, row)
        _structure(ya, yb, yc, da, db, dc, row)
        real += _fourth_root(row, target[r])
        imaginary += _imaginary(row, target[rows + r])
    out[0], out[1] = real, imaginary


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "boxes": (_boxes, signature(BYTES, FLOATS)),
    "masked": (_masked_similarity, signature(FLOATS)),
    "mdsi": (_mdsi, signature(FLOATS, FLOATS)),
}
"""All take x, y, rows, columns of a row in values, mode, step, marks, line, maps, out, first, last."""
