"""Mean deviation similarity: MDSI."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from beholder.arrays import Array, namespace, plane_mean, positive_power, positive_root, shrink, weighted
from beholder.errors import InputError
from beholder.metrics.gradient import prewitt
from beholder.metrics.registry import metric

OPPONENTS = (0.2989, 0.5870, 0.1140), (0.30, 0.04, -0.35), (0.34, -0.60, 0.17)
"""MDSI: lightness and the two opponent channels H and M, of R'G'B' (Geusebroek et al. 2001)."""


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


def _mdsi_planar(image: Any, reference: Any, *, threads: int, combination: str = "sum") -> float | None:
    from beholder.kernels import similarity

    if combination != "sum":
        return None
    factor = _reduction(*image.shape[1:])
    return float(similarity.mean_deviation(image, reference, factor, OPPONENTS, threads, planar=True) ** 0.25)


def _slopes_of_small(pair: list[Any], wants: list[bool], combination: str) -> tuple[float, list[Any]]:
    """The value and its slopes by pictures that are reduced already, (C, H, W): small enough for the definition."""
    import torch

    leaves = [torch.from_numpy(a[None].astype(np.float64)).requires_grad_(w) for a, w in zip(pair, wants, strict=True)]
    with torch.set_grad_enabled(any(wants)):
        value = _mdsi_of_small(leaves[0], leaves[1], combination)
        if any(wants):
            value.sum().backward()
    return float(value), [None if a.grad is None else a.grad[0].numpy().astype(np.float32) for a in leaves]


def _mdsi_tensor(image: Any, reference: Any, gradients: Any, *, threads: int, combination: str = "sum") -> float | None:
    from beholder.kernels import gradient_float as fast
    from beholder.kernels.deviation import Deviation

    if combination not in ("sum", "mult"):
        return None
    channels, factor = len(image), _reduction(*image.shape[1:])
    before, weights, wants = (factor - 1) // 2, (1 / factor**2,) * channels, [g is not None for g in gradients]
    small = [fast.boxes(a, factor, before, weights, False, threads) for a in (image, reference)]
    if combination == "mult":
        value, slopes = _slopes_of_small(small, wants, combination)
        for slope, gradient in zip(slopes, gradients, strict=True):
            if gradient is not None:
                fast.spread(slope, gradient, factor, before, weights, threads)
        return value
    x, y = (np.repeat(a, 3, axis=0) if channels == 1 else a for a in small)
    found = Deviation(x, y, np.multiply(OPPONENTS, 255), threads)
    value = math.sqrt(math.sqrt(found.value))
    for which, gradient in enumerate(gradients):
        if gradient is not None:
            slope = found.slope(which, value**-3 / 4 if value > 0 else 0.0)
            slope = slope if channels == 3 else slope.sum(axis=0, keepdims=True)
            fast.spread(slope, gradient, factor, before, weights, threads)
    return value


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
    planar_kernel=_mdsi_planar,
    tensor_kernel=_mdsi_tensor,
)
def mdsi(image: Array, reference: Array, *, combination: Literal["sum", "mult"] = "sum") -> Array:
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
