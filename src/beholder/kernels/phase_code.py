"""The code of `phase`: reducing and resizing pictures of bytes, and phase congruency's arithmetic, in Numba."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.kernels.code import BYTES, FLOATS, F, apart, carray, exact, inline, loose, matrix, signature, types, wide

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
ZERO = F(0)
INDICES = types.CPointer(types.int32)


@loose
def _set_row(row: Array, sums: Array) -> None:
    wide()
    for j in range(sums.size):
        sums[j] = F(row[j])


@loose
def _add_row(row: Array, sums: Array) -> None:
    wide()
    for j in range(sums.size):
        sums[j] += F(row[j])


@inline
def _four(a: Array, b: Array, c: Array, d: Array, j: int) -> Any:
    return F(np.int16(np.int16(a[j]) + np.int16(b[j]) + np.int16(c[j]) + np.int16(d[j])))


@loose
def _set_rows(a: Array, b: Array, c: Array, d: Array, sums: Array) -> None:
    wide()
    apart()
    for j in range(sums.size):
        sums[j] = _four(a, b, c, d, j)


@loose
def _add_rows(a: Array, b: Array, c: Array, d: Array, sums: Array) -> None:
    wide()
    apart()
    for j in range(sums.size):
        sums[j] += _four(a, b, c, d, j)


@loose
def _add_weighted(weight: Any, row: Array, sums: Array) -> None:
    wide()
    for j in range(sums.size):
        sums[j] += weight * F(row[j])


@loose
def _windows(sums: Array, channels: int, step: int, means: Array) -> None:
    """Sums of `step` values of one channel from every value on; the last ones mean nothing."""
    wide()
    apart()
    count = sums.size - (step - 1) * channels
    b, c, d = sums[channels:], sums[2 * channels :], sums[3 * channels :]
    if step >= 4:
        for j in range(count):
            means[j] = (sums[j] + b[j]) + (c[j] + d[j])
    else:
        for j in range(count):
            means[j] = sums[j]
    for k in range(4 if step >= 4 else 1, step):
        more = sums[k * channels :]
        for j in range(count):
            means[j] += more[j]


@loose
def _pick(windows: Array, stride: int, scale: Any, to: Array) -> None:
    apart()
    for i in range(to.size):
        to[i] = windows[i * stride] * scale


@loose
def _blocks(
    sums: Array, windows: Array, channel: int, channels: int, step: int, before: int, scale: Any, to: Array
) -> None:
    """Means of `step` values of one channel; those beyond the ends count as zero."""
    width = sums.size // channels
    first, last = (before + step - 1) // step, max((width + before) // step, 0)  # those in between lie inside
    if first < last:
        _pick(windows[(first * step - before) * channels + channel :], step * channels, scale, to[first:last])
    for i in range(to.size):
        if i < first or i >= last:
            total = ZERO
            for k in range(max(i * step - before, 0), min(i * step - before + step, width)):
                total += sums[k * channels + channel]
            to[i] = total * scale


def _reduce(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Every step-th pixel of the mean over step x step, in planes. mode: channels; line: two rows; maps: the planes."""
    p, both = matrix(x, rows, columns), matrix(line, 2, columns)
    sums, windows = both[0], both[1]
    before, height, width = (step - 1) // 2, (rows + step - 1) // step, (columns // mode + step - 1) // step
    planes = matrix(maps, mode * height, width)
    for r in range(first, last):
        top, bottom = max(r * step - before, 0), min(r * step - before + step, rows)
        k = top + 4
        if k <= bottom:
            _set_rows(p[top], p[top + 1], p[top + 2], p[top + 3], sums)
        else:
            _set_row(p[top], sums)
            k = top + 1
        while k + 4 <= bottom:
            _add_rows(p[k], p[k + 1], p[k + 2], p[k + 3], sums)
            k += 4
        while k < bottom:
            _add_row(p[k], sums)
            k += 1
        _windows(sums, mode, step, windows)
        for c in range(mode):
            _blocks(sums, windows, c, mode, step, before, F(1) / F(step * step), planes[c * height + r])


@loose
def _taps(sums: Array, place: Array, weights: Array, channel: int, channels: int, count: int, to: Array) -> None:
    for i in range(to.size):
        total = ZERO
        for k in range(count):
            total += weights[i * count + k] * sums[place[i * count + k] * channels + channel]
        to[i] = total


