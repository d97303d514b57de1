"""What is wrong with a data set before anything is trained on it: files, contents, opinions."""

from __future__ import annotations

import hashlib
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from beholder.datasets.hashing import DISTANCE, hash_pixels, near_pairs
from beholder.datasets.tables import SPLITS, Dataset, Sample
from beholder.errors import BeholderError, InputError

BINS = 20
"""Bars of the histogram, 5 points each."""
FENCE = 3.0
"""Interquartile ranges beyond the quartiles from which an opinion counts as an outlier (Tukey's outer fence)."""
TWINS_APART = 25.0
"""Points by which the opinions of two copies of one picture may differ before that is told."""


class Finding(NamedTuple):
    """Something to look at: what kind, which picture, and why."""

    kind: str
    image: str
    detail: str


class Look(NamedTuple):
    """What reading one picture told; error is empty where it could be read."""

    missing: bool
    error: str
    height: int
    width: int
    grey: bool
    exact: str
    near: int


@dataclass(frozen=True)
class Findings:
    """What a check found.

    missing, broken: pictures (and references) that are not there or cannot be read. leaks: one content in two splits:
    the same group or reference, the same pixels, or nearly the same by perceptual hash. repeated: copies within a
    split. outliers: opinions far from all others, or from those of a copy. sizes: (height, width) and how often, the
    most frequent first; grey: pictures without colour. splits: pictures in each. histogram: pictures in `BINS` equal
    steps of 0-100, for each split; opinions: mean, standard deviation, least and most.
    """

    name: str
    digest: str
    pictures: int
    missing: tuple[Finding, ...] = ()
    broken: tuple[Finding, ...] = ()
    leaks: tuple[Finding, ...] = ()
    repeated: tuple[Finding, ...] = ()
    outliers: tuple[Finding, ...] = ()
    sizes: tuple[tuple[tuple[int, int], int], ...] = ()
    grey: int = 0
    splits: Mapping[str, int] = field(default_factory=dict)
    histogram: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    opinions: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    @property
    def complete(self) -> bool:
        """Whether every picture is there and can be read."""
        return not (self.missing or self.broken)

    @property
    def all(self) -> tuple[Finding, ...]:
        """Every finding, the worst first."""
        return (*self.missing, *self.broken, *self.leaks, *self.repeated, *self.outliers)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        mean, deviation, least, most = self.opinions
        return {
            "name": self.name,
            "digest": self.digest,
            "pictures": self.pictures,
            "complete": self.complete,
            "splits": dict(self.splits),
            "opinions": {"mean": mean, "std": deviation, "least": least, "most": most},
            "histogram": {k: list(v) for k, v in self.histogram.items()},
            "sizes": [{"height": h, "width": w, "pictures": n} for (h, w), n in self.sizes],
            "grey": self.grey,
            "findings": [f._asdict() for f in self.all],
        }


def check(
    dataset: Dataset,
    *,
    threads: int | None = None,
    distance: int = DISTANCE,
    watch: Callable[[Iterator[Look], int], Iterator[Look]] | None = None,
) -> Findings:
    """Read every picture of a data set and tell what is missing, broken, twice there, or far from the rest.

    threads: pictures read at once, default one per processor. distance: bits in which the hashes of near-duplicates
    may differ. watch: is given the looks as they come and their number and hands them on, for a progress bar. Raises
    InputError for a data set without samples only.
    """
    if not dataset.samples:
        raise InputError(f"{dataset.name} has no samples; there is nothing to check")
    from beholder.metrics.measure import processors
    from beholder.strips import stream

    references = list(dict.fromkeys(s.reference for s in dataset.samples if s.reference is not None))
    paths = [*(s.image for s in dataset.samples), *references]
    looks: Iterator[Look] = stream(look_at, ((p,) for p in paths), threads or processors(), "beholder-check")
    seen = list(watch(looks, len(paths)) if watch else looks)
    names = [*(dataset.key(s) for s in dataset.samples), *(_place(dataset, p) for p in references)]
    ours = seen[: len(dataset)]
    leaks, repeated, apart = _duplicates(dataset, ours, distance)
    sizes = Counter((look.height, look.width) for look in ours if not look.error)
    return Findings(
        name=dataset.name,
        digest=dataset.digest,
        pictures=len(dataset),
        missing=_failures("missing", names, [look.error if look.missing else "" for look in seen]),
        broken=_failures("broken", names, ["" if look.missing else look.error for look in seen]),
        leaks=(*_shared(dataset), *leaks),
        repeated=repeated,
        outliers=(*_outliers(dataset), *apart),
        sizes=tuple(sizes.most_common()),
        grey=sum(look.grey for look in ours),
        splits=dataset.splits,
        histogram=count_opinions(dataset),
        opinions=_opinions(dataset),
    )


