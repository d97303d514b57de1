"""The code of `natural`: grey planes, their half, and the moments of normalised luminance, in Numba.

Planes are float32; what is small beside what it comes from, variances above all, is worked out in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.arrays import LUMA_FULL, LUMA_MATLAB, LUMA_STUDIO
from beholder.kernels.code import BYTES, DOUBLES, FLOATS, F, carray, inline, loose, matrix, signature, wide
from beholder.kernels.sizes import FULL, PLAIN, STUDIO
from beholder.resizing import contributions
from beholder.statistics import STILL, WINDOW

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
G0, G1, G2, G3 = (float(w) for w in WINDOW[3:])
FR, FG, FB = LUMA_FULL
MR, MG, MB = LUMA_MATLAB
SR, SG, SB = LUMA_STUDIO
H0, H1, H2, H3 = (float(w) for w in contributions(32, 0.5, "bicubic", True)[1][8, 4:])
ACTIVE, IMPAIRED = 0.1, 0.1
CHUNK = 128
"""Values that float32 adds up before float64 does."""
MARGIN = 3
SUMS = 5
MAPS = 5
ZERO = F(0)
ONE = F(1)
MINIMUM = F(STILL)


def _grey(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Grey levels of the first `step` pixels of rows; mode: PLAIN, FULL, ROUNDED rgb2gray or rounded STUDIO."""
    wide()
    p, g = matrix(x, rows, columns), matrix(maps, rows, step)
    for i in range(first, last):
        if mode == PLAIN:
            for j in range(step):
                g[i, j] = p[i, j]
        elif mode == FULL:
            for j in range(step):
                g[i, j] = FR * p[i, 3 * j] + FG * p[i, 3 * j + 1] + FB * p[i, 3 * j + 2]
        elif mode == STUDIO:
            for j in range(step):
                g[i, j] = math.floor(SR * p[i, 3 * j] + SG * p[i, 3 * j + 1] + SB * p[i, 3 * j + 2] + 0.500001)
        else:
            for j in range(step):
                g[i, j] = math.floor(MR * p[i, 3 * j] + MG * p[i, 3 * j + 1] + MB * p[i, 3 * j + 2] + 0.5)


@inline
def _mirror(i: int, n: int) -> int:
    i = i % (2 * n)
    return min(i, 2 * n - 1 - i)


