"""How far a picture is from those that a network has learned from, by the network's own features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

NAMES = ("mean", "scale", "share", "basis", "deviations", "rest", "known", "neighbours", "limit")
"""The arrays of `Domain`."""
DEEP = ("deep_mean", "deep_basis", "deep_unit")
"""And those that it has where there are deep features."""


class Domain(nn.Module):
    """Distance of features (N, F) from the training pictures', 1 at the limit beyond which a picture is foreign.

    found: the arrays of `beholder.training.calibration.domain_of`, which says what the distance is. Deep features, the
    last of the F, are not looked at where it has no arrays for them.
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
    deep_mean: Tensor
    deep_basis: Tensor
    deep_unit: Tensor

    def __init__(self, found: Mapping[str, Any]) -> None:
        super().__init__()
        self.deep = DEEP[0] in found
        for name in (*NAMES, *(DEEP if self.deep else ())):
            self.register_buffer(name, torch.as_tensor(found[name], dtype=torch.float32))
        self.place = int(self.neighbours)

    def forward(self, features: Tensor) -> Tensor:
        """(N, F) to (N,)."""
        usual = self.mean.shape[0]
        z = ((features[:, :usual] - self.mean) / self.scale).clamp(-8, 8) * self.share
        inside, left = _part(z, self.basis)
        x = [inside / self.deviations, (left - self.rest[0]) / self.rest[1]]
        if self.deep:
            inside, left = _part(features[:, usual:] - self.deep_mean, self.deep_basis)
            x += [inside / self.deep_unit, left / self.deep_unit]
        y = torch.cat(x, dim=1)
        squares = y.square().sum(dim=1, keepdim=True) - 2 * y @ self.known.T + self.known.square().sum(dim=1)
        nearest = squares.topk(self.place, dim=1, largest=False).values[:, -1]
        return nearest.clamp_min(0).sqrt() / self.limit


def _part(z: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """The components of z (N, F) in a basis (F, C), and the size of what these leave over (N, 1)."""
    inside = z @ basis
    return inside, (z.square().sum(dim=1) - inside.square().sum(dim=1)).clamp_min(0).sqrt()[:, None]
