"""The code of `deviation`: distances of roots from their mean, and the slopes of MDSI, in Numba."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.kernels.code import FLOATS, F, carray, exact, inline, matrix, signature, wide
from beholder.kernels.similarity_code import _across, _apart, _light_rows, _upright

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
ZERO, ONE, HALF, TWO = F(0), F(1), F(0.5), F(2)
SLANT = F(math.sqrt(0.5))


@exact
def _far(real: Array, imaginary: Array, middle: Any, centre: Any) -> Any:
    """Sums of distances, and of the two parts of the unit vectors away from the middle."""
    wide()
    total, across, up = ZERO, ZERO, ZERO
    for j in range(real.size):
        a, b = real[j] - middle, imaginary[j] - centre
        distance = np.sqrt(a * a + b * b)
        share = ONE / distance if distance > ZERO else ZERO
        total += distance
        across += a * share
        up += b * share
    return total, across, up


def _distances(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Sums over rows of the two planes in maps: distances from the middle in marks, and the unit vectors' parts."""
    planes, m = matrix(maps, 2 * rows, columns), carray(marks, 2)
    total, across, up = 0.0, 0.0, 0.0
    for r in range(first, last):
        found = _far(planes[r], planes[rows + r], m[0], m[1])
        total += found[0]
        across += found[1]
        up += found[2]
    out[0], out[1], out[2] = total, across, up


# --- slopes of MDSI ---------------------------------------------------------------------------------------------------


@exact
def _weigh(real: Array, imaginary: Array, m: Array, result: Array) -> None:
    """The slope by what is missing to 1 in the similarity. m: middle, means of the unit vectors, what it is times."""
    wide()
    middle, centre, across, up, times = m[0], m[1], m[2], m[3], m[4]
    for j in range(real.size):
        a, b = real[j] - middle, imaginary[j] - centre
        distance = np.sqrt(a * a + b * b)
        share = ONE / distance if distance > ZERO else ZERO
        by_real, by_imaginary = a * share - across, b * share - up
        negative, size = imaginary[j] > ZERO, ONE - real[j]
        size = imaginary[j] / SLANT if negative else size
        steep = F(0.25) / (size * size * size) if size > ZERO else ZERO  # the root has no slope at 0
        result[j] = times * steep * (SLANT * (by_imaginary - by_real) if negative else by_real)


@inline
def _by(change: Any, size: Any, sizes: Any, missing: Any, below: Any) -> Any:
    """The slope of that by the square of one magnitude, whose square is larger by `change`."""
    relative = change / (size * sizes) if size > ZERO else ZERO
    return (relative - missing) / below


@exact
def _force(
    ya: Array, yb: Array, yc: Array, da: Array, db: Array, dc: Array, weight: Array, sign: Any, along: Array,
    down: Array,
) -> None:  # fmt: skip
    """Slopes by the gradient of y + d, across and down, between two zeros; weight: by what is missing."""
    wide()
    first, second = along[1:], down[1:]
    for j in range(ya.size - 2):
        s, t, h, v = _across(ya, yb, yc, j), _upright(ya, yc, j), _across(da, db, dc, j), _upright(da, dc, j)
        mh, mv, xh, xv = s + HALF * h, t + HALF * v, s + h, t + v
        p, q, f = xh * xh + xv * xv, s * s + t * t, mh * mh + mv * mv
        a, b, c = np.sqrt(p), np.sqrt(q), np.sqrt(f)
        pq, pf = h * (xh + s) + v * (xv + t), HALF * (h * (xh + mh) + v * (xv + mv))
        fq = HALF * (h * (s + mh) + v * (t + mv))
        one, two, three = (
            _apart(pq, p + q, a + b, F(140)),
            _apart(pf, p + f, a + c, F(55)),
            _apart(fq, f + q, c + b, F(55)),
        )
        by_own = _by(pq, a, a + b, one, p + q + F(140)) + sign * _by(pf, a, a + c, two, p + f + F(55))
        by_both = sign * (_by(-pf, c, a + c, two, p + f + F(55)) - _by(fq, c, c + b, three, f + q + F(55)))
        times = F(0.6) * weight[j]
        first[j] = times * (TWO * by_own * xh + by_both * mh)
        second[j] = times * (TWO * by_own * xv + by_both * mv)


