"""A table of pictures and opinions is a data set: columns, scale and orientation as declared, never guessed."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from beholder.datasets.records import READERS, Record, read_records
from beholder.errors import InputError, MissingExtraError, OutputError, RangeError, ReadError

COLUMNS = ("image", "mos", "std", "reference", "group", "split", "type", "level")
SPLITS = ("train", "validation", "test")
_SPLIT_WORDS = {
    "": "", "train": "train", "training": "train", "val": "validation", "valid": "validation",
    "validation": "validation", "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
TOLD = 5
"""Faults of a table that one error lists."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture and what people thought of it.

    mos, std: mean and standard deviation of the opinions on 0-100, higher is better; std None where unknown.
    reference: the picture that it was made of, where it was. group: its content; pictures of one group stay in one
    split. split: "train", "validation", "test" or empty. type, level: of the distortion, where it is known. line: of
    the table, 0 where there is none; it is no part of what is compared.
    """

    image: Path
    mos: float
    std: float | None = None
    reference: Path | None = None
    group: str = ""
    split: str = ""
    type: str = ""
    level: float | None = None
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Dataset:
    """Pictures with opinions.

    scale: the worst and the best value of the source's own scale, in this order; samples hold 0-100 whatever it was.
    source: where it comes from: a citation or a file. root: the folder that pictures are named from.
    """

    name: str
    samples: tuple[Sample, ...]
    scale: tuple[float, float]
    source: str
    notes: str = ""
    root: Path = Path()

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def key(self, sample: Sample) -> str:
        """The picture's path as seen from the root, with forward slashes: its name in splits and digests."""
        return Path(os.path.relpath(sample.image, self.root)).as_posix()

    def of(self, split: str) -> Dataset:
        """The samples of one split; InputError for an unknown one."""
        if split not in SPLITS:
            raise InputError(f"a split is one of {', '.join(SPLITS)}, got {split!r}")
        return replace(self, samples=tuple(s for s in self.samples if s.split == split))

    @property
    def splits(self) -> dict[str, int]:
        """Pictures in each split that there is."""
        counts = Counter(s.split for s in self.samples)
        return {name: counts[name] for name in (*SPLITS, "") if counts[name]}

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that change with any picture's path, opinion or split, not with their order."""
        rows = sorted(f"{self.key(s)}\t{s.mos:.6f}\t{s.split}\n" for s in self.samples)
        return hashlib.sha256("".join(rows).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def to_points(value: float, scale: tuple[float, float]) -> float:
    """A value of a scale (worst, best) on 0-100, higher is better."""
    worst, best = scale
    return 100.0 * (value - worst) / (best - worst)


def check_scale(scale: Any) -> tuple[float, float]:
    """The scale as (worst, best) floats; InputError for anything else."""
    try:
        worst, best = (float(v) for v in scale)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"scale must be the worst and the best value that an opinion can take, as (1, 5), got {scale!r}"
        ) from error
    if not (math.isfinite(worst) and math.isfinite(best)) or worst == best:
        raise InputError(f"scale must be two different finite values, the worst first, got {scale!r}")
    return worst, best


def read_table(
    path: str | os.PathLike[str],
    *,
    scale: Sequence[float],
    root: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
    name: str = "",
) -> Dataset:
    """Read a data set from a table: CSV, TSV, JSON lines or Parquet.

    scale: the worst and the best value that an opinion can take: (1, 5) for a mean of five grades, (100, 0) for a
    difference score where 0 is perfect. root: the folder that paths in the table start from, default the table's own.
    columns: our names to the table's, where they differ: {"image": "file", "mos": "MOS"}. Needed are image and mos;
    std (in the unit of mos), reference, group, split, type and level are taken where they are. Whether the pictures
    exist is for `beholder.datasets.checking.check` to find.
    Raises InputError that names the lines at fault: a missing column, an empty cell, something that is not a number, a
    picture named twice, an unknown split; RangeError where values are outside the scale; ReadError for a damaged file.
    """
    source = Path(path)
    limits = check_scale(scale)
    records = read_records(source)
    if not records:
        raise InputError(f"the table {source.name} has no rows; expected the columns image and mos, and a row for each")
    names = _columns(source.name, records, columns or {})
    return build(
        name or source.stem, records, names, limits, Path(root) if root is not None else source.parent, str(source)
    )


def _columns(table: str, records: Sequence[Record], wanted: Mapping[str, str]) -> dict[str, str]:
    """The table's column for each of ours that it has."""
    unknown = sorted(set(wanted) - set(COLUMNS))
    if unknown:
        raise InputError(f"columns names {unknown[0]!r}; it maps some of {', '.join(COLUMNS)} to the table's own names")
    there = dict.fromkeys(key for _, row in records for key in row)
    found = {}
    for ours in COLUMNS:
        theirs = wanted.get(ours, ours)
        if theirs in there:
            found[ours] = theirs
        elif ours in wanted or ours in ("image", "mos"):
            hint = ", ".join(map(repr, there)) or "none"
            raise InputError(
                f"the table {table} has no column {theirs!r}; it has {hint}: rename one, or say in columns what stands "
                f"for {ours!r}"
            )
    return found


