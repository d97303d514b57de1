"""Gradient similarity: GMSD, MS-GMSD, MDSI."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from beholder.arrays import (
    LUMA_FULL,
    LUMA_MATLAB,
    Array,
    namespace,
    pad_zeros,
    plane_mean,
    positive_power,
    positive_root,
    shrink,
    to_luma,
    weighted,
)
from beholder.errors import InputError
from beholder.metrics.registry import metric

_KERNEL_LUMA = {"luma": "full", "matlab": "matlab"}
SCALE_WEIGHTS = (0.096, 0.596, 0.289, 0.019)
"""MS-GMSD: the weights of its four scales (Zhang et al. 2017)."""
IN_PHASE, QUADRATURE = (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)
"""I and Q of NTSC's YIQ."""
OPPONENTS = (0.2989, 0.5870, 0.1140), (0.30, 0.04, -0.35), (0.34, -0.60, 0.17)
"""MDSI: lightness and the two opponent channels H and M, of R'G'B' (Geusebroek et al. 2001)."""


def prewitt(x: Array) -> tuple[Array, Array]:
    """Prewitt gradient of every plane, across and down, zeros beyond the border; same shape."""
    x = pad_zeros(x, 1, 1, 1, 1)
    beside = x[..., :-2] + x[..., 1:-1] + x[..., 2:]
    above = x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]
    return (above[..., :-2] - above[..., 2:]) / 3, (beside[..., :-2, :] - beside[..., 2:, :]) / 3


def prewitt_energy(x: Array) -> Array:
    """Squared Prewitt gradient magnitude of every plane, zeros beyond the border; same shape."""
    across, down = prewitt(x)
    return across**2 + down**2


def _gmsd_kernel(
    image: Any, reference: Any, *, threads: int, colour: str = "luma", c: float = 170 / 255**2
) -> float | None:
    from beholder import kernels

    if colour not in _KERNEL_LUMA or c != 170 / 255**2:
        return None
    return kernels.gmsd(image, reference, threads=threads, luma=_KERNEL_LUMA[colour])


@metric(
    "gmsd",
    better="lower",
    range=(0.0, 0.53),
    unit="",
    needs="reference",
    min_size=6,
    paper="Xue et al. 2014, Gradient magnitude similarity deviation, doi:10.1109/TIP.2013.2293423",
    presets={"matlab": {"colour": "matlab"}},
    verified=("", "matlab"),
    kernel=_gmsd_kernel,
)
def gmsd(
    image: Array,
    reference: Array,
    *,
    c: float = 170 / 255**2,
    colour: str = "luma",
    levels: float | None = None,
) -> Array:
    """Spread of the local similarity of gradient magnitudes; 0 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,). Both are averaged over 2x2 and
    halved first, gradients are Prewitt, the spread is the sample standard deviation, as in the authors' program: below
    0.53, half the span of a similarity and a little more on nine samples. The default takes full-range BT.601 luma;
    the preset ``matlab`` rounded ``rgb2gray``, as the authors' program is fed.
    """
    xp = namespace(image, reference)
    ex, ey = (prewitt_energy(shrink(to_luma(a, colour, levels), 2, zeros=True)) for a in (image, reference))
    similar = (2 * positive_root(ex * ey) + c) / (ex + ey + c)
    pixels = similar.shape[-1] * similar.shape[-2]
    deviation = similar - xp.mean(similar, axis=(-2, -1), keepdims=True)
    return positive_root(xp.sum(deviation**2, axis=(1, 2, 3)) / (pixels - 1))


def _scale_variance(x: Array, y: Array, masking: float) -> Array:
    """Variance over pixels of the masked similarity of gradient magnitudes of one scale: (N, 1, H, W) to (N,)."""
    xp = namespace(x, y)
    ex, ey = prewitt_energy(x), prewitt_energy(y)
    gx, gy = positive_root(ex), positive_root(ey)
    # What is missing to 1, which is exactly 0 for equal gradients.
    missing = (gx - gy) ** 2 / (ex + ey - masking * gx * gy + 170 / 255**2)
    return plane_mean((missing - xp.mean(missing, axis=(1, 2, 3), keepdims=True)) ** 2)


