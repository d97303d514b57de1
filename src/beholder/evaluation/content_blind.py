"""What a figure is worth: the table that looks at no picture, and the noise of the opinions themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import InputError

Array = NDArray[np.float64]


def predict_blind(opinions: Array, references: NDArray[Any], types: NDArray[Any], levels: NDArray[Any]) -> Array:
    """For every picture the mean opinion of its type and level over all other references: (N,).

    A metric that does not beat this knows the distortion, not the picture. NaN where no other reference has that cell.
    Raises InputError for a single reference.
    """
    places = np.unique(references, return_inverse=True)[1]
    if places.max(initial=0) < 1:
        raise InputError("the content-blind table leaves one reference out and needs at least two")
    keys = np.array([f"{t}\x00{v}" for t, v in zip(types, levels, strict=True)])
    cells = np.unique(keys, return_inverse=True)[1]
    total = np.bincount(cells, weights=opinions)
    count = np.bincount(cells)
    both = np.unique(cells * (places.max() + 1) + places, return_inverse=True)[1]
    own_total, own_count = np.bincount(both, weights=opinions)[both], np.bincount(both)[both]
    left = count[cells] - own_count
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(left > 0, (total[cells] - own_total) / left, np.nan))


def noise_ceiling(
    opinions: Array, spread: Array, *, draws: int = 200, seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """SRCC and PLCC of the opinions with themselves drawn anew within their error: (median, 2.5 %, 97.5 %).

    spread: standard error of each mean opinion. No metric can be shown to agree better than that.
    """
    from scipy.stats import rankdata

    rng = np.random.default_rng(seed)
    ranks = rankdata(opinions)
    found = np.array(
        [
            (np.corrcoef(ranks, rankdata(again))[0, 1], np.corrcoef(opinions, again)[0, 1])
            for again in (opinions + rng.normal(size=len(opinions)) * spread for _ in range(draws))
        ]
    )
    low, middle, high = np.quantile(found, [0.025, 0.5, 0.975], axis=0)
    return {name: (float(middle[i]), float(low[i]), float(high[i])) for i, name in enumerate(("srcc", "plcc"))}
