"""A scored table: what people said, what metrics said or are to say, and what is known of every picture."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.datasets.records import Record, read_records
from beholder.errors import InputError
from beholder.evaluation.computing import Computed
from beholder.evaluation.stimuli import Stimuli, orient

Array = NDArray[np.float64]
USUAL = {
    "image": ("image",),
    "std": ("std",),
    "count": ("n", "count"),
    "low": ("ci_low",),
    "high": ("ci_high",),
    "reference": ("reference",),
    "type": ("type",),
    "level": ("level",),
    "split": ("split",),
    "group": ("group",),
}
"""Columns that are taken under these names where nothing else is said; the human score is always named."""
ALSO = {"n": "count", "ci_low": "low", "ci_high": "high"}
"""Other words for these."""
TOLD = 5


Interval = tuple[Array, Array, Array]


@dataclass
class Scored:
    """A table as read: stimuli, predictions by name, the names where lower is better, and predicted intervals.

    images, references: paths, where the table has them. digest: twelve hexadecimal digits of the file's SHA-256.
    intervals: value, low and high on the scale and in the direction of the stimuli's opinions. declared: whether the
    scale was given. warnings: what was left out, and why.
    """

    path: Path
    digest: str
    stimuli: Stimuli
    predictions: dict[str, Array] = field(default_factory=dict)
    lower_better: list[str] = field(default_factory=list)
    intervals: dict[str, Interval] = field(default_factory=dict)
    images: list[Path] = field(default_factory=list)
    references: list[Path] = field(default_factory=list)
    declared: bool = False
    warnings: list[str] = field(default_factory=list)

    def oriented(self) -> dict[str, Array]:
        """The predictions, higher is better."""
        return orient(self.stimuli, self.predictions, self.lower_better)

    def take(self, found: Computed) -> None:
        """Add metrics that were computed; their intervals, on 0-100, are brought to the opinions' scale."""
        twice = [name for name in found.values if name in self.predictions]
        if twice:
            raise InputError(f"{twice[0]!r} is a column of the table and a metric to compute; leave one out")
        self.predictions |= found.values
        self.lower_better += found.lower_better
        worst, best = self.stimuli.scale
        for name, ends in found.intervals.items():
            if self.declared:
                low, value, high = (worst + (best - worst) / 100 * v for v in (ends[0], found.values[name], ends[1]))
                self.intervals[name] = (value, low, high)
            else:
                self.warnings.append(f"the intervals of {name} are left out: give the scale of the opinions")


def parse_column(text: str) -> tuple[str, bool]:
    """(column, whether lower is better) of 'NAME' or 'NAME:lower' ('NAME:higher' says the usual)."""
    name, colon, which = text.rpartition(":")
    if colon and which in ("lower", "higher"):
        return name, which == "lower"
    return text, False


def read_scored(
    path: str | Path,
    score: str,
    *,
    lower_better: bool = False,
    scale: Sequence[float] | None = None,
    columns: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
    root: str | Path | None = None,
    split: str = "",
) -> Scored:
    """Read a table (CSV, TSV, JSON lines, Parquet) for `evaluate`.

    score: its column of human scores; lower_better: for difference scores, which are then turned round within their
    scale. scale: the worst and the best value that a score can take; where it is not given, the least and the greatest
    that there are stand for it. columns: predictions, 'NAME' or 'NAME:lower'; a column NAME with NAME_low and NAME_high
    beside it brings intervals. names: {"reference": "ref_name", …} where columns are called otherwise than in `USUAL`;
    "group": contents that are drawn as one, where these are not the references. root: the folder that pictures are
    named from. split: only these rows. Raises InputError that names what is missing, empty or no number, and its lines.
    """
    source = Path(path)
    records = read_records(source)
    if not records:
        raise InputError(f"the table {source.name} has no rows")
    there = list(records[0][1])
    found = _names(source.name, there, names or {})
    if split:
        if "split" not in found:
            raise InputError(f"{source.name} has no column split; its columns: {', '.join(there)}")
        records = [r for r in records if str(r[1][found["split"]]).strip() == split]
        if not records:
            raise InputError(f"{source.name} has no rows of the split {split!r}")
    _need(source.name, there, [score, *(parse_column(c)[0] for c in columns)])
    opinions = _numbers(source.name, records, score)
    worst, best = _limits(opinions, scale, lower_better=lower_better)
    turned = worst > best
    if turned:
        opinions, worst, best = worst + best - opinions, best, worst
    half = None
    if "low" in found and "high" in found:
        half = _half_width(source.name, records, found["low"], found["high"])

    def texts(what: str) -> NDArray[Any] | None:
        return _texts(source.name, records, found[what]) if what in found else None

    references, images = texts("reference"), texts("image")
    stimuli = Stimuli(
        opinions,
        (worst, best),
        names=[] if images is None else [str(i) for i in images],
        std=_numbers(source.name, records, found["std"]) if "std" in found else None,
        count=_numbers(source.name, records, found["count"]) if "count" in found else None,
        half_width=half,
        references=references if "group" not in found else texts("group"),
        types=texts("type"),
        levels=_levels(texts("level")),
    )
    base = source.parent if root is None else Path(root)
    made = Scored(
        source,
        hashlib.sha256(source.read_bytes()).hexdigest()[:12],
        stimuli,
        images=[] if images is None else [base / str(i) for i in images],
        references=[] if references is None else [base / str(r) for r in references],
        declared=scale is not None,
    )
    for text in columns:
        _predict(made, records, there, text, score, turned=turned)
    return made


