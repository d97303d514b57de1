"""All metrics: importing this fills the registry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from beholder.errors import InputError
from beholder.metrics import (
    appearance,
    artefact,
    colour,
    deep,
    edges,
    features,
    frequency,
    gradient,
    ilniqe,
    information,
    mdsi,
    natural,
    perception,
    phase,
    pixel,
    pyramid,
    saliency,
    sets,
    spectral,
    ssimulacra2,
    structure,
    tone,
    wavelet,
)
from beholder.metrics.measure import Measure
from beholder.metrics.registry import CARDS, KINDS, Assessment, Metric, Needs, Score

__all__ = [
    "Assessment",
    "Measure",
    "Metric",
    "Score",
    "appearance",
    "artefact",
    "colour",
    "deep",
    "edges",
    "features",
    "frequency",
    "gradient",
    "ilniqe",
    "information",
    "list_metrics",
    "mdsi",
    "metric",
    "natural",
    "perception",
    "phase",
    "pixel",
    "pyramid",
    "saliency",
    "sets",
    "spectral",
    "ssimulacra2",
    "structure",
    "tone",
    "wavelet",
]


def metric(name: str, **settings: Any) -> Measure:
    """The metric of this name, ready to be called; a preset stands behind a colon (``ssim:skimage``).

    Any case and common aliases are accepted. settings: the metric's own, such as ``weights=``. Raises
    UnknownMetricError, which suggests the nearest name, and InputError for unknown settings.
    """
    return Measure(name, **settings)


def list_metrics(needs: Needs | None = None) -> list[Metric]:
    """The cards of all metrics by name, or of those that need a "reference", only an "image", or a "set" of them."""
    if needs not in (None, *KINDS):
        raise InputError(f"needs is one of {', '.join(map(repr, KINDS))}, got {needs!r}; leave it out for all metrics")
    cards: Iterable[Metric] = sorted(CARDS.values(), key=lambda c: c.name)
    return [c for c in cards if needs in (None, c.needs)]
