"""Rows of `ssimulacra2`: a row of pixels to linear light and XYB, and nine rows of a ring blurred, in Numba.

A kernel's settings and the lines that it works in are one array of lines: first those of the settings, then the ring of
nine rows, six lines each: X, Y and B of one picture and of the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from beholder.kernels.code import F, apart, exact, inline, loose, matrix, wide

Array = Any
Pointer = Any
REACH, WINDOW = 4, 9
MARGIN = 16
"""Values before and after a line: so that lines begin where the cache's do, and for the zeros beyond the border."""
CENTRES, COLOURS, SLOPES, TABLE, INSIDE = 5, 8, 21, 39, 295
"""Where in the settings are, after the five taps: the three centres; matrix, bias and shifts of XYB; six slopes of
each channel; linear light of the bytes; the share of the window inside the picture, by column and by row."""
ZERO, HALF, ONE, TWO, SEVEN, C2 = F(0), F(0.5), F(1), F(2), F(7), F(0.0009)
CUBE_START, CUBE_STEP = F(1.4198991e9), F(-1 / 3)  # bits of about a^(-1/3) of those of a
CUBE1, CUBE2, CUBE3 = F(1 / 3), F(2 / 9), F(14 / 81)  # the binomial series of (1 - e)^(-1/3)
FIFTH_START, FIFTH_STEP = F(1.2779041e9), F(-1 / 5)  # bits of about u^(-1/5) of those of u
FIFTH1, FIFTH2, FIFTH3 = F(1 / 5), F(3 / 25), F(11 / 125)
KNEE, STEEP, SCALE, OFFSET = F(0.04045), F(1 / 12.92), F(1 / 1.055), F(0.055 / 1.055)


@inline
def fifth_root_of_inverse(u: Any) -> Any:
    """The power -1/5 of what lies in 0.01..1, to a few units in the last place."""
    w = np.int32(FIFTH_STEP * F(F(u).view(np.int32)) + FIFTH_START).view(np.float32)
    square = w * w
    e = ONE - u * w * (square * square)
    w = w + w * e * (FIFTH1 + e * (FIFTH2 + e * FIFTH3))
    square = w * w
    e = ONE - u * w * (square * square)
    return w + w * e * FIFTH1


@inline
def _cube_root(a: Any) -> Any:
    """The cube root of what is positive, by that of its inverse and a step of Newton's method."""
    y = np.int32(CUBE_STEP * F(F(a).view(np.int32)) + CUBE_START).view(np.float32)
    e = ONE - a * y * (y * y)
    y = y + y * e * (CUBE1 + e * (CUBE2 + e * CUBE3))
    square = y * y
    root = a * square
    return root + (a - root * root * root) * (square * CUBE1)


@loose
def _look_up(source: Array, table: Array, r: Array, g: Array, b: Array, count: int) -> None:
    wide()
    apart()
    for j in range(count):
        r[j] = table[source[3 * j]]
        g[j] = table[source[3 * j + 1]]
        b[j] = table[source[3 * j + 2]]


@loose
def _look_up_grey(source: Array, table: Array, target: Array, count: int) -> None:
    wide()
    apart()
    for j in range(count):
        target[j] = table[source[j]]


@exact
def _linearise(source: Array, target: Array, count: int) -> None:
    """Linear light of sRGB in [0, 1]: u^2.4 as the third power of u * u^(-1/5)."""
    wide()
    apart()
    for j in range(count):
        v = source[j]
        u = v * SCALE + OFFSET
        power = u * fifth_root_of_inverse(u)
        target[j] = v * STEEP if v <= KNEE else power * power * power


@loose
def copy(source: Array, target: Array, count: int) -> None:
    """A line to another."""
    apart()
    for j in range(count):
        target[j] = source[j]


@inline
def read_bytes(x: Pointer, rows: int, columns: int, channels: int, row: int, table: Array, lines: Array) -> None:
    """A row of interleaved bytes as lines of linear light."""
    source = matrix(x, rows, columns * channels)[row]
    if channels == 3:
        _look_up(source, table, lines[0], lines[1], lines[2], columns)
    else:
        _look_up_grey(source, table, lines[0], columns)


@inline
def read_encoded(x: Pointer, rows: int, columns: int, channels: int, row: int, table: Array, lines: Array) -> None:
    """A row of sRGB planes in [0, 1] as lines of linear light."""
    planes = matrix(x, channels * rows, columns)
    for c in range(channels):
        _linearise(planes[c * rows + row], lines[c], columns)


@inline
def read_linear(x: Pointer, rows: int, columns: int, channels: int, row: int, table: Array, lines: Array) -> None:
    """A row of planes of linear light."""
    planes = matrix(x, channels * rows, columns)
    for c in range(channels):
        copy(planes[c * rows + row], lines[c], columns)


@exact
def _to_xyb(r: Array, g: Array, b: Array, w: Array, x: Array, y: Array, z: Array, count: int) -> None:
    wide()
    apart()
    lr, lg, lb, mr, mg, mb, sr, sg, sb, bias = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9]
    first, second, third = w[10], w[11], w[12]
    for j in range(count):
        red, green, blue = r[j], g[j], b[j]
        long = _cube_root(lr * red + lg * green + lb * blue + bias)
        middle = _cube_root(mr * red + mg * green + mb * blue + bias)
        short = _cube_root(sr * red + sg * green + sb * blue + bias)
        luma = HALF * (long + middle)
        x[j] = SEVEN * (long - middle) + first
        y[j] = luma + second
        z[j] = (short - luma) + third


