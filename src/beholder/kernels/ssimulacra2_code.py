"""The code of `ssimulacra2`: sums of the error maps of two pictures at one scale, and the next scale, in Numba.

Nothing but the halved planes is written: nine rows of both pictures in XYB are kept in a ring that stays in the cache.
They are blurred down the rows, then along them while the error maps are made. Beyond the border stand zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beholder.kernels.code import BYTES, FLOATS, F, apart, carray, exact, matrix, signature, wide
from beholder.kernels.ssimulacra2_rows_code import (
    C2,
    CENTRES,
    HALF,
    INSIDE,
    ONE,
    REACH,
    TWO,
    WINDOW,
    ZERO,
    along,
    blurred,
    head,
    read_bytes,
    read_encoded,
    read_linear,
    read_pair,
)

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
LIGHT, BLURRED, ROOM = 54, 66, 70
"""Lines after the ring's: linear light of an even and an odd row of both pictures; the four blurred ones; all."""


@exact
def _halve(a: Array, b: Array, target: Array, columns: int) -> None:
    wide()
    apart()
    quarter = F(0.25)
    for j in range(columns // 2):
        target[j] = ((a[2 * j] + a[2 * j + 1]) + (b[2 * j] + b[2 * j + 1])) * quarter
    if columns % 2 == 1:
        target[columns // 2] = HALF * (a[columns - 1] + b[columns - 1])


@exact
def _edges(
    x: Array, y: Array, lines: Array, w: Array, inside: Array, row: Any, centre: Any, count: int
) -> tuple[Any, Any, Any, Any]:
    """Sums of ringing and of blur over a row, each with that of its fourth power."""
    wide()
    apart()
    ringing, ringing4, blur, blur4 = ZERO, ZERO, ZERO, ZERO
    t, mx, my = (w[0], w[1], w[2], w[3], w[4]), lines[0], lines[1]
    for j in range(count):
        beyond = centre * (ONE - row * inside[j])
        p, q = abs(x[j] - along(mx, j, t) + beyond), abs(y[j] - along(my, j, t) + beyond)
        error = (p - q) / (ONE + q)
        more, less = max(error, ZERO), max(-error, ZERO)
        ringing += more
        blur += less
        a, b = more * more, less * less
        ringing4 += a * a
        blur4 += b * b
    return ringing, ringing4, blur, blur4


@exact
def _maps(
    x: Array, y: Array, lines: Array, w: Array, inside: Array, row: Any, centre: Any, count: int
) -> tuple[Any, Any, Any, Any, Any, Any]:
    """Sums of structure error, ringing and blur over a row, each with that of its fourth power."""
    wide()
    apart()
    total, fourth, ringing, ringing4, blur, blur4 = ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
    t, mx, my, rr, qq = (w[0], w[1], w[2], w[3], w[4]), lines[0], lines[1], lines[2], lines[3]
    for j in range(count):
        beyond = centre * (ONE - row * inside[j])
        a, b = along(mx, j, t), along(my, j, t)
        gap = (a - b) * (a - b)
        spread = along(qq, j, t) - gap
        bottom = along(rr, j, t) - (a * a + b * b) + TWO * beyond * (a + b + centre - beyond) + C2
        p, q = abs(x[j] - a + beyond), abs(y[j] - b + beyond)
        one = ONE + q
        inverse = ONE / (bottom * one)
        structure = max((spread + gap * (bottom - spread)) * one * inverse, ZERO)
        error = (p - q) * bottom * inverse
        more, less = max(error, ZERO), max(-error, ZERO)
        total += structure
        ringing += more
        blur += less
        a, b, c = structure * structure, more * more, less * less
        fourth += a * a
        ringing4 += b * b
        blur4 += c * c
    return total, fourth, ringing, ringing4, blur, blur4


def _sums(read: Any) -> Callable[..., None]:
    """A kernel by how it reads a row."""

    def sums(
        x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer,
        maps: Pointer, out: Pointer, first: int, last: int,
    ) -> None:  # fmt: skip
        """Sums over rows of three channels: structure, ringing, blur, each with that of the fourth power.

        mode: channels; step: bits of the channels whose structure (1, 2, 4) and edges (8, 16, 32) are wanted, 64 for
        the halved planes, which are written to maps, the first picture's and then the second's; line: settings, zeros
        in the margins of the blurred lines.
        """
        start, pitch = head(rows, columns)
        w, room = carray(line, start * pitch), matrix(line, start + ROOM, pitch)[start:]
        inside, lines, half = w[INSIDE:], room[BLURRED:], (rows + 1) // 2
        small = matrix(maps, 2 * mode * half, (columns + 1) // 2)
        for k in range(18):
            out[k] = 0.0
        for r in range(first - REACH, last + REACH):
            light = LIGHT + r % 2 * 6
            read_pair(read, x, y, rows, columns, mode, r, w, room[light:], room[light + 3 :], room)
            if step & 64 and first <= r < last and (r % 2 == 1 or r + 1 == rows):
                for k in range(2 * mode):
                    n = k // mode * 3 + k % mode
                    _halve(room[LIGHT + n], room[light + n], small[k * half + r // 2], columns)
            if r < first + REACH:
                continue
            oldest, middle = r - 2 * REACH + WINDOW, (r - REACH) % WINDOW * 6
            row = inside[columns + r - REACH]
            for c in range(3):
                structure, edges = step & (1 << c), step & (8 << c)
                if not (structure or edges):
                    continue
                blurred(room, lines, oldest, c, structure != 0, w, columns)
                p, q, centre, o = room[middle + c], room[middle + c + 3], w[CENTRES + c], 6 * c
                if structure:
                    s, s4, e, e4, b, b4 = _maps(p, q, lines, w, inside, row, centre, columns)
                    out[o] += s
                    out[o + 1] += s4
                else:
                    e, e4, b, b4 = _edges(p, q, lines, w, inside, row, centre, columns)
                out[o + 2] += e
                out[o + 3] += e4
                out[o + 4] += b
                out[o + 5] += b4

    return sums


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "bytes": (_sums(read_bytes), signature(BYTES, FLOATS)),
    "encoded": (_sums(read_encoded), signature(FLOATS, FLOATS)),
    "linear": (_sums(read_linear), signature(FLOATS, FLOATS)),
}
"""All take x, y, rows, columns of a row in pixels, mode, step, marks, line, maps, out, first, last."""
