"""Krasula's analysis: can a metric tell different pairs from similar ones, and the better picture from the worse?"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import InputError
from beholder.evaluation.resampling import Units
from beholder.evaluation.significance import Tested, z_test

Array = NDArray[np.float64]
MOST_PAIRS = 2_000_000


@dataclass(frozen=True)
class Area:
    """An area under a receiver operating characteristic, its variance by DeLong, and the values that it comes from."""

    value: float
    variance: float
    positives: int
    negatives: int
    v10: Array
    v01: Array

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Normal interval on the logit scale where that is defined, so that it stays within 0 and 1."""
        return _logit_interval(self.value, self.variance, level)


def _logit_interval(value: float, variance: float, level: float) -> tuple[float, float]:
    from scipy.stats import norm

    if not 0 < value < 1 or variance <= 0:
        return value, value
    logit = math.log(value / (1 - value))
    width = float(norm.ppf(0.5 + level / 2)) * math.sqrt(variance) / (value * (1 - value))
    low, high = (1 / (1 + math.exp(-min(max(logit + s * width, -700), 700))) for s in (-1, 1))
    return low, high


def area(positive: NDArray[Any], negative: NDArray[Any]) -> Area:
    """AUC of scores of positives over negatives, ties half. Source: DeLong et al. 1988, doi:10.2307/2531595."""
    x, y = (np.asarray(a, dtype=np.float64).ravel() for a in (positive, negative))
    m, n = len(x), len(y)
    if not m or not n:
        raise InputError(f"an area needs pairs of both kinds, got {m} and {n}")
    both = np.concatenate((x, y))
    order = np.argsort(both)
    both = both[order]
    ends = np.append(np.flatnonzero(both[1:] != both[:-1]), m + n - 1) + 1  # of runs of equal scores
    sizes = np.diff(ends, prepend=0)
    first = order < m
    # how many of the others lie below, equals half: counted by the run's end and start
    v10 = np.empty(m)
    v10[order[first]] = _below(~first, ends, sizes, first) / n
    v01 = np.empty(n)
    v01[order[~first] - m] = 1 - _below(first, ends, sizes, ~first) / m
    value = float(v10.mean())
    variance = sum(float(v.var(ddof=1)) / len(v) for v in (v10, v01) if len(v) > 1)
    return Area(value, variance, m, n, v10, v01)


def _below(others: NDArray[np.bool_], ends: NDArray[np.intp], sizes: NDArray[np.intp], where: Any) -> Array:
    """Of each ordered score in `where`: how many of the others lie below its run, and half of those in it."""
    until = np.cumsum(others, dtype=np.int32)[ends - 1].astype(np.float64)
    until[1:] += until[:-1].copy()
    return np.asarray(np.repeat(until / 2, sizes)[where])


def mirrored_area(scores: NDArray[Any]) -> Area:
    """`area(scores, -scores)`, at half its cost: by symmetry every score moves it as much as its mirror image."""
    order = np.argsort(scores)
    ordered = scores[order]
    mirrored = -ordered[::-1]
    each = np.empty(len(scores))
    each[order] = (mirrored.searchsorted(ordered, "left") + mirrored.searchsorted(ordered, "right")) / 2 / len(scores)
    value = float(each.mean())
    variance = 2 * float(each.var(ddof=1)) / len(each) if len(each) > 1 else 0.0
    return Area(value, variance, len(each), len(each), each, each)


def compare_areas(a: Area, b: Area) -> Tested:
    """(z, two-sided p) of two areas over the same pairs in the same order (DeLong et al. 1988)."""
    if (a.positives, a.negatives) != (b.positives, b.negatives):
        raise InputError("areas are compared over the same pairs")
    variance = 0.0
    for x, y in ((a.v10, b.v10), (a.v01, b.v01)):
        if len(x) > 1:
            variance += float((x - y).var(ddof=1)) / len(x)
    return z_test(a.value - b.value, variance)


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures, and which of them people judged different: first, second (places), higher (sign), drawn.

    higher: +1 where the first is better, -1 where the second is, 0 where people did not tell them apart. drawn: whether
    these are a sample of all pairs.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    higher: NDArray[np.int8]
    drawn: bool


def make_pairs(
    opinions: Array,
    *,
    std: Array | None = None,
    count: Array | None = None,
    half_width: Array | None = None,
    groups: NDArray[Any] | None = None,
    level: float = 0.95,
    most: int = MOST_PAIRS,
    seed: int = 0,
) -> Pairs:
    """All pairs (within `groups` where given), told apart by a z-test of the two means at `level`.

    std and count: spread and number of opinions of each picture; or half_width: of its 95 % interval. More pairs than
    `most` are drawn from with a seed. Raises InputError where neither is known.
    """
    from scipy.stats import norm

    if half_width is not None:
        error = half_width / float(norm.ppf(0.975))
    elif std is not None and count is not None:
        error = std / np.sqrt(count)
    else:
        raise InputError(
            "pairs are told apart by std and n of the opinions, or by their intervals; give columns of these"
        )
    total = len(opinions)
    first, second = _places(total, groups, most, np.random.default_rng(seed))
    drawn = groups is None and total * (total - 1) // 2 > most
    apart = opinions[first] - opinions[second]
    spread = np.sqrt(error[first] ** 2 + error[second] ** 2)
    told = np.abs(apart) > float(norm.ppf(0.5 + level / 2)) * spread
    return Pairs(first, second, (np.sign(apart) * told).astype(np.int8), drawn)


