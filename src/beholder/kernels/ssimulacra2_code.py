"""The code of `ssimulacra2`: linear light, XYB and the sums of the error maps, in Numba.

Planes have four rows of zeros above and below, as the window is filled up with zeros beyond the border.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.kernels.code import BYTES, FLOATS, F, carray, exact, loose, matrix, signature, wide

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
MARGIN, WINDOW = 4, 9
ZERO, HALF, ONE, TWO, SEVEN, C2 = F(0), F(0.5), F(1), F(2), F(7), F(0.0009)
THIRD = np.int32(709921077)  # what a third of a float's bits lacks to those of its cube root


@loose
def _look_up(source: Array, step: int, table: Array, target: Array) -> None:
    wide()
    for j in range(target.size):
        target[j] = table[source[j * step]]


def _linear(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Bytes to linear light by a table. columns: pixels; mode: channels; marks: the table; maps: three planes."""
    p, table = matrix(x, rows, columns * mode), carray(marks, 256)
    high = rows + 2 * MARGIN
    target = matrix(maps, 3 * high, columns)
    for r in range(first, last):
        for c in range(3):
            _look_up(p[r, min(c, mode - 1) :], mode, table, target[c * high + MARGIN + r])


@loose
def _mixed(r: Array, g: Array, b: Array, w: Array, at: int, line: Array) -> None:
    wide()
    red, green, blue, bias = w[at], w[at + 1], w[at + 2], w[9]
    for j in range(line.size):
        line[j] = red * r[j] + green * g[j] + blue * b[j] + bias


@exact
def _cube_root(line: Array, bits: Array) -> None:
    """Cube roots, by a third of the exponent and two steps of Halley's method. bits: a line that is worked in."""
    wide()
    given, guess = line.view(np.int32), bits.view(np.int32)
    for j in range(line.size):
        guess[j] = given[j] // np.int32(3) + THIRD
    for j in range(line.size):
        a, t = line[j], bits[j]
        cube = t * t * t
        t = t * (cube + TWO * a) / (TWO * cube + a)
        cube = t * t * t
        line[j] = t * (cube + TWO * a) / (TWO * cube + a)


@loose
def _difference(a: Array, b: Array, scale: Any, shift: Any, target: Array) -> None:
    wide()
    for j in range(target.size):
        target[j] = scale * (a[j] - b[j]) + shift


@loose
def _average(a: Array, b: Array, target: Array) -> None:
    wide()
    for j in range(target.size):
        target[j] = HALF * (a[j] + b[j])


@loose
def _shifted(a: Array, shift: Any) -> None:
    wide()
    for j in range(a.size):
        a[j] += shift


