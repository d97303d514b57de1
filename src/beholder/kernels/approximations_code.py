"""Roots, angle and exponential in float32, good to about 2e-7, for kernels: calls would keep loops out of registers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from beholder.kernels.code import F, inline

__all__ = ["angle", "exponential", "fifth", "third"]

ZERO, ONE, HALF = F(0), F(1), F(0.5)
ATAN = (0.99999611, -0.33317368, 0.19807815, -0.13233339, 0.079623609, -0.033604167, 0.0068117758)
"""Odd polynomial of the arctangent on [-1, 1], off by 2.5e-7 at most: least squares, weighted until errors are even."""
A1, A3, A5, A7, A9, A11, A13 = (F(a) for a in ATAN)
E1, E2, E3, E4, E5, E6 = (F(math.log(2) ** k / math.factorial(k)) for k in range(1, 7))


@inline
def fifth(x: Any) -> Any:
    """The fifth root of 1 / x, x > 0: a guess from the bits of x, then two steps of its binomial series."""
    z = np.int32(F(1277905221) - F(F(x).view(np.int32)) * F(0.2)).view(np.float32)
    square = z * z
    r = ONE - x * z * (square * square)
    z += z * (r * (F(1 / 5) + r * (F(3 / 25) + r * F(11 / 125))))
    square = z * z
    r = ONE - x * z * (square * square)
    return z + z * (r * (F(1 / 5) + r * F(3 / 25)))


@inline
def third(x: Any) -> Any:
    """The cube root of 1 / x, x > 0, as `fifth`."""
    z = np.int32(F(1419900277) - F(F(x).view(np.int32)) * F(1 / 3)).view(np.float32)
    r = ONE - x * z * (z * z)
    z += z * (r * (F(1 / 3) + r * (F(2 / 9) + r * F(14 / 81))))
    r = ONE - x * z * (z * z)
    return z + z * (r * (F(1 / 3) + r * F(2 / 9)))


@inline
def exponential(x: Any) -> Any:
    """E to the power of x, -80 to 0."""
    n = np.floor(x * F(1 / math.log(2)) + HALF)
    f = x * F(1 / math.log(2)) - n
    power = ONE + f * (E1 + f * (E2 + f * (E3 + f * (E4 + f * (E5 + f * E6)))))
    return power * np.int32((n + F(127)) * F(2**23)).view(np.float32)


@inline
def angle(y: Any, x: Any) -> Any:
    """The angle of a point, -pi to pi."""
    p, q = abs(x), abs(y)
    most = max(p, q)
    t = min(p, q) / (most if most > ZERO else ONE)
    s = t * t
    turn = t * (A1 + s * (A3 + s * (A5 + s * (A7 + s * (A9 + s * (A11 + s * A13))))))
    turn = F(math.pi / 2) - turn if q > p else turn
    turn = F(math.pi) - turn if x < ZERO else turn
    return -turn if y < ZERO else turn
