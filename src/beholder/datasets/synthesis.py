"""Distorted versions of pristine photographs with labels, made on the fly, the same ones for the same seed."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from beholder.datasets.augmenting import crop_centre, crop_random, resize_shorter
from beholder.datasets.opinions import fall, neutral_level, opinion_curve, severity_of
from beholder.datasets.tiles import decode
from beholder.distortions.chains import distort, list_distortions
from beholder.distortions.registry import MAX_LEVEL, Distortion, find
from beholder.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Read = Callable[[Path], Pixels]

SIZE = (384, 512)
"""Height and width of KADID-10k's pictures: its blocks and patches are counted for a picture, not for an area, so that
its opinions are of distortions at this size. Portraits have it the other way round."""
MOST = 2 * SIZE[0]
"""Shorter side to which larger photographs are reduced before they are cropped."""
LEAST = 0.5
"""The mildest level that is drawn; signed distortions, whose level 0 means nothing, begin at 1, and so do ladders,
since some types leave pictures as they are below."""
RUNGS = 4
"""Pictures of one ladder: jobs one after another whose order alone is known, of one crop, one type and one seed."""
APART = 0.5
"""Levels by which rungs differ at least."""
PROBES, PROBE_SIDE = 3, 256
"""Photographs, and the side of their middle, by which the values of a metric are laid beside human means."""


class Label(NamedTuple):
    """What is known of a distorted picture.

    score: 0-100, or None where the order alone is known. type: place of the distortion in the types drawn from.
    severity: 0, untouched, to 1. rank_group: pictures with the same number can be compared: greater severity is worse.
    level: 0 to 5.
    """

    score: float | None
    type: int
    severity: float
    rank_group: int
    level: float


class Scale(NamedTuple):
    """Values of a metric and the scores that belong to them, by rising values; beyond the ends it is level."""

    metric: str
    values: tuple[float, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Job:
    """One distorted picture to be made; may be pickled, and makes the same pixels in every process.

    photograph: the source. name: of the distortion. seed: of crop and distortion. score: by the opinion curve, else
    None. scale: where a metric gives the score.
    """

    photograph: Path
    name: str
    type: int
    level: float
    severity: float
    rank_group: int
    seed: int
    score: float | None = None
    scale: Scale | None = None

    def make(self, read: Read | None = None) -> tuple[Pixels, Label]:
        """The distorted pixels, (H, W, 3) uint8 of at most `SIZE`, and their label.

        read: how the photograph becomes (H, W, 3) uint8, default from its file. Raises the errors of `read_image`.
        """
        pixels, _, label = self.make_pair(read)
        return pixels, label

    def make_pair(self, read: Read | None = None) -> tuple[Pixels, Pixels, Label]:
        """As `make`, with the untouched pixels in the middle."""
        original = (read or _read)(self.photograph)
        reference = prepare(original, np.random.default_rng([self.seed, 1]))
        pixels = np.asarray(distort(reference, self.name, self.level, seed=self.seed), np.uint8)
        score = self.score if self.scale is None else _by_metric(self.scale, pixels, reference)
        return pixels, reference, Label(score, self.type, self.severity, self.rank_group, self.level)


def _read(path: Path) -> Pixels:
    return decode(path, viewing=False)


def prepare(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A crop of at most `SIZE`, upright or across as the photograph is, out of one that is not much larger."""
    if min(pixels.shape[:2]) > MOST:
        pixels = resize_shorter(pixels, MOST)
    height, width = pixels.shape[:2]
    size = SIZE if width >= height else SIZE[::-1]
    return np.ascontiguousarray(crop_random(pixels, (min(height, size[0]), min(width, size[1])), rng))


def find_photographs(folder: str | os.PathLike[str]) -> tuple[Path, ...]:
    """The pictures below a folder, in natural order; InputError where there are none."""
    from beholder.collecting import expand

    return tuple(Path(p) for p in expand([folder]))


