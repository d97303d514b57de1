"""Similarity of wavelet coefficients: HaarPSI."""

from __future__ import annotations

import functools
import math
from typing import Annotated, Any, Literal

import numpy as np

from beholder.arrays import LUMA_FULL, Array, namespace, pad_zeros, plane_mean, shrink, weighted
from beholder.metrics.registry import metric
from beholder.metrics.settings import Above, AtMost, Constant

YIQ = {
    "ntsc": (LUMA_FULL, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)),
    "piq": (LUMA_FULL, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)),
}
"""Y, I and Q of R'G'B': as the authors' program rounds them, and as piq does."""


def _halves(x: Array, scale: int) -> tuple[Array, Array]:
    """Sums over the first and the second half of every window of 2**scale columns, only where it fits."""
    half = 1
    while half < 2 ** (scale - 1):
        x = x[..., :-half] + x[..., half:]
        half *= 2
    return x[..., :-half], x[..., half:]


def haar(x: Array, scale: int) -> tuple[Array, Array]:
    """Magnitudes of Haar coefficients, of edges across and along the rows, zeros beyond the border; same shape."""
    half = 2 ** (scale - 1)
    x = namespace(x).matrix_transpose(pad_zeros(x, half - 1, half, half - 1, half) * 2.0**-scale)
    upper, lower = (namespace(x).matrix_transpose(a) for a in _halves(x, scale))
    before, after = _halves(upper - lower, scale)
    left, right = _halves(upper + lower, scale)
    return abs(before + after), abs(left - right)


def _unlike(p: Array, q: Array, c: float) -> Array:
    """What is missing to 1 in the similarity of two magnitudes; exactly 0 where they are equal."""
    return (p - q) ** 2 / (p**2 + q**2 + c / 255**2)


def _sigmoid_loss(missing: Array, steepness: float) -> Array:
    """How far the logistic function falls below its value at similarity 1, without cancellation."""
    grown, end = namespace(missing).expm1(steepness * missing), math.exp(-steepness)
    return end * grown / ((1 + end) * (1 + end + end * grown))


@functools.cache
def _loss_polynomial(steepness: float) -> tuple[float, ...]:
    """Coefficients in 2 t - 1 of `_sigmoid_loss` of t, divided by t; off by less than 1e-7."""
    from numpy.polynomial import Chebyshev, Polynomial

    found = Chebyshev.interpolate(lambda z: _sigmoid_loss((z + 1) / 2, steepness) / ((z + 1) / 2), 13)
    return tuple(map(float, found.convert(kind=Polynomial).coef))


def _haarpsi_kernel(
    image: Any,
    reference: Any,
    *,
    threads: int,
    c: float = 30.0,
    steepness: float = 4.2,
    reduce: bool = True,
    yiq: str = "ntsc",
) -> float | None:
    from beholder.kernels import similarity

    if not 0 < steepness <= 5:  # beyond, the polynomial is not close enough
        return None
    loss, factor = _loss_polynomial(steepness), 2 if reduce else 1
    lost, total = similarity.haar_sums(image, reference, factor, loss, c, YIQ[yiq], threads)
    return float(from_loss(np.asarray(lost / total if total else 0.0), steepness))


@metric(
    "haarpsi",
    better="higher",
    range=(0.0, 1.0),
    unit="",
    needs="reference",
    min_size=16,
    paper="Reisenhofer et al. 2018, A Haar wavelet-based perceptual similarity index for image quality assessment, "
    "doi:10.1016/j.image.2017.11.001",
    presets={
        "piq": {"yiq": "piq"},
        "full-size": {"reduce": False},
        "medical": {"c": 5.0, "steepness": 4.9},
    },
    verified=("", "piq", "full-size", "medical"),
    kernel=_haarpsi_kernel,
)
def haarpsi(
    image: Array,
    reference: Array,
    *,
    c: Constant = 30.0,
    steepness: Annotated[float, Above(0), AtMost(30)] = 4.2,
    reduce: bool = True,
    yiq: Literal["ntsc", "piq"] = "ntsc",
) -> Array:
    """Similarity of fine Haar coefficients, weighted by the coarse ones; 1 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,). As the authors' program: averaged
    over 2x2 and halved first, zeros beyond the border; colour adds the similarity of I and Q, a grey picture has none.
    Presets: ``full-size`` without halving; ``medical`` with the constants of Karner et al. 2025
    (doi:10.48550/arXiv.2410.24098) for medical pictures; ``piq`` with that library's rounding of YIQ.
    """
    xp = namespace(image, reference)
    if reduce:
        image, reference = (shrink(a, 2, zeros=True) for a in (image, reference))
    x, y = (weighted(a, YIQ[yiq][0]) for a in (image, reference))
    fine = [[_unlike(p, q, c) for p, q in zip(haar(x, s), haar(y, s), strict=True)] for s in (1, 2)]
    weights = [xp.maximum(p, q) for p, q in zip(haar(x, 3), haar(y, 3), strict=True)]
    losses = [_sigmoid_loss((fine[0][o] + fine[1][o]) / 2, steepness) for o in (0, 1)]
    if image.shape[1] == 3:
        a, b = ([abs(_mean_of_four(weighted(p, axis))) for axis in YIQ[yiq][1:]] for p in (image, reference))
        losses.append(_sigmoid_loss((_unlike(a[0], b[0], c) + _unlike(a[1], b[1], c)) / 2, steepness))
        weights.append((weights[0] + weights[1]) / 2)
    lost = sum(plane_mean(loss * weight) for loss, weight in zip(losses, weights, strict=True))
    total = sum(plane_mean(weight) for weight in weights)
    return from_loss(lost / xp.where(total > 0, total, xp.ones_like(total)), steepness)


def _mean_of_four(x: Array) -> Array:
    x = pad_zeros(x, 0, 1, 0, 1)
    x = x[..., :-1] + x[..., 1:]
    return (x[..., :-1, :] + x[..., 1:, :]) / 4


def from_loss(loss: Array, steepness: float) -> Array:
    """HaarPSI by the weighted mean loss of the logistic function: the square of its inverse."""
    xp, top = namespace(loss), 1 / (1 + math.exp(-steepness))
    return (1 + (xp.log1p(-loss / top) - xp.log1p(loss / (1 - top))) / steepness) ** 2
