"""Fidelity of spectral and scientific data, of any number of channels: SAM, ERGAS, SCC, NRMSE and NMI."""

from __future__ import annotations

import functools
import math
from typing import Annotated, Any, Literal

import numpy as np

from beholder.arrays import (
    Array,
    correlate,
    is_torch,
    namespace,
    pad_mirror,
    pad_zeros,
    positive_root,
    uniform_window,
)
from beholder.errors import InputError
from beholder.metrics.registry import metric
from beholder.metrics.settings import AtLeast, AtMost, Positive
from beholder.strips import Strip, cut, run

Numpy = np.ndarray[Any, Any]
_ROWS = 32  # of a strip: a few megabytes in double precision


def _planes(a: Numpy) -> Numpy:
    """Rows of a uint8 picture, (H, W) or (H, W, C), as (1, C, H, W) in [0, 1]."""
    return np.atleast_3d(a).transpose(2, 0, 1)[None] / 255.0


def _strips(work: Any, image: Numpy, reference: Numpy, threads: int) -> list[Any]:
    """What `work` makes of every strip of rows of two pictures."""

    def one(strip: Strip) -> Any:
        return work(image[strip.first : strip.last], reference[strip.first : strip.last])

    return run(one, cut(image.shape[0], _ROWS), threads)


def _angles(image: Array, reference: Array) -> tuple[Array, Array]:
    """Sum of the angles between the spectra of two pictures, and the number of pixels that have one, (N,) each."""
    xp = namespace(image, reference)
    lengths = [positive_root(xp.sum(a * a, axis=1, keepdims=True)) for a in (image, reference)]
    lit = (lengths[0] > 0) & (lengths[1] > 0)
    x, y = (a / xp.where(lit, s, xp.ones_like(s)) for a, s in zip((image, reference), lengths, strict=True))
    apart, along = (positive_root(xp.sum(v * v, axis=1, keepdims=True)) for v in (x - y, x + y))
    # As precise for equal spectra as for others, unlike the arc cosine.
    angle = 2 * xp.atan2(apart, xp.where(lit, along, xp.ones_like(along)))
    angle = xp.where(lit, angle, xp.zeros_like(angle))
    return xp.sum(angle, axis=(1, 2, 3)), xp.sum(xp.astype(lit, image.dtype), axis=(1, 2, 3))


def _sam_kernel(image: Numpy, reference: Numpy, *, threads: int) -> float | None:
    parts = _strips(lambda x, y: _angles(_planes(x), _planes(y)), image, reference, threads)
    return math.fsum(p[0][0] for p in parts) / max(math.fsum(p[1][0] for p in parts), 1.0)


@metric(
    "sam",
    better="lower",
    range=(0.0, math.pi / 2),
    unit="rad",
    needs="reference",
    min_size=1,
    paper="Kruse et al. 1993, The spectral image processing system (SIPS), doi:10.1016/0034-4257(93)90013-N",
    verified=("",),
    aliases=("spectral_angle_mapper",),
    channels=None,
    kernel=_sam_kernel,
)
def sam(image: Array, reference: Array) -> Array:
    """Mean angle between the spectra of corresponding pixels, in radians; 0 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], any C, equal shapes. Returns (N,), 0 to pi / 2. Pixels that are black in
    either picture have no angle and are left out, as in sewar; 0 where none is left (a black reference), where sewar
    and torchmetrics have NaN. torchmetrics gives the same where no pixel is black.
    """
    total, count = _angles(image, reference)
    xp = namespace(total)
    return total / xp.maximum(count, xp.ones_like(count))


def _ergas(squares: Array, means: Array, ratio: float) -> Array:
    """ERGAS of mean squared errors and means of reference channels, (N, C) each."""
    xp = namespace(squares, means)
    dark = means <= 0
    relative = squares / xp.where(dark, xp.ones_like(means), means) ** 2
    lost = xp.where(squares > 0, xp.full_like(squares, math.inf), xp.zeros_like(squares))
    return 100 / ratio * positive_root(xp.mean(xp.where(dark, lost, relative), axis=1))


