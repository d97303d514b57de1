"""Lightning's loggers by name; a run that goes on keeps the rows that it has logged."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from beholder.errors import InputError
from beholder.training.folders import damaged


def make_loggers(names: tuple[str, ...], folder: Path, step: int) -> list[Any]:
    """The loggers of a run that goes on at a step; InputError where the package of one is missing."""
    from pytorch_lightning import loggers

    makers: dict[str, Callable[[], Any]] = {
        "csv": lambda: _csv(folder, step),
        "tensorboard": lambda: loggers.TensorBoardLogger(folder, name="", version="tensorboard"),
        "mlflow": lambda: loggers.MLFlowLogger(experiment_name="beholder", save_dir=str(folder / "mlflow")),
    }
    found = []
    for name in names:
        try:
            found.append(makers[name]())
        except ModuleNotFoundError as error:
            raise InputError(f"run.loggers: {name} needs: pip install {name}") from error
    return found


def _csv(folder: Path, step: int) -> Any:
    """A logger whose file begins with the rows before the step: by itself it deletes the file of its folder."""
    from pytorch_lightning.loggers import CSVLogger

    path = folder / "log" / "metrics.csv"
    rows = _rows_before(path, step)
    found = CSVLogger(folder, name="", version="log")
    found.experiment.metrics = rows
    found.save()
    return found


def _rows_before(path: Path, step: int) -> list[dict[str, Any]]:
    """Rows of the steps before this one; those after the state that was kept are made anew."""
    if not step or not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file, strict=True) if int(row["step"]) < step]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise damaged(path, "expected rows with a step") from error
