"""Similarity of block-wise cosine transforms: PSNR-HVS, PSNR-HVS-M, DSS."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from beholder.arrays import (
    LUMA_FULL,
    LUMA_MATLAB,
    Array,
    gaussian_window,
    is_torch,
    namespace,
    pad_zeros,
    positive_root,
    to_luma,
)
from beholder.metrics.registry import metric
from beholder.metrics.settings import Luma

SIDE = 8
_angles = np.outer(np.arange(SIDE), 2 * np.arange(SIDE) + 1) * np.pi / (2 * SIDE)
DCT = np.cos(_angles) / 2 * np.where(np.arange(SIDE) == 0, np.sqrt(0.5), 1.0).reshape(SIDE, 1)
"""The orthonormal cosine transform (type II) of eight values."""
QUANTISATION = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
"""Luminance quantisation of ITU-T T.81, table K.1: what the eye does not see."""
SENSITIVITY = np.round(25.73509 / QUANTISATION, 6)
MASKING = np.round((10 / QUANTISATION) ** 2, 6)
"""Contrast sensitivity and masking as the authors' program prints them: both come of the quantisation table."""
LIMITS = np.where(np.arange(SIDE**2).reshape(SIDE, SIDE) == 0, 0, 1 / MASKING)
"""What the contrast of a block hides of each coefficient; nothing of the mean."""
_grid = np.arange(SIDE) + 0.5
SUBBAND_WEIGHTS = np.exp(-(_grid[:, None] ** 2 + _grid**2) / (2 * 1.55**2))
SUBBANDS = [(int(k), int(n)) for k, n in np.argwhere(SUBBAND_WEIGHTS >= 0.01)]
"""DSS: the subbands that count, the mean first."""
DSS_CONSTANTS = np.array([1000.0] + [300.0] * (len(SUBBANDS) - 1)) / 255**2
_WINDOW = np.outer(gaussian_window(3, 1.5), gaussian_window(3, 1.5))
_NEIGHBOURS = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
_WEIGHTS = [float(_WINDOW[at]) for at in _NEIGHBOURS]


def like(values: Any, x: Array) -> Array:
    """Constants as an array of the library, type and device of x."""
    if not is_torch(x):
        return np.asarray(values, dtype=x.dtype)
    import torch

    return torch.as_tensor(values, dtype=x.dtype, device=x.device)


def block_dct(x: Array) -> Array:
    """Cosine transforms of all whole 8x8 blocks of one plane: (N, 1, H, W) to (N, H // 8, 8, W // 8, 8)."""
    xp = namespace(x)
    n, _, height, width = x.shape
    rows, columns = height // SIDE, width // SIDE
    x = x[..., : rows * SIDE, : columns * SIDE]
    along = xp.matmul(xp.reshape(x, (n, rows, SIDE, columns, SIDE)), like(DCT.T.copy(), x))
    down = xp.matmul(like(DCT, x), xp.reshape(along, (n, rows, SIDE, columns * SIDE)))
    return xp.reshape(down, (n, rows, SIDE, columns, SIDE))


def _decibel(error: Array) -> Array:
    """Peak signal-to-noise ratio of a mean squared error against a peak of 1; infinite where there is none."""
    xp = namespace(error)
    safe = xp.where(error > 0, error, xp.ones_like(error))
    return xp.where(error > 0, -10 * xp.log10(safe), xp.full_like(error, float("inf")))


def _seen(x: Array) -> Array:
    """Weight of every coefficient, shaped as `block_dct` returns them."""
    return like(SENSITIVITY[None, None, :, None, :], x)


def _hvs(image: Any, reference: Any, colour: str, masked: bool, threads: int) -> float | None:
    from beholder.kernels import similarity

    if colour not in similarity.LUMA:
        return None
    error = similarity.hvs_error(image, reference, colour, (SENSITIVITY**2, MASKING, LIMITS), masked, threads)
    return -10 * math.log10(error) if error > 0 else math.inf


def _psnr_hvs_kernel(image: Any, reference: Any, *, threads: int, colour: str = "luma") -> float | None:
    return _hvs(image, reference, colour, False, threads)


def _psnr_hvs_m_kernel(image: Any, reference: Any, *, threads: int, colour: str = "luma") -> float | None:
    return _hvs(image, reference, colour, True, threads)


def _hvs_tensor(image: Any, reference: Any, gradients: Any, colour: str, masked: bool, threads: int) -> float | None:
    from beholder.kernels import cosine

    weights = {"luma": LUMA_FULL, "matlab": LUMA_MATLAB}.get(colour)
    if weights is None:
        return None
    tables = SENSITIVITY**2, MASKING, LIMITS
    return cosine.hvs(image, reference, gradients, weights if len(image) == 3 else (1.0,), tables, masked, threads)


