"""The code of `cosine`: PSNR-HVS and PSNR-HVS-M of float32 planes with their gradients, in Numba.

Up to 64 blocks lie side by side in eight rows. The transform down the rows works on whole lines; the one along them
takes the eight values of a block into registers, uses its coefficients and, for gradients, transforms back at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.kernels.code import FLOATS, F, carray, exact, inline, matrix, signature, wide
from beholder.kernels.cosine_code import BLOCKS
from beholder.kernels.cosine_rows_code import PITCH, ROOM, back, differ, down, fetch, forward, up

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
ZERO = F(0)
SENSITIVITIES, HIDING, LIMITS, WEIGHTS, TABLES = 0, 64, 128, 192, 208
"""Where the tables begin: squared sensitivities, masking (nothing of the mean), limits, weights of colours."""
LINES = 18
"""Lines of a value for each block: what each picture hides, the larger, its slope; for each picture masking, whole and
local contrast, and means of quarters."""
_halves = [float(sum(np.cos((2 * i + 1) * k * np.pi / 16) / 2 for i in range(4))) for k in range(1, 8)]
HALVES = (F(2**0.5), *(F(h) for h in _halves))
"""What the transform makes of four ones and four zeros; of zeros and ones: the same with odd numbers negative."""
LARGE = (F(16 / 15), F(64 / 63))


@exact
def _energy(v: Array, w: Array, n: int) -> Any:
    """Weighted squares of a row of the difference, transformed down the rows."""
    wide()
    w0, w1, w2, w3, w4, w5, w6, w7 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
    total = ZERO
    for j in range(n):
        k = 8 * j
        a, b, c, d, e, f, g, h = forward(
            v[k], v[k + 1], v[k + 2], v[k + 3], v[k + 4], v[k + 5], v[k + 6], v[k + 7]
        )  # fmt: skip
        near = w0 * (a * a) + w1 * (b * b) + w2 * (c * c) + w3 * (d * d)
        total += near + (w4 * (e * e) + w5 * (f * f) + w6 * (g * g) + w7 * (h * h))
    return total


@exact
def _weighted(v: Array, w: Array, n: int) -> Any:
    """As `_energy`; the row is left with half of what it changes by."""
    wide()
    w0, w1, w2, w3, w4, w5, w6, w7 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
    total = ZERO
    for j in range(n):
        k = 8 * j
        a, b, c, d, e, f, g, h = forward(
            v[k], v[k + 1], v[k + 2], v[k + 3], v[k + 4], v[k + 5], v[k + 6], v[k + 7]
        )  # fmt: skip
        p, q, r, s, t, u, x, y = w0 * a, w1 * b, w2 * c, w3 * d, w4 * e, w5 * f, w6 * g, w7 * h
        total += (a * p + b * q + c * r + d * s) + (e * t + f * u + g * x + h * y)
        a, b, c, d, e, f, g, h = back(p, q, r, s, t, u, x, y)
        v[k], v[k + 1], v[k + 2], v[k + 3] = a, b, c, d
        v[k + 4], v[k + 5], v[k + 6], v[k + 7] = e, f, g, h
    return total


@exact
def _local(v: Array, mean: Array, total: Array, n: int) -> None:
    """Mean of a quarter's 16 pixels; their squared deviations from it are added to a line."""
    wide()
    for j in range(n):
        first = v[8 * j]
        sums, squares = ZERO, ZERO
        for k in range(4):
            for m in range(4):
                offset = v[8 * j + k * PITCH + m] - first
                sums += offset
                squares += offset * offset
        mean[j] = first + sums * F(1 / 16)
        total[j] += squares - sums * sums * F(1 / 16)