def _resize(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """To 256 x 256, in planes. mode: channels; step: 4096 taps down + taps along; marks: their places; line: their
    weights and a row.
    """
    p = matrix(x, rows, columns)
    down, along = step // 4096, step % 4096
    count = 256 * (down + along)
    place, floats = carray(marks, count), carray(line, count + columns)
    sums = floats[count:]
    planes = matrix(maps, mode * 256, 256)
    for r in range(first, last):
        for j in range(columns):
            sums[j] = ZERO
        for k in range(down):
            weight = floats[r * down + k]
            if weight != ZERO:
                _add_weighted(weight, p[place[r * down + k]], sums)
        for c in range(mode):
            _taps(sums, place[256 * down :], floats[256 * down : count], c, mode, along, planes[c * 256 + r])


@loose
def _energy(
    a: Array, b: Array, c: Array, d: Array, threshold: Any, tiny: Any, energy: Array, amplitude: Array
) -> None:  # fmt: skip
    """Energy above the noise and sum of amplitudes of responses of four scales, each complex."""
    wide()
    apart()
    for j in range(energy.size):
        e0, e1, e2, e3 = a[2 * j], b[2 * j], c[2 * j], d[2 * j]
        o0, o1, o2, o3 = a[2 * j + 1], b[2 * j + 1], c[2 * j + 1], d[2 * j + 1]
        e, o = e0 + e1 + e2 + e3, o0 + o1 + o2 + o3
        square = e * e + o * o
        across = abs(e0 * o - o0 * e) + abs(e1 * o - o1 * e) + abs(e2 * o - o2 * e) + abs(e3 * o - o3 * e)
        found = (square - across) / (np.sqrt(square) + tiny) - threshold
        near = np.sqrt(e0 * e0 + o0 * o0) + np.sqrt(e1 * e1 + o1 * o1)
        energy[j] = found if found > ZERO else ZERO
        amplitude[j] = near + np.sqrt(e2 * e2 + o2 * o2) + np.sqrt(e3 * e3 + o3 * o3)


def _congruency(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Energy above the noise, and after it the sum of amplitudes, into maps. x: complex responses of four scales; y:
    the noise threshold and epsilon; columns: pixels.
    """
    given = carray(y, 2)
    waves, found = matrix(x, 4, 2 * columns), matrix(maps, 2, columns)
    _energy(waves[0], waves[1], waves[2], waves[3], given[0], given[1], found[0], found[1])


@inline
def _scharr(a: Array, b: Array, c: Array, j: int, k: int, n: int) -> Any:
    """Gradient at column k of three rows; j, n: the columns beside it."""
    gx = F(0.1875) * (a[j] - a[n] + c[j] - c[n]) + F(0.625) * (b[j] - b[n])
    gy = F(0.1875) * (a[j] - c[j] + a[n] - c[n]) + F(0.625) * (a[k] - c[k])
    return F(math.sqrt(gx * gx + gy * gy))


@inline
def _edge(a: Array, b: Array, c: Array, inner: int, k: int, side: Any) -> Any:
    """Gradient at the first (side 1) or last column, zeros beyond it; inner: the column beside it."""
    gx = side * (F(0.1875) * (a[inner] + c[inner]) + F(0.625) * b[inner])
    gy = F(0.1875) * (a[inner] - c[inner]) + F(0.625) * (a[k] - c[k])
    return F(math.sqrt(gx * gx + gy * gy))


@exact
def _gradients(a: Array, b: Array, c: Array, to: Array) -> None:
    wide()
    last = to.size - 1
    for j in range(1, last):
        to[j] = _scharr(a, b, c, j - 1, j, j + 1)
    to[0] = _edge(a, b, c, 1, 0, F(1))
    to[last] = _edge(a, b, c, last - 1, last, F(1))


@inline
def _alike(x: Any, y: Any, c: Any) -> Any:
    """Similarity, exactly 1 where x and y are equal."""
    return F(1) - (x - y) * (x - y) / (x * x + y * y + c)


@exact
def _products(p: Array, q: Array, r: int, height: int, t: Array, similar: Array, gradient: Array, tint: Array) -> None:
    """Similarities of a row: of the weighting maps, of gradients, and the product over chrominance."""
    wide()
    x, y, u, v = p[r], q[r], gradient[1], gradient[2]
    for j in range(x.size):
        similar[j] = _alike(x[j], y[j], t[0])
        gradient[0, j] = _alike(u[j], v[j], t[1])
    if tint.size:
        x, y, u, v = p[2 * height + r], q[2 * height + r], p[3 * height + r], q[3 * height + r]
        for j in range(x.size):
            tint[j] = _alike(x[j], y[j], t[2]) * _alike(u[j], v[j], t[2])


@exact
def _pool(x: Array, y: Array, similar: Array, gradient: Array, tint: Array, t: Array) -> Any:
    """Sums of weighted similarities and of weights. t: as in `_compare`."""
    total, weights = 0.0, 0.0
    for j in range(x.size):
        value = similar[j]
        exponent = ZERO
        if t[3] == F(1):
            value *= gradient[j]
        elif gradient[j] > ZERO:
            exponent = t[3] * F(math.log(gradient[j]))
        else:
            value = ZERO
        if tint.size:
            product = tint[j]
            if product > ZERO:
                exponent += t[4] * F(math.log(product))
            elif product < ZERO:
                exponent += t[4] * F(math.log(-product))
                value *= t[5]
            else:
                value = ZERO
        weight = max(x[j], y[j])
        if exponent != ZERO:
            value *= F(math.exp(exponent))
        total += value * weight
        weights += weight
    return total, weights


def _compare(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Weighted similarity. x, y: planes of each picture: the weighting map, luma, and mode planes of chrominance; line:
    constants of map, gradient and chrominance, exponents of gradient and chrominance, factor of a negative one, zeros;
    maps: five rows.
    """
    p, q, t = matrix(x, (2 + mode) * rows, columns), matrix(y, (2 + mode) * rows, columns), carray(line, 6 + columns)
    zeros, scratch = t[6:], matrix(maps, 5, columns)
    similar, gradient, tint = scratch[0], scratch[1:4], scratch[4, : columns if mode else 0]
    total, weights = 0.0, 0.0
    for r in range(first, last):
        at = rows + r
        above, below = r > 0, r < rows - 1
        _gradients(p[at - 1] if above else zeros, p[at], p[at + 1] if below else zeros, gradient[1])
        _gradients(q[at - 1] if above else zeros, q[at], q[at + 1] if below else zeros, gradient[2])
        _products(p, q, r, rows, t, similar, gradient, tint)
        part = _pool(p[r], q[r], similar, gradient[0], tint, t)
        total += part[0]
        weights += part[1]
    out[0], out[1] = total, weights


@loose
def _squares(x: Array, to: Array) -> None:
    wide()
    for j in range(to.size):
        to[j] = x[2 * j] * x[2 * j] + x[2 * j + 1] * x[2 * j + 1]


@loose
def _scale(x: Array, by: Array, to: Array) -> None:
    wide()
    apart()
    for j in range(by.size):
        to[2 * j], to[2 * j + 1] = by[j] * x[2 * j], by[j] * x[2 * j + 1]


def _filter(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Complex values x times real ones y, into maps. columns: how many."""
    _scale(carray(x, 2 * columns), carray(y, columns), carray(maps, 2 * columns))


def _power(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Squared magnitudes of complex values into maps. columns: how many."""
    _squares(carray(x, 2 * columns), carray(maps, columns))


def _near(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """Values between two limits, into maps. y: the limits; out: how many lie below, and how many between."""
    values, limits, found = carray(x, columns), carray(y, 2), carray(maps, columns)
    low, high, below, count = limits[0], limits[1], 0, 0
    for j in range(columns):
        value = values[j]
        below += value < low
        found[count] = value  # without a branch, which would be guessed wrong
        count += (value >= low) & (value <= high)
    out[0], out[1] = float(below), float(count)


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "reduce": (_reduce, signature(BYTES)),
    "resize": (_resize, signature(BYTES, INDICES)),
    "congruency": (_congruency, signature(FLOATS)),
    "filter": (_filter, signature(FLOATS, FLOATS)),
    "near": (_near, signature(FLOATS)),
    "power": (_power, signature(FLOATS)),
    "compare": (_compare, signature(FLOATS)),
}
"""As in `code`: x, y, rows, columns, mode, step, marks, line, maps, out, first, last."""
