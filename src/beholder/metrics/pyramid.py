"""Comparison in pyramids: NLPD and CW-SSIM."""

from __future__ import annotations

import functools
from typing import Annotated, Any

import numpy as np

from beholder.arrays import Array, correlate, is_torch, namespace, pad_zeros, positive_root, to_luma, uniform_window
from beholder.metrics.registry import metric
from beholder.metrics.settings import AtLeast, AtMost, Luma, NotNegative
from beholder.pyramids import BURT, complex_bands, laplacian_pyramid

# Fitted by Laparra et al. to photographs; published in the authors' NLP_dist.m: the constant of each level, and the
# weights of the neighbours above, to the left, to the right, below, and two to the right.
CONSTANTS = (0.0248, 0.0185, 0.0179, 0.0191, 0.0220, 0.2782)
NEIGHBOURS = (
    (0.1011, 0.1493, 0.1460, 0.1015, 0.0072),
    (0.0757, 0.1986, 0.1846, 0.0837, 0.0),
    (0.0477, 0.2138, 0.2243, 0.0467, 0.0),
    (0.0, 0.2503, 0.2616, 0.0, 0.0),
    (0.0, 0.2598, 0.2552, 0.0, 0.0),
    (0.0, 0.2215, 0.0717, 0.0, 0.0),
)


def normalised(band: Array, level: int) -> Array:
    """A band divided by a constant and the weighted magnitudes of its neighbours; zeros beyond the border."""
    above, left, right, below, far = NEIGHBOURS[level]  # of a convolution: the filter is turned
    size = pad_zeros(abs(band), 1, 1, 2, 1)
    h, w = band.shape[-2:]
    around = left * size[..., 1:-1, 3:] + right * size[..., 1:-1, 1 : w + 1]
    if above or below:
        around = around + above * size[..., 2:, 2:-1] + below * size[..., :h, 2:-1]
    if far:
        around = around + far * size[..., 1:-1, :w]
    return band / (CONSTANTS[level] + around)


def _nlpd_kernel(image: Any, reference: Any, *, threads: int, colour: str = "luma") -> float | None:
    from beholder.kernels import information, planes

    if colour == "rgb":
        return None
    pair = (planes.plane_of(a, colour, threads=threads) for a in (image, reference))
    x, y = (information.laplacian(p, BURT, len(CONSTANTS), ("mirror", "repeat"), 1.0, threads) for p in pair)
    total = 0.0
    for level, (a, b) in enumerate(zip(x, y, strict=True)):
        constants = np.array((255 * CONSTANTS[level], *NEIGHBOURS[level]), np.float32)
        total += information.distance(a, b, constants, threads)
    return total / len(CONSTANTS)


@metric(
    "nlpd",
    better="lower",
    range=(0.0, float("inf")),
    unit="",
    needs="reference",
    min_size=1,
    paper="Laparra et al. 2016, Perceptual image quality assessment using a normalized Laplacian pyramid, "
    "doi:10.2352/ISSN.2470-1173.2016.16.HVEI-103",
    presets={"matlab": {"colour": "matlab"}},
    verified=("", "matlab"),
    kernel=_nlpd_kernel,
)
def nlpd(image: Array, reference: Array, *, colour: Luma = "luma", levels: float | None = None) -> Array:
    """Normalised Laplacian pyramid distance; 0 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,), from 0 upwards. As the authors'
    program: six levels, each divided by the magnitude of its neighbours, the mean over levels of the root mean square
    difference, on full-range BT.601 luma; the preset ``matlab`` on ``rgb2gray`` (integers rounded), as the authors'
    table has it.
    """
    xp = namespace(image, reference)
    build = functools.partial(laplacian_pyramid, taps=BURT, levels=len(CONSTANTS), edges=("mirror", "repeat"))
    x, y = (build(to_luma(a, colour, levels)) for a in (image, reference))
    total: Any = 0.0
    for level, (a, b) in enumerate(zip(x, y, strict=True)):
        difference = normalised(a, level) - normalised(b, level)
        total = total + positive_root(xp.mean(difference * difference, axis=(1, 2, 3)))
    return total / len(CONSTANTS)


