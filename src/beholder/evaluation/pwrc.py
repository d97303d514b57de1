"""Perceptually weighted rank correlation: order counts most at the top, and where people can tell pictures apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SLOPE = 0.175
"""Of the sensitivity to a difference, on opinions of 0-100."""
ROWS = 256


def weighted_ranks(predictions: Mapping[str, Array], opinions: Array, spread: Array) -> dict[str, float]:
    """PWRC of every metric, the mean over the sensory thresholds from twice the least to twice the greatest spread.

    predictions, opinions: (N,), higher is better; spread: (N,), standard deviations of the opinions. Each pair counts
    by the better one's rank, by how far both are from their right ranks, and by how surely people tell it apart. 1
    where all orders are right, below 1 even then where pairs cannot be told apart. The area under the paper's curve is
    this times the range of thresholds; the integral over them is exact, not by steps. Source: Wu et al. 2018,
    doi:10.1109/TIP.2018.2799331.
    """
    reach = float(np.ptp(opinions))
    y = 100 * (opinions - opinions.min()) / reach
    low, high = (200 * float(v) / reach for v in (spread.min(), spread.max()))
    ranks = np.unique(y, return_inverse=True)[1]
    most = len(y) - 1
    grade = ranks / most
    places = {name: np.unique(x, return_inverse=True)[1] for name, x in predictions.items()}
    astray = {name: np.exp(np.abs(p - ranks) / (2 * most)) for name, p in places.items()}
    above, below = dict.fromkeys(places, 0.0), dict.fromkeys(places, 0.0)
    for start in range(0, len(y), ROWS):
        rows = slice(start, start + ROWS)
        weight = np.exp(np.maximum(grade[rows, None], grade[None, :]))
        weight[np.arange(len(weight)), np.arange(start, start + len(weight))] = 0
        apart = y[rows, None] - y[None, :]
        told = weight * _sensed(np.abs(apart), low, high) * np.sign(apart)
        for name, place in places.items():
            u = astray[name]
            order = np.sign(place[rows, None] - place[None, :])
            above[name] += float(u[rows] @ ((told * order) @ u))
            below[name] += float(u[rows] @ (weight @ u))
    return {name: above[name] / below[name] for name in places}


def _sensed(apart: Array, low: float, high: float) -> Array:
    """How surely differences are seen, the mean over thresholds between low and high."""
    if high - low < 1e-9:
        return np.asarray(1 / (1 + np.exp(-SLOPE * (apart - low))))
    ends: list[Any] = [np.logaddexp(0, SLOPE * (apart - t)) for t in (low, high)]
    return np.asarray((ends[0] - ends[1]) / (SLOPE * (high - low)))
