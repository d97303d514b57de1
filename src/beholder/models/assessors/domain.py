"""How far a picture is from those that a network has learned from, by the network's own features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Domain(nn.Module):
    """Distance of features (N, F) from the training pictures', 1 at the limit beyond which a picture is foreign.

    found: the arrays of `beholder.training.calibration.domain_of`, which says what the distance is.
    """

    mean: Tensor
    scale: Tensor
    basis: Tensor
    deviations: Tensor
    rest: Tensor
    limit: Tensor

    def __init__(self, found: Mapping[str, Any]) -> None:
        super().__init__()
        for name in ("mean", "scale", "basis", "deviations", "rest", "limit"):
            self.register_buffer(name, torch.as_tensor(found[name], dtype=torch.float32))

    def forward(self, features: Tensor) -> Tensor:
        """(N, F) to (N,)."""
        z = ((features - self.mean) / self.scale).clamp(-8, 8)
        inside = z @ self.basis
        left = (z.square().sum(dim=1) - inside.square().sum(dim=1)).clamp_min(0)
        distance = (inside / self.deviations).square().mean(dim=1).sqrt() + (left / self.rest).sqrt()
        return distance / self.limit
