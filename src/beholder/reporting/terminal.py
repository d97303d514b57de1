"""Rows as a table for people, on a terminal."""

from __future__ import annotations

import math
import statistics
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any

from beholder.reporting.rows import Row, clean_row, metric_columns, thresholds

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

LOOKAHEAD = 40
"""Rows that are seen before the widths of the columns are fixed; later ones are printed as they come."""
NARROW = 100
"""Below this width of the terminal the pictures' sizes make room for their names."""
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
WORD_STYLES = {"bad": "bold red", "poor": "red", "fair": "yellow", "good": "green", "excellent": "bold green"}


def format_number(value: float) -> str:
    """A number as people read it: about four digits, no noise."""
    size = abs(value)
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    if size < 1e-3 or size >= 1e6:
        return f"{value:.2e}"
    return f"{value:.4f}" if size < 10 else f"{value:.2f}"


def score_parts(row: Mapping[str, Any], name: str, *, ascii_only: bool = False) -> tuple[str, str, str]:
    """A metric's value, its interval and its word as texts; empty where the row has none."""
    value, low, high = (row.get(name + part) for part in ("", "_low", "_high"))
    if value is None:
        return "", "", ""
    if low is None or high is None:
        return format_number(value), "", ""
    word = row.get(f"{name}_word") or ""
    digits = 0 if word else 3
    half = (high - low) / 2
    if abs(value - low - half) * 10**digits <= 0.5:
        spread = f"{'+-' if ascii_only else '±'}{half:.{digits}f}"
    else:  # at the end of the scale the interval is cut off on one side
        spread = f"{low:.{digits}f}{'-' if ascii_only else '–'}{high:.{digits}f}"
    return f"{value:.{digits}f}", spread, word


