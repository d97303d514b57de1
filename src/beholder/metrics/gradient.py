"""Gradient similarity: GMSD, MS-GMSD."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np

from beholder.arrays import (
    LUMA_FULL,
    LUMA_MATLAB,
    Array,
    namespace,
    pad_zeros,
    plane_mean,
    positive_root,
    shrink,
    to_luma,
    weighted,
)
from beholder.metrics.registry import metric
from beholder.metrics.settings import AtLeast, AtMost, Constant, Luma

_KERNEL_LUMA = {"luma": "full", "matlab": "matlab"}
SCALE_WEIGHTS = (0.096, 0.596, 0.289, 0.019)
"""MS-GMSD: the weights of its four scales (Zhang et al. 2017)."""
IN_PHASE, QUADRATURE = (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)
"""I and Q of NTSC's YIQ."""


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


_TENSOR_LUMA = {"luma": LUMA_FULL, "matlab": LUMA_MATLAB}


def _gmsd_tensor(
    image: Any, reference: Any, gradients: Any, *, threads: int, colour: str = "luma", c: float = 170 / 255**2
) -> float | None:
    from beholder.kernels import gradient_float as fast
    from beholder.kernels.pixel import within_unit

    if colour not in _TENSOR_LUMA:
        return None
    weights = _TENSOR_LUMA[colour] if len(image) == 3 else (1.0,)
    how = fast.Similarity(144 * c, 0.0)
    if all(g is None for g in gradients):
        found = fast.small_moments(image, reference, how, weights, threads)
        return None if found is None else math.sqrt(found.spread / (found.number - 1))
    if not (within_unit(image, threads) and within_unit(reference, threads)):
        return None
    x, y = pair = [fast.boxes(a, 2, 0, weights, True, threads) for a in (image, reference)]
    number, mean, spread = fast.moments(x, y, how, threads)
    value = math.sqrt(spread / (number - 1))
    times = 1 / (2 * value * (number - 1)) if value > 0 else 0.0
    for (x, y), gradient in zip((pair, pair[::-1]), gradients, strict=True):
        if gradient is not None:
            slope = np.empty_like(x)
            fast.slopes(x, y, how, mean, times, slope, threads)
            fast.spread(slope, gradient, 2, 0, weights, threads)
    return value


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
    tensor_kernel=_gmsd_tensor,
    guards=True,
)
def gmsd(
    image: Array,
    reference: Array,
    *,
    c: Constant = 170 / 255**2,
    colour: Luma = "luma",
    levels: float | None = None,
) -> Array:
    """Spread of the local similarity of gradient magnitudes; 0 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,). Both are averaged over 2x2 and
    halved first, gradients are Prewitt, the spread is the sample standard deviation, as in the authors' program: below
    0.53, half the span of a similarity and a little more on nine samples. The default takes full-range BT.601 luma; the
    preset ``matlab`` takes ``rgb2gray`` (integers rounded), as the authors' program is fed.
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


class _Scales:
    """MS-GMSD of two float32 pictures, and its slopes."""

    def __init__(self, image: Any, reference: Any, colour: str, masking: float, threads: int) -> None:
        from beholder.kernels import gradient_float as fast

        self.threads, self.how = threads, fast.Similarity(9 * 170 / 255**2, masking)
        self.weights = _TENSOR_LUMA[colour] if len(image) == 3 else (1.0,)
        x, y = (a[0] if len(a) == 1 else fast.boxes(a, 1, 0, self.weights, True, threads) for a in (image, reference))
        self.scales, self.moments = [(x, y)], [fast.moments(x, y, self.how, threads)]
        for _ in SCALE_WEIGHTS[1:]:
            x, y = (fast.boxes(a[None], 2, 0, (0.25,), True, threads) for a in (x, y))
            self.scales.append((x, y))
            self.moments.append(fast.moments(x, y, self.how, threads))
        parts = zip(SCALE_WEIGHTS, self.moments, strict=True)
        self.value = math.sqrt(math.fsum(w * m.spread / m.number for w, m in parts))

    def slope(self, which: int, gradient: Any, times: float = 1.0) -> None:
        """Fill gradient with `times` the slope by one of the two pictures."""
        from beholder.kernels import gradient_float as fast

        half = times / (2 * self.value) if self.value > 0 else 0.0
        coarser = None
        for pair, found, weight in reversed(list(zip(self.scales, self.moments, SCALE_WEIGHTS, strict=True))):
            x, y = pair[which], pair[1 - which]
            slope = gradient[0] if len(gradient) == 1 and pair is self.scales[0] else np.empty_like(x)
            if coarser is not None:
                fast.spread(coarser, slope[None], 2, 0, (0.25,), self.threads)
            share = weight * half / found.number
            fast.slopes(x, y, self.how, found.mean, share, slope, self.threads, add=coarser is not None)
            coarser = slope
        if len(gradient) > 1:
            fast.spread(coarser, gradient, 1, 0, self.weights, self.threads)


def _ms_gmsd_tensor(
    image: Any, reference: Any, gradients: Any, *, threads: int, masking: float = 0.5, colour: str = "luma"
) -> float | None:
    if colour not in _TENSOR_LUMA:
        return None
    scales = _Scales(image, reference, colour, masking, threads)
    for which, gradient in enumerate(gradients):
        if gradient is not None:
            scales.slope(which, gradient)
    return scales.value


def _ms_gmsdc_tensor(image: Any, reference: Any, gradients: Any, *, threads: int) -> float:
    from beholder.kernels import gradient_float as fast

    scales = _Scales(image, reference, "luma", 0.5, threads)
    factor, weights = 2 ** (len(SCALE_WEIGHTS) - 1), (1.0,) * len(image)
    x, y = (fast.boxes(a, factor, 0, weights, False, threads).astype(np.float64) for a in (image, reference))
    difference = (x - y)[None] / factor**2
    value = float(_with_chroma(np.asarray([scales.value]), difference)[0])
    share, change = _chroma_share(scales.value)
    planes = [weighted(difference, axis) for axis in (IN_PHASE, QUADRATURE)] if len(image) == 3 else []
    error = math.sqrt(sum(float(np.mean(p**2)) for p in planes))
    by_error = (1 - share) * 2.55 / (error * difference[0, 0].size * factor**2) if error > 0 else 0.0
    for which, gradient in enumerate(gradients):
        if gradient is not None:
            scales.slope(which, gradient, share + change * (scales.value - 2.55 * error))
            if by_error:
                pairs = list(zip((IN_PHASE, QUADRATURE), planes, strict=True))
                slope = np.stack([sum(axis[c] * plane[0, 0] for axis, plane in pairs) for c in range(3)])
                slope = (slope * (by_error if which == 0 else -by_error)).astype(np.float32)
                fast.spread(slope, gradient, factor, 0, weights, threads, add=True)
    return value


def _chroma_share(structure: float) -> tuple[float, float]:
    """How much MS-GMSD counts in MS-GMSDc beside chroma, and the slope of that."""
    decay = 0.32 * math.exp(-15 * structure)
    return 2 / (1 + decay) - 1, 30 * decay / (1 + decay) ** 2


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
    tensor_kernel=_ms_gmsd_tensor,
)
def ms_gmsd(
    image: Array,
    reference: Array,
    *,
    masking: Annotated[float, AtLeast(0), AtMost(2)] = 0.5,
    colour: Luma = "luma",
    levels: float | None = None,
) -> Array:
    """Spread of the similarity of gradient magnitudes over four scales; 0 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,). The paper: the first scale is the
    picture itself, each further one half of it by 2x2 means; masking: the paper's alpha, which sharpens the similarity;
    the root of the weighted mean of the scales' variances, below 0.5. The default takes full-range BT.601 luma; the
    preset ``matlab`` takes ``rgb2gray`` (integers rounded).
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
    tensor_kernel=_ms_gmsdc_tensor,
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