def _predict(
    table: Scored, records: Sequence[Record], there: Sequence[str], text: str, score: str, *, turned: bool
) -> None:
    """Take a column of predictions, and its intervals where they stand beside it."""
    worst, best = table.stimuli.scale
    name, lower = parse_column(text)
    if name in table.predictions:
        raise InputError(f"the column {name!r} is named twice")
    table.predictions[name] = _numbers(table.path.name, records, name, endless=True)
    table.lower_better += [name] * lower
    ends = [f"{name}_low", f"{name}_high"]
    if all(e in there for e in ends):
        _half_width(table.path.name, records, *ends)
        low, high = (_numbers(table.path.name, records, e) for e in ends)
        if lower != turned:
            table.warnings.append(
                f"the intervals of {name} are left out: better is {'lower' if lower else 'higher'} there, but not "
                f"in {score}, so that they are not on one scale"
            )
        elif turned:
            value, low, high = (worst + best - v for v in (table.predictions[name], high, low))
            table.intervals[name] = (value, low, high)
        else:
            table.intervals[name] = (table.predictions[name], low, high)


def _names(table: str, there: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    asked = {ALSO.get(k, k): v for k, v in given.items() if v}
    unknown = [k for k in asked if k not in USUAL]
    if unknown:
        known = [n for n in USUAL if n not in ALSO.values()] + list(ALSO)
        raise InputError(f"no column is called {unknown[0]!r} here; there are: {', '.join(known)}")
    _need(table, there, list(asked.values()))
    found = {k: next((n for n in usual if n in there), "") for k, usual in USUAL.items()} | asked
    return {k: v for k, v in found.items() if v}


def _need(table: str, there: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in there]
    if missing:
        raise InputError(f"{table} has no column {missing[0]!r}; its columns: {', '.join(there)}")


def _texts(table: str, records: Sequence[Record], column: str) -> NDArray[Any]:
    faults = [line for line, cells in records if cells.get(column) is None or not str(cells[column]).strip()]
    if faults:
        raise InputError(
            f"{table}, column {column}: {len(faults)} rows are empty, the first in line {faults[0]}; fill them, leave "
            "these rows out, or rename the column if it is not meant"
        )
    return np.array([str(cells[column]) for _, cells in records])


def _half_width(table: str, records: Sequence[Record], low: str, high: str) -> Array:
    half = (_numbers(table, records, high) - _numbers(table, records, low)) / 2
    if (half < 0).any():
        line = records[int(np.flatnonzero(half < 0)[0])][0]
        raise InputError(f"{table}, line {line}: the interval ends before it begins; are {low} and {high} swapped?")
    return np.asarray(half)


def _numbers(table: str, records: Sequence[Record], column: str, *, endless: bool = False) -> Array:
    """endless: infinite numbers are told to count, too."""
    values, faults = [], []
    for line, cells in records:
        given = cells.get(column)
        try:
            value = math.nan if isinstance(given, bool) or given is None else float(given)
        except (TypeError, ValueError):
            value = math.nan
        values.append(value)
        if math.isnan(value) or (math.isinf(value) and not endless):
            faults.append(f"line {line}: {given!r}")
    if faults:
        more = f" and {len(faults) - TOLD} more" * (len(faults) > TOLD)
        raise InputError(
            f"{table}, column {column}: expected numbers, got {'; '.join(faults[:TOLD])}{more}; leave these rows out"
        )
    return np.array(values)


def _limits(opinions: Array, scale: Sequence[float] | None, *, lower_better: bool) -> tuple[float, float]:
    if scale is None:
        low, high = float(opinions.min()), float(opinions.max())
        return (high, low) if lower_better else (low, high)
    if len(scale) != 2:
        raise InputError(f"scale is two numbers, the worst and the best value that a score can take, got {scale!r}")
    worst, best = float(scale[0]), float(scale[1])
    if worst == best or not (math.isfinite(worst) and math.isfinite(best)):
        raise InputError(f"scale is the worst and the best value that a score can take, as 1,5, got {scale!r}")
    if lower_better and worst < best:
        raise InputError(
            f"scale {worst:g},{best:g} says that higher is better, --lower-better that lower is; name the worst first"
        )
    outside = np.flatnonzero((opinions < min(worst, best) - 1e-9) | (opinions > max(worst, best) + 1e-9))
    if len(outside):
        raise InputError(
            f"{len(outside)} scores lie outside the scale {worst:g} to {best:g}, the first is "
            f"{opinions[outside[0]]:g}; check the scale"
        )
    return worst, best


def _levels(values: NDArray[Any] | None) -> NDArray[Any] | None:
    if values is None:
        return None
    try:
        numbers = values.astype(np.float64)
    except ValueError:
        return values
    return numbers if np.isfinite(numbers).all() else values


def keep(table: Scored, places: NDArray[np.intp]) -> Scored:
    """The rows at these places only."""
    s = table.stimuli

    def cut(values: Any) -> Any:
        return None if values is None else values[places]

    stimuli = replace(
        s,
        opinions=s.opinions[places],
        names=[s.names[i] for i in places] if len(s.names) else [],
        std=cut(s.std),
        count=cut(s.count),
        half_width=cut(s.half_width),
        references=cut(s.references),
        types=cut(s.types),
        levels=cut(s.levels),
    )
    return replace(
        table,
        stimuli=stimuli,
        predictions={n: v[places] for n, v in table.predictions.items()},
        intervals={n: (v[places], a[places], b[places]) for n, (v, a, b) in table.intervals.items()},
        images=[table.images[i] for i in places] if table.images else [],
        references=[table.references[i] for i in places] if table.references else [],
    )