def look_at(path: Path) -> Look:
    """Read one picture whole: its size, hashes, and whether it is there and sound."""
    from beholder.image import read_image

    if not path.exists():
        return Look(True, "no such file", 0, 0, False, "", 0)
    try:
        image = read_image(path)
        near = hash_pixels(image.native)
    except BeholderError as error:
        text = str(error).removeprefix(f"{path}: ")
        return Look(False, f"{type(error).__name__}: {text}", 0, 0, False, "", 0)
    exact = hashlib.sha256(repr(image.native.shape).encode() + image.native.tobytes()).hexdigest()
    grey = image.channels == 1 or bool((image.native == image.native[..., :1]).all())
    return Look(False, "", image.height, image.width, grey, exact, near)


def _place(dataset: Dataset, path: Path) -> str:
    return dataset.key(Sample(path, 0.0))


def _failures(kind: str, names: Sequence[str], errors: Sequence[str]) -> tuple[Finding, ...]:
    return tuple(Finding(kind, name, error) for name, error in zip(names, errors, strict=True) if error)


def _shared(dataset: Dataset) -> list[Finding]:
    """Groups and references that lie in more than one split."""
    places: dict[tuple[str, str], dict[str, Sample]] = {}
    for sample in dataset.samples:
        marks = [("group", sample.group)] if sample.group else []
        marks += [("reference", _place(dataset, sample.reference))] if sample.reference is not None else []
        for mark in marks:
            places.setdefault(mark, {}).setdefault(sample.split, sample)
    return [
        Finding("leak", dataset.key(next(iter(held.values()))), f"{what} {name!r} is in {_words(held)}")
        for (what, name), held in places.items()
        if len(set(held) - {""}) > 1
    ]


def _words(names: Mapping[str, Any]) -> str:
    return " and ".join(n for n in SPLITS if n in names)


def _duplicates(
    dataset: Dataset, looks: Sequence[Look], distance: int
) -> tuple[list[Finding], tuple[Finding, ...], list[Finding]]:
    """Copies across splits, copies within, and copies of which people thought differently.

    Pictures of one group or reference are alike by design, and are told only where they are the same to the pixel.
    """
    leaks, repeated, apart = [], [], []
    for one, other, bits in near_pairs([look.near for look in looks], distance):
        first, second = dataset[one], dataset[other]
        same = looks[one].exact == looks[other].exact
        kin = bool(first.group and first.group == second.group) or (
            first.reference is not None and first.reference == second.reference
        )
        if kin and not same:
            continue
        how = "the same pixels as" if same else f"nearly the same ({bits} of 64 bits differ) as"
        text = f"{how} {dataset.key(second)!r}"
        if first.split and second.split and first.split != second.split:
            leaks.append(Finding("leak", dataset.key(first), f"{text}: {first.split} and {second.split}"))
        else:
            repeated.append(Finding("repeated", dataset.key(first), text))
        if same and abs(first.mos - second.mos) > TWINS_APART:
            text = f"{first.mos:.0f} points, its copy {dataset.key(second)!r} {second.mos:.0f}"
            apart.append(Finding("outlier", dataset.key(first), text))
    return leaks, tuple(repeated), apart


def _outliers(dataset: Dataset) -> list[Finding]:
    scores = [s.mos for s in dataset.samples]
    if len(scores) < 8:
        return []
    first, _, third = statistics.quantiles(scores, n=4)
    reach = FENCE * (third - first)
    if not reach:
        return []
    low, high = first - reach, third + reach
    return [
        Finding("outlier", dataset.key(s), f"{s.mos:.1f} points, half of all have {first:.0f} to {third:.0f}")
        for s in dataset.samples
        if not low <= s.mos <= high
    ]


def count_opinions(dataset: Dataset) -> dict[str, tuple[int, ...]]:
    """Pictures in `BINS` equal steps of 0-100 for each split that there is."""
    counts = {}
    for name in dataset.splits:
        scores = [s.mos for s in dataset.samples if s.split == name]
        counts[name] = tuple(int(n) for n in np.histogram(scores, BINS, (0, 100))[0])
    return counts


def _opinions(dataset: Dataset) -> tuple[float, float, float, float]:
    scores = np.array([s.mos for s in dataset.samples])
    return float(scores.mean()), float(scores.std()), float(scores.min()), float(scores.max())
