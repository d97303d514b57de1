"""The code of the CPU kernels, in Numba. `kernels` calls it, `machine` compiles it once and keeps it on disk.

A kernel takes pointers and whole numbers, allocates nothing and raises nothing, and covers a range of values, tiles or
rows. Importing this module imports Numba, a third of a second: it is done where there is code to compile, only.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped,unused-ignore]
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic

from beholder.kernels.sizes import (
    BLOCK,
    FULL,
    GMSD_ROWS,
    LINE,
    LUMA_BLOCK,
    MAP,
    PITCH,
    PLAIN,
    STUDIO,
    TAPS,
    TILE,
    TILE_ROWS,
    gmsd_pitch,
)

__all__ = [
    "BYTES",
    "DOUBLES",
    "FLOATS",
    "KERNELS",
    "F",
    "apart",
    "carray",
    "compile_for_c",
    "compile_to_ir",
    "exact",
    "inline",
    "loose",
    "matrix",
    "signature",
    "wide",
]

Array = Any
Pointer = Any
_numba: Any = numba  # its type hints differ between versions
_njit, carray = _numba.njit, _numba.carray
cgutils: Any = _cgutils
types: Any = _numba.types
Function = TypeVar("Function", bound=Callable[..., Any])

F = np.float32
_window = np.exp(-((np.arange(6) / 1.5) ** 2) / 2)
_window /= 2 * _window.sum() - _window[0]
_window = np.round(_window * 2**24) / 2**24  # partial sums are exact in float32: flat areas have no variance
W1, W2, W3, W4, W5 = (F(weight) for weight in _window[1:])
W0 = F(1 - 2 * _window[1:].sum())
C1, C2 = F(2 * (0.01 * 255) ** 2), F(2 * (0.03 * 255) ** 2)
LIMIT = F(16)  # keeps the error of a window below about 5e-6
ZERO, TWO, THIRD_SCALE = F(0), F(2), F(170 * 144)  # gradients are 4 (sum of 2x2) times 3 (Prewitt) too large
RED, GREEN, BLUE = F(0.299), F(0.587), F(0.114)
STUDIO_RED, STUDIO_GREEN, STUDIO_BLUE = F(65.481 / 255), F(128.553 / 255), F(24.966 / 255)

# No wrappers for Python: they would take half the time to compile, and nothing calls them.
_ALL: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_LOOSE = {**_ALL, "fastmath": True}
# Real divisions and square roots: equal pictures give exactly 1 and 0.
_EXACT = {**_ALL, "fastmath": {"nnan", "ninf", "nsz", "contract", "reassoc"}}


def loose(function: Function) -> Function:
    """Compile with all liberties of fast arithmetic."""
    return cast(Function, _njit(**_LOOSE)(function))


def exact(function: Function) -> Function:
    """Compile with real divisions and roots, so that equal pictures give exactly 1 or 0."""
    return cast(Function, _njit(**_EXACT)(function))


def inline(function: Function) -> Function:
    """Compile as `exact`, always into the caller."""
    return cast(Function, _njit(forceinline=True, **_EXACT)(function))


def _intrinsic(function: Callable[..., Any]) -> Any:  # Numba passes the context: callers do not
    return intrinsic(function)


@_intrinsic
def wide(context: Any) -> Any:
    """Let LLVM use 512-bit registers where the processor has them; it prefers 256 by itself, half as fast here."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # llvmlite's own add knows no such pair
        return context.get_dummy_value()

    return types.void(), code


@_intrinsic
def apart(context: Any) -> Any:
    """Promise that what the function writes lies in none of its other arguments, so that LLVM needs not check it."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        for argument in builder.function.args:
            if isinstance(argument.type, ir.PointerType):
                argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.void(), code


@_intrinsic
def prefetch(context: Any, address: Any) -> Any:
    """Ask for the cache line at an address."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        flags = [ir.Constant(number, value) for value in (0, 3, 1)]  # read, keep in all levels, data
        builder.call(fetch, [builder.inttoptr(arguments[0], pointer), *flags])
        return context.get_dummy_value()

    return types.void(types.intp), code


