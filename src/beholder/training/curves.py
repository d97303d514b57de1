"""Pictures of a run's learning curves, and of a study's trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from beholder.errors import MissingExtraError


def draw_curves(figures: Sequence[dict[str, float]], path: Path, title: str = "") -> None:
    """Draw loss, correlations and RMSE over the epochs into a PNG file; MissingExtraError without matplotlib."""
    epochs = [f["epoch"] for f in figures]
    drawing = _blank(10)
    axes = drawing.subplots(1, 3)
    panels = (("loss",), ("srcc", "plcc", "krcc"), ("rmse",))
    names = ("training loss", "agreement on validation", "RMSE on validation, points")
    for axis, keys, name in zip(axes, panels, names, strict=True):
        for key in keys:
            axis.plot(epochs, [f[key] for f in figures], marker="o", markersize=3, label=key.upper())
        axis.set_xlabel("epoch")
        axis.set_title(name, fontsize=10)
        axis.grid(alpha=0.3)
        axis.xaxis.get_major_locator().set_params(integer=True)
        if len(keys) > 1:
            axis.legend(fontsize=8)
    if title:
        drawing.suptitle(title, fontsize=11)
    drawing.savefig(path, dpi=110)


def draw_study(
    rows: list[dict[str, Any]], keys: list[str], figure: str, importance: Mapping[str, float], path: Path
) -> None:
    """Draw every trial's figure over each key, and the keys' importance, into a PNG file."""
    drawing = _blank(3.2 * (len(keys) + 1))
    axes = drawing.subplots(1, len(keys) + 1, squeeze=False)[0]
    rows = [row for row in rows if row[figure] is not None and math.isfinite(row[figure])]
    for axis, key in zip(axes, keys, strict=False):
        numbers = [row[key] for row in rows]
        are_numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in numbers)
        for state, marker in (("complete", "o"), ("pruned", "x")):
            chosen = [row for row in rows if row["state"] == state]
            across = [row[key] if are_numbers else _short(row[key]) for row in chosen]
            axis.scatter(across, [row[figure] for row in chosen], marker=marker, alpha=0.7, label=state)
        if all(isinstance(v, float) and v > 0 for v in numbers) and max(numbers, default=1) > 20 * min(
            numbers, default=1
        ):
            axis.set_xscale("log")
        if not are_numbers:
            axis.tick_params(axis="x", labelrotation=20, labelsize=8)
        axis.set_title(key, fontsize=10)
        axis.set_ylabel(figure.upper())
        axis.grid(alpha=0.3)
    axes[-1].barh(list(importance), list(importance.values()))
    axes[-1].set_title("importance", fontsize=10)
    drawing.savefig(path, dpi=110)


def _short(value: Any) -> str:
    """A value that is no number as it stands below an axis."""
    text = str(value)
    for mark in "{}\"'":
        text = text.replace(mark, "")
    return text.replace(": ", " ")


def _blank(width: float) -> Any:
    """A figure to draw into, without a window; MissingExtraError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError('pictures of trainings need: pip install "beholder[train]"') from error
    return Figure(figsize=(width, 3.2), layout="constrained")
