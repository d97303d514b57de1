"""Fused CPU kernels (Numba): accelerated twins of the metric definitions, held equal to them by tests.

Every function takes two C-contiguous uint8 arrays of equal shape, (H, W) or interleaved (H, W, 3), works on strips or
tiles with small float32 buffers that stay in the cache, and adds up in float64. `threads` strips run at once, with the
global interpreter lock released; the value does not depend on it. Compiled code is kept in a per-user cache folder
(NUMBA_CACHE_DIR, where set, else the system's), and in memory alone where no folder can be written.

Importing this module imports Numba: other modules import it inside functions.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import binding, ir  # type: ignore[import-untyped,unused-ignore]
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic

from beholder.errors import ChannelError, InputError, LayoutError, SizeError
from beholder.version import __version__

__all__ = ["absolute_error", "gmsd", "squared_error", "ssim", "ssim_terms"]

Array = Any
_njit: Any = numba.njit  # its type hints differ between versions
_config: Any = numba.config
cgutils: Any = _cgutils
types: Any = numba.types
Function = TypeVar("Function", bound=Callable[..., Any])

PLAIN, FULL, ROUNDED = 0, 1, 2  # what a kernel makes of its input: values as they are, BT.601 luma, MATLAB's rgb2gray
LUMA = {"full": FULL, "matlab": ROUNDED}

TILE = 512  # outputs per tile row: the filtered rows of a tile stay in the level-2 cache
TILE_ROWS = 64
PITCH = TILE + 16  # a row of the maps; not a power of two, so that rows do not share cache sets
SMALL = 65536  # values that are not worth a second thread
WORTH = {"squared": 1 << 21, "absolute": 1 << 21}  # nor are these: handing them over takes longer than doing them
LUMA_BLOCK = 4096
BLOCK = 16384  # values whose squared differences add up in 32 bits without overflow

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
STUDIO = F(65.481 / 255), F(128.553 / 255), F(24.966 / 255)

_LOOSE = {"nogil": True, "error_model": "numpy", "fastmath": True}
# Real divisions and square roots: equal pictures give exactly 1 and 0.
_EXACT = {"nogil": True, "error_model": "numpy", "fastmath": {"nnan", "ninf", "nsz", "contract", "reassoc"}}


def _loose(function: Function) -> Function:
    return cast(Function, _njit(**_LOOSE)(function))


def _exact(function: Function) -> Function:
    return cast(Function, _njit(**_EXACT)(function))


def _inline(function: Function) -> Function:
    return cast(Function, _njit(forceinline=True, **_EXACT)(function))


def _intrinsic(function: Callable[..., Any]) -> Any:  # Numba passes the context: callers do not
    return intrinsic(function)


@_intrinsic
def _wide(context: Any) -> Any:  # noqa: ARG001  (the signature is Numba's)
    """Let LLVM use 512-bit registers where the processor has them; it prefers 256 by itself, half as fast here."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # llvmlite's own add knows no such pair
        return context.get_dummy_value()

    return types.void(), code


