"""`evaluate`: everything that may be said of metrics against human opinions, with intervals and tests."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import InputError
from beholder.evaluation.comparing import compare
from beholder.evaluation.content_blind import noise_ceiling, predict_blind
from beholder.evaluation.judged import Figures, Judged
from beholder.evaluation.krasula import Dyads, decide, make_pairs
from beholder.evaluation.mapping import FORMS, fit_mapping
from beholder.evaluation.parts import cells, correlate, disagreements, mean_within, tenths, within
from beholder.evaluation.pwrc import weighted_ranks
from beholder.evaluation.ranks import Ranker, weighted_pearson
from beholder.evaluation.resampling import Units, make_units
from beholder.evaluation.significance import bias_corrected, group_equals
from beholder.evaluation.stimuli import FEWEST, Options, Stimuli, bounded, orient
from beholder.metrics.measure import processors

Array = NDArray[np.float64]
CHUNK = 50
"""Rounds of the bootstrap that are drawn at once."""
SWAPPED = -0.2
"""An SRCC below this is told as an orientation that was probably declared the wrong way round."""


@dataclass
class Evaluation:
    """What `evaluate` found: figures of every metric in the order given, baselines, tests between metrics, groups.

    tests: {test: {(first, second): {statistic, p, adjusted}}}; groups: of metrics that are statistically equal in SRCC,
    best first; warnings: of the data.
    """

    stimuli: Stimuli
    options: Options
    units: Units
    figures: dict[str, Figures]
    baselines: dict[str, Any]
    tests: dict[str, dict[tuple[str, str], dict[str, float]]]
    groups: list[list[str]]
    warnings: list[str]


def evaluate(
    stimuli: Stimuli,
    predictions: Mapping[str, NDArray[Any]],
    *,
    lower_better: Sequence[str] = (),
    options: Options | None = None,
    workers: int | None = None,
    tick: Callable[[], None] | None = None,
) -> Evaluation:
    """Judge metrics by human opinions.

    predictions: {name: (N,)}; lower_better: the names whose smaller values mean better pictures. workers: threads,
    default one per processor. tick is called after each of `2 x metrics + 1` steps. Raises InputError for predictions
    that are not finite or of another length, and for unknown names. What can be judged, but should be known, stands in
    `warnings`.
    """
    options, tick = options or Options(), tick or _pass
    if workers is not None and workers < 1:
        raise InputError(f"workers is a number of threads from 1 on, got {workers}")
    oriented = orient(stimuli, predictions, lower_better, mirror=options.mapping == "none")
    units = make_units(stimuli.references, len(stimuli.opinions))
    blocks = units.blocks(options.seed)
    warnings = _warn(stimuli, units)
    figures: dict[str, Figures] = {}
    ranks_y = Ranker(stimuli.opinions)
    pairs = _pairs(stimuli, options, warnings)
    dyads = None if pairs is None else Dyads(pairs, blocks)
    finite = {name: bounded(x) for name, x in oriented.items()}
    with ThreadPoolExecutor(workers or processors()) as pool:
        makes = {n: pool.submit(Judged, stimuli, x, options.mapping, blocks) for n, (x, _) in finite.items()}
        decided = {n: pool.submit(decide, x, pairs, dyads) for n, (x, _) in finite.items()} if dyads else {}
        varied = {name: x for name, (x, _) in finite.items() if np.ptp(x) > 0}
        std = stimuli.std
        weighed = None if std is None else pool.submit(weighted_ranks, varied, stimuli.opinions, std)
        judged = {}
        for name, (_, endless) in finite.items():
            judged[name] = makes[name].result()
            figures[name] = _point(name, judged[name], stimuli, ranks_y, lower=name in lower_better)
            if endless:
                figures[name].warnings.append(f"{endless} infinite predictions count as just beyond the finite ones")
            if name in decided:
                figures[name].decisions = decided[name].result()
            tick()
        rounds = _bootstrap(judged, units, blocks, ranks_y, options, pool)
        tick()
        jobs = [
            pool.submit(_intervals, figures[name], one, rounds[name], units, blocks, ranks_y, options)
            for name, one in judged.items()
        ]
        for job in jobs:
            job.result()
            tick()
        for name, value in weighed.result().items() if weighed else ():
            figures[name].values["pwrc"] = value
    tests = compare(judged, figures, rounds, options)
    differ = {pair: bool(t["adjusted"] < 1 - options.level) for pair, t in tests["srcc"].items()}
    ranked = {n: f.values["srcc"] for n, f in figures.items() if math.isfinite(f.values["srcc"])}
    return Evaluation(
        stimuli,
        options,
        units,
        figures,
        _baselines(stimuli, options),
        tests,
        group_equals(ranked, differ),
        warnings,
    )


# ------------------------------------------------------------------------------------------------------ what came in


def _pass() -> None:
    pass


def _warn(stimuli: Stimuli, units: Units) -> list[str]:
    found = []
    if stimuli.references is not None and units.kind == "picture" and len(np.unique(stimuli.references)) == 1:
        found.append("all pictures have one reference: nothing can be said of other contents; drawn over pictures")
    if units.count < 20:
        found.append(f"only {units.count} {units.kind}s: the intervals are rough")
    if stimuli.error is None:
        found.append(
            "no spread and number of opinions, and no intervals: outlier ratio, rmse* and decisions are left out"
        )
    return found


def _pairs(stimuli: Stimuli, options: Options, warnings: list[str]) -> Any:
    if stimuli.error is None:
        return None
    pairs = make_pairs(stimuli.opinions, half_width=stimuli.error, level=options.level, seed=options.seed)
    if pairs.drawn:
        warnings.append(f"decisions are over {len(pairs.first):,} pairs drawn from all")
    return pairs


# ----------------------------------------------------------------------------------------------------- figures of one


def _point(name: str, one: Judged, stimuli: Stimuli, ranks_y: Ranker, *, lower: bool) -> Figures:
    values = one.figures(np.ones(len(one.x)), ranks_y(np.ones(len(one.x))))
    values["krcc"] = one.pairs.tau(np.ones(len(one.pairs.agree)))
    found = Figures(name, lower, values, one.mapping, one.mapped)
    if one.mapping.note:
        found.warnings.append(one.mapping.note)
    if np.ptp(one.x) == 0:
        found.warnings.append(f"{name} says the same of all pictures: its correlations are not defined")
    elif values["srcc"] < SWAPPED:
        found.warnings.append(
            f"SRCC is {values['srcc']:.3f}: the predictions fall where the opinions rise; is "
            f"{'lower' if lower else 'higher'} really better?"
        )
    if stimuli.references is not None:
        found.parts["reference"] = within(one.x, one.y, stimuli.references)
        values["srcc_within_reference"] = mean_within(found.parts["reference"])
    if stimuli.types is not None:
        found.parts["type"] = within(one.x, one.y, stimuli.types)
        values["srcc_within_type"] = mean_within(found.parts["type"])
        if stimuli.levels is not None:
            found.parts["cells"] = cells(one.mapped, one.y, stimuli.types, stimuli.levels)
    found.parts["tenths"] = tenths(one.x, one.y, stimuli.scale)
    found.parts["disagreements"] = disagreements(one.mapped, one.y)
    return found


def _bootstrap(
    judged: Mapping[str, Judged], units: Units, blocks: Units, ranks_y: Ranker, options: Options, pool: Executor
) -> dict[str, dict[str, Array]]:
    """Figures in every round, the same rounds for all metrics: {metric: {measure: (rounds,)}}."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in judged}

    def judge(name: str, drawn: list[tuple[Array, Array]]) -> None:
        for counts, ranked in drawn:
            for measure, value in judged[name].figures(counts, ranked).items():
                found[name].setdefault(measure, []).append(value)

    for drawn in _batched(units.draws(options.rounds, options.seed), CHUNK):
        both = [(counts, ranks_y(counts)) for counts in drawn]
        for job in [pool.submit(judge, name, both) for name in judged]:
            job.result()
    rng = np.random.default_rng([options.seed, 1])
    weights = rng.multinomial(blocks.count, np.full(blocks.count, 1 / blocks.count), options.rounds).astype(np.float64)
    for name, one in judged.items():
        found[name]["krcc"] = [one.pairs.tau(w) for w in weights]
    return {name: {m: np.array(v) for m, v in measures.items()} for name, measures in found.items()}


