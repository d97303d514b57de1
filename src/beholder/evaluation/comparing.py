"""Every two metrics on the same pictures: which agrees better with people, by several tests."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from beholder.evaluation.judged import Figures, Judged
from beholder.evaluation.krasula import compare_decisions
from beholder.evaluation.ranks import weighted_pearson
from beholder.evaluation.significance import adjust, compare_residuals, meng, steiger
from beholder.evaluation.stimuli import Options

Array = NDArray[np.float64]


def compare(
    judged: Mapping[str, Judged],
    figures: Mapping[str, Figures],
    rounds: Mapping[str, Mapping[str, Array]],
    options: Options,
) -> dict[str, dict[tuple[str, str], dict[str, float]]]:
    """{test: {(first, second): {statistic, p, adjusted}}}; positive statistics speak for the first.

    srcc, plcc, krcc: paired bootstrap over contents, by a normal statistic of the difference; meng, steiger: of SRCC
    and PLCC, which take pictures as independent; variance: F-test of the residuals; different, better: areas
    over pairs, those that share a content taken as dependent.
    """
    pairs = list(itertools.combinations(judged, 2))
    total = len(next(iter(judged.values())).x)
    found: dict[str, dict[tuple[str, str], dict[str, float]]] = {}

    def put(test: str, pair: tuple[str, str], statistic: float, p: float) -> None:
        found.setdefault(test, {})[pair] = {"statistic": statistic, "p": p}

    for a, b in pairs:
        for measure in ("srcc", "plcc", "krcc"):
            put(measure, (a, b), *_paired(figures, rounds, a, b, measure))
        ones = np.ones(total)
        ranked = weighted_pearson(judged[a].ranks(ones), judged[b].ranks(ones), ones)
        between = ranked, weighted_pearson(judged[a].mapped, judged[b].mapped, ones)
        for test, measure, r in (("meng", "srcc", between[0]), ("steiger", "plcc", between[1])):
            values = [figures[n].values[measure] for n in (a, b)]
            known = all(math.isfinite(v) for v in (*values, r))
            method = meng if test == "meng" else steiger
            put(test, (a, b), *(method(values[0], values[1], r, total) if known else (math.nan, math.nan)))
        free = max(judged[n].free for n in (a, b))
        tested = compare_residuals(judged[b].residuals, judged[a].residuals, free)  # above 1 where the first is better
        put("variance", (a, b), tested.statistic, tested.p)
        found["variance"][a, b]["normal"] = float(tested.normal)
        for which in ("different", "better"):
            one, other = figures[a].decisions, figures[b].decisions
            if one is not None and other is not None and which in one.influence:
                put(which, (a, b), *compare_decisions(one, other, which))
    for tests in found.values():
        adjusted = adjust([t["p"] for t in tests.values()], options.adjust)
        for t, value in zip(tests.values(), adjusted, strict=True):
            t["adjusted"] = float(value)
    found.setdefault("srcc", {})
    return found


def _paired(
    figures: Mapping[str, Figures], rounds: Mapping[str, Mapping[str, Array]], a: str, b: str, measure: str
) -> tuple[float, float]:
    from scipy.stats import norm

    apart = rounds[a][measure] - rounds[b][measure]
    apart = apart[np.isfinite(apart)]
    gap = figures[a].values[measure] - figures[b].values[measure]
    if len(apart) < 20 or not math.isfinite(gap):
        return math.nan, math.nan
    spread = float(apart.std(ddof=1))
    if spread <= 1e-12:
        return (0.0, 1.0) if abs(gap) <= 1e-12 else (math.copysign(math.inf, gap), 0.0)
    return gap / spread, float(2 * norm.sf(abs(gap) / spread))
