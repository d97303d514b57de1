"""Splits by content: pictures of one group, one reference or one scene stay together, whatever their order."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from beholder.datasets.hashing import DISTANCE, hash_pictures, near_pairs
from beholder.datasets.tables import SPLITS, Dataset, Sample, write_whole
from beholder.errors import BeholderError, InputError, ReadError

FORMAT = "beholder-split/1"


def group_contents(dataset: Dataset, *, distance: int | None = DISTANCE, threads: int | None = None) -> list[str]:
    """The content of every sample, by a name: its group, else its reference, else its near-duplicates, else itself.

    distance: bits in which the perceptual hashes of near-duplicates may differ; None: the pictures are not looked at,
    and each without group and reference is a content of its own. threads: that hash. Pictures that share a group, a
    reference or a file are one content, also where only a chain of others joins them. Raises ReadError for pictures
    that have to be looked at and cannot be read.
    """
    joined = _Union(len(dataset))
    first: dict[tuple[str, str], int] = {}
    alone: list[int] = []
    for place, sample in enumerate(dataset.samples):
        marks = [("group", sample.group)] if sample.group else []
        if sample.reference is not None:
            marks.append(("picture", os.path.normpath(sample.reference)))
        if not marks:
            alone.append(place)
        for mark in (*marks, ("picture", os.path.normpath(sample.image))):
            joined.join(first.setdefault(mark, place), place)
    if distance is not None and alone:
        hashes = _hashes(dataset, alone, threads)
        for one, other, _ in near_pairs(hashes, distance):
            joined.join(alone[one], alone[other])
    keys = [dataset.key(s) for s in dataset.samples]
    names: dict[int, str] = {}
    for place, key in enumerate(keys):  # a content is called by its first picture in the alphabet
        root = joined.root(place)
        names[root] = min(names.get(root, key), key)
    return [names[joined.root(place)] for place in range(len(keys))]


def _hashes(dataset: Dataset, places: Sequence[int], threads: int | None) -> list[int]:
    found = hash_pictures([dataset[p].image for p in places], threads=threads)
    failed = [(p, f) for p, f in zip(places, found, strict=True) if isinstance(f, BeholderError)]
    if failed:
        place, error = failed[0]
        raise ReadError(
            f"{len(failed)} of {len(places)} pictures cannot be read, so that their contents are unknown; the first, "
            f"{dataset.key(dataset[place])!r}: {error}; see `beholder data check`, or give the table a column group"
        )
    return [f for f in found if isinstance(f, int)]


class _Union:
    """Sets of places that are joined bit by bit."""

    def __init__(self, count: int) -> None:
        self.above = list(range(count))

    def root(self, place: int) -> int:
        while self.above[place] != place:
            self.above[place] = self.above[self.above[place]]
            place = self.above[place]
        return place

    def join(self, one: int, other: int) -> None:
        first, second = sorted((self.root(one), self.root(other)))
        self.above[second] = first


def split(
    dataset: Dataset,
    shares: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    *,
    distance: int | None = DISTANCE,
    threads: int | None = None,
) -> Dataset:
    """The data set with every sample in a split, drawn by content; splits that it had are forgotten.

    shares: of train, validation and test, of sum 1; they are kept as far as whole contents allow, and each share above
    0 gets at least one content where there are enough. seed: the same gives the same split in any order of rows.
    distance, threads: as for `group_contents`. Raises InputError for wrong shares, ReadError as `group_contents`.
    """
    wanted = check_shares(shares)
    contents = group_contents(dataset, distance=distance, threads=threads)
    chosen = _deal(contents, dict(zip(SPLITS, wanted, strict=True)), seed)
    return replace(
        dataset, samples=tuple(replace(s, split=chosen[c]) for s, c in zip(dataset.samples, contents, strict=True))
    )


def hold_out(
    dataset: Dataset,
    share: float = 0.1,
    seed: int = 0,
    *,
    distance: int | None = DISTANCE,
    threads: int | None = None,
) -> Dataset:
    """The data set with a share of its train split as validation, by content; for official splits that have none.

    Samples of other splits stay as they are. Raises InputError where there is a validation split or no train split.
    """
    train = dataset.of("train")
    if not train.samples or dataset.of("validation").samples:
        raise InputError(
            f"{dataset.name} has the splits {dataset.splits}; hold_out takes validation out of train alone"
        )
    if not 0 < share < 1:
        raise InputError(f"the share to hold out must be between 0 and 1, got {share!r}")
    drawn = split(train, (1 - share, share, 0), seed, distance=distance, threads=threads)
    kept = {s.image: s for s in drawn.samples}
    return replace(dataset, samples=tuple(kept[s.image] if s.split == "train" else s for s in dataset.samples))


def check_shares(shares: Sequence[float]) -> tuple[float, ...]:
    """The three shares; InputError unless they are 0 or more and add up to 1."""
    wanted = tuple(float(s) for s in shares)
    if len(wanted) != 3 or min(wanted) < 0 or not math.isclose(sum(wanted), 1, abs_tol=1e-6):
        raise InputError(f"shares are those of train, validation and test, of sum 1, as .8, .1, .1; got {shares!r}")
    return wanted


def _deal(contents: Sequence[str], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """A split for each content: in an order that the seed draws, each to the split that lacks most."""
    sizes: dict[str, int] = {}
    for content in contents:
        sizes[content] = sizes.get(content, 0) + 1
    order = sorted(sizes, key=lambda c: hashlib.sha256(f"{seed}\t{c}".encode("utf-8", "surrogateescape")).digest())
    lacking = {name: share * len(contents) for name, share in shares.items() if share > 0}
    chosen: dict[str, str] = {}
    for content in order:
        name = max(lacking, key=lacking.__getitem__)
        chosen[content] = name
        lacking[name] -= sizes[content]
    _fill(chosen, list(lacking), order)
    return chosen


def _fill(chosen: dict[str, str], names: Iterable[str], order: Sequence[str]) -> None:
    """Give a split that got nothing the last content of the one that has most contents."""
    for name in names:
        held = {n: [c for c in order if chosen[c] == n] for n in names}
        most = max(held.values(), key=len)
        if not held[name] and len(most) > 1:
            chosen[most[-1]] = name


# ------------------------------------------------------------------------------------------------ files


def write_split(
    dataset: Dataset, path: str | os.PathLike[str], *, seed: int | None = None, shares: Sequence[float] = ()
) -> None:
    """Write which picture is in which split, as JSON, with the data set's digest; seed and shares for the record.

    Raises InputError where a sample has no split, OutputError where the file cannot be written.
    """
    for sample in dataset.samples:
        if not sample.split:
            raise InputError(f"{dataset.key(sample)!r} is in no split; draw one with split() first")
    document = {
        "format": FORMAT,
        "name": dataset.name,
        "seed": seed,
        "shares": list(shares),
        "digest": dataset.digest,
        "pictures": dataset.splits,
        "images": {dataset.key(s): s.split for s in sorted(dataset.samples, key=dataset.key)},
    }
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    write_whole(Path(path), text.encode("utf-8", "surrogateescape"))


def read_split(path: str | os.PathLike[str], dataset: Dataset) -> Dataset:
    """The data set with the splits that a file of `write_split` holds.

    Raises ReadError for a file that is none, InputError where it is of another data set: where a picture is missing on
    either side, or an opinion has changed since.
    """
    document = _read(Path(path))
    images: dict[str, Any] = document["images"]
    keys = {dataset.key(s) for s in dataset.samples}
    missing, spare = sorted(keys - images.keys()), sorted(images.keys() - keys)
    if missing or spare:
        text = f"does not know {missing[0]!r}" if missing else f"names {spare[0]!r}, which the data set has not"
        raise InputError(f"the split {str(path)!r} {text}; it is of {document['name']}: draw a new one")
    found = replace(dataset, samples=tuple(_put(s, str(images[dataset.key(s)])) for s in dataset.samples))
    if found.digest != document["digest"]:
        raise InputError(
            f"the split {str(path)!r} was drawn for opinions of digest {document['digest']}, now it is {found.digest}; "
            "restore the table, or draw a new split"
        )
    return found


def _put(sample: Sample, name: str) -> Sample:
    if name not in SPLITS:
        raise InputError(f"a split is one of {', '.join(SPLITS)}, got {name!r}")
    return replace(sample, split=name)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError as error:
        raise ReadError(f"the split {str(path)!r} cannot be read: {error.strerror}; check the path") from error
    except ValueError as error:
        raise ReadError(f"the split {str(path)!r} is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ReadError(f"{str(path)!r} is no split of Beholder's; expected JSON with format {FORMAT!r}")
    for key, kind in (("name", str), ("digest", str), ("images", dict)):
        if not isinstance(document.get(key), kind):
            what = "is of another type than Beholder writes" if key in document else "is missing"
            raise ReadError(f"the split {str(path)!r} is damaged: its {key!r} {what}; draw a new one")
    return document
