"""What a trained network's numbers are worth: conformal intervals, and how far a picture is from the training ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import InputError

Array = NDArray[np.float64]
FEWEST = 20
"""Pictures that an interval needs at least."""
FOLDS = 10
DEAD = 0.01
"""Share of the features' usual deviation that counts as none: what varies less is rounding, and would count most."""


def fewest_pictures(level: float) -> int:
    """Pictures that an interval of this level needs: fewer have no quantile so far out."""
    return max(FEWEST, math.ceil(level / (1 - level) - 1e-9))


def conformal_interval(predicted: Array, opinions: Array, level: float = 0.9, bins: int = 6) -> dict[str, Any]:
    """Half-width of the interval over the predicted score, piecewise linear: {level, knots, half_widths, pictures}.

    predicted: (N,), scores of pictures that the network has not learned from, 0-100; opinions: (N,). The shape of the
    width is the error's quantile in `bins` equal shares of the pictures; its size is the finite-sample quantile of
    every picture's error over the shape that the other pictures give (ten folds), so that a new picture's opinion lies
    inside with probability `level`. Raises InputError for fewer pictures than `fewest_pictures`. Sources: Lei et al.
    2018 (conformal prediction), doi:10.1080/01621459.2017.1307116; Vovk 2015 (cross-conformal),
    doi:10.1007/s10472-013-9368-4.
    """
    if len(predicted) < fewest_pictures(level):
        raise InputError(
            f"an interval of {level:.0%} needs at least {fewest_pictures(level)} pictures that were not learned from, "
            f"got {len(predicted)}"
        )
    error = np.abs(predicted - opinions)
    fold = np.random.default_rng(0).permutation(len(error)) % FOLDS
    ratio = np.empty(len(error))
    for i in range(FOLDS):
        held = fold == i
        ratio[held] = error[held] / np.interp(predicted[held], *_shape(predicted[~held], error[~held], level, bins))
    rank = math.ceil((len(ratio) + 1) * level)
    factor = np.sort(ratio)[min(rank, len(ratio)) - 1]
    knots, widths = _shape(predicted, error, level, bins)
    return {
        "level": level,
        "knots": [float(k) for k in knots],
        "half_widths": [round(float(w * factor), 3) for w in widths],
        "pictures": len(predicted),
    }


def _shape(predicted: Array, error: Array, level: float, bins: int) -> tuple[Array, Array]:
    """Knots, rising, and the error's quantile around each."""
    shares = np.array_split(np.argsort(predicted, kind="stable"), max(1, min(bins, len(predicted) // 15)))
    knots = np.round([predicted[i].mean() for i in shares], 3)
    widths = np.maximum([np.quantile(error[i], level) for i in shares], 1e-3)
    knots, kept = np.unique(knots, return_index=True)
    return knots, widths[kept]


def coverage(predicted: Array, opinions: Array, interval: dict[str, Any]) -> float:
    """Share of the opinions that lie in the interval."""
    half = np.interp(predicted, interval["knots"], interval["half_widths"])
    return float(np.mean(np.abs(predicted - opinions) <= half))


def domain_of(
    features: NDArray[Any],
    groups: Sequence[int] = (),
    *,
    deep: int = 0,
    components: int = 64,
    neighbours: int = 5,
    quantile: float = 0.96,
) -> dict[str, Array]:
    """What `models.assessors.domain.Domain` needs to tell how far a picture's features are from the training ones.

    features: (N, F) of training pictures; groups: how many features, side by side, make up each group (none: all are
    one), as of the maps of a body: every group counts alike, however many it has. deep: how many of the last features
    say what is in a picture; they are not in a group, and count as they are, for where a network finds little of
    anything it knows, all of them are small. The distance is that to the `neighbours`-th of the training pictures, by
    the leading `components` (half of the features at most) and by the size of what these leave over, in units of their
    deviation; those of the deep features beside them, so that both kinds count alike. limit: the distance that a share
    of `quantile` of the training pictures do not exceed, each seen from the others. Sources: Sun et al. 2022 (nearest
    neighbours in feature space), doi:10.48550/arXiv.2204.06507; Ndiour et al. 2020 (reconstruction error),
    doi:10.48550/arXiv.2012.04250.
    """
    x = np.asarray(features, dtype=np.float64)
    if len(x) < 2:
        raise InputError(f"the domain needs at least 2 training pictures, got {len(x)}")
    x, last = np.split(x, [x.shape[1] - deep], axis=1)
    if groups and sum(groups) != x.shape[1]:
        raise InputError(f"groups of {tuple(groups)} features do not make up the {x.shape[1]} that there are")
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.hypot(scale, max(DEAD * math.sqrt(float(np.mean(scale**2))), 1e-6))
    share = 1 / np.sqrt(np.repeat(groups, groups)) if groups else np.ones(x.shape[1])
    basis, inside, left = _parted(np.clip((x - mean) / scale, -8, 8) * share, components)
    deviations = np.maximum(np.sqrt((inside**2).mean(axis=0)), 1e-6)
    rest = np.array([left.mean(), max(float(left.std()), 1e-6)])
    known = np.column_stack([inside / deviations, (left - rest[0]) / rest[1]])
    place = min(neighbours, len(x) - 1)
    found = {"mean": mean, "scale": scale, "share": share, "basis": basis, "neighbours": np.array(float(place))}
    if deep:
        centre = last.mean(axis=0)
        found["deep_mean"] = centre
        found["deep_basis"], inside, left = _parted(last - centre, components)
        seen = np.column_stack([inside, left])
        units = [max(float(np.quantile(_apart(k, place), 0.99)), 1e-6) for k in (known, seen)]
        known = np.column_stack([known / units[0], seen / units[1]])
        deviations, rest = deviations * units[0], rest * (1, units[0])
        found["deep_unit"] = np.array(units[1:])
    limit = max(float(np.quantile(_apart(known, place), quantile)), 1e-6)
    return found | {"deviations": deviations, "rest": rest, "known": known, "limit": np.array([limit])}


def _parted(z: Array, components: int) -> tuple[Array, Array, Array]:
    """The basis (F, C) of the leading components of z (N, F), z in it, and the size of what these leave over (N,)."""
    count = max(1, min(components, len(z) // 4, z.shape[1] // 2))
    basis = np.linalg.svd(z, full_matrices=False)[2][:count].T
    inside = z @ basis
    return basis, inside, np.sqrt(np.maximum((z**2).sum(axis=1) - (inside**2).sum(axis=1), 0))


def _apart(known: Array, place: int) -> Array:
    """How far each is from the `place`-th nearest of the others."""
    from scipy.spatial.distance import cdist

    return np.asarray(np.sort(cdist(known, known), axis=1)[:, place])  # the nearest of all is the picture itself