@inline
def _eighth(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    return H0 * (d + e) + H1 * (c + f) + H2 * (b + g) + H3 * (a + h)


@loose
def _fold_rows(p: Array, at: int, v: Array, columns: int) -> None:
    wide()
    n = p.shape[0]
    a, b, c, d = p[_mirror(at, n)], p[_mirror(at + 1, n)], p[_mirror(at + 2, n)], p[_mirror(at + 3, n)]
    e, f, g, h = p[_mirror(at + 4, n)], p[_mirror(at + 5, n)], p[_mirror(at + 6, n)], p[_mirror(at + 7, n)]
    for j in range(columns):
        v[j + 4] = _eighth(
            float(a[j]), float(b[j]), float(c[j]), float(d[j]), float(e[j]), float(f[j]), float(g[j]), float(h[j])
        )


@loose
def _fold_line(v: Array, h: Array, count: int) -> None:
    wide()
    for j in range(count):
        k = 2 * j + 1
        h[j] = _eighth(v[k], v[k + 1], v[k + 2], v[k + 3], v[k + 4], v[k + 5], v[k + 6], v[k + 7])


def _half(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Rows of the plane at half the size, bicubic with antialiasing; `step` is its columns."""
    p, h, v = matrix(x, rows, columns), matrix(maps, (rows + 1) // 2, step), carray(line, columns + 10)
    for i in range(first, last):
        _fold_rows(p, 2 * i - 3, v, columns)
        for k in range(4):
            v[k] = v[4 + _mirror(k - 4, columns)]
        for k in range(6):
            v[4 + columns + k] = v[4 + _mirror(columns + k, columns)]
        _fold_line(v, h[i], step)


@inline
def _seven(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any) -> Any:
    return G0 * d + G1 * (c + e) + G2 * (b + f) + G3 * (a + g)


@loose
def _down(p: Array, i: int, mode: int, mean: Array, square: Array, columns: int) -> None:
    """Weighted sums down the columns of a row's surroundings, and of squares; mode 1: zeros beyond the border."""
    wide()
    n = p.shape[0]
    w0 = 0.0 if mode == 1 and i < 3 else G3
    w1 = 0.0 if mode == 1 and i < 2 else G2
    w2 = 0.0 if mode == 1 and i < 1 else G1
    w4 = 0.0 if mode == 1 and i > n - 2 else G1
    w5 = 0.0 if mode == 1 and i > n - 3 else G2
    w6 = 0.0 if mode == 1 and i > n - 4 else G3
    a, b, c, d = p[max(i - 3, 0)], p[max(i - 2, 0)], p[max(i - 1, 0)], p[i]
    e, f, g = p[min(i + 1, n - 1)], p[min(i + 2, n - 1)], p[min(i + 3, n - 1)]
    for j in range(columns):
        q, r, s, t, u, v, w = (
            float(a[j]), float(b[j]), float(c[j]), float(d[j]), float(e[j]), float(f[j]), float(g[j])
        )  # fmt: skip
        mean[j + MARGIN] = G0 * t + (w2 * s + w4 * u) + (w1 * r + w5 * v) + (w0 * q + w6 * w)
        square[j + MARGIN] = (
            G0 * t * t + (w2 * s * s + w4 * u * u) + (w1 * r * r + w5 * v * v) + (w0 * q * q + w6 * w * w)
        )


@loose
def _ends(v: Array, mode: int, columns: int) -> None:
    for k in range(MARGIN):
        v[k] = 0.0 if mode == 1 else v[MARGIN]
        v[MARGIN + columns + k] = 0.0 if mode == 1 else v[MARGIN + columns - 1]


@loose
def _across(x: Array, mean: Array, square: Array, s: Array, columns: int) -> None:
    wide()
    for j in range(columns):
        m = _seven(mean[j], mean[j + 1], mean[j + 2], mean[j + 3], mean[j + 4], mean[j + 5], mean[j + 6])
        e = _seven(square[j], square[j + 1], square[j + 2], square[j + 3], square[j + 4], square[j + 5], square[j + 6])
        d = F(float(x[j]) - m)
        d = ZERO if abs(d) < MINIMUM else d
        s[j] = d / (F(math.sqrt(abs(e - m * m))) + ONE)


@loose
def _normalised(p: Array, i: int, mode: int, lines: Array, s: Array) -> None:
    """One row of normalised luminance."""
    columns = p.shape[1]
    mean, square = lines[0], lines[1]
    _down(p, i, mode, mean, square, columns)
    _ends(mean, mode, columns)
    _ends(square, mode, columns)
    _across(p[i], mean, square, s, columns)


@loose
def _add_products(a: Array, b: Array, count: int, total: Array) -> None:
    """Add moduli, squares below and above 0, and their counts, of the products of two lines."""
    wide()
    for start in range(0, count, CHUNK):
        n = min(CHUNK, count - start)
        c, d = a[start : start + n], b[start : start + n]
        modulus, below, above, fewer, more = ZERO, ZERO, ZERO, ZERO, ZERO
        for j in range(n):
            v = c[j] * d[j]
            q = v * v
            modulus += abs(v)
            below += q if v < ZERO else ZERO
            above += q if v > ZERO else ZERO
            fewer += ONE if v < ZERO else ZERO
            more += ONE if v > ZERO else ZERO
        total[0] += float(modulus)
        total[1] += float(below)
        total[2] += float(above)
        total[3] += float(fewer)
        total[4] += float(more)


@loose
def _around(s: Array, start: int, count: int, v: Array) -> None:
    """A stretch of a row with one value more on either side, from its other end."""
    for j in range(count):
        v[j + 1] = s[start + j]
    v[0], v[count + 1] = v[count], v[1]


@loose
def _add_row(own: Array, above: Array, start: int, count: int, lines: Array, total: Array) -> None:
    u, v, ones = lines[0], lines[1], lines[2]
    _around(own, start, count, u)
    _around(above, start, count, v)
    _add_products(u[1:], ones, count, total[0])
    _add_products(u[1:], u, count, total[1])
    _add_products(u[1:], v[1:], count, total[2])
    _add_products(u[1:], v, count, total[3])
    _add_products(u[1:], v[2:], count, total[4])


def _moments(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Sums over squares of `step` pixels, rows of them from first to last; or, where step is 0, over rows of a plane.

    mode: 1 for zeros beyond the border. Neighbours are looked for around the end of a square, or of the plane.
    """
    p, lines = matrix(x, rows, columns), matrix(line, 2, columns + 2 * MARGIN)
    width = step if step > 0 else columns
    blocks = columns // width
    height = step if step > 0 else 1
    work = matrix(maps, height + 4, columns + 2)
    near = work[height + 1 :]
    for j in range(columns):
        near[2, j] = ONE
    unit = 0
    if step > 0:
        unit = first
        totals = carray(out, (rows // step * blocks, MAPS, SUMS))
        for top in range(first, last):
            for r in range(step):
                _normalised(p, top * step + r, mode, lines, work[r])
            for r in range(step):
                before = work[r - 1] if r > 0 else work[step - 1]
                for b in range(blocks):
                    _add_row(work[r], before, b * step, step, near, totals[unit * blocks + b])
            unit += 1
        return
    totals = carray(out, (rows, MAPS, SUMS))
    _normalised(p, (first - 1) % rows, mode, lines, work[0])
    for i in range(first, last):
        now, before = (i - first + 1) % 2, (i - first) % 2
        _normalised(p, i, mode, lines, work[now])
        _add_row(work[now], work[before], 0, columns, near, totals[i])


@inline
def _smallest_stretch(a: Array, start: int, pitch: int) -> float:
    """The smallest sample variance of six neighbours among sixteen values, `pitch` apart."""
    least = np.inf
    for i in range(11):
        mean = 0.0
        for k in range(6):
            mean += float(a[start + (i + k) * pitch])
        mean /= 6.0
        total = 0.0
        for k in range(6):
            off = float(a[start + (i + k) * pitch]) - mean
            total += off * off
        least = min(least, total / 5.0)
    return least


@inline
def _spread(total: float, squares: float, count: int) -> float:
    return math.sqrt(max(squares - total * total / count, 0.0) / (count - 1))


@loose
def _block_score(a: Array, at: int, pitch: int, variance: float, total: float, squares: float) -> float:
    """The distortion of a block of 16x16 that catches the eye; see `beholder.metrics.perception`."""
    least = min(_smallest_stretch(a, at, 1), _smallest_stretch(a, at + 15 * pitch, 1))
    least = min(least, min(_smallest_stretch(a, at, pitch), _smallest_stretch(a, at + 15, pitch)))
    score = 1.0 - variance if least < IMPAIRED * IMPAIRED else 0.0
    middle, middle_squares, out, out_squares = 0.0, 0.0, 0.0, 0.0
    for r in range(16):
        k = at + r * pitch
        p, q, z = float(a[k + 7]), float(a[k + 8]), float(a[k + 9])
        middle += p + q
        middle_squares += p * p + q * q
        out += p + z
        out_squares += p * p + z * z
    inner, outer = _spread(middle, middle_squares, 32), _spread(total - out, squares - out_squares, 224)
    ratio = inner / outer if outer > 0.0 else 0.0
    sigma = math.sqrt(variance)
    beta = abs(sigma - ratio) / max(sigma, ratio)
    return score + (variance if sigma > 2.0 * beta else 0.0)


@loose
def _block_sums(a: Array, at: int, pitch: int) -> Any:
    total, squares = 0.0, 0.0
    for r in range(16):
        row = a[at + r * pitch : at + r * pitch + 16]
        for k in range(16):
            v = float(row[k])
            total += v
            squares += v * v
    return total, squares


def _blocks(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """For rows of blocks of 16x16: how many catch the eye, and how distorted these are."""
    p, lines = matrix(x, rows, columns), matrix(line, 2, columns + 2 * MARGIN)
    work, flat = matrix(maps, 16, columns), carray(maps, 16 * columns)
    found = carray(out, (rows // 16, 2))
    for top in range(first, last):
        for r in range(16):
            _normalised(p, top * 16 + r, mode, lines, work[r])
        seen, score = 0.0, 0.0
        for b in range(columns // 16):
            total, squares = _block_sums(flat, b * 16, columns)
            variance = max(squares - total * total / 256.0, 0.0) / 255.0
            if variance > ACTIVE:
                seen += 1.0
                score += _block_score(flat, b * 16, columns, variance, total, squares)
        found[top, 0], found[top, 1] = seen, score


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "grey": (_grey, signature(BYTES)),
    "half": (_half, signature(FLOATS, line=DOUBLES)),
    "blocks": (_blocks, signature(FLOATS, line=DOUBLES)),
    "moments": (_moments, signature(FLOATS, line=DOUBLES)),
}
"""As in `code`."""