class Synthesiser:
    """What is drawn from: photographs, distortions, and how they are labelled.

    photographs: a folder, or paths. types: names of distortions, default the 25 of KADID-10k. label: "opinion", the
    human mean of type and level, interpolated; "rank", the order alone; or the name of a full-reference metric: the
    score that belongs to the metric's value by the human means of the type, so that within a type pictures are ordered
    by the metric and lie where people put them on average (types that KADID-10k has not are laid beside the means of
    all 25). Raises InputError for an unknown label, a type without human means under "opinion", and no photographs.
    """

    def __init__(
        self,
        photographs: str | os.PathLike[str] | Sequence[Path],
        types: Sequence[str] = (),
        label: str = "opinion",
    ) -> None:
        found = find_photographs(photographs) if isinstance(photographs, (str, os.PathLike)) else tuple(photographs)
        if not found:
            raise InputError("no photographs to distort; name a folder of pristine pictures")
        self.photographs = found
        self.types: tuple[Distortion, ...] = tuple(find(n) for n in types) or tuple(list_distortions("kadid"))
        self.label = label
        if label == "opinion":
            for card in self.types:
                opinion_curve(card.name)
        elif label != "rank":
            _full_reference(label)

    @functools.cached_property
    def scales(self) -> tuple[tuple[Scale, ...], ...]:
        """For each type the scales of its branches: of a signed one, below and above its untouched level."""
        from beholder.metrics.measure import processors
        from beholder.strips import run

        probed = self._probed()
        found = run(lambda c: _measure(self.label, c, self.photographs), probed, processors())
        measured = {c.name: branches for c, branches in zip(probed, found, strict=True)}
        pooled = _scale(self.label, [p for branches in measured.values() for points in branches for p in points])
        return tuple(
            tuple(_scale(self.label, points) for points in measured[c.name]) if "kadid" in c.sets else (pooled, pooled)
            for c in self.types
        )

    def _probed(self) -> list[Distortion]:
        """The types whose human means the metric's values are laid beside."""
        own = all("kadid" in c.sets for c in self.types)
        return list(dict.fromkeys(self.types)) if own else list_distortions("kadid")

    def draw(self, count: int, epoch: int = 0, seed: int = 0) -> list[Job]:
        """The distorted pictures of an epoch: job i depends on seed, epoch and i alone, so that resuming is exact.

        Photographs and types take turns, each round in another order; levels are uniform from .5 (of signed ones 1) to
        5. Under "rank" every `RUNGS` jobs in a row are a ladder. Raises InputError for negative numbers.
        """
        if min(count, epoch, seed) < 0:
            raise InputError(f"count, epoch and seed must be 0 or more, got {count!r}, {epoch!r}, {seed!r}")
        ladders = self.label == "rank"
        return [self._job(i // RUNGS, i % RUNGS, epoch, seed) if ladders else self._job(i, 0, epoch, seed)
                for i in range(count)]  # fmt: skip

    def _job(self, index: int, rung: int, epoch: int, seed: int) -> Job:
        rng = np.random.default_rng([seed, epoch, index])
        photograph = _turn(index, len(self.photographs), [seed, epoch, 1])
        kind = _turn(index, len(self.types), [seed, epoch, 2])
        card = self.types[kind]
        best = neutral_level(card)
        ladder = self.label == "rank"
        low, high = 1.0 if card.signed or ladder else LEAST, float(MAX_LEVEL)
        if ladder and card.signed:  # a ladder stands on one side
            low, high = ((low, best), (best, high))[int(rng.integers(2))]
        levels = _climb(low, high, rng) if ladder else [float(rng.uniform(low, high))]
        level = round(levels[rung], 4)
        side = int(card.signed and level > best)
        branch = 2 * (photograph * len(self.types) + kind) + side
        score = opinion_curve(card.name)(level) if self.label == "opinion" else None
        return Job(
            photograph=self.photographs[photograph],
            name=card.name,
            type=kind,
            level=level,
            severity=severity_of(card, level),
            rank_group=index if ladder else branch,
            seed=int(rng.integers(1 << 31)),
            score=score,
            scale=None if self.label in ("opinion", "rank") else self.scales[kind][side],
        )


@functools.lru_cache(maxsize=4)
def _synthesiser(photographs: tuple[Path, ...], types: tuple[str, ...], label: str) -> Synthesiser:
    return Synthesiser(photographs, types, label)


def draw(
    photographs: str | os.PathLike[str] | Sequence[Path],
    count: int,
    epoch: int = 0,
    seed: int = 0,
    *,
    types: Sequence[str] = (),
    label: str = "opinion",
) -> list[Job]:
    """The distorted pictures of an epoch; everything as for `Synthesiser` and its `draw`."""
    found = find_photographs(photographs) if isinstance(photographs, (str, os.PathLike)) else tuple(photographs)
    return _synthesiser(found, tuple(types), label).draw(count, epoch, seed)


def _turn(index: int, count: int, seed: list[int]) -> int:
    """Whose turn it is, in rounds of `count` whose orders are drawn."""
    return int(_order(index // count, count, *seed)[index % count])


@functools.lru_cache(maxsize=256)
def _order(number: int, count: int, *seed: int) -> Any:
    return np.random.default_rng([*seed, number]).permutation(count)


def _climb(low: float, high: float, rng: np.random.Generator) -> list[float]:
    """Levels of a ladder, in drawn order, at least `APART` from each other (less where there is no room)."""
    apart = min(APART, (high - low) / (2 * RUNGS))
    room = high - low - apart * (RUNGS - 1)
    steps = np.sort(rng.uniform(0, room, RUNGS)) + low + apart * np.arange(RUNGS)
    return [float(v) for v in rng.permutation(steps)]


# ------------------------------------------------------------------------------------------------ labels by a metric


@functools.lru_cache(maxsize=8)
def _full_reference(name: str) -> Any:
    from beholder.metrics import Measure

    measure = Measure(name)
    if measure.card.needs != "reference":
        raise InputError(
            f"labels are 'opinion', 'rank' or a full-reference metric; {name} is a {measure.card.kind} one"
        )
    measure.check_weights()
    return measure


def _value(name: str, pixels: Pixels, reference: Pixels) -> float:
    pair = (np.ascontiguousarray(a.transpose(2, 0, 1))[None] for a in (pixels, reference))
    return float(_full_reference(name).scores(*pair, threads=1)[0].value)


def _by_metric(scale: Scale, pixels: Pixels, reference: Pixels) -> float:
    return float(np.interp(_value(scale.metric, pixels, reference), scale.values, scale.scores))


def _measure(name: str, card: Distortion, photographs: Sequence[Path]) -> list[list[tuple[float, float]]]:
    """(score, metric's mean over a few photographs) at the published levels, for both branches of a type."""
    chosen = sorted(photographs, key=lambda p: hashlib.sha256(p.name.encode("utf-8", "replace")).digest())[:PROBES]
    curve = opinion_curve(card.name)
    branches: list[list[tuple[float, float]]] = [[], []]
    for level in curve.levels:
        values = [_value(name, distort(p, card.name, level, seed=0), p) for p in map(_probe, chosen)]
        finite = [v for v in values if np.isfinite(v)]
        if finite:
            point = curve(level), float(np.mean(finite))
            for side in (0, 1):
                if not card.signed or (level <= curve.best, level >= curve.best)[side]:
                    branches[side].append(point)
    return branches


@functools.lru_cache(maxsize=PROBES)
def _probe(path: Path) -> Pixels:
    pixels = _read(path)
    if min(pixels.shape[:2]) > MOST:
        pixels = resize_shorter(pixels, MOST)
    size = min(PROBE_SIDE, pixels.shape[0]), min(PROBE_SIDE, pixels.shape[1])
    return np.ascontiguousarray(crop_centre(pixels, size))


def _scale(name: str, points: Sequence[tuple[float, float]]) -> Scale:
    """Scores over the metric's values, made to agree with its direction by isotonic regression."""
    worse_first = _full_reference(name).card.better == "higher"
    ordered = sorted(points, key=lambda p: p[1], reverse=worse_first)  # the best value of the metric first
    scores = fall([score for score, _ in ordered])
    pairs = sorted({value: score for (_, value), score in zip(ordered, scores, strict=True)}.items())
    return Scale(name, tuple(v for v, _ in pairs), tuple(s for _, s in pairs))
