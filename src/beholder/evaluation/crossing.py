"""Several sets at once: a mapping fitted on one and judged on another, and scales brought together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import InputError
from beholder.evaluation.mapping import Kind, fit_mapping
from beholder.evaluation.parts import correlate
from beholder.evaluation.ranks import weighted_pearson
from beholder.evaluation.stimuli import Stimuli, bounded, orient

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Crossed:
    """A metric on one set with the mapping of another: SRCC does not depend on it, PLCC and RMSE do."""

    metric: str
    fitted_on: str
    judged_on: str
    srcc: float
    plcc: float
    rmse: float


def to_unit(stimuli: Stimuli) -> Array:
    """Opinions on 0-100 of their scale, so that sets of several scales stand beside each other."""
    worst, best = stimuli.scale
    return np.asarray(100 * (stimuli.opinions - worst) / (best - worst))


def cross(sets: Mapping[str, tuple[Stimuli, Mapping[str, NDArray[Any]]]], kind: Kind = "logistic4") -> list[Crossed]:
    """Every metric that all sets have, with the mapping of every set judged on every set.

    sets: {name: (stimuli, predictions, higher is better)}. Opinions are compared on 0-100 of their declared scales.
    Raises InputError for fewer than two sets or no metric in common.
    """
    if len(sets) < 2:
        raise InputError(f"a comparison across sets needs at least two, got {len(sets)}")
    sets = {
        name: (stimuli, {n: bounded(x)[0] for n, x in orient(stimuli, said).items()})
        for name, (stimuli, said) in sets.items()
    }
    shared = [m for m in next(iter(sets.values()))[1] if all(m in p for _, p in sets.values())]
    if not shared:
        raise InputError("the sets have no metric in common; give the columns the same names")
    opinions = {name: to_unit(stimuli) for name, (stimuli, _) in sets.items()}
    found = []
    for metric in shared:
        values = {name: np.asarray(p[metric], dtype=np.float64) for name, (_, p) in sets.items()}
        mappings = {name: fit_mapping(values[name], opinions[name], kind) for name in sets}
        for one in sets:
            for other in sets:
                mapped, y = mappings[one](values[other]), opinions[other]
                plcc = weighted_pearson(mapped, y, np.ones(len(y)))
                rmse = math.sqrt(float(np.mean((mapped - y) ** 2)))
                found.append(Crossed(metric, one, other, correlate(values[other], y), plcc, rmse))
    return found


def align(
    sets: Mapping[str, tuple[Array, Array]],
) -> dict[str, tuple[float, float]]:
    """Gain and offset that bring every set's opinions to the first one's scale, by a metric that both have.

    sets: {name: (predictions of one metric, opinions)}. For each set the line through which its opinions, as a function
    of the metric, lie on those of the first in the range of the metric that both have (least squares of the two
    mappings at its evenly spaced values): what is the same to the metric gets the same opinion. The idea is that of
    iterated nested least squares, here with one metric; Pinson and Wolf 2003. Raises InputError where ranges are apart.
    """
    names = list(sets)
    x0, y0 = sets[names[0]]
    first = fit_mapping(x0, y0)
    found = {names[0]: (1.0, 0.0)}
    for name in names[1:]:
        x, y = sets[name]
        low, high = max(x0.min(), x.min()), min(x0.max(), x.max())
        if low >= high:
            raise InputError(f"the metric's values on {names[0]} and {name} do not overlap, so that nothing ties them")
        places = np.linspace(low, high, 100)
        mine, theirs = fit_mapping(x, y)(places), first(places)
        if np.ptp(mine) == 0:
            raise InputError(f"the metric says nothing about the opinions of {name}")
        gain, offset = np.polyfit(mine, theirs, 1)
        found[name] = (float(gain), float(offset))
    return found