@exact
def _contents(v: Array, w: Array, k: int, energy: Array, whole: Array, n: int) -> None:
    """Add the masking and the squares of a row's coefficients to lines; k: which row."""
    wide()
    w0, w1, w2, w3, w4, w5, w6, w7 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
    first = F(0) if k == 0 else F(1)
    for j in range(n):
        i = 8 * j
        a, b, c, d, e, f, g, h = forward(
            v[i], v[i + 1], v[i + 2], v[i + 3], v[i + 4], v[i + 5], v[i + 6], v[i + 7]
        )  # fmt: skip
        a, b, c, d, e, f, g, h = a * a, b * b, c * c, d * d, e * e, f * f, g * g, h * h
        energy[j] += (w0 * a + w1 * b + w2 * c + w3 * d) + (w4 * e + w5 * f + w6 * g + w7 * h)
        whole[j] += (first * a + b + c + d) + (e + f + g + h)


@exact
def _contrast(energy: Array, whole: Array, local: Array, to: Array, n: int) -> None:
    """What a block hides; the lines are left with how that changes by each of the three."""
    wide()
    for j in range(n):
        e, w, k = energy[j], whole[j] * LARGE[1], local[j] * LARGE[0]
        product = e * (k / (w if w > ZERO else F(1))) if w > ZERO else ZERO
        root = np.sqrt(product) * F(1 / 32)
        good = product > ZERO
        to[j] = root if good else ZERO
        energy[j] = root / (e + e) if good else ZERO
        whole[j] = LARGE[1] * (root / (w + w)) if good else ZERO
        local[j] = LARGE[0] * (root / (k + k)) if good else ZERO


@exact
def _visible(v: Array, w: Array, limits: Array, hidden: Array, n: int) -> Any:
    """Weighted squares of what a row of the difference has beyond what is hidden."""
    wide()
    w0, w1, w2, w3, w4, w5, w6, w7 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
    l0, l1, l2, l3, l4, l5, l6, l7 = (
        limits[0], limits[1], limits[2], limits[3], limits[4], limits[5], limits[6], limits[7],
    )  # fmt: skip
    total = ZERO
    for j in range(n):
        k, m = 8 * j, hidden[j]
        a, b, c, d, e, f, g, h = forward(
            v[k], v[k + 1], v[k + 2], v[k + 3], v[k + 4], v[k + 5], v[k + 6], v[k + 7]
        )  # fmt: skip
        a, b, c, d = _over(a, l0 * m), _over(b, l1 * m), _over(c, l2 * m), _over(d, l3 * m)
        e, f, g, h = _over(e, l4 * m), _over(f, l5 * m), _over(g, l6 * m), _over(h, l7 * m)
        near = w0 * (a * a) + w1 * (b * b) + w2 * (c * c) + w3 * (d * d)
        total += near + (w4 * (e * e) + w5 * (f * f) + w6 * (g * g) + w7 * (h * h))
    return total


@inline
def _over(value: Any, limit: Any) -> Any:
    return max(abs(value) - limit, ZERO)


@inline
def _signed(value: Any, limit: Any) -> Any:
    """How far a value lies outside of -limit to limit."""
    return max(value - limit, ZERO) + min(value + limit, ZERO)


@exact
def _revealed(v: Array, w: Array, limits: Array, hidden: Array, slope: Array, n: int) -> Any:
    """As `_visible`; the row and `slope` are left with half of what it changes by."""
    wide()
    w0, w1, w2, w3, w4, w5, w6, w7 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
    l0, l1, l2, l3, l4, l5, l6, l7 = (
        limits[0], limits[1], limits[2], limits[3], limits[4], limits[5], limits[6], limits[7],
    )  # fmt: skip
    total = ZERO
    for j in range(n):
        k, m = 8 * j, hidden[j]
        a, b, c, d, e, f, g, h = forward(
            v[k], v[k + 1], v[k + 2], v[k + 3], v[k + 4], v[k + 5], v[k + 6], v[k + 7]
        )  # fmt: skip
        a, b, c, d = _signed(a, l0 * m), _signed(b, l1 * m), _signed(c, l2 * m), _signed(d, l3 * m)
        e, f, g, h = _signed(e, l4 * m), _signed(f, l5 * m), _signed(g, l6 * m), _signed(h, l7 * m)
        p, q, r, s, t, u, x, y = w0 * a, w1 * b, w2 * c, w3 * d, w4 * e, w5 * f, w6 * g, w7 * h
        total += (a * p + b * q + c * r + d * s) + (e * t + f * u + g * x + h * y)
        near = l0 * abs(p) + l1 * abs(q) + l2 * abs(r) + l3 * abs(s)
        slope[j] -= near + (l4 * abs(t) + l5 * abs(u) + l6 * abs(x) + l7 * abs(y))
        a, b, c, d, e, f, g, h = back(p, q, r, s, t, u, x, y)
        v[k], v[k + 1], v[k + 2], v[k + 3] = a, b, c, d
        v[k + 4], v[k + 5], v[k + 6], v[k + 7] = e, f, g, h
    return total


