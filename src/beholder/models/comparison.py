"""`beholder_fr`: from the moments of two pictures' maps to a distance, and the ONNX runtime that gives the moments."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from beholder.arrays import Array, namespace
from beholder.models.files import read_arrays, read_header, shipped
from beholder.models.runtime import Samples, mirror_to, open_graph, reduce_to_view, tiles, whole
from beholder.models.viewing import MIN_SIDE

CELL = 64
"""Tiles lie on a grid of this many pixels."""
STAGES = (
    ("picture", 3, 1),
    ("half", 3, 2),
    ("quarter", 3, 4),
    ("gradient", 1, 1),
    ("gradient_half", 1, 2),
    ("gradient_quarter", 1, 4),
    ("block0", 16, 2),
    ("block2", 24, 4),
    ("block4", 40, 8),
    ("block7", 80, 16),
    ("block10", 112, 16),
    ("block15", 320, 32),
)
"""Name, channels and pixels a step of every stage."""
TERMS = 4
"""Of every channel: texture (means), structure (covariance), and mean and spread of the difference place by place."""
WHOLE = (0, 0, 1 << 24, 1 << 24)
"""The part that counts where the picture is one tile."""
KAPPA = 0.3
"""Share of a channel's variance over photographs below which a picture's own no longer counts."""
EPSILON = 1e-6
TILE, MARGIN = 512, 128
BLOCK = 1 << 18
"""Values of a map that are worked on at once: what fits into a cache."""


class Weights(NamedTuple):
    """What was fitted: centre and spread (channels,), weight (4, channels), power and gain (4, stages)."""

    centre: Array
    spread: Array
    weight: Array
    power: Array
    gain: Array


def moments(image: Any, reference: Any, centre: Array, spread: Array, inner: Any) -> tuple[Array, list[int]]:
    """Sums over places of seven moments of every channel, (N, 7, channels), and the counts of each stage's places.

    image, reference: the maps of all stages; inner: the part that counts (top, left, bottom, right), in cells of 64
    pixels. Tiles add.
    """
    xp = namespace(centre)
    sums, counts, first = [], [], 0
    for (_, channels, stride), a, b in zip(STAGES, image, reference, strict=True):
        here = slice(first, first + channels)
        middle, wide = (xp.reshape(t[here], (1, -1, 1, 1)) for t in (centre, spread))
        first += channels
        top, left, bottom, right = (int(n) * (CELL // stride) for n in inner)
        a, b = (m[:, :, top:bottom, left:right] for m in (a, b))
        counts.append(int(a.shape[2] * a.shape[3]))
        step = max(1, BLOCK // max(counts[-1], 1))
        for c in range(0, channels, step):
            part = slice(c, c + step)
            sums.append(_sums(xp, a[:, part] - middle[:, part], b[:, part] - middle[:, part], wide[:, part]))
    return xp.concat(sums, axis=2), counts


def _sums(xp: Any, a: Array, b: Array, spread: Array) -> Array:
    aa, bb = a * a, b * b
    apart = (a - b) ** 2 / (aa + bb + 2 * spread)
    found = (a, b, aa, bb, a * b, apart, apart * apart)
    return xp.stack([xp.sum(m, axis=(2, 3)) for m in found], axis=1)


def terms(sums: Array, counts: Array, spread: Array) -> Array:
    """The four terms of every channel, each at least 0 and 0 for equal pictures: (N, 4, channels).

    sums: (N, 7, channels) and counts (channels,) as the body gives them; spread: variance over photographs.
    """
    xp = namespace(sums)
    a, b, aa, bb, ab, apart, square = (sums[:, i] / counts for i in range(7))
    floor = KAPPA * spread
    shift = (a - b) ** 2
    own, other = (_positive(xp, m) for m in (aa - a * a, bb - b * b))
    texture = shift / (shift + other + floor)
    structure = _positive(xp, own + other - 2 * (ab - a * b)) / (own + other + floor)
    uneven = (_positive(xp, square - apart * apart) + 1e-8) ** 0.5 - 1e-4
    return xp.stack([texture, structure, apart, _positive(xp, uneven)], axis=1)


def _positive(xp: Any, x: Array) -> Array:
    return xp.where(x > 0, x, xp.zeros_like(x))


def distance(sums: Array, counts: Sequence[float], weights: Weights) -> Array:
    """The distance, (N,) in [0, 1): every stage's terms pooled over channels, raised to a power, added, saturated.

    sums: (N, 7, channels) in double precision, counts: one for each stage.
    """
    xp = namespace(sums)
    each = xp.concat([xp.zeros_like(weights.spread[:c]) + n for n, (_, c, _) in zip(counts, STAGES, strict=True)])
    found = terms(sums, each, weights.spread) * weights.weight
    total, first = xp.zeros_like(sums[:, 0, 0]), 0
    for i, (_, channels, _) in enumerate(STAGES):
        pooled = xp.sum(found[:, :, first : first + channels], axis=2)
        power = weights.power[:, i]
        total = total + xp.sum(((pooled + EPSILON) ** power - EPSILON**power) * weights.gain[:, i], axis=1)
        first += channels
    return 1 - xp.exp(-_positive(xp, total))


@functools.cache
def fitted() -> Weights:
    """The shipped weights, in double precision."""
    arrays = read_arrays(shipped("beholder_fr.safetensors"))
    return Weights(*(arrays[k].astype(np.float64) for k in Weights._fields))


class Comparer:
    """The full-reference model run by ONNX Runtime; thread-safe. Raises ModelError for damaged files."""

    def __init__(self, threads: int = 1) -> None:
        self.header = read_header(shipped("beholder_fr.safetensors"))
        self.weights = fitted()
        self._body = open_graph(shipped("beholder_fr.onnx"), threads, arena=False)

    def compare(self, image: Samples, reference: Samples, *, full_scale: float = 1.0, native: bool = False) -> float:
        """The distance of two pictures, (C, H, W) sRGB in [0, full_scale], C 1 or 3, of one shape.

        native: at 100 % by tiles; else as a viewer sees them, reduced to about one megapixel where they are larger.
        Raises SizeError for pictures that are too thin to be seen.
        """
        pair = [image, reference]
        if not native:
            pair, full_scale = [reduce_to_view(p, full_scale) for p in pair], 1.0
        pair = [mirror_to(p, MIN_SIDE) for p in pair]
        centre, spread = (w.astype(np.float32) for w in self.weights[:2])
        sums: Any = 0.0
        counts = np.zeros(len(STAGES))
        for part in tiles(pair[0].shape[1:], TILE, MARGIN) if native else (whole(pair[0]),):
            crops = [_crop(p[:, part.rows, part.columns], full_scale) for p in pair]
            maps = [self._body.run(None, {"image": crop}) for crop in crops]
            more, places = moments(maps[0], maps[1], centre, spread, part.inner)
            sums, counts = sums + more.astype(np.float64), counts + places
        return float(distance(sums, list(counts), self.weights)[0])


def _crop(part: Samples, full_scale: float) -> NDArray[np.float32]:
    if full_scale == 1 and part.dtype == np.float32 and len(part) == 3:
        return np.ascontiguousarray(part)[None]
    crop = np.empty((1, 3, *part.shape[1:]), np.float32)
    np.divide(part, full_scale, out=crop[0], casting="unsafe")
    return crop


@functools.lru_cache(maxsize=4)
def comparer(threads: int = 1) -> Comparer:
    """The comparer for a thread count, loaded once per process."""
    return Comparer(threads)
