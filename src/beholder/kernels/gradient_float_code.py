"""The code of `gradient_float`: box sums, the similarity of gradient magnitudes, and their slopes, in Numba.

Slopes go the same way back: the adjoint of a sum of values spreads a value, that of a gradient is a gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.kernels.code import FLOATS, F, _moments, apart, carray, exact, inline, loose, matrix, signature, wide
from beholder.kernels.pixel_code import NEGATIVE_ZERO, _limit
from beholder.kernels.similarity_code import _bordered

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
ZERO, ONE, HALF, TWO, TINY = F(0), F(1), F(0.5), F(2), F(1e-30)

# --- box sums, and back -----------------------------------------------------------------------------------------------


@exact
def _add(row: Array, weight: Any, fresh: bool, total: Array) -> None:
    wide()
    if fresh:
        for j in range(row.size):
            total[j] = weight * row[j]
    else:
        for j in range(row.size):
            total[j] += weight * row[j]


@exact
def _gather(t: Array, step: int, result: Array) -> None:
    """Sums of `step` values side by side."""
    wide()
    if step == 1:
        for j in range(result.size):
            result[j] = t[j]
    elif step == 2:
        for j in range(result.size):
            result[j] = t[2 * j] + t[2 * j + 1]
    elif step == 4:
        for j in range(result.size):
            result[j] = (t[4 * j] + t[4 * j + 1]) + (t[4 * j + 2] + t[4 * j + 3])
    else:
        for j in range(result.size):
            value = ZERO
            for k in range(step):
                value += t[step * j + k]
            result[j] = value


def _boxes(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Weighted sums over step x step pixels, zeros beyond the border, of `mode` planes.

    marks: how far a window reaches back, whether the planes are mixed into one, their weights. line: columns + 2 * step
    floats, zero; maps: a plane, or one for each.
    """
    p, m = matrix(x, mode * rows, columns), carray(marks, 5)
    before, mixed, room = int(m[0]), m[1] > 0, carray(line, columns + 2 * step)
    height, width = (rows + step - 1) // step, (columns + step - 1) // step
    target, total = matrix(maps, mode * height, width), room[before : before + columns]
    for r in range(first, last):
        top, bottom = max(r * step - before, 0), min((r + 1) * step - before, rows)
        for c in range(mode):
            for row in range(top, bottom):
                _add(p[c * rows + row], m[2 + c], row == top and (c == 0 or not mixed), total)
            if not mixed:
                _gather(room, step, target[c * height + r])
        if mixed:
            _gather(room, step, target[r])


@exact
def _scatter(source: Array, step: int, t: Array) -> None:
    """Every value `step` times."""
    wide()
    if step == 1:
        for j in range(source.size):
            t[j] = source[j]
    elif step == 2:
        for j in range(source.size):
            t[2 * j] = source[j]
            t[2 * j + 1] = source[j]
    elif step == 4:
        for j in range(source.size):
            t[4 * j] = source[j]
            t[4 * j + 1] = source[j]
            t[4 * j + 2] = source[j]
            t[4 * j + 3] = source[j]
    else:
        for j in range(source.size):
            for k in range(step):
                t[step * j + k] = source[j]