WINDOW = 7
"""Side of the windows in which coefficients are compared."""


@functools.lru_cache(maxsize=8)
def _weights(height: int, width: int) -> np.ndarray[Any, Any]:
    """Gaussian over the windows of a band, about its middle, a quarter of the band's height wide; the sum is 1."""
    down, along = (np.arange(n - WINDOW + 1) - (n - WINDOW) / 2 for n in (height, width))
    weights = np.exp(-(down[:, None] ** 2 + along[None, :] ** 2) / (2 * (height / 4) ** 2))
    return np.asarray(weights / weights.sum())


def band_similarity(x: Array, y: Array, k: float) -> Array:
    """Mean similarity of complex bands (N, C, B, H, W) in windows, weighted towards the middle: (N, C, B)."""
    xp = namespace(x, y)
    n, c, b, h, w = x.shape
    taps = uniform_window(WINDOW)
    xr, xi, yr, yi = xp.real(x), xp.imag(x), xp.real(y), xp.imag(y)
    parts = (xr * yr + xi * yi, xi * yr - xr * yi, xr * xr + xi * xi + yr * yr + yi * yi)
    real, imaginary, energy = (correlate(xp.reshape(p, (n, c * b, h, w)), taps, taps) for p in parts)
    above = 2 * positive_root(real * real + imaginary * imaginary) + k
    below = energy + k
    some = below > 1e-8  # coefficients below a ten-thousandth of a grey level are rounding
    similar = xp.where(some, above / xp.where(some, below, xp.ones_like(below)), xp.ones_like(below))
    weights = _weights(h, w)
    weights = xp.asarray(weights, dtype=xr.dtype, device=xr.device) if is_torch(xr) else weights.astype(xr.dtype)
    return xp.reshape(xp.sum(similar * weights, axis=(-2, -1)), (n, c, b))


def _cw_ssim_kernel(
    image: Any, reference: Any, *, threads: int, colour: str = "luma", level: int = 4, orientations: int = 8,
    k: float = 0.0,
) -> float | None:  # fmt: skip
    """The definition in single precision, which is exact enough: an eighth of the spectrum's side is all it keeps."""
    from beholder.kernels import planes

    if colour == "rgb":
        return None
    bands = []
    for picture in (image, reference):
        plane = planes.plane_of(picture, colour, threads=threads)
        bands.append(complex_bands(plane[None, None], level, orientations).astype(np.complex128))
    return float(np.mean(band_similarity(bands[0], bands[1], k)))


@metric(
    "cw_ssim",
    better="higher",
    range=(0.0, 1.0),
    unit="",
    needs="reference",
    min_size=49,
    paper="Sampat et al. 2009, Complex wavelet structural similarity: a new image similarity index, "
    "doi:10.1109/TIP.2009.2025923",
    presets={"matlab": {"colour": "matlab"}},
    verified=("", "matlab"),
    aliases=("cwssim",),
    kernel=_cw_ssim_kernel,
)
def cw_ssim(
    image: Array,
    reference: Array,
    *,
    colour: Luma = "luma",
    level: Annotated[int, AtLeast(1), AtMost(4)] = 4,
    orientations: Annotated[int, AtLeast(1), AtMost(64)] = 8,
    k: NotNegative = 0.0,
    levels: float | None = None,
) -> Array:
    """Structural similarity of complex wavelet coefficients, little moved by small shifts; 1 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,). As the authors' program with four
    levels, eight orientations and no constant: the coarsest level of the complex steerable pyramid, 7x7 windows,
    weighted towards the middle of the picture, on full-range BT.601 luma; the preset ``matlab`` on ``rgb2gray``
    (integers rounded), as the authors' program is fed.
    """
    x, y = (complex_bands(to_luma(a, colour, levels) * 255, level, orientations) for a in (image, reference))
    return namespace(image).mean(band_similarity(x, y, k), axis=(1, 2))