def _batched(items: Iterable[Array], size: int) -> Iterator[list[Array]]:
    """Lists of `size` items, the last may be shorter."""
    it = iter(items)
    while some := list(itertools.islice(it, size)):
        yield some


def _intervals(
    figures: Figures,
    one: Judged,
    rounds: Mapping[str, Array],
    units: Units,
    blocks: Units,
    ranks_y: Ranker,
    options: Options,
) -> None:
    left: dict[str, list[float]] = {}
    for counts in blocks.left_out():
        for measure, value in one.figures(counts, ranks_y(counts)).items():
            left.setdefault(measure, []).append(value)
    left["krcc"] = [one.pairs.tau((np.arange(blocks.count) != i).astype(np.float64)) for i in range(blocks.count)]
    tail = (1 - options.level) / 2
    for measure, values in rounds.items():
        known = values[np.isfinite(values)]
        if len(known) < 20:
            continue
        low, high = np.quantile(known, [tail, 1 - tail])
        figures.intervals[measure] = (float(low), float(high))
        figures.bca[measure] = bias_corrected(known, figures.values[measure], np.array(left[measure]), options.level)
    figures.splits = _splits(one, units, options)


def _splits(one: Judged, units: Units, options: Options) -> dict[str, tuple[float, float, float]]:
    """Median, lowest, highest over random splits by content: the mapping fitted on one part, judged on the other."""
    held = round(units.count * options.held)
    rng = np.random.default_rng([options.seed, 2])
    found: dict[str, list[float]] = {}
    for _ in range(options.splits):
        test = np.isin(units.of, rng.permutation(units.count)[:held])
        if test.sum() < FEWEST or (~test).sum() <= FORMS[one.mapping.asked][1] + 1:
            return {}
        fitted = fit_mapping(one.x[~test], one.y[~test], one.mapping.asked)
        mapped, y = fitted(one.x[test]), one.y[test]
        found.setdefault("srcc", []).append(correlate(one.x[test], y))
        found.setdefault("plcc", []).append(weighted_pearson(mapped, y, np.ones(len(y))))
        found.setdefault("rmse", []).append(float(np.sqrt(np.mean((mapped - y) ** 2))))
    return {m: (float(np.median(v)), float(np.min(v)), float(np.max(v))) for m, v in found.items()}


def _baselines(stimuli: Stimuli, options: Options) -> dict[str, Any]:
    found: dict[str, Any] = {}
    several = stimuli.references is not None and len(np.unique(stimuli.references)) > 1
    if several and stimuli.types is not None and stimuli.levels is not None:
        blind = predict_blind(stimuli.opinions, stimuli.references, stimuli.types, stimuli.levels)  # type: ignore[arg-type]
        known = np.isfinite(blind)
        y = stimuli.opinions[known]
        if known.sum() >= FEWEST:
            parts = within(blind[known], y, stimuli.types[known])
            found["content_blind"] = {
                "srcc": correlate(blind[known], y),
                "plcc": weighted_pearson(blind[known], y, np.ones(len(y))),
                "srcc_within_type": mean_within(parts),
                "pictures": int(known.sum()),
            }
    if stimuli.error is not None:
        spread = stimuli.error / 1.959964
        found["ceiling"] = noise_ceiling(stimuli.opinions, spread, seed=options.seed)
    return found