def _moments(x: Numpy, y: Numpy) -> tuple[Numpy, Numpy, Numpy, int, int]:
    """Of two uint8 strips: sums by channel of squared differences, of y and of y squared; least and largest y."""
    x, y = (np.atleast_3d(a).reshape(-1, np.atleast_3d(a).shape[-1]).astype(np.int64) for a in (x, y))
    return ((x - y) ** 2).sum(axis=0), y.sum(axis=0), (y * y).sum(axis=0), int(y.min()), int(y.max())


def _ergas_kernel(image: Numpy, reference: Numpy, *, threads: int, ratio: float = 4.0) -> float | None:
    parts = _strips(_moments, image, reference, threads)
    pixels = image.shape[0] * image.shape[1]
    squares, means = (np.sum([p[i] for p in parts], axis=0) / pixels for i in (0, 1))
    return float(_ergas(squares[None], means[None], ratio)[0])


@metric(
    "ergas",
    better="lower",
    range=(0.0, math.inf),
    unit="",
    needs="reference",
    min_size=1,
    paper="Wald 2000, Quality of high resolution synthesised images: is there a simple criterion?, "
    "Proc. 3rd Conf. Fusion of Earth Data, SEE/URISCA, pp. 99-103, https://hal.science/hal-00395027",
    presets={"ratio-1": {"ratio": 1.0}, "ratio-2": {"ratio": 2.0}},
    verified=("", "ratio-1", "ratio-2"),
    channels=None,
    kernel=_ergas_kernel,
)
def ergas(image: Array, reference: Array, *, ratio: Positive = 4.0) -> Array:
    """Relative global error of a fused picture, root mean square over channels, in per cent / ratio; 0 for equal.

    image, reference: (N, C, H, W) in [0, 1], any C, equal shapes. Returns (N,); infinite where a channel of the
    reference is black and that of the image is not. ratio: pixel size of the low resolution in those of the high; the
    default is 4, as in torchmetrics and sewar, the presets take 1 and 2.
    """
    xp = namespace(image, reference)
    squares = xp.mean((image - reference) ** 2, axis=(-2, -1))
    return _ergas(squares, xp.mean(reference, axis=(-2, -1)), ratio)


_WINDOW = 8


def _high_pass(x: Array) -> Array:
    """The 3x3 Laplacian (8 in the middle, -1 around) of every plane, where it fits."""
    ones = (1.0, 1.0, 1.0)
    return 9 * x[..., 1:-1, 1:-1] - correlate(x, ones, ones)


def _correlation(joint: Array, first: Array, second: Array) -> Array:
    """Covariance over deviations; 1 where both are flat, 0 where one is."""
    xp = namespace(joint)
    least = (16 * float(xp.finfo(joint.dtype).eps)) ** 2  # what rounding leaves of a flat part
    flat = (first <= least, second <= least)
    one = xp.ones_like(joint)
    # Two roots: the product of two small variances would be too small for single precision.
    spread = [positive_root(xp.where(f, one, v)) for f, v in zip(flat, (first, second), strict=True)]
    value = xp.where(flat[0] | flat[1], xp.zeros_like(joint), joint / (spread[0] * spread[1]))
    return xp.where(flat[0] & flat[1], one, value)


def _local_correlation(x: Array, y: Array) -> Array:
    """Correlation of two high-passed pictures in every window that fits."""
    taps = uniform_window(_WINDOW)
    mx, my, xx, yy, xy = (correlate(a, taps, taps) for a in (x, y, x * x, y * y, x * y))
    return _correlation(xy - mx * my, xx - mx * mx, yy - my * my)


