"""The code of the derivative of `ssimulacra2` by one of its pictures, at one scale, in Numba.

Blurring is its own adjoint, as the window is symmetric and zeros stand beyond the border. So what a row of error maps
says about the blurred planes is blurred in its turn, by a second ring of nine rows, and goes back to linear light.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beholder.kernels.code import FLOATS, F, apart, carray, inline, loose, matrix, signature, wide
from beholder.kernels.ssimulacra2_rows_code import (
    C2,
    CENTRES,
    COLOURS,
    HALF,
    INSIDE,
    KNEE,
    MARGIN,
    OFFSET,
    ONE,
    REACH,
    SCALE,
    SEVEN,
    SLOPES,
    STEEP,
    TWO,
    WINDOW,
    ZERO,
    along,
    blur_down,
    blurred,
    copy,
    fifth_root_of_inverse,
    head,
    read_encoded,
    read_linear,
    read_pair,
)

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
BLURRED, MEANS, FIELDS, LIGHT, BACK, KEPT, ROOM = 54, 58, 62, 65, 68, 71, 179
"""After the ring of XYB begin: what is blurred down the rows and along them, the fields that go back, linear
light, the derivative by XYB, and the second ring, of four lines for each channel. ROOM: all lines."""
EACH, FACTOR = 12, F(2.4 / 1.055)  # lines of a row of the second ring; of the derivative of the power


@loose
def _along(v: Array, w: Array, target: Array, count: int) -> None:
    wide()
    apart()
    t = (w[0], w[1], w[2], w[3], w[4])
    for j in range(count):
        target[j] = along(v, j, t)


@loose
def _edges(
    x: Array, y: Array, mx: Array, my: Array, w: Array, s: Array, row: Any, centre: Any, swapped: bool, back: Array,
    direct: Array, count: int,
) -> None:  # fmt: skip
    """The derivative of ringing and blur by the first picture and, the same with another sign, by its mean.

    s: slopes of the structure's error, of ringing and blur, each by the map and by its third power. swapped: the first
    picture is the reference.
    """
    wide()
    apart()
    ringing, ringing4, blur, blur4 = s[2], s[3], -s[4], s[5]
    neither, inside = HALF * (ringing + blur), w[INSIDE:]
    for j in range(count):
        beyond = centre * (ONE - row * inside[j])
        u = x[j] - mx[j] + beyond
        p, q = abs(u), abs(y[j] - my[j] + beyond)
        top, bottom = (q, p) if swapped else (p, q)
        inverse = ONE / (ONE + bottom)
        error = (top - bottom) * inverse
        slope = ringing if error > ZERO else blur if error < ZERO else neither
        slope += (ringing4 if error > ZERO else blur4) * (error * error * error)
        slope *= -(ONE + top) * (inverse * inverse) if swapped else inverse
        slope = slope if u > ZERO else -slope if u < ZERO else ZERO
        direct[j] = slope
        back[j] = -slope


@loose
def _structure(
    means: Array, w: Array, s: Array, row: Any, centre: Any, back: Array, gap: Array, both: Array, count: int
) -> None:
    """The derivative of the structure's error by the mean, which is added, and by the means of squares."""
    wide()
    apart()
    mx, my, rr, qq, inside = means[0], means[1], means[2], means[3], w[INSIDE:]
    linear, cubic = s[0], s[1]
    for j in range(count):
        beyond = centre * (ONE - row * inside[j])
        a, b = mx[j], my[j]
        shift = a - b
        square = shift * shift
        spread = qq[j] - square
        inverse = ONE / (rr[j] - (a * a + b * b) + TWO * beyond * (a + b + centre - beyond) + C2)
        share = spread * inverse
        error = share * (ONE - square) + square
        slope = linear + cubic * (error * error * error)
        slope = slope if error > ZERO else ZERO
        by_gap = slope * (ONE - square) * inverse
        by_both = -by_gap * share
        gap[j] = by_gap
        both[j] = by_both
        back[j] += TWO * (by_both * (beyond - a) + shift * (slope * (ONE - share) - by_gap))


