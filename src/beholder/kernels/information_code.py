"""The code of `information`: Laplacian pyramids, divisive normalisation and information weights, in Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.kernels.code import FLOATS, F, carray, exact, inline, loose, matrix, signature, wide

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
ZERO, ONE, NINTH = F(0), F(1), F(1 / 9)
TINY = F(1e-15)
ROUNDING = F(16 * np.finfo(np.float32).eps)


# --- Laplacian pyramid ------------------------------------------------------------------------------------------------


@inline
def _inside(i: int, count: int, reflect: int) -> int:
    """The row or column that stands for one beyond the edge: the edge itself mirrored (0), or not repeated (1)."""
    if i < 0:
        i = -i - 1 + reflect
    if i >= count:
        i = 2 * count - 1 - reflect - i
    return min(max(i, 0), count - 1)


@exact
def _five(a: Array, b: Array, c: Array, d: Array, e: Array, t: Array, line: Array, count: int) -> None:
    wide()
    t0, t1, t2 = t[0], t[1], t[2]
    for j in range(count):
        line[j] = t0 * (a[j] + e[j]) + t1 * (b[j] + d[j]) + t2 * c[j]


@exact
def _five_apart(line: Array, t: Array, target: Array, count: int) -> None:
    wide()
    t0, t1, t2 = t[0], t[1], t[2]
    for j in range(count):
        outer, inner = line[2 * j] + line[2 * j + 4], line[2 * j + 1] + line[2 * j + 3]
        target[j] = t0 * outer + t1 * inner + t2 * line[2 * j + 2]


def _reduce(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Rows of a plane smoothed by five symmetric taps (y) and halved; mode: how it goes on beyond the edges."""
    source, taps, middle = matrix(x, rows, columns), carray(y, 3), carray(line, columns + 8)
    width = (columns + 1) // 2
    target = matrix(marks, (rows + 1) // 2, width)
    for row in range(first, last):
        r = 2 * row
        a, b = source[_inside(r - 2, rows, mode)], source[_inside(r - 1, rows, mode)]
        d, e = source[_inside(r + 1, rows, mode)], source[_inside(r + 2, rows, mode)]
        _five(a, b, source[r], d, e, taps, middle[2:], columns)
        middle[0], middle[1] = middle[2 + _inside(-2, columns, mode)], middle[2 + _inside(-1, columns, mode)]
        for j in range(columns, columns + 4):
            middle[2 + j] = middle[2 + _inside(j, columns, mode)]
        _five_apart(middle, taps, target[row], width)


@exact
def _three(a: Array, b: Array, c: Array, t: Array, line: Array, count: int) -> None:
    wide()
    t0, t2 = t[0], t[2]
    for j in range(count):
        line[j] = t0 * (a[j] + c[j]) + t2 * b[j]


@exact
def _two(b: Array, c: Array, t: Array, line: Array, count: int) -> None:
    wide()
    t1 = t[1]
    for j in range(count):
        line[j] = t1 * (b[j] + c[j])


@exact
def _subtract(source: Array, line: Array, t: Array, target: Array, count: int) -> None:
    """Pairs of columns less what is expected of them; line: with one value more on either side."""
    wide()
    t0, t1, t2 = t[0], t[1], t[2]
    for j in range(count // 2):
        target[2 * j] = source[2 * j] - (t0 * (line[j] + line[j + 2]) + t2 * line[j + 1])
        target[2 * j + 1] = source[2 * j + 1] - t1 * (line[j + 1] + line[j + 2])
    if count % 2:
        j = count // 2
        target[2 * j] = source[2 * j] - (t0 * (line[j] + line[j + 2]) + t2 * line[j + 1])


@inline
def _neighbour(i: int, small: int, whole: int, reflect: int) -> int:
    """The row or column of a reduced plane that stands for one beyond its edge, when it is brought to size `whole`."""
    if i < 0:
        i = 1 if reflect else 0
    if i >= small:
        i = small - 2 if reflect and whole % 2 else small - 1
    return min(max(i, 0), small - 1)


def _laplace(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Rows of a plane x less its reduced and expanded self (maps), by five symmetric taps (y)."""
    height, width = (rows + 1) // 2, (columns + 1) // 2
    source, small, target = matrix(x, rows, columns), matrix(maps, height, width), matrix(marks, rows, columns)
    taps, middle = carray(y, 3), carray(line, width + 2)
    for row in range(first, last):
        i = row // 2
        below = small[_neighbour(i + 1, height, rows, mode)]
        if row % 2:
            _two(small[i], below, taps, middle[1:], width)
        else:
            _three(small[_neighbour(i - 1, height, rows, mode)], small[i], below, taps, middle[1:], width)
        middle[0] = middle[1 + _neighbour(-1, width, columns, mode)]
        middle[1 + width] = middle[1 + _neighbour(width, width, columns, mode)]
        _subtract(source[row], middle, taps, target[row], columns)


# --- NLPD -------------------------------------------------------------------------------------------------------------


@loose
def _magnitudes(source: Array, target: Array, count: int) -> None:
    """Between two zeros on the left and two on the right."""
    wide()
    inner = target[2:]
    for j in range(count):
        inner[j] = abs(source[j])


@exact
def _normal(band: Array, a: Array, b: Array, c: Array, t: Array, target: Array, count: int) -> None:
    """a, b, c: magnitudes of the row above, the row itself and the row below."""
    wide()
    constant, above, left, right, below, far = t[0], t[1], t[2], t[3], t[4], t[5]
    for j in range(count):
        around = left * b[j + 3] + right * b[j + 1] + above * c[j + 2] + below * a[j + 2] + far * b[j]
        target[j] = band[j] / (constant + around)


@loose
def _square(a: Array, b: Array, count: int) -> Any:
    wide()
    total = ZERO
    for j in range(count):
        total += (a[j] - b[j]) * (a[j] - b[j])
    return total


@loose
def _normalise(source: Array, row: int, work: Array, taps: Array, target: Array) -> None:
    """One row; work: three lines of magnitudes, of which that of row r is the line r % 3."""
    rows, columns = source.shape
    below = work[(row + 1) % 3]
    if row + 1 < rows:
        _magnitudes(source[row + 1], below, columns)
    else:
        below[:] = ZERO
    _normal(source[row], work[(row + 2) % 3], work[row % 3], below, taps, target, columns)


def _divisive(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Sum of squared differences between two bands, each divided by its neighbours' magnitudes; maps: six constants.

    line: zeros, eight times (columns + 4).
    """
    p, q, taps = matrix(x, rows, columns), matrix(y, rows, columns), carray(maps, 6)
    work = matrix(line, 8, columns + 4)
    for source, lines in ((p, work[:3]), (q, work[3:6])):
        if first > 0:
            _magnitudes(source[first - 1], lines[(first + 2) % 3], columns)
        _magnitudes(source[first], lines[first % 3], columns)
    total = 0.0
    for row in range(first, last):
        _normalise(p, row, work[:3], taps, work[6])
        _normalise(q, row, work[3:6], taps, work[7])
        total += _square(work[6], work[7], columns)
    carray(out, 1)[0] = total


# --- information weights ----------------------------------------------------------------------------------------------


@loose
def _dots(
    v: Array, a: Array, b: Array, c: Array, d: Array, e: Array, f: Array, g: Array, h: Array, i: Array, p: Array,
    out: Array, count: int,
) -> None:  # fmt: skip
    """Add the products of one line with ten."""
    wide()
    s0, s1, s2, s3, s4, s5, s6, s7, s8, s9 = ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
    for j in range(count):
        value = v[j]
        s0 += value * a[j]
        s1 += value * b[j]
        s2 += value * c[j]
        s3 += value * d[j]
        s4 += value * e[j]
        s5 += value * f[j]
        s6 += value * g[j]
        s7 += value * h[j]
        s8 += value * i[j]
        s9 += value * p[j]
    out[0] += s0
    out[1] += s1
    out[2] += s2
    out[3] += s3
    out[4] += s4
    out[5] += s5
    out[6] += s6
    out[7] += s7
    out[8] += s8
    out[9] += s9


@loose
def _outer(a: Array, b: Array, c: Array, p: Array, out: Array, count: int) -> None:
    """Add the products of the nine neighbours in three rows, and the parent, with each other."""
    a1, a2, b1, b2, c1, c2 = a[1:], a[2:], b[1:], b[2:], c[1:], c[2:]
    _dots(a, a, a1, a2, b, b1, b2, c, c1, c2, p, out, count)
    _dots(a1, a, a1, a2, b, b1, b2, c, c1, c2, p, out[10:], count)
    _dots(a2, a, a1, a2, b, b1, b2, c, c1, c2, p, out[20:], count)
    _dots(b, a, a1, a2, b, b1, b2, c, c1, c2, p, out[30:], count)
    _dots(b1, a, a1, a2, b, b1, b2, c, c1, c2, p, out[40:], count)
    _dots(b2, a, a1, a2, b, b1, b2, c, c1, c2, p, out[50:], count)
    _dots(c, a, a1, a2, b, b1, b2, c, c1, c2, p, out[60:], count)
    _dots(c1, a, a1, a2, b, b1, b2, c, c1, c2, p, out[70:], count)
    _dots(c2, a, a1, a2, b, b1, b2, c, c1, c2, p, out[80:], count)
    _dots(p, a, a1, a2, b, b1, b2, c, c1, c2, p, out[90:], count)


def _covariance(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Sums of products of 3x3 neighbours in x, and of the parent (y, of inner size), over inner rows; out: 100."""
    p, parent, total = matrix(x, rows, columns), matrix(y, rows - 2, columns - 2), carray(out, 100)
    for row in range(first, last):
        _outer(p[row], p[row + 1], p[row + 2], parent[row], total, columns - 2)


@exact
def _length(
    a: Array, b: Array, c: Array, p: Array, t: Array, total: Array, count: int
) -> None:  # fmt: skip
    """Add the square of a weighted sum of neighbours and parent."""
    wide()
    t0, t1, t2, t3, t4, t5, t6, t7, t8, t9 = t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9]
    for j in range(count):
        upper = t0 * a[j] + t1 * a[j + 1] + t2 * a[j + 2]
        middle = t3 * b[j] + t4 * b[j + 1] + t5 * b[j + 2]
        lower = t6 * c[j] + t7 * c[j + 1] + t8 * c[j + 2]
        value = (upper + middle) + (lower + t9 * p[j])
        total[j] += value * value


@exact
def _columns(a: Array, b: Array, c: Array, d: Array, e: Array, f: Array, lines: Array, count: int) -> None:
    """Sums over three rows of x (a, b, c) and y (d, e, f), of their squares and of their product."""
    wide()
    sx, sy, sxx, syy, sxy = lines[0], lines[1], lines[2], lines[3], lines[4]
    for j in range(count):
        sx[j] = a[j] + b[j] + c[j]
        sy[j] = d[j] + e[j] + f[j]
        sxx[j] = a[j] * a[j] + b[j] * b[j] + c[j] * c[j]
        syy[j] = d[j] * d[j] + e[j] * e[j] + f[j] * f[j]
        sxy[j] = a[j] * d[j] + b[j] * e[j] + c[j] * f[j]


@exact
def _gains(lines: Array, noise: Any, gain: Array, start: Array, count: int) -> None:
    """Of every 3x3 window: slope of the bits with the local strength, and their start at none."""
    wide()
    sx, sy, sxx, syy, sxy = lines[0], lines[1], lines[2], lines[3], lines[4]
    inverse = ONE / noise
    for j in range(count):
        mx, my = (sx[j] + sx[j + 1] + sx[j + 2]) * NINTH, (sy[j] + sy[j + 1] + sy[j + 2]) * NINTH
        ex, ey = (sxx[j] + sxx[j + 1] + sxx[j + 2]) * NINTH, (syy[j] + syy[j + 1] + syy[j + 2]) * NINTH
        vx, vy = ex - mx * mx, ey - my * my
        vx = vx if vx > ROUNDING * ex else ZERO
        vy = vy if vy > ROUNDING * ey else ZERO
        cov = (sxy[j] + sxy[j + 1] + sxy[j + 2]) * NINTH - mx * my
        flat, still = vx < TINY, vy < TINY
        g = ZERO if flat or still else cov / (vx + TINY)
        error = ZERO if still else (vy if flat else max(vy - g * cov, ZERO))
        gain[j] = (error + (ONE + g * g) * noise) * inverse * inverse
        start[j] = ONE + error * inverse


@exact
def _factors(strength: Array, slope: Array, start: Array, t: Array, target: Array, count: int) -> None:
    """Product of the ten factors whose logarithm are the bits; double precision holds it."""
    wide()
    t0, t1, t2, t3, t4 = t[0], t[1], t[2], t[3], t[4]
    t5, t6, t7, t8, t9 = t[5], t[6], t[7], t[8], t[9]
    for j in range(count):
        s, u = float(slope[j]) * float(strength[j]), float(start[j])
        first = (u + s * t0) * (u + s * t1) * (u + s * t2) * (u + s * t3) * (u + s * t4)
        target[j] = first * ((u + s * t5) * (u + s * t6) * (u + s * t7) * (u + s * t8) * (u + s * t9))


def _bits(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Two to the power of the information weight, for inner rows; marks: the parent; maps: 100 weights and the noise.

    line: 8 * columns floats; out: ten eigenvalues, the tenth 0 with a start of its own where there is no parent, then
    the result of (last - first) x (columns - 2).
    """
    p, q, parent = matrix(x, rows, columns), matrix(y, rows, columns), matrix(marks, rows - 2, columns - 2)
    work, weights, width = matrix(line, 8, columns), matrix(maps, 10, 10), columns - 2
    noise = carray(maps, 101)[100]
    values = carray(out, 10)
    result = carray(out, 10 + (last - first) * width)[10:]
    strength, slope, start = work[5], work[6], work[7]
    for row in range(first, last):
        for j in range(width):
            strength[j] = ZERO
        for k in range(mode):
            _length(p[row], p[row + 1], p[row + 2], parent[row], weights[k], strength, width)
        _columns(p[row], p[row + 1], p[row + 2], q[row], q[row + 1], q[row + 2], work, columns)
        _gains(work, noise, slope, start, width)
        _factors(strength, slope, start, values, result[(row - first) * width :], width)
        if mode == 9:  # without a parent there are nine factors
            at = result[(row - first) * width :]
            for j in range(width):
                at[j] /= start[j]


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "reduce": (_reduce, signature(FLOATS, FLOATS)),
    "laplace": (_laplace, signature(FLOATS, FLOATS)),
    "divisive": (_divisive, signature(FLOATS, FLOATS)),
    "covariance": (_covariance, signature(FLOATS, FLOATS)),
    "bits": (_bits, signature(FLOATS, FLOATS)),
}
"""As in `code`: x, y, rows, columns, mode, step, marks, line, maps, out, first, last."""
