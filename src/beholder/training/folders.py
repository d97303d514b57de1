"""A run's folder: whose it is, and what it keeps of the run beside the models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from beholder.datasets.splits import write_split
from beholder.datasets.tables import Dataset, write_whole
from beholder.errors import InputError, ModelError
from beholder.training.config import Config
from beholder.training.devices import parse_devices

SPLIT, RUN = "split.json", "run.json"
LAST = "last.ckpt"
"""The file in a member's folder that an interrupted training goes on from."""
BEST = "best.pt"
"""The file in a member's folder with the weights of its best epoch."""
DONE, FIGURES = "done", "figures.json"
"""Files in a member's folder that say that its training has ended, and with which figures."""
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
    path = folder / RUN
    if not path.is_file() and any((folder / name).exists() for name in (SPLIT, "config.toml")):
        raise InputError(f"{folder} holds files of yours that a run would overwrite; choose a folder for runs alone")
    sections = absolute(config).to_dict()
    sections["run"] |= HOW | {"devices": count_devices(config.run.devices)}  # how, not what
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


def count_devices(name: str) -> str:
    """What of `run.devices` makes another run: how many there are, in which steps have more pictures."""
    size = parse_devices(name).size
    return str(size) if size > 1 else "auto"


def is_of(folder: Path, config: Config) -> bool:
    """Whether a folder holds a run on this configuration's data, with its split."""
    if not (folder / SPLIT).is_file() or not (folder / RUN).is_file():
        return False
    kept: bool = known_run(folder).get("config", {}).get("data") == absolute(config).to_dict()["data"]
    return kept


def known_run(folder: Path) -> dict[str, Any]:
    """What `run.json` says of the run in a folder; ModelError for a damaged one."""
    try:
        found: Any = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except ValueError as error:
        raise damaged(folder / RUN, str(error)) from error
    if not isinstance(found, dict) or not isinstance(found.get("config"), dict):
        raise damaged(folder / RUN, "it describes no run")
    return found


def damaged(path: Path, why: str) -> ModelError:
    """That a file of a run cannot be gone on from."""
    return ModelError(
        f"{path} is damaged ({why}); restore it, choose another folder, or begin anew with --restart (restart=True)"
    )


# --- how far a member's training is -----------------------------------------------------------------------------------


def write_end(folder: Path, figures: list[dict[str, float]], seconds: float, *, limited: bool) -> None:
    """Keep that a training has ended, after how many seconds, and its figures; limited: by `run.minutes`."""
    write_whole(folder / FIGURES, json.dumps(figures).encode())
    write_whole(folder / DONE, f"{seconds:.0f} seconds{' limited' * limited}\n".encode())


def is_done(folder: Path, minutes: float) -> bool:
    """Whether a member's training has ended, and not by a limit of time that is wider or gone now."""
    path = folder / DONE
    if not path.is_file():
        return False
    seconds = read_seconds(path)
    limited = "limited" in path.read_text(encoding="utf-8").split()
    return not limited or 0 < 60 * minutes <= seconds or not (folder / LAST).is_file()


def read_seconds(path: Path) -> float:
    """How long a training took, out of the file that says that it has ended; ModelError for a damaged one."""
    try:
        return float(path.read_text(encoding="utf-8").split()[0])
    except (ValueError, IndexError) as error:
        raise damaged(path, "expected a number of seconds") from error


def read_figures(folder: Path) -> list[dict[str, float]]:
    """The figures of all epochs of a training that has ended; ModelError for a damaged file."""
    path = folder / FIGURES
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(path, str(error)) from error
    if not (isinstance(found, list) and found and all(isinstance(f, dict) and "srcc" in f for f in found)):
        raise damaged(path, "expected the figures of every epoch")
    return found


def read_state(path: Path) -> dict[str, Any]:
    """The state of an interrupted training; ModelError for a damaged file."""
    import torch

    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged file raises has no base class of its own
        raise damaged(path, "no state of a training can be read from it") from error
    if not isinstance(found, dict) or not {"beholder", "state_dict", "callbacks", "loops"} <= found.keys():
        raise damaged(path, "it holds something else than the state of a training")
    return found