@inline
def read_pair(
    read: Any, x: Pointer, y: Pointer, rows: int, columns: int, channels: int, row: int, w: Array, one: Array,
    other: Array, ring: Array,
) -> None:  # fmt: skip
    """A row of both pictures, in XYB, to six lines of the ring: zeros beyond the border.

    read: one of those above; one, other: lines for their linear light.
    """
    at = (row + WINDOW) % WINDOW * 6
    if row < 0 or row >= rows:
        ring[at : at + 6] = ZERO
        return
    green, blue, colours, table = min(1, channels - 1), min(2, channels - 1), w[COLOURS:], w[TABLE:]
    read(x, rows, columns, channels, row, table, one)
    _to_xyb(one[0], one[green], one[blue], colours, ring[at], ring[at + 1], ring[at + 2], columns)
    read(y, rows, columns, channels, row, table, other)
    _to_xyb(other[0], other[green], other[blue], colours, ring[at + 3], ring[at + 4], ring[at + 5], columns)


@inline
def _fold(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any, i: Any, w: Any) -> Any:
    """Nine values by the window, of whose taps the first five are given."""
    return w[4] * e + w[3] * (d + f) + w[2] * (c + g) + w[1] * (b + h) + w[0] * (a + i)


@inline
def along(v: Array, j: int, w: Any) -> Any:
    """The window on a line that begins with its margin, at value j."""
    k = j + MARGIN
    return _fold(v[k - 4], v[k - 3], v[k - 2], v[k - 1], v[k], v[k + 1], v[k + 2], v[k + 3], v[k + 4], w)


@inline
def _line(ring: Array, oldest: int, k: int, each: int, n: int) -> Array:
    return ring[(oldest + k) % WINDOW * each + n]


@exact
def blur_down(ring: Array, oldest: int, each: int, n: int, w: Array, target: Array, count: int) -> None:
    """The mean down nine rows of a ring, of line n of the `each` lines that a row has."""
    wide()
    apart()
    t = (w[0], w[1], w[2], w[3], w[4])
    a, b, c = _line(ring, oldest, 0, each, n), _line(ring, oldest, 1, each, n), _line(ring, oldest, 2, each, n)
    d, e, f = _line(ring, oldest, 3, each, n), _line(ring, oldest, 4, each, n), _line(ring, oldest, 5, each, n)
    g, h, i = _line(ring, oldest, 6, each, n), _line(ring, oldest, 7, each, n), _line(ring, oldest, 8, each, n)
    for j in range(count):
        target[j] = _fold(a[j], b[j], c[j], d[j], e[j], f[j], g[j], h[j], i[j], t)


@inline
def _square(a: Any, b: Any) -> Any:
    return a * a + b * b


@inline
def _gap(a: Any, b: Any) -> Any:
    return (a - b) * (a - b)


@exact
def blur_squares_down(ring: Array, oldest: int, channel: int, w: Array, both: Array, gap: Array, count: int) -> None:
    """The means down the rows of x^2 + y^2 and of (x - y)^2."""
    wide()
    apart()
    t = (w[0], w[1], w[2], w[3], w[4])
    a, b, c = _line(ring, oldest, 0, 6, channel), _line(ring, oldest, 1, 6, channel), _line(ring, oldest, 2, 6, channel)
    d, e, f = _line(ring, oldest, 3, 6, channel), _line(ring, oldest, 4, 6, channel), _line(ring, oldest, 5, 6, channel)
    g, h, i = _line(ring, oldest, 6, 6, channel), _line(ring, oldest, 7, 6, channel), _line(ring, oldest, 8, 6, channel)
    other = channel + 3
    k, m, n = _line(ring, oldest, 0, 6, other), _line(ring, oldest, 1, 6, other), _line(ring, oldest, 2, 6, other)
    o, p, q = _line(ring, oldest, 3, 6, other), _line(ring, oldest, 4, 6, other), _line(ring, oldest, 5, 6, other)
    r, s, u = _line(ring, oldest, 6, 6, other), _line(ring, oldest, 7, 6, other), _line(ring, oldest, 8, 6, other)
    for j in range(count):
        both[j] = _fold(
            _square(a[j], k[j]), _square(b[j], m[j]), _square(c[j], n[j]), _square(d[j], o[j]), _square(e[j], p[j]),
            _square(f[j], q[j]), _square(g[j], r[j]), _square(h[j], s[j]), _square(i[j], u[j]), t,
        )  # fmt: skip
        gap[j] = _fold(
            _gap(a[j], k[j]), _gap(b[j], m[j]), _gap(c[j], n[j]), _gap(d[j], o[j]), _gap(e[j], p[j]),
            _gap(f[j], q[j]), _gap(g[j], r[j]), _gap(h[j], s[j]), _gap(i[j], u[j]), t,
        )  # fmt: skip


@inline
def head(rows: int, columns: int) -> tuple[int, int]:
    """Lines that the settings take up, and floats of a line with its margins: a whole number of what caches load."""
    pitch = (columns + 15) // 16 * 16 + 2 * MARGIN
    return (INSIDE + columns + rows + pitch - 1) // pitch, pitch


@inline
def blurred(ring: Array, lines: Array, oldest: int, c: int, structure: bool, w: Array, columns: int) -> None:
    """What both pictures' channel c is, blurred down the rows: two means, and two of squares where they are wanted."""
    blur_down(ring, oldest, 6, c, w, lines[0, MARGIN:], columns)
    blur_down(ring, oldest, 6, c + 3, w, lines[1, MARGIN:], columns)
    if structure:
        blur_squares_down(ring, oldest, c, w, lines[2, MARGIN:], lines[3, MARGIN:], columns)
