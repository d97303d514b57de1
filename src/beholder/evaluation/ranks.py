"""Correlations of weighted or resampled pictures, many at once: what bootstrap asks for ten thousand times."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Ranker:
    """Midranks of one set of values under any counts of its pictures, without sorting again.

    values: (N,). Called with counts (N,), how often each picture is there (weights may be any number from 0), it gives
    the midrank of every picture among all of them.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        order = np.argsort(values, kind="stable")
        ordered = np.asarray(values)[order]
        fresh = np.concatenate(([True], ordered[1:] != ordered[:-1]))
        self.group = np.empty(len(order), np.intp)
        self.group[order] = np.cumsum(fresh) - 1
        self.groups = int(fresh.sum())

    def __call__(self, counts: Array) -> Array:
        """(N,): the mean place of a picture's equals, from 1 where counts are whole."""
        sizes = np.bincount(self.group, weights=counts, minlength=self.groups)
        middles = np.cumsum(sizes) - sizes + (sizes + 1) / 2
        return np.asarray(middles[self.group])


def weighted_pearson(x: Array, y: Array, counts: Array) -> float:
    """Pearson's correlation, every picture counted so often; NaN where one is constant."""
    total = counts.sum()
    if total <= 0:
        return float("nan")
    a, b = x - counts @ x / total, y - counts @ y / total
    aa, bb = counts @ (a * a), counts @ (b * b)
    if aa <= 1e-20 * total * float(np.max(x**2)) or bb <= 1e-20 * total * float(np.max(y**2)):
        return float("nan")
    return float(np.clip(counts @ (a * b) / np.sqrt(aa * bb), -1, 1))


def weighted_spearman(x: Ranker, y: Ranker, counts: Array) -> float:
    """Spearman's correlation with midranks, every picture counted so often."""
    return weighted_pearson(x(counts), y(counts), counts)
