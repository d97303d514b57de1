"""The data of a training: which set, on which scale, in which splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from beholder.datasets.known import open_dataset
from beholder.datasets.splits import hold_out, read_split, split
from beholder.datasets.tables import Dataset, look_for, read_table
from beholder.datasets.tiles import decode
from beholder.errors import InputError
from beholder.models.assessors.architectures import find_architecture
from beholder.progress import tell
from beholder.training.config import Config
from beholder.training.folders import SPLIT, is_of

LOOKS = 8
"""Pictures that are looked at for their size."""


def open_data(config: Config, folder: Path | None = None) -> Dataset:
    """The data set of a configuration, every picture with its split; InputError where it is not said which.

    folder: of a run, whose split is taken where its configuration has the same section [data].
    """
    part = config.data
    if bool(part.name) == bool(part.table):
        raise InputError("the configuration needs either data.name (a known data set) or data.table (one's own)")
    if part.name:
        if not part.root:
            raise InputError(f"data.name = {part.name!r} needs data.root, the folder of that data set")
        data = open_dataset(part.name, part.root)
    else:
        if len(part.scale) != 2:
            raise InputError(
                "data.table needs data.scale = [worst, best]: the values of the worst and of the best opinion, "
                "such as [1, 5] for MOS or [100, 0] for DMOS; it is never guessed"
            )
        data = read_table(part.table, scale=(part.scale[0], part.scale[1]), root=part.root or None)
    if part.split:
        return read_split(part.split, data)
    if folder is not None and is_of(folder, config):
        return read_split(folder / SPLIT, data)
    return _divided(data, part.shares, part.seed)


def check_pictures(data: Dataset, config: Config, splits: Sequence[str] = ("train", "validation")) -> None:
    """Raise InputError for a split without a picture, ReadError with their lines for files that are not there."""
    for name in splits:
        if not len(data.of(name)):
            raise InputError(f"the data set has no picture in the split {name!r}; set data.shares or data.split")
    used = replace(data, samples=tuple(s for s in data.samples if s.split in splits))
    look_for(used, references=find_architecture(config.model.architecture).reference)


def tell_of_crop(data: Dataset, config: Config) -> None:
    """Say so where crops are much larger than the pictures; ReadError for one that cannot be read."""
    part = config.input
    some = data.samples[:: max(1, len(data) // LOOKS)][:LOOKS]
    sides = [part.resize or min(decode(s.image, viewing=part.viewing).shape[:2]) for s in some if part.crop]
    if sides and part.crop > 2 * median(sides):
        tell(
            f"input.crop = {part.crop} is more than twice the pictures' shorter side ({median(sides):.0f}): mirror "
            "images fill the rest, which takes time and teaches nothing; lower it"
        )


def _divided(data: Dataset, shares: tuple[float, float, float], seed: int) -> Dataset:
    """The data with splits: those of its table where it has them, an official test split left alone."""
    train, held = shares[:2]
    marked = data.splits
    if marked.keys() <= {""}:
        return split(data, shares, seed)
    if marked.keys() == {"test", ""}:  # an official test split, and the rest to divide
        rest = replace(data, samples=tuple(s for s in data.samples if not s.split))
        chosen = {s.image: s for s in split(rest, (train / (train + held), held / (train + held), 0), seed).samples}
        return replace(data, samples=tuple(chosen.get(s.image, s) for s in data.samples))
    if "" in marked:
        raise InputError(
            f"{marked['']} pictures of {data.name} are in no split and others are: {marked}; give every row a "
            "split, or leave the column out"
        )
    if "train" not in marked:
        raise InputError(
            f"no picture of {data.name} is in the split 'train', and every one is in another: {marked}; mark those to "
            "learn from, or leave the column out"
        )
    return data if "validation" in marked else hold_out(data, held / (train + held), seed)
