"""The learning curves of a run as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from beholder.errors import MissingExtraError


def draw_curves(figures: Sequence[dict[str, float]], path: Path, title: str = "") -> None:
    """Draw loss, correlations and RMSE over the epochs into a PNG file; MissingExtraError without matplotlib."""
    try:
        from matplotlib.figure import Figure  # without pyplot: no window, no state
    except ImportError as error:
        raise MissingExtraError('learning curves need: pip install "beholder[train]"') from error
    epochs = [f["epoch"] for f in figures]
    drawing = Figure(figsize=(10, 3.2), layout="constrained")
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
