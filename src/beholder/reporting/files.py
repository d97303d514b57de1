"""An output file in the making: rows go to a journal beside it, and the whole journal becomes the file at the end."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from beholder.errors import OutputError
from beholder.locks import lock_file
from beholder.reporting.formats import need_pyarrow, write_csv, write_json, write_parquet
from beholder.reporting.page import write_page
from beholder.reporting.rows import Row, RowSource, clean_row, json_bytes

Writer = Callable[[BinaryIO, RowSource, Sequence[str], Mapping[str, Any]], None]

WRITERS: dict[str, Writer] = {
    ".csv": write_csv,
    ".json": write_json,
    ".parquet": write_parquet,
    ".html": write_page,
}
JOURNAL_SUFFIX = ".partial.jsonl"
IDENTITY = ("version", "settings", "weights")
"""The parts of meta that must be equal for a run to be resumed: with other values, rows would not compare."""


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


class RowFile:
    """An output file in the making: a crash, a kill or a full disk loses at most the row being written.

    path: ends in .csv, .json, .parquet or .html. columns: the keys of a row, in order. meta: version, settings,
    weights, metrics. restart: forget the rows of an interrupted run. max_thumbnails: pictures shown in HTML.
    Rows go to the journal ``<path>.partial.jsonl``; `finish` makes the file and removes the journal. Opening the same
    path again with the same columns, version, settings and weights resumes: `done` rows are there, `keys` names them.
    Raises OutputError at once, before any work is done, for an unknown ending, a missing folder, a place that cannot
    be written or a journal of other settings; MissingExtraError for Parquet without pyarrow.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        columns: Sequence[str],
        meta: Mapping[str, Any],
        *,
        restart: bool = False,
        max_thumbnails: int = 300,
    ) -> None:
        self.path = Path(path)
        self.columns = tuple(columns)
        self.meta = dict(meta)
        self.journal = self.path.with_name(self.path.name + JOURNAL_SUFFIX)
        self.done = 0
        self._writer = self._choose_writer(max_thumbnails)
        self._check_place()
        try:
            self._file = self.journal.open("r+b" if self.journal.exists() else "x+b", buffering=0)
        except OSError as error:
            raise OutputError(
                f"cannot write {str(self.journal)!r}, where the rows are kept until the end: {_reason(error)}; "
                f"choose another place for the output"
            ) from error
        try:
            self._lock()
            self._start = self._recover(restart)
        except BaseException:
            self._file.close()
            raise

    def _choose_writer(self, max_thumbnails: int) -> Writer:
        writer = WRITERS.get(self.path.suffix.lower())
        if writer is None:
            raise OutputError(
                f"the output's name must end in {', '.join(WRITERS)}, which says the format; got {self.path.name!r}"
            )
        if writer is write_parquet:
            need_pyarrow()
        return partial(write_page, max_thumbnails=max_thumbnails) if writer is write_page else writer

    def _check_place(self) -> None:
        """The errors that would otherwise show only after hours of work."""
        parent = self.path.parent
        if not parent.is_dir():
            raise OutputError(f"the folder {str(parent)!r} of the output does not exist; create it first")
        if self.path.is_dir():
            raise OutputError(f"expected a file to write, got the folder {str(self.path)!r}; add a file name")
        if self.path.exists() and not self.path.is_file():
            raise OutputError(f"{str(self.path)!r} is not a plain file; choose another name for the output")
        if self.path.exists():
            writable = self.path.stat().st_mode & 0o222  # asked of the mode as well: root may write everything
            if not (writable and os.access(self.path, os.W_OK)):
                raise OutputError(f"{str(self.path)!r} is read-only; make it writable or choose another name")
        if self.journal.exists() and not stat.S_ISREG(self.journal.stat().st_mode):
            raise OutputError(f"{str(self.journal)!r} is not a plain file; move it away, rows are to be kept there")

    def _lock(self) -> None:
        """Two runs that write one file would mix their rows; the second one is told so."""
        if not lock_file(self._file):
            raise OutputError(
                f"another run is writing {str(self.path)!r} right now; wait for it or choose another name"
            )

    def _recover(self, restart: bool) -> int:
        """Find the rows of an interrupted run, drop a torn last line; returns where the rows begin."""
        header = {"beholder": 1, "columns": self.columns, **{k: self.meta.get(k) for k in IDENTITY}}
        wanted = json_bytes(header) + b"\n"
        first = b"" if restart else self._first_line()
        if not first.endswith(b"\n"):  # nothing there, or killed within the first line
            self._file.truncate(0)
            self._size = 0
            self._write(wanted)
            return self._size
        if first != wanted:
            raise OutputError(self._other_settings(first, json.loads(wanted)))
        self._size = len(first)
        for line in self._lines(self._size):
            self.done += 1
            self._size += len(line)
        self._file.truncate(self._size)
        return len(first)

    def _first_line(self) -> bytes:
        with self.journal.open("rb") as file:
            return file.readline()

    def _other_settings(self, first: bytes, wanted: dict[str, Any]) -> str:
        advice = "finish that run with its own settings, or start over with restart=True (--restart)"
        try:
            found = json.loads(first)
        except ValueError:
            found = None
        if not isinstance(found, dict) or "beholder" not in found:
            return f"{str(self.journal)!r} is not a journal of Beholder; move it away, or overwrite it with --restart"
        other = [key for key in wanted if found.get(key) != wanted[key]]
        if "settings" in other and all(isinstance(h.get("settings"), dict) for h in (found, wanted)):
            old, new = found["settings"], wanted["settings"]
            other += [f"settings[{k!r}]" for k in sorted({*old, *new}) if old.get(k) != new.get(k)]
            other.remove("settings")
        return (
            f"{str(self.path)!r} was begun by an interrupted run that differs in {', '.join(other) or 'its header'}; "
            + advice
        )

    def _lines(self, start: int) -> Iterator[bytes]:
        """The journal's lines from `start` up to the first that is torn."""
        with self.journal.open("rb") as file:
            file.seek(start)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                try:
                    whole = len(json.loads(line)) == len(self.columns)
                except (ValueError, TypeError):
                    whole = False
                if not whole:
                    return
                yield line

    def rows(self) -> Iterator[Row]:
        """The rows written so far, in order, streamed from the journal."""
        for line in self._lines(self._start):
            yield dict(zip(self.columns, json.loads(line), strict=True))

    def keys(self) -> Iterator[tuple[str, str]]:
        """The (image, reference) of the `done` rows found from an interrupted run, in order; no reference is ""."""
        for _, row in zip(range(self.done), self.rows(), strict=False):
            yield row["image"], row.get("reference") or ""

    def _write(self, line: bytes) -> None:
        """All of the line or nothing: what a full disk let through is taken back."""
        view = memoryview(line)
        try:
            self._file.seek(self._size)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._size)
            raise OutputError(
                f"cannot write {str(self.journal)!r}: {_reason(error)}; the rows so far are safe there: "
                f"make room and run again to go on"
            ) from error
        self._size += len(line)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row, handed to the operating system before this returns.

        Raises InputError for a row that does not fit the columns, OutputError when it cannot be written.
        """
        self._write(json_bytes(list(clean_row(row, self.columns).values())) + b"\n")

    def finish(self) -> None:
        """Turn the journal into the file, at once for all who look at it, and remove the journal.

        On OutputError (a full disk, say) the journal stays and an older file at `path` is untouched.
        """
        target = Path(os.path.realpath(self.path))  # through a link, so that the link stays one
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as file:
                self._writer(file, self.rows, self.columns, self.meta)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except OSError as error:
            raise OutputError(
                f"cannot write {str(self.path)!r}: {_reason(error)}; all rows are safe in {str(self.journal)!r}: "
                f"make room and run again"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
        self.close()
        self.journal.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the journal; without `finish` it stays, to be resumed."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_rows(
    rows: Iterable[Mapping[str, Any]],
    path: str | os.PathLike[str],
    columns: Sequence[str],
    meta: Mapping[str, Any],
    *,
    max_thumbnails: int = 300,
) -> None:
    """Write all rows to a CSV, JSON, Parquet or HTML file in one go; rows of an interrupted run are forgotten.

    Raises as `RowFile`.
    """
    with RowFile(path, columns, meta, restart=True, max_thumbnails=max_thumbnails) as file:
        for row in rows:
            file.append(row)
        file.finish()
