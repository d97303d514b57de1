"""How much of a picture's information reaches the eye: VIF in wavelets and in pixels, and IW-SSIM."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from beholder.arrays import (
    Array,
    correlate,
    gaussian_window,
    is_torch,
    namespace,
    positive_power,
    to_luma,
    uniform_window,
)
from beholder.metrics.registry import metric
from beholder.metrics.settings import AtLeast, Colour, Constant, Luma
from beholder.metrics.structure import WEIGHTS
from beholder.pyramids import BINOMIAL, enlarge, laplacian_pyramid, pad_reflect, steerable_pyramid

BLOCK = 3
"""Side of the blocks of coefficients that VIF models together."""
FLOOR = 1e-6
"""Variances of a wavelet band below this count as none, in squares of 0..255: single precision rounds by as much."""
TINY = 1e-15
"""Local sums of squares below this count as none, in squares of 0..255, as in the authors' programs."""
_Noise = Annotated[float, AtLeast(1e-3)]
"""Of IW-SSIM: with less, products of what weighs a block are too large for single precision."""


def double(x: Array) -> Array:
    """In double precision, where the device has it."""
    xp = namespace(x)
    return x if is_torch(x) and x.device.type == "mps" else xp.astype(x, xp.float64, copy=False)


def safe_inverse(covariance: Array) -> Array:
    """Inverse of a covariance that may be singular, by a millionth of a millionth of its trace on the diagonal."""
    xp = namespace(covariance)
    size = covariance.shape[-1]
    kinds = {"dtype": covariance.dtype, **({"device": covariance.device} if is_torch(covariance) else {})}
    unit = xp.eye(size, **kinds)
    trace = xp.sum(covariance * unit, axis=(-2, -1))[..., None, None]
    return xp.linalg.inv(covariance + (1e-12 * trace + 1e-12) * unit)


def products(stack: Array) -> Array:
    """Mean outer product of vectors: (N, C, K, P) to (N, C, K, K)."""
    return stack @ namespace(stack).matrix_transpose(stack) / stack.shape[-1]


def mahalanobis(stack: Array, covariance: Array) -> Array:
    """Squared length of every vector in units of the covariance, per component: (N, C, K, P) to (N, C, P)."""
    xp = namespace(stack)
    inverse = xp.astype(safe_inverse(double(covariance)), stack.dtype, copy=False)
    return xp.sum((inverse @ stack) * stack, axis=-2) / stack.shape[-2]


# --- VIF in wavelets --------------------------------------------------------------------------------------------------


def _windows(x: Array, size: int) -> Array:
    """Means over windows about the middles of the blocks."""
    half, taps = size // 2, uniform_window(size)
    down = correlate(pad_reflect(x, half, half, half, half), taps, (1.0,))[..., 1::BLOCK, :]
    return correlate(down, (1.0,), taps)[..., 1::BLOCK]


def _channel(x: Array, y: Array, size: int) -> tuple[Array, Array]:
    """Gain and noise of the distortion channel from reference x to image y, by regression in windows."""
    xp = namespace(x, y)
    mx, my = _windows(x, size), _windows(y, size)
    count = size * size
    vx = xp.clip((_windows(x * x, size) - mx * mx) * count, min=0)
    vy = xp.clip((_windows(y * y, size) - my * my) * count, min=0)
    cov = (_windows(x * y, size) - mx * my) * count
    zero = xp.zeros_like(vx)
    flat, still = vx < FLOOR * count, vy < FLOOR * count
    gain = xp.where(flat | still, zero, cov / xp.where(flat, xp.ones_like(vx), vx))
    noise = xp.where(still, zero, xp.where(flat, vy, (vy - gain * cov) / count))
    noise = xp.where(gain < 0, vy, noise)
    return xp.clip(gain, min=0), xp.clip(noise, min=TINY)


