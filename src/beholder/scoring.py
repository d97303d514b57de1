"""The pipe: read, pair, check, measure; pictures in, rows out, in order, one for each."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from beholder.errors import BeholderError, InputError
from beholder.image import Image, read_image
from beholder.metrics import Measure, Score
from beholder.metrics.measure import processors
from beholder.strips import stream


@dataclass(frozen=True)
class Row(Mapping[str, Any]):
    """What is known of one picture: ``row["ssim"]`` is a `Score`, ``row["width"]`` a fact.

    image, reference: as given, or a word for what has no name; flags: warnings such as ``out_of_domain``, after the
    metric's name and a colon where several with an interval were asked for; error: empty, or ``TypeName:
    message`` of what failed: the picture, which then has no scores, or the metrics that it names, which are then not
    among the scores.
    """

    image: str
    reference: str | None = None
    width: int | None = None
    height: int | None = None
    scores: Mapping[str, Score] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    error: str = ""

    def __getitem__(self, key: str) -> Any:
        if key in self.scores:
            return self.scores[key]
        if key in ("image", "reference", "width", "height", "flags", "error"):
            return getattr(self, key)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        yield from ("image", "reference", "width", "height", *self.scores, "flags", "error")

    def __len__(self) -> int:
        return 6 + len(self.scores)

    def flat(self) -> dict[str, Any]:
        """The row as the columns of a table; metrics with an interval also give _low, _high and _word."""
        cells: dict[str, Any] = {k: getattr(self, k) for k in ("image", "reference", "width", "height")}
        for name, score in self.scores.items():
            cells[name] = score.value
            if score.low is not None:
                cells.update({f"{name}_low": score.low, f"{name}_high": score.high, f"{name}_word": score.word})
        return {**cells, "flags": list(self.flags), "error": self.error}


FIXED = frozenset({"image", "reference", "width", "height", "images", "references", "flags", "error"})
"""Columns that are no metrics."""
Models = Sequence[str | os.PathLike[str] | Measure] | str | os.PathLike[str]
Metrics = Sequence[str | Measure] | Mapping[str, Measure] | str | Measure
"""Names of metrics, or metrics with settings of their own as `beholder.metric` makes them, by names of one's own."""


def choose(
    metrics: Metrics | None,
    *,
    paired: bool,
    weights: Mapping[str, Any] | None = None,
    models: Models = (),
) -> dict[str, Measure]:
    """The metrics by the names they were asked for; by default `beholder`, or psnr and ssim where there is a reference.

    metrics: names, or what `beholder.metric` made. weights: by metric, the file that the user brings, of a network's
    weights or a fitted model. models: files of `beholder train`, which take the default's place and stand behind
    metrics that are named. All files are looked at. Raises UnknownMetricError, ModelError for a file that does not fit,
    and InputError when a metric needs a reference or weights and there are none.
    """
    trained = _trained([models] if isinstance(models, (str, os.PathLike)) else models)
    if metrics is None and trained:
        measures = trained
    else:
        measures = _named(metrics, weights or {}, paired=paired)
        for name in trained.keys() & measures.keys():
            raise InputError(f"a model and a metric are both called {name}; train into a folder of another name")
        measures |= trained
    for name, measure in measures.items():
        if measure.card.needs == "set":
            raise InputError(f"{name} compares two sets of pictures; use compare_sets or `beholder compare`")
        if measure.card.needs == "reference" and not paired:
            raise InputError(f"{name} compares with a reference and none was given; pass one, or choose beholder")
    for measure in measures.values():
        measure.prepare()
    return measures


def _trained(models: Sequence[str | os.PathLike[str] | Measure]) -> dict[str, Measure]:
    from beholder.metrics.trained import Trained

    found: dict[str, Measure] = {}
    for path in models:
        measure = path if isinstance(path, Measure) else Trained(os.fspath(path))
        if measure.name in found:
            raise InputError(f"two models are called {measure.name}; train them into folders of different names")
        found[measure.name] = measure
    return found


def _named(metrics: Metrics | None, weights: Mapping[str, Any], *, paired: bool) -> dict[str, Measure]:
    if metrics is None:
        metrics = ("psnr", "ssim") if paired else ("beholder",)
    return _with_weights(measures_of(metrics, "'beholder' or 'ssim'"), weights)


