"""An evaluation as one self-contained HTML page: ranking, scatter, heat maps, decisions, tests, calibration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, BinaryIO

from beholder.reporting.page import _digest, _embed

_DIGITS = 5
"""Digits below the span of the opinions that a mapped prediction keeps: a plot shows three."""


def _template() -> tuple[bytes, ...]:
    """The page cut at its two places for data, with styles, program and a policy that allows nothing else."""
    folder = files("beholder.reporting") / "assets"
    page, shared, own, script = (
        (folder / name).read_text(encoding="utf-8")
        for name in ("evaluation.html", "report.css", "evaluation.css", "evaluation.js")
    )
    style = shared + own
    policy = (
        f"default-src 'none'; img-src data:; script-src {_digest(script)}; style-src {_digest(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    page = page.replace("@@POLICY@@", policy).replace("@@STYLE@@", style).replace("@@SCRIPT@@", script)
    head, rest = page.split("@@EVALUATION@@")
    between, tail = rest.split("@@PICTURES@@")
    return tuple(part.encode() for part in (head, between, tail))


def _rounded(found: Mapping[str, Any]) -> dict[str, Any]:
    """The evaluation without thumbnails, its mapped predictions no finer than a plot needs: a third of the file."""
    opinions = found["data"]["opinions"]
    span = max(opinions) - min(opinions)
    digits = _DIGITS - math.floor(math.log10(span)) if span > 0 else _DIGITS
    metrics = [
        {**m, "mapped": [None if v is None else round(v, digits) for v in m["mapped"]]} for m in found["metrics"]
    ]
    return {**{k: v for k, v in found.items() if k != "pictures"}, "metrics": metrics}


def write_evaluation(file: BinaryIO, found: Mapping[str, Any]) -> None:
    """An evaluation as one HTML page that opens from disk and never asks the network for anything.

    found: what `results.to_dict` makes, and optionally "calibration" ({metric: `judge_intervals`}), "duels" (a list of
    `Duel` as dicts) and "pictures" ({place: {"thumb": [data URI of the picture, data URI of its reference]}}).
    """
    head, between, tail = _template()
    file.write(head + _embed(_rounded(found)) + between + _embed(found.get("pictures") or {}) + tail)