def _crop(x: Array) -> Array:
    return x[..., : x.shape[-2] // BLOCK * BLOCK, : x.shape[-1] // BLOCK * BLOCK]


def _blocks(x: Array, step: int) -> Array:
    """Blocks as vectors, every one or only those that do not overlap: (N, C, H, W) to (N, C, 9, P)."""
    xp = namespace(x)
    n, c, h, w = x.shape
    corners = [(i, j) for i in range(BLOCK) for j in range(BLOCK)]
    parts = [x[..., i : h - BLOCK + 1 + i : step, j : w - BLOCK + 1 + j : step] for i, j in corners]
    return xp.stack([xp.reshape(p, (n, c, -1)) for p in parts], axis=2)


def _source(x: Array) -> tuple[Array, Array]:
    """The reference as a Gaussian scale mixture: local strength of each block, and eigenvalues of the covariance."""
    xp = namespace(x)
    every = _blocks(x, 1)
    covariance = products(every - xp.mean(every, axis=-1, keepdims=True))
    strength = mahalanobis(_blocks(x, BLOCK), covariance)
    n, c, h, w = x.shape
    return xp.reshape(strength, (n, c, h // BLOCK, w // BLOCK)), xp.linalg.eigvalsh(covariance)


def band_information(x: Array, y: Array, size: int, noise: float) -> tuple[Array, Array]:
    """Information that a band of the image y carries of the reference x, and that x itself carries; (N, C) twice."""
    xp = namespace(x, y)
    x, y = _crop(x), _crop(y)
    gain, error = _channel(x, y, size)
    strength, eigenvalues = _source(x)
    edge = -(-(size // 2) // BLOCK)
    inner = (..., slice(edge, strength.shape[-2] - edge), slice(edge, strength.shape[-1] - edge))
    signal, strength = (gain * gain * strength / (error + noise))[inner], strength[inner] / noise
    received, sent = 0.0, 0.0
    for j in range(BLOCK * BLOCK):
        value = eigenvalues[..., j, None, None]
        received = received + xp.sum(xp.log2(1 + signal * value), axis=(-2, -1))
        sent = sent + xp.sum(xp.log2(1 + strength * value), axis=(-2, -1))
    return received, sent


def _vif_kernel(image: Any, reference: Any, *, threads: int, colour: str = "luma", noise: float = 0.4) -> float | None:
    from beholder.kernels import information_wavelet, planes

    if colour == "rgb":
        return None
    x, y = (planes.plane_of(a, colour, threads=threads) for a in (reference, image))
    middle = x.mean(dtype=np.float64).astype(np.float32)  # bands do not see it, and single precision stays exact
    x -= middle
    y -= middle
    received, sent = information_wavelet.wavelet_information(x, y, noise, threads)
    return (received + 1e-6) / (sent + 1e-6)


@metric(
    "vif",
    better="higher",
    range=(0.0, float("inf")),
    best=1.0,
    unit="",
    needs="reference",
    min_size=65,
    paper="Sheikh and Bovik 2006, Image information and visual quality, doi:10.1109/TIP.2005.859378",
    presets={"matlab": {"colour": "matlab"}},
    verified=("", "matlab"),
    kernel=_vif_kernel,
)
def vif(
    image: Array, reference: Array, *, colour: Luma = "luma", noise: Constant = 0.4, levels: float | None = None
) -> Array:
    """Visual information fidelity in wavelets; 1 for equal pictures, above 1 where contrast was enhanced.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,), from 0 upwards. As the authors'
    program: bands along and across of a four-level steerable pyramid, 3x3 blocks of coefficients as a Gaussian scale
    mixture, noise variance 0.4 in squares of 0..255, on full-range BT.601 luma; the preset ``matlab`` on ``rgb2gray``
    (integers rounded), as the authors' program is fed. A flat reference has no information to lose: the value is 1,
    whatever the picture, where the authors' program divides 0 by 0.
    """
    x, y = (double(to_luma(a, colour, levels) * 255) for a in (reference, image))
    received: Array = 0.0
    sent: Array = 0.0
    for level, pairs in enumerate(zip(steerable_pyramid(x, 4), steerable_pyramid(y, 4), strict=True)):
        for a, b in zip(*pairs, strict=True):
            got, whole = band_information(a, b, 2 ** (4 - level) + 1, noise)
            received, sent = received + got, sent + whole
    xp = namespace(image)
    return xp.astype(((received + 1e-6) / (sent + 1e-6))[:, 0], image.dtype, copy=False)


# --- VIF in pixels ----------------------------------------------------------------------------------------------------


def _moments(x: Array, y: Array, taps: Any) -> tuple[Array, Array, Array]:
    """Local variances and covariance; a variance that is no more than rounding is 0."""
    mx, my = correlate(x, taps, taps), correlate(y, taps, taps)
    vx = _variance(correlate(x * x, taps, taps), mx)
    vy = _variance(correlate(y * y, taps, taps), my)
    return vx, vy, correlate(x * y, taps, taps) - mx * my


def _variance(energy: Array, mean: Array) -> Array:
    xp = namespace(energy)
    rounding = 16 * float(xp.finfo(energy.dtype).eps)
    found = energy - mean * mean
    return xp.where(found > rounding * energy, found, xp.zeros_like(found))


def _pixel_information(x: Array, y: Array, taps: Any, noise: float, tiny: float) -> tuple[Array, Array]:
    xp = namespace(x, y)
    vx, vy, cov = _moments(x, y, taps)
    zero = xp.zeros_like(vx)
    gain = cov / (vx + tiny)
    error = vy - gain * cov
    flat, still = vx < tiny, vy < tiny
    gain, error, vx = xp.where(flat | still, zero, gain), xp.where(flat, vy, error), xp.where(flat, zero, vx)
    error = xp.where(still, zero, error)
    error, gain = xp.where(gain < 0, vy, error), xp.clip(gain, min=0)
    received = xp.log(1 + gain * gain * vx / (xp.clip(error, min=tiny) + noise))
    return xp.sum(received, axis=(-2, -1)), xp.sum(xp.log(1 + vx / noise), axis=(-2, -1))


def _vif_p_kernel(
    image: Any, reference: Any, *, threads: int, colour: str = "luma", noise: float = 2.0
) -> float | None:
    from beholder.kernels import fidelity, planes

    if noise < fidelity.LEAST_NOISE:
        return None
    ratios = []
    for y, x in planes.pairs(image, reference, colour, threads=threads):
        received, sent = fidelity.pixel_information(x, y, noise, threads)
        ratios.append((received + 1e-8) / (sent + 1e-8))
    return float(sum(ratios) / len(ratios))


@metric(
    "vif_p",
    better="higher",
    range=(0.0, float("inf")),
    best=1.0,
    unit="",
    needs="reference",
    min_size=41,
    paper="Sheikh and Bovik 2006, Image information and visual quality, doi:10.1109/TIP.2005.859378",
    presets={"matlab": {"colour": "matlab"}, "rgb": {"colour": "rgb"}},
    verified=("", "matlab", "rgb"),
    aliases=("vifp",),
    kernel=_vif_p_kernel,
)
def vif_p(
    image: Array, reference: Array, *, colour: Colour = "luma", noise: Constant = 2.0, levels: float | None = None
) -> Array:
    """Visual information fidelity in pixels over four scales; 1 for equal pictures, above 1 for enhanced ones.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,), from 0 upwards. As the authors'
    program vifp_mscale, noise variance 2 in squares of 0..255, on full-range BT.601 luma; presets ``matlab`` on
    ``rgb2gray`` (integers rounded) and ``rgb``, the mean over channels. A flat reference has no information to lose:
    the value is 1, whatever the picture, where the authors' program divides 0 by 0.
    """
    xp = namespace(image, reference)
    x, y = (to_luma(a, colour, levels) * 255 for a in (reference, image))
    middle = xp.mean(x, axis=(-2, -1), keepdims=True)  # variances do not see it, and single precision stays exact
    x, y = x - middle, y - middle
    received, sent = 0.0, 0.0
    for scale in range(4):
        taps = gaussian_window(2 ** (4 - scale) + 1, (2 ** (4 - scale) + 1) / 5)
        if scale:
            x, y = (correlate(a, taps, taps)[..., ::2, ::2] for a in (x, y))
        got, whole = _pixel_information(x, y, taps, noise, 1e-10)
        received, sent = received + got, sent + whole
    return xp.mean((received + 1e-8) / (sent + 1e-8), axis=1)


# --- IW-SSIM ----------------------------------------------------------------------------------------------------------


def information_weights(x: Array, y: Array, parent: Array | None, noise: float) -> Array:
    """Bits that a band of reference x and image y has about their common source, at all but the outermost pixels."""
    xp = namespace(x, y)
    vx, vy, cov = _moments(x, y, uniform_window(3))
    zero = xp.zeros_like(vx)
    gain = cov / (vx + TINY)
    flat, still = vx < TINY, vy < TINY
    error = xp.where(flat, vy, vy - gain * cov)
    gain, error = xp.where(flat | still, zero, gain), xp.clip(xp.where(still, zero, error), min=0)
    n, c, h, w = vx.shape
    near = [x[..., i : h + i, j : w + j] for i in range(3) for j in range(3)]
    if parent is not None:
        near.append(enlarge(parent, x.shape[-2], x.shape[-1])[..., 1:-1, 1:-1])
    stack = xp.stack([xp.reshape(a, (n, c, -1)) for a in near], axis=2)
    covariance = double(products(stack))
    strength = xp.reshape(mahalanobis(stack, covariance), (n, c, h, w))
    eigenvalues = xp.linalg.eigvalsh(covariance)
    positive = xp.clip(eigenvalues, min=0)
    total = xp.sum(positive, axis=-1, keepdims=True)
    share = xp.sum(eigenvalues, axis=-1, keepdims=True) / xp.where(total > 0, total, xp.ones_like(total))
    eigenvalues = xp.astype(positive * share, x.dtype, copy=False)[..., None, None]
    slope = (error + (1 + gain * gain) * noise) * strength / noise**2
    start = 1 + error / noise
    bits = zero
    for j in range(0, len(near), 2):  # a logarithm for two factors: single precision holds their product
        factor = start + slope * eigenvalues[:, :, j]
        if j + 1 < len(near):
            factor = factor * (start + slope * eigenvalues[:, :, j + 1])
        bits = bits + xp.log2(factor)
    return xp.where(bits < TINY, zero, bits)


def loud_pyramid(x: Array) -> list[Array]:
    """The Laplacian pyramid of the authors' toolbox: its filter doubles what it passes on, level by level."""
    pyramid = laplacian_pyramid(x, BINOMIAL, len(WEIGHTS), edges=("reflect", "reflect"))
    return [band * 2.0**level for level, band in enumerate(pyramid)]


def similarity_maps(x: Array, y: Array, c1: float, c2: float) -> tuple[Array, Array]:
    """Luminance, and contrast and structure, of SSIM in every 11x11 window."""
    xp = namespace(x, y)
    taps = gaussian_window(11, 1.5)
    mx, my = correlate(x, taps, taps), correlate(y, taps, taps)
    vx = xp.clip(correlate(x * x, taps, taps) - mx * mx, min=0)
    vy = xp.clip(correlate(y * y, taps, taps) - my * my, min=0)
    cov = correlate(x * y, taps, taps) - mx * my
    return (2 * mx * my + c1) / (mx * mx + my * my + c1), (2 * cov + c2) / (vx + vy + c2)


def _iw_ssim_kernel(
    image: Any, reference: Any, *, threads: int, colour: str = "luma", noise: float = 0.4
) -> float | None:
    from beholder.kernels import information, planes

    values, taps = [], gaussian_window(11, 1.5)
    for pair in planes.pairs(reference, image, colour, threads=threads):
        x, y = (information.laplacian(p, BINOMIAL, len(WEIGHTS), ("reflect", "reflect"), 2.0, threads) for p in pair)
        last = [p[-1][None, None].astype(np.float64) for p in (x, y)]
        light, similar = similarity_maps(last[0], last[1], 2.55**2, 7.65**2)
        value = 1.0
        for scale, exponent in enumerate(WEIGHTS):
            if scale == len(WEIGHTS) - 1:
                mean = float(np.mean(light * similar))
            else:
                parent = x[scale + 1] if scale < len(WEIGHTS) - 2 else None
                mean = information.weighted_similarity(x[scale], y[scale], parent, noise, taps, threads)
            value *= max(mean, 0.0) ** (exponent / sum(WEIGHTS))
        values.append(value)
    return float(sum(values) / len(values))


@metric(
    "iw_ssim",
    better="higher",
    range=(0.0, 1.0),
    unit="",
    needs="reference",
    min_size=161,
    paper="Wang and Li 2011, Information content weighting for perceptual image quality assessment, "
    "doi:10.1109/TIP.2010.2092435",
    presets={"matlab": {"colour": "matlab"}, "rgb": {"colour": "rgb"}},
    verified=("", "matlab", "rgb"),
    aliases=("iwssim",),
    kernel=_iw_ssim_kernel,
)
def iw_ssim(
    image: Array, reference: Array, *, colour: Colour = "luma", noise: _Noise = 0.4, levels: float | None = None
) -> Array:
    """Multi-scale structural similarity, weighted by local information content; 1 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,). As the authors' program: five bands
    of a Laplacian pyramid, weights from a Gaussian scale mixture of 3x3 neighbours and the parent, noise variance 0.4
    in squares of 0..255, on full-range BT.601 luma; a negative mean similarity counts as 0. Presets: ``matlab`` on
    ``rgb2gray`` (integers rounded), as the authors' program is fed; ``rgb``, the mean over channels.
    """
    xp = namespace(image, reference)
    x, y = (loud_pyramid(to_luma(a, colour, levels) * 255) for a in (reference, image))
    result: Array = 1.0
    for scale, exponent in enumerate(WEIGHTS):
        light, similar = similarity_maps(x[scale], y[scale], 2.55**2, 7.65**2)
        if scale == len(WEIGHTS) - 1:
            mean = xp.mean(light * similar, axis=(-2, -1))
        else:
            parent = x[scale + 1] if scale < len(WEIGHTS) - 2 else None
            weights = information_weights(x[scale], y[scale], parent, noise)[..., 4:-4, 4:-4]
            total = xp.sum(weights, axis=(-2, -1))
            plain = 1e-8 * xp.mean(similar, axis=(-2, -1))  # where there is no information at all
            mean = (xp.sum(similar * weights, axis=(-2, -1)) + plain) / (total + 1e-8)
        result = result * positive_power(mean, exponent / sum(WEIGHTS))
    return xp.mean(result, axis=1)
