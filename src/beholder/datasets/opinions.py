"""What people thought of KADID-10k's distortions: one curve of opinion over level for each of its 25 types.

MEANS holds the mean of the opinions over the set's 81 contents for each type and level, worked out from the 10,125
scores that its authors publish (Lin, Hosu and Saupe 2019, doi:10.1109/QoMEX.2019.8743252).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from beholder.datasets.tables import to_points
from beholder.distortions.registry import MAX_LEVEL, Distortion, find
from beholder.errors import InputError, RangeError

SCALE = (1.0, 5.0)
MEANS: dict[int, tuple[float, float, float, float, float]] = {
    1: (4.6122, 4.3817, 2.9111, 1.8730, 1.3027),
    2: (3.8625, 2.6536, 1.7558, 1.4419, 1.2991),
    3: (4.6041, 4.0952, 2.8479, 2.1751, 1.6679),
    4: (4.4951, 2.6020, 1.7559, 1.6052, 1.3938),
    5: (4.2267, 2.5454, 1.9163, 1.8537, 1.8638),
    6: (4.1081, 3.9733, 3.7186, 3.2028, 2.4249),
    7: (2.7463, 2.3346, 2.2620, 2.2435, 2.0274),
    8: (4.5798, 3.3305, 2.6484, 1.8156, 1.5249),
    9: (4.5531, 4.2047, 3.8733, 2.4448, 1.3938),
    10: (4.3380, 4.2456, 3.8658, 1.9454, 1.3502),
    11: (3.8932, 3.3904, 3.0451, 2.7096, 2.3007),
    12: (4.4684, 3.6825, 3.1700, 2.6872, 2.3799),
    13: (3.5838, 2.9304, 2.6126, 2.3123, 2.1319),
    14: (4.4044, 3.5815, 3.0842, 2.6394, 2.1173),
    15: (3.6677, 2.7272, 2.2027, 1.6549, 1.4665),
    16: (4.5057, 4.2875, 3.6323, 2.7009, 1.8093),
    17: (4.6004, 4.5275, 4.2309, 3.5349, 2.2210),
    18: (4.2180, 4.5188, 4.6030, 4.3695, 3.9033),
    19: (4.4194, 4.0864, 3.2352, 1.8485, 1.3386),
    20: (4.3333, 3.9379, 3.7726, 3.4644, 3.2612),
    21: (3.8891, 3.0983, 2.8998, 2.7943, 1.4957),
    22: (4.1685, 3.9335, 3.6859, 3.3728, 2.7990),
    23: (2.6870, 2.3590, 2.2995, 2.1262, 2.0352),
    24: (3.5790, 2.6359, 2.1364, 1.6133, 1.3359),
    25: (3.4194, 3.8584, 4.2901, 4.1415, 3.3238),
}
"""Mean opinion, 1 to 5, higher is better, by the number of the type: levels 1 to 5."""
PRISTINE = to_points(max(max(m) for m in MEANS.values()), SCALE)
"""The score of an untouched picture: the best of all means, given to blur with a standard deviation of .1 pixel, which
leaves every pixel as it is."""


@dataclass(frozen=True)
class Curve:
    """Scores on 0-100 over levels; between its points it is straight.

    best: the level at which the picture is untouched: 0, or within the levels of a signed distortion, where scores fall
    on both sides.
    """

    levels: tuple[float, ...]
    scores: tuple[float, ...]
    best: float

    def __call__(self, level: float) -> float:
        """The score at a level; RangeError beyond the ends."""
        if not self.levels[0] <= level <= self.levels[-1]:
            raise RangeError(f"expected a level from {self.levels[0]:g} to {self.levels[-1]:g}, got {level!r}")
        return float(np.interp(level, self.levels, self.scores))


def fall(values: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """The nearest values, in squares, that never rise: isotonic regression by pooling neighbours."""
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for value, weight in zip(values, weights or [1.0] * len(values), strict=True):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] < pools[-1][0]:
            (a, v, m), (b, w, n) = pools[-2:]
            pools[-2:] = [((a * v + b * w) / (v + w), v + w, m + n)]
    return [mean for mean, _, count in pools for _ in range(count)]


def neutral_level(card: Distortion) -> float:
    """The level at which a distortion leaves pictures untouched: 0, or, of a signed one, where its value is neutral."""
    if not card.signed:
        return 0.0
    values = np.array(card.levels)
    order = np.argsort(values)
    return float(np.interp(card.neutral, values[order], np.arange(1, MAX_LEVEL + 1)[order]))


@functools.cache
def opinion_curve(name: str) -> Curve:
    """What people thought of a distortion over its levels; made to fall, where the published means do not.

    Of the 25 types, one is changed by that: color_shift, whose levels 4 and 5 were judged alike (1.854 and 1.864) and
    get their mean. mean_shift and contrast_change have their untouched picture between the ends, and fall from there to
    both sides. Raises InputError for a distortion that KADID-10k has not, UnknownDistortionError for an unknown one.
    """
    card = find(name)
    if "kadid" not in card.sets:
        raise InputError(f"{card.name} is not of KADID-10k: no human means are known; label by ranks or by a metric")
    scores = [to_points(v, SCALE) for v in MEANS[card.sets["kadid"]]]
    best = neutral_level(card)
    if not card.signed:
        return Curve(tuple(map(float, range(MAX_LEVEL + 1))), tuple(fall([PRISTINE, *scores])), best)
    points = {float(level): score for level, score in enumerate(scores, 1)}
    points.setdefault(best, PRISTINE)
    levels = sorted(points)
    before = fall([points[v] for v in reversed(levels) if v <= best])[::-1]
    after = fall([points[v] for v in levels if v >= best])
    return Curve(tuple(levels), (*before, *after[1:]), best)


def opinion_of(name: str, level: float) -> float:
    """The mean opinion on 0-100 of pictures with this distortion at this level, published or between."""
    return opinion_curve(find(name).name)(level)


def severity_of(card: Distortion, level: float) -> float:
    """How strong a distortion is, from 0, untouched, to 1, its strongest; of signed ones by the distance in value."""
    if not card.signed:
        return level / MAX_LEVEL
    reach = max(abs(v - card.neutral) for v in card.levels)
    return abs(card.value(level) - card.neutral) / reach
