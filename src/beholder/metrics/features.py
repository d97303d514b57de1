"""Distances between the features of published networks: `lpips`, `dists`; the user brings the networks' weights."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from beholder.arrays import Array, is_torch
from beholder.errors import MissingExtraError
from beholder.metrics.registry import metric

TILES = {"alexnet": 768, "squeezenet1_1": 384, "vgg16": 320}
"""Side of the tiles in which large pictures are looked at, by what a network's maps cost; multiples of 16."""
MARGIN = 112
"""Pixels around a tile that the deepest map of any of the networks sees; a multiple of 16."""
CELL = 16


def _comparer(kind: str, network: str, weights: Any, like: Any) -> Any:
    try:
        from beholder.models.assessors.comparers import Dists, Lpips
    except ImportError as error:
        raise MissingExtraError(f'{kind} needs PyTorch: pip install "beholder[train]"') from error
    path = Path(weights)
    return Lpips(network, path, like) if kind == "lpips" else Dists(path, like)


def _prepare(kind: str, *, network: str = "vgg16", weights: Any = None) -> None:
    """Load the network as NumPy pictures will find it; ModelError for a file that does not hold it."""
    if weights is not None:
        _comparer(kind, network, weights, _like())


def _like() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError('networks by their weights need PyTorch: pip install "beholder[train]"') from error
    return torch.empty(0, dtype=torch.float32)


def _compare(kind: str, image: Array, reference: Array, network: str, weights: Any) -> Array:
    if not is_torch(image):
        found = [_by_tiles(kind, x, y, 1.0, network, weights) for x, y in zip(image, reference, strict=True)]
        return np.asarray(found, dtype=image.dtype)
    comparer = _comparer(kind, network, weights, image)
    comparer.add(image.expand(-1, 3, -1, -1), reference.expand(-1, 3, -1, -1))
    return comparer.value()


def _by_tiles(kind: str, x: Any, y: Any, scale: float, network: str, weights: Any) -> float:
    """The distance of two pictures (C, H, W) in [0, scale], in single precision and without gradients."""
    like = _like()
    import torch

    comparer = _comparer(kind, network, weights, like)
    with torch.no_grad():
        height, width = x.shape[1:]
        for rows, columns, box in _tiles(height, width, TILES[network]):
            pair = []
            for picture in (x, y):
                part = picture[:, rows, columns].astype(np.float32) / np.float32(scale)
                pair.append(torch.from_numpy(np.ascontiguousarray(part))[None].expand(-1, 3, -1, -1))
            comparer.add(*pair, box)
        return float(comparer.value()[0])


def _tiles(height: int, width: int, tile: int) -> Iterator[tuple[slice, slice, tuple[int, int, int, int]]]:
    for rows, top, bottom in _spans(height, tile):
        for columns, left, right in _spans(width, tile):
            yield rows, columns, (top, left, bottom, right)


def _spans(length: int, tile: int) -> Iterator[tuple[slice, int, int]]:
    """(pixels, first cell that counts, end of those) along one axis; the last span takes what is left."""
    starts = list(range(0, max(length - tile // 2, 1), tile))  # no thin remainder
    for start in starts:
        begin = max(start - MARGIN, 0)
        first = (start - begin) // CELL
        if start == starts[-1]:
            yield slice(begin, length), first, 1 << 20
        else:
            yield slice(begin, min(start + tile + MARGIN, length)), first, first + tile // CELL


def lpips_kernel(
    image: Any, reference: Any, *, network: str = "alexnet", weights: Any = None, **_threads: int
) -> float | None:
    """`lpips` of two uint8 pictures (H, W) or (H, W, 3), by tiles; PyTorch has its own threads."""
    return _by_tiles("lpips", _planes(image), _planes(reference), 255.0, network, weights)


def dists_kernel(image: Any, reference: Any, *, weights: Any = None, **_threads: int) -> float | None:
    """`dists` of two uint8 pictures (H, W) or (H, W, 3), by tiles; PyTorch has its own threads."""
    return _by_tiles("dists", _planes(image), _planes(reference), 255.0, "vgg16", weights)


def _planes(picture: Any) -> Any:
    return picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1)


@metric(
    "lpips",
    better="lower",
    range=(0.0, float("inf")),
    unit="",
    needs="reference",
    min_size=31,
    paper="Zhang et al. 2018, The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, "
    "doi:10.1109/CVPR.2018.00068",
    presets={"vgg": {"network": "vgg16"}, "squeeze": {"network": "squeezenet1_1"}},
    backbones={"": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"},
    file_setting="weights",
    prepare=functools.partial(_prepare, "lpips"),
    verified=("", "vgg", "squeeze"),
    tolerance=1e-5,
    kernel=lpips_kernel,
)
def lpips(
    image: Array,
    reference: Array,
    *,
    network: Literal["alexnet", "vgg16", "squeezenet1_1"] = "alexnet",
    weights: Any = None,
) -> Array:
    """How far apart a network's normalised features of both pictures are, weighted as people judge; 0 for equal ones.

    image, reference: (N, C, H, W) sRGB in [0, 1], C 1 or 3, equal shapes. Returns (N,). weights: the path of the
    network's weights (AlexNet; ``vgg``: VGG-16; ``squeeze``: SqueezeNet 1.1), which are not part of Beholder. The
    linear weights are those of version 0.1. Needs ``beholder[train]``.
    """
    return _compare("lpips", image, reference, network, weights)


@metric(
    "dists",
    better="lower",
    range=(0.0, 1.124),
    unit="",
    needs="reference",
    min_size=1,
    paper="Ding et al. 2020, Image Quality Assessment: Unifying Structure and Texture Similarity, "
    "doi:10.1109/TPAMI.2020.3045810",
    backbones={"": "vgg16"},
    file_setting="weights",
    prepare=functools.partial(_prepare, "dists"),
    verified=("",),
    tolerance=1e-5,
    kernel=dists_kernel,
)
def dists(image: Array, reference: Array, *, weights: Any = None) -> Array:
    """How far apart the means and the structure of VGG-16's maps of both pictures are; 0 for equal pictures.

    image, reference: (N, C, H, W) sRGB in [0, 1], C 1 or 3, equal shapes. Returns (N,). weights: the path of VGG-16's
    weights, which are not part of Beholder. Pictures are compared at the size they have; the authors reduced theirs
    to 256 pixels on the shorter side first. Needs ``beholder[train]``.
    """
    return _compare("dists", image, reference, "vgg16", weights)
