"""gMAD: pictures that one metric calls equal and another calls as different as can be, for people to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Duel:
    """A pair of pictures, by their places: `defender` calls them equal, `attacker` says the first is better by `gap`.

    level: which of the defender's levels of quality, 0 the lowest; slack: by how much the defender's values differ.
    opinion: by how much people put the first above the second, where that is known: near 0 the defender was right.
    """

    defender: str
    attacker: str
    level: int
    first: int
    second: int
    gap: float
    slack: float
    opinion: float | None


def duels(
    first: NDArray[Any],
    second: NDArray[Any],
    names: tuple[str, str] = ("first", "second"),
    *,
    opinions: NDArray[Any] | None = None,
    levels: int = 6,
    tolerance: float = 0.02,
) -> list[Duel]:
    """The pairs of two metrics' maximum differentiation competition, each metric once as the defender.

    first, second: (N,), higher is better. At each of `levels` evenly spaced quantiles of the defender, among the
    pictures whose value is within `tolerance` of its range (5th to 95th percentile) of it, the pair that the attacker
    sets farthest apart. Levels with fewer than two pictures are left out. Source: Ma et al. 2016 (group MAD
    competition), doi:10.1109/CVPR.2016.184. Raises InputError for constant metrics.
    """
    found = []
    for defender, attacker, d, a in (
        (names[0], names[1], np.asarray(first, float), np.asarray(second, float)),
        (names[1], names[0], np.asarray(second, float), np.asarray(first, float)),
    ):
        reach = float(np.ptp(np.quantile(d, [0.05, 0.95])))
        if reach <= 0:
            raise InputError(f"{defender} says the same of nearly all pictures and cannot compete")
        for level, middle in enumerate(np.quantile(d, (np.arange(levels) + 0.5) / levels)):
            near = np.flatnonzero(np.abs(d - middle) <= tolerance * reach)
            if len(near) < 2:
                continue
            best, worst = int(near[np.argmax(a[near])]), int(near[np.argmin(a[near])])
            told = None if opinions is None else float(opinions[best] - opinions[worst])
            found.append(
                Duel(
                    defender,
                    attacker,
                    level,
                    best,
                    worst,
                    float(a[best] - a[worst]),
                    float(abs(d[best] - d[worst])),
                    told,
                )
            )
    return found