def _multi_scale_deviation(x: Array, y: Array, masking: float) -> Array:
    total: Array = 0.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        if scale:
            x, y = (shrink(a, 2, zeros=True) for a in (x, y))
        total = total + weight * _scale_variance(x, y, masking)
    return positive_root(total)


def _variances(image: Any, reference: Any, colour: str, threads: int) -> Any:
    from beholder.kernels import similarity

    weights = LUMA_MATLAB if colour == "matlab" else LUMA_FULL
    return similarity.gradient_variances(image, reference, weights, colour == "matlab", len(SCALE_WEIGHTS), threads)


def _ms_gmsd_kernel(
    image: Any, reference: Any, *, threads: int, masking: float = 0.5, colour: str = "luma"
) -> float | None:
    if masking != 0.5 or colour not in _KERNEL_LUMA:
        return None
    return math.sqrt(_variances(image, reference, colour, threads) @ SCALE_WEIGHTS)


def _ms_gmsdc_kernel(image: Any, reference: Any, *, threads: int) -> float:
    from beholder.kernels import similarity

    structure = math.sqrt(_variances(image, reference, "luma", threads) @ SCALE_WEIGHTS)
    factor = 2 ** (len(SCALE_WEIGHTS) - 1)
    x, y = (similarity.box_means(a, factor, 0, threads) for a in (image, reference))
    return float(_with_chroma(np.asarray([structure]), x - y)[0])


def _with_chroma(structure: Array, difference: Array) -> Array:
    """MS-GMSDc of MS-GMSD and the difference of the pictures at the coarsest scale, which grey pictures lack."""
    share = 2 / (1 + 0.32 * namespace(structure).exp(-15 * structure)) - 1
    if difference.shape[1] == 1:
        return share * structure
    squares = sum(plane_mean(weighted(difference, axis) ** 2) for axis in (IN_PHASE, QUADRATURE))
    return share * structure + (1 - share) * 0.01 * 255 * positive_root(squares)


_ZHANG = (
    "Zhang et al. 2017, Gradient magnitude similarity deviation on multiple scales for color image quality "
    "assessment, doi:10.1109/ICASSP.2017.7952357"
)


@metric(
    "ms_gmsd",
    better="lower",
    range=(0.0, 0.5),
    unit="",
    needs="reference",
    min_size=17,
    paper=_ZHANG,
    presets={"matlab": {"colour": "matlab"}},
    verified=("", "matlab"),
    aliases=("msgmsd",),
    kernel=_ms_gmsd_kernel,
)
def ms_gmsd(
    image: Array, reference: Array, *, masking: float = 0.5, colour: str = "luma", levels: float | None = None
) -> Array:
    """Spread of the similarity of gradient magnitudes over four scales; 0 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,). The paper: the first scale is the
    picture itself, each further one half of it by 2x2 means; masking: the paper's alpha, which sharpens the
    similarity; the root of the weighted mean of the scales' variances, below 0.5. The default takes full-range BT.601
    luma; the preset ``matlab`` rounded ``rgb2gray``.
    """
    x, y = (to_luma(a, colour, levels) for a in (image, reference))
    return _multi_scale_deviation(x, y, masking)


@metric(
    "ms_gmsdc",
    better="lower",
    range=(0.0, 1.6),
    unit="",
    needs="reference",
    min_size=17,
    paper=_ZHANG,
    verified=("",),
    aliases=("msgmsdc",),
    kernel=_ms_gmsdc_kernel,
)
def ms_gmsdc(image: Array, reference: Array) -> Array:
    """MS-GMSD with the error of chroma where structure is sound; 0 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes; a grey picture counts as R = G = B. Returns (N,).
    The chroma error is the root mean square difference of I and Q (NTSC, in 8-bit steps) at the coarsest of the four
    scales; the more structure is damaged, the less it counts.
    """
    structure = _multi_scale_deviation(weighted(image, LUMA_FULL), weighted(reference, LUMA_FULL), 0.5)
    difference = image - reference
    for _ in SCALE_WEIGHTS[1:]:
        difference = shrink(difference, 2, zeros=True)
    return _with_chroma(structure, difference)


def _unlike(p: Array, q: Array, c: float) -> Array:
    """What is missing to 1 in the similarity of two magnitudes; exactly 0 where they are equal."""
    return (p - q) ** 2 / (p**2 + q**2 + c)


