"""NIMA: the distribution of opinions from any body's last map (Talebi and Milanfar 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from beholder.models.assessors.architectures import Judgement, architecture
from beholder.models.assessors.bodies import make_body
from beholder.models.assessors.heads import check_picture, expect


@architecture(
    "nima",
    paper="Talebi and Milanfar 2018, NIMA: Neural Image Assessment, doi:10.1109/TIP.2018.2831899",
    gives=("score", "spread", "distribution", "features"),
    crop=224,
    bodies=True,
)
class NIMA(nn.Module):
    """A softmax over `steps` equal steps of 0-100, worst first; the score and the spread are its mean and deviation.

    body, weights, body_settings, stochastic_depth: see `make_body`; dropout: before the only layer, .75 as in the
    paper; steps: 10 as in the paper.
    """

    def __init__(
        self,
        body: str = "",
        weights: str = "imagenet",
        body_settings: Mapping[str, Any] | None = None,
        stochastic_depth: float = 0.0,
        dropout: float = 0.75,
        steps: int = 10,
    ) -> None:
        super().__init__()
        self.body = make_body(body, weights, body_settings, stochastic_depth=stochastic_depth)
        self.min_size = self.body.min_size
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(self.body.channels[-1], steps)

    def forward(self, image: Tensor) -> Judgement:
        """Judge (N, 3, H, W) in [0, 1]."""
        check_picture("nima", image, self.min_size)
        features = self.body(image)[-1].float().mean((2, 3))
        shares = torch.softmax(self.last(self.dropout(features)).float(), 1)
        score, spread = expect(shares)
        return Judgement(score, spread, shares, features=features)
