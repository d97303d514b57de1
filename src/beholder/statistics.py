"""Natural scene statistics: locally normalised luminance and the generalised Gaussians that describe it.

Written once for NumPy and PyTorch. Shapes are found by matching moments (Sharifi and Leon-Garcia 1995,
doi:10.1109/76.350779; Lasmar et al. 2009, doi:10.1109/ICIP.2009.5414404). The published programs look the shape up in a
table with steps of .001, which has no gradient; here the equation is solved, and the table is an option.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from beholder.arrays import Array, correlate, gaussian_window, is_torch, namespace, pad_zeros, positive_root

SHAPES = np.arange(200, 10001) / 1000
"""The shapes that the published programs try."""
FLAT = 1e-9
"""Mean square of normalised luminance below which a region is flat: it has no statistics, only rounding errors."""
STILL = 1e-6
"""Grey levels from the local mean within which a pixel counts as no different: what rounding errors amount to."""
WINDOW = gaussian_window(7, 7 / 6)
"""The weights of local mean and deviation, along one axis."""


def double(x: Array) -> Array:
    """In double precision, but where the device has none (Apple's GPU)."""
    xp = namespace(x)
    if is_torch(x) and x.device.type == "mps":
        return xp.astype(x, xp.float32)
    return xp.astype(x, xp.float64, copy=False)


def pad_edge(x: Array, margin: int) -> Array:
    """Continue every plane by its edge pixels (MATLAB's "replicate")."""
    if is_torch(x):
        import torch

        return torch.nn.functional.pad(x, (margin,) * 4, mode="replicate")
    return np.pad(x, ((0, 0), (0, 0), (margin, margin), (margin, margin)), mode="edge")


def normalise(x: Array, *, zeros: bool = False, window: Any = WINDOW) -> tuple[Array, Array]:
    """Luminance less its local mean, over its local deviation plus 1 ("MSCN"), and the local deviation.

    x: (N, C, H, W) in grey levels, 0 to 255. window: weights along one axis. zeros: what stands beyond the border,
    zeros instead of the edge pixels. Where a picture is flat the result is exactly 0, while in the published programs
    the signs of rounding errors are counted as if they were contrast. Source: Ruderman 1994,
    doi:10.1088/0954-898X_5_4_006.
    """
    margin = len(window) // 2
    big = pad_zeros(x, *(margin,) * 4) if zeros else pad_edge(x, margin)
    mean = correlate(big, window, window)
    xp = namespace(x)
    deviation = positive_root(xp.abs(correlate(big * big, window, window) - mean * mean))
    contrast = x - mean
    contrast = xp.where(xp.abs(contrast) < STILL, xp.zeros_like(contrast), contrast)
    return contrast / (deviation + 1), deviation


def _log_gamma(x: Array) -> Array:
    if is_torch(x):
        return x.lgamma()
    from scipy.special import gammaln

    return gammaln(x)


def _digamma(x: Array) -> Array:
    if is_torch(x):
        return x.digamma()
    from scipy.special import psi

    return psi(x)


def gamma_ratio(alpha: Array, numerator: float, denominator: float) -> Array:
    """Gamma(numerator / alpha) / Gamma(denominator / alpha)."""
    return namespace(alpha).exp(_log_gamma(numerator / alpha) - _log_gamma(denominator / alpha))


def _log_ratio(inverse: Array) -> Array:
    return 2 * _log_gamma(2 * inverse) - _log_gamma(inverse) - _log_gamma(3 * inverse)


@functools.cache
def _table() -> np.ndarray[Any, Any]:
    return np.asarray(_log_ratio(1 / SHAPES))


def shape_of(ratio: Array, inverse: str = "exact", *, reciprocal: bool = False) -> Array:
    """Shape of a generalised Gaussian, 0.2 to 10, whose squared mean modulus over mean square is `ratio`.

    ratio: any shape, in (0, 1). inverse: "exact", differentiable; or "table", the nearest in steps of .001, by the
    distance of the ratios, or, with reciprocal, of what is 1 over them.
    """
    xp = namespace(ratio)
    table = _table()
    tiny = float(np.exp(table[0]))
    floor = xp.log(xp.where(ratio > tiny, ratio, xp.full_like(ratio, tiny)))
    target = xp.clip(floor, float(table[0]), float(table[-1]))
    known = like(table, target)
    fixed = target.detach() if is_torch(target) else target
    upper = xp.clip(xp.searchsorted(known, xp.reshape(fixed, (-1,))), 1, len(table) - 1)
    low, high = (xp.reshape(xp.take(known, i, axis=0), ratio.shape) for i in (upper - 1, upper))
    place = xp.reshape(upper, ratio.shape)
    if inverse == "table":
        sign = -1 if reciprocal else 1
        below = xp.abs(xp.exp(sign * fixed) - xp.exp(sign * low))
        above = xp.abs(xp.exp(sign * high) - xp.exp(sign * fixed))
        nearest = xp.where(above < below, place, place - 1)
        return xp.reshape(xp.take(like(SHAPES, target), xp.reshape(nearest, (-1,)), axis=0), ratio.shape)
    share = (fixed - low) / (high - low)
    start = 1000 / (199 + xp.astype(place, target.dtype) + share)
    for _ in range(2):  # Newton's steps: from 1e-7 to rounding
        start = start - (_log_ratio(start) - fixed) / _slope(start)
    return 1 / (start - (_log_ratio(start) - target) / _slope(start))  # a last one, which carries the gradient


def _slope(inverse: Array) -> Array:
    return 4 * _digamma(2 * inverse) - _digamma(inverse) - 3 * _digamma(3 * inverse)


def like(values: Any, array: Array) -> Array:
    """The values as an array of the library, precision and device of another."""
    if not is_torch(array):
        return np.asarray(values, dtype=array.dtype)
    import torch

    return torch.as_tensor(np.asarray(values), dtype=array.dtype, device=array.device)


class Moments(NamedTuple):
    """What the fits need of values: mean modulus, mean square, and mean squares of those below and above 0."""

    modulus: Array
    square: Array
    below: Array
    above: Array


def moments(x: Array) -> Moments:
    """The moments of values along the last axis."""
    xp = namespace(x)
    size = x.shape[-1]
    negative = xp.clip(x, None, 0)
    total, below = xp.vecdot(x, x), xp.vecdot(negative, negative)
    modulus = (xp.sum(x, axis=-1) - 2 * xp.sum(negative, axis=-1)) / size

    def mean(part: Array, chosen: Array) -> Array:
        count = xp.astype(xp.count_nonzero(chosen, axis=-1), x.dtype)
        some = count > 0
        return xp.where(some, part / xp.where(some, count, xp.ones_like(count)), xp.zeros_like(count))

    return Moments(modulus, total / size, mean(below, x < 0), mean(total - below, x > 0))


def _quotient(a: Array, b: Array) -> Array:
    """Quotient of a and b, 0 where b is 0."""
    xp = namespace(a)
    fine = b > 0
    return xp.where(fine, a / xp.where(fine, b, xp.ones_like(b)), xp.zeros_like(a))


def fit_gaussian(m: Moments, inverse: str = "exact") -> tuple[Array, Array]:
    """Shape and variance of the generalised Gaussian with these moments."""
    return shape_of(_quotient(m.modulus * m.modulus, m.square), inverse, reciprocal=True), m.square


class Asymmetric(NamedTuple):
    """An asymmetric generalised Gaussian: shape, deviations and scales on either side, and mean."""

    alpha: Array
    left: Array
    right: Array
    left_scale: Array
    right_scale: Array
    mean: Array


def fit_asymmetric(m: Moments, inverse: str = "exact") -> Asymmetric:
    """The asymmetric generalised Gaussian with these moments."""
    left, right = positive_root(m.below), positive_root(m.above)
    total = m.below + m.above
    # (g^3 + 1)(g + 1) / (g^2 + 1)^2 with g = left / right, in a form that is symmetric and has no division by right
    skew = _quotient((left * m.below + right * m.above) * (left + right), total * total)
    alpha = shape_of(_quotient(m.modulus * m.modulus, m.square) * skew, inverse)
    spread = positive_root(gamma_ratio(alpha, 1, 3))
    left_scale, right_scale = left * spread, right * spread
    mean = (right_scale - left_scale) * gamma_ratio(alpha, 2, 1)
    return Asymmetric(alpha, left, right, left_scale, right_scale, mean)