class _Faults:
    """What is wrong with a table, line by line; told together at the end."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.told: list[str] = []
        self.only_ranges = True

    def add(self, line: int, text: str, *, value_range: bool = False) -> None:
        self.told.append(f"line {line}: {text}" if line else text)
        self.only_ranges &= value_range

    def tell(self, kind: type[InputError] | None = None, advice: str = "") -> None:
        if not self.told:
            return
        rest = f"; and {len(self.told) - TOLD} more" if len(self.told) > TOLD else ""
        kind = kind or (RangeError if self.only_ranges else InputError)
        raise kind(f"{self.table}, " + "; ".join(self.told[:TOLD]) + rest + (f": {advice}" if advice else ""))


def build(
    name: str,
    records: Sequence[Record],
    columns: Mapping[str, str],
    scale: tuple[float, float],
    root: Path,
    source: str,
    notes: str = "",
    table: str = "",
) -> Dataset:
    """A data set out of rows of the file `table`; columns: the rows' name for each of ours. Raises as `read_table`."""
    faults = _Faults(table or Path(source).name)
    seen: dict[str, int] = {}
    samples = []
    for line, row in records:
        sample = _sample(line, {ours: row.get(theirs) for ours, theirs in columns.items()}, scale, root, faults)
        if sample is None:
            continue
        place = os.path.normpath(sample.image)
        if place in seen:
            faults.add(line, f"{_text(row.get(columns['image']))!r} is in line {seen[place]} already; keep one")
        seen.setdefault(place, line)
        samples.append(sample)
    faults.tell()
    return Dataset(name, tuple(samples), scale, source, notes, root)


def _sample(
    line: int, cells: Mapping[str, Any], scale: tuple[float, float], root: Path, faults: _Faults
) -> Sample | None:
    before = len(faults.told)
    for ours, value in cells.items():
        if isinstance(value, bytes):
            faults.add(line, f"{ours} is bytes, not text; write that column as strings")
            return None
    image, reference = _text(cells.get("image")), _text(cells.get("reference"))
    if not image:
        faults.add(line, "image is empty")
    mos = _number(line, "mos", cells.get("mos"), faults)
    if mos is None and len(faults.told) == before:
        faults.add(line, "mos is empty")
    low, high = sorted(scale)
    if mos is not None and not low <= mos <= high:
        faults.add(line, f"mos is {mos:g}, outside the scale of {low:g} to {high:g}; is it right?", value_range=True)
    std = _number(line, "std", cells.get("std"), faults)
    if std is not None and std < 0:
        faults.add(line, f"std is {std:g}, below 0", value_range=True)
    word = _text(cells.get("split")).lower()
    if word not in _SPLIT_WORDS:
        faults.add(line, f"split is {word!r}; expected {', '.join(SPLITS)} or nothing")
    level = _number(line, "level", cells.get("level"), faults)
    if len(faults.told) > before or mos is None:
        return None
    return Sample(
        image=root / image,
        mos=to_points(mos, scale),
        std=None if std is None else 100.0 * std / (high - low),
        reference=root / reference if reference else None,
        group=_text(cells.get("group")),
        split=_SPLIT_WORDS[word],
        type=_text(cells.get("type")),
        level=level,
        line=line,
    )


def look_for(dataset: Dataset, *, references: bool) -> None:
    """Raise ReadError that names the lines whose picture, or where `references` its reference, is no file."""
    table = Path(dataset.source)  # or, of known data sets, a citation
    faults = _Faults(table.name if table.suffix.lower() in READERS else dataset.name)
    for sample in dataset.samples:
        for path in (sample.image, sample.reference if references else None):
            if path is not None and not path.is_file():
                faults.add(sample.line, f"there is no file {str(path)!r}")
    faults.tell(ReadError, "correct the table, or the folder that its paths start from")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():  # a name such as 1600 that a spreadsheet took for a number
        return str(int(value))
    return str(value).strip()


def _number(line: int, column: str, value: Any, faults: _Faults) -> float | None:
    """None for an empty cell, and for a fault, which is noted."""
    if value is None or value == "":
        return None
    odd = isinstance(value, bool) or (isinstance(value, str) and ("_" in value or not value.isascii()))
    try:
        number = math.nan if odd else float(value)  # Python would read 0_4, and digits of any script
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        faults.add(line, f"{column} is {value!r}, not a number")
        return None
    return number


def write_table(dataset: Dataset, path: str | os.PathLike[str]) -> None:
    """Write a data set as CSV, JSON lines or Parquet, with opinions on 0-100, to be read with scale=(0, 100).

    Paths are written as seen from the table's folder. Raises InputError for another ending, OutputError where the file
    cannot be written.
    """
    target = Path(path)
    writers = {".csv": _to_csv, ".jsonl": _to_json_lines, ".parquet": _to_parquet}
    if target.suffix.lower() not in writers:
        raise InputError(f"a table is written as {', '.join(writers)}, got {target.name!r}")
    rows = [_row(s, target.parent) for s in dataset.samples]
    write_whole(target, writers[target.suffix.lower()](rows))


def _row(sample: Sample, folder: Path) -> dict[str, Any]:
    reference = None if sample.reference is None else os.path.relpath(sample.reference, folder)
    cells = (os.path.relpath(sample.image, folder), sample.mos, sample.std, reference, sample.group)
    return dict(zip(COLUMNS, (*cells, sample.split, sample.type, sample.level), strict=True))


def _to_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(["" if v is None else repr(v) if isinstance(v, float) else v for v in r.values()] for r in rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _to_json_lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(dict(r), ensure_ascii=False) + "\n" for r in rows).encode("utf-8", "surrogateescape")


def _to_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError('Parquet needs pyarrow: pip install "beholder[parquet]"') from error
    kinds = {c: pa.float64() if c in ("mos", "std", "level") else pa.string() for c in COLUMNS}
    table = pa.table({c: pa.array([r[c] for r in rows], kinds[c]) for c in COLUMNS})
    store = io.BytesIO()
    pq.write_table(table, store)
    return store.getvalue()


def write_whole(target: Path, data: bytes) -> None:
    """Write a file as a whole, under another name first; OutputError where that fails."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):  # there may be no folder to remove it from
            temporary.unlink()
        raise OutputError(f"cannot write {str(target)!r}: {error.strerror}; make room or choose another") from error
