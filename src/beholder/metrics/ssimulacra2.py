"""SSIMULACRA 2: structural similarity, ringing and blur maps of XYB over six scales."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from beholder.arrays import Array, correlate, namespace, pad_zeros, positive_power, shrink
from beholder.colours import linear_to_xyb, srgb_to_linear, to_three
from beholder.metrics.registry import metric

SIGMA, C2, SCALES, SMALLEST = 1.5, 0.0009, 6, 8
CENTRE = (0.42, 0.45, 0.55)
# Of the sums over channels (X, Y, B), scales, norms (1 and 4) and maps (structure, ringing, blur), in this order.
_SPARSE = {
    1: 0.0007376606707406586, 4: 0.0007793481682867309, 7: 0.0004371155730107379, 9: 1.1041726426657346,
    10: 0.00066284834129271, 11: 0.00015231632783718752, 13: 0.0016406437456599754, 15: 1.8422455520539298,
    16: 11.441172603757666, 18: 0.0007989109436015163, 19: 0.000176816438078653, 21: 1.8787594979546387,
    22: 10.94906990605142, 24: 0.0007289346991508072, 25: 0.9677937080626833, 27: 0.00014003424285435884,
    28: 0.9981766977854967, 29: 0.00031949755934435053, 30: 0.0004550992113792063, 33: 0.0013648766163243398,
    39: 7.466890328078848, 41: 17.445833984131262, 42: 0.0006235601634041466, 45: 6.683678146179332,
    46: 0.00037724407979611296, 47: 1.027889937768264, 48: 225.20515300849274, 51: 19.213238186143016,
    52: 0.0011401524586618361, 53: 0.001237755635509985, 54: 176.39317598450694, 57: 24.43300999870476,
    58: 0.28520802612117757, 59: 0.0004485436923833408, 63: 34.77906344483772, 64: 44.835625328877896,
    73: 0.0008680556573291698, 79: 0.0005313191874358747, 81: 0.00016533814161379112, 87: 0.0004179171803251336,
    88: 0.0017290828234722833, 90: 0.0020827005846636437, 93: 8.826982764996862, 94: 23.19243343998926,
    96: 95.1080498811086, 97: 0.9863978034400682, 98: 0.9834382792465353, 99: 0.0012286405048278493,
    100: 171.2667255897307, 101: 0.9807858872435379, 105: 0.0005130064588990679, 107: 0.00010854057858411537,
}  # fmt: skip
WEIGHTS = tuple(_SPARSE.get(i, 0.0) for i in range(3 * SCALES * 6))
"""Fitted by Sneyers (version 2.1, April 2023) to CID22, TID2013, KADID-10k and KonFiG-IQA."""


@functools.cache
def window() -> tuple[float, ...]:
    """The nine taps of the recursive Gaussian of sigma 1.5, as a finite response: three cosines of radius 5.

    Source: Charalampidis 2016, Recursive implementation of the Gaussian filter using truncated cosine functions,
    doi:10.1109/TSP.2016.2549985: the cosines sum to 1, have the Gaussian's second moment, and lie nearest to it.
    """
    radius = round(3.2795 * SIGMA + 0.2546)
    omega = np.array([1, 3, 5]) * math.pi / (2 * radius)
    sign = np.array([1, -1, 1])
    p = sign / np.tan(omega / 2)
    r = sign * p**2 / np.sin(omega)
    rho = np.exp(-((SIGMA * omega) ** 2) / 2) / radius
    across = np.cross(p, r)  # the remaining direction, along which the cosines lie nearest to the Gaussian
    across = across / across[2]
    wanted = [1, radius**2 - SIGMA**2, across @ rho]
    beta = np.linalg.solve(np.array([p, r, across]), wanted)
    steps = np.arange(1 - radius, radius)
    return tuple(float(v) for v in (beta[:, None] * np.cos(omega[:, None] * steps)).sum(axis=0))


def _blur(x: Array) -> Array:
    taps = window()
    margin = len(taps) // 2
    return correlate(pad_zeros(x, margin, margin, margin, margin), taps, taps)


def _norms(error: Array) -> list[Array]:
    """Mean and fourth root of the mean fourth power of every plane, (N, 3) each."""
    xp = namespace(error)
    square = error * error
    return [xp.mean(error, axis=(-2, -1)), positive_power(xp.mean(square * square, axis=(-2, -1)), 0.25)]


def _coverage(length: int) -> np.ndarray[Any, Any]:
    """What of the window's weight lies inside a line of pixels, for each of them."""
    taps = np.asarray(window())
    margin = len(taps) // 2
    full = np.convolve(np.ones(length), taps)
    return np.asarray(full[margin : margin + length])


def _uncovered(x: Array) -> Array:
    """What of the window's weight lies beyond the border, (1, 1, H, W) in the precision of x."""
    weight = 1 - np.outer(*(_coverage(n) for n in x.shape[-2:]))
    return namespace(x).asarray(weight[None, None], dtype=x.dtype, device=x.device)


