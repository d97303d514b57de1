"""Networks that turn a picture into features, to compare sets: the shipped backbone `lite0`, or Inception by path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import InputError

Extract = Callable[[Any], NDArray[np.float32]]
"""A picture (C, H, W) in [0, 1] to its features (size,)."""


@dataclass(frozen=True, slots=True)
class Extractor:
    """A network by name: how many features it gives, and the function that gives them."""

    name: str
    size: int
    extract: Extract


def extractor(name: str = "beholder", weights: Any = None, threads: int = 1) -> Extractor:
    """The network of that name: "beholder" (EfficientNet-Lite0, shipped) or "inception" (weights by path).

    Raises InputError for another name, for weights that are missing or that nothing wants.
    """
    if name == "beholder":
        if weights is not None:
            raise InputError("the network 'beholder' brings its weights; leave weights out, or choose 'inception'")
        return _shipped(threads)
    if name == "inception":
        return _inception(weights)
    raise InputError(f"no network is called {name!r}; choose 'beholder', which is shipped, or 'inception' with weights")


def is_known(name: str) -> bool:
    """Whether features by this network, as an `Extractor` names it, are by shipped or published weights."""
    kind, _, digest = name.partition(" ")
    if kind != "inception":
        return True
    from beholder.models.backbones import is_published

    return is_published(digest, "inception_fid")


def _shipped(threads: int) -> Extractor:
    from beholder.models.runtime import backbone, weights_hash

    return Extractor(f"beholder {weights_hash('lite0')}", 1280, backbone(threads).features)


def _inception(weights: Any) -> Extractor:
    from beholder.models.backbones import check_weights, weights_digest

    path = check_weights(weights, "inception_fid", "inception")
    try:
        from beholder.models.assessors.inception import load_inception
    except ImportError as error:
        from beholder.errors import MissingExtraError

        raise MissingExtraError('inception needs PyTorch: pip install "beholder[train]"') from error
    return Extractor(f"inception {weights_digest(path)[:12]}", 2048, load_inception(path))