def _psnr_hvs_tensor(
    image: Any, reference: Any, gradients: Any, *, threads: int, colour: str = "luma"
) -> float | None:  # fmt: skip
    return _hvs_tensor(image, reference, gradients, colour, False, threads)


def _psnr_hvs_m_tensor(
    image: Any, reference: Any, gradients: Any, *, threads: int, colour: str = "luma"
) -> float | None:  # fmt: skip
    return _hvs_tensor(image, reference, gradients, colour, True, threads)


@metric(
    "psnr_hvs",
    better="higher",
    range=(-8.3, float("inf")),
    unit="dB",
    needs="reference",
    min_size=8,
    paper="Egiazarian et al. 2006, New full-reference quality metrics based on HVS, Proc. VPQM; the sensitivity "
    "is that of ITU-T T.81, table K.1",
    presets={"matlab": {"colour": "matlab"}},
    verified=("", "matlab"),
    aliases=("psnrhvs",),
    kernel=_psnr_hvs_kernel,
    tensor_kernel=_psnr_hvs_tensor,
)
def psnr_hvs(image: Array, reference: Array, *, colour: Luma = "luma", levels: float | None = None) -> Array:
    """Peak signal-to-noise ratio of 8x8 cosine transforms, weighted by contrast sensitivity; infinite if equal.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,) in dB. As the authors' program: whole
    blocks side by side, rows and columns left over do not count. The default takes full-range BT.601 luma; the preset
    ``matlab`` takes ``rgb2gray`` (integers rounded).
    """
    difference = block_dct(to_luma(image, colour, levels) - to_luma(reference, colour, levels))
    return _decibel(namespace(difference).mean((difference * _seen(difference)) ** 2, axis=(1, 2, 3, 4)))


