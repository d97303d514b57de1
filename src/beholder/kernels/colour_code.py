"""The code of `colour`: CIEDE2000 of float32 planes and of bytes, with its gradient, in Numba.

Hundreds of pixels go through every step before the next one: a line holds one quantity of each, and all arithmetic is
on whole registers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.kernels.approximations_code import angle, exponential, fifth, third
from beholder.kernels.code import BYTES, FLOATS, F, carray, exact, inline, signature, wide

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
ZERO, ONE, TWO, HALF = F(0), F(1), F(2), F(0.5)
LINE = 256
"""Pixels at a time."""
PICTURE = 9 * LINE
"""Of a picture: R, G, B or L, a, b, or the slopes by them; slopes of linear light; slopes of L*a*b*'s function."""
GIVEN = 32
"""Numbers that come first: XYZ relative to white of R, G and B, by rows; knee and slope of L*a*b*; factor of slopes;
from 12: X - Y and Y - Z of white, of R alone and of B alone."""
SIXTY = F(math.pi / 3)
COS30, SIN30 = F(math.cos(math.pi / 6)), F(math.sin(math.pi / 6))
COS6, SIN6 = F(math.cos(math.pi / 30)), F(math.sin(math.pi / 30))
COS63, SIN63 = F(math.cos(math.radians(63))), F(math.sin(math.radians(63)))
COS275, SIN275 = F(math.cos(math.radians(275))), F(math.sin(math.radians(275)))
DEGREES = F(180 / math.pi)


def _linear(slopes: bool) -> Callable[..., None]:
    """From sRGB to linear light, in place, in three lines; the slopes into the next three."""

    @exact
    def linear(v: Array, n: int) -> None:
        wide()
        for c in range(3):
            for j in range(n):
                x = v[j + c * LINE]
                base = max((x + F(0.055)) * F(1 / 1.055), F(0.05))
                z = fifth(base)
                root = base * z
                dark = x <= F(0.04045)
                v[j + c * LINE] = x * F(1 / 12.92) if dark else root * root * root
                if slopes:
                    v[j + (3 + c) * LINE] = F(1 / 12.92) if dark else F(2.4 / 1.055) * (root * root * z)

    return linear


@inline
def _apart(f: Any, g: Any, x: Any, y: Any, difference: Any, knee: Any, slope: Any) -> Any:
    """The difference of L*a*b*'s function, f of x and g of y, from their difference."""
    straight = slope * difference if max(x, y) <= knee else f - g
    return difference / (f * f + f * g + g * g) if min(x, y) > knee else straight


def _lab(slopes: bool) -> Callable[..., None]:
    """Linear sRGB to L*a*b*, in place, in three lines; the slopes of its function into the three last."""

    @exact
    def lab(v: Array, given: Array, n: int) -> None:
        wide()
        m3, m4, m5, knee, slope = given[3], given[4], given[5], given[9], given[10]
        d0, d1, d2, e0, e1, e2 = given[12], given[13], given[14], given[15], given[16], given[17]
        for j in range(n):
            r, g, b = v[j], v[j + LINE], v[j + 2 * LINE]
            # By differences: of greys, whose a and b are nearly 0, the hue counts where it meets a colour.
            xy, yz = d0 * g + d1 * (r - g) + d2 * (b - g), e0 * g + e1 * (r - g) + e2 * (b - g)
            y = m3 * r + m4 * g + m5 * b
            x, z = y + xy, y - yz
            p, q, s = third(max(x, knee)), third(max(y, knee)), third(max(z, knee))
            fx = x * p * p if x > knee else slope * x + F(16 / 116)
            fy = y * q * q if y > knee else slope * y + F(16 / 116)
            fz = z * s * s if z > knee else slope * z + F(16 / 116)
            v[j], v[j + LINE] = F(116) * fy - F(16), F(500) * _apart(fx, fy, x, y, xy, knee, slope)
            v[j + 2 * LINE] = F(200) * _apart(fy, fz, y, z, yz, knee, slope)
            if slopes:
                v[j + 6 * LINE] = F(1 / 3) * (p * p) if x > knee else slope
                v[j + 7 * LINE] = F(1 / 3) * (q * q) if y > knee else slope
                v[j + 8 * LINE] = F(1 / 3) * (s * s) if z > knee else slope

    return lab


