"""The findings of a check drawn: histogram as text, SVG and PNG, and the whole report as HTML."""

from __future__ import annotations

import html
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from beholder.datasets.checking import Finding, Findings
from beholder.datasets.tables import write_whole
from beholder.errors import InputError

BLOCKS = " ▁▂▃▄▅▆▇█"
COLOURS = {"train": "#3b6ea5", "validation": "#e0a030", "test": "#b5483a", "": "#7a7a7a"}
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 720, 320, 56, 36, 44


def histogram_lines(findings: Findings, rows: int = 6) -> list[str]:
    """The opinions of all splits together as lines of text, `rows` high, with an axis."""
    totals = _totals(findings.histogram)
    most = max(totals, default=0)
    if not most:
        return []
    lines = []
    for row in range(rows, 0, -1):
        filled = [min(max(n / most * rows - (row - 1), 0), 1) for n in totals]
        bars = "".join(2 * BLOCKS[max(round(8 * f), 1 if f > 0 else 0)] for f in filled)
        lines.append(f"{most if row == rows else '':>7} {bars}".rstrip())
    lines.append(f"{'':>7} " + "─" * (2 * len(totals)))
    lines.append(f"{'':>7} 0" + "50".rjust(len(totals)) + "100".rjust(len(totals)))
    return lines


def _totals(histogram: Mapping[str, Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*histogram.values(), strict=True)]


def draw_histogram(findings: Findings, path: str | os.PathLike[str]) -> None:
    """Draw the opinions' histogram, splits stacked, as .png or .svg.

    Raises InputError for another ending, OutputError where the file cannot be written.
    """
    target = Path(path)
    ending = target.suffix.lower()
    if ending == ".svg":
        write_whole(target, to_svg(findings).encode())
    elif ending == ".png":
        write_whole(target, _to_png(findings))
    else:
        raise InputError(f"a histogram is drawn as .png or .svg, got {target.name!r}")


def write_report(findings: Findings, path: str | os.PathLike[str]) -> None:
    """Write what a check found: .html (with the histogram), .json, or the histogram alone as .png or .svg.

    Raises as `draw_histogram`.
    """
    target = Path(path)
    ending = target.suffix.lower()
    if ending == ".html":
        write_whole(target, _to_html(findings).encode("utf-8", "replace"))
    elif ending == ".json":
        text = json.dumps(findings.to_dict(), indent=1, ensure_ascii=False) + "\n"
        write_whole(target, text.encode("utf-8", "replace"))
    elif ending in (".png", ".svg"):
        draw_histogram(findings, target)
    else:
        raise InputError(f"a report is written as .html, .json, .png or .svg, got {target.name!r}")


def _bars(findings: Findings) -> tuple[list[tuple[str, float, float, float, float]], int]:
    """(split, left, top, width, height) of every bar in pixels, and the count at the top of the axis."""
    most = max(_totals(findings.histogram), default=0) or 1
    columns = max((len(v) for v in findings.histogram.values()), default=1)
    step = (_WIDTH - _LEFT - 20) / columns
    scale = (_HEIGHT - _TOP - _BOTTOM) / most
    bars = []
    for column in range(columns):
        bottom = float(_HEIGHT - _BOTTOM)
        for name, counts in findings.histogram.items():
            height = counts[column] * scale
            bottom -= height
            if height:
                bars.append((name, _LEFT + column * step + 1, bottom, step - 2, height))
    return bars, most


def _labels(findings: Findings, most: int) -> list[tuple[float, float, str, str]]:
    """(x, y, anchor, text) of every word of the drawing."""
    base = _HEIGHT - _BOTTOM
    mean, deviation, *_ = findings.opinions
    title = f"{findings.name}: {findings.pictures:,} pictures, mean {mean:.1f}, standard deviation {deviation:.1f}"
    words: list[tuple[float, float, str, str]] = [(_LEFT, 22.0, "start", title)]
    words += [(_LEFT - 8, _TOP + 10.0, "end", f"{most:,}"), (_LEFT - 8, base, "end", "0")]
    inner = _WIDTH - _LEFT - 20
    words += [(_LEFT + inner * v / 100, base + 16.0, "middle", str(v)) for v in range(0, 101, 20)]
    words.append((_LEFT + inner / 2, base + 36.0, "middle", "opinion, 0 to 100"))
    return words