def measures_of(metrics: Metrics, such: str) -> dict[str, Measure]:
    """Measures by the names they were asked for, which are given as a list or with commas between.

    such: names for the message. Raises UnknownMetricError, and InputError for none or two under one name.
    """
    if isinstance(metrics, (str, Measure)):
        metrics = metrics.split(",") if isinstance(metrics, str) else [metrics]
    asked: Mapping[Any, Any] | list[Any] = metrics if isinstance(metrics, Mapping) else list(metrics)
    found: dict[str, Measure] = {}
    for name, meant in asked.items() if isinstance(asked, Mapping) else zip(asked, asked, strict=True):
        if isinstance(meant, str) and not meant.strip():
            continue
        measure = meant if isinstance(meant, Measure) else Measure(meant)
        key = name.strip() if isinstance(name, str) else measure.name
        if key in FIXED:
            raise InputError(f"a metric cannot be called {key!r}, which is a column of every row; choose another name")
        if found.get(key, measure).settings != measure.settings:
            raise InputError(f"two metrics with different settings are called {key}; pass a dict of names of your own")
        found[key] = measure
    if not found:
        raise InputError(f"no metric is named; pass one such as {such}, or none for the default")
    return found


def adjust(metrics: Metrics | None, changes: Mapping[str, Any]) -> Metrics | None:
    """The metrics with settings of their own, such as ``{"flip.ppd": 40}``; InputError for what is not measured."""
    if not changes:
        return metrics
    if metrics is None:
        raise InputError(f"settings such as {next(iter(changes))} are of metrics that are named; name them, too")
    measures = measures_of(metrics, "'flip'")
    for key, value in changes.items():
        name, _, setting = key.rpartition(".")
        meant = [n for n, m in measures.items() if name and Measure(name).name in (n, m.name)]
        if not meant:
            raise InputError(f"the setting {key!r} is of no metric that is measured; name one such as flip.ppd")
        for each in meant:
            measures[each] = measures[each].having(**{setting: value})
    return measures


def _with_weights(asked: Mapping[str, Measure], weights: Mapping[str, Any]) -> dict[str, Measure]:
    """The measures, each with the file that was given for its name, else for its metric."""
    if not isinstance(weights, Mapping):
        raise InputError(
            f"weights are files by metric such as {{'lpips': 'alexnet.pth'}}, got {weights!r}; pass a dict"
        )
    given = {Measure(key).name: path for key, path in weights.items()}
    measures = dict(asked)
    for name, measure in asked.items():
        path = given.get(measure.name, given.get(measure.card.name))
        if path is None:
            continue
        setting = measure.card.file_setting
        if not setting:
            raise InputError(f"{measure.card.name} takes no file, got {path!r} for it; leave it out of the weights")
        measures[name] = measure.having(**{setting: path})
    spare = set(given) - {n for m in measures.values() for n in (m.name, m.card.name)}
    if spare:
        raise InputError(f"weights are given for {min(spare)}, which is not measured; add it to the metrics")
    return measures


def columns_of(measures: Mapping[str, Measure]) -> list[str]:
    """The columns of a table of these metrics, in order."""
    middle: list[str] = []
    for name, measure in measures.items():
        middle.append(name)
        if measure.card.assess is not None:
            middle += [f"{name}_low", f"{name}_high", f"{name}_word"]
    counts = ["images", "references"] if any(m.card.needs == "set" for m in measures.values()) else []
    return ["image", "reference", "width", "height", *counts, *middle, "flags", "error"]


def score(
    image: Any,
    reference: Any = None,
    metrics: Metrics | None = None,
    *,
    layout: str | None = None,
    data_range: float | None = None,
    threads: int | None = None,
    weights: Mapping[str, Any] | None = None,
    models: Models = (),
) -> Row:
    """Score one picture.

    image, reference: what `read_image` takes: a path, bytes, a file, a PIL image, an array or a tensor (layout and
    data_range as there). metrics: names, or what `beholder.metric` made, or a dict of that by names of your own;
    default `beholder`, or psnr and ssim where a reference is given. threads: how many to use, default all processors.
    weights: by metric, the file of a network's weights, for those that want one
    (``{"lpips": "alexnet-owt-7be5be79.pth"}``), or of a fitted model (``{"niqe": "own.safetensors"}``). models: files
    of `beholder train` (or `beholder.metrics.trained.Trained` of one), each a further metric under its own name, or the
    only ones where no metric is named. Raises the typed errors of `beholder.errors`.
    """
    measures = choose(metrics, paired=reference is not None, weights=weights, models=models)
    if threads is not None and threads < 1:
        raise InputError(f"threads must be at least 1, got {threads!r}; leave it out for all processors")
    read = functools.partial(read_image, layout=layout, data_range=data_range)
    other = None if reference is None else read(reference)
    return _measure(read(image), other, measures, threads or processors(), strict=True)