def _places(
    total: int, groups: NDArray[Any] | None, most: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    if groups is not None:
        parts = []
        for group in np.unique(groups):
            here = np.flatnonzero(groups == group)
            a, b = np.triu_indices(len(here), 1)
            parts.append((here[a], here[b]))
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    pairs = total * (total - 1) // 2
    if pairs <= most:
        a, b = np.triu_indices(total, 1)
        return a, b
    a = rng.integers(0, total, most)
    b = (a + rng.integers(1, total, most)) % total
    return np.minimum(a, b), np.maximum(a, b)


class Influence:
    """How much every pair moves a mean over pairs: (P,), and its sums by unit and by pair of units.

    The sums are linear, so that those of a difference of two metrics are the difference of theirs.
    """

    def __init__(self, each: NDArray[np.float32], by_unit: Array, by_dyad: Array) -> None:
        self.each, self.by_unit, self.by_dyad = each, by_unit, by_dyad

    def __sub__(self, other: Influence) -> Influence:
        return Influence(self.each - other.each, self.by_unit - other.by_unit, self.by_dyad - other.by_dyad)

    def variance(self) -> float:
        """Of the mean, where two pairs that share a unit are dependent (Aronow et al. 2015, doi:10.1093/pan/mpv018)."""
        n = len(self.by_unit)
        # what shares both units was counted twice
        total = float(self.by_unit @ self.by_unit) - float(self.by_dyad @ self.by_dyad)
        alone = float(np.sum(np.square(self.each, dtype=np.float64)))
        return max(total * n / max(n - 1, 1), alone)


class Dyads:
    """Which units every pair of pictures lies in, worked out once for all metrics."""

    def __init__(self, pairs: Pairs, units: Units) -> None:
        self.first, second, self.count = units.of[pairs.first], units.of[pairs.second], units.count
        self.apart = self.first != second
        self.second = second[self.apart]
        one = self.first[self.apart]
        self.both = np.minimum(one, self.second).astype(np.int64) * self.count + np.maximum(one, self.second)

    def influence(self, each: NDArray[Any]) -> Influence:
        """each: (P,), of every pair on the mean."""
        across = each[self.apart]
        by_unit = np.bincount(self.first, each, self.count) + np.bincount(self.second, across, self.count)
        by_dyad = np.bincount(self.both, across, self.count**2)
        return Influence(each, by_unit.astype(np.float64), by_dyad.astype(np.float64))


@dataclass(frozen=True)
class Decisions:
    """What a metric decides about pairs.

    different: the area of |difference| over different and similar pairs; better: of signed difference over pairs where
    the first, or the second, is better; correct: share of different pairs ordered rightly (ties half); threshold: the
    95th percentile of |difference| over similar pairs, from which on a difference counts, NaN where there is none. None
    where a kind of pair is missing. influence: of the pairs on each area.
    """

    different: Area | None
    better: Area | None
    correct: float
    pairs: int
    told: int
    threshold: float
    influence: dict[str, Influence]

    def deviation(self, which: str) -> float:
        """Of the area 'different' or 'better', with pairs that share a content as dependent; DeLong's takes none."""
        return math.sqrt(self.influence[which].variance())

    def interval(self, which: str, level: float = 0.95) -> tuple[float, float]:
        """Of the area 'different' or 'better', by `deviation`."""
        return _logit_interval(getattr(self, which).value, self.deviation(which) ** 2, level)


def decide(predicted: Array, pairs: Pairs, dyads: Dyads) -> Decisions:
    """Krasula's figures of one metric; predicted: (N,), higher is better; dyads: the units that the pairs lie in.

    Source: Krasula et al. 2016, doi:10.1109/QoMEX.2016.7498936.
    """
    apart = predicted[pairs.first] - predicted[pairs.second]
    told = pairs.higher != 0
    influence = {}
    without: dict[str, Any] = {"v10": np.empty(0), "v01": np.empty(0)}  # of every pair, two million for each metric
    size = np.abs(apart)
    threshold = float(np.quantile(size[~told], 0.95)) if not told.all() else math.nan
    different = area(size[told], size[~told]) if told.any() and not told.all() else None
    del size
    if different is not None:
        each = np.zeros(len(told), np.float32)
        each[told] = (different.v10 - different.value) / different.positives
        each[~told] = (different.v01 - different.value) / different.negatives
        influence["different"] = dyads.influence(each)
        different = replace(different, **without)
    signed = apart[told] * pairs.higher[told]
    del apart
    # both directions of every pair, as in the paper: their areas are symmetric
    better = mirrored_area(signed) if told.any() else None
    correct = float(np.mean((signed > 0) + 0.5 * (signed == 0))) if told.any() else math.nan
    if better is not None:
        each = np.zeros(len(told), np.float32)
        each[told] = 2 * (better.v10 - better.value) / better.positives
        influence["better"] = dyads.influence(each)
        better = replace(better, **without)
    return Decisions(different, better, correct, len(told), int(told.sum()), threshold, influence)


def compare_decisions(a: Decisions, b: Decisions, which: str) -> Tested:
    """(z, two-sided p) of two metrics' areas over the same pairs, as DeLong et al. 1988, but with dependent pairs."""
    gap = getattr(a, which).value - getattr(b, which).value
    return z_test(gap, (a.influence[which] - b.influence[which]).variance())
