"""Cosine transforms of blocks that lie side by side in eight rows of float32, for `cosine_tensor_code`, in Numba."""

from __future__ import annotations

from typing import Any

from beholder.kernels.code import exact, inline, wide
from beholder.kernels.cosine_code import BLOCKS, C1, C2, C3, C4, C5, C6, C7, _cosine

__all__ = ["PITCH", "ROOM", "back", "differ", "down", "fetch", "forward", "up"]

Array = Any
PITCH = 8 * BLOCKS
ROOM = 8 * PITCH
"""Floats of one tile."""


@inline
def forward(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    """The orthonormal cosine transform of eight values."""
    p, q, r, s = a + h, b + g, c + f, d + e
    h, g, f, e = a - h, b - g, c - f, d - e
    return (
        C4 * ((p + s) + (q + r)),
        C1 * h + C3 * g + C5 * f + C7 * e,
        C2 * (p - s) + C6 * (q - r),
        C3 * h - C7 * g - C1 * f - C5 * e,
        C4 * ((p + s) - (q + r)),
        C5 * h - C1 * g + C7 * f + C3 * e,
        C6 * (p - s) - C2 * (q - r),
        C7 * h - C5 * g + C3 * f - C1 * e,
    )


@inline
def back(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    """Its inverse, which is its adjoint, too."""
    plus, minus = C4 * (a + e), C4 * (a - e)
    near, far = C2 * c + C6 * g, C6 * c - C2 * g
    p, q, r, s = plus + near, minus + far, minus - far, plus - near
    t = C1 * b + C3 * d + C5 * f + C7 * h
    u = C3 * b - C7 * d - C1 * f - C5 * h
    v = C5 * b - C1 * d + C7 * f + C3 * h
    w = C7 * b - C5 * d + C3 * f - C1 * h
    return p + t, q + u, r + v, s + w, s - w, r - v, q - u, p - t


down = _cosine(PITCH)


@exact
def up(v: Array, n: int) -> None:
    """The inverse of `down`."""
    wide()
    for j in range(n):
        a, b, c, d = v[j], v[j + PITCH], v[j + 2 * PITCH], v[j + 3 * PITCH]
        e, f, g, h = v[j + 4 * PITCH], v[j + 5 * PITCH], v[j + 6 * PITCH], v[j + 7 * PITCH]
        a, b, c, d, e, f, g, h = back(a, b, c, d, e, f, g, h)
        v[j], v[j + PITCH], v[j + 2 * PITCH], v[j + 3 * PITCH] = a, b, c, d
        v[j + 4 * PITCH], v[j + 5 * PITCH], v[j + 6 * PITCH], v[j + 7 * PITCH] = e, f, g, h


@exact
def _grey(a: Array, b: Array, c: Array, w: Array, to: Array, n: int) -> None:
    wide()
    r, g, f = w[0], w[1], w[2]
    for j in range(n):
        to[j] = r * a[j] + g * b[j] + f * c[j]


@exact
def _apart(a: Array, b: Array, weight: Any, to: Array, n: int) -> None:
    wide()
    for j in range(n):
        to[j] = weight * (a[j] - b[j])


@exact
def _more_apart(a: Array, b: Array, weight: Any, to: Array, n: int) -> None:
    wide()
    for j in range(n):
        to[j] += weight * (a[j] - b[j])


@inline
def fetch(p: Array, height: int, colours: int, top: int, left: int, w: Array, tile: Array, n: int) -> None:
    """The grey values of a tile of a picture; p: its planes one below the other."""
    for i in range(8):
        a = p[top + i, left : left + n]
        if colours == 1:
            tile[i * PITCH : i * PITCH + n] = a
        else:
            b, c = p[height + top + i, left : left + n], p[2 * height + top + i, left : left + n]
            _grey(a, b, c, w, tile[i * PITCH :], n)


@inline
def differ(
    p: Array, q: Array, height: int, colours: int, top: int, left: int, w: Array, tile: Array, n: int
) -> None:  # fmt: skip
    """The differences of the grey values of two pictures: each colour's by itself, so that they are not rounded."""
    for i in range(8):
        to = tile[i * PITCH :]
        _apart(p[top + i, left : left + n], q[top + i, left : left + n], w[0], to, n)
        for c in range(1, colours):
            row = c * height + top + i
            _more_apart(p[row, left : left + n], q[row, left : left + n], w[c], to, n)
