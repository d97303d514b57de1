"""One metric against the opinions: its figures, under any counts of the pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.evaluation.krasula import Decisions
from beholder.evaluation.mapping import FORMS, Kind, fit_mapping
from beholder.evaluation.mapping import Mapping as Fitted
from beholder.evaluation.ranks import Ranker, weighted_pearson
from beholder.evaluation.resampling import Concordance, Units, concord
from beholder.evaluation.stimuli import Stimuli

Array = NDArray[np.float64]


@dataclass
class Figures:
    """One metric's figures.

    values: by measure; intervals, bca: (low, high), percentile and BCa; splits: median, lowest and highest over random
    splits by content, the mapping fitted on the larger part. parts: 'reference', 'type', 'tenths', 'cells'.
    """

    name: str
    lower_better: bool
    values: dict[str, float]
    mapping: Fitted
    mapped: Array
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    bca: dict[str, tuple[float, float]] = field(default_factory=dict)
    splits: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    decisions: Decisions | None = None
    parts: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class Judged:
    """A metric's predictions, mapped once, and its figures under any counts of the pictures."""

    def __init__(self, stimuli: Stimuli, predicted: Array, kind: Kind, blocks: Units) -> None:
        self.x, self.y = predicted, stimuli.opinions
        self.mapping = fit_mapping(predicted, stimuli.opinions, kind)
        self.mapped = self.mapping(predicted)
        self.residuals = self.y - self.mapped
        self.ranks = Ranker(predicted)
        self.free = FORMS[self.mapping.kind][1]
        self.error = stimuli.error
        self.weights = importance(stimuli.opinions)
        self.pairs: Concordance = concord(predicted, stimuli.opinions, blocks)

    def figures(self, counts: Array, ranks_y: Array) -> dict[str, float]:
        """All but Kendall's, with the opinions' ranks under the same counts (outlier ratio, rmse*: ITU-T P.1401)."""
        total = float(counts.sum())
        away = np.abs(self.residuals)
        free = max(total - self.free, 1)
        ranks_x = self.ranks(counts)
        found = {
            "srcc": weighted_pearson(ranks_x, ranks_y, counts),
            "plcc": weighted_pearson(self.mapped, self.y, counts),
            "plcc_raw": weighted_pearson(self.x, self.y, counts),
            "rmse": math.sqrt(float(counts @ away**2) / free),
            "mae": float(counts @ away) / total,
            "weighted_srcc": weighted_pearson(ranks_x, ranks_y, counts * self.weights),
        }
        if self.error is not None:
            over = np.maximum(away - self.error, 0)
            found["outlier_ratio"] = float(counts @ (away > self.error)) / total
            found["rmse_star"] = math.sqrt(float(counts @ over**2) / free)
        return found


def importance(opinions: Array) -> Array:
    """Weights of a weighted SRCC: the share of pictures that are no better, so that the best count most."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(opinions, method="average") / len(opinions))
