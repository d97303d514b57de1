"""Whether one metric agrees better with people than another: tests of dependent figures, and many at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from beholder.errors import InputError

Array = NDArray[np.float64]
KURTOSIS = (2.0, 4.0)
"""Residuals with a kurtosis outside are not normal enough for the F-test (Sheikh et al. 2006)."""


class Tested(NamedTuple):
    """The statistic of a test and its two-sided p-value."""

    statistic: float
    p: float


def _two_sided(z: float) -> Tested:
    from scipy.stats import norm

    return Tested(z, float(2 * norm.sf(abs(z))))


def z_test(gap: float, variance: float) -> Tested:
    """Of a difference with this variance; without any, a difference is certain."""
    if variance <= 0:
        return Tested(0.0, 1.0) if gap == 0 else Tested(math.copysign(math.inf, gap), 0.0)
    return _two_sided(gap / math.sqrt(variance))


def meng(first: float, second: float, between: float, pictures: int) -> Tested:
    """Test of two correlations with the same opinions, by Meng, Rosenthal and Rubin.

    first, second: of each metric with the opinions; between: of the two metrics. Source: Meng et al. 1992,
    doi:10.1037/0033-2909.111.1.172. Raises InputError for fewer than four pictures.
    """
    _check(first, second, between, pictures)
    if first == second:
        return Tested(0.0, 1.0)
    middle = (first**2 + second**2) / 2
    if middle >= 1 or between >= 1:
        return Tested(math.copysign(math.inf, first - second), 0.0)
    f = min((1 - between) / (2 * (1 - middle)), 1.0)
    h = (1 - f * middle) / (1 - middle)
    apart = math.atanh(_inside(first)) - math.atanh(_inside(second))
    return _two_sided(apart * math.sqrt((pictures - 3) / (2 * (1 - between) * h)))


def steiger(first: float, second: float, between: float, pictures: int) -> Tested:
    """Test of two correlations with the same opinions, by Steiger's z with pooled correlations.

    Arguments as for `meng`. Source: Steiger 1980, doi:10.1037/0033-2909.87.2.245 (equation 14, as Dunn and Clark 1969
    with the mean of both correlations).
    """
    _check(first, second, between, pictures)
    if first == second:
        return Tested(0.0, 1.0)
    if abs(between) >= 1:
        return Tested(math.copysign(math.inf, first - second), 0.0)
    mean = (first + second) / 2
    shared = between * (1 - 2 * mean**2) - 0.5 * mean**2 * (1 - 2 * mean**2 - between**2)
    covariance = shared / (1 - mean**2) ** 2
    apart = math.atanh(_inside(first)) - math.atanh(_inside(second))
    return _two_sided(apart * math.sqrt((pictures - 3) / max(2 - 2 * covariance, 1e-12)))


def _inside(r: float) -> float:
    return min(max(r, -1 + 1e-12), 1 - 1e-12)


def _check(first: float, second: float, between: float, pictures: int) -> None:
    if pictures < 4:
        raise InputError(f"a test of correlations needs at least 4 pictures, got {pictures}")
    for r in (first, second, between):
        if not -1 <= r <= 1:
            raise InputError(f"correlations lie between -1 and 1, got {r}; is a prediction constant?")


class Variances(NamedTuple):
    """An F-test of two variances of residuals, and whether the residuals are normal enough for it."""

    statistic: float
    p: float
    kurtosis: tuple[float, float]
    normal: bool


def compare_residuals(first: Array, second: Array, parameters: int = 4) -> Variances:
    """F-test of the residuals of two metrics after their mappings, two-sided; kurtosis 3 is normal.

    first, second: (N,); parameters: of the mapping, which the degrees of freedom lose. The test takes residuals as
    independent, which those on the same pictures are not: it is the field's custom (Sheikh et al. 2006,
    doi:10.1109/TIP.2006.881959; ITU-T P.1401), the other tests are better.
    """
    from scipy.stats import f

    free = (len(first) - parameters, len(second) - parameters)
    if min(free) < 1:
        raise InputError(f"an F-test after a mapping of {parameters} parameters needs more pictures, got {len(first)}")
    a, b = (float(np.sum(r**2)) / n for r, n in zip((first, second), free, strict=True))
    peaked = _kurtosis(first), _kurtosis(second)
    if b == 0 or a == 0:
        return Variances(math.nan, math.nan, peaked, normal=False)
    ratio = a / b
    p = 2 * min(float(f.sf(ratio, *free)), float(f.cdf(ratio, *free)))
    return Variances(ratio, min(p, 1.0), peaked, normal=all(KURTOSIS[0] <= k <= KURTOSIS[1] for k in peaked))


def _kurtosis(residuals: Array) -> float:
    from scipy.stats import kurtosis

    return float(kurtosis(residuals, fisher=False)) if np.ptp(residuals) > 0 else math.nan


def adjust(p: Sequence[float], method: str = "holm") -> Array:
    """p-values of many tests, adjusted: 'holm' (any error), 'bh' (share of errors, Benjamini and Hochberg), 'none'.

    NaN stays NaN and does not count as a test. Sources: Holm 1979; Benjamini and Hochberg 1995,
    doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    if method not in ("holm", "bh", "none"):
        raise InputError(f"p-values are adjusted by 'holm', 'bh' or 'none', got {method!r}")
    values = np.asarray(p, dtype=np.float64)
    found = values.copy()
    known = np.flatnonzero(np.isfinite(values))
    if method == "none" or not len(known):
        return found
    order = known[np.argsort(values[known], kind="stable")]
    n, ranks = len(order), np.arange(len(order))
    if method == "holm":
        steps = np.maximum.accumulate(values[order] * (n - ranks))
    else:
        steps = np.minimum.accumulate((values[order] * n / (ranks + 1))[::-1])[::-1]
    found[order] = np.minimum(steps, 1.0)
    return found