def _masking(x: Array, coefficients: Array) -> Array:
    """What contrast of each block hides, at the coefficient of weight 1: (N, rows, 1, columns, 1)."""
    xp = namespace(x)
    n, rows, _, columns, _ = coefficients.shape
    hidden = MASKING.copy()
    hidden[0, 0] = 0
    inner = x[..., : rows * SIDE, : columns * SIDE]
    quarters = xp.reshape(inner, (n, rows, 2, SIDE // 2, columns, 2, SIDE // 2))
    offsets = (quarters - xp.mean(quarters, axis=(3, 6), keepdims=True)) ** 2
    # Sums of squares over n values, n / (n - 1) of them: MATLAB's var times n.
    local = xp.sum(offsets, axis=(2, 3, 5, 6)) * (16 / 15)
    whole = xp.sum(coefficients**2 * like(np.where(hidden > 0, 64 / 63, 0)[None, None, :, None, :], x), axis=(2, 4))
    flat = whole <= 0
    share = xp.where(flat, xp.zeros_like(local), local / xp.where(flat, xp.ones_like(whole), whole))
    energy = xp.sum(coefficients**2 * like(hidden[None, None, :, None, :], x), axis=(2, 4))
    return positive_root(energy * share)[:, :, None, :, None] / 32


@metric(
    "psnr_hvs_m",
    better="higher",
    range=(-8.3, float("inf")),
    unit="dB",
    needs="reference",
    min_size=8,
    paper="Ponomarenko et al. 2007, On between-coefficient contrast masking of DCT basis functions, Proc. VPQM; the "
    "masking is that of ITU-T T.81, table K.1",
    presets={"matlab": {"colour": "matlab"}},
    verified=("", "matlab"),
    aliases=("psnrhvsm", "psnr_hvsm"),
    kernel=_psnr_hvs_m_kernel,
    tensor_kernel=_psnr_hvs_m_tensor,
)
def psnr_hvs_m(image: Array, reference: Array, *, colour: Luma = "luma", levels: float | None = None) -> Array:
    """PSNR-HVS less the differences that the contrast of their block hides; infinite if none can be seen.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,) in dB. As the authors' program: a
    block hides more the more energy it has, and less where that comes of an edge between its quarters; a difference of
    means is never hidden. The default takes full-range BT.601 luma; the preset ``matlab`` takes ``rgb2gray`` (integers
    rounded).
    """
    xp = namespace(image, reference)
    x, y = (to_luma(a, colour, levels) for a in (image, reference))
    cx, cy = block_dct(x), block_dct(y)
    hidden = xp.maximum(_masking(x, cx), _masking(y, cy)) * like(LIMITS[None, None, :, None, :], x)
    excess = abs(block_dct(x - y)) - hidden
    visible = xp.where(excess > 0, excess, xp.zeros_like(excess))
    return _decibel(xp.mean((visible * _seen(x)) ** 2, axis=(1, 2, 3, 4)))


def subbands(x: Array) -> Array:
    """The subbands that count: (N, 1, H, W) to (N, len(SUBBANDS), H // 8, W // 8)."""
    coefficients = block_dct(x)
    return namespace(x).stack([coefficients[:, :, k, :, n] for k, n in SUBBANDS], axis=1)


def worst_mean(x: Array) -> Array:
    """Mean of the smallest twentieth of every plane: (N, C, H, W) to (N, C)."""
    xp = namespace(x)
    n, c, height, width = x.shape
    count = int(0.05 * (height * width) + 0.5)
    flat = xp.reshape(x, (n, c, height * width))
    if not is_torch(x):
        return np.mean(np.partition(flat, count - 1, axis=-1)[..., :count], axis=-1)
    import torch

    return torch.mean(torch.topk(flat, count, dim=-1, largest=False, sorted=False).values, dim=-1)


def _offsets(x: Array) -> list[Array]:
    """The eight neighbours of every value, zeros beyond the border, less the value itself: flat areas stay exact."""
    height, width = x.shape[-2:]
    big = pad_zeros(x, 1, 1, 1, 1)
    return [big[..., i : i + height, j : j + width] - x for i, j in _NEIGHBOURS]


def _covariance(dx: list[Array], dy: list[Array]) -> Array:
    """Local covariance by offsets from the value in the middle, which the weighted mean of a window does not need."""
    mx, my = (sum(w * d for w, d in zip(_WEIGHTS, ds, strict=True)) for ds in (dx, dy))
    return sum(w * p * q for w, p, q in zip(_WEIGHTS, dx, dy, strict=True)) - mx * my


def subband_scores(x: Array, y: Array, c: Any) -> Array:
    """Similarity of the local spread of subbands, the worst twentieth: (N, C, h, w) to (N, C)."""
    dx, dy = _offsets(x), _offsets(y)
    sx, sy = positive_root(_covariance(dx, dx)), positive_root(_covariance(dy, dy))
    return worst_mean(1 - (sx - sy) ** 2 / (sx**2 + sy**2 + c))


def mean_correlation(x: Array, y: Array) -> Array:
    """Local correlation of the subband of means, the worst twentieth: (N, 1, h, w) to (N, 1)."""
    dx, dy = _offsets(x), _offsets(y)
    product = positive_root(_covariance(dx, dx) * _covariance(dy, dy))
    return worst_mean(1 - (product - _covariance(dx, dy)) / (product + float(DSS_CONSTANTS[0])))


def _pooled(scores: Array, correlation: Array) -> Array:
    weights = np.array([SUBBAND_WEIGHTS[at] for at in SUBBANDS])
    weights = like(weights / weights.sum(), scores)
    # What is missing to 1: nothing for equal pictures, however the weights add up.
    rest = namespace(scores).sum((1 - scores[:, 1:]) * weights[1:], axis=1)
    return 1 - (1 - scores[:, 0] * correlation[:, 0]) * weights[0] - rest


def _dss_kernel(image: Any, reference: Any, *, threads: int, colour: str = "luma") -> float | None:
    from beholder import strips
    from beholder.kernels import similarity

    if colour not in similarity.LUMA:
        return None
    planes = [similarity.low_subbands(a, colour, threads) for a in (image, reference)]

    window = float(_WINDOW[0, 0]), float(_WINDOW[0, 1])

    def score(job: tuple[int, bool]) -> float:
        at, correlation = job
        x, y = (p[SUBBANDS[at]] for p in planes)
        missing = similarity.subband_missing(x, y, window, 255**2 * float(DSS_CONSTANTS[at]), correlation)
        return float(worst_mean(1 - missing[None, None])[0, 0])

    jobs = [(at, False) for at in range(len(SUBBANDS))]
    correlation, *scores = strips.run(score, [(0, True), *jobs], threads)
    return float(_pooled(np.array([scores]), np.array([[correlation]]))[0])


@metric(
    "dss",
    better="higher",
    range=(-1.0, 1.0),
    unit="",
    needs="reference",
    min_size=32,
    paper="Balanov et al. 2015, Image quality assessment based on DCT subband similarity, "
    "doi:10.1109/ICIP.2015.7351172",
    presets={"matlab": {"colour": "matlab"}},
    verified=("", "matlab"),
    kernel=_dss_kernel,
)
def dss(image: Array, reference: Array, *, colour: Luma = "luma", levels: float | None = None) -> Array:
    """Similarity of local variances in the subbands of 8x8 cosine transforms; 1 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,). As the authors' program: whole
    blocks only; of each subband the worst twentieth (halves rounded up), for the mean also of its correlation; low
    frequencies weigh more. The default takes full-range BT.601 luma; the preset ``matlab`` takes ``rgb2gray`` (integers
    rounded).
    """
    x, y = (to_luma(a, colour, levels) for a in (image, reference))
    sx, sy = subbands(x), subbands(y)
    scores = subband_scores(sx, sy, like(DSS_CONSTANTS[:, None, None], sx))
    return _pooled(scores, mean_correlation(sx[:, :1], sy[:, :1]))
