"""LPIPS and DISTS over a backbone's maps, as sums that tiles can add (PyTorch)."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from beholder.models.assessors.classic import STRIDE, Features, features

Box = tuple[int, int, int, int]
"""The part of a tile that counts (top, left, bottom, right), in cells of 16 pixels."""
STRIDES = {
    "alexnet": (4, 8, 16, 16, 16),
    "vgg16": (1, 2, 4, 8, 16),
    "squeezenet1_1": (2, 4, 8, 16, 16, 16, 16),
}
"""Pixels for each step of the maps at the taps."""
WHOLE: Box = (0, 0, 1 << 20, 1 << 20)


@functools.cache
def _table(name: str) -> dict[str, Tensor]:
    return load_file(str(resources.files("beholder.metrics") / "parameters" / f"{name}.safetensors"))


def _column(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).reshape(1, -1, 1, 1)


def _part(maps: Tensor, box: Box, stride: int) -> Tensor:
    per_cell = STRIDE // stride
    top, left, bottom, right = (n * per_cell for n in box)
    return maps[:, :, top:bottom, left:right]


def _pairs(
    first: Iterable[Tensor], second: Iterable[Tensor], box: Box, strides: Sequence[int]
) -> Iterator[tuple[Tensor, Tensor]]:
    """What counts of every stage of two pictures; of the first, no more than that is kept."""
    kept = [
        _part(m, box, s) if m.requires_grad else _part(m, box, s).clone() for m, s in zip(first, strides, strict=True)
    ]
    for a, m, s in zip(kept, second, strides, strict=True):
        yield a, _part(m, box, s)


class Lpips:
    """Sum over stages of the mean weighted squared difference of features of unit length (Zhang et al. 2018)."""

    def __init__(self, backbone: str, path: Path, like: Tensor) -> None:
        self.net = load(backbone, path, like)
        self.sums: list[Tensor] = [like.new_zeros(())] * len(self.net.taps)
        self.counts = [0] * len(self.net.taps)

    def add(self, x: Tensor, y: Tensor, box: Box = WHOLE) -> None:
        """Count one tile: (N, 3, h, w) in [0, 1]."""
        shift, scale = _column((-0.030, -0.088, -0.188), x), _column((0.458, 0.448, 0.450), x)
        table = _table("lpips")
        first, second = (self.net.stages((2 * a - 1 - shift) / scale) for a in (x, y))
        for i, (a, b) in enumerate(_pairs(first, second, box, STRIDES[self.net.name])):
            a, b = _unit(a), _unit(b)
            weights = table[f"{self.net.name}.{i}"].to(a)
            self.sums[i] = self.sums[i] + torch.einsum("nchw,c->n", (a - b) ** 2, weights)
            self.counts[i] += a.shape[2] * a.shape[3]

    def value(self) -> Tensor:
        """The distance of all that was counted, (N,)."""
        return torch.stack([s / n for s, n in zip(self.sums, self.counts, strict=True)]).sum(0)


def _unit(maps: Tensor) -> Tensor:
    """Features of unit length at every place; zero ones stay zero, with a zero gradient."""
    square = (maps * maps).sum(1, keepdim=True)
    some = square > 0
    length = torch.where(some, torch.where(some, square, 1).sqrt(), 0)
    return maps / (length + 1e-10)


class Dists:
    """1 - the weighted similarity of every channel's means and of its structure, over all stages (Ding et al. 2020)."""

    strides = (1, 1, 2, 4, 8, 16)
    c = 1e-6

    def __init__(self, path: Path, like: Tensor) -> None:
        self.net = load("vgg16", path, like, smooth=True)
        self.shifts: list[Tensor] = []
        self.sums: list[Tensor] = []
        self.counts = [0] * len(self.strides)

    def add(self, x: Tensor, y: Tensor, box: Box = WHOLE) -> None:
        """Count one tile: (N, 3, h, w) in [0, 1]."""
        mean, std = _column((0.485, 0.456, 0.406), x), _column((0.229, 0.224, 0.225), x)
        first, second = (itertools.chain([a], self.net.stages((a - mean) / std)) for a in (x, y))
        for i, (a, b) in enumerate(_pairs(first, second, box, self.strides)):
            if len(self.sums) == i:  # moments about the first tile's mean: sums of squares lose nothing on flat maps
                self.shifts.append(b.detach().mean((2, 3), keepdim=True))
                self.sums.append(b.new_zeros(()))
            a, b = a - self.shifts[i], b - self.shifts[i]
            moments = [m.sum((2, 3)) for m in (a, b)] + [
                torch.einsum("nchw,nchw->nc", *m) for m in ((a, a), (b, b), (a, b))
            ]
            self.sums[i] = self.sums[i] + torch.stack(moments)
            self.counts[i] += a.shape[2] * a.shape[3]

    def value(self) -> Tensor:
        """The distance of all that was counted, (N,)."""
        terms = []
        for sums, n, shift in zip(self.sums, self.counts, self.shifts, strict=True):
            a, b, aa, bb, ab = sums / n
            spread = (aa - a * a) + (bb - b * b)  # in this order twice the covariance of equal maps, to the last bit
            both = ab - a * b
            a, b = a + shift[..., 0, 0], b + shift[..., 0, 0]
            texture = (2 * a * b + self.c) / (a * a + b * b + self.c)
            terms.append(torch.stack([texture, (2 * both + self.c) / (spread + self.c)]))
        table = _table("dists")
        weights = torch.stack([table["alpha"], table["beta"]]).to(terms[0])
        apart: Tensor = ((1 - torch.cat(terms, dim=2)) * (weights / weights.sum())[:, None]).sum((0, 2))
        return apart


def load(backbone: str, path: Path, like: Tensor, *, smooth: bool = False) -> Features:
    """The backbone in a tensor's precision, on its device."""
    kind = str(like.dtype).removeprefix("torch.")
    return features(backbone, path, path.stat().st_mtime_ns, kind, str(like.device), smooth)
