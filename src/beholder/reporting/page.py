"""Rows as one self-contained HTML page: data, style and program in a file that never asks the network for anything."""

from __future__ import annotations

import base64
import hashlib
import heapq
import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from beholder.errors import InputError
from beholder.reporting.rows import Row, RowSource, json_bytes, metric_cards, thresholds

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

THUMBNAIL, LARGE = 160, 640
"""Longest side in pixels of a thumbnail, and of the larger view that the first few pictures get."""
LARGE_COUNT = 40
_THREADS = 4


def embed(value: Any) -> bytes:
    """JSON that cannot end the script element around it, whatever the file names hold."""
    return json_bytes(value).replace(b"<", b"\\u003c")


def _worst(rows: RowSource, first: Mapping[str, Any] | None, count: int) -> list[tuple[int, str, str]]:
    """(number, image, reference) of the pictures to show, worst by the first metric first; never those without it."""
    if first is None:
        return []
    name, sign = first["name"], 1.0 if first["better"] == "higher" else -1.0
    keyed = (
        (sign * row[name], number, row["image"], row.get("reference") or "")
        for number, row in enumerate(rows())
        if row[name] is not None
    )
    return [entry[1:] for entry in heapq.nsmallest(count, keyed)]


def _to_picture(native: np.ndarray[Any, Any]) -> Picture:
    """An 8-bit Pillow image of (H, W, C) pixels: uint8, uint16 or float in [0, 1]."""
    from PIL import Image

    if native.dtype == np.uint16:
        native = ((native.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    elif native.dtype != np.uint8:
        native = np.rint(np.clip(native, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(native[..., 0] if native.shape[-1] == 1 else native))


def _data_uri(picture: Picture, side: int) -> str:
    from PIL import Image

    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    file = io.BytesIO()
    small.save(file, "WEBP", quality=80 if side > THUMBNAIL else 72, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def views_of(image: str, reference: str, large: bool) -> dict[str, list[str]]:
    """The data URIs of a picture (and its reference) by size; empty when the picture cannot be read any more."""
    from beholder.image import read_image

    views: dict[str, list[str]] = {"thumb": [], **({"large": []} if large else {})}
    for source in filter(None, (image, reference)):
        try:
            picture = _to_picture(read_image(source).native)
        except (InputError, OSError, MemoryError):  # the score stands in its row; a thumbnail is a courtesy
            break
        for size, uris in views.items():
            uris.append(_data_uri(picture, LARGE if size == "large" else THUMBNAIL))
    return views if views["thumb"] else {}


def _pictures(chosen: Sequence[tuple[int, str, str]]) -> Iterator[bytes]:
    """The members of the JSON object from a row's number to its thumbnails."""
    pool = ThreadPoolExecutor(_THREADS)
    try:
        jobs = [pool.submit(views_of, image, ref, k < LARGE_COUNT) for k, (_, image, ref) in enumerate(chosen)]
        for (number, _, _), job in zip(chosen, jobs, strict=True):
            if views := job.result():
                yield b'"%d":' % number + embed(views)
    finally:  # a full disk or Ctrl-C must not wait for pictures that nobody will see
        pool.shutdown(cancel_futures=True)


def _digest(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def open_template(name: str, styles: Sequence[str], places: Sequence[str]) -> tuple[bytes, ...]:
    """A page cut at its places for data, with styles, program and a policy that allows nothing else."""
    folder = files("beholder.reporting") / "assets"

    def text(*names: str) -> str:
        return "".join((folder / n).read_text(encoding="utf-8") for n in names)

    page, style, script = text(f"{name}.html"), text(*styles), text("common.js", f"{name}.js")
    policy = (
        f"default-src 'none'; img-src data:; script-src {_digest(script)}; style-src {_digest(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    page = page.replace("@@POLICY@@", policy).replace("@@STYLE@@", style).replace("@@SCRIPT@@", script)
    parts = []
    for place in places:
        part, page = page.split(f"@@{place}@@")
        parts.append(part)
    return tuple(part.encode() for part in (*parts, page))


def _joined(file: BinaryIO, items: Iterator[bytes]) -> None:
    for number, item in enumerate(items):
        file.write((b",\n" if number else b"\n") + item)


def write_page(
    file: BinaryIO, rows: RowSource, columns: Sequence[str], meta: Mapping[str, Any], *, max_thumbnails: int = 300
) -> None:
    """The report as one HTML page that opens from disk: histograms, worst pictures first, errors, settings.

    rows are read twice and streamed; at most `max_thumbnails` pictures, the worst by the first metric, are shown.
    A picture that cannot be read any more is listed without its thumbnail.
    """
    cards = list(metric_cards(columns, meta).values())
    chosen = _worst(rows, cards[0] if cards else None, max_thumbnails)
    known = {
        "meta": dict(meta),
        "columns": list(columns),
        "metrics": cards,
        "limits": thresholds(meta),
        "thumbnails": max_thumbnails,
    }
    places = ("META", "ROWS", "PICTURES")
    head, before_rows, before_pictures, tail = open_template("report", ["report.css"], places)
    file.write(head + embed(known) + before_rows + b"[")
    _joined(file, (embed(_values(row, columns)) for row in rows()))
    file.write(b"\n]" + before_pictures + b"{")
    _joined(file, _pictures(chosen))
    file.write(b"\n}" + tail)


def _values(row: Row, columns: Sequence[str]) -> list[Any]:
    return [row[column] for column in columns]