def printable(text: str, *, ascii_only: bool = False) -> str:
    """Text that a terminal shows and never obeys: control, direction and unencodable characters as escapes."""
    shown = "".join(_escape(c) if unicodedata.category(c) in _HIDDEN else c for c in text)
    return shown.encode("ascii", "backslashreplace").decode() if ascii_only else shown


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def elide(text: str, width: int, *, ascii_only: bool = False) -> str:
    """The text in at most `width` terminal cells, its middle left out: beginning and ending tell pictures apart."""
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    mark = "..." if ascii_only else "…"
    room = max(width - len(mark), 2)
    head, tail = text[: room - room // 2], text[len(text) - room // 2 :]
    while cell_len(head) + cell_len(tail) > room:  # wide characters take two cells
        head, tail = (head[:-1], tail) if cell_len(head) > cell_len(tail) else (head, tail[1:])
    return head + mark + tail


def shared_folder(paths: Iterable[str]) -> str:
    """The folder that all the paths begin with, with its last slash; empty when there is none."""
    root: str | None = None
    for path in paths:
        root = _folder(path) if root is None else root
        while not path.startswith(root):
            root = _folder(root[:-1])
    return root or ""


def _folder(path: str) -> str:
    return path[: max(path.rfind("/"), path.rfind("\\")) + 1]


class _Table:
    """Widths and styles of one printed table."""

    def __init__(self, console: Console, columns: Sequence[str], meta: Mapping[str, Any], first: list[Row]) -> None:
        from rich.cells import cell_len

        self.console = console
        self.ascii = console.options.ascii_only
        self.names = metric_columns(columns)
        self.limits = thresholds(meta)
        self.sets, self.compared = "images" in columns, ""
        self.size = 11 if console.width >= NARROW else 0
        self.parts: dict[str, tuple[int, int, int]] = {}
        for name in self.names:
            texts = [score_parts(row, name, ascii_only=self.ascii) for row in first]
            value, spread, word = (max((len(t[k]) for t in texts), default=0) for k in range(3))
            self.parts[name] = (value, spread, word) if spread else (max(value, len(name), 7), 0, 0)
        self.widths = [max(len(name), sum(w + bool(w) for w in parts) - 1) for name, parts in self.parts.items()]
        self.widths = [self.size, *self.widths] if self.size else self.widths
        room = max(console.width - sum(w + 2 for w in self.widths), 20)
        self.root = ""
        if max((cell_len(self.name(row)) for row in first), default=0) > room:
            self.root = shared_folder(row["image"] for row in first)
        self.first = min(room, max((cell_len(self.name(row)) for row in first), default=5))

    def name(self, row: Row) -> str:
        """The picture's name, without the folder that all share when there is no room for it."""
        return printable(row["image"].removeprefix(self.root), ascii_only=self.ascii)

    def cell(self, row: Row, name: str) -> str:
        value, spread, word = score_parts(row, name, ascii_only=self.ascii)
        wide = self.parts[name]
        if not wide[1]:
            return " ".join(filter(None, (value, spread, word))).rjust(wide[0])
        return f"{value:>{wide[0]}} {spread:<{wide[1]}} {word:<{wide[2]}}".rstrip()

    def heading(self, name: str) -> str:
        """The metric's name over its values: right for plain numbers, left where an interval follows."""
        return name if self.parts[name][1] else name.rjust(self.parts[name][0])

    def overall(self, name: str, value: float) -> str:
        """A number below the values of a metric; opinion scores as whole as their rows."""
        return (f"{value:.0f}" if self.parts[name][2] else format_number(value)).rjust(self.parts[name][0])

    def line(self, name: str, size: str, cells: Sequence[tuple[str, str]], note: str = "", style: str = "") -> None:
        """Print one line: the name, the size, a (text, style) per metric, a note at the end."""
        from rich.cells import cell_len
        from rich.text import Text

        name = elide(name, self.first, ascii_only=self.ascii)
        text = Text(name + " " * (self.first - cell_len(name)))
        sized = [(size.rjust(self.size), "dim")] if self.size else []
        for (cell, cell_style), width in zip([*sized, *cells], self.widths, strict=True):
            text.append("  ")
            text.append(cell.ljust(width), style=cell_style)
        if note:
            text.append("  " + note, style=style)
        text.rstrip()
        self.print(text)

    def print(self, text: Text) -> None:
        self.console.print(text, soft_wrap=True)

    def missed(self, row: Row) -> Iterator[str]:
        for name, (least, most) in self.limits.items():
            value = row.get(name)
            if value is not None and least is not None and value < least:
                yield f"{name} < {least:g}"
            if value is not None and most is not None and value > most:
                yield f"{name} > {most:g}"

    def print_folder(self) -> None:
        from rich.text import Text

        self.print(Text(f"in {printable(self.root, ascii_only=self.ascii)}", style="dim"))

    def rule(self) -> None:
        from rich.text import Text

        width = self.first + sum(w + 2 for w in self.widths)
        self.print(Text(("-" if self.ascii else "─") * min(width, self.console.width), style="dim"))

    def summary(self, count: int, failed: int) -> None:
        from rich.text import Text

        what = f"{count:,} picture{'' if count == 1 else 's'}"
        if self.sets:
            what = self.compared if count == 1 else f"{count:,} comparisons of sets"
        line = Text(what, style="bold")
        line.append(f", {failed:,} error{'' if failed == 1 else 's'}", style="bold red" if failed else "")
        self.print(line)

    def row(self, row: Row) -> None:
        cross = "x" if self.ascii else "×"
        size = f"{row['width']}{cross}{row['height']}" if row.get("width") and row.get("height") else ""
        if self.sets:
            size = f"{row['images']}, {row['references']}"
            self.compared = f"{row['images']:,} pictures compared with {row['references']:,}"
        cells = [(self.cell(row, n), WORD_STYLES.get(row.get(f"{n}_word") or "", "")) for n in self.names]
        error = printable(row.get("error") or "", ascii_only=self.ascii)
        if error and all(row.get(name) is None for name in self.names):
            self.failure(row, error)
            return
        notes = [*self.missed(row), *(printable(flag) for flag in row.get("flags") or ()), *([error] if error else ())]
        self.line(self.name(row), size, cells, ", ".join(notes), "red" if error else "yellow")

    def failure(self, row: Row, error: str) -> None:
        """A row without values: the message takes their place."""
        from rich.cells import cell_len
        from rich.text import Text

        name = elide(self.name(row), self.first, ascii_only=self.ascii)
        line = Text(name + " " * (self.first - cell_len(name)) + "  ")
        line.append(error, style="red")
        self.print(line)


def print_table(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], meta: Mapping[str, Any], *, file: IO[str] | None = None
) -> None:
    """Print rows as a table, in their order and as they come, with a summary at the end.

    Scores with an interval read "63 ±18 good"; colour only repeats what the words say, and NO_COLOR is respected.
    Long names lose their middle; errors stand in place of values. Memory does not grow with the rows, but for eight
    bytes a value for the medians.
    """
    from rich.console import Console

    console = Console(file=file, emoji=False, highlight=False)
    stream = (clean_row(row, columns) for row in rows)
    first = list(islice(stream, LOOKAHEAD))
    table = _Table(console, columns, meta, first)
    table.line("image", "pictures" if table.sets else "size", [(table.heading(name), "bold") for name in table.names])
    if table.root:
        table.print_folder()
    table.rule()
    values = {name: array("d") for name in table.names}
    count = failed = 0
    for row in chain(first, stream):
        table.row(row)
        count += 1
        failed += bool(row.get("error"))
        for name, seen in values.items():
            if row[name] is not None:
                seen.append(row[name])
    table.rule()
    for title, middle in (("mean", _mean), ("median", statistics.median)):
        if count > 1:
            cells = [(table.overall(n, middle(seen)) if seen else "", "bold") for n, seen in values.items()]
            table.line(title, "", cells)
    table.summary(count, failed)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)  # not fmean: the mean with an infinity is infinity, and no error
