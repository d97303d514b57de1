"""Feature similarity: phase congruency and gradients, FSIM and FSIMc."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

from beholder.arrays import LUMA_FULL, Array, namespace, positive_power, weighted
from beholder.banks import phase_congruency, reduce, reduction, scharr
from beholder.metrics.registry import metric

T1, T2, T3, LAMBDA = 0.85, 160.0, 200.0, 0.03
"""Constants for phase congruency, gradient, and both of chrominance; the exponent of the last."""
FAINT = 1e-12
"""Weight of a pixel without any feature, so that two flat pictures have a value."""


def similarity(x: Array, y: Array, c: float) -> Array:
    """Similarity of two maps at every pixel; 1 where they are equal."""
    return (2 * x * y + c) / (x * x + y * y + c)


def real_power(x: Array, exponent: float) -> Array:
    """The real part of x to the power, as MATLAB has it: a negative x turns into the complex plane."""
    return positive_power(x, exponent) + math.cos(math.pi * exponent) * positive_power(-x, exponent)


def weighted_mean(x: Array, weight: Array) -> Array:
    """Mean over pixels, (N, 1, H, W) to (N,); plain where all weights are 0."""
    xp = namespace(x)
    weight = weight + FAINT
    return xp.sum(x * weight, axis=(1, 2, 3)) / xp.sum(weight, axis=(1, 2, 3))


def pairs(image: Array, reference: Array) -> Array:
    """Both pictures as one batch (2 N, C, H, W)."""
    return namespace(image, reference).concat((image, reference), axis=0)


def halves(x: Array) -> tuple[Array, Array]:
    """What `pairs` put together."""
    n = x.shape[0] // 2
    return x[:n], x[n:]


class _Program(NamedTuple):
    """How a program does what the paper leaves open.

    border: of `reduce`; tiny: of `phase_congruency`; turned: whether that works on the transposed picture, which
    matters at the highest frequency of even sizes, and with the lower median; plain: whether a negative similarity of
    chrominance loses its sign; chroma: I and Q of R'G'B'.
    """

    border: str
    tiny: float
    turned: bool
    plain: bool
    chroma: tuple[tuple[float, float, float], tuple[float, float, float]]


PROGRAMS = {
    "matlab": _Program("zeros", 1e-4, False, False, ((0.596, -0.274, -0.322), (0.211, -0.523, 0.312))),
    "piq": _Program("none", 2**-23, True, True, ((0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))),
}


def tint(product: Array, exponent: float, plain: bool) -> Array:
    """The chrominance's factor: its similarity to the power; of a negative one the real part, or without its sign."""
    return positive_power(abs(product), exponent) if plain else real_power(product, exponent)


def _features(image: Array, reference: Array, program: str, colour: bool) -> Array:
    xp = namespace(image, reference)
    p = PROGRAMS[program]
    factor = reduction(image.shape[-2], image.shape[-1], even=p.border != "zeros")
    both = pairs(*(reduce(a, factor, p.border) for a in (image, reference))) * 255
    luma = weighted(both, LUMA_FULL)
    turned = xp.permute_dims(luma, (0, 1, 3, 2)) if p.turned else luma
    congruency = phase_congruency(turned, p.tiny, lower_median=p.turned)
    x, y = halves(xp.permute_dims(congruency, (0, 1, 3, 2)) if p.turned else congruency)
    similar = similarity(x, y, T1) * similarity(*halves(scharr(luma)), T2)
    if colour and both.shape[1] == 3:
        chroma = [halves(weighted(both, row)) for row in p.chroma]
        product = similarity(*chroma[0], T3) * similarity(*chroma[1], T3)
        similar = similar * tint(product, LAMBDA, p.plain)
    return weighted_mean(similar, xp.maximum(x, y))


def _kernel(image: Any, reference: Any, threads: int, program: str, colour: bool) -> float | None:
    import numpy as np

    from beholder import strips
    from beholder.kernels import phase

    if program != "matlab":
        return None
    p = PROGRAMS[program]
    factor = reduction(*image.shape[:2])
    both = np.concatenate([phase.reduced(a, factor, threads) for a in (image, reference)])
    rows = [LUMA_FULL, *(p.chroma if colour and both.shape[1] == 3 else ())]
    planes = np.concatenate(strips.run(lambda row: weighted(both, row), rows, threads), axis=1)
    maps = phase.congruency(planes[0, 0], planes[1, 0], p.tiny, threads)
    constants = phase.Constants(T1, T2, T3, chroma_power=LAMBDA)
    return phase.compare(maps, planes, constants, threads)


def _fsim_kernel(image: Any, reference: Any, *, threads: int, program: str = "matlab") -> float | None:
    return _kernel(image, reference, threads, program, colour=False)


def _fsimc_kernel(image: Any, reference: Any, *, threads: int, program: str = "matlab") -> float | None:
    return _kernel(image, reference, threads, program, colour=True)


_PAPER = (
    "Zhang et al. 2011, FSIM: a feature similarity index for image quality assessment, doi:10.1109/TIP.2011.2109730"
)


@metric(
    "fsim",
    better="higher",
    range=(0.0, 1.0),
    unit="",
    needs="reference",
    min_size=3,
    paper=_PAPER,
    presets={"piq": {"program": "piq"}},
    verified=("", "piq"),
    kernel=_fsim_kernel,
)
def fsim(image: Array, reference: Array, *, program: Literal["matlab", "piq"] = "matlab") -> Array:
    """Feature similarity of luma, the agreement of phase congruency and gradients; 1 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,). As the authors' program: the shorter
    side is brought to about 256 pixels, and luma is not rounded. The preset ``piq`` reduces pictures from their corner,
    takes the lower of two medians and has the axes of its filters swapped, as piq does.
    """
    return _features(image, reference, program, colour=False)


@metric(
    "fsimc",
    better="higher",
    range=(-1.0, 1.0),
    unit="",
    needs="reference",
    min_size=3,
    paper=_PAPER,
    presets={"piq": {"program": "piq"}},
    verified=("", "piq"),
    kernel=_fsimc_kernel,
)
def fsimc(image: Array, reference: Array, *, program: Literal["matlab", "piq"] = "matlab") -> Array:
    """Feature similarity with chrominance; 1 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,). As `fsim`, times the similarity of
    I and Q; without colour both are equal. The preset ``piq`` takes piq's digits of the YIQ matrix, too.
    """
    return _features(image, reference, program, colour=True)
