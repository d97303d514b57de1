"""The assessor `beholder`: EfficientNet-Lite0 moments at two scales, a projection, and an ensemble of small heads."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from beholder.models.assessors.efficientnet import EfficientNetLite0

CHANNELS = (24, 40, 112, 320, 1280)
"""Channels of the pooled maps."""
CELL = 64
"""Pixels per cell in which the pooled part of a picture is counted: the deepest stage at half size."""
WHOLE = (0, 0, 1 << 24, 1 << 24)
"""The pooled part that is the whole picture."""


class Pooled(NamedTuple):
    """Sums over pixels, to be added between tiles: sums (N, 4 x 1776) float, counts (10,) float."""

    sums: Tensor
    counts: Tensor


class Body(nn.Module):
    """Picture to pooled sums: every channel's sum and sum of squares, of five stages, at full and at half size.

    forward takes (N, 3, H, W) sRGB in [0, 1], H and W at least 64, and `inner` int64 (top, left, bottom, right) in
    cells of 64 pixels: the part to pool over. Tiles with a margin give the same sums as the whole picture.
    """

    def __init__(self) -> None:
        super().__init__()
        self.net = EfficientNetLite0()

    def forward(self, image: Tensor, inner: Tensor) -> Pooled:
        """Sums over the inner part, at both sizes."""
        sums, counts = [], []
        for size, x in ((1, image), (2, F.avg_pool2d(image, 2))):
            maps = self.net(x)
            for stride, m in zip((4, 8, 16, 32, 32), maps, strict=True):
                cells = CELL // stride // size
                part = m[:, :, inner[0] * cells : inner[2] * cells, inner[1] * cells : inner[3] * cells]
                sums += [part.sum(dim=(2, 3)), (part * part).sum(dim=(2, 3))]
                counts.append(torch.ones_like(part[0, 0]).sum())
        return Pooled(torch.cat(sums, dim=1), torch.stack(counts))


class Head(nn.Module):
    """Pooled sums to score and distance: (N,) on 0-100 (not clipped), and (N,) mean squared standard feature.

    projections: one (features, components) matrix for each of the two sizes; members, hidden: the ensemble.
    """

    mean: Tensor
    scale: Tensor
    project_full: Tensor
    project_half: Tensor
    unit: Tensor
    target: Tensor

    def __init__(self, components: tuple[int, int], members: int, hidden: int) -> None:
        super().__init__()
        features, wide = 2 * sum(CHANNELS), sum(components)
        self.components = components
        self.register_buffer("mean", torch.zeros(2 * features))
        self.register_buffer("scale", torch.ones(2 * features))
        self.register_buffer("project_full", torch.zeros(features, components[0]))
        self.register_buffer("project_half", torch.zeros(features, components[1]))
        self.register_buffer("unit", torch.ones(1))
        self.w1 = nn.Parameter(torch.randn(members, wide, hidden) / wide**0.5)
        self.b1 = nn.Parameter(torch.zeros(members, 1, hidden))
        self.w2 = nn.Parameter(torch.randn(members, hidden, 1) * (0.5 / hidden**0.5))
        self.skip = nn.Parameter(torch.zeros(members, wide, 1))
        self.b2 = nn.Parameter(torch.zeros(members, 1, 1))
        self.register_buffer("target", torch.tensor([0.0, 1.0]))

    def features(self, pooled: Pooled) -> Tensor:
        """Means and standard deviations of every channel: (N, 2 x 3552)."""
        out, start = [], 0
        for i, count in enumerate(pooled.counts.unbind(0)):
            c = CHANNELS[i % len(CHANNELS)]
            mean = pooled.sums[:, start : start + c] / count
            square = pooled.sums[:, start + c : start + 2 * c] / count
            out += [mean, (F.relu(square - mean * mean) + 1e-6).sqrt()]
            start += 2 * c
        return torch.cat(out, dim=1)

    def standardise(self, features: Tensor) -> Tensor:
        """Features in deviations from the training pictures' mean, clipped at eight."""
        return ((features - self.mean) / self.scale).clamp(-8, 8)

    def project(self, standard: Tensor) -> Tensor:
        """Standardised features to components: (N, components)."""
        full, half = standard.chunk(2, dim=1)
        return torch.cat([full @ self.project_full, half @ self.project_half], dim=1) / self.unit

    def members(self, z: Tensor, drop_input: float = 0.0, drop_hidden: float = 0.0) -> Tensor:
        """Each member's standardised opinion: z (members, N, components) to (members, N)."""
        z = F.dropout(z, drop_input, self.training)
        hidden = F.dropout(F.gelu(z @ self.w1 + self.b1, approximate="tanh"), drop_hidden, self.training)
        result: Tensor = (hidden @ self.w2 + z @ self.skip + self.b2)[..., 0]
        return result

    def forward(self, sums: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Score and distance from sums and counts."""
        standard = self.standardise(self.features(Pooled(sums, counts)))
        return self.score(standard), (standard**2).mean(dim=1)

    def score(self, standard: Tensor) -> Tensor:
        """The ensemble's mean opinion of standardised features: (N,) on 0-100, not clipped."""
        return self.members(self.project(standard)[None]).mean(dim=0) * self.target[1] + self.target[0]


class Beholder(nn.Module):
    """The whole assessor, differentiable: (N, 3, H, W) sRGB in [0, 1] to (N,) on 0-100, and the domain distance."""

    def __init__(self, components: tuple[int, int] = (320, 200), members: int = 8, hidden: int = 128) -> None:
        super().__init__()
        self.body = Body()
        self.head = Head(components, members, hidden)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Score, clipped to the scale, and distance."""
        pooled = self.body(image, torch.tensor(WHOLE, device=image.device))
        score, distance = self.head(pooled.sums, pooled.counts)
        return score.clamp(0, 100), distance