@inline
def _share(c: Any) -> Any:
    """Square root of c^7 / (c^7 + 25^7), and its slope."""
    q = c * F(1 / 25)
    part = q * q * np.sqrt(q)
    root = part * q
    below = ONE / (ONE + root * root)
    cosine = np.sqrt(below)
    return root * cosine, F(3.5 / 25) * part * (below * cosine)


@inline
def _shape(c: Any, s: Any) -> Any:
    """T of the mean hue, and its slope, from the cosine and sine of the hue."""
    c2, s2 = c * c - s * s, TWO * c * s
    c3, s3 = c2 * c - s2 * s, s2 * c + c2 * s
    c4, s4 = c2 * c2 - s2 * s2, TWO * c2 * s2
    one, three, four = c * COS30 + s * SIN30, c3 * COS6 - s3 * SIN6, c4 * COS63 + s4 * SIN63
    value = ONE - F(0.17) * one + F(0.24) * c2 + F(0.32) * three - F(0.20) * four
    one, three, four = s * COS30 - c * SIN30, s3 * COS6 + c3 * SIN6, s4 * COS63 - c4 * SIN63
    return value, F(0.17) * one - F(0.48) * s2 - F(0.96) * three + F(0.80) * four


@inline
def _turn(c: Any, s: Any) -> Any:
    """Sine of the angle by which chroma and hue depend on each other, and its slope by the hue."""
    away = angle(s * COS275 - c * SIN275, c * COS275 + s * SIN275) * DEGREES
    x = away * F(1 / 25)
    # The hue, 0 to 360 degrees, is not wrapped around 275: what lies beyond is far below, where nothing is left.
    e = exponential(-min(x * x, F(80))) if away <= F(85) else ZERO
    turn = SIXTY * e
    s = turn * turn
    t = ONE - s * (HALF - s * (F(1 / 24) - s * (F(1 / 720) - s * (F(1 / 40320) - s * F(1 / 3628800)))))
    sine = turn * (ONE - s * (F(1 / 6) - s * (F(1 / 120) - s * (F(1 / 5040) - s * F(1 / 362880)))))
    return sine, t * turn * (x * F(-2 / 25) * DEGREES)


@inline
def _over(x: Any) -> Any:
    """1 / x, of nothing: 0."""
    return ONE / (x if x > ZERO else ONE) if x > ZERO else ZERO


