"""Two-alternative choices: how often a metric prefers what people prefer, on pairs, or triplets with a reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.datasets.records import read_records
from beholder.errors import InputError
from beholder.evaluation.resampling import make_units

Array = NDArray[np.float64]
COLUMNS = ("first", "second", "share")


@dataclass(frozen=True)
class Choices:
    """Pairs of pictures by their places, and the share of people who called the first the better one, all (M,).

    references: of the triplets, or None; they are what a bootstrap draws.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    share: Array
    references: NDArray[Any] | None = None


@dataclass(frozen=True)
class Chosen:
    """What a metric's choices are worth, each with the ends of its bootstrap interval.

    accuracy: share of pairs in which it prefers what most people prefer; evenly split ones do not count. score: the
    mean share of people who agree with it (the 2AFC score of Zhang et al. 2018, doi:10.1109/CVPR.2018.00068). Where it
    prefers neither, half. ceiling: the score of one who always goes with the majority.
    """

    accuracy: float
    score: float
    ceiling: float
    accuracy_interval: tuple[float, float]
    score_interval: tuple[float, float]
    pairs: int


def read_choices(path: str | Path, names: Sequence[str]) -> Choices:
    """A table of choices: columns first, second (pictures as the scored table names them), share, and maybe reference.

    Raises InputError for a picture that is not there, a pair of one picture, or a share outside 0 to 1.
    """
    source = Path(path)
    records = read_records(source)
    if not records:
        raise InputError(f"{source.name} has no rows")
    missing = [c for c in COLUMNS if c not in records[0][1]]
    if missing:
        raise InputError(f"{source.name} has no column {missing[0]!r}; choices have the columns {', '.join(COLUMNS)}")
    known = {name: place for place, name in enumerate(names)}
    places: dict[str, list[int]] = {"first": [], "second": []}
    shares = []
    for line, cells in records:
        for column in ("first", "second"):
            if cells[column] not in known:
                raise InputError(f"{source.name}, line {line}: {cells[column]!r} is not in the table of human scores")
            places[column].append(known[cells[column]])
        shares.append(_share(source.name, line, cells["share"]))
        if cells["first"] == cells["second"]:
            raise InputError(f"{source.name}, line {line}: a choice is between two pictures, got one twice")
    contents = [cells.get("reference") for _, cells in records]
    references = np.array([str(c) for c in contents]) if all(contents) else None
    return Choices(np.array(places["first"]), np.array(places["second"]), np.array(shares), references)


def _share(table: str, line: int, value: Any) -> float:
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = math.nan
    if not 0 <= share <= 1:
        raise InputError(f"{table}, line {line}: share is that of people who chose the first, 0 to 1, got {value!r}")
    return share


def judge_choices(
    predicted: Array, choices: Choices, *, rounds: int = 1000, level: float = 0.95, seed: int = 0
) -> Chosen:
    """Accuracy and 2AFC score of a metric; predicted: (N,) of the table's pictures, higher is better."""
    if not len(choices.share):
        raise InputError("there are no choices to judge by")
    if rounds < 100 or not 0 < level < 1:
        raise InputError(f"intervals need 100 rounds and a level between 0 and 1, got {rounds} and {level}")
    places = np.concatenate([choices.first, choices.second])
    if places.min() < 0 or places.max() >= len(predicted) or np.isnan(predicted).any():
        raise InputError(f"choices are between pictures 0 to {len(predicted) - 1}, each with a prediction")
    with np.errstate(invalid="ignore"):  # two infinite ones are alike
        apart = np.nan_to_num(predicted[choices.first] - predicted[choices.second], nan=0.0)
    first = (np.sign(apart) + 1) / 2
    agreeing = first * choices.share + (1 - first) * (1 - choices.share)
    uneven = choices.share != 0.5
    right = np.where(choices.share > 0.5, first, 1 - first)
    units = make_units(choices.references, len(agreeing))
    drawn = list(units.draws(rounds, seed))
    tails = [(1 - level) / 2, (1 + level) / 2]

    def interval(values: Array, counted: Array) -> tuple[float, float]:
        found = [float(c @ (values * counted)) / total for c in drawn if (total := float(c @ counted)) > 0]
        low, high = np.quantile(found, tails) if found else (math.nan, math.nan)
        return float(low), float(high)

    return Chosen(
        accuracy=float(right[uneven].mean()) if uneven.any() else math.nan,
        score=float(agreeing.mean()),
        ceiling=float(np.maximum(choices.share, 1 - choices.share).mean()),
        accuracy_interval=interval(right, uneven.astype(np.float64)),
        score_interval=interval(agreeing, np.ones(len(agreeing))),
        pairs=len(agreeing),
    )