def to_svg(findings: Findings) -> str:
    """The histogram as SVG."""
    bars, most = _bars(findings)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="sans-serif" font-size="12" role="img">',
        f"<title>Opinions of {html.escape(findings.name)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
    ]
    parts += [
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{COLOURS[name]}"/>'
        for name, x, y, w, h in bars
    ]
    parts += [
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{a}">{html.escape(t)}</text>'
        for x, y, a, t in _labels(findings, most)
    ]
    for place, name in enumerate(n for n in findings.histogram if n):
        x = _WIDTH - 20 - 100 * (place + 1)
        parts.append(f'<rect x="{x}" y="{_TOP - 8}" width="10" height="10" fill="{COLOURS[name]}"/>')
        parts.append(f'<text x="{x + 14}" y="{_TOP + 1}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _to_png(findings: Findings) -> bytes:
    from PIL import Image, ImageDraw

    bars, most = _bars(findings)
    picture = Image.new("RGB", (_WIDTH, _HEIGHT), "#fff")
    pen = ImageDraw.Draw(picture)
    for name, x, y, width, height in bars:
        pen.rectangle((x, y, x + width - 1, y + max(height - 1, 0)), COLOURS[name])
    for x, y, anchor, text in _labels(findings, most):
        length = pen.textlength(text)
        pen.text((x - {"start": 0, "middle": length / 2, "end": length}[anchor], y - 11), text, "#000")
    for place, name in enumerate(n for n in findings.histogram if n):
        left = _WIDTH - 20 - 100 * (place + 1)
        pen.rectangle((left, _TOP - 8, left + 10, _TOP + 2), COLOURS[name])
        pen.text((left + 14, _TOP - 10), name, "#000")
    store = io.BytesIO()
    picture.save(store, "PNG", optimize=True)
    return store.getvalue()


def summary_lines(findings: Findings) -> list[str]:
    """What there is, in a few lines."""
    mean, deviation, least, most = findings.opinions
    splits = ", ".join(f"{n or 'no split'} {c:,}" for n, c in findings.splits.items())
    lines = [
        f"{findings.name}: {findings.pictures:,} pictures ({splits}), digest {findings.digest}",
        f"opinions on 0-100: mean {mean:.1f}, standard deviation {deviation:.1f}, {least:.1f} to {most:.1f}",
    ]
    if findings.sizes:
        (height, width), count = findings.sizes[0]
        others = f" in {len(findings.sizes):,} sizes, most often" if len(findings.sizes) > 1 else ", all"
        grey = f"; {findings.grey:,} without colour" if findings.grey else ""
        lines.append(f"pictures{others} {width}x{height} ({count:,}){grey}")
    return lines


def _to_html(findings: Findings) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(f.kind)}</td><td>{html.escape(f.image)}</td><td>{html.escape(f.detail)}</td></tr>\n"
        for f in findings.all
    )
    table = f"<table><tr><th>what</th><th>picture</th><th>why</th></tr>\n{rows}</table>" if rows else "<p>None.</p>"
    lines = "".join(f"<p>{html.escape(line)}</p>\n" for line in summary_lines(findings))
    title = html.escape(findings.name)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}: check</title>\n<style>'
        "body{font:14px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse}"
        "td,th{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #ddd;vertical-align:top}"
        f"svg{{max-width:100%;height:auto}}</style></head><body>\n<h1>{title}</h1>\n{lines}{to_svg(findings)}"
        f"<h2>Findings: {len(findings.all):,}</h2>\n{table}\n</body></html>\n"
    )


def count_findings(findings: Findings) -> dict[str, int]:
    """How many of each kind, those that there are."""
    kinds: list[tuple[str, Sequence[Finding]]] = [
        ("missing", findings.missing),
        ("broken", findings.broken),
        ("leak", findings.leaks),
        ("repeated", findings.repeated),
        ("outlier", findings.outliers),
    ]
    return {kind: len(found) for kind, found in kinds if found}