@loose
def _add_squares(x: Array, y: Array, gap: Array, both: Array, target: Array, count: int) -> None:
    wide()
    apart()
    for j in range(count):
        target[j] += TWO * ((x[j] - y[j]) * gap[j] + x[j] * both[j])


@loose
def _add(source: Array, target: Array, count: int) -> None:
    wide()
    apart()
    for j in range(count):
        target[j] += source[j]


@loose
def _to_linear(ring: Array, at: int, back: Array, w: Array, r: Array, g: Array, b: Array, count: int) -> None:
    """The derivative by XYB to that by linear light."""
    wide()
    apart()
    lr, lg, lb, mr, mg, mb, sr, sg, sb = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8]
    first, second, third = w[10], w[11], w[12]
    x, y, z, dx, dy, dz = ring[at], ring[at + 1], ring[at + 2], back[0], back[1], back[2]
    half, cube = F(1 / 14), F(1 / 3)
    for j in range(count):
        luma, apart_ = y[j] - second, (x[j] - first) * half
        long, middle, short = luma + apart_, luma - apart_, z[j] - third + luma
        mean, red_green = HALF * (dy[j] - dz[j]), SEVEN * dx[j]
        dl = (mean + red_green) * cube / (long * long)
        dm = (mean - red_green) * cube / (middle * middle)
        ds = dz[j] * cube / (short * short)
        r[j] = lr * dl + mr * dm + sr * ds
        g[j] = lg * dl + mg * dm + sg * ds
        b[j] = lb * dl + mb * dm + sb * ds


