"""How far a picture is from those that a network has learned from, by the network's own features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

NAMES = ("mean", "scale", "share", "basis", "deviations", "rest", "known", "neighbours", "limit")
"""The arrays of `Domain`."""


class Domain(nn.Module):
    """Distance of features (N, F) from the training pictures', 1 at the limit beyond which a picture is foreign.

    found: the arrays of `beholder.training.calibration.domain_of`, which says what the distance is.
    """

    mean: Tensor
    scale: Tensor
    share: Tensor
    basis: Tensor
    deviations: Tensor
    rest: Tensor
    known: Tensor
    neighbours: Tensor
    limit: Tensor

    def __init__(self, found: Mapping[str, Any]) -> None:
        super().__init__()
        for name in NAMES:
            self.register_buffer(name, torch.as_tensor(found[name], dtype=torch.float32))
        self.place = int(self.neighbours)

    def forward(self, features: Tensor) -> Tensor:
        """(N, F) to (N,)."""
        z = ((features - self.mean) / self.scale).clamp(-8, 8) * self.share
        inside = z @ self.basis
        left = (z.square().sum(dim=1) - inside.square().sum(dim=1)).clamp_min(0).sqrt()
        x = torch.cat([inside / self.deviations, ((left - self.rest[0]) / self.rest[1])[:, None]], dim=1)
        squares = x.square().sum(dim=1, keepdim=True) - 2 * x @ self.known.T + self.known.square().sum(dim=1)
        nearest = squares.topk(self.place, dim=1, largest=False).values[:, -1]
        return nearest.clamp_min(0).sqrt() / self.limit
