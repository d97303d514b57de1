"""The code of `similarity`: Haar coefficients and their similarity, in Numba.

Rows stay in the cache; loops either store to one line or only add up, so that LLVM makes vectors of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beholder.kernels.code import BYTES, FLOATS, F, carray, exact, inline, loose, matrix, signature, wide

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
ZERO, HALF, QUARTER, EIGHTH, TWO = F(0), F(0.5), F(0.25), F(0.125), F(2)
COEFFICIENTS = 14


@loose
def _quarter(a: Array, b: Array, lower: Any, step: int, weights: Array, at: int, target: Array) -> None:
    """A row of the half-size picture in one channel of YIQ: means of 2 x 2; `lower` is 0 where there is no row b."""
    wide()
    pairs = a.size // (2 * step)
    if step == 1:
        for j in range(pairs):
            target[j] = QUARTER * ((F(a[2 * j]) + F(a[2 * j + 1])) + lower * (F(b[2 * j]) + F(b[2 * j + 1])))
        if a.size % 2:
            target[pairs] = QUARTER * (F(a[2 * pairs]) + lower * F(b[2 * pairs]))
        return
    red, green, blue = QUARTER * weights[at], QUARTER * weights[at + 1], QUARTER * weights[at + 2]
    for j in range(pairs):
        r = (F(a[6 * j]) + F(a[6 * j + 3])) + lower * (F(b[6 * j]) + F(b[6 * j + 3]))
        g = (F(a[6 * j + 1]) + F(a[6 * j + 4])) + lower * (F(b[6 * j + 1]) + F(b[6 * j + 4]))
        s = (F(a[6 * j + 2]) + F(a[6 * j + 5])) + lower * (F(b[6 * j + 2]) + F(b[6 * j + 5]))
        target[j] = red * r + green * g + blue * s
    if a.size % 6:
        j = 6 * pairs
        r, g = F(a[j]) + lower * F(b[j]), F(a[j + 1]) + lower * F(b[j + 1])
        target[pairs] = red * r + green * g + blue * (F(a[j + 2]) + lower * F(b[j + 2]))


@loose
def _whole(a: Array, step: int, weights: Array, at: int, target: Array) -> None:
    """A row of the picture in one channel of YIQ."""
    wide()
    if step == 1:
        for j in range(a.size):
            target[j] = F(a[j])
        return
    red, green, blue = weights[at], weights[at + 1], weights[at + 2]
    for j in range(a.size // 3):
        target[j] = red * F(a[3 * j]) + green * F(a[3 * j + 1]) + blue * F(a[3 * j + 2])


@inline
def _take(x: Array, row: int, factor: int, step: int, weights: Array, ring: Array, slot: int) -> None:
    """Row `row` of the picture, reduced by `factor`, into a slot of the ring: Y, after three zeros, and I and Q."""
    upper, count = factor * row, (x.shape[1] // step + factor - 1) // factor
    if row < 0 or upper >= x.shape[0]:
        for c in range(step):
            ring[c * 8 + slot, : count + 8] = ZERO
    else:
        lower = F(1 if upper + 1 < x.shape[0] else 0)
        a, b = x[upper], x[min(upper + 1, x.shape[0] - 1)]
        for c in range(step):
            start = 3 if c == 0 else 0
            target = ring[c * 8 + slot, start : start + count]
            if factor == 1:
                _whole(a, step, weights, 3 * c, target)
            else:
                _quarter(a, b, lower, step, weights, 3 * c, target)


@exact
def _add2(a: Array, b: Array, sign: Any, target: Array) -> None:
    wide()
    for j in range(target.size):
        target[j] = a[j] + sign * b[j]


@exact
def _add4(a: Array, b: Array, c: Array, d: Array, sign: Any, target: Array) -> None:
    wide()
    for j in range(target.size):
        target[j] = (a[j] + b[j]) + sign * (c[j] + d[j])


@inline
def _down(ring: Array, row: int, count: int, v: Array) -> None:
    """Sums and differences of the rows above and below, for three scales: lines 0 to 5 of v."""
    n = count + 7
    a, b, c, d = ring[(row + 5) % 8, :n], ring[(row + 6) % 8, :n], ring[(row + 7) % 8, :n], ring[row % 8, :n]
    e, f, g, h = ring[(row + 1) % 8, :n], ring[(row + 2) % 8, :n], ring[(row + 3) % 8, :n], ring[(row + 4) % 8, :n]
    for k in range(2):
        sign = F(1 - 2 * k)
        _add2(d, e, sign, v[k, :n])
        _add4(c, d, e, f, sign, v[2 + k, :n])
        _add4(a, b, g, h, sign, v[4 + k, :n])
        _add2(v[4 + k, :n], v[2 + k, :n], F(1), v[4 + k, :n])


@inline
def _unlike(p: Any, q: Any, s: Any, t: Any, c: Any) -> Any:
    """Half of what is missing to 1 in two similarities, with one division."""
    m, n = p * p + q * q + c, s * s + t * t + c
    p -= q
    s -= t
    return HALF * (p * p * n + s * s * m) / (m * n)


@inline
def _eight(v: Array, j: int) -> Any:
    return ((v[j] + v[j + 1]) + (v[j + 2] + v[j + 3])), ((v[j + 4] + v[j + 5]) + (v[j + 6] + v[j + 7]))


@inline
def _level(v: Array, j: int, sign: Any) -> Any:
    """The coefficients of one orientation at pixel j, without their sign: fine, middle, coarse."""
    near, far = _eight(v[2], j)
    middle = (v[1, j + 2] + v[1, j + 3]) + sign * (v[1, j + 4] + v[1, j + 5])
    return abs(HALF * (v[0, j + 3] + sign * v[0, j + 4])), abs(QUARTER * middle), abs(EIGHTH * (near + sign * far))


@inline
def _loss(t: Any, w: Array) -> Any:
    """How far the logistic function falls when t is missing: t times a polynomial."""
    z = TWO * t - F(1)
    total = w[13]
    total = total * z + w[12]
    total = total * z + w[11]
    total = total * z + w[10]
    total = total * z + w[9]
    total = total * z + w[8]
    total = total * z + w[7]
    total = total * z + w[6]
    total = total * z + w[5]
    total = total * z + w[4]
    total = total * z + w[3]
    total = total * z + w[2]
    total = total * z + w[1]
    return t * (total * z + w[0])


@inline
def _weigh(vx: Array, vy: Array, w: Array, c: Any, j: int) -> Any:
    """Loss times weight, and weight, of both orientations at pixel j."""
    sums_x, sums_y, steps_x, steps_y = vx[0::2], vy[0::2], vx[1::2], vy[1::2]
    a, b, s = _level(sums_x, j, F(-1))
    d, e, t = _level(sums_y, j, F(-1))
    across = max(s, t)
    lost = across * _loss(_unlike(a, d, b, e, c), w)
    a, b, s = _level(steps_x, j, F(1))
    d, e, t = _level(steps_y, j, F(1))
    along = max(s, t)
    return lost + along * _loss(_unlike(a, d, b, e, c), w), across + along


@exact
def _score_grey(vx: Array, vy: Array, w: Array, c: Any, count: int) -> Any:
    wide()
    lost, total = ZERO, ZERO
    for j in range(count):
        part, weight = _weigh(vx, vy, w, c, j)
        lost += part
        total += weight
    return lost, total


@inline
def _four(a: Array, b: Array, j: int) -> Any:
    return abs(QUARTER * ((a[j] + a[j + 1]) + (b[j] + b[j + 1])))


@exact
def _score_colour(
    vx: Array, vy: Array, w: Array, c: Any, count: int,
    xi: Array, xj: Array, yi: Array, yj: Array, xq: Array, xr: Array, yq: Array, yr: Array,
) -> Any:  # fmt: skip
    wide()
    lost, total = ZERO, ZERO
    for j in range(count):
        part, weight = _weigh(vx, vy, w, c, j)
        missing = _unlike(_four(xi, xj, j), _four(yi, yj, j), _four(xq, xr, j), _four(yq, yr, j), c)
        lost += part + HALF * weight * _loss(missing, w)
        total += weight + HALF * weight
    return lost, total


def _haarpsi(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Sums of loss times weight and of weights over rows of the reduced picture. mode: 2 halves it; step: channels.

    marks: 14 coefficients of the loss, the constant c, nine weights of YIQ; line: 60 rows of count + 16, zero.
    """
    p, q, given = matrix(x, rows, columns), matrix(y, rows, columns), carray(marks, COEFFICIENTS + 10)
    w, c, weights = given[:COEFFICIENTS], given[COEFFICIENTS], given[COEFFICIENTS + 1 :]
    count = (columns // step + mode - 1) // mode
    lines = matrix(line, 60, count + 16)
    rx, ry, vx, vy = lines[:24], lines[24:48], lines[48:54], lines[54:]
    for r in range(first - 3, first + 4):
        _take(p, r, mode, step, weights, rx, (r + 8) % 8)
        _take(q, r, mode, step, weights, ry, (r + 8) % 8)
    lost, total = 0.0, 0.0
    for r in range(first, last):
        _take(p, r + 4, mode, step, weights, rx, (r + 4) % 8)
        _take(q, r + 4, mode, step, weights, ry, (r + 4) % 8)
        _down(rx, r, count, vx)
        _down(ry, r, count, vy)
        if step == 1:
            part = _score_grey(vx, vy, w, c, count)
        else:
            i, k = r % 8, (r + 1) % 8
            part = _score_colour(
                vx, vy, w, c, count, rx[8 + i], rx[8 + k], ry[8 + i], ry[8 + k],
                rx[16 + i], rx[16 + k], ry[16 + i], ry[16 + k],
            )  # fmt: skip
        lost += part[0]
        total += part[1]
    out[0], out[1] = lost, total


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "haarpsi": (_haarpsi, signature(BYTES, FLOATS)),
}
"""All take x, y, rows, columns of a row in values, mode, step, marks, line, maps, out, first, last."""