def score_many(
    images: Iterable[Any],
    references: Iterable[Any] | Callable[[Any], Any] | None = None,
    metrics: Metrics | None = None,
    *,
    workers: int | None = None,
    layout: str | None = None,
    data_range: float | None = None,
    weights: Mapping[str, Any] | None = None,
    models: Models = (),
) -> Iterator[Row]:
    """Score many pictures: a generator of rows, in order, one for each, with errors as rows.

    images: sources as for `score`, taken as they are needed. references: one for each image, in the same order, or a
    function from image to reference. workers: pictures measured at once, default one per processor; memory does not
    grow with the number of pictures. weights, models: as for `score`. A metric that fails leaves the others of its row
    alone. Raises UnknownMetricError, ModelError and InputError for wrong metrics and files of theirs only.
    """
    measures = choose(metrics, paired=references is not None, weights=weights, models=models)
    if isinstance(images, (str, bytes, os.PathLike)):
        raise InputError(f"score_many takes many pictures, got {images!r} alone; use score, or put it into a list")
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, got {workers!r}; leave it out for one per processor")
    return _stream(images, references, measures, workers or processors(), layout, data_range)


def _stream(
    images: Iterable[Any],
    references: Iterable[Any] | Callable[[Any], Any] | None,
    measures: Mapping[str, Measure],
    workers: int,
    layout: str | None,
    data_range: float | None,
) -> Iterator[Row]:
    read = functools.partial(read_image, layout=layout, data_range=data_range)
    task = functools.partial(
        _guarded, measures=measures, read=read, share=_sharing(read), threads=1 if workers > 1 else 0
    )
    return stream(task, _pairs(images, references), workers, "beholder-score")


def _pairs(
    images: Iterable[Any], references: Iterable[Any] | Callable[[Any], Any] | None
) -> Iterator[tuple[Any, Callable[[], Any]]]:
    if references is None or callable(references):
        for image in images:
            yield image, (lambda: None) if references is None else functools.partial(references, image)
        return
    theirs, missing = iter(references), object()
    for image in images:
        reference = next(theirs, missing)
        if reference is missing:
            raise InputError("there are more images than references; pass one reference for each image")
        yield image, functools.partial(lambda r: r, reference)
    if next(theirs, missing) is not missing:
        raise InputError("there are more references than images; pass one reference for each image")


def _sharing(read: Callable[[Any], Image]) -> Callable[[Any], Image]:
    """Reading that keeps the last reference, so that one reference of many images is read once."""
    last: list[tuple[str, Image]] = []

    def shared(source: Any) -> Image:
        if not isinstance(source, (str, os.PathLike)):
            return read(source)
        name = os.fspath(source)
        kept = last[0] if last else None  # one look: other workers may replace it
        if kept is None or kept[0] != name:
            kept = (name, read(source))
            last[:] = [kept]
        return kept[1]

    return shared


def _guarded(
    image: Any,
    find: Callable[[], Any],
    *,
    measures: Mapping[str, Measure],
    read: Callable[[Any], Image],
    share: Callable[[Any], Image],
    threads: int,
) -> Row:
    """One row whatever happens: a bad picture must not stop the million others."""
    reference = None
    try:
        reference = find()
        other = None if reference is None else share(reference)
        return _measure(read(image), other, measures, threads or processors())
    except BeholderError as error:
        failure: Exception = error
    except Exception as error:  # noqa: BLE001  # the row is where an unforeseen failure is told, by its own name
        failure = error
    named = None if reference is None else _name(reference)
    return Row(_name(image), named, error=f"{type(failure).__name__}: {failure}")


def _name(source: Any) -> str:
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else f"<{type(source).__name__}>"


def _measure(
    image: Image, reference: Image | None, measures: Mapping[str, Measure], threads: int, *, strict: bool = False
) -> Row:
    """The row of a picture; a metric that fails is told in the row, or raises where `strict`."""
    scores: dict[str, Score] = {}
    failures: dict[str, Exception] = {}
    for name, measure in measures.items():
        other = reference.batch if reference is not None and measure.card.needs == "reference" else None
        try:
            scores[name] = measure.scores(image.batch, other, threads=threads)[0]
        except Exception as error:  # the row is where a failure is told, unforeseen ones by their own name
            if strict:
                raise
            failures[name] = error
    several = sum(m.card.assess is not None for m in measures.values()) > 1  # then a flag says whose it is
    flags = tuple(
        dict.fromkeys(
            f"{name}:{flag}" if several and measures[name].card.assess is not None else flag
            for name, s in scores.items()
            for flag in s.flags
        )
    )
    other_name = None if reference is None else reference.source
    told = _told({name: (measures[name].card.name, e) for name, e in failures.items()})
    return Row(image.source, other_name, image.width, image.height, scores, flags, told)


def _told(failures: Mapping[str, tuple[str, Exception]]) -> str:
    """The errors of metrics by the names they were asked for, each message once, with the metrics that it is of."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, (metric, error) in failures.items():
        message = str(error)
        begins = message.startswith(f"{metric} ")
        rest = message.removeprefix(metric) if begins else f": {message}"
        groups.setdefault((type(error).__name__, rest), []).append(name)
    return "; ".join(
        f"{kind}: {names[0]}{rest}" + (f" (likewise {', '.join(names[1:])})" if names[1:] else "")
        for (kind, rest), names in groups.items()
    )
