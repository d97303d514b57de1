"""Where a metric fails: within references, types, levels and tenths of the scale, and the pictures it misjudges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.evaluation.ranks import Ranker, weighted_spearman

Array = NDArray[np.float64]
FEWEST = 5
"""Pictures that a part needs for a correlation."""


def correlate(x: Array, y: Array) -> float:
    """SRCC, NaN for fewer than `FEWEST` pictures or where one is constant."""
    if len(x) < FEWEST:
        return math.nan
    return weighted_spearman(Ranker(x), Ranker(y), np.ones(len(x)))


def within(x: Array, y: Array, parts: NDArray[Any]) -> dict[str, dict[str, float]]:
    """SRCC and number of pictures in every part: {part: {srcc, pictures}}."""
    found = {}
    for part in np.unique(parts):
        here = parts == part
        found[str(part)] = {"srcc": correlate(x[here], y[here]), "pictures": int(here.sum())}
    return found


def mean_within(parts: dict[str, dict[str, float]]) -> float:
    """The mean SRCC over parts, as papers give it; parts without one are left out."""
    values = [p["srcc"] for p in parts.values() if math.isfinite(p["srcc"])]
    return float(np.mean(values)) if values else math.nan


def tenths(x: Array, y: Array, opinions_scale: tuple[float, float], bands: int = 10) -> list[dict[str, float]]:
    """SRCC in equal ranges of the opinions' scale: [{low, high, srcc, pictures}]."""
    edges = np.linspace(min(opinions_scale), max(opinions_scale), bands + 1)
    place = np.clip(np.searchsorted(edges, y, side="right") - 1, 0, bands - 1)
    return [
        {
            "low": float(edges[i]),
            "high": float(edges[i + 1]),
            "srcc": correlate(x[place == i], y[place == i]),
            "pictures": int((place == i).sum()),
        }
        for i in range(bands)
    ]


def cells(mapped: Array, y: Array, types: NDArray[Any], levels: NDArray[Any]) -> list[dict[str, Any]]:
    """Mean opinion, mean mapped prediction and mean error for every type and level, in order."""
    found = []
    for kind in np.unique(types):
        for level in np.unique(levels[types == kind]):
            here = (types == kind) & (levels == level)
            found.append(
                {
                    "type": str(kind),
                    "level": level.item() if hasattr(level, "item") else level,
                    "pictures": int(here.sum()),
                    "opinion": float(y[here].mean()),
                    "predicted": float(mapped[here].mean()),
                    "error": float((mapped[here] - y[here]).mean()),
                    "rmse": float(np.sqrt(np.mean((mapped[here] - y[here]) ** 2))),
                }
            )
    return found


def disagreements(mapped: Array, y: Array, most: int = 20) -> list[int]:
    """Places of the pictures whose mapped prediction is farthest from the opinion, worst first."""
    return [int(i) for i in np.argsort(-np.abs(mapped - y), kind="stable")[:most]]
