"""Perceptually weighted rank correlation: order counts most at the top, and where people can tell pictures apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SLOPE = 0.175
"""Of the sensitivity to a difference, on opinions of 0-100."""
ROWS = 32


def weighted_ranks(predictions: Mapping[str, Array], opinions: Array, spread: Array) -> dict[str, float]:
    """PWRC of every metric, the mean over the sensory thresholds from twice the least to twice the greatest spread.

    predictions, opinions: (N,), higher is better; spread: (N,), standard deviations of the opinions. Each pair counts
    by the better one's rank, by how far both are from their right ranks, and by how surely people tell it apart. 1
    where all orders are right, below 1 even then where pairs cannot be told apart. The area under the paper's curve is
    this times the range of thresholds; the integral over them is exact, not by steps. Source: Wu et al. 2018,
    doi:10.1109/TIP.2018.2799331.
    """
    reach = float(np.ptp(opinions))
    order = np.argsort(opinions, kind="stable")  # from the worst on, so that the later one of a pair gives its weight
    y = 100 * (opinions[order] - opinions.min()) / reach
    low, high = (200 * float(v) / reach for v in (spread.min(), spread.max()))
    ranks = np.unique(y, return_inverse=True)[1]
    most = len(y) - 1
    weight = np.exp(ranks / most)
    places = {name: np.unique(x[order], return_inverse=True)[1].astype(np.int32) for name, x in predictions.items()}
    astray = {name: np.exp(np.abs(p - ranks) / (2 * most)) for name, p in places.items()}
    above = dict.fromkeys(places, 0.0)
    for start in range(0, len(y), ROWS):
        rows = slice(start, start + ROWS)
        end = min(start + ROWS, len(y))
        told = _sensed(y[rows], y[:end], low, high)
        told[np.arange(start, end)[:, None] <= np.arange(end)] = 0  # every pair once; equal opinions have no order
        told[y[rows, None] == y[None, :end]] = 0
        for name, place in places.items():
            u = astray[name]
            signs = np.sign(place[rows, None] - place[None, :end])
            above[name] += float((weight * u)[rows] @ ((told * signs) @ u[:end]))
    below = {name: float((weight * u)[1:] @ np.cumsum(u)[:-1]) for name, u in astray.items()}
    return {name: above[name] / below[name] for name in places}


def _sensed(later: Array, earlier: Array, low: float, high: float) -> Array:
    """How surely later - earlier, from 0 on, is seen, the mean over thresholds between low and high: (L, E)."""
    grown = np.exp(SLOPE * later)[:, None] * np.exp(-SLOPE * earlier)[None, :]
    if high - low < 1e-9:
        odds = grown * np.exp(-SLOPE * low)
        return np.asarray(odds / (1 + odds))
    ends = [1 + grown * np.exp(-SLOPE * t) for t in (low, high)]
    return np.asarray(np.log(ends[0] / ends[1]) / (SLOPE * (high - low)))
