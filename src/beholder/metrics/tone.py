"""Tone and colour of one picture: entropy, contrast, exposure, colourfulness, saturation, total variation."""

from __future__ import annotations

import math
from typing import Any, Literal

from beholder.arrays import (
    LUMA_FULL,
    Array,
    is_torch,
    namespace,
    plane_mean,
    positive_power,
    positive_root,
    to_luma,
    weighted,
)
from beholder.errors import InputError
from beholder.metrics.registry import metric

_HALF_STEP = 0.5 / 255
"""Half a step of 8 bits: values nearer to black or white than this are black or white."""


# --- entropy ---------------------------------------------------------------------------------------------------------


def _counts(steps: Array, bins: int) -> Array:
    """Histogram of whole numbers 0 to bins - 1 for every picture: (N, ...) to (N, bins)."""
    xp = namespace(steps)
    n = steps.shape[0]
    rows = xp.reshape(xp.astype(steps, xp.int64), (n, -1))
    if is_torch(steps):
        import torch

        offset = torch.arange(n, device=steps.device)[:, None] * bins
        return torch.bincount((rows + offset).reshape(-1), minlength=n * bins).reshape(n, bins)
    import numpy as np

    return np.stack([np.bincount(row, minlength=bins) for row in rows])


def _bits(counts: Array, kind: Any) -> Array:
    xp = namespace(counts)
    share = xp.astype(counts, kind)
    share = share / xp.sum(share, axis=-1, keepdims=True)
    filled = xp.where(share > 0, share, xp.ones_like(share))
    return xp.abs(xp.sum(filled * xp.log2(filled), axis=-1))  # the sum is never positive; abs avoids -0.0


def _entropy_kernel(image: Any, *, threads: int, colour: str = "matlab") -> float | None:
    import numpy as np

    from beholder.kernels import artefact

    if colour not in ("matlab", "luma"):
        return None
    return float(_bits(artefact.histogram(image, colour, threads), np.float64))


@metric(
    "entropy",
    better="higher",
    range=(0.0, 8.0),
    unit="bit",
    needs="image",
    min_size=1,
    paper="Shannon 1948, A mathematical theory of communication, doi:10.1002/j.1538-7305.1948.tb01338.x",
    presets={"luma": {"colour": "luma"}},
    verified=("", "luma"),
    differentiable=False,
    kernel=_entropy_kernel,
)
def entropy(image: Array, *, colour: Literal["matlab", "luma"] = "matlab") -> Array:
    """Entropy of the histogram of grey in 256 steps, in bits: 0 for a flat picture, 8 where all steps are as frequent.

    image: (N, C, H, W) in [0, 1], C 1 or 3. Returns (N,). Grey is MATLAB's ``rgb2gray``, rounded to 8 bits whatever
    the type of the input is; the preset ``luma`` takes the BT.601 weights .299, .587, .114. It describes a picture
    rather than grading it: "better" means more information, and noise counts as such.
    """
    xp = namespace(image)
    grey = to_luma(image, colour) * 255
    if colour == "luma":  # bytes give thousandths: rounding errors must not decide which way the halves among them go
        grey = xp.round(grey * 1000) / 1000
    return _bits(_counts(xp.floor(grey + 0.5), 256), image.dtype)


# --- contrast, exposure ----------------------------------------------------------------------------------------------


def _contrast_kernel(image: Any, *, threads: int) -> float | None:
    from beholder.kernels import artefact

    count, _, squares = artefact.moments(image, threads)
    return math.sqrt(squares / (count - 1)) / 255


@metric(
    "contrast_rms",
    better="higher",
    range=(0.0, 0.58),
    unit="",
    needs="image",
    min_size=2,
    paper="Peli 1990, Contrast in complex images, doi:10.1364/JOSAA.7.002032",
    verified=("",),
    kernel=_contrast_kernel,
)
def contrast_rms(image: Array) -> Array:
    """Root-mean-square contrast: the standard deviation of luma in [0, 1]; 0 for a flat picture.

    image: (N, C, H, W) in [0, 1], C 1 or 3. Returns (N,), at most 0.58 on 2x2 pixels and 0.5 on many. Luma is
    full-range BT.601, the deviation the sample's (over n - 1), as in the paper. It describes a picture rather than
    grading it: "better" means more contrast.
    """
    xp = namespace(image)
    y = weighted(image, LUMA_FULL)
    deviation = y - xp.mean(y, axis=(2, 3), keepdims=True)
    return positive_root(xp.sum(deviation**2, axis=(1, 2, 3)) / (y.shape[2] * y.shape[3] - 1))


