"""Whether predicted intervals hold what they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import InputError

Array = NDArray[np.float64]


def judge_intervals(
    opinions: NDArray[Any],
    low: NDArray[Any],
    high: NDArray[Any],
    *,
    value: NDArray[Any] | None = None,
    groups: NDArray[Any] | None = None,
    level: float = 0.9,
    bins: int = 10,
) -> dict[str, Any]:
    """Coverage and width of predicted intervals.

    opinions, low, high: (N,); value: the predictions themselves, by default the middle; groups: for coverage in each;
    level: what was promised. Returns coverage with a 95 % interval (Clopper and Pearson 1934,
    doi:10.1093/biomet/26.4.404), mean and median width, interval score (Gneiting and Raftery 2007,
    doi:10.1198/016214506000001437), the curve [{scale, coverage, width}] of what scaling all intervals would cover, the
    factor that would keep the promise, coverage in `bins` equal shares of the predictions and in each group. Raises
    InputError where low is above high.
    """
    y, a, b = (np.asarray(v, dtype=np.float64) for v in (opinions, low, high))
    if not (len(y) == len(a) == len(b)) or not len(y):
        raise InputError(f"as many opinions as lower and upper ends are needed, got {len(y)}, {len(a)} and {len(b)}")
    if not (np.isfinite(y).all() and np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("an opinion or an end of an interval is not a finite number")
    if (a > b).any():
        place = int(np.flatnonzero(a > b)[0])
        raise InputError(f"interval {place + 1} begins at {a[place]:g}, above its end {b[place]:g}; are they swapped?")
    middle = (a + b) / 2 if value is None else np.asarray(value, dtype=np.float64)
    inside = (a <= y) & (y <= b)
    below, above = middle - a, b - middle
    side = np.where(y < middle, below, above)
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.where(y == middle, 0.0, np.where(side > 0, np.abs(y - middle) / side, np.inf))
    scales = np.linspace(0, 2, 41)
    miss = 1 - level
    penalty = (2 / miss) * (np.maximum(a - y, 0) + np.maximum(y - b, 0))
    order = np.argsort(middle, kind="stable")
    return {
        "level": level,
        "pictures": len(y),
        "coverage": float(inside.mean()),
        "coverage_interval": _share(int(inside.sum()), len(y)),
        "mean_width": float((b - a).mean()),
        "median_width": float(np.median(b - a)),
        "interval_score": float(np.mean(b - a + penalty)),
        "factor": float(np.quantile(needed, level)),
        "curve": [
            {"scale": float(s), "coverage": float((needed <= s).mean()), "width": float(s * (b - a).mean())}
            for s in scales
        ],
        "bins": [
            {
                "low": float(middle[i].min()),
                "high": float(middle[i].max()),
                "coverage": float(inside[i].mean()),
                "width": float((b - a)[i].mean()),
                "pictures": len(i),
            }
            for i in np.array_split(order, min(bins, len(y)))
        ],
        "groups": {
            str(g): {
                "coverage": float(inside[groups == g].mean()),
                "coverage_interval": _share(int(inside[groups == g].sum()), int((groups == g).sum())),
                "width": float((b - a)[groups == g].mean()),
                "pictures": int((groups == g).sum()),
            }
            for g in ([] if groups is None else np.unique(groups))
        },
    }


def _share(hits: int, of: int, level: float = 0.95) -> tuple[float, float]:
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, of - hits + 1))
    high = 1.0 if hits == of else float(beta.ppf(1 - tail, hits + 1, of - hits))
    return low, high