def group_equals(figures: Mapping[str, float], differ: Mapping[tuple[str, str], bool]) -> list[list[str]]:
    """Metrics in groups of statistical equals, best first: each holds those that do not differ from its best member.

    figures: higher is better; differ: for pairs of names, in either order, whether they differ significantly. Being
    equal is not transitive, so a metric may stand in several groups; groups within another one are left out.
    """
    names = sorted(figures, key=lambda n: -figures[n])

    def apart(a: str, b: str) -> bool:
        return a != b and bool(differ.get((a, b), differ.get((b, a), False)))

    groups: list[list[str]] = []
    for i, best in enumerate(names):
        equals = [best, *(n for n in names[i + 1 :] if not apart(best, n))]
        if not any(set(equals) <= set(g) for g in groups):
            groups.append(equals)
    return groups


def bias_corrected(draws: Array, value: float, jackknife: Array, level: float = 0.95) -> tuple[float, float]:
    """The BCa interval of a figure out of its bootstrap draws and its values with one unit left out at a time.

    Source: Efron 1987, doi:10.1080/01621459.1987.10478410. Falls back on percentiles where the draws do not allow it.
    """
    from scipy.stats import norm

    draws = draws[np.isfinite(draws)]
    if len(draws) < 20:
        return math.nan, math.nan
    tail = (1 - level) / 2
    below = float(np.mean(draws < value) + np.mean(draws == value) / 2)
    spread = jackknife[np.isfinite(jackknife)]
    apart = spread.mean() - spread if len(spread) > 2 else np.zeros(1)
    scale = float(np.sum(apart**2)) ** 1.5
    if not 0 < below < 1 or scale == 0:
        return _percentiles(draws, tail)
    bias, bent = float(norm.ppf(below)), float(np.sum(apart**3)) / (6 * scale)
    shifted = bias + norm.ppf([tail, 1 - tail])
    low, high = np.quantile(draws, norm.cdf(bias + shifted / (1 - bent * shifted)))
    return float(low), float(high)


def _percentiles(draws: Array, tail: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)
