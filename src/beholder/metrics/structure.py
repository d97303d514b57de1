"""Structural similarity: SSIM and MS-SSIM, and their ancestor UQI."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from beholder.arrays import (
    LUMA_FULL,
    LUMA_MATLAB,
    Array,
    correlate,
    gaussian_window,
    namespace,
    positive_power,
    shrink,
    to_luma,
    uniform_window,
)
from beholder.metrics.registry import metric
from beholder.metrics.settings import Colour

C1, C2 = 0.01**2, 0.03**2
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the five scales: Wang et al. 2003, table of section 3.2."""
_KERNEL_LUMA = {"rgb": "", "luma": "full", "matlab": "matlab"}
_WEIGHTS = {"rgb": None, "luma": LUMA_FULL, "matlab": LUMA_MATLAB}
_SETTINGS: dict[str, Any] = {"colour": "rgb", "window": "gaussian", "sample": False, "downsample": False}


def similarity(x: Array, y: Array, taps: Any, unbias: float = 1.0) -> tuple[Array, Array]:
    """Mean SSIM and mean contrast-structure term of every plane: (N, C, H, W) twice to (N, C) twice.

    taps: the window along one axis; unbias: factor on variances and covariance.
    """
    mx, my = correlate(x, taps, taps), correlate(y, taps, taps)
    vx = (correlate(x * x, taps, taps) - mx * mx) * unbias
    vy = (correlate(y * y, taps, taps) - my * my) * unbias
    cov = (correlate(x * y, taps, taps) - mx * my) * unbias
    structure = (2 * cov + C2) / (vx + vy + C2)
    full = (2 * mx * my + C1) / (mx * mx + my * my + C1) * structure
    xp = namespace(x, y)
    return xp.mean(full, axis=(-2, -1)), xp.mean(structure, axis=(-2, -1))


def _ssim_kernel(image: Any, reference: Any, *, threads: int, **settings: Any) -> float | None:
    from beholder import kernels

    chosen = {**_SETTINGS, **settings}
    if chosen != {**_SETTINGS, "colour": chosen["colour"]} or chosen["colour"] not in _KERNEL_LUMA:
        return None
    return kernels.ssim(image, reference, threads=threads, luma=_KERNEL_LUMA[chosen["colour"]])


def _ssim_tensor_kernel(image: Any, reference: Any, gradients: Any, *, threads: int, **settings: Any) -> float | None:
    from beholder.kernels import structure

    chosen = {**_SETTINGS, **settings}
    if chosen != {**_SETTINGS, "colour": chosen["colour"]} or chosen["colour"] not in _WEIGHTS:
        return None
    measure = functools.partial(structure.mean_similarity, threads=threads)
    return structure.by_planes(measure, image, reference, gradients, _WEIGHTS[chosen["colour"]], threads)


@metric(
    "ssim",
    better="higher",
    range=(-1.0, 1.0),
    unit="",
    needs="reference",
    min_size=11,
    paper="Wang et al. 2004, Image quality assessment: from error visibility to structural similarity, "
    "doi:10.1109/TIP.2003.819861",
    presets={
        "y": {"colour": "luma"},
        "matlab": {"colour": "matlab"},
        "skimage": {"window": "uniform", "sample": True},
        "wang-downsampled": {"colour": "matlab", "downsample": True},
    },
    verified=("", "y", "matlab", "skimage", "wang-downsampled"),
    kernel=_ssim_kernel,
    tensor_kernel=_ssim_tensor_kernel,
)
def ssim(
    image: Array,
    reference: Array,
    *,
    colour: Colour = "rgb",
    window: Literal["gaussian", "uniform"] = "gaussian",
    sample: bool = False,
    downsample: bool = False,
    levels: float | None = None,
) -> Array:
    """Structural similarity, the mean over pixels and channels; 1 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], equal shapes. Returns (N,). The default is the paper: Gaussian window of
    11 pixels and sigma 1.5, only where it fits, K1 = .01, K2 = .03, colour as the mean over channels. Presets: ``y`` on
    full-range BT.601 luma; ``matlab`` on MATLAB's ``rgb2gray`` (integers rounded), as the authors' program is fed;
    ``wang-downsampled`` likewise, first averaged and reduced by round(min(H, W) / 256), as the authors advise;
    ``skimage`` as scikit-image's default (uniform 7x7 window, sample covariance).
    """
    x, y = (to_luma(a, colour, levels) for a in (image, reference))
    if downsample:
        factor = max(1, int(min(x.shape[-2:]) / 256 + 0.5))
        x, y = shrink(x, factor), shrink(y, factor)
    taps = gaussian_window(11, 1.5) if window == "gaussian" else uniform_window(7)
    full, _ = similarity(x, y, taps, 49 / 48 if sample else 1.0)
    return namespace(full).mean(full, axis=1)


def _over_scales(combine: str, full: float, threads: int) -> Callable[..., float]:
    from beholder.kernels import structure

    combined = functools.partial(_combine_means, combine=combine)
    return functools.partial(structure.over_scales, scales=len(WEIGHTS), combined=combined, full=full, threads=threads)


def _ms_ssim_kernel(
    image: Any, reference: Any, *, threads: int, colour: str = "rgb", combine: str = "product"
) -> float | None:
    from beholder.kernels import structure

    if colour not in _KERNEL_LUMA:
        return None
    pairs = structure.byte_planes(image, reference, colour, threads=threads)
    return float(np.mean([_over_scales(combine, 1.0, threads)(x, y) for x, y in pairs]))


def _ms_ssim_planar_kernel(
    image: Any, reference: Any, *, threads: int, colour: str = "rgb", combine: str = "product"
) -> float | None:
    from beholder.kernels import structure

    if colour != "rgb":
        return None
    return structure.by_planes(_over_scales(combine, 1.0, threads), image, reference)


