"""How far predictions agree with opinions: rank, linear and absolute measures."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import InputError


def agreement(predicted: NDArray[Any], opinions: NDArray[Any], *, ranks: bool = True) -> dict[str, float]:
    """SRCC, PLCC (no mapping), KRCC (tau-b) and RMSE of predictions, in the opinions' unit.

    predicted, opinions: (N,), higher is better in both. Correlations are NaN for fewer than two pictures and where
    either is constant. ranks: with KRCC, which takes longest. Raises InputError for different lengths, no picture, NaN
    or infinity.
    """
    from scipy.stats import kendalltau, pearsonr, spearmanr

    x, y = (np.asarray(a, dtype=np.float64).ravel() for a in (predicted, opinions))
    if len(x) != len(y) or not len(x):
        raise InputError(f"expected as many predictions as opinions and at least one, got {len(x)} and {len(y)}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("expected finite predictions and opinions, got NaN or infinity; leave those pictures out")
    functions = {"srcc": spearmanr, "plcc": pearsonr} | ({"krcc": kendalltau} if ranks else {})
    found = dict.fromkeys(functions, math.nan)
    if len(x) > 1 and np.ptp(x) > 0 and np.ptp(y) > 0:
        with warnings.catch_warnings():  # nearly constant values: the figure is as good as it gets
            warnings.simplefilter("ignore")
            found = {name: float(function(x, y)[0]) for name, function in functions.items()}
    return {**found, "rmse": float(np.sqrt(np.mean((x - y) ** 2)))}
