"""Rows of a table file with the lines they stand on: CSV, JSON lines, Parquet and, for known data sets, XLSX."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from beholder.errors import InputError, MissingExtraError, ReadError

Record = tuple[int, Mapping[str, Any]]
"""The line (or row) number that a person would look for, and the cells by column."""


def read_records(path: Path) -> list[Record]:
    """The rows of a table, each with its line number; empty lines are passed over.

    Raises ReadError for a file that is missing, damaged or not UTF-8, InputError for an unknown ending and
    MissingExtraError for Parquet without pyarrow.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"a table is a file ending in {', '.join(READERS)}, got {path.name!r}")
    try:
        return list(reader(path))
    except (InputError, MissingExtraError):
        raise
    except OSError as error:
        raise ReadError(f"the table {str(path)!r} cannot be read: {error.strerror or error}; check the path") from error
    except UnicodeDecodeError as error:
        raise ReadError(f"the table {str(path)!r} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except (csv.Error, ValueError) as error:
        raise ReadError(f"the table {str(path)!r} is damaged: {error}") from error


def _read_csv(path: Path) -> Iterator[Record]:
    """Columns without a name, such as empty trailing ones, are left out."""
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
        header = [c.strip() for c in next(lines, [])]
        doubled = sorted({c for c in header if c and header.count(c) > 1})
        if doubled:
            raise InputError(f"{path.name}, line 1: the column {doubled[0]!r} is there twice; rename one")
        for cells in lines:
            if not any(c.strip() for c in cells):
                continue
            if len(cells) > len(header) and any(c.strip() for c in cells[len(header) :]):
                raise InputError(
                    f"{path.name}, line {lines.line_num}: {len(cells)} cells under {len(header)} columns; "
                    "put a value that holds a comma into quotes"
                )
            yield lines.line_num, {c: v.strip() for c, v in zip(header, cells, strict=False) if c}


def _read_json_lines(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line, object_pairs_hook=partial(_once, f"{path.name}, line {number}"))
            except json.JSONDecodeError as error:
                raise ReadError(f"{path.name}, line {number}: not JSON: {error.msg}") from error
            if not isinstance(row, dict):
                raise InputError(f"{path.name}, line {number}: expected an object such as {{...}}, got {line[:40]!r}")
            yield number, row


def _once(place: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, which would take the last of several values of one key."""
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        doubled = next(key for key in keys if keys.count(key) > 1)
        raise InputError(f"{place}: the key {doubled!r} is there twice; leave one out")
    return row


def _read_parquet(path: Path) -> Iterator[Record]:
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError('Parquet needs pyarrow: pip install "beholder[parquet]"') from error
    yield from enumerate(pq.read_table(path).to_pylist(), 1)


READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
}


# ------------------------------------------------------------------------------------------------ spreadsheets

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINKS = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_PACKAGE = "{http://schemas.openxmlformats.org/package/2006/relationships}"


def read_sheet(path: Path, sheet: str | None = None, *, heading: str) -> list[Record]:
    """The rows of an XLSX sheet below the one that holds the cell `heading`; numbers as floats, the rest as text.

    sheet: its name; None: the first. Raises ReadError for a file that is no such spreadsheet.
    """
    import zipfile
    from xml.etree import ElementTree

    try:
        with zipfile.ZipFile(path) as archive:
            texts = _shared_texts(archive)
            tree = ElementTree.fromstring(archive.read(_sheet_part(archive, sheet)))  # noqa: S314  # the user's own file
    except (OSError, zipfile.BadZipFile, KeyError, ElementTree.ParseError) as error:
        raise ReadError(f"the spreadsheet {str(path)!r} cannot be read: {error}; get it anew") from error
    header: dict[str, str] = {}
    records: list[Record] = []
    for row in tree.iter(f"{_MAIN}row"):
        cells = {re.sub(r"\d", "", c.get("r", "")): _cell(c, texts) for c in row.iter(f"{_MAIN}c")}
        if header:
            found = {name: cells[column] for column, name in header.items() if cells.get(column) not in (None, "")}
            if found:
                records.append((int(row.get("r", "0")), found))
        elif heading in cells.values():
            header = {column: str(value) for column, value in cells.items() if value}
    if not header:
        raise ReadError(f"the spreadsheet {str(path)!r} has no column {heading!r}; is it the data set's own?")
    return records


def _shared_texts(archive: Any) -> list[str]:
    from xml.etree import ElementTree

    if "xl/sharedStrings.xml" not in archive.namelist():
        return []
    tree = ElementTree.fromstring(archive.read("xl/sharedStrings.xml"))  # noqa: S314  # the user's own file
    return ["".join(t.text or "" for t in item.iter(f"{_MAIN}t")) for item in tree.iter(f"{_MAIN}si")]


def _sheet_part(archive: Any, sheet: str | None) -> str:
    from xml.etree import ElementTree

    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314  # the user's own file
    links = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
    targets = {link.get("Id"): link.get("Target", "") for link in links.iter(f"{_PACKAGE}Relationship")}
    for entry in book.iter(f"{_MAIN}sheet"):
        if sheet is None or entry.get("name") == sheet:
            target = targets[entry.get(f"{_LINKS}id")]
            return target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    raise KeyError(f"no sheet is called {sheet!r}")


def _cell(cell: Any, texts: list[str]) -> str | float | None:
    kind = cell.get("t", "n")
    if kind == "inlineStr":
        return "".join(t.text or "" for t in cell.iter(f"{_MAIN}t"))
    value = cell.find(f"{_MAIN}v")
    if value is None or value.text is None:
        return None
    if kind == "s":
        return texts[int(value.text)]
    return float(value.text) if kind == "n" else str(value.text)