def _ms_ssim_tensor_kernel(
    image: Any, reference: Any, gradients: Any, *, threads: int, colour: str = "rgb", combine: str = "product"
) -> float | None:
    from beholder.kernels import structure

    if colour not in _WEIGHTS:
        return None
    measure = _over_scales(combine, 255.0, threads)
    return structure.by_planes(measure, image, reference, gradients, _WEIGHTS[colour], threads)


def _combine(terms: list[Array], combine: str) -> Array:
    if combine == "sum":
        return sum(w / sum(WEIGHTS) * t for w, t in zip(WEIGHTS, terms, strict=True))
    result = positive_power(terms[0], WEIGHTS[0])
    for weight, term in zip(WEIGHTS[1:], terms[1:], strict=True):
        result = result * positive_power(term, weight)
    return result


def _combine_means(means: list[float], combine: str) -> tuple[float, list[float]]:
    """The value of one plane, and its derivatives by the scales' means."""
    value = float(_combine([np.asarray(mean) for mean in means], combine))
    if combine == "sum":
        return value, [w / sum(WEIGHTS) for w in WEIGHTS]
    return value, [w * value / mean if value > 0 else 0.0 for w, mean in zip(WEIGHTS, means, strict=True)]


@metric(
    "ms_ssim",
    better="higher",
    range=(-1.0, 1.0),
    unit="",
    needs="reference",
    min_size=161,
    paper="Wang et al. 2003, Multiscale structural similarity for image quality assessment, "
    "doi:10.1109/ACSSC.2003.1292216",
    presets={
        "y": {"colour": "luma"},
        "matlab": {"colour": "matlab"},
        "matlab-sum": {"colour": "matlab", "combine": "sum"},
    },
    verified=("", "y", "matlab", "matlab-sum"),
    aliases=("msssim",),
    kernel=_ms_ssim_kernel,
    planar_kernel=_ms_ssim_planar_kernel,
    tensor_kernel=_ms_ssim_tensor_kernel,
)
def ms_ssim(
    image: Array,
    reference: Array,
    *,
    colour: Colour = "rgb",
    combine: Literal["product", "sum"] = "product",
    levels: float | None = None,
) -> Array:
    """Structural similarity over five scales, the mean over channels; 1 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], equal shapes. Returns (N,). The default is the paper: the product of
    contrast-structure terms, and of SSIM at the last scale, raised to the scales' weights; a negative mean term counts
    as 0. Presets: ``y`` on full-range BT.601 luma; ``matlab`` on ``rgb2gray`` (integers rounded); ``matlab-sum``
    likewise, with the weighted sum that the authors' program offers and that published tables often hold.
    """
    x, y = (to_luma(a, colour, levels) for a in (image, reference))
    taps = gaussian_window(11, 1.5)
    terms = []
    for scale in range(len(WEIGHTS)):
        if scale:
            x, y = shrink(x, 2), shrink(y, 2)
        full, structure = similarity(x, y, taps)
        terms.append(structure if scale < len(WEIGHTS) - 1 else full)
    return namespace(x).mean(_combine(terms, combine), axis=1)


def _uqi_kernel(image: Any, reference: Any, *, threads: int, colour: str = "luma") -> float:
    """The definition in strips of rows, which keeps large pictures small in memory."""
    from beholder import strips

    def part(strip: strips.Strip) -> float:
        rows = slice(strip.first, strip.last + 7)
        stacks = (np.atleast_3d(a[rows]).transpose(2, 0, 1)[None] / 255 for a in (image, reference))
        return float(universal_index(*(to_luma(a, colour, 255.0) for a in stacks)).mean(axis=1).sum())

    height, width = image.shape[0] - 7, image.shape[1] - 7
    return float(math.fsum(strips.run(part, strips.cut(height, 64), threads)) / (height * width))


@metric(
    "uqi",
    better="higher",
    range=(-1.0, 1.0),
    unit="",
    needs="reference",
    min_size=8,
    paper="Wang and Bovik 2002, A universal image quality index, doi:10.1109/97.995823",
    presets={"matlab": {"colour": "matlab"}, "rgb": {"colour": "rgb"}},
    verified=("", "matlab", "rgb"),
    kernel=_uqi_kernel,
)
def uqi(image: Array, reference: Array, *, colour: Colour = "luma", levels: float | None = None) -> Array:
    """Universal quality index: correlation, luminance and contrast in 8x8 windows; 1 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,). As the authors' program, on
    full-range BT.601 luma: where both windows are flat, luminance alone counts, and two black windows are equal.
    Presets: ``matlab`` on ``rgb2gray`` (integers rounded), as the authors' program is fed; ``rgb``, the mean over
    channels.
    """
    xp = namespace(image, reference)
    x, y = (to_luma(a, colour, levels) for a in (image, reference))
    return xp.mean(universal_index(x, y), axis=(1, 2, 3))


def universal_index(x: Array, y: Array) -> Array:
    """The index in every 8x8 window of every plane."""
    xp = namespace(x, y)
    taps = uniform_window(8)
    mx, my = correlate(x, taps, taps), correlate(y, taps, taps)
    light, square = 2 * mx * my, mx * mx + my * my
    energy = correlate(x * x + y * y, taps, taps)
    spread = energy - square
    one = xp.ones_like(spread)
    black = energy <= 1e-12  # less than a thousandth of a step of eight bits
    flat = spread <= 64 * float(xp.finfo(x.dtype).eps) * energy  # rounding leaves that of nothing
    structure = 2 * (correlate(x * y, taps, taps) - mx * my) / xp.where(flat, one, spread)
    return xp.where(black, one, light / xp.where(black, one, square) * xp.where(flat, one, structure))