def _scc_kernel(image: Numpy, reference: Numpy, *, threads: int, window: str = "local") -> float | None:
    if window != "local":
        return None
    before, after = _WINDOW // 2, (_WINDOW - 1) // 2
    padded = [np.pad(np.atleast_3d(a), ((1, 1), (1, 1), (0, 0)), mode="symmetric") for a in (image, reference)]

    def one(strip: Strip) -> float:
        top, bottom = before - (strip.first - strip.top), after - (strip.bottom - strip.last)
        x, y = (
            pad_zeros(_high_pass(_planes(a[strip.top : strip.bottom + 2])), top, bottom, before, after) for a in padded
        )
        return float(_local_correlation(x, y).sum())

    parts = run(one, cut(image.shape[0], _ROWS, before, after), threads)
    return math.fsum(parts) / image.size


@metric(
    "scc",
    better="higher",
    range=(-1.0, 1.0),
    unit="",
    needs="reference",
    min_size=8,
    paper="Zhou, Civco and Silander 1998, A wavelet transform method to merge Landsat TM and SPOT panchromatic data, "
    "doi:10.1080/014311698215973",
    presets={"zhou": {"window": "global"}},
    verified=("", "zhou"),
    channels=None,
    kernel=_scc_kernel,
)
def scc(image: Array, reference: Array, *, window: Literal["local", "global"] = "local") -> Array:
    """Correlation of the high-passed channels of two pictures, the mean over channels; 1 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], any C, equal shapes. Returns (N,). The high pass is the 3x3 Laplacian.
    The default is the program that most use, torchmetrics' (after sewar): correlation in windows of 8x8 around every
    pixel, mirrored before the high pass, zeros beyond the border after it; windows that are flat in both pictures
    count as 1, in one as 0. The preset ``zhou`` takes one correlation for each channel, as the paper does.
    """
    xp = namespace(image, reference)
    if window == "global":
        x, y = (_high_pass(a) for a in (image, reference))
        x, y = (a - xp.mean(a, axis=(-2, -1), keepdims=True) for a in (x, y))
        joint, first, second = (xp.mean(a * b, axis=(-2, -1)) for a, b in ((x, y), (x, x), (y, y)))
        return xp.mean(_correlation(joint, first, second), axis=1)
    before, after = _WINDOW // 2, (_WINDOW - 1) // 2
    x, y = (pad_zeros(_high_pass(pad_mirror(a, 1, 1, 1, 1)), before, after, before, after) for a in (image, reference))
    return xp.mean(_local_correlation(x, y), axis=(1, 2, 3))


def _relative(error: Array, scale: Array) -> Array:
    """Error over scale; infinite where only the scale is 0."""
    xp = namespace(error, scale)
    lost = xp.where(error > 0, xp.full_like(error, math.inf), xp.zeros_like(error))
    return xp.where(scale > 0, error / xp.where(scale > 0, scale, xp.ones_like(scale)), lost)


def _nrmse_kernel(image: Numpy, reference: Numpy, *, threads: int, scale: str = "euclidean") -> float | None:
    parts = _strips(_moments, image, reference, threads)
    squares, total, power = (int(sum(p[i].sum() for p in parts)) for i in (0, 1, 2))
    scales = {
        "euclidean": math.sqrt(power / image.size),
        "min-max": float(max(p[4] for p in parts) - min(p[3] for p in parts)),
        "mean": total / image.size,
    }
    if scale not in scales:
        return None
    return float(_relative(np.array(math.sqrt(squares / image.size)), np.array(scales[scale])))


@metric(
    "nrmse",
    better="lower",
    range=(0.0, math.inf),
    unit="",
    needs="reference",
    min_size=1,
    paper="Fienup 1997, Invariant error metrics for image reconstruction, doi:10.1364/AO.36.008352",
    presets={"min-max": {"scale": "min-max"}, "mean": {"scale": "mean"}},
    verified=("", "min-max", "mean"),
    channels=None,
    kernel=_nrmse_kernel,
)
def nrmse(image: Array, reference: Array, *, scale: Literal["euclidean", "min-max", "mean"] = "euclidean") -> Array:
    """Root mean squared error over all values, relative to the reference; 0 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], any C, equal shapes. Returns (N,); infinite where the scale is 0 and the
    pictures differ. scale: what counts as 1, the root mean square of the reference ("euclidean", the default, as in
    scikit-image), its range ("min-max") or its mean ("mean"). Raises InputError for another scale.
    """
    xp = namespace(image, reference)
    axes = (1, 2, 3)
    error = positive_root(xp.mean((image - reference) ** 2, axis=axes))
    if scale == "euclidean":
        return _relative(error, positive_root(xp.mean(reference * reference, axis=axes)))
    if scale == "min-max":
        return _relative(error, xp.max(reference, axis=axes) - xp.min(reference, axis=axes))
    if scale == "mean":
        return _relative(error, xp.mean(reference, axis=axes))
    raise InputError(f"nrmse: scale is 'euclidean', 'min-max' or 'mean', got {scale!r}")


