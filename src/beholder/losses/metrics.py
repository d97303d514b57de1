"""Metrics as losses: lower is better, differentiable, in PyTorch."""

from __future__ import annotations

import math
from typing import Any

from beholder.arrays import Array, is_torch
from beholder.errors import InputError
from beholder.metrics import Measure


class Loss:
    """A metric as a training objective: always lower-is-better.

    name: a differentiable metric, with or without preset; weight: a factor; settings: the metric's own, such as
    ``weights=``. Calling it with PyTorch tensors (N, C, H, W) in [0, 1], the reference second for full-reference
    metrics, gives a scalar: the batch mean of the metric where lower is better, else of its best value minus it (of
    its negative where there is no best value, as for psnr). Raises UnknownMetricError, InputError for a metric without
    gradients or NumPy input.
    """

    def __init__(self, name: str, weight: float = 1.0, **settings: Any) -> None:
        self.measure = Measure(name, **settings)
        self.weight = weight
        if not self.measure.card.differentiable:
            raise InputError(f"{name} has no gradient; `beholder metrics --json` says which have one")

    def __repr__(self) -> str:
        return f"Loss({self.measure.name!r}, weight={self.weight:g})"

    def __call__(self, image: Array, reference: Array | None = None) -> Array:
        """The weighted loss of a batch, a scalar tensor."""
        if not is_torch(image):
            raise InputError(f"a loss takes PyTorch tensors, got {type(image).__name__}; use beholder.metric instead")
        values = self.measure(image, reference)
        if self.measure.card.better == "higher":
            best = self.measure.card.range[1]
            values = (best if math.isfinite(best) else 0.0) - values
        return values.mean() * self.weight