@loose
def _add_coarse(source: Array, share: Any, target: Array, count: int) -> None:
    """What the next scale says: every mean of four to its four values; an odd last one stood for two."""
    wide()
    apart()
    for j in range(count // 2):
        target[2 * j] += share * source[j]
        target[2 * j + 1] += share * source[j]
    if count % 2 == 1:
        target[count - 1] += TWO * share * source[count // 2]


@loose
def _encode(source: Array, target: Array, count: int) -> None:
    """The derivative by linear light to that by sRGB values."""
    wide()
    apart()
    for j in range(count):
        v = source[j]
        u = v * SCALE + OFFSET
        w = u * fifth_root_of_inverse(u)
        target[j] *= STEEP if v <= KNEE else FACTOR * (w * w * w) / u


@inline
def _back_from_maps(
    room: Array, at: int, to: int, oldest: int, c: int, structure: bool, swapped: bool, w: Array, row: Any, columns: int
) -> None:
    """A channel's row of error maps, as what it says about the blurred planes, blurred along, to the second ring.

    at: the row's first line in the ring of XYB; to: its line of that channel in the second ring; row: the share of the
    window inside the picture.
    """
    lines, means, fields, kept = room[BLURRED:], room[MEANS:], room[FIELDS:], room[KEPT:]
    s, centre = w[SLOPES + 6 * c :], w[CENTRES + c]
    blurred(room, lines, oldest, c, structure, w, columns)
    _along(lines[0], w, means[0], columns)
    _along(lines[1], w, means[1], columns)
    _edges(
        room[at + c], room[at + c + 3], means[0], means[1], w, s, row, centre, swapped, fields[0, MARGIN:],
        kept[to + 3], columns,
    )  # fmt: skip
    if structure:
        _along(lines[2], w, means[2], columns)
        _along(lines[3], w, means[3], columns)
        _structure(
            means, w, s, row, centre, fields[0, MARGIN:], fields[1, MARGIN:], fields[2, MARGIN:], columns
        )  # fmt: skip
        _along(fields[1], w, kept[to + 1], columns)
        _along(fields[2], w, kept[to + 2], columns)
    _along(fields[0], w, kept[to], columns)


@inline
def _back_to_xyb(
    room: Array, at: int, middle: int, oldest: int, c: int, structure: bool, w: Array, columns: int
) -> None:
    """A channel's row of the derivative by XYB, of nine rows of the second ring, the oldest of which is known."""
    means, target, kept, n = room[MEANS:], room[BACK + c], room[KEPT:], 4 * c
    blur_down(kept, oldest, EACH, n, w, target, columns)
    _add(kept[middle + n + 3], target, columns)
    if structure:
        blur_down(kept, oldest, EACH, n + 1, w, means[1], columns)
        blur_down(kept, oldest, EACH, n + 2, w, means[2], columns)
        _add_squares(room[at + c], room[at + c + 3], means[1], means[2], target, columns)


@inline
def _back_to_linear(room: Array, at: int, mode: int, w: Array, columns: int) -> None:
    """A row of the derivative by linear light, of that by XYB."""
    light, back = room[LIGHT:], room[BACK:]
    _to_linear(room, at, back, w[COLOURS:], light[0], light[1], light[2], columns)
    if mode == 1:
        _add(light[1], light[0], columns)
        _add(light[2], light[0], columns)


@inline
def _nothing(source: Array, target: Array, count: int) -> None:
    """What is linear stays as it is."""


def _slopes(read: Any, back: Any) -> Callable[..., None]:
    """A kernel by how it reads a row, and what it multiplies a row of its result by."""

    def slopes(
        x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer,
        maps: Pointer, out: Pointer, first: int, last: int,
    ) -> None:  # fmt: skip
        """Rows of the derivative by the first picture's planes, to maps.

        mode: channels; step: bits of the channels whose structure (1, 2, 4) and edges (8, 16, 32) count, 64 for a
        derivative by the next scale in marks, 128 where the first picture is the reference; line: settings, zeros in
        the margins of the lines that are blurred along.
        """
        start, pitch = head(rows, columns)
        w, room = carray(line, start * pitch), matrix(line, start + ROOM, pitch)[start:]
        light, kept, half = room[LIGHT:], room[KEPT:], (rows + 1) // 2
        given, target = matrix(x, mode * rows, columns), matrix(maps, mode * rows, columns)
        coarse = matrix(marks, mode * half, (columns + 1) // 2)
        colours = min(3, columns)  # LLVM must not know that it is 3: written out, loops take twice as long to compile
        for r in range(first - 2 * REACH, last + 2 * REACH):
            read_pair(read, x, y, rows, columns, mode, r, w, light, light, room)
            if r < first:
                continue
            oldest, now, done = r + 2 * WINDOW - 2 * REACH, r - REACH, r - 2 * REACH
            at, to = (now + WINDOW) % WINDOW * 6, (now + WINDOW) % WINDOW * EACH
            if now < 0 or now >= rows:
                kept[to : to + EACH] = ZERO
            else:
                row = w[INSIDE + columns + now]
                for c in range(colours):
                    if step & (9 << c):
                        structure = step & (1 << c) != 0
                        _back_from_maps(room, at, to + 4 * c, oldest, c, structure, step >= 128, w, row, columns)
            if done < first:
                continue
            at, middle = done % WINDOW * 6, done % WINDOW * EACH
            for c in range(colours):
                if step & (9 << c):
                    _back_to_xyb(room, at, middle, oldest - REACH, c, step & (1 << c) != 0, w, columns)
                else:
                    room[BACK + c] = ZERO
            _back_to_linear(room, at, mode, w, columns)
            share = HALF if rows % 2 == 1 and done == rows - 1 else F(0.25)
            for c in range(mode):
                if step & 64:
                    _add_coarse(coarse[c * half + done // 2], share, light[c], columns)
                back(given[c * rows + done], light[c], columns)
                copy(light[c], target[c * rows + done], columns)

    return slopes


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "encoded": (_slopes(read_encoded, _encode), signature(FLOATS, FLOATS)),
    "linear": (_slopes(read_linear, _nothing), signature(FLOATS, FLOATS)),
}
"""All take x, y, rows, columns, mode, step, marks, line, maps, out, first, last."""
