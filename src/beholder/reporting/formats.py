"""Rows to CSV, JSON and Parquet, and back."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any, BinaryIO

from beholder.errors import InputError, MissingExtraError, OutputError
from beholder.reporting.rows import (
    Kind,
    Row,
    RowSource,
    clean_row,
    column_kind,
    escape_text,
    json_bytes,
    unescape_text,
)

PARQUET_BATCH = 4096


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return escape_text(";".join(value))
    text = str(value)
    return escape_text(text) if isinstance(value, str) else text


def write_csv(file: BinaryIO, rows: RowSource, columns: Sequence[str], meta: Mapping[str, Any]) -> None:
    """CSV after RFC 4180 with a header, in UTF-8; numbers in their shortest exact form, missing values empty.

    `meta` has no place in CSV. File names stay exact, also those that begin with = + - or @: a spreadsheet may take
    such a cell for a formula, so import the column as text there.
    """
    del meta
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([escape_text(c) for c in columns])
    writer.writerows([_cell(row[c]) for c in columns] for row in rows())
    text.flush()
    text.detach()


def write_csv_stream(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, file: IO[str] | None = None) -> None:
    """Write rows to standard output (or `file`) as they come: one flushed CSV line each, for a pipe.

    As the CSV files, but with plain newlines, so that cut, awk and `while read` find no carriage return.
    Raises OutputError when the output cannot be written; BrokenPipeError when the reader has gone.
    """
    target = sys.stdout if file is None else file
    binary: BinaryIO | None = getattr(target, "buffer", None)

    def emit(cells: list[str]) -> None:
        line = io.StringIO(newline="")
        csv.writer(line, lineterminator="\n").writerow(cells)
        try:
            if binary is None:
                target.write(line.getvalue())
                target.flush()
            else:  # UTF-8 whatever the locale says: a pipe has no screen
                binary.write(line.getvalue().encode())
                binary.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"the rows cannot be written to the output: {error.strerror or error}") from error

    target.flush()
    emit([escape_text(c) for c in columns])
    for row in rows:
        clean = clean_row(row, columns)
        emit([_cell(clean[c]) for c in columns])


def write_json(file: BinaryIO, rows: RowSource, columns: Sequence[str], meta: Mapping[str, Any]) -> None:
    """JSON: {"meta": ..., "rows": [...]}, one row a line; infinity is 1e999, so that the file is always valid."""
    del columns
    file.write(b'{"meta": ' + json_bytes(dict(meta)) + b',\n"rows": [')
    for number, row in enumerate(rows()):
        file.write((b",\n" if number else b"\n") + json_bytes(row))
    file.write(b"\n]}\n")


def need_pyarrow() -> None:
    """Raise MissingExtraError unless Parquet can be read and written."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise MissingExtraError('Parquet needs pyarrow: pip install "beholder[parquet]"') from error


def write_parquet(file: BinaryIO, rows: RowSource, columns: Sequence[str], meta: Mapping[str, Any]) -> None:
    """Parquet with types that follow from the columns alone; meta as JSON in the schema under the key `beholder`."""
    need_pyarrow()
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        "text": pa.string(),
        "word": pa.string(),
        "count": pa.int64(),
        "list": pa.list_(pa.string()),
        "number": pa.float64(),
    }
    schema = pa.schema([(c, types[column_kind(c)]) for c in columns], metadata={b"beholder": json_bytes(dict(meta))})
    stream = rows()
    with pq.ParquetWriter(file, schema) as writer:
        while batch := list(islice(stream, PARQUET_BATCH)):
            arrays = [pa.array([_arrow(row[c]) for row in batch], type=schema.field(c).type) for c in columns]
            batch.clear()  # before the next one is read: one batch in memory, not two
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def _arrow(value: Any) -> Any:
    if isinstance(value, str):
        return escape_text(value)
    return [escape_text(v) for v in value] if isinstance(value, list) else value


_PARSE: dict[Kind, Callable[[str], Any]] = {
    "text": unescape_text,
    "word": lambda cell: unescape_text(cell) or None,
    "count": lambda cell: int(cell) if cell else None,
    "list": lambda cell: unescape_text(cell).split(";") if cell else [],
    "number": lambda cell: float(cell) if cell else None,
}


def _read_csv(path: Path) -> tuple[dict[str, Any], list[Row]]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines: Iterator[list[str]] = csv.reader(file, strict=True)
        columns = [unescape_text(c) for c in next(lines, [])]
        parsers = [_PARSE[column_kind(c)] for c in columns]
        return {}, [
            {c: parse(cell) for c, parse, cell in zip(columns, parsers, line, strict=True)} for line in lines if line
        ]


def _read_json(path: Path) -> tuple[dict[str, Any], list[Row]]:
    document = json.loads(path.read_text(encoding="utf-8"))
    return dict(document["meta"]), [dict(row) for row in document["rows"]]


def _read_parquet(path: Path) -> tuple[dict[str, Any], list[Row]]:
    need_pyarrow()
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    meta = json.loads((table.schema.metadata or {}).get(b"beholder", b"{}"))
    return meta, [{k: _from_arrow(v) for k, v in row.items()} for row in table.to_pylist()]


def _from_arrow(value: Any) -> Any:
    if isinstance(value, str):
        return unescape_text(value)
    return [unescape_text(v) for v in value] if isinstance(value, list) else value


READERS: dict[str, Callable[[Path], tuple[dict[str, Any], list[Row]]]] = {
    ".csv": _read_csv,
    ".json": _read_json,
    ".parquet": _read_parquet,
}


def read_rows(path: str | Path) -> tuple[dict[str, Any], list[Row]]:
    """Read back what was written as CSV, JSON or Parquet: (meta, rows), with numbers, None and lists restored.

    CSV holds no meta: an empty dict. Raises InputError for another ending, a missing file or foreign content, and
    MissingExtraError for Parquet without pyarrow.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"rows can be read from {', '.join(READERS)} files, got {path.name!r}")
    try:
        return reader(path)
    except OSError as error:
        raise InputError(f"cannot read the rows of {str(path)!r}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(f"{str(path)!r} does not hold rows as Beholder writes them: {error}") from error
