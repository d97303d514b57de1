"""An evaluation as one self-contained HTML page: ranking, scatter, heat maps, decisions, tests, calibration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, BinaryIO

from beholder.reporting.page import embed, open_template

_DIGITS = 5
"""Digits below the span of the opinions that a mapped prediction keeps: a plot shows three."""


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
    styles, places = ["report.css", "evaluation.css"], ("EVALUATION", "PICTURES")
    head, between, tail = open_template("evaluation", styles, places)
    file.write(head + embed(_rounded(found)) + between + embed(found.get("pictures") or {}) + tail)
