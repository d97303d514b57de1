"""What DSS needs of a subband: local spread and correlation in windows of 3 x 3, in Numba and in double precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.kernels.code import DOUBLES, FLOATS, carray, exact, inline, matrix, signature, wide
from beholder.kernels.similarity_code import _bordered

__all__ = ["KERNELS"]

Array = Any
Pointer = Any


@inline
def _offsets(a: Array, b: Array, c: Array, j: int) -> Any:
    """The neighbours of a value less the value itself: the four across corners, then the four beside it."""
    m = b[j + 1]
    return (
        a[j] - m, a[j + 2] - m, c[j] - m, c[j + 2] - m, a[j + 1] - m, b[j] - m, b[j + 2] - m, c[j + 1] - m,
    )  # fmt: skip


@inline
def _mixed(p: Any, q: Any, corner: Any, side: Any) -> Any:
    """Local covariance by such offsets: their weighted products less the product of their weighted means."""
    x = corner * (p[0] + p[1] + p[2] + p[3]) + side * (p[4] + p[5] + p[6] + p[7])
    y = corner * (q[0] + q[1] + q[2] + q[3]) + side * (q[4] + q[5] + q[6] + q[7])
    across = p[0] * q[0] + p[1] * q[1] + p[2] * q[2] + p[3] * q[3]
    return corner * across + side * (p[4] * q[4] + p[5] * q[5] + p[6] * q[6] + p[7] * q[7]) - x * y


@exact
def _spread(
    xa: Array, xb: Array, xc: Array, ya: Array, yb: Array, yc: Array, corner: Any, side: Any, c: Any, row: Array
) -> None:
    """What the similarity of local deviations lacks to 1."""
    wide()
    for j in range(row.size):
        p, q = _offsets(xa, xb, xc, j), _offsets(ya, yb, yc, j)
        u, v = max(_mixed(p, p, corner, side), 0.0), max(_mixed(q, q, corner, side), 0.0)
        change = np.sqrt(u) - np.sqrt(v)
        row[j] = change * change / (u + v + c)


@exact
def _correlation(
    xa: Array, xb: Array, xc: Array, ya: Array, yb: Array, yc: Array, corner: Any, side: Any, c: Any, row: Array
) -> None:
    """What the local correlation lacks to 1; rounding leaves nothing where the two are equal."""
    wide()
    for j in range(row.size):
        p, q = _offsets(xa, xb, xc, j), _offsets(ya, yb, yc, j)
        product = np.sqrt(max(_mixed(p, p, corner, side) * _mixed(q, q, corner, side), 0.0))
        missing = (product - _mixed(p, q, corner, side)) / (product + c)
        change = abs(p[0] - q[0]) + abs(p[1] - q[1]) + abs(p[2] - q[2]) + abs(p[3] - q[3])
        change += abs(p[4] - q[4]) + abs(p[5] - q[5]) + abs(p[6] - q[6]) + abs(p[7] - q[7])
        row[j] = missing if change > 0.0 else 0.0


def _compare(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """What is missing to 1 of two planes, into maps: of their spread (mode 0) or their correlation (1).

    marks: the window's weight of a corner and of a side, and the constant; line: 6 rows, zero.
    """
    p, q, w = matrix(x, rows, columns), matrix(y, rows, columns), carray(marks, 3)
    floats, target, n = matrix(line, 6, columns + 2), matrix(maps, rows, columns), columns + 2
    xa, xb, xc, ya, yb, yc = floats[0, :n], floats[1, :n], floats[2, :n], floats[3, :n], floats[4, :n], floats[5, :n]
    _bordered(p, first - 1, xb)
    _bordered(p, first, xc)
    _bordered(q, first - 1, yb)
    _bordered(q, first, yc)
    for r in range(first, last):
        xa, xb, xc = xb, xc, xa
        ya, yb, yc = yb, yc, ya
        _bordered(p, r + 1, xc)
        _bordered(q, r + 1, yc)
        if mode == 0:
            _spread(xa, xb, xc, ya, yb, yc, w[0], w[1], w[2], target[r])
        else:
            _correlation(xa, xb, xc, ya, yb, yc, w[0], w[1], w[2], target[r])


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {
    "compare": (_compare, signature(FLOATS, DOUBLES, DOUBLES, DOUBLES))
}
"""As in `code`: x, y, rows, columns, mode, step, marks, line, maps, out, first, last."""