def _spread(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """The adjoint of `_boxes`, by rows of sums: planes of rows x columns in maps. mode, step, line as there.

    marks: how far a window reaches back, whether one plane goes to all, weights, whether to add to what is there. The
    last row of sums may not reach the last rows: they become zero.
    """
    height, width = (rows + step - 1) // step, (columns + step - 1) // step
    m, target, room = carray(marks, 6), matrix(maps, mode * rows, columns), carray(line, columns + 2 * step)
    before, shared, fresh = int(m[0]), m[1] > 0, m[5] <= 0
    p = matrix(x, mode * height, width)
    spread = room[before : before + columns]
    for r in range(first, last):
        top, bottom = max(r * step - before, 0), min((r + 1) * step - before, rows)
        for c in range(mode):
            if not shared or c == 0:
                _scatter(p[r if shared else c * height + r], step, room)
                room[width * step :] = ZERO
            for row in range(top, bottom):
                _add(spread, m[2 + c], fresh, target[c * rows + row])
            if r == height - 1 and fresh:
                for row in range(bottom, rows):
                    target[c * rows + row, :] = ZERO


# --- similarity of gradient magnitudes --------------------------------------------------------------------------------


@inline
def _across(a: Array, b: Array, c: Array, j: int) -> Any:
    return (a[j] + b[j] + c[j]) - (a[j + 2] + b[j + 2] + c[j + 2])


@inline
def _upright(a: Array, c: Array, j: int) -> Any:
    return (a[j] + a[j + 1] + a[j + 2]) - (c[j] + c[j + 1] + c[j + 2])


@exact
def _missing(xa: Array, xb: Array, xc: Array, ya: Array, yb: Array, yc: Array, c: Any, mask: Any, row: Array) -> None:
    """What is missing to 1 in the similarity: the squared difference of magnitudes, with one root for both."""
    wide()
    for j in range(row.size):
        g, h, s, t = _across(xa, xb, xc, j), _upright(xa, xc, j), _across(ya, yb, yc, j), _upright(ya, yc, j)
        p, q = g * g + h * h, s * s + t * t
        both, change = np.sqrt(p * q), p - q
        row[j] = change * change / ((p + q + TWO * both + TINY) * (p + q - mask * both + c))


@inline
def _bits(value: Any) -> Any:
    return F(value).view(np.uint32)


@exact
def _pair_sums(a: Array, b: Array, weight: Any, fresh: bool, target: Array, count: int) -> Any:
    """Weighted sums over 2 x 2 values of two rows; returns the largest bit pattern."""
    wide()
    apart()
    largest = np.uint32(0)
    if fresh:
        for j in range(count):
            k, m, n, o = a[2 * j], a[2 * j + 1], b[2 * j], b[2 * j + 1]
            target[j] = weight * ((k + m) + (n + o))
            largest = max(largest, max(max(_bits(k), _bits(m)), max(_bits(n), _bits(o))))
    else:
        for j in range(count):
            k, m, n, o = a[2 * j], a[2 * j + 1], b[2 * j], b[2 * j + 1]
            target[j] += weight * ((k + m) + (n + o))
            largest = max(largest, max(max(_bits(k), _bits(m)), max(_bits(n), _bits(o))))
    return largest


@exact
def _parts(z: Array, change: Array, total: Array) -> None:
    """Differences and sums across three values: what gradients are made of, row by row."""
    wide()
    for j in range(change.size):
        change[j] = z[j] - z[j + 2]
        total[j] = z[j] + z[j + 1] + z[j + 2]


@inline
def _small(
    p: Array, rows: int, mode: int, row: int, w: Array, zeros: Array, z: Array, change: Array, total: Array
) -> Any:
    """Parts of a row of weighted sums over 2 x 2 pixels of `mode` planes; zeros outside the picture. z: a row, zero.

    Returns the largest bit pattern of the row's pixels, negative zeros aside.
    """
    columns, inner, largest = p.shape[1], z[1:], np.uint32(0)
    if row < 0 or 2 * row >= rows:
        change[:] = ZERO
        total[:] = ZERO
    else:
        for c in range(mode):
            a = p[c * rows + 2 * row]
            b = p[c * rows + 2 * row + 1] if 2 * row + 1 < rows else zeros
            found = _pair_sums(a, b, w[c], c == 0, inner, columns // 2)
            if columns % 2 == 1:
                u, v = a[columns - 1], b[columns - 1]
                inner[columns // 2] = w[c] * (u + v) if c == 0 else inner[columns // 2] + w[c] * (u + v)
                found = max(found, max(_bits(u), _bits(v)))
            if found >= NEGATIVE_ZERO:
                found = _limit(b.view(np.uint32), _limit(a.view(np.uint32), np.uint32(0)))
            largest = max(largest, found)
        _parts(z, change, total)
    return largest


@exact
def _missing_of_parts(
    da: Array, db: Array, dc: Array, ta: Array, tc: Array, ea: Array, eb: Array, ec: Array, ua: Array, uc: Array,
    c: Any, mask: Any, row: Array,
) -> None:  # fmt: skip
    """As `_missing`, of the parts of three rows."""
    wide()
    for j in range(row.size):
        g, h, s, t = da[j] + db[j] + dc[j], ta[j] - tc[j], ea[j] + eb[j] + ec[j], ua[j] - uc[j]
        p, q = g * g + h * h, s * s + t * t
        both, change = np.sqrt(p * q), p - q
        row[j] = change * change / ((p + q + TWO * both + TINY) * (p + q - mask * both + c))


def _small_moments(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """As `_moments_of`, of pictures of `mode` planes that are summed over 2 x 2 pixels first; weights behind the marks.

    line: 14 rows and `columns` more, zero; out: and the largest bit pattern of both pictures' values.
    """
    wide()
    p, q, count = matrix(x, mode * rows, columns), matrix(y, mode * rows, columns), (columns + 1) // 2
    pitch = (count + 31) // 16 * 16
    f, zeros = matrix(line, 14, pitch), carray(line, 14 * pitch + columns)[14 * pitch :]
    m, w, row, z = carray(marks, 2), carray(marks, 5)[2:], f[12, :count], f[13, : count + 2]
    da, db, dc, ta, tb, tc = f[0, :count], f[1, :count], f[2, :count], f[3, :count], f[4, :count], f[5, :count]
    ea, eb, ec, ua, ub, uc = f[6, :count], f[7, :count], f[8, :count], f[9, :count], f[10, :count], f[11, :count]
    _small(p, rows, mode, first - 1, w, zeros, z, db, tb)
    _small(q, rows, mode, first - 1, w, zeros, z, eb, ub)
    largest = _small(p, rows, mode, first, w, zeros, z, dc, tc)
    largest = max(largest, _small(q, rows, mode, first, w, zeros, z, ec, uc))
    number, mean, spread = 0.0, 0.0, 0.0
    for r in range(first, last):
        da, db, dc, ta, tb, tc = db, dc, da, tb, tc, ta
        ea, eb, ec, ua, ub, uc = eb, ec, ea, ub, uc, ua
        largest = max(largest, _small(p, rows, mode, r + 1, w, zeros, z, dc, tc))
        largest = max(largest, _small(q, rows, mode, r + 1, w, zeros, z, ec, uc))
        _missing_of_parts(da, db, dc, ta, tc, ea, eb, ec, ua, uc, m[0], m[1], row)
        part, squares = _moments(row)
        offset = part - mean
        number += count
        mean += offset * count / number
        spread += squares + offset * offset * count * (number - count) / number
    out[0], out[1], out[2], out[3] = number, mean, spread, float(largest)


def _moments_of(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Number, mean and squared deviations of what similarity lacks. marks: constant, masking; line: 7 rows, zero."""
    wide()
    p, q, floats = matrix(x, rows, columns), matrix(y, rows, columns), matrix(line, 7, columns + 16)
    m, row, n = carray(marks, 2), floats[6, :columns], columns + 2
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
        _missing(xa, xb, xc, ya, yb, yc, m[0], m[1], row)
        part, squares = _moments(row)
        offset = part - mean
        number += columns
        mean += offset * columns / number
        spread += squares + offset * offset * columns * (number - columns) / number
    out[0], out[1], out[2] = number, mean, spread


@exact
def _force(
    xa: Array, xb: Array, xc: Array, ya: Array, yb: Array, yc: Array, m: Array, along: Array, down: Array
) -> None:
    """Slopes of the squared deviation by the gradient of x, across and down, between two zeros."""
    wide()
    c, mask, mean, times = m[0], m[1], m[2], m[3]
    u, v = along[1:], down[1:]
    for j in range(xa.size - 2):
        g, h, s, t = _across(xa, xb, xc, j), _upright(xa, xc, j), _across(ya, yb, yc, j), _upright(ya, yc, j)
        p, q = g * g + h * h, s * s + t * t
        a, b = np.sqrt(p), np.sqrt(q)
        both = a * b
        share = ONE / (p + q - mask * both + c)
        missing = (a - b) * (a - b) * share
        ratio = b / a if both > ZERO else ZERO  # the root has no slope at 0
        by = (ONE - ratio) - missing * (ONE - HALF * mask * ratio)
        force = times * (missing - mean) * by * share
        u[j] = force * g
        v[j] = force * h


@exact
def _divergence(ua: Array, ub: Array, uc: Array, va: Array, vc: Array, fresh: bool, row: Array) -> None:
    """The adjoint of the gradient: what slopes by it come to by the values."""
    wide()
    if fresh:
        for j in range(row.size):
            row[j] = _upright(vc, va, j) - _across(ua, ub, uc, j)
    else:
        for j in range(row.size):
            row[j] += _upright(vc, va, j) - _across(ua, ub, uc, j)


@loose
def _clear(row: Array) -> None:
    row[:] = ZERO


def _slopes(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """The slope by x of the squared deviation of what similarity lacks, into maps; mode 1: on top of what is there.

    marks: constant, masking, mean, and four times what the slope is times; line: 12 rows, zero.
    """
    wide()
    p, q, floats = matrix(x, rows, columns), matrix(y, rows, columns), matrix(line, 12, columns + 16)
    m, n, target = carray(marks, 4), columns + 2, matrix(maps, rows, columns)
    xa, xb, xc, ya, yb, yc = floats[0, :n], floats[1, :n], floats[2, :n], floats[3, :n], floats[4, :n], floats[5, :n]
    ua, ub, uc = floats[6, :n], floats[7, :n], floats[8, :n]
    va, vb, vc = floats[9, :n], floats[10, :n], floats[11, :n]
    _bordered(p, first - 2, xb)
    _bordered(p, first - 1, xc)
    _bordered(q, first - 2, yb)
    _bordered(q, first - 1, yc)
    for r in range(first - 1, last + 1):
        xa, xb, xc = xb, xc, xa
        ya, yb, yc = yb, yc, ya
        ua, ub, uc = ub, uc, ua
        va, vb, vc = vb, vc, va
        _bordered(p, r + 1, xc)
        _bordered(q, r + 1, yc)
        if r < 0 or r >= rows:
            _clear(uc)
            _clear(vc)
        else:
            _force(xa, xb, xc, ya, yb, yc, m, uc, vc)
        if r > first:
            _divergence(ua, ub, uc, va, vc, mode == 0, target[r - 1])


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "boxes": (_boxes, signature(FLOATS, FLOATS)),
    "spread": (_spread, signature(FLOATS, FLOATS)),
    "moments": (_moments_of, signature(FLOATS, FLOATS)),
    "small_moments": (_small_moments, signature(FLOATS, FLOATS)),
    "slopes": (_slopes, signature(FLOATS, FLOATS)),
}
"""As in `code`: x, y, rows, columns, mode, step, marks, line, maps, out, first, last."""