def scale_sums(image: Array, reference: Array) -> Array:
    """The sums of one scale, of linear sRGB (N, 3, H, W) to (N, 3, 2, 3): channels, norms, maps.

    XYB is centred on CENTRE first, which keeps variances precise; what that changes where the window, filled up with
    zeros, reaches beyond the border, is added again.
    """
    xp = namespace(image, reference)
    x, y = (linear_to_xyb(a, CENTRE) for a in (image, reference))
    centre = xp.asarray(np.reshape(CENTRE, (1, 3, 1, 1)), dtype=x.dtype, device=x.device)
    beyond = centre * _uncovered(x)
    constant = beyond * (centre - beyond)
    mx, my = _blur(x), _blur(y)
    # Of the sum and the difference of both: equal pictures have no error, to the last bit.
    total, apart = (_blur(a * a) for a in (x + y, x - y))
    apart = apart - (mx - my) ** 2
    total = total - (mx + my) ** 2 + 4 * (beyond * (mx + my) + constant)
    likeness = (total - apart) / 2 + C2
    structure = (apart + (mx - my) ** 2 * likeness) / ((total + apart) / 2 + C2)
    p, q = abs(x - mx + beyond), abs(y - my + beyond)
    edges = (p - q) / (1 + q)
    zero = xp.zeros_like(edges)
    maps = [xp.maximum(structure, zero), xp.maximum(edges, zero), xp.maximum(-edges, zero)]
    return xp.stack([xp.stack(norms, axis=-1) for norms in zip(*map(_norms, maps), strict=True)], axis=2)


GAIN, CUBIC, SQUARE, PLAIN, EXPONENT = (
    0.9562382616834844, 6.248496625763138e-05, -0.020884521182843837, 2.326765642916932, 0.6276336467831387,
)  # fmt: skip


def score(sums: list[Array]) -> Array:
    """The value of the sums of up to six scales, (N, 3, 2, 3) each.

    Smaller pictures have fewer scales; the weights follow each other all the same, as in the author's program.
    """
    xp = namespace(*sums)
    flat = xp.reshape(xp.stack(sums, axis=2), (sums[0].shape[0], -1))
    total = GAIN * sum(w * flat[:, i] for i, w in enumerate(WEIGHTS[: flat.shape[1]]) if w)
    return 100 - 10 * positive_power(((CUBIC * total + SQUARE) * total + PLAIN) * total, EXPONENT)


def _weights(height: int, width: int) -> np.ndarray[Any, Any]:
    """The weights for a picture of that size: (3, S, 2, 3) of channels, scales, norms and maps."""
    scales, side = 1, min(height, width)
    while scales < SCALES and side >= SMALLEST:
        scales, side = scales + 1, -(-side // 2)
    return np.reshape(WEIGHTS[: 18 * scales], (3, scales, 2, 3))


def _factors(sums: np.ndarray[Any, Any], pixels: list[int]) -> np.ndarray[Any, Any]:
    """What a value of a map adds to the derivative, and what its third power does: (3, S, 3, 2)."""
    weights = np.reshape(WEIGHTS[: sums.size], sums.shape)
    total = GAIN * float((weights * sums).sum())
    inner = ((CUBIC * total + SQUARE) * total + PLAIN) * total
    if inner <= 0:  # nothing differs
        return np.zeros((*sums.shape[:2], 3, 2))
    slope = -10 * EXPONENT * inner ** (EXPONENT - 1) * ((3 * CUBIC * total + 2 * SQUARE) * total + PLAIN) * GAIN
    factors = slope * weights / np.reshape(pixels, (1, -1, 1, 1))
    norms = np.where(sums[:, :, 1] > 0, sums[:, :, 1], np.inf)
    factors[:, :, 1] /= norms**3
    return np.asarray(factors.swapaxes(2, 3))


def _kernel(image: Any, reference: Any, *, threads: int) -> float | None:
    from beholder.kernels.ssimulacra2 import Window, measure

    sums, _ = measure(image, reference, Window(window(), CENTRE), _weights(*image.shape[:2]) != 0, threads)
    return float(score([s[None] for s in sums.swapaxes(0, 1)])[0])


def _tensor_kernel(image: Any, reference: Any, gradients: tuple[Any, Any], *, threads: int) -> float | None:
    from beholder.kernels.ssimulacra2 import Window, measure, slopes

    made = Window(window(), CENTRE)
    sums, scales = measure(image, reference, made, _weights(*image.shape[1:]) != 0, threads)
    for by_reference, gradient in enumerate(gradients):
        if gradient is not None:
            factors = _factors(sums, [s.height * s.width for s in scales])
            slopes(scales, made, factors, gradient, bool(by_reference), threads)
    return float(score([s[None] for s in sums.swapaxes(0, 1)])[0])


@metric(
    "ssimulacra2",
    better="higher",
    range=(-math.inf, 100.0),
    unit="",
    needs="reference",
    min_size=8,
    paper="Sneyers 2023, SSIMULACRA 2.1, https://github.com/cloudinary/ssimulacra2; its recursive Gaussian: "
    "Charalampidis 2016, doi:10.1109/TSP.2016.2549985",
    verified=("",),
    aliases=("ssimulacra",),
    kernel=_kernel,
    tensor_kernel=_tensor_kernel,
)
def ssimulacra2(image: Array, reference: Array) -> Array:
    """Structural similarity, ringing and blur in XYB over six scales; 100 for equal pictures, 90 visually lossless.

    image, reference: (N, C, H, W) of sRGB in [0, 1], equal shapes, C 1 (R = G = B) or 3. Returns (N,), up to 100; 70
    is high, 50 medium, 30 low quality, and below 0 lie very strong distortions. Version 2.1 (April 2023). Pictures
    below 113 pixels have fewer than six scales, as in the author's program.
    """
    x, y = (srgb_to_linear(to_three(a)) for a in (image, reference))
    sums: list[Any] = []
    for scale in range(SCALES):
        if min(x.shape[-2:]) < SMALLEST:
            break
        if scale:
            x, y = shrink(x, 2), shrink(y, 2)
        sums.append(scale_sums(x, y))
    return score(sums)