@exact
def _shares(own: Array, other: Array, slope: Array, lines: Array, n: int) -> None:
    """How the sum changes by energy, whole and quarters of one picture, whose blocks hide more; means less their mean.

    lines: energy, local, whole and the means of quarters, all replaced.
    """
    wide()
    for j in range(n):
        # Where both hide the same, each has half of it, as the definition's maximum.
        share = slope[j] * (F(1) if own[j] > other[j] else (F(0.5) if own[j] == other[j] else ZERO))
        local = F(2) * share * lines[2, j]
        lines[0, j] = F(2) * share * lines[0, j]
        lines[1, j] = local - F(2) * share * lines[1, j]
        mean = ((lines[3, j] + lines[4, j]) + (lines[5, j] + lines[6, j])) * F(0.25)
        lines[3, j] = local * (lines[3, j] - mean)
        lines[4, j] = local * (lines[4, j] - mean)
        lines[5, j] = local * (lines[5, j] - mean)
        lines[6, j] = local * (lines[6, j] - mean)


@exact
def _hide(v: Array, w: Array, k: int, lines: Array, n: int) -> None:
    """A row of a picture, transformed down the rows, to what its contrast changes, still transformed."""
    wide()
    w0, w1, w2, w3, w4, w5, w6, w7 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
    top, first = HALVES[k], F(0) if k == 0 else F(1)
    bottom = top if k % 2 == 0 else -top
    energy, flat, q0, q1, q2, q3 = lines[0], lines[1], lines[3], lines[4], lines[5], lines[6]
    for j in range(n):
        i, u, t = 8 * j, energy[j], flat[j]
        a, b, c, d, e, f, g, h = forward(
            v[i], v[i + 1], v[i + 2], v[i + 3], v[i + 4], v[i + 5], v[i + 6], v[i + 7]
        )  # fmt: skip
        a, b, c, d, e, f, g, h = back(
            a * (w0 * u + first * t), b * (w1 * u + t), c * (w2 * u + t), d * (w3 * u + t),
            e * (w4 * u + t), f * (w5 * u + t), g * (w6 * u + t), h * (w7 * u + t),
        )  # fmt: skip
        left, right = top * q0[j] + bottom * q2[j], top * q1[j] + bottom * q3[j]
        v[i], v[i + 1], v[i + 2], v[i + 3] = a - left, b - left, c - left, d - left
        v[i + 4], v[i + 5], v[i + 6], v[i + 7] = e - right, f - right, g - right, h - right


@inline
def _mask(tile: Array, tables: Array, lines: Array, to: Array, n: int) -> None:
    """A tile of grey values is transformed down the rows; what its blocks hide. lines: seven of a picture."""
    lines[0:3, :n] = ZERO
    for k in range(2):
        for m in range(2):
            _local(tile[4 * k * PITCH + 4 * m :], lines[3 + 2 * k + m], lines[2], n)
    down(tile, 8 * n)
    for k in range(8):
        w = tables[HIDING + 8 * k : HIDING + 8 * k + 8]
        _contents(tile[k * PITCH :], w, k, lines[0], lines[1], n)
    _contrast(lines[0], lines[1], lines[2], to, n)


@exact
def _largest(a: Array, b: Array, to: Array, slope: Array, n: int) -> None:
    wide()
    for j in range(n):
        to[j] = max(a[j], b[j])
        slope[j] = ZERO


