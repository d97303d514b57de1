"""Metrics as losses: lower is better, differentiable, in PyTorch."""

from __future__ import annotations

import math
from typing import Any

from beholder.arrays import Array, is_torch, namespace
from beholder.errors import InputError
from beholder.metrics import Measure
from beholder.metrics.settings import NotNegative, check

CEILING = 100.0
"""Decibels that count at most, an error of a hundred-thousandth of full scale: a loss has no infinite end."""


class Loss:
    """A metric as a training objective: always lower-is-better.

    name: a differentiable metric, with or without preset; weight: a factor, not negative; settings: the metric's own,
    such as ``weights=``. Calling it with PyTorch tensors (N, C, H, W) in [0, 1], the reference second for
    full-reference metrics, gives a scalar: the batch mean of the metric where lower is better, else of its best value
    minus it. Metrics in dB have no best value: theirs is the negative mean, where more than `CEILING` = 100 dB count as
    100, those of equal pictures, too. nrmse and ergas are infinite where the reference is black and the picture is not;
    gradients are finite there, too. Raises UnknownMetricError, InputError for a metric without gradients, a wrong
    weight or setting, and NumPy input.
    """

    def __init__(self, name: str, weight: float = 1.0, **settings: Any) -> None:
        self.measure = Measure(name, **settings)
        self.weight: float = check("Loss", "weight", weight, NotNegative, 1.0)
        if not self.measure.card.differentiable:
            raise InputError(f"{name} has no gradient; `beholder metrics --json` says which have one")

    def __repr__(self) -> str:
        return f"Loss({self.measure.name!r}, weight={self.weight:g})"

    def __call__(self, image: Array, reference: Array | None = None) -> Array:
        """The weighted loss of a batch, a scalar tensor."""
        if not is_torch(image):
            raise InputError(f"a loss takes PyTorch tensors, got {type(image).__name__}; use beholder.metric instead")
        values, card = self.measure(image, reference), self.measure.card
        if card.better == "higher":
            values = card.best - values if math.isfinite(card.best) else -namespace(values).clip(values, max=CEILING)
        return values.mean() * self.weight