def _differences(slopes: bool) -> Callable[..., Any]:
    """The sum of the differences of L*a*b* of two pictures, which are replaced by the slopes."""

    @exact
    def differences(v: Array, factor: Any, n: int) -> Any:
        wide()
        sums = ZERO
        for j in range(n):
            l1, a1, b1 = v[j], v[j + LINE], v[j + 2 * LINE]
            l2, a2, b2 = v[j + PICTURE], v[j + LINE + PICTURE], v[j + 2 * LINE + PICTURE]
            # chroma, with a stretched
            raw1, raw2 = np.sqrt(a1 * a1 + b1 * b1), np.sqrt(a2 * a2 + b2 * b2)
            part, by_raw = _share((raw1 + raw2) * HALF)
            stretch = F(1.5) - HALF * part
            p1, p2 = a1 * stretch, a2 * stretch
            c1, c2 = np.sqrt(p1 * p1 + b1 * b1), np.sqrt(p2 * p2 + b2 * b2)
            dp, db, chroma, both = (a2 - a1) * stretch, b2 - b1, (c1 + c2) * HALF, c1 * c2
            coloured = both > ZERO
            step_c = (dp * (p1 + p2) + db * (b1 + b2)) * (HALF * _over(chroma))
            # hue: half the step and the mean from sums of the two directions, from differences where they are far apart
            cross, dot = p1 * db - b1 * dp, p1 * p2 + b1 * b2
            near = dot >= ZERO
            span = np.sqrt(TWO * (both + abs(dot)))  # twice the longer of sine and cosine of half the step, times root
            inverse = _over(span)
            sign = ONE if cross >= ZERO else F(-1)
            step_h = TWO * cross * inverse if near else sign * span
            along = HALF * span if near else abs(cross) * inverse  # root(c1 c2) times cosine of half the step
            x = c2 * p1 + c1 * p2 if near else sign * (c1 * b2 - c2 * b1)
            y = c2 * b1 + c1 * b2 if near else sign * (c2 * p1 - c1 * p2)
            length = _over(np.sqrt(x * x + y * y))
            hue_x, hue_y = x * length, y * length
            shape, by_hue = _shape(hue_x, hue_y)
            turn, turn_by_hue = _turn(hue_x, hue_y)
            share, by_chroma = _share(chroma)
            # weights
            light = (l1 + l2) * HALF - F(50)
            middle = light * light
            root = ONE / np.sqrt(F(20) + middle)
            weigh_l = ONE / (ONE + F(0.015) * middle * root)
            weigh_c = ONE / (ONE + F(0.045) * chroma)
            weigh_h = ONE / (ONE + F(0.015) * chroma * shape)
            dl, dc, dh = (l2 - l1) * weigh_l, step_c * weigh_c, (step_h if coloured else ZERO) * weigh_h
            tie = F(-2) * share * turn
            square = dl * dl + dc * dc + dh * dh + tie * dc * dh
            value = np.sqrt(max(square, ZERO))
            sums += value
            if slopes:
                scale = factor * _over(value)
                by_l = scale * dl * weigh_l
                by_c = scale * (dc + HALF * tie * dh) * weigh_c
                by_h = scale * (dh + HALF * tie * dc) * weigh_h
                by_tie = HALF * scale * dc * dh
                lightness = by_l * dl * F(-0.015) * light * root * (ONE - HALF * middle * (root * root))
                mean_c = HALF * (
                    F(-0.045) * by_c * dc - F(0.015) * by_h * dh * shape - TWO * by_tie * by_chroma * turn
                )  # fmt: skip
                mean_h = HALF * (F(-0.015) * by_h * dh * chroma * by_hue - TWO * by_tie * share * turn_by_hue)
                mean_h = mean_h if coloured else ZERO
                by_h = by_h if coloured else ZERO
                inverse1, inverse2 = _over(c1), _over(c2)
                grow = HALF * by_h * step_h
                # by the chroma over the chroma, and by the hue over its square
                r1 = (mean_c - by_c + grow * inverse1) * inverse1
                r2 = (mean_c + by_c + grow * inverse2) * inverse2
                t1 = (mean_h - by_h * along) * (inverse1 * inverse1)
                t2 = (mean_h + by_h * along) * (inverse2 * inverse2)
                q1, q2 = r1 * p1 - t1 * b1, r2 * p2 - t2 * b2
                spread = F(-0.25) * by_raw * (q1 * a1 + q2 * a2)
                s1, s2 = spread * _over(raw1), spread * _over(raw2)
                v[j], v[j + PICTURE] = lightness - by_l, lightness + by_l
                v[j + LINE], v[j + LINE + PICTURE] = stretch * q1 + s1 * a1, stretch * q2 + s2 * a2
                v[j + 2 * LINE] = r1 * b1 + t1 * p1 + s1 * b1
                v[j + 2 * LINE + PICTURE] = r2 * b2 + t2 * p2 + s2 * b2
        return sums

    return differences


@exact
def _to_colours(v: Array, given: Array, n: int) -> None:
    """Slopes by L*a*b* to those by sRGB, in place."""
    wide()
    m0, m1, m2, m3, m4 = given[0], given[1], given[2], given[3], given[4]
    m5, m6, m7, m8 = given[5], given[6], given[7], given[8]
    for j in range(n):
        light, a, b = v[j], v[j + LINE], v[j + 2 * LINE]
        x = F(500) * a * v[j + 6 * LINE]
        y = (F(116) * light - F(500) * a + F(200) * b) * v[j + 7 * LINE]
        z = F(-200) * b * v[j + 8 * LINE]
        v[j] = (m0 * x + m3 * y + m6 * z) * v[j + 3 * LINE]
        v[j + LINE] = (m1 * x + m4 * y + m7 * z) * v[j + 4 * LINE]
        v[j + 2 * LINE] = (m2 * x + m5 * y + m8 * z) * v[j + 5 * LINE]