def _exposure_kernel(image: Any, *, threads: int, part: str = "clipped") -> float | None:
    from beholder.kernels import artefact

    if part == "mean":
        return artefact.moments(image, threads)[1] / 255
    if part not in ("clipped", "bright", "dark"):
        return None
    bright, dark = artefact.clipped(image, threads)
    return {"clipped": bright + dark, "bright": bright, "dark": dark}[part]


@metric(
    "exposure",
    better="lower",
    range=(0.0, 1.0),
    unit="",
    needs="image",
    min_size=1,
    paper="Guo et al. 2010, Correcting over-exposure in photographs, doi:10.1109/CVPR.2010.5540170",
    presets={"bright": {"part": "bright"}, "dark": {"part": "dark"}, "mean": {"part": "mean"}},
    verified=("", "bright", "dark", "mean"),
    differentiable=False,
    kernel=_exposure_kernel,
)
def exposure(image: Array, *, part: Literal["clipped", "bright", "dark", "mean"] = "clipped") -> Array:
    """Share of clipped pixels, whose brightest channel is at white or at black; 0 where none is.

    image: (N, C, H, W) in [0, 1], C 1 or 3. Returns (N,). A pixel is clipped to white where its largest channel
    rounds to 255 of 255, to black where it rounds to 0. Presets: ``bright`` and ``dark`` count one kind alone;
    ``mean`` is the mean of full-range BT.601 luma, a description for which "better" has no meaning. Raises
    InputError for another part.
    """
    xp = namespace(image)
    if part == "mean":
        return plane_mean(weighted(image, LUMA_FULL))
    if part not in ("clipped", "bright", "dark"):
        raise InputError(f"part must be clipped, bright, dark or mean, got {part!r}")
    top = xp.max(image, axis=1)
    bright, dark = top >= 1 - _HALF_STEP, top < _HALF_STEP
    marked = {"clipped": bright | dark, "bright": bright, "dark": dark}[part]
    return xp.mean(xp.astype(marked, image.dtype), axis=(1, 2))


# --- colour ----------------------------------------------------------------------------------------------------------


def _colorfulness_kernel(image: Any, *, threads: int) -> float | None:
    from beholder.kernels import artefact

    return artefact.colorfulness(image, threads) if image.ndim == 3 else 0.0


@metric(
    "colorfulness",
    better="higher",
    range=(0.0, 260.0),
    unit="",
    needs="image",
    min_size=1,
    paper="Hasler and Süsstrunk 2003, Measuring colorfulness in natural images, doi:10.1117/12.477378",
    verified=("",),
    aliases=("colourfulness",),
    kernel=_colorfulness_kernel,
)
def colorfulness(image: Array) -> Array:
    """Colourfulness from the means and spreads of two opponent colours; 0 for grey, about 109 for extremely colourful.

    image: (N, C, H, W) in [0, 1], C 1 or 3. Returns (N,). Opponents are R - G and (R + G) / 2 - B in 8-bit steps, the
    measure is the paper's M3: the root of both variances' sum and .3 times the root of both squared means' sum. It
    describes a picture rather than grading it: "better" means more colour.
    """
    xp = namespace(image)
    if image.shape[1] == 1:
        return xp.sum(image, axis=(1, 2, 3)) * 0
    red, green, blue = (image[:, i] * 255 for i in range(3))
    mean: Array = 0
    spread: Array = 0
    for opponent in (red - green, (red + green) / 2 - blue):
        middle = xp.mean(opponent, axis=(1, 2), keepdims=True)
        mean = mean + middle[:, 0, 0] ** 2
        spread = spread + xp.mean((opponent - middle) ** 2, axis=(1, 2))
    return positive_root(spread) + 0.3 * positive_root(mean)


