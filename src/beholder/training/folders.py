"""A run's folder: whose it is, and what it keeps of the run beside the models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from beholder.datasets.splits import write_split
from beholder.datasets.tables import Dataset
from beholder.errors import InputError, OutputError
from beholder.training.config import Config

SPLIT, RUN = "split.json", "run.json"
HOW = {"workers": 0, "minutes": 0.0, "checkpoint_minutes": 0.0, "threads": 0, "devices": "auto", "loggers": []}
"""Fields of [run] that do not make another run, at their neutral values."""
PATHS = ("data.table", "data.root", "data.split", "synthesis.photographs", "input.cache", "input.frozen_cache")
"""Fields of a configuration that hold paths."""


def absolute(config: Config) -> Config:
    """The configuration with absolute paths, so that it holds in any working folder."""
    return _with_paths(config, lambda path: str(Path(path).absolute()))


def told(config: Config) -> Config:
    """The configuration with the last part of every path alone: what goes into a model file, which travels."""
    config = _with_paths(config, lambda path: Path(path).name)
    weights = config.model.weights
    return config.replace({"model.weights": Path(weights).name if weights else weights})


def _with_paths(config: Config, change: Callable[[str], str]) -> Config:
    sections = config.to_dict()
    given = {key: sections[key.split(".")[0]][key.split(".")[1]] for key in PATHS}
    return config.replace({key: change(value) for key, value in given.items() if value})


def claim(folder: Path, config: Config, data: Dataset, *, restart: bool) -> None:
    """Make the run's folder this configuration's; InputError where it holds another one's run."""
    for name in ("train", "validation"):
        if not len(data.of(name)):
            raise InputError(f"the data set has no picture in the split {name!r}; set data.shares or data.split")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made a run's folder: {error}") from error
    path = folder / RUN
    if not path.is_file() and any((folder / name).exists() for name in (SPLIT, "config.toml")):
        raise InputError(f"{folder} holds files of yours that a run would overwrite; choose a folder for runs alone")
    sections = absolute(config).to_dict()
    sections["run"] |= HOW  # how, not what
    mine = {"config": sections, "data": data.digest}
    if restart:
        for old in [*folder.glob("member-*/*.ckpt"), *folder.glob("member-*/best.pt"), *folder.glob("member-*/done")]:
            old.unlink()
    elif path.is_file() and known_run(folder) != mine and any(folder.glob("member-*/*")):
        raise InputError(
            f"{folder} holds a run of another configuration or other data; choose another folder, or restart"
        )
    path.write_text(json.dumps(mine, indent=1), encoding="utf-8")
    (folder / "config.toml").write_text(absolute(config).to_toml(), encoding="utf-8")
    write_split(data, folder / SPLIT, seed=config.data.seed, shares=config.data.shares)


def is_of(folder: Path, config: Config) -> bool:
    """Whether a folder holds a run on this configuration's data, with its split."""
    if not (folder / SPLIT).is_file() or not (folder / RUN).is_file():
        return False
    kept: bool = known_run(folder).get("config", {}).get("data") == absolute(config).to_dict()["data"]
    return kept


def known_run(folder: Path) -> dict[str, Any]:
    """What `run.json` says of the run in a folder; InputError for a damaged one."""
    try:
        found: dict[str, Any] = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{folder / RUN} is damaged ({error}); choose another folder, or remove this one") from error
    return found