def _xyb(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Three planes of linear light to centred XYB, in their place. marks: matrix, bias, shifts; line: four lines."""
    w, high = carray(marks, 13), rows + 2 * MARGIN
    p, lines = matrix(x, 3 * high, columns), matrix(line, 4, columns)
    long, middle, short, bits = lines[0], lines[1], lines[2], lines[3]
    for r in range(first, last):
        red, green, blue = p[MARGIN + r], p[high + MARGIN + r], p[2 * high + MARGIN + r]
        _mixed(red, green, blue, w, 0, long)
        _mixed(red, green, blue, w, 3, middle)
        _mixed(red, green, blue, w, 6, short)
        for c in range(3):
            _cube_root(lines[c], bits)
        _difference(long, middle, SEVEN, w[10], red)
        _average(long, middle, green)
        _difference(short, green, ONE, w[12], blue)
        _shifted(green, w[11])


@loose
def _sum(a: Array, b: Array, target: Array) -> None:
    wide()
    for j in range(a.size):
        target[j] = a[j] + b[j]


@exact
def _across(v: Array, w: Array, mean: Array, square: Array) -> None:
    wide()
    t0, t1, t2, t3, t4 = w[0], w[1], w[2], w[3], w[4]
    for j in range(mean.size):
        a, b, c, d, e, f, g, h, i = v[j], v[j + 1], v[j + 2], v[j + 3], v[j + 4], v[j + 5], v[j + 6], v[j + 7], v[j + 8]
        mean[j] = t4 * e + t3 * (d + f) + t2 * (c + g) + t1 * (b + h) + t0 * (a + i)
        square[j] = (
            t4 * (e * e) + t3 * (d * d + f * f) + t2 * (c * c + g * g) + t1 * (b * b + h * h) + t0 * (a * a + i * i)
        )


@exact
def _down(ring: Array, base: int, oldest: int, w: Array, target: Array) -> None:
    """The vertical pass: a ring of nine rows, of which the oldest is known."""
    wide()
    t0, t1, t2, t3, t4 = w[0], w[1], w[2], w[3], w[4]
    a, b, c = ring[base + oldest % 9], ring[base + (oldest + 1) % 9], ring[base + (oldest + 2) % 9]
    d, e, f = ring[base + (oldest + 3) % 9], ring[base + (oldest + 4) % 9], ring[base + (oldest + 5) % 9]
    g, h, i = ring[base + (oldest + 6) % 9], ring[base + (oldest + 7) % 9], ring[base + (oldest + 8) % 9]
    for j in range(target.size):
        target[j] = t4 * e[j] + t3 * (d[j] + f[j]) + t2 * (c[j] + g[j]) + t1 * (b[j] + h[j]) + t0 * (a[j] + i[j])


@exact
def _structure(s: Array, d: Array, ss: Array, dd: Array, inside: Array, row: Any, centre: Any) -> tuple[Any, Any]:
    """Sums of the structure error and of its fourth power over a row; s: of both pictures, d: their difference."""
    wide()
    total, fourth = ZERO, ZERO
    double = TWO * centre
    for j in range(s.size):
        beyond = double * (ONE - row * inside[j])
        apart = dd[j] - d[j] * d[j]
        both = (ss[j] - s[j] * s[j]) + beyond * (TWO * s[j] + double - beyond)
        like = HALF * (both - apart) + C2
        error = (apart + d[j] * d[j] * like) / (HALF * (both + apart) + C2)
        error = error if error > ZERO else ZERO
        total += error
        square = error * error
        fourth += square * square
    return total, fourth


@exact
def _edges(x: Array, y: Array, s: Array, d: Array, inside: Array, row: Any, centre: Any) -> tuple[Any, Any, Any, Any]:
    """Sums of ringing and of blur over a row, each with that of its fourth power."""
    wide()
    ringing, ringing4, blur, blur4 = ZERO, ZERO, ZERO, ZERO
    for j in range(x.size):
        beyond = centre * (ONE - row * inside[j])
        p = abs(x[j] - HALF * (s[j] + d[j]) + beyond)
        q = abs(y[j] - HALF * (s[j] - d[j]) + beyond)
        error = (p - q) / (ONE + q)
        more, less = error if error > ZERO else ZERO, -error if error < ZERO else ZERO
        ringing += more
        blur += less
        a, b = more * more, less * less
        ringing4 += a * a
        blur4 += b * b
    return ringing, ringing4, blur, blur4


def _maps(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Six sums over rows of two planes: structure, ringing, blur, each with that of the fourth power.

    marks: five taps, the centre, then the share of the window inside the plane, by column and by row; line: zeros for
    two lines with their margins; maps: 36 lines of the ring and four of results.
    """
    high = rows + 2 * MARGIN
    p, q, w = matrix(x, high, columns), matrix(y, high, columns), carray(marks, 6 + columns + rows)
    inside, centre, wide_line = w[6 : 6 + columns], w[5], columns + 2 * MARGIN
    pads, ring = matrix(line, 2, wide_line), matrix(maps, 4 * WINDOW + 4, columns)
    s, d, ss, dd = ring[36], ring[37], ring[38], ring[39]
    sums, differences = pads[0], pads[1]
    for k in range(6):
        out[k] = 0.0
    for r in range(first, last + 2 * MARGIN):  # of the planes with their margins
        _sum(p[r], q[r], sums[MARGIN:])
        _difference(p[r], q[r], ONE, ZERO, differences[MARGIN : MARGIN + columns])
        at = r % 9
        _across(sums, w, ring[at], ring[9 + at])
        _across(differences, w, ring[18 + at], ring[27 + at])
        if r < first + 2 * MARGIN:
            continue
        oldest, middle = r - 2 * MARGIN, r - MARGIN
        _down(ring, 0, oldest, w, s)
        _down(ring, 9, oldest, w, ss)
        _down(ring, 18, oldest, w, d)
        _down(ring, 27, oldest, w, dd)
        row = w[6 + columns + oldest]
        one, four = _structure(s, d, ss, dd, inside, row, centre)
        ringing, ringing4, blur, blur4 = _edges(p[middle], q[middle], s, d, inside, row, centre)
        out[0] += one
        out[1] += four
        out[2] += ringing
        out[3] += ringing4
        out[4] += blur
        out[5] += blur4


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "linear": (_linear, signature(BYTES, FLOATS)),
    "xyb": (_xyb, signature(FLOATS, FLOATS)),
    "maps": (_maps, signature(FLOATS, FLOATS)),
}
"""All take x, y, rows, columns of a row in pixels, mode, step, marks, line, maps, out, first, last."""