def _saturation_kernel(image: Any, *, threads: int) -> float | None:
    from beholder.kernels import artefact

    return artefact.saturation(image, threads) if image.ndim == 3 else 0.0


@metric(
    "saturation",
    better="higher",
    range=(0.0, 1.0),
    unit="",
    needs="image",
    min_size=1,
    paper="Smith 1978, Color gamut transform pairs, doi:10.1145/965139.807361",
    verified=("",),
    kernel=_saturation_kernel,
)
def saturation(image: Array) -> Array:
    """Mean saturation of the HSV hexcone, (max - min) / max of a pixel's channels; 0 for grey.

    image: (N, C, H, W) in [0, 1], C 1 or 3. Returns (N,). Black has saturation 0. It describes a picture rather than
    grading it: "better" means purer colour.
    """
    xp = namespace(image)
    top, bottom = xp.max(image, axis=1), xp.min(image, axis=1)
    lit = top > 0
    share = (top - bottom) / xp.where(lit, top, xp.ones_like(top))
    return xp.mean(xp.where(lit, share, xp.zeros_like(share)), axis=(1, 2))


# --- total variation -------------------------------------------------------------------------------------------------


def _tv_kernel(image: Any, *, threads: int, norm: str = "isotropic", total: bool = False) -> float | None:
    from beholder.kernels import artefact

    if norm not in ("isotropic", "anisotropic", "energy"):
        return None
    value = artefact.variation(image, norm, threads) / 255
    if norm == "energy":
        value = math.sqrt(value / 255)
    return value if total else value / (image.size if norm != "energy" else math.sqrt(image.size))


@metric(
    "tv",
    better="lower",
    range=(0.0, 2.0),
    unit="",
    needs="image",
    min_size=2,
    paper="Rudin, Osher and Fatemi 1992, Nonlinear total variation based noise removal algorithms, "
    "doi:10.1016/0167-2789(92)90242-F",
    presets={
        "anisotropic": {"norm": "anisotropic"},
        "piq": {"norm": "energy", "total": True},
        "piq-l1": {"norm": "anisotropic", "total": True},
    },
    range_of=lambda total=False, **_: (0.0, math.inf if total else 2.0),
    verified=("", "anisotropic", "piq", "piq-l1"),
    aliases=("total_variation",),
    kernel=_tv_kernel,
)
def tv(
    image: Array, *, norm: Literal["isotropic", "anisotropic", "energy"] = "isotropic", total: bool = False
) -> Array:
    """Total variation, the mean length of the gradient of forward differences; 0 for a flat picture.

    image: (N, C, H, W) in [0, 1], C 1 or 3. Returns (N,). The difference beyond the last row or column is 0. norm:
    "isotropic" takes the gradient's Euclidean length, "anisotropic" the sum of both absolute differences, "energy" the
    root of the sum of all squared differences; total: the sum over pixels and channels in place of the mean.
    Presets: ``anisotropic``; ``piq`` is piq's default ("l2", energy) and ``piq-l1`` its "l1", the sum that torchmetrics
    and TensorFlow take, too. Noise raises it and blur lowers it: "better" means smoother. Raises InputError for
    another norm.
    """
    xp = namespace(image)
    down, along = image[..., 1:, :] - image[..., :-1, :], image[..., 1:] - image[..., :-1]
    count = 1 if total else math.prod(image.shape[1:])
    if norm == "energy":
        energy = xp.sum(down * down, axis=(1, 2, 3)) + xp.sum(along * along, axis=(1, 2, 3))
        return positive_root(energy / count)
    if norm == "anisotropic":
        return (xp.sum(xp.abs(down), axis=(1, 2, 3)) + xp.sum(xp.abs(along), axis=(1, 2, 3))) / count
    if norm != "isotropic":
        raise InputError(f"norm must be isotropic, anisotropic or energy, got {norm!r}")
    inner = positive_power(down[..., :-1] ** 2 + along[..., :-1, :] ** 2, 0.5)
    edges = xp.sum(xp.abs(down[..., -1]), axis=(1, 2)) + xp.sum(xp.abs(along[..., -1, :]), axis=(1, 2))
    return (xp.sum(inner, axis=(1, 2, 3)) + edges) / count