@inline
def _pull(tile: Array, tables: Array, own: Array, other: Array, slope: Array, lines: Array, n: int) -> None:
    """A tile of a picture, transformed down the rows, to half of what the sum changes by through its contrast."""
    _shares(own, other, slope, lines, n)
    for k in range(8):
        _hide(tile[k * PITCH :], tables[HIDING + 8 * k : HIDING + 8 * k + 8], k, lines, n)
    up(tile, 8 * n)


@exact
def _store(d: Array, sign: Any, more: Array, to: Array, n: int) -> None:
    wide()
    for j in range(n):
        to[j] = sign * d[j] + more[j]


@exact
def _store_plain(d: Array, sign: Any, to: Array, n: int) -> None:
    wide()
    for j in range(n):
        to[j] = sign * d[j]


@inline
def _keep(d: Array, more: Array, i: int, sign: Any, masked: bool, to: Array, n: int) -> None:
    if masked:
        _store(d[i * PITCH :], sign, more[i * PITCH :], to, n)
    else:
        _store_plain(d[i * PITCH :], sign, to, n)


@inline
def _squares(tile: Array, tables: Array, lines: Array, masked: bool, slopes: bool, n: int) -> Any:
    """The sum over a tile of differences, which is left with half of what it changes by, if that is wanted."""
    down(tile, 8 * n)
    total = 0.0
    for k in range(8):
        v, w = tile[k * PITCH :], tables[8 * k : 8 * k + 8]
        limits = tables[LIMITS + 8 * k : LIMITS + 8 * k + 8]
        if masked and slopes:
            total += _revealed(v, w, limits, lines[2], lines[3], n)
        elif masked:
            total += _visible(v, w, limits, lines[2], n)
        elif slopes:
            total += _weighted(v, w, n)
        else:
            total += _energy(v, w, n)
    if slopes:
        up(tile, 8 * n)
    return total


def _hvs(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Sum of weighted squared differences over rows of blocks, and half of what it changes by with the grey values.

    step: colours, planes one below the other; mode: 1 with masking, plus 10 for x's, 12 for y's, 14 for both slopes,
    into marks and maps (rows x columns). line: tables, lines, three tiles.
    """
    p, q = matrix(x, step * rows, columns), matrix(y, step * rows, columns)
    to_x, to_y = matrix(marks, rows, columns), matrix(maps, rows, columns)
    room = carray(line, TABLES + LINES * BLOCKS + 3 * ROOM)
    tables, lines = room[:TABLES], room[TABLES : TABLES + LINES * BLOCKS].reshape((LINES, BLOCKS))
    tiles = room[TABLES + LINES * BLOCKS :]
    a, b, d, weights = tiles[:ROOM], tiles[ROOM : 2 * ROOM], tiles[2 * ROOM :], tables[WEIGHTS:]
    masked, slopes, by_x, by_y = mode & 1 != 0, mode & 8 != 0, mode & 2 != 0, mode & 4 != 0
    blocks, total = columns // 8, 0.0
    for r in range(first, last):
        for start in range(0, blocks, BLOCKS):
            n = min(BLOCKS, blocks - start)
            left, count = 8 * start, 8 * n
            if masked:
                fetch(p, rows, step, 8 * r, left, weights, a, count)
                _mask(a, tables, lines[4:11], lines[0], n)
                fetch(q, rows, step, 8 * r, left, weights, b, count)
                _mask(b, tables, lines[11:18], lines[1], n)
                _largest(lines[0], lines[1], lines[2], lines[3], n)
            differ(p, q, rows, step, 8 * r, left, weights, d, count)
            total += _squares(d, tables, lines, masked, slopes, n)
            if by_x:
                if masked:
                    _pull(a, tables, lines[0], lines[1], lines[3], lines[4:11], n)
                for i in range(8):
                    _keep(d, a, i, F(1), masked, to_x[8 * r + i, left : left + count], count)
            if by_y:
                if masked:
                    _pull(b, tables, lines[1], lines[0], lines[3], lines[11:18], n)
                for i in range(8):
                    _keep(d, b, i, F(-1), masked, to_y[8 * r + i, left : left + count], count)
    out[0] = total


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {"hvs": (_hvs, signature(FLOATS, FLOATS))}
"""As in `code`: x, y, rows, columns, mode, step, marks, line, maps, out, first, last."""
