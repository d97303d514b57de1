"""Metrics of a table's pictures: values that stay on disk, so that an interrupted run goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import InputError
from beholder.progress import watch
from beholder.version import __version__

Array = NDArray[np.float64]


@dataclass
class Computed:
    """Values by metric, the metrics where lower is better, intervals where they are given, hashes of weights."""

    values: dict[str, Array] = field(default_factory=dict)
    lower_better: list[str] = field(default_factory=list)
    intervals: dict[str, tuple[Array, Array]] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)


def compute(
    images: Sequence[Path],
    references: Sequence[Path],
    metrics: str | Sequence[str],
    *,
    digest: str,
    kept: Path | None = None,
    workers: int | None = None,
    quiet: bool = False,
) -> Computed:
    """Score all pictures with all metrics.

    references: one for each picture, or none. digest: of the data, so that values of other data are not gone on with.
    kept: a .csv for the values, from which an interrupted run goes on. Raises InputError for the first picture that
    cannot be scored and where a metric needs references that there are not.
    """
    from beholder.scoring import choose

    measures = choose(metrics, paired=bool(references))
    needs = [name for name, m in measures.items() if m.card.needs == "reference"]
    if needs and not references:
        raise InputError(f"{needs[0]} compares with a reference, but the table has no column reference")
    pictures = [str(p) for p in images]
    partners = [str(p) for p in references] if needs else None
    found = Computed(weights={m.name: m.weights for m in measures.values() if m.weights})
    rows: list[Mapping[str, Any]] = []
    for row in _rows(pictures, partners, metrics, measures, digest, kept, workers, found.weights, quiet=quiet):
        if row["error"]:
            raise InputError(f"{row['image']}: {row['error']}; leave that picture out of the table")
        rows.append(row)
    for name, measure in measures.items():
        found.values[name] = np.array([float(row[name]) for row in rows])
        if measure.card.better == "lower":
            found.lower_better.append(name)
        if rows and all(row.get(f"{name}_low") is not None for row in rows):
            low, high = (np.array([float(row[f"{name}_{end}"]) for row in rows]) for end in ("low", "high"))
            found.intervals[name] = (low, high)
    return found


def _rows(
    pictures: Sequence[str],
    partners: Sequence[str] | None,
    metrics: str | Sequence[str],
    measures: Mapping[str, Any],
    digest: str,
    kept: Path | None,
    workers: int | None,
    weights: Mapping[str, str],
    *,
    quiet: bool,
) -> Iterator[Mapping[str, Any]]:
    """The rows of all pictures: those in `kept` first, the others computed and kept there."""
    from beholder.reporting import RowFile
    from beholder.scoring import columns_of, score_many

    def scored(done: int) -> Iterator[Mapping[str, Any]]:
        left = None if partners is None else partners[done:]
        rows = score_many(pictures[done:], left, metrics, workers=workers)
        yield from watch((r.flat() for r in rows), len(pictures), "scoring", done=done, shown=not quiet)

    if kept is None:
        yield from scored(0)
        return
    named = hashlib.sha256("\n".join([*pictures, "", *(partners or ())]).encode("utf-8", "replace")).hexdigest()[:12]
    settings = {"data": digest, "pictures": named, "metrics": [m.name for m in measures.values()]}
    meta = {"version": __version__, "settings": settings, "weights": dict(weights), "metrics": []}
    with RowFile(kept, columns_of(measures), meta) as file:
        yield from file.rows()
        for row in scored(file.done):
            if not row["error"]:  # a picture that cannot be read is tried again the next time
                file.append(row)
            yield row
        file.finish()