def _fourth_root(structure: Array, chroma: Array, combination: str) -> tuple[Array, Array]:
    """Real and imaginary part of the combined similarity to the power 1/4; either similarity may be negative."""
    xp = namespace(structure, chroma)
    if combination == "sum":
        both = 0.6 * structure + 0.4 * chroma
        size, slant = positive_root(positive_root(abs(both))), math.sqrt(0.5)
        return xp.where(both < 0, slant * size, size), xp.where(both < 0, slant * size, xp.zeros_like(size))
    size = positive_power(abs(structure), 0.2 / 4) * positive_power(abs(chroma), 0.1 / 4)
    signs = (xp.astype(a < 0, size.dtype) for a in (structure, chroma))
    angle = sum(part * math.pi / 4 * sign for part, sign in zip((0.2, 0.1), signs, strict=True))
    return size * xp.cos(angle), size * xp.sin(angle)


def _mdsi_of_small(x: Array, y: Array, combination: str) -> Array:
    """MDSI of pictures that are reduced already, image first: (N, C, H, W) to (N,)."""
    xp = namespace(x, y)
    if x.shape[1] == 1:
        x, y = (xp.concat([a, a, a], axis=1) for a in (x, y))
    (lx, hx, mx), (ly, hy, my) = ([weighted(a, axis) for axis in OPPONENTS] for a in (x, y))
    (ax, dx), (ay, dy) = prewitt(lx), prewitt(ly)
    gx, gy = positive_root(ax**2 + dx**2), positive_root(ay**2 + dy**2)
    fused = positive_root((ax + ay) ** 2 + (dx + dy) ** 2) / 2
    c1, c2, c3 = (c / 255**2 for c in (140, 55, 550))
    structure = 1 - (_unlike(gx, gy, c1) + _unlike(gx, fused, c2) - _unlike(gy, fused, c2))
    chroma = 1 - ((hx - hy) ** 2 + (mx - my) ** 2) / (hx**2 + hy**2 + mx**2 + my**2 + c3)
    real, imaginary = _fourth_root(structure, chroma, combination)
    middle = [xp.mean(a, axis=(1, 2, 3), keepdims=True) for a in (real, imaginary)]
    distance = positive_root((real - middle[0]) ** 2 + (imaginary - middle[1]) ** 2)
    return positive_power(plane_mean(distance), 0.25)


def _reduction(height: int, width: int) -> int:
    return max(1, int(min(height, width) / 256 + 0.5))


def _mdsi_kernel(image: Any, reference: Any, *, threads: int, combination: str = "sum") -> float | None:
    from beholder.kernels import similarity

    if combination not in ("sum", "mult"):
        return None
    factor = _reduction(*image.shape[:2])
    if combination == "sum":
        return float(similarity.mean_deviation(image, reference, factor, OPPONENTS, threads) ** 0.25)
    x, y = (similarity.box_means(a, factor, (factor - 1) // 2, threads) for a in (image, reference))
    return float(_mdsi_of_small(x, y, combination)[0])


@metric(
    "mdsi",
    better="lower",
    range=(0.0, 1.0),
    unit="",
    needs="reference",
    min_size=3,
    paper="Nafchi et al. 2016, Mean deviation similarity index: efficient and reliable full-reference image quality "
    "evaluator, doi:10.1109/ACCESS.2016.2604042",
    presets={"mult": {"combination": "mult"}},
    verified=("", "mult"),
    kernel=_mdsi_kernel,
)
def mdsi(image: Array, reference: Array, *, combination: str = "sum") -> Array:
    """Mean deviation of the joint similarity of gradients and chroma; 0 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes; a grey picture counts as R = G = B. Returns (N,).
    As the authors' program: both are averaged and reduced by round(min(H, W) / 256), halves up, zeros beyond the
    border; a third gradient, of the mean of the two pictures, brings in which of them is the reference; negative
    similarities have complex roots. combination: "sum" or, preset ``mult``, the product. Raises InputError for
    another combination.
    """
    if combination not in ("sum", "mult"):
        raise InputError(f"combination must be sum or mult, got {combination!r}")
    factor = _reduction(*image.shape[-2:])
    return _mdsi_of_small(shrink(image, factor, zeros=True), shrink(reference, factor, zeros=True), combination)