@exact
def _sum(v: Array, to: Array, n: int) -> None:
    wide()
    for j in range(n):
        to[j] = v[j] + v[j + LINE] + v[j + 2 * LINE]


@exact
def _look_up(pixels: Array, table: Array, v: Array, colours: int, n: int) -> None:
    wide()
    for c in range(3):
        to, at = v[c * LINE :], c if colours == 3 else 0
        for j in range(n):
            to[j] = table[pixels[colours * j + at]]


_linear_plain, _linear_steep = _linear(False), _linear(True)
_lab_plain, _lab_steep = _lab(False), _lab(True)
_differences_plain, _differences_steep = _differences(False), _differences(True)


@inline
def _load(p: Array, pixels: int, colours: int, start: int, v: Array, n: int) -> None:
    for c in range(3):
        at = c * pixels + start if colours == 3 else start
        v[c * LINE : c * LINE + n] = p[at : at + n]


@inline
def _store(v: Array, pixels: int, colours: int, start: int, to: Array, n: int) -> None:
    if colours == 1:
        _sum(v, to[start:], n)
    else:
        for c in range(3):
            at = c * pixels + start
            to[at : at + n] = v[c * LINE : c * LINE + n]


def _ciede2000(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """The sum over pixels `first` to `last` of planes. step: colours; mode: 1 for x's and 2 for y's slopes, into marks
    and maps; line: what is given, then 18 lines.
    """
    pixels = rows * columns
    p, q, to_x, to_y = (
        carray(x, step * pixels), carray(y, step * pixels), carray(marks, step * pixels), carray(maps, step * pixels)
    )  # fmt: skip
    room = carray(line, GIVEN + 2 * PICTURE)
    given, v = room[:GIVEN], room[GIVEN:]
    w = v[PICTURE:]
    total = 0.0
    for start in range(first, last, LINE):
        n = min(LINE, last - start)
        _load(p, pixels, step, start, v, n)
        _load(q, pixels, step, start, w, n)
        if mode == 0:
            _linear_plain(v, n)
            _linear_plain(w, n)
            _lab_plain(v, given, n)
            _lab_plain(w, given, n)
            total += _differences_plain(v, given[11], n)
            continue
        _linear_steep(v, n)
        _linear_steep(w, n)
        _lab_steep(v, given, n)
        _lab_steep(w, given, n)
        total += _differences_steep(v, given[11], n)
        if mode & 1:
            _to_colours(v, given, n)
            _store(v, pixels, step, start, to_x, n)
        if mode & 2:
            _to_colours(w, given, n)
            _store(w, pixels, step, start, to_y, n)
    out[0] = total


def _ciede2000_bytes(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """As `_ciede2000`, of interleaved bytes; marks: linear light of each of 256."""
    p, q, table = carray(x, rows * columns * step), carray(y, rows * columns * step), carray(marks, 256)
    room = carray(line, GIVEN + 2 * PICTURE)
    given, v = room[:GIVEN], room[GIVEN:]
    w = v[PICTURE:]
    total = 0.0
    for start in range(first, last, LINE):
        n = min(LINE, last - start)
        _look_up(p[step * start :], table, v, step, n)
        _look_up(q[step * start :], table, w, step, n)
        _lab_plain(v, given, n)
        _lab_plain(w, given, n)
        total += _differences_plain(v, given[11], n)
    out[0] = total


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "ciede2000": (_ciede2000, signature(FLOATS, FLOATS)),
    "ciede2000_bytes": (_ciede2000_bytes, signature(BYTES, FLOATS)),
}
"""As in `code`: x, y, rows, columns, mode, step, marks, line, maps, out, first, last."""
