"""The command line's part for the list of metrics: `beholder metrics`."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from beholder.errors import InputError

WIDEST = 100
COLUMNS = (
    "name",
    "kind",
    "better",
    "low",
    "high",
    "unit",
    "min_size",
    "presets",
    "verified",
    "differentiable",
    "paper",
)
ROUNDING = (
    "of integers only, at their own steps: bytes have another value than the same picture as 16 bits or as floats, "
    "with {presets}"
)


def metrics(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One metric, to see all that is known of it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the cards as JSON.")] = False,
    needs: Annotated[str | None, typer.Option("--needs", metavar="reference|image|set", help="Only this kind.")] = None,
) -> None:
    """List the metrics: a table on a terminal, CSV in a pipe; or show one, with its presets and settings."""
    from beholder.metrics import list_metrics
    from beholder.metrics.registry import find

    if name is not None and needs is not None:
        raise InputError(f"--needs shortens the list, and {name!r} names one metric; leave one of the two out")
    cards = list_metrics(needs) if name is None else [find(name)[0]]  # type: ignore[arg-type]  # checked there
    if as_json:
        from beholder.reporting.rows import to_json

        text = json.dumps(json.loads(to_json([_facts(c) for c in cards])), indent=2)
        typer.echo(text.replace("Infinity", "1e999"))
    elif name is not None:
        typer.echo("\n".join(_card(cards[0])))
    elif sys.stdout.isatty():
        _table(cards)
    else:
        typer.echo(_csv(cards), nl=False)


def _table(cards: Sequence[Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("name", "kind", "better", "range", "verified"):
        shown.add_column(title, no_wrap=title != "range")
    for card in cards:
        held, every = len(card.verified), len(card.presets) + 1
        verified = "yes" if held == every else f"{held} of {every}" if held else "no"
        shown.add_row(card.name, card.kind, card.better, _range(card.range), verified)
    console = Console(highlight=False)
    console.print(shown)
    console.print(f"\n{len(cards)} metrics. One with its presets, settings and sources: beholder metrics NAME")


def _csv(cards: Sequence[Any]) -> str:
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(COLUMNS)
    for card in cards:
        facts = _facts(card)
        facts["low"], facts["high"] = facts["range"]
        facts["presets"] = " ".join(facts["presets"])
        facts["verified"] = " ".join(_held(card))
        facts["differentiable"] = str(card.differentiable).lower()
        rows.writerow([facts[column] for column in COLUMNS])
    return stream.getvalue()


def _held(card: Any) -> list[str]:
    return [p or "default" for p in ("", *card.presets) if p in card.verified]


def _range(span: Sequence[float]) -> str:
    return f"{span[0]:g} to {span[1]:g}"


def _card(card: Any) -> Iterator[str]:
    """All that is known of a metric, in lines for people."""
    from beholder.metrics.registry import rounding_presets, settings_of, sources_of

    yield card.name
    yield ""
    yield from _wrapped(card.function.__doc__ or "", "  ")
    facts = [
        ("kind", card.kind),
        ("better", card.better),
        ("range", f"{_range(card.range)} {card.unit}".rstrip()),
        ("smallest", f"{card.min_size}x{card.min_size} pixels"),
        ("channels", " or ".join(map(str, card.channels)) if card.channels else "any number"),
        ("gradients", "yes" if card.differentiable else "no"),
        ("also called", ", ".join(card.aliases)),
        ("weights", "; ".join(f"{p or 'default'}: those of {w}, which you bring" for p, w in card.backbones.items())),
        ("paper", card.paper),
    ]
    rounded = rounding_presets(card)
    if rounded:
        facts.append(("rounding", ROUNDING.format(presets=", ".join(_called(card, p) for p in rounded))))
    yield ""
    for label, text in facts:
        if text:
            yield from _entry(label, text, 14)
    yield from _part("settings", [(s.name, f"{s.allowed or s.type}; default {s.default!r}") for s in settings_of(card)])
    yield from _part("presets", [(_called(card, p), _preset(card, p)) for p in card.presets])
    sources = [(_called(card, p), "; ".join(told)) for p, told in sorted(sources_of(card.name).items())]
    yield from _part("verified by", sources)
    if card.unverified or not card.verified:
        yield from _part(
            "not verified", [(_called(card, p), "") for p in ("", *card.presets) if p not in card.verified]
        )
        yield from _wrapped(card.unverified, "  ")


def _called(card: Any, preset: str) -> str:
    return f"{card.name}:{preset}" if preset else card.name


def _preset(card: Any, preset: str) -> str:
    """The settings of a preset, with the range and direction where they are others than the default's."""
    from beholder.metrics import metric

    measure = metric(_called(card, preset))
    told = [", ".join(f"{key}={value!r}" for key, value in card.presets[preset].items())]
    told += [f"range {_range(measure.range)}"] * (measure.range != card.range)
    told += [f"{measure.card.better} is better"] * (measure.card.better != card.better)
    return "; ".join(told)


def _part(title: str, entries: Sequence[tuple[str, str]]) -> Iterator[str]:
    if entries:
        yield ""
        yield title
        width = max(len(label) for label, _ in entries) + 2
        for label, text in entries:
            yield from _entry(label, text, width, "  ")


def _width() -> int:
    return min(shutil.get_terminal_size((80, 24)).columns, WIDEST)


def _entry(label: str, text: str, width: int, margin: str = "") -> Iterator[str]:
    first, rest = f"{margin}{label:{width}}", margin + " " * width
    if not text:
        yield first.rstrip()
        return
    yield from textwrap.wrap(text, _width(), initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def _wrapped(text: str, margin: str) -> Iterator[str]:
    """Paragraphs, without the marks of code."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip().replace("``", ""))):
        if number:
            yield ""
        plain = " ".join(paragraph.split())
        yield from textwrap.wrap(
            plain, _width(), initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
        )


def _facts(card: Any) -> dict[str, Any]:
    from beholder.metrics.registry import settings_of, sources_of

    return {
        "name": card.name,
        "kind": card.kind,
        "needs": card.needs,
        "better": card.better,
        "range": list(card.range),
        "unit": card.unit,
        "min_size": card.min_size,
        "settings": [asdict(setting) for setting in settings_of(card)],
        "presets": {k: dict(v) for k, v in card.presets.items()},
        "verified": sorted(card.verified),
        "sources": sources_of(card.name),
        "unverified": card.unverified,
        "differentiable": card.differentiable,
        "summary": card.summary,
        "paper": card.paper,
    }
