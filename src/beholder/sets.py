"""Sets of pictures: collect their features, merge what workers collected, compare two sets."""

from __future__ import annotations

import contextlib
import functools
import glob
import os
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np

from beholder.errors import BeholderError, InputError, LayoutError
from beholder.image import read_image
from beholder.metrics import Measure, Score
from beholder.metrics.measure import processors
from beholder.metrics.sets import FeatureSet
from beholder.models.extractors import Extractor, extractor, is_known
from beholder.progress import watch
from beholder.scoring import Metrics, Row, measures_of
from beholder.strips import stream

METRICS = ("fid", "kid", "precision_recall")
Failures = tuple[tuple[str, str], ...]
"""Pictures that could not be read, each with its error."""


@dataclass(frozen=True)
class SetRow(Row):
    """What is known of two sets: ``row["fid"]`` is a `Score`, ``row["images"]`` and ``row["references"]`` are counts.

    counts: the pictures of each; flags: ``incomplete`` where some could not be read, ``small_set`` where there are not
    more of them than features, so that their covariance is not of full rank, ``unknown_weights`` where the network's
    are not the published ones; failed: those left out; network: whose features they are, and the hash of its weights.
    """

    counts: tuple[int, int] = (0, 0)
    failed: Failures = ()
    network: str = ""

    def __getitem__(self, key: str) -> Any:
        return self._counts[key] if key in self._counts else super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:
        yield from ("image", "reference", "width", "height", *self._counts, *self.scores, "flags", "error")

    def __len__(self) -> int:
        return super().__len__() + 2

    @property
    def _counts(self) -> dict[str, int]:
        return dict(zip(("images", "references"), self.counts, strict=True))

    def flat(self) -> dict[str, Any]:
        """The row as the columns of a table: those of pictures, and the counts."""
        return {**super().flat(), **self._counts}


def choose_sets(metrics: Metrics | None) -> dict[str, Measure]:
    """The set metrics by the names they were asked for, default fid, kid and precision_recall.

    Raises UnknownMetricError, and InputError for a metric that compares pictures, not sets.
    """
    measures = measures_of(METRICS if metrics is None else metrics, "'fid'")
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
    failed: list[tuple[str, str]] | None = None,
    progress: bool | None = None,
) -> FeatureSet:
    """The features of a set of pictures, to be compared, merged with ``+`` and saved.

    images: sources as for `score`, taken as they are needed; features: "beholder", the shipped network, or
    "inception" with the path of its weights; keep: the features themselves, too, not only their moments. failed: a
    list for the names and errors of pictures that cannot be read, which are then left out; without one the first such
    picture raises its typed error. progress: True for progress on stderr, False for none, default a bar where that is
    a terminal.
    """
    _check_many(images, layout)
    network = extractor(features, weights)
    read = functools.partial(read_image, layout=layout, data_range=data_range)
    return _collect(images, network, keep, workers, read, progress, failed)


def open_set(source: str) -> FeatureSet | list[str]:
    """The set that a name on the command line stands for: saved features (.npz), or a folder, pattern or list.

    Raises InputError for what does not exist or holds no pictures or features.
    """
    from beholder.collecting import expand

    if source.lower().endswith(".npz"):
        return FeatureSet.load(source)
    if source != "-" and not os.path.lexists(source) and not glob.has_magic(source):
        raise InputError(
            f"{source!r} does not exist; pass a folder, a pattern, a list of pictures, or a .npz of features"
        )
    return list(expand([source]))


