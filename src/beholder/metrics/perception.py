"""PIQE: distortion of blocks that catch the eye, without any training."""

from __future__ import annotations

from typing import Any

import numpy as np

from beholder.arrays import Array, namespace, pad_mirror, positive_root
from beholder.metrics.natural import grey_levels, regions
from beholder.metrics.registry import metric
from beholder.metrics.settings import Luma
from beholder.statistics import normalise

HALF = 0.5002
"""What rounds halves up in single precision, too."""
SIDE = 16
SEGMENT = 6
LEFT_OUT = (7, 9)
"""Columns that do not count as the surround of a block. The middle is 7 and 8; the program drops 9 in place of 8."""
ACTIVE = 0.1
"""Variance above which a block catches the eye."""
IMPAIRED = 0.1
"""Deviation of a stretch of a block's edge below which the block looks artificial."""


def _variance(x: Array) -> Array:
    """Sample variance along the last axis."""
    xp = namespace(x)
    off = x - xp.mean(x, axis=-1, keepdims=True)
    return xp.sum(off * off, axis=-1) / (x.shape[-1] - 1)


def _impaired(blocks: Array) -> Array:
    """Whether any stretch of six pixels along the edges of a block hardly varies: (B, 16, 16) to (B,)."""
    xp = namespace(blocks)
    edges = xp.stack([blocks[:, 0, :], blocks[:, -1, :], blocks[:, :, 0], blocks[:, :, -1]], axis=1)
    stretches = [edges[..., i : i + SEGMENT] for i in range(SIDE - SEGMENT + 1)]
    lowest = _variance(xp.stack(stretches, axis=2))
    return xp.any(xp.reshape(lowest < IMPAIRED**2, (blocks.shape[0], -1)), axis=-1)


def _noisy(blocks: Array, variance: Array, surround: list[int]) -> Array:
    """Whether a block varies as much in the middle as around it: (B, 16, 16) to (B,)."""
    xp = namespace(blocks)
    count = blocks.shape[0]
    middle = xp.reshape(blocks[:, :, SIDE // 2 - 1 : SIDE // 2 + 1], (count, -1))
    others = xp.concat([blocks[:, :, i : i + 1] for i in surround], axis=-1)
    inner, outer = (positive_root(_variance(part)) for part in (middle, xp.reshape(others, (count, -1))))
    ratio = xp.where(outer > 0, inner / xp.where(outer > 0, outer, xp.ones_like(outer)), xp.zeros_like(outer))
    sigma = positive_root(variance)
    larger = xp.maximum(sigma, ratio)
    beta = xp.abs(sigma - ratio) / xp.where(larger > 0, larger, xp.ones_like(larger))
    return sigma > 2 * beta


def block_scores(blocks: Array) -> tuple[Array, Array]:
    """Whether blocks of normalised luminance catch the eye, and how distorted they are: (B, 16, 16) to (B,) twice."""
    xp = namespace(blocks)
    variance = _variance(xp.reshape(blocks, (blocks.shape[0], -1)))
    active = variance > ACTIVE
    zero = xp.zeros_like(variance)
    surround = [i for i in range(SIDE) if i not in LEFT_OUT]
    artefact = xp.where(_impaired(blocks), 1 - variance, zero)
    noise = xp.where(_noisy(blocks, variance, surround), variance, zero)
    return active, xp.where(active, artefact + noise, zero)


def _piqe_kernel(image: Any, *, threads: int, colour: str = "luma") -> float | None:
    from beholder.kernels import natural as fast

    if colour not in fast.MODES:
        return None
    grey = fast.grey(image, colour, image.shape[:2], threads)
    np.floor(np.add(grey, np.float32(HALF), out=grey), out=grey)
    rows, columns = (-n % SIDE for n in grey.shape)
    if rows or columns:
        grey = np.pad(grey, ((0, rows), (0, columns)), mode="symmetric")
    seen, score = fast.block_scores(grey, threads)
    return 100 * (score + 1) / (seen + 1)


@metric(
    "piqe",
    better="lower",
    range=(0.0, 100.0),
    unit="",
    needs="image",
    min_size=1,
    paper="Venkatanath et al. 2015, Blind image quality evaluation using perception based features, "
    "doi:10.1109/NCC.2015.7084843",
    presets={"matlab": {"colour": "matlab"}},
    verified=("", "matlab"),
    differentiable=False,
    kernel=_piqe_kernel,
)
def piqe(image: Array, *, colour: Luma = "luma", levels: float | None = None) -> Array:
    """Share of distortion in the blocks that catch the eye, 0 (best) to 100, without training.

    image: (N, C, H, W) in [0, 1], C 1 or 3. Returns (N,). Blocks of 16x16 of normalised luminance count that vary by
    more than 0.1; the picture is mirrored up to whole blocks, and one without such blocks scores 100. Luma is rounded
    to 256 grey levels, full-range BT.601 by default; the preset ``matlab`` takes ``rgb2gray``, as the program is fed.
    """
    xp = namespace(image)
    grey = grey_levels(image, colour, levels)
    grey = xp.floor(grey + HALF)
    grey = pad_mirror(grey, 0, -grey.shape[-2] % SIDE, 0, -grey.shape[-1] % SIDE)
    blocks = regions(normalise(grey)[0], SIDE)
    count = (grey.shape[0], blocks.shape[1] * blocks.shape[2])
    active, score = block_scores(xp.reshape(blocks, (-1, SIDE, SIDE)))
    total = xp.sum(xp.reshape(score, count), axis=-1)
    seen = xp.sum(xp.astype(xp.reshape(active, count), total.dtype), axis=-1)
    return xp.astype(100 * (total + 1) / (seen + 1), image.dtype)