@_intrinsic
def _prefetch(context: Any, address: Any) -> Any:  # noqa: ARG001
    """Ask for the cache line at an address."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        number, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        flags = [ir.Constant(number, value) for value in (0, 3, 1)]  # read, keep in all levels, data
        builder.call(fetch, [builder.inttoptr(arguments[0], pointer), *flags])
        return context.get_dummy_value()

    return types.void(types.intp), code


@_loose
def _ahead(x: Array, row: int, left: int, count: int) -> None:
    start = x.ctypes.data + (row * x.shape[1] + left) * x.itemsize
    for offset in range(0, count * x.itemsize, 64):
        _prefetch(start + offset)


@_loose
def _buffer(count: int) -> Array:
    """Zeros that start at a cache line."""
    room = np.zeros(count + 16, F)
    skip = (64 - room.ctypes.data % 64) % 64 // 4
    return room[skip : skip + count]


@_inline
def _rounded(r: Any, g: Any, b: Any) -> Any:
    return F(math.floor(0.298936021293775 * r + 0.587043074451121 * g + 0.114020904255103 * b + 0.5))


# --- squared and absolute differences -------------------------------------------------------------------------------


def _squared_sum(x: Array, y: Array, first: int, last: int) -> float:
    _wide()
    total: Any = 0
    for start in range(first, last, BLOCK):
        a, b = x[start : min(start + BLOCK, last)], y[start : min(start + BLOCK, last)]
        part: Any = np.int32(0)
        for j in range(a.size):
            difference = np.int32(np.int32(a[j]) - np.int32(b[j]))
            part = np.int32(part + np.int32(difference * difference))
        total += part
    return float(total)


def _absolute_sum(x: Array, y: Array, first: int, last: int) -> float:
    _wide()
    total: Any = 0
    for start in range(first, last, BLOCK):
        a, b = x[start : min(start + BLOCK, last)], y[start : min(start + BLOCK, last)]
        part: Any = np.int32(0)
        for j in range(a.size):
            part = np.int32(part + np.int32(abs(np.int32(np.int32(a[j]) - np.int32(b[j])))))
        total += part
    return float(total)


@_loose
def _luma_squares(a: Array, b: Array, red: Any, green: Any, blue: Any, count: int) -> Any:
    _wide()
    total = ZERO
    for j in range(count):
        r = F(np.int32(a[3 * j]) - np.int32(b[3 * j]))
        g = F(np.int32(a[3 * j + 1]) - np.int32(b[3 * j + 1]))
        difference = red * r + green * g + blue * F(np.int32(a[3 * j + 2]) - np.int32(b[3 * j + 2]))
        total += difference * difference
    return total


def _luma_squared_sum(x: Array, y: Array, red: Any, green: Any, blue: Any, first: int, last: int) -> float:
    total = 0.0
    for part in range(first, last):  # parts lie the same for any number of threads: so do the roundings
        start, stop = part * LUMA_BLOCK, min((part + 1) * LUMA_BLOCK, x.size // 3)
        total += _luma_squares(x[3 * start : 3 * stop], y[3 * start : 3 * stop], red, green, blue, stop - start)
    return total


# --- SSIM: sums s = x + y and differences d = x - y need four filtered maps in place of five -------------------------


@_loose
def _fill(x: Array, y: Array, mode: int, s0: Any, d0: Any, s: Array, d: Array, count: int) -> None:
    """One row of sums and differences, less the shifts s0 and d0 that keep float32 squares exact enough."""
    _wide()
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


@_inline
def _fold(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any, i: Any, k: Any, m: Any) -> Any:
    return W0 * f + W1 * (e + g) + W2 * (d + h) + W3 * (c + i) + W4 * (b + k) + W5 * (a + m)


def _across(q: int) -> Callable[..., None]:
    """The horizontal pass for taps q values apart: 1 for planes, 3 for interleaved colour (a constant, for speed)."""

    @_loose
    def across(v: Array, mean: Array, square: Array, count: int) -> None:
        _wide()
        for j in range(count):
            a, b, c, d, e = v[j], v[j + q], v[j + 2 * q], v[j + 3 * q], v[j + 4 * q]
            f, g, h, i, k, m = v[j + 5 * q], v[j + 6 * q], v[j + 7 * q], v[j + 8 * q], v[j + 9 * q], v[j + 10 * q]
            mean[j] = _fold(a, b, c, d, e, f, g, h, i, k, m)
            square[j] = _fold(a * a, b * b, c * c, d * d, e * e, f * f, g * g, h * h, i * i, k * k, m * m)

    return across


_across1, _across3 = _across(1), _across(3)


@_loose
def _level(v: Array, count: int) -> Any:
    _wide()
    total = ZERO
    for j in range(count):
        total += v[j]
    return F(total / F(count))


@_loose
def _filter_tile(
    x: Array, y: Array, mode: int, q: int, top: int, rows: int, left: int, n: int, line: Array, maps: Array
) -> Any:
    """Horizontal pass over one tile: means and mean squares of s and d into the four maps; returns the two shifts."""
    s, d = line[0], line[1]
    colours = 1 if mode == PLAIN else 3
    count = n + 10 * q
    start, stop = left * colours, (left + count) * colours
    middle = top + (rows + 10) // 2
    _fill(x[middle, start:stop], y[middle, start:stop], mode, ZERO, ZERO, s, d, count)
    s0, d0 = F(round(_level(s, count))), F(round(_level(d, count)))  # whole numbers: squares of bytes stay exact
    for r in range(rows + 10):
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


@_inline
def _down(v: Array, j: int) -> Any:
    """The vertical pass for one value."""
    return _fold(
        v[j], v[j + PITCH], v[j + 2 * PITCH], v[j + 3 * PITCH], v[j + 4 * PITCH], v[j + 5 * PITCH], v[j + 6 * PITCH],
        v[j + 7 * PITCH], v[j + 8 * PITCH], v[j + 9 * PITCH], v[j + 10 * PITCH],
    )  # fmt: skip


@_inline
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


@_inline
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


@_exact
def _score4(s: Array, ss: Array, d: Array, dd: Array, s0: Any, d0: Any, count: int) -> Any:
    _wide()
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


@_exact
def _score1(s: Array, ss: Array, d: Array, dd: Array, s0: Any, d0: Any, count: int) -> Any:
    _wide()
    total, contrast, excess = ZERO, ZERO, ZERO
    for j in range(count):
        e, f, g, h, over = _terms(_down(s, j), _down(ss, j), _down(d, j), _down(dd, j), s0, d0)
        term = g / h
        total += term * (e / f)
        contrast += term
        excess += over
    return total, contrast, excess


@_loose
def _place(tile: int, height: int, width: int) -> Any:
    """First row, rows, first column and columns of a tile."""
    columns = (width + TILE - 1) // TILE
    top, left = tile // columns * TILE_ROWS, tile % columns * TILE
    return top, min(TILE_ROWS, height - top), left, min(TILE, width - left)


def _ssim_sum(
    x: Array, y: Array, mode: int, q: int, height: int, width: int, flags: Array, first: int, last: int
) -> tuple[float, float]:
    """Sum over tiles, without those that float32 is too short for: they are flagged."""
    line = _buffer(2 * (TILE + 64)).reshape(2, TILE + 64)
    maps = _buffer(4 * (TILE_ROWS + 10) * PITCH).reshape(4, (TILE_ROWS + 10) * PITCH)
    total = 0.0
    for tile in range(first, last):
        top, rows, left, n = _place(tile, height, width)
        s0, d0 = _filter_tile(x, y, mode, q, top, rows, left, n, line, maps)
        part, excess = 0.0, 0.0
        whole = rows // 4 * 4
        for r in range(0, whole, 4):
            at = r * PITCH
            four = _score4(maps[0, at:], maps[1, at:], maps[2, at:], maps[3, at:], s0, d0, n)
            part += four[0]
            excess += four[1]
        for r in range(whole, rows):
            at = r * PITCH
            one = _score1(maps[0, at:], maps[1, at:], maps[2, at:], maps[3, at:], s0, d0, n)
            part += one[0]
            excess += one[2]
        flags[tile] = excess > 0
        total += part if excess <= 0 else 0.0
    return total, 0.0


def _terms_sum(
    x: Array, y: Array, mode: int, q: int, height: int, width: int, flags: Array, first: int, last: int
) -> tuple[float, float]:
    line = _buffer(2 * (TILE + 64)).reshape(2, TILE + 64)
    maps = _buffer(4 * (TILE_ROWS + 10) * PITCH).reshape(4, (TILE_ROWS + 10) * PITCH)
    total, contrast = 0.0, 0.0
    for tile in range(first, last):
        top, rows, left, n = _place(tile, height, width)
        s0, d0 = _filter_tile(x, y, mode, q, top, rows, left, n, line, maps)
        part, part_contrast, excess = 0.0, 0.0, 0.0
        for r in range(rows):
            at = r * PITCH
            one = _score1(maps[0, at:], maps[1, at:], maps[2, at:], maps[3, at:], s0, d0, n)
            part += one[0]
            part_contrast += one[1]
            excess += one[2]
        flags[tile] = excess > 0
        if excess <= 0:
            total += part
            contrast += part_contrast
    return total, contrast


def _double_sum(
    x: Array, y: Array, mode: int, q: int, height: int, width: int, chosen: Array, first: int, last: int
) -> tuple[float, float]:
    """The flagged tiles in float64: flat areas whose differences lie far apart, hardly ever in photographs."""
    line = np.zeros((2, TILE + 64))
    maps = np.zeros((4, (TILE_ROWS + 10) * PITCH))
    total, contrast = 0.0, 0.0
    for tile in chosen[first:last]:
        top, rows, left, n = _place(tile, height, width)
        s0, d0 = _filter_tile(x, y, mode, q, top, rows, left, n, line, maps)
        for r in range(rows):
            at = r * PITCH
            one = _score1(maps[0, at:], maps[1, at:], maps[2, at:], maps[3, at:], s0, d0, n)
            total += one[0]
            contrast += one[1]
    return total, contrast


# --- GMSD ------------------------------------------------------------------------------------------------------------


@_loose
def _pair(a: Array, b: Array, mode: int, pair: Array, count: int) -> None:
    """Grey values of two rows, added up."""
    _wide()
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


@_loose
def _halve(x: Array, mode: int, zeros: Array, row: int, pair: Array, small: Array) -> None:
    """One row of the half-size picture, times four, between two zeros; a row of zeros outside the picture."""
    _wide()
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


@_inline
def _gradient(a: Array, b: Array, c: Array, j: int) -> Any:
    """Squared Prewitt magnitude, times 144."""
    gx = (a[j] + b[j] + c[j]) - (a[j + 2] + b[j + 2] + c[j + 2])
    gy = (a[j] + a[j + 1] + a[j + 2]) - (c[j] + c[j + 1] + c[j + 2])
    return gx * gx + gy * gy


@_exact
def _dissimilar(xa: Array, xb: Array, xc: Array, ya: Array, yb: Array, yc: Array, row: Array) -> None:
    _wide()
    for j in range(row.size):
        p, q = _gradient(xa, xb, xc, j), _gradient(ya, yb, yc, j)
        row[j] = (p + q - TWO * np.sqrt(p * q)) / (p + q + THIRD_SCALE)


@_loose
def _moments(row: Array) -> Any:
    """Mean, and squared deviations from it, in two passes: nothing cancels."""
    _wide()
    rough = _level(row, row.size)
    first, second = ZERO, ZERO
    for j in range(row.size):
        offset = row[j] - rough
        first += offset
        second += offset * offset
    shift = float(first) / row.size
    return float(rough) + shift, float(second) - shift * shift * row.size


def _gmsd_moments(x: Array, y: Array, mode: int, first: int, last: int) -> tuple[float, float, float]:
    width = x.shape[1] if mode == PLAIN else x.shape[1] // 3
    count = (width + 1) // 2
    pair, row = _buffer(2 * count), _buffer(count)
    zeros = np.zeros(x.shape[1], np.uint8)
    xa, xb, xc = _buffer(count + 2), _buffer(count + 2), _buffer(count + 2)
    ya, yb, yc = _buffer(count + 2), _buffer(count + 2), _buffer(count + 2)
    _halve(x, mode, zeros, first - 1, pair, xb)
    _halve(x, mode, zeros, first, pair, xc)
    _halve(y, mode, zeros, first - 1, pair, yb)
    _halve(y, mode, zeros, first, pair, yc)
    number, mean, spread = 0.0, 0.0, 0.0
    for r in range(first, last):
        xa, xb, xc = xb, xc, xa
        ya, yb, yc = yb, yc, ya
        _halve(x, mode, zeros, r + 1, pair, xc)
        _halve(y, mode, zeros, r + 1, pair, yc)
        _dissimilar(xa, xb, xc, ya, yb, yc, row)
        part, squares = _moments(row)
        offset = part - mean
        number += count
        mean += offset * count / number
        spread += squares + offset * offset * count * (number - count) / number
    return number, mean, spread


# --- compiling once, running strips ----------------------------------------------------------------------------------

_ROW = types.Array(types.uint8, 1, "C", readonly=True)
_PLANE = types.Array(types.uint8, 2, "C", readonly=True)
_FLOATS = types.Array(types.float32, 2, "C", readonly=True)
_N = types.intp
_FLAGS, _CHOSEN = types.Array(types.uint8, 1, "C"), types.Array(types.intp, 1, "C")
_PAIR = types.UniTuple(types.float64, 2)
_KERNELS: dict[str, tuple[Callable[..., Any], Any]] = {
    "squared": (_squared_sum, types.float64(_ROW, _ROW, _N, _N)),
    "absolute": (_absolute_sum, types.float64(_ROW, _ROW, _N, _N)),
    "luma": (_luma_squared_sum, types.float64(_ROW, _ROW, *[types.float32] * 3, _N, _N)),
    "ssim": (_ssim_sum, _PAIR(_PLANE, _PLANE, *[_N] * 4, _FLAGS, _N, _N)),
    "terms": (_terms_sum, _PAIR(_PLANE, _PLANE, *[_N] * 4, _FLAGS, _N, _N)),
    "terms_float": (_terms_sum, _PAIR(_FLOATS, _FLOATS, *[_N] * 4, _FLAGS, _N, _N)),
    "double": (_double_sum, _PAIR(_PLANE, _PLANE, *[_N] * 4, _CHOSEN, _N, _N)),
    "double_float": (_double_sum, _PAIR(_FLOATS, _FLOATS, *[_N] * 4, _CHOSEN, _N, _N)),
    "gmsd": (_gmsd_moments, types.UniTuple(types.float64, 3)(_PLANE, _PLANE, *[_N] * 3)),
}
_compiled: dict[str, Callable[..., Any]] = {}
_lock = threading.Lock()


def _cache_root() -> Path:
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "beholder" / "kernels"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "beholder" / "kernels"


@functools.cache
def _cache_folder() -> Path | None:
    """The folder for compiled code of exactly this source, Numba and processor; None where none can be written."""
    try:
        parts = Path(__file__).read_bytes(), binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()
        key = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
        folder = _cache_root() / f"beholder-{__version__}-numba-{numba.__version__}-{key}"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # RuntimeError: no home directory
        return None


def _build(name: str) -> Callable[..., Any]:
    function, signature = _KERNELS[name]
    options = {"nogil": True, "error_model": "numpy"}
    folder = _cache_folder()
    if folder is not None:
        before = _config.CACHE_DIR
        _config.CACHE_DIR = str(folder / name)  # read once, by the next line; a folder a kernel: no two writers
        try:
            return cast(Callable[..., Any], _njit(signature, cache=True, **options)(function))
        except Exception:  # noqa: BLE001, S110  (a damaged or full cache raises anything; a real error comes again below)
            pass
        finally:
            _config.CACHE_DIR = before
    return cast(Callable[..., Any], _njit(signature, **options)(function))


def _kernel(name: str) -> Callable[..., Any]:
    kernel = _compiled.get(name)
    if kernel is None:
        with _lock:
            kernel = _compiled.get(name)
            if kernel is None:
                kernel = _compiled[name] = _build(name)
    return kernel


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(os.cpu_count() or 1, 4), thread_name_prefix="beholder-kernel")


if hasattr(os, "register_at_fork"):  # a forked child has the pool's queue and none of its threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _run(name: str, arguments: tuple[Any, ...], units: int, threads: int) -> list[Any]:
    """What a kernel returns for each of `threads` equal ranges of its rows, tiles or values."""
    if threads < 1:
        raise InputError(f"expected threads of at least 1, got {threads}; pass how many strips to run at once")
    kernel, parts = _kernel(name), max(1, min(threads, units, arguments[0].size // WORTH.get(name, SMALL)))
    if parts == 1:
        return [kernel(*arguments, 0, units)]
    cuts = [units * part // parts for part in range(parts + 1)]
    waiting = [_pool().submit(kernel, *arguments, cuts[part], cuts[part + 1]) for part in range(1, parts)]
    return [kernel(*arguments, 0, cuts[1]), *(future.result() for future in waiting)]


def _check(image: Array, reference: Array, smallest: int, kinds: tuple[Any, ...] = (np.uint8,)) -> None:
    for role, array in (("image", image), ("reference", reference)):
        if not isinstance(array, np.ndarray) or array.dtype not in kinds or not array.flags.c_contiguous:
            got = f"{array.dtype}, strides {array.strides}" if isinstance(array, np.ndarray) else type(array).__name__
            wanted = " or ".join(np.dtype(kind).name for kind in kinds)
            raise LayoutError(
                f"{role}: expected a C-contiguous NumPy array of {wanted}, got {got}; "
                "convert it, or pass it through numpy.ascontiguousarray"
            )
        if array.ndim != 2 and (array.ndim != 3 or array.shape[2] != 3):
            raise ChannelError(f"{role}: expected shape (H, W) or (H, W, 3), got {array.shape}; drop other channels")
    if image.shape != reference.shape or image.dtype != reference.dtype:
        got = f"{image.dtype} {image.shape} and {reference.dtype} {reference.shape}"
        raise SizeError(f"expected image and reference of one shape and type, got {got}; crop or convert one of them")
    if min(image.shape[:2]) < smallest:
        size = f"{image.shape[0]}x{image.shape[1]}"
        raise SizeError(f"expected at least {smallest}x{smallest} pixels, got {size}; pass larger pictures")


def _mode(image: Array, luma: str, allowed: tuple[str, ...]) -> int:
    if luma not in allowed:
        raise InputError(f"luma: expected one of {', '.join(map(repr, allowed))}, got {luma!r}")
    return PLAIN if image.ndim == 2 else LUMA.get(luma, PLAIN)


def _flat(array: Array, *shape: int) -> Array:
    view = array.reshape(shape)
    view.flags.writeable = False  # the type that the kernels are compiled for; the caller's array stays as it is
    return view


def squared_error(image: Array, reference: Array, threads: int = 1, luma: str = "") -> float:
    """Mean squared error in squared units of 0..255, exact to the last bit without luma.

    image, reference: uint8, C-contiguous, (H, W) or (H, W, 3). luma: "" for all values, "studio" for MATLAB's unrounded
    rgb2ycbcr (ITU-R BT.601, 16..235; grey counts as R = G = B), "full" for .299 R + .587 G + .114 B.
    Raises LayoutError, ChannelError, SizeError or InputError.
    """
    _check(image, reference, 1)
    _mode(image, luma, ("", "studio", "full"))
    x, y = _flat(image, -1), _flat(reference, -1)
    if luma == "" or image.ndim == 2:
        scale = (219 / 255) ** 2 if luma == "studio" else 1.0
        return float(math.fsum(_run("squared", (x, y), x.size, threads)) / x.size * scale)
    weights = STUDIO if luma == "studio" else (RED, GREEN, BLUE)
    return float(math.fsum(_run("luma", (x, y, *weights), -(-x.size // (3 * LUMA_BLOCK)), threads)) / (x.size // 3))


def absolute_error(image: Array, reference: Array, threads: int = 1) -> float:
    """Mean absolute error in units of 0..255, exact to the last bit; input and errors as for squared_error."""
    _check(image, reference, 1)
    x, y = _flat(image, -1), _flat(reference, -1)
    return float(math.fsum(_run("absolute", (x, y), x.size, threads)) / x.size)


def _mean_terms(fast: str, double: str, arguments: tuple[Any, ...], threads: int) -> tuple[float, float]:
    height, width = arguments[-2:]
    flags = np.zeros(-(-height // TILE_ROWS) * -(-width // TILE), np.uint8)
    parts = _run(fast, (*arguments, flags), flags.size, threads)
    chosen = np.flatnonzero(flags)
    if chosen.size:
        parts += _run(double, (*arguments, chosen), chosen.size, threads)
    totals, contrasts = zip(*parts, strict=True)
    return math.fsum(totals) / (height * width), math.fsum(contrasts) / (height * width)


def ssim(image: Array, reference: Array, threads: int = 1, luma: str = "") -> float:
    """Mean structural similarity, -1 to 1, with the 11x11 Gaussian of sigma 1.5, valid windows, no downsampling.

    image, reference: uint8, C-contiguous, (H, W) or (H, W, 3), at least 11x11. luma: "" for the mean over the channels,
    "full" for unrounded .299 R + .587 G + .114 B, "matlab" for rgb2gray, rounded; nothing on grey pictures.
    Raises LayoutError, ChannelError, SizeError or InputError.
    Source: Wang et al. 2004, Image Quality Assessment: From Error Visibility to Structural Similarity,
    doi:10.1109/TIP.2003.819861.
    """
    _check(image, reference, 11)
    mode = _mode(image, luma, ("", "full", "matlab"))
    rows, columns = image.shape[:2]
    step = 3 if image.ndim == 3 and mode == PLAIN else 1
    height, width = rows - 10, (columns - 10) * step
    arguments = (_flat(image, rows, -1), _flat(reference, rows, -1), mode, step, height, width)
    return _mean_terms("ssim", "double", arguments, threads)[0]


def ssim_terms(image: Array, reference: Array, threads: int = 1) -> tuple[float, float]:
    """Mean SSIM and its mean contrast-structure term, as MS-SSIM needs them for every scale.

    image, reference: planes (H, W) of at least 11x11, uint8 or float32 in 0..255, C-contiguous.
    Raises LayoutError, ChannelError or SizeError. Source: as for ssim, and Wang et al. 2003, Multiscale Structural
    Similarity for Image Quality Assessment, doi:10.1109/ACSSC.2003.1292216.
    """
    _check(image, reference, 11, (np.uint8, np.float32))
    if image.ndim != 2:
        raise ChannelError(f"expected planes of shape (H, W), got {image.shape}; pass one channel at a time")
    height, width = image.shape[0] - 10, image.shape[1] - 10
    arguments = (_flat(image, *image.shape), _flat(reference, *image.shape), PLAIN, 1, height, width)
    names = ("terms", "double") if image.dtype == np.uint8 else ("terms_float", "double_float")
    return _mean_terms(*names, arguments, threads)


def gmsd(image: Array, reference: Array, threads: int = 1, luma: str = "full") -> float:
    """Gradient magnitude similarity deviation, from 0 for equal pictures upwards.

    image, reference: uint8, C-contiguous, (H, W) or (H, W, 3), at least 2x2. luma: "full" for unrounded
    .299 R + .587 G + .114 B, "matlab" for rgb2gray, rounded; nothing on grey pictures.
    Raises LayoutError, ChannelError, SizeError or InputError.
    Source: Xue et al. 2014, Gradient Magnitude Similarity Deviation, doi:10.1109/TIP.2013.2293423, and the authors'
    program: zeros beyond the border, the standard deviation over N - 1.
    """
    _check(image, reference, 2)
    mode = _mode(image, luma, ("full", "matlab"))
    rows = image.shape[0]
    arguments = (_flat(image, rows, -1), _flat(reference, rows, -1), mode)
    parts = _run("gmsd", arguments, (rows + 1) // 2, threads)
    number = math.fsum(part[0] for part in parts)
    mean = math.fsum(part[0] * part[1] for part in parts) / number
    spread = math.fsum(part[2] + part[0] * (part[1] - mean) ** 2 for part in parts)
    return math.sqrt(spread / max(number - 1, 1))
