"""The code of `fidelity`: local variances that do not cancel, and the information of pixels, in Numba.

Moments are taken about a window's own middle value, first down the rows and then along them: the variance of a
column's values, weighted, and the variance of the columns' means add up to that of the window. As the middle value is
part of the window, and has the largest weight, the square that is taken off is never much larger than what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beholder.kernels.code import FLOATS, F, apart, carray, exact, inline, matrix, signature, wide

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
ZERO, ONE = F(0), F(1)
TINY = F(1e-10)


@exact
def _four(
    p: Array, q: Array, at: int, pitch: int, t: Array, k: int, sx: Array, sy: Array, xx: Array, yy: Array, xy: Array,
    count: int,
) -> None:  # fmt: skip
    """Add four pairs of values about the middle ones, which are `at`, k + 1 to k + 4 times `pitch` off on both sides.

    sx, sy, xx, yy, xy: sums of the differences, of their squares and of their products; t: weights by distance.
    """
    wide()
    apart()
    t1, t2, t3, t4 = t[k + 1], t[k + 2], t[k + 3], t[k + 4]
    far = (k + 1) * pitch
    x0, y0 = p[at:], q[at:]
    x1, x2, x3, x4 = p[at - far :], p[at - far - pitch :], p[at - far - 2 * pitch :], p[at - far - 3 * pitch :]
    x5, x6, x7, x8 = p[at + far :], p[at + far + pitch :], p[at + far + 2 * pitch :], p[at + far + 3 * pitch :]
    y1, y2, y3, y4 = q[at - far :], q[at - far - pitch :], q[at - far - 2 * pitch :], q[at - far - 3 * pitch :]
    y5, y6, y7, y8 = q[at + far :], q[at + far + pitch :], q[at + far + 2 * pitch :], q[at + far + 3 * pitch :]
    for j in range(count):
        x, y = x0[j], y0[j]
        a1, a2, a3, a4, a5, a6, a7, a8 = (
            x1[j] - x, x2[j] - x, x3[j] - x, x4[j] - x, x5[j] - x, x6[j] - x, x7[j] - x, x8[j] - x
        )  # fmt: skip
        b1, b2, b3, b4, b5, b6, b7, b8 = (
            y1[j] - y, y2[j] - y, y3[j] - y, y4[j] - y, y5[j] - y, y6[j] - y, y7[j] - y, y8[j] - y
        )  # fmt: skip
        sx[j] += t1 * (a1 + a5) + t2 * (a2 + a6) + t3 * (a3 + a7) + t4 * (a4 + a8)
        sy[j] += t1 * (b1 + b5) + t2 * (b2 + b6) + t3 * (b3 + b7) + t4 * (b4 + b8)
        near, far_off = t1 * (a1 * a1 + a5 * a5) + t2 * (a2 * a2 + a6 * a6), t3 * (a3 * a3 + a7 * a7)
        xx[j] += near + far_off + t4 * (a4 * a4 + a8 * a8)
        near, far_off = t1 * (b1 * b1 + b5 * b5) + t2 * (b2 * b2 + b6 * b6), t3 * (b3 * b3 + b7 * b7)
        yy[j] += near + far_off + t4 * (b4 * b4 + b8 * b8)
        near, far_off = t1 * (a1 * b1 + a5 * b5) + t2 * (a2 * b2 + a6 * b6), t3 * (a3 * b3 + a7 * b7)
        xy[j] += near + far_off + t4 * (a4 * b4 + a8 * b8)


@exact
def _one(
    p: Array, q: Array, at: int, pitch: int, t: Array, k: int, sx: Array, sy: Array, xx: Array, yy: Array, xy: Array,
    count: int,
) -> None:  # fmt: skip
    """As `_four`, one pair."""
    wide()
    apart()
    weight, far = t[k + 1], (k + 1) * pitch
    x0, y0, x1, y1, x2, y2 = p[at:], q[at:], p[at - far :], q[at - far :], p[at + far :], q[at + far :]
    for j in range(count):
        a1, a2, b1, b2 = x1[j] - x0[j], x2[j] - x0[j], y1[j] - y0[j], y2[j] - y0[j]
        sx[j] += weight * (a1 + a2)
        sy[j] += weight * (b1 + b2)
        xx[j] += weight * (a1 * a1 + a2 * a2)
        yy[j] += weight * (b1 * b1 + b2 * b2)
        xy[j] += weight * (a1 * b1 + a2 * b2)


@inline
def _about(
    p: Array, q: Array, at: int, pitch: int, t: Array, half: int, sums: Array, count: int
) -> None:  # fmt: skip
    """Add the sums about the middle value over a window of 2 * half + 1 values; sums: five lines, as in `_four`."""
    k = 0
    while k + 4 <= half:
        _four(p, q, at, pitch, t, k, sums[0], sums[1], sums[2], sums[3], sums[4], count)
        k += 4
    while k < half:
        _one(p, q, at, pitch, t, k, sums[0], sums[1], sums[2], sums[3], sums[4], count)
        k += 1


@exact
def _columns(
    x: Array, y: Array, at: int, sx: Array, sy: Array, xx: Array, yy: Array, xy: Array, mx: Array, my: Array,
    vx: Array, vy: Array, cov: Array, count: int,
) -> None:  # fmt: skip
    """Means and variances of columns out of the sums about x and y."""
    wide()
    apart()
    x0, y0 = x[at:], y[at:]
    for j in range(count):
        a, b = sx[j], sy[j]
        mx[j], my[j] = x0[j] + a, y0[j] + b
        vx[j], vy[j], cov[j] = xx[j] - a * a, yy[j] - b * b, xy[j] - a * b


@exact
def _smooth4(source: Array, t: Array, k: int, at: int, total: Array, count: int) -> None:
    """Add four pairs of values, k + 1 to k + 4 off the one at j + at on both sides."""
    wide()
    apart()
    t1, t2, t3, t4 = t[k + 1], t[k + 2], t[k + 3], t[k + 4]
    a, b = source[at - k - 4 :], source[at + k + 1 :]
    for j in range(count):
        total[j] += (
            t1 * (a[j + 3] + b[j]) + t2 * (a[j + 2] + b[j + 1]) + t3 * (a[j + 1] + b[j + 2]) + t4 * (a[j] + b[j + 3])
        )


@exact
def _smooth1(source: Array, t: Array, k: int, at: int, total: Array, count: int) -> None:
    wide()
    apart()
    weight = t[k + 1]
    a, b = source[at - k - 1 :], source[at + k + 1 :]
    for j in range(count):
        total[j] += weight * (a[j] + b[j])


@exact
def _middle(source: Array, weight: Any, at: int, total: Array, count: int) -> None:
    wide()
    apart()
    a = source[at:]
    for j in range(count):
        total[j] = weight * a[j]


@inline
def _smooth(source: Array, t: Array, half: int, total: Array, count: int) -> None:
    """Weighted means of a line over windows of 2 * half + 1 values."""
    _middle(source, t[0], half, total, count)
    k = 0
    while k + 4 <= half:
        _smooth4(source, t, k, half, total, count)
        k += 4
    while k < half:
        _smooth1(source, t, k, half, total, count)
        k += 1


@exact
def _factors(
    sx: Array, sy: Array, xx: Array, yy: Array, xy: Array, noise: Any, got: Array, sent: Array, count: int
) -> None:  # fmt: skip
    """Multiply by the factors whose logarithms are the information received and sent, in double precision."""
    wide()
    apart()
    inverse = ONE / noise
    for j in range(count):
        a, b = sx[j], sy[j]
        vx, vy, cov = xx[j] - a * a, yy[j] - b * b, xy[j] - a * b
        gain = cov / (vx + TINY)
        rough = vx >= TINY and vy >= TINY and cov > ZERO
        gain = gain if rough else ZERO
        error = max(vy - gain * cov, TINY) + noise
        got[j] *= 1.0 + float(gain * gain * vx / error)
        sent[j] *= 1.0 + float((vx if vx >= TINY else ZERO) * inverse)


def _pixels(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Two to the power of the information in windows of 2 * mode + 1, of which the rows first to last are multiplied.

    x, y: the reference and the image; maps: the weights from the middle outwards, then the noise; line: 10 *
    (columns + 64) floats; out: two lines of columns - 2 * mode results.
    """
    size = rows * columns
    p, q, t, half = carray(x, size), carray(y, size), carray(maps, mode + 2), mode
    pitch, width = columns + 64, columns - 2 * half
    lines, found = matrix(line, 10, pitch), matrix(out, 2, width)
    sums, of_columns = lines[:5], lines[5:]
    for j in range(width):
        found[0, j], found[1, j] = 1.0, 1.0
    for row in range(first, last):
        at = (row + half) * columns
        sums[:] = ZERO
        _about(p, q, at, columns, t, half, sums, columns)
        _columns(
            p, q, at, sums[0], sums[1], sums[2], sums[3], sums[4],
            of_columns[0], of_columns[1], of_columns[2], of_columns[3], of_columns[4], columns,
        )  # fmt: skip
        sums[:2] = ZERO
        for k in range(2, 5):
            _smooth(of_columns[k], t, half, sums[k], width)
        _about(of_columns[0], of_columns[1], half, 1, t, half, sums, width)
        _factors(sums[0], sums[1], sums[2], sums[3], sums[4], t[half + 1], found[0], found[1], width)


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "pixels": (_pixels, signature(FLOATS)),
}
"""As in `code`: x, y, rows, columns, mode, step, marks, line, maps, out, first, last."""