def _counts(index: Array, bins: int) -> Numpy:
    """How often every whole number below `bins` occurs."""
    if is_torch(index):
        import torch

        return np.asarray(torch.bincount(index.reshape(-1), minlength=bins).cpu().numpy())
    return np.bincount(index.reshape(-1), minlength=bins)


def _bin(values: Array, bins: int) -> Array:
    """The bin of every value, `bins` of equal width from the least to the largest."""
    xp = namespace(values)
    low, high = xp.min(values), xp.max(values)
    # Values at a bin's edge belong to the upper bin, also where rounding has put them just below it.
    slack = 1e-9 if values.dtype == xp.float64 else 5e-5
    width = xp.where(high > low, high - low, xp.ones_like(high))
    place = xp.astype(xp.floor((values - low) / width * bins + slack), xp.int64)
    return xp.clip(place, 0, bins - 1)


def _entropy(counts: Numpy) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def _shared(joint: Numpy) -> float:
    """Normalised mutual information of a table of joint counts; 2 where both pictures are flat."""
    both = _entropy(joint)
    return (_entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))) / both if both > 0 else 2.0


def _nmi_kernel(image: Numpy, reference: Numpy, *, threads: int, bins: int = 100) -> float | None:
    def pairs(x: Numpy, y: Numpy) -> Numpy:
        return np.bincount((x.astype(np.intp) * 256 + y).reshape(-1), minlength=65536)

    parts = _strips(pairs, image, reference, threads)
    table = functools.reduce(np.add, parts).reshape(256, 256)
    for axis in (0, 1):
        used = np.flatnonzero(table.sum(axis=1 - axis))
        table = np.take(table, used, axis=axis)
        order = _bin(used.astype(np.float64), bins)
        starts = np.flatnonzero(np.diff(order, prepend=-1))
        table = np.add.reduceat(table, starts, axis=axis)
    return _shared(table)


@metric(
    "nmi",
    better="higher",
    range=(1.0, 2.0),
    unit="",
    needs="reference",
    min_size=1,
    paper="Studholme, Hill and Hawkes 1999, An overlap invariant entropy measure of 3D medical image alignment, "
    "doi:10.1016/S0031-3203(98)00091-0",
    verified=("",),
    differentiable=False,
    channels=None,
    kernel=_nmi_kernel,
)
def nmi(image: Array, reference: Array, *, bins: Annotated[int, AtLeast(2), AtMost(4096)] = 100) -> Array:
    """Normalised mutual information, the entropies' sum over the joint entropy; 2 for equal pictures, 1 for unrelated.

    image, reference: (N, C, H, W) in [0, 1], any C, equal shapes. Returns (N,), 1 to 2; 2 where both are flat. The
    histogram has `bins` equal bins from each picture's least to its largest value, as in scikit-image. Any one-to-one
    change of values leaves it at 2: it measures alignment across modalities, not fidelity. Counting has no gradient.
    """
    xp = namespace(image, reference)
    values = []
    for x, y in zip(image, reference, strict=True):
        pairs = _bin(x, bins) * bins + _bin(y, bins)
        values.append(_shared(_counts(pairs, bins * bins).reshape(bins, bins)))
    return xp.asarray(values, dtype=image.dtype, device=image.device)