@loose
def _ahead(x: Array, row: int, left: int, count: int) -> None:
    start = x.ctypes.data + (row * x.shape[1] + left) * x.itemsize
    for offset in range(0, count * x.itemsize, 64):
        prefetch(start + offset)


_pitch = inline(gmsd_pitch)


@inline
def matrix(address: Pointer, rows: int, columns: int) -> Array:
    """The values at an address as an array of rows."""
    return carray(address, (rows, columns))


@inline
def _rounded(r: Any, g: Any, b: Any) -> Any:
    return F(math.floor(0.298936021293775 * r + 0.587043074451121 * g + 0.114020904255103 * b + 0.5))


# --- squared and absolute differences -------------------------------------------------------------------------------


def _squared(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    wide()
    p, q = carray(x, rows * columns), carray(y, rows * columns)
    total: Any = 0
    for start in range(first, last, BLOCK):
        a, b = p[start : min(start + BLOCK, last)], q[start : min(start + BLOCK, last)]
        part: Any = np.int32(0)
        for j in range(a.size):
            difference = np.int32(np.int32(a[j]) - np.int32(b[j]))
            part = np.int32(part + np.int32(difference * difference))
        total += part
    out[0] = float(total)


def _absolute(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    wide()
    p, q = carray(x, rows * columns), carray(y, rows * columns)
    total: Any = 0
    for start in range(first, last, BLOCK):
        a, b = p[start : min(start + BLOCK, last)], q[start : min(start + BLOCK, last)]
        part: Any = np.int32(0)
        for j in range(a.size):
            part = np.int32(part + np.int32(abs(np.int32(np.int32(a[j]) - np.int32(b[j])))))
        total += part
    out[0] = float(total)


@loose
def _luma_squares(a: Array, b: Array, red: Any, green: Any, blue: Any, count: int) -> Any:
    wide()
    total = ZERO
    for j in range(count):
        r = F(np.int32(a[3 * j]) - np.int32(b[3 * j]))
        g = F(np.int32(a[3 * j + 1]) - np.int32(b[3 * j + 1]))
        difference = red * r + green * g + blue * F(np.int32(a[3 * j + 2]) - np.int32(b[3 * j + 2]))
        total += difference * difference
    return total


def _luma(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    p, q = carray(x, rows * columns), carray(y, rows * columns)
    studio = mode == STUDIO
    red, green = STUDIO_RED if studio else RED, STUDIO_GREEN if studio else GREEN
    blue = STUDIO_BLUE if studio else BLUE
    total = 0.0
    for part in range(first, last):  # parts lie the same for any number of threads: so do the roundings
        start, stop = part * LUMA_BLOCK, min((part + 1) * LUMA_BLOCK, p.size // 3)
        total += _luma_squares(p[3 * start : 3 * stop], q[3 * start : 3 * stop], red, green, blue, stop - start)
    out[0] = total


# --- SSIM: sums s = x + y and differences d = x - y need four filtered maps in place of five -------------------------


@loose
def _fill(x: Array, y: Array, mode: int, s0: Any, d0: Any, s: Array, d: Array, count: int) -> None:
    """One row of sums and differences, less the shifts s0 and d0 that keep float32 squares exact enough."""
    wide()
    if mode == PLAIN:
        for j in range(count):
            a, b = F(x[j]), F(y[j])
            s[j] = (a + b) - s0
            d[j] = (a - b) - d0
    elif mode == FULL:
        for j in range(count):
            a = RED * F(x[3 * j]) + GREEN * F(x[3 * j + 1]) + BLUE * F(x[3 * j + 2])
            b = RED * F(y[3 * j]) + GREEN * F(y[3 * j + 1]) + BLUE * F(y[3 * j + 2])
            s[j] = (a + b) - s0
            d[j] = (a - b) - d0
    else:
        for j in range(count):
            a = _rounded(x[3 * j], x[3 * j + 1], x[3 * j + 2])
            b = _rounded(y[3 * j], y[3 * j + 1], y[3 * j + 2])
            s[j] = (a + b) - s0
            d[j] = (a - b) - d0


@inline
def _fold(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any, i: Any, k: Any, m: Any) -> Any:
    return W0 * f + W1 * (e + g) + W2 * (d + h) + W3 * (c + i) + W4 * (b + k) + W5 * (a + m)


def _across(q: int) -> Callable[..., None]:
    """The horizontal pass for taps q values apart: 1 for planes, 3 for interleaved colour (a constant, for speed)."""

    @loose
    def across(v: Array, mean: Array, square: Array, count: int) -> None:
        wide()
        for j in range(count):
            a, b, c, d, e = v[j], v[j + q], v[j + 2 * q], v[j + 3 * q], v[j + 4 * q]
            f, g, h, i, k, m = v[j + 5 * q], v[j + 6 * q], v[j + 7 * q], v[j + 8 * q], v[j + 9 * q], v[j + TAPS * q]
            mean[j] = _fold(a, b, c, d, e, f, g, h, i, k, m)
            square[j] = _fold(a * a, b * b, c * c, d * d, e * e, f * f, g * g, h * h, i * i, k * k, m * m)

    return across


_across1, _across3 = _across(1), _across(3)


@loose
def _level(v: Array, count: int) -> Any:
    wide()
    total = ZERO
    for j in range(count):
        total += v[j]
    return F(total / F(count))


@loose
def _filter_tile(
    x: Array, y: Array, mode: int, q: int, top: int, rows: int, left: int, n: int, line: Array, maps: Array
) -> Any:
    """Horizontal pass over one tile: means and mean squares of s and d into the four maps; returns the two shifts."""
    s, d = line[0], line[1]
    colours = 1 if mode == PLAIN else 3
    count = n + TAPS * q
    start, stop = left * colours, (left + count) * colours
    middle = top + (rows + TAPS) // 2
    _fill(x[middle, start:stop], y[middle, start:stop], mode, ZERO, ZERO, s, d, count)
    s0, d0 = F(round(_level(s, count))), F(round(_level(d, count)))  # whole numbers: squares of bytes stay exact
    for r in range(rows + TAPS):
        if top + r + 4 < x.shape[0]:  # rows lie far apart: the processor does not guess the next one
            _ahead(x, top + r + 4, start, stop - start)
            _ahead(y, top + r + 4, start, stop - start)
        _fill(x[top + r, start:stop], y[top + r, start:stop], mode, s0, d0, s, d, count)
        at = r * PITCH
        if q == 1:
            _across1(s, maps[0, at:], maps[1, at:], n)
            _across1(d, maps[2, at:], maps[3, at:], n)
        else:
            _across3(s, maps[0, at:], maps[1, at:], n)
            _across3(d, maps[2, at:], maps[3, at:], n)
    return s0, d0


@inline
def _down(v: Array, j: int) -> Any:
    """The vertical pass for one value."""
    return _fold(
        v[j], v[j + PITCH], v[j + 2 * PITCH], v[j + 3 * PITCH], v[j + 4 * PITCH], v[j + 5 * PITCH], v[j + 6 * PITCH],
        v[j + 7 * PITCH], v[j + 8 * PITCH], v[j + 9 * PITCH], v[j + 10 * PITCH],
    )  # fmt: skip


@inline
def _down4(v: Array, j: int) -> Any:
    """The vertical pass for four rows at once: 14 loads in place of 44."""
    a, b, c, d, e, f = v[j], v[j + PITCH], v[j + 2 * PITCH], v[j + 3 * PITCH], v[j + 4 * PITCH], v[j + 5 * PITCH]
    g, h, i, k = v[j + 6 * PITCH], v[j + 7 * PITCH], v[j + 8 * PITCH], v[j + 9 * PITCH]
    m, n, o, p = v[j + 10 * PITCH], v[j + 11 * PITCH], v[j + 12 * PITCH], v[j + 13 * PITCH]
    return (
        _fold(a, b, c, d, e, f, g, h, i, k, m),
        _fold(b, c, d, e, f, g, h, i, k, m, n),
        _fold(c, d, e, f, g, h, i, k, m, n, o),
        _fold(d, e, f, g, h, i, k, m, n, o, p),
    )


@inline
def _terms(s: Any, ss: Any, d: Any, dd: Any, s0: Any, d0: Any) -> Any:
    """Luminance and contrast-structure fractions of one window, and by how much float32 is too short for it.

    Numerators and denominators are doubled: s^2 - d^2 = 4xy and s^2 + d^2 = 2(x^2 + y^2). The variance of d has lost
    too many digits where its mean, less the shift, is large beside the denominator.
    """
    s2, d2 = s * s, d * d
    vs, vd = ss - s2, dd - d2
    below = vs + vd + C2
    s += s0
    d += d0
    s *= s
    d *= d
    return s - d + C1, s + d + C1, vs - vd + C2, below, max(d2 - LIMIT * below, ZERO)


@exact
def _score4(s: Array, ss: Array, d: Array, dd: Array, s0: Any, d0: Any, count: int) -> Any:
    wide()
    total, excess = ZERO, ZERO
    for j in range(count):
        a0, a1, a2, a3 = _down4(s, j)
        b0, b1, b2, b3 = _down4(d, j)
        p0, p1, p2, p3 = _down4(ss, j)
        q0, q1, q2, q3 = _down4(dd, j)
        e, f, g, h, w = _terms(a0, p0, b0, q0, s0, d0)
        total += (e * g) / (f * h)
        e, f, g, h, x = _terms(a1, p1, b1, q1, s0, d0)
        total += (e * g) / (f * h)
        e, f, g, h, y = _terms(a2, p2, b2, q2, s0, d0)
        total += (e * g) / (f * h)
        e, f, g, h, z = _terms(a3, p3, b3, q3, s0, d0)
        total += (e * g) / (f * h)
        excess += (w + x) + (y + z)
    return total, excess


@exact
def _score1(s: Array, ss: Array, d: Array, dd: Array, s0: Any, d0: Any, count: int) -> Any:
    wide()
    total, contrast, excess = ZERO, ZERO, ZERO
    for j in range(count):
        e, f, g, h, over = _terms(_down(s, j), _down(ss, j), _down(d, j), _down(dd, j), s0, d0)
        term = g / h
        total += term * (e / f)
        contrast += term
        excess += over
    return total, contrast, excess


@loose
def _place(tile: int, height: int, width: int) -> Any:
    """First row, rows, first column and columns of a tile."""
    columns = (width + TILE - 1) // TILE
    top, left = tile // columns * TILE_ROWS, tile % columns * TILE
    return top, min(TILE_ROWS, height - top), left, min(TILE, width - left)


@loose
def _outputs(rows: int, columns: int, mode: int, step: int) -> Any:
    """Rows and columns of windows; `columns` and `step` are those of the flat rows."""
    return rows - TAPS, (columns if mode == PLAIN else columns // 3) - TAPS * step


def _ssim(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Sum over tiles, without those that float32 is too short for: they are flagged."""
    p, q, ends, m = matrix(x, rows, columns), matrix(y, rows, columns), matrix(line, 2, LINE), matrix(maps, 4, MAP)
    height, width = _outputs(rows, columns, mode, step)
    total = 0.0
    for tile in range(first, last):
        top, count, left, n = _place(tile, height, width)
        s0, d0 = _filter_tile(p, q, mode, step, top, count, left, n, ends, m)
        part, excess = 0.0, 0.0
        whole = count // 4 * 4
        for r in range(0, whole, 4):
            at = r * PITCH
            four = _score4(m[0, at:], m[1, at:], m[2, at:], m[3, at:], s0, d0, n)
            part += four[0]
            excess += four[1]
        for r in range(whole, count):
            at = r * PITCH
            one = _score1(m[0, at:], m[1, at:], m[2, at:], m[3, at:], s0, d0, n)
            part += one[0]
            excess += one[2]
        marks[tile] = excess > 0
        total += part if excess <= 0 else 0.0
    out[0], out[1] = total, 0.0


def _terms_of(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    p, q, ends, m = matrix(x, rows, columns), matrix(y, rows, columns), matrix(line, 2, LINE), matrix(maps, 4, MAP)
    height, width = _outputs(rows, columns, mode, step)
    total, contrast = 0.0, 0.0
    for tile in range(first, last):
        top, count, left, n = _place(tile, height, width)
        s0, d0 = _filter_tile(p, q, mode, step, top, count, left, n, ends, m)
        part, part_contrast, excess = 0.0, 0.0, 0.0
        for r in range(count):
            at = r * PITCH
            one = _score1(m[0, at:], m[1, at:], m[2, at:], m[3, at:], s0, d0, n)
            part += one[0]
            part_contrast += one[1]
            excess += one[2]
        marks[tile] = excess > 0
        if excess <= 0:
            total += part
            contrast += part_contrast
    out[0], out[1] = total, contrast


def _double(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """The marks tiles in float64: flat areas whose differences lie far apart, hardly ever in photographs."""
    p, q, ends, m = matrix(x, rows, columns), matrix(y, rows, columns), matrix(line, 2, LINE), matrix(maps, 4, MAP)
    height, width = _outputs(rows, columns, mode, step)
    total, contrast = 0.0, 0.0
    for number in range(first, last):
        top, count, left, n = _place(marks[number], height, width)
        s0, d0 = _filter_tile(p, q, mode, step, top, count, left, n, ends, m)
        for r in range(count):
            at = r * PITCH
            one = _score1(m[0, at:], m[1, at:], m[2, at:], m[3, at:], s0, d0, n)
            total += one[0]
            contrast += one[1]
    out[0], out[1] = total, contrast


# --- GMSD ------------------------------------------------------------------------------------------------------------


@loose
def _pair(a: Array, b: Array, mode: int, pair: Array, count: int) -> None:
    """Grey values of two rows, added up."""
    wide()
    if mode == PLAIN:
        for j in range(count):
            pair[j] = F(a[j]) + F(b[j])
    elif mode == FULL:
        for j in range(count):
            r, g = F(a[3 * j]) + F(b[3 * j]), F(a[3 * j + 1]) + F(b[3 * j + 1])
            pair[j] = RED * r + GREEN * g + BLUE * (F(a[3 * j + 2]) + F(b[3 * j + 2]))
    else:
        for j in range(count):
            upper = _rounded(a[3 * j], a[3 * j + 1], a[3 * j + 2])
            pair[j] = upper + _rounded(b[3 * j], b[3 * j + 1], b[3 * j + 2])


@loose
def _halve(x: Array, mode: int, zeros: Array, row: int, pair: Array, small: Array) -> None:
    """One row of the half-size picture, times four, between two zeros; a row of zeros outside the picture."""
    wide()
    width = x.shape[1] if mode == PLAIN else x.shape[1] // 3
    if row < 0 or 2 * row >= x.shape[0]:
        small[:] = ZERO
    else:
        if 2 * row + 1 < x.shape[0]:
            _pair(x[2 * row], x[2 * row + 1], mode, pair, width)
        else:
            _pair(x[2 * row], zeros, mode, pair, width)
        inner = small[1:]
        for j in range(pair.size // 2):
            inner[j] = pair[2 * j] + pair[2 * j + 1]


@inline
def _gradient(a: Array, b: Array, c: Array, j: int) -> Any:
    """Squared Prewitt magnitude, times 144."""
    gx = (a[j] + b[j] + c[j]) - (a[j + 2] + b[j + 2] + c[j + 2])
    gy = (a[j] + a[j + 1] + a[j + 2]) - (c[j] + c[j + 1] + c[j + 2])
    return gx * gx + gy * gy


@exact
def _dissimilar(xa: Array, xb: Array, xc: Array, ya: Array, yb: Array, yc: Array, row: Array) -> None:
    wide()
    for j in range(row.size):
        p, q = _gradient(xa, xb, xc, j), _gradient(ya, yb, yc, j)
        row[j] = (p + q - TWO * np.sqrt(p * q)) / (p + q + THIRD_SCALE)


@loose
def _moments(row: Array) -> Any:
    """Mean, and squared deviations from it, in two passes: nothing cancels."""
    wide()
    rough = _level(row, row.size)
    first, second = ZERO, ZERO
    for j in range(row.size):
        offset = row[j] - rough
        first += offset
        second += offset * offset
    shift = float(first) / row.size
    return float(rough) + shift, float(second) - shift * shift * row.size


def _gmsd(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Number, mean and squared deviations. line: rows of floats, zero; maps: one row of bytes, zero."""
    p, q, zeros = matrix(x, rows, columns), matrix(y, rows, columns), carray(maps, columns)
    count = ((columns if mode == PLAIN else columns // 3) + 1) // 2
    floats = matrix(line, GMSD_ROWS, _pitch(count))
    pair, row = floats[0, : 2 * count], floats[1, :count]
    xa, xb, xc = floats[2, : count + 2], floats[3, : count + 2], floats[4, : count + 2]
    ya, yb, yc = floats[5, : count + 2], floats[6, : count + 2], floats[7, : count + 2]
    _halve(p, mode, zeros, first - 1, pair, xb)
    _halve(p, mode, zeros, first, pair, xc)
    _halve(q, mode, zeros, first - 1, pair, yb)
    _halve(q, mode, zeros, first, pair, yc)
    number, mean, spread = 0.0, 0.0, 0.0
    for r in range(first, last):
        xa, xb, xc = xb, xc, xa
        ya, yb, yc = yb, yc, ya
        _halve(p, mode, zeros, r + 1, pair, xc)
        _halve(q, mode, zeros, r + 1, pair, yc)
        _dissimilar(xa, xb, xc, ya, yb, yc, row)
        part, squares = _moments(row)
        offset = part - mean
        number += count
        mean += offset * count / number
        spread += squares + offset * offset * count * (number - count) / number
    out[0], out[1], out[2] = number, mean, spread


# --- their types -----------------------------------------------------------------------------------------------------

BYTES, FLOATS, DOUBLES = (types.CPointer(t) for t in (types.uint8, types.float32, types.float64))
_INDICES, _N = types.CPointer(types.intp), types.intp


def signature(pixels: Any, marks: Any = BYTES, line: Any = FLOATS, maps: Any = FLOATS) -> Any:
    """The type of a kernel by what its pointers point to."""
    return types.void(pixels, pixels, *[_N] * 4, marks, line, maps, DOUBLES, _N, _N)


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "squared": (_squared, signature(BYTES)),
    "absolute": (_absolute, signature(BYTES)),
    "luma": (_luma, signature(BYTES)),
    "ssim": (_ssim, signature(BYTES)),
    "terms": (_terms_of, signature(BYTES)),
    "terms_float": (_terms_of, signature(FLOATS)),
    "double": (_double, signature(BYTES, _INDICES, DOUBLES, DOUBLES)),
    "double_float": (_double, signature(FLOATS, _INDICES, DOUBLES, DOUBLES)),
    "gmsd": (_gmsd, signature(BYTES, maps=BYTES)),
}
"""All take x, y, rows, columns of a row in values, mode, step, marks, line, maps, out, first, last."""


def _find(name: str) -> tuple[Callable[..., None], Any]:
    """A kernel of this file, or "family.kernel" of the file `family`_code.py, which has a table like `KERNELS`."""
    family, _, kernel = name.rpartition(".")
    if not family:
        return KERNELS[name]
    table: dict[str, Any] = importlib.import_module(f"beholder.kernels.{family}_code").KERNELS
    found: tuple[Callable[..., None], Any] = table[kernel]
    return found


def compile_to_ir(name: str) -> str:
    """A kernel as optimised LLVM code, in text: one external function."""
    function, signature = _find(name)
    code: dict[Any, str] = _njit(signature, **_ALL)(function).inspect_llvm()
    (text,) = code.values()
    return text


def compile_for_c(name: str) -> Any:
    """A kernel as Numba's object with an `address`."""
    function, signature = _find(name)
    return numba.cfunc(signature, error_model="numpy")(function)