@exact
def _divergence(ua: Array, ub: Array, uc: Array, va: Array, vc: Array, row: Array) -> None:
    """The adjoint of the gradient."""
    wide()
    for j in range(row.size):
        row[j] = _upright(vc, va, j) - _across(ua, ub, uc, j)


@exact
def _blend(
    r: Array, g: Array, b: Array, s: Array, t: Array, u: Array, w: Array, weight: Array, light: Array, red: Array,
    green: Array, blue: Array,
) -> None:  # fmt: skip
    """Slopes by the three channels: through lightness, and through the similarity of the opponent channels."""
    wide()
    l0, l1, l2, a0, a1, a2, b0, b1, b2 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8]
    for j in range(light.size):
        x, y, z = r[j] - s[j], g[j] - t[j], b[j] - u[j]
        h, hy = a0 * x + a1 * y + a2 * z, a0 * s[j] + a1 * t[j] + a2 * u[j]
        m, my = b0 * x + b1 * y + b2 * z, b0 * s[j] + b1 * t[j] + b2 * u[j]
        hx, mx = hy + h, my + m
        share = ONE / (hx * hx + hy * hy + mx * mx + my * my + F(550))
        missing, times = (h * h + m * m) * share, F(0.8) * weight[j] * share
        by_h, by_m = times * (h - missing * hx), times * (m - missing * mx)
        red[j] = l0 * light[j] + a0 * by_h + b0 * by_m
        green[j] = l1 * light[j] + a1 * by_h + b1 * by_m
        blue[j] = l2 * light[j] + a2 * by_h + b2 * by_m


def _slopes(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Slopes by the three planes of x, into the last three planes of maps, whose first two are the roots.

    mode: 1 where x is the judged picture, 0 where it is the reference. marks: nine weights, the middle, the means of
    the unit vectors, what the slope is times; line: 16 rows, zero.
    """
    p, q, w, m = matrix(x, 3 * rows, columns), matrix(y, 3 * rows, columns), carray(marks, 9), carray(marks, 14)[9:]
    floats, planes, n = matrix(line, 16, columns + 16), matrix(maps, 5 * rows, columns), columns + 2
    sign = ONE if mode == 1 else -ONE
    ya, yb, yc, da, db, dc = floats[0, :n], floats[1, :n], floats[2, :n], floats[3, :n], floats[4, :n], floats[5, :n]
    ua, ub, uc = floats[6, :n], floats[7, :n], floats[8, :n]
    va, vb, vc = floats[9, :n], floats[10, :n], floats[11, :n]
    ga, gb, light = floats[12, :columns], floats[13, :columns], floats[14, :columns]
    _light_rows(p, q, rows, first - 2, w, yb, db)
    _light_rows(p, q, rows, first - 1, w, yc, dc)
    for r in range(first - 1, last + 1):
        ya, yb, yc = yb, yc, ya
        da, db, dc = db, dc, da
        ua, ub, uc = ub, uc, ua
        va, vb, vc = vb, vc, va
        ga, gb = gb, ga
        _light_rows(p, q, rows, r + 1, w, yc, dc)
        if r < 0 or r >= rows:
            uc[:] = ZERO
            vc[:] = ZERO
        else:
            _weigh(planes[r], planes[rows + r], m, gb)
            _force(ya, yb, yc, da, db, dc, gb, sign, uc, vc)
        if r > first:
            o = r - 1
            _divergence(ua, ub, uc, va, vc, light)
            _blend(
                p[o], p[rows + o], p[2 * rows + o], q[o], q[rows + o], q[2 * rows + o], w, ga, light,
                planes[2 * rows + o], planes[3 * rows + o], planes[4 * rows + o],
            )  # fmt: skip


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "distances": (_distances, signature(FLOATS, FLOATS)),
    "slopes": (_slopes, signature(FLOATS, FLOATS)),
}
"""As in `code`: x, y, rows, columns, mode, step, marks, line, maps, out, first, last."""
