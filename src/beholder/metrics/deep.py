"""Metrics that a network computes: `beholder` and `cnniqa`, a picture by itself, and `beholder_fr`, against another."""

from __future__ import annotations

import functools
from typing import Any

from beholder.arrays import Array, is_torch
from beholder.metrics.registry import WORDS, Assessment, metric


def word_of(value: float) -> str:
    """The ITU-R BT.500 word for a score on 0-100: a fifth of the scale each."""
    return WORDS[min(int(value // 20), 4)]


def assess(image: Array, *, full_scale: float = 1.0, threads: int = 1, native: bool = False) -> list[Assessment]:
    """Score, 90 % interval, word and flags of every picture; (N, C, H, W) in [0, full_scale]."""
    from beholder.models.runtime import assessor

    if is_torch(image):
        image = image.detach().cpu().numpy()
    model = assessor("beholder", threads)
    found = []
    for picture in image:
        o = model.assess(picture, full_scale=full_scale, native=native)
        flags = () if o.in_domain else ("out_of_domain",)
        found.append(Assessment(o.value, o.low, o.high, word_of(o.value), flags, model.weights))
    return found


@functools.lru_cache(maxsize=4)
def _network(name: str, device: str) -> Any:
    from beholder.models.assessors.load import load_assessor

    return load_assessor(name).to(device)


@metric(
    "beholder",
    better="higher",
    range=(0.0, 100.0),
    unit="",
    needs="image",
    min_size=32,
    paper="Beholder's own CNN, EfficientNet-Lite0 (Tan and Le 2019, doi:10.48550/arXiv.1905.11946) fitted to the "
    "opinion scores of BIQ2021 (Ahmed and Asif 2022, doi:10.1117/1.JEI.31.5.053010) and to KADID-10k's mean opinions "
    "of distortions (Lin et al. 2019, doi:10.1109/QoMEX.2019.8743252)",
    presets={"native": {"native": True}},
    verified=("",),
    tolerance=0.05,
    model="beholder",
    assess=assess,
)
def beholder(image: Array, *, native: bool = False) -> Array:
    """Quality as people would rate it, 0 to 100, by a CNN that needs no reference.

    image: (N, C, H, W) sRGB in [0, 1]. Returns (N,): 0-20 bad, -40 poor, -60 fair, -80 good, -100 excellent. Up to
    one megapixel a picture is seen at 100 %; a larger one as on a screen, reduced to one megapixel. The preset
    ``native`` sees every picture at 100 %, by tiles. PyTorch tensors give gradients and need ``beholder[train]``.
    """
    if is_torch(image):
        return _network("beholder", str(image.device))(image.float(), native=native)
    import numpy as np

    return np.asarray([a.value for a in assess(image, native=native)])


def assess_tiny(image: Array, *, full_scale: float = 1.0, threads: int = 1) -> list[Assessment]:
    """As `assess`, by `cnniqa`."""
    from beholder.models.files import shipped
    from beholder.models.judging import judge_of

    if is_torch(image):
        image = image.detach().cpu().numpy()
    judge = judge_of(shipped("cnniqa.onnx"), threads)
    found = []
    for picture in image:
        v = judge.judge(picture, full_scale=full_scale)
        flags = () if v.in_domain else ("out_of_domain",)
        low, high = (v.value if end is None else end for end in (v.low, v.high))
        found.append(Assessment(v.value, low, high, word_of(v.value), flags, judge.weights))
    return found


@metric(
    "cnniqa",
    better="higher",
    range=(0.0, 100.0),
    unit="",
    needs="image",
    min_size=32,
    paper="Kang et al. 2014, doi:10.1109/CVPR.2014.224, with fewer filters, fitted as `beholder` to the opinion scores "
    "of BIQ2021 (Ahmed and Asif 2022, doi:10.1117/1.JEI.31.5.053010) and to KADID-10k's mean opinions of distortions "
    "(Lin et al. 2019, doi:10.1109/QoMEX.2019.8743252)",
    verified=("",),
    tolerance=0.05,
    model="cnniqa",
    assess=assess_tiny,
)
def cnniqa(image: Array) -> Array:
    """Quality as people would rate it, 0 to 100, by the first CNN made for it, in its smallest form.

    image: (N, C, H, W) sRGB in [0, 1]. Returns (N,). Local and without knowledge of what is shown, so it agrees less
    with people than `beholder`. Up to one megapixel a picture is seen at 100 %; a larger one reduced to that. PyTorch
    tensors give gradients and need ``beholder[train]``.
    """
    if is_torch(image):
        return _network("cnniqa", str(image.device))(image.float())
    import numpy as np

    return np.asarray([a.value for a in assess_tiny(image)])


def _beside(image: Any, reference: Any, **settings: Any) -> float:
    from beholder.models.comparison import comparer

    threads = settings.pop("threads", 1)
    found: float = comparer(threads).compare(image, reference, **settings)
    return found


def beholder_fr_kernel(image: Any, reference: Any, *, threads: int, native: bool = False) -> float | None:
    """`beholder_fr` of two uint8 pictures (H, W) or (H, W, 3), without a copy of the whole as floats."""
    pair = [p[None] if p.ndim == 2 else p.transpose(2, 0, 1) for p in (image, reference)]
    return beholder_fr_planar_kernel(pair[0], pair[1], threads=threads, native=native)


def beholder_fr_planar_kernel(image: Any, reference: Any, *, threads: int, native: bool = False) -> float | None:
    """As `beholder_fr_kernel`, of (C, H, W)."""
    return _beside(image, reference, full_scale=255.0, threads=threads, native=native)


@functools.lru_cache(maxsize=2)
def _pair_network(device: str) -> Any:
    from beholder.models.assessors.pair import PairViewer

    return PairViewer().to(device)


@metric(
    "beholder_fr",
    better="lower",
    range=(0.0, 1.0),
    unit="",
    needs="reference",
    min_size=32,
    paper="Beholder's own, moments and covariances of feature maps as in Ding et al. 2020 "
    "(doi:10.1109/TPAMI.2020.3045810), of EfficientNet-Lite0 (Tan and Le 2019, doi:10.48550/arXiv.1905.11946) and of "
    "the picture, fitted to KADID-10k's mean opinions by type and level (Lin et al. 2019, "
    "doi:10.1109/QoMEX.2019.8743252)",
    presets={"native": {"native": True}},
    unverified="Beholder's own: no other program computes it; its agreement with people is on the model card",
    tolerance=1e-4,
    model="beholder_fr",
    kernel=beholder_fr_kernel,
    planar_kernel=beholder_fr_planar_kernel,
)
def beholder_fr(image: Array, reference: Array, *, native: bool = False) -> Array:
    """How much worse than the reference a picture looks, by a CNN's maps of both: 0 equal, 1 as bad as can be.

    image, reference: (N, C, H, W) sRGB in [0, 1], C 1 or 3, equal shapes. Returns (N,). Up to one megapixel pictures
    are seen at 100 %; larger ones as on a screen, reduced to one megapixel. The preset ``native`` sees every picture at
    100 %, by tiles. PyTorch tensors give gradients and need ``beholder[train]``.
    """
    if is_torch(image):
        return _pair_network(str(image.device))(image.float(), reference.float(), native=native).to(image.dtype)
    import numpy as np

    pairs = zip(image, reference, strict=True)
    return np.asarray([_beside(x, y, native=native) for x, y in pairs], dtype=image.dtype)
