"""What a row is: which type each column holds, and how values become text and come back."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from beholder.errors import InputError

Row = dict[str, Any]
RowSource = Callable[[], Iterator[Row]]
"""Gives the rows from the first on, each time it is called: some formats need two passes, none a list."""
Kind = Literal["text", "word", "count", "list", "number"]

FIXED = ("image", "reference", "width", "height", "images", "references", "flags", "error")
SUFFIXES = ("_low", "_high", "_word")


def column_kind(column: str) -> Kind:
    """The type of a column, told by its name alone, so that every file of the same columns has the same types."""
    if column in ("image", "error"):
        return "text"
    if column == "reference" or column.endswith("_word"):
        return "word"
    if column in ("width", "height", "images", "references"):
        return "count"
    return "list" if column == "flags" else "number"


def metric_columns(columns: Sequence[str]) -> list[str]:
    """The metrics among the columns, in order, without the columns of their intervals and words."""
    known = set(columns)
    parts = {base + suffix for base in known for suffix in SUFFIXES}
    return [c for c in columns if c not in FIXED and c not in parts]


def metric_cards(columns: Sequence[str], meta: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The card of each metric column by its name: what `meta` tells of it, and the defaults where it is silent."""
    told = {str(card.get("name", "")): card for card in meta.get("metrics") or ()}
    return {name: {"name": name, "better": "higher", **told.get(name, {})} for name in metric_columns(columns)}


def thresholds(meta: Mapping[str, Any]) -> dict[str, tuple[float | None, float | None]]:
    """The (least, most) value allowed per metric, from meta["settings"]["min"] and ["max"]."""
    settings = meta.get("settings") or {}
    least, most = (settings.get(side) or {} for side in ("min", "max"))
    return {name: (least.get(name), most.get(name)) for name in [*least, *(n for n in most if n not in least)]}


def _number(value: Any) -> float | None:
    number = float(value)
    return None if math.isnan(number) else number


_CLEAN: dict[Kind, Callable[[Any], Any]] = {
    "text": str,
    "word": lambda value: str(value) or None,
    "count": int,
    "list": lambda value: [value] if isinstance(value, str) else [str(v) for v in value],
    "number": _number,
}
_MISSING: dict[Kind, Callable[[], Any]] = {"text": str, "list": list}


def clean_row(row: Mapping[str, Any], columns: Sequence[str]) -> Row:
    """The row with its values in plain Python types and in the order of the columns.

    Numbers of any library become float, NaN and what is missing becomes None (`error` "", `flags` []).
    Raises InputError for a key that is no column or a value that does not fit its column.
    """
    extra = row.keys() - set(columns)
    if extra:
        raise InputError(
            f"expected a row with the columns {', '.join(columns)}; got {', '.join(sorted(extra))} as well"
        )
    clean: Row = {}
    for column in columns:
        value, kind = row.get(column), column_kind(column)
        if value is None:
            clean[column] = _MISSING[kind]() if kind in _MISSING else None
            continue
        try:
            clean[column] = _CLEAN[kind](value)
        except (TypeError, ValueError) as error:
            raise InputError(f"expected a {kind} in the column {column!r}, got {value!r}") from error
    return clean


def to_json(value: Any) -> str:
    """Strictly valid JSON on one line: NaN as null, infinity as 1e999, which IEEE parsers read as infinity."""
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=str)
    except ValueError:
        return _to_json_slowly(value)


def _to_json_slowly(value: Any) -> str:
    if isinstance(value, float):
        if math.isfinite(value):
            return repr(value)
        return "null" if math.isnan(value) else "1e999" if value > 0 else "-1e999"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(str(k))}:{_to_json_slowly(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_to_json_slowly, value)) + "]"
    return json.dumps(value, ensure_ascii=False, default=str)


def json_bytes(value: Any) -> bytes:
    """`to_json` in UTF-8; a lone surrogate (a file name that is not UTF-8) becomes its own JSON escape."""
    return to_json(value).encode("utf-8", "backslashreplace")


_BACKSLASH = re.compile(r"\\(?=u(?:d[89a-f][0-9a-f]{2}|005c))")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPE = re.compile(r"\\u(d[89a-f][0-9a-f]{2}|005c)")


def escape_text(text: str) -> str:
    r"""Text that is valid UTF-8: a lone surrogate, as in file names that are not UTF-8, as ``\udcff``.

    A name that holds such an escape literally gets its backslash as ``\u005c``: `unescape_text` restores every name.
    """
    text = _BACKSLASH.sub(r"\\u005c", text)
    return _SURROGATE.sub(lambda m: f"\\u{ord(m[0]):04x}", text)


def unescape_text(text: str) -> str:
    """The text that `escape_text` was given."""
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)), text) if "\\u" in text else text
