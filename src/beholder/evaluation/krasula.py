"""Krasula's analysis: can a metric tell different pairs from similar ones, and the better picture from the worse?"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import InputError
from beholder.evaluation.resampling import Units

Array = NDArray[np.float64]
MOST_PAIRS = 2_000_000


@dataclass
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
    from scipy.stats import rankdata

    x, y = (np.asarray(a, dtype=np.float64).ravel() for a in (positive, negative))
    m, n = len(x), len(y)
    if not m or not n:
        raise InputError(f"an area needs pairs of both kinds, got {m} and {n}")
    ranks = rankdata(np.concatenate((x, y)))
    v10 = (ranks[:m] - rankdata(x)) / n
    v01 = 1 - (ranks[m:] - rankdata(y)) / m
    value = float(v10.mean())
    variance = sum(float(v.var(ddof=1)) / len(v) for v in (v10, v01) if len(v) > 1)
    return Area(value, variance, m, n, v10, v01)


def compare_areas(a: Area, b: Area) -> tuple[float, float]:
    """(z, two-sided p) of two areas over the same pairs in the same order (DeLong et al. 1988)."""
    from scipy.stats import norm

    if (a.positives, a.negatives) != (b.positives, b.negatives):
        raise InputError("areas are compared over the same pairs")
    variance = 0.0
    for x, y in ((a.v10, b.v10), (a.v01, b.v01)):
        if len(x) > 1:
            variance += float((x - y).var(ddof=1)) / len(x)
    if variance <= 0:
        return (0.0, 1.0) if a.value == b.value else (math.copysign(math.inf, a.value - b.value), 0.0)
    z = (a.value - b.value) / math.sqrt(variance)
    return z, float(2 * norm.sf(abs(z)))


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


@dataclass(frozen=True)
class Decisions:
    """What a metric decides about pairs.

    different: the area of |difference| over different and similar pairs; better: of signed difference over pairs where
    the first, or the second, is better; correct: share of different pairs ordered rightly (ties half); resolving: the
    smallest difference beyond which 95 % of pairs are different, NaN where there is none. None where a kind of pair is
    missing. influence: of every pair on each area; spread: the areas' standard deviation with pairs that share a
    picture or a content taken as dependent, which DeLong's does not.
    """

    different: Area | None
    better: Area | None
    correct: float
    pairs: int
    told: int
    threshold: float
    influence: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)

    def interval(self, which: str, level: float = 0.95) -> tuple[float, float]:
        """Of the area 'different' or 'better', by `spread`."""
        value = getattr(self, which).value
        return _logit_interval(value, self.spread[which] ** 2, level)


def decide(predicted: Array, pairs: Pairs, units: Units) -> Decisions:
    """Krasula's figures of one metric; predicted: (N,), higher is better; units: contents, whose pairs are dependent.

    threshold: the 95th percentile of |difference| over similar pairs, from which on a difference counts. Source:
    Krasula et al. 2016, doi:10.1109/QoMEX.2016.7498936.
    """
    apart = predicted[pairs.first] - predicted[pairs.second]
    told = pairs.higher != 0
    size = np.abs(apart)
    different = area(size[told], size[~told]) if told.any() and not told.all() else None
    signed = apart[told] * pairs.higher[told]
    # both directions of every pair, as in the paper: their areas are symmetric
    better = area(signed, -signed) if told.any() else None
    correct = float(np.mean((signed > 0) + 0.5 * (signed == 0))) if told.any() else math.nan
    threshold = float(np.quantile(size[~told], 0.95)) if not told.all() else math.nan
    influence = {}
    if different is not None:
        influence["different"] = np.zeros(len(told), np.float32)
        influence["different"][told] = (different.v10 - different.value) / different.positives
        influence["different"][~told] = (different.v01 - different.value) / different.negatives
    if better is not None:
        influence["better"] = np.zeros(len(told), np.float32)
        influence["better"][told] = (better.v10 + better.v01 - 2 * better.value) / better.positives
    spread = {name: math.sqrt(dyadic_variance(moved, pairs, units)) for name, moved in influence.items()}
    for which in (different, better):
        if which is not None:
            which.v10, which.v01 = which.v10[:0], which.v01[:0]  # two million numbers for each metric
    return Decisions(different, better, correct, len(told), int(told.sum()), threshold, influence, spread)


def dyadic_variance(influence: NDArray[Any], pairs: Pairs, units: Units) -> float:
    """Variance of a mean over pairs where two pairs that share a unit are dependent.

    influence: (P,), of each pair on the mean. Source: Aronow et al. 2015, doi:10.1093/pan/mpv018.
    """
    a, b, n = units.of[pairs.first], units.of[pairs.second], units.count
    apart = a != b
    each = np.bincount(a, influence, n) + np.bincount(b[apart], influence[apart], n)
    low, high = np.minimum(a, b)[apart], np.maximum(a, b)[apart]
    both = np.bincount(low.astype(np.int64) * n + high, influence[apart], n * n)
    total = float(each @ each) - float(both @ both)  # what shares both units was counted twice
    alone = float(np.sum(np.square(influence, dtype=np.float64)))
    return max(total * n / max(n - 1, 1), alone)


def compare_decisions(a: Decisions, b: Decisions, which: str, pairs: Pairs, units: Units) -> tuple[float, float]:
    """(z, two-sided p) of two metrics' areas over the same pairs, as DeLong et al. 1988, but with dependent pairs."""
    from scipy.stats import norm

    gap = getattr(a, which).value - getattr(b, which).value
    variance = dyadic_variance(a.influence[which] - b.influence[which], pairs, units)
    if variance <= 0:
        return (0.0, 1.0) if gap == 0 else (math.copysign(math.inf, gap), 0.0)
    z = gap / math.sqrt(variance)
    return z, float(2 * norm.sf(abs(z)))