def compare_sets(
    images: Iterable[Any] | FeatureSet,
    references: Iterable[Any] | FeatureSet,
    metrics: Metrics | None = None,
    *,
    features: str | None = None,
    weights: Any = None,
    workers: int | None = None,
    layout: str | None = None,
    data_range: float | None = None,
    names: tuple[str, str] = ("<images>", "<references>"),
    progress: bool | None = None,
) -> SetRow:
    """Compare two sets of pictures, which need not be pairs.

    images, references: pictures as for `score_many` (layout and data_range of arrays as there), or sets that
    `collect_features` made with the same network. metrics: default fid, kid and precision_recall. features, weights:
    the network, as for `collect_features`; default that of a set of features that is given, else "beholder". progress:
    as there. Pictures that cannot be read are left out and told in ``failed``. Raises UnknownMetricError, LayoutError
    for arrays whose axes are not stated, and InputError.
    """
    measures = choose_sets(metrics)
    pair = (images, references)
    for given in pair:
        _check_many(given, layout)
    network = _network([s for s in pair if isinstance(s, FeatureSet)], features, weights)
    keep = any(m.card.keeps for m in measures.values())
    read = functools.partial(read_image, layout=layout, data_range=data_range)
    collected: list[FeatureSet] = []
    failed: list[tuple[str, str]] = []
    for given, name in zip(pair, names, strict=True):
        if isinstance(given, FeatureSet):
            collected.append(given)
        elif network is not None:  # there is one where there are pictures
            lost: list[tuple[str, str]] = []
            collected.append(_collect(given, network, keep, workers, read, progress, lost))
            failed += lost
            if lost and not collected[-1].count:
                raise InputError(f"none of the {len(lost)} pictures of {name} could be read; the first: {lost[0][1]}")
    try:
        scores = {name: _score(measure, *collected) for name, measure in measures.items()}
    except InputError as error:
        if not failed:
            raise
        raise InputError(f"{error}; {len(failed)} could not be read, the first: {failed[0][1]}") from error
    doubts = [flag for score in scores.values() for flag in score.flags]
    flags = tuple(dict.fromkeys([*(["incomplete"] if failed else []), *doubts]))
    more: dict[str, Any] = {"counts": (collected[0].count, collected[1].count), "network": collected[0].name}
    return SetRow(names[0], names[1], None, None, scores, flags, failed=tuple(failed), **more)


def _check_many(images: Any, layout: str | None) -> None:
    """Raise InputError for what is no set of pictures, LayoutError for an array that may be one picture."""
    if isinstance(images, FeatureSet):
        return
    if isinstance(images, (str, bytes, os.PathLike)):
        raise InputError(f"a set is many pictures, got {images!r} alone; pass their paths")
    if not isinstance(images, Iterable):
        raise InputError(f"a set is many pictures, got {type(images).__name__}; pass a list of paths or arrays")
    if layout is None and getattr(images, "ndim", 4) != 4:
        shape = tuple(getattr(images, "shape", ()))
        raise LayoutError(f"an array of pictures has four axes, got shape {shape}; pass layout, or a list of pictures")


def _network(stored: list[FeatureSet], features: str | None, weights: Any) -> Extractor | None:
    """The network for the pictures, None where both sets hold features; InputError where those are of another one."""
    for found in stored:
        if features is not None and _kind(found) != features:
            raise InputError(
                f"a set holds features of {found.name or 'an array'}, and those of {features!r} are asked for; "
                "leave features out, or collect them anew"
            )
    if len(stored) == 2:
        if weights is not None:
            raise InputError("weights are for pictures, and both sets hold features already; leave weights out")
        return None
    network = extractor(features or next(filter(None, map(_kind, stored)), "beholder"), weights)
    for found in stored:
        if (found.size, found.name) != (network.size, network.name):
            raise InputError(
                f"a set holds {found.size} features of {found.name or 'an array'}, and the pictures are seen by "
                f"{network.name}; collect both with the same network"
            )
    return network


def _kind(found: FeatureSet) -> str:
    return found.name.partition(" ")[0]


def _score(measure: Measure, images: FeatureSet, references: FeatureSet) -> Score:
    card, weights = measure.card, images.name.partition(" ")[2]
    value = measure.compare(images, references)
    flags = () if is_known(images.name) else ("unknown_weights",)
    if not card.keeps and min(images.count, references.count) <= images.size:  # moments are what it compares
        flags = (*flags, "small_set")
    return Score(card.name, value, measure.preset, unit=card.unit, better=card.better, weights=weights, flags=flags)


def _collect(
    images: Iterable[Any],
    network: Extractor,
    keep: bool,
    workers: int | None,
    read: Any,
    progress: bool | None,
    failed: list[tuple[str, str]] | None,
) -> FeatureSet:
    found = FeatureSet(network.size, network.name, keep)
    total = len(images) if isinstance(images, Sized) else None
    results = _extracted(images, network, workers or processors(), read)
    with contextlib.closing(watch(results, total, "features", shown=progress)) as watched:
        for source, result in watched:
            if not isinstance(result, BeholderError):
                found.add(result[None])
            elif failed is None or isinstance(result, LayoutError):  # that is of the call, not of one picture
                raise result
            else:
                name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else f"<{type(source).__name__}>"
                failed.append((name, f"{type(result).__name__}: {result}"))
    return found


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
