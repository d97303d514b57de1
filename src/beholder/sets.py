"""Sets of pictures: collect their features, merge what workers collected, compare two sets."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from beholder.errors import BeholderError, InputError
from beholder.image import read_image
from beholder.metrics import Measure, Score
from beholder.metrics.measure import processors
from beholder.metrics.sets import FeatureSet
from beholder.models.extractors import Extractor, extractor
from beholder.scoring import Row
from beholder.strips import stream

METRICS = ("fid", "kid", "precision_recall")
Failures = tuple[tuple[str, str], ...]
"""Pictures that could not be read, each with its error."""


@dataclass(frozen=True)
class SetRow(Row):
    """What is known of two sets: ``row["fid"]`` is a `Score`; counts: the pictures of each; failed: those left out."""

    counts: tuple[int, int] = (0, 0)
    failed: Failures = ()


def choose_sets(metrics: Sequence[str] | str | None) -> dict[str, Measure]:
    """The set metrics by the names they were asked for, default fid, kid and precision_recall.

    Raises UnknownMetricError, and InputError for a metric that compares pictures, not sets.
    """
    given = METRICS if metrics is None else metrics.split(",") if isinstance(metrics, str) else metrics
    measures = {name: Measure(name) for name in (n.strip() for n in given) if name}
    if not measures:
        raise InputError("no metric is named; pass one such as 'fid', or none for the default")
    for name, measure in measures.items():
        if measure.card.needs != "set":
            raise InputError(f"{name} is a {measure.card.kind} metric, it compares no sets; use score, or choose fid")
    return measures


def collect_features(
    images: Iterable[Any],
    features: str = "beholder",
    *,
    weights: Any = None,
    keep: bool = True,
    workers: int | None = None,
    layout: str | None = None,
    data_range: float | None = None,
) -> FeatureSet:
    """The features of a set of pictures, to be compared, merged with ``+`` and saved.

    images: sources as for `score`, taken as they are needed; features: "beholder", the shipped network, or
    "inception" with the path of its weights; keep: the features themselves, too, not only their moments. Raises the
    typed error of the first picture that cannot be read.
    """
    network = extractor(features, weights)
    return _collect(
        images, network, keep, workers, functools.partial(read_image, layout=layout, data_range=data_range)
    )[0]


def open_set(source: str) -> FeatureSet | list[str]:
    """The set that a name on the command line stands for: saved features (.npz), or a folder, pattern or list."""
    from beholder.collecting import expand

    return FeatureSet.load(source) if source.endswith(".npz") else list(expand([source]))


def compare_sets(
    images: Iterable[Any] | FeatureSet,
    references: Iterable[Any] | FeatureSet,
    metrics: Sequence[str] | str | None = None,
    *,
    features: str = "beholder",
    weights: Any = None,
    workers: int | None = None,
    names: tuple[str, str] = ("<images>", "<references>"),
) -> SetRow:
    """Compare two sets of pictures, which need not be pairs.

    images, references: pictures as for `score_many`, or sets that `collect_features` made with the same network.
    metrics: default fid, kid and precision_recall. features, weights: the network, as for `collect_features`.
    Pictures that cannot be read are left out and told in ``failed``. Raises UnknownMetricError and InputError.
    """
    measures = choose_sets(metrics)
    keep = any(m.card.keeps for m in measures.values())
    collected, failed = [], []
    for given in (images, references):
        if isinstance(given, FeatureSet):
            collected.append(given)
            continue
        if isinstance(given, (str, bytes, os.PathLike)):
            raise InputError(f"a set is many pictures, got {given!r} alone; pass their paths")
        found, lost = _collect(given, extractor(features, weights), keep, workers, read_image, failures=True)
        collected.append(found)
        failed += lost
    scores = {name: _score(measure, *collected) for name, measure in measures.items()}
    flags = ("incomplete",) if failed else ()
    counts = (collected[0].count, collected[1].count)
    return SetRow(names[0], names[1], None, None, scores, flags, counts=counts, failed=tuple(failed))


def _score(measure: Measure, images: FeatureSet, references: FeatureSet) -> Score:
    card, weights = measure.card, images.name.partition(" ")[2]
    value = measure.compare(images, references)
    return Score(card.name, value, measure.preset, unit=card.unit, better=card.better, weights=weights)


def _collect(
    images: Iterable[Any],
    network: Extractor,
    keep: bool,
    workers: int | None,
    read: Any,
    *,
    failures: bool = False,
) -> tuple[FeatureSet, list[tuple[str, str]]]:
    found, failed = FeatureSet(network.size, network.name, keep), []
    for source, result in _extracted(images, network, workers or processors(), read):
        if isinstance(result, BeholderError):
            if not failures:
                raise result
            name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else f"<{type(source).__name__}>"
            failed.append((name, f"{type(result).__name__}: {result}"))
        else:
            found.add(result[None])
    return found, failed


def _extracted(
    images: Iterable[Any], network: Extractor, workers: int, read: Any
) -> Iterator[tuple[Any, np.ndarray[Any, Any] | BeholderError]]:
    """Each picture with its features or its error, in order."""

    def one(source: Any) -> tuple[Any, np.ndarray[Any, Any] | BeholderError]:
        try:
            return source, network.extract(read(source).pixels)
        except BeholderError as error:
            return source, error

    if workers < 1:
        raise InputError(f"workers must be at least 1, got {workers!r}; leave it out for one per processor")
    return stream(one, ((source,) for source in images), workers, "beholder-features")
