"""Search over any field of a `Config`: grid, random or Bayesian, pruned, kept in SQLite, resumable."""

from __future__ import annotations

import csv
import itertools
import json
import math
import random
import sqlite3
import sys
import tomllib
import typing
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from beholder.errors import (
    BeholderError,
    InputError,
    MissingExtraError,
    ModelError,
    ReadError,
    StoppedError,
    TrainingError,
)
from beholder.locks import end_with_parent, locked
from beholder.progress import quieted, tell
from beholder.training.config import SECTIONS, Config
from beholder.training.curves import draw_study
from beholder.training.folders import count_devices

METHODS = ("grid", "random", "tpe", "gp")
FIGURES: dict[str, Literal["maximize", "minimize"]] = {
    "srcc": "maximize",
    "plcc": "maximize",
    "krcc": "maximize",
    "rmse": "minimize",
}
DATABASE = "study.db"
HOW = ("workers", "threads", "checkpoint_minutes", "loggers", "devices")
"""Keys of [run] that say how a trial runs, not what it finds: they may change while a study is under way."""
WITHOUT_EFFECT = {
    **dict.fromkeys((f"run.{name}" for name in HOW), "it says how a trial runs, not what it finds"),
    "run.minutes": "what a time gives depends on the machine; search run.epochs",
    "run.level": "it settles the interval of a finished model",
    "model.members": "a trial trains one network",
}
"""Keys that it makes no sense to search, and why."""
CHECKED = ("loss.", "synthesis.", "run.batch")
"""Beginnings of keys that decide whether an option has an effect: where one is searched, each trial is checked."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is searched, and how.

    base: the configuration that the trials change; space: by dotted key of it either values to choose from, or
    {"low": …, "high": …} with "log" or "step" for numbers; method: "grid" (of choices), "random", "tpe" (tree of
    Parzen estimators, Bergstra et al. 2011) or "gp" (Gaussian process); trials: how many, for grid at most; figure: on
    validation, of the best epoch; prune: whether poor trials end early, by successive halving (Jamieson and Talwalkar
    2016, doi:10.48550/arXiv.1502.07943); startup: trials drawn at random before a Bayesian method begins.
    """

    base: Config
    space: Mapping[str, Any]
    method: str = "tpe"
    trials: int = 20
    figure: str = "srcc"
    prune: bool = False
    startup: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        for name, kind, least in (("trials", int, 1), ("startup", int, 1), ("seed", int, 0), ("prune", bool, None)):
            value = getattr(self, name)
            if type(value) is not kind:
                raise InputError(f"tune.{name} must be of type {kind.__name__}, got {value!r} ({type(value).__name__})")
            if least is not None and value < least:
                raise InputError(f"tune.{name} must be at least {least}, got {value}")
        if self.method not in METHODS:
            raise InputError(f"tune.method must be one of {', '.join(METHODS)}, got {self.method!r}")
        if not isinstance(self.figure, str) or self.figure not in FIGURES:
            raise InputError(f"tune.figure must be one of {', '.join(FIGURES)}, got {self.figure!r}")
        if not (isinstance(self.space, Mapping) and self.space):
            raise InputError(
                'tune.space must name what to search, such as "optimiser.rate" = {low=1e-4, high=1e-1, log=true}, '
                f"got {self.space!r}"
            )
        for key, span in self.space.items():
            _check_span(self.base, key, span, self.method)

    @classmethod
    def read(cls, path: str | Path) -> Study:
        """A Study out of a TOML file: a configuration and a section [tune] with its own table `space`."""
        try:
            # editors on Windows put a mark in front
            sections = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the study {path} cannot be read: {error}") from error
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{path} is not TOML: {error}") from error
        mine = sections.pop("tune", None)
        if not isinstance(mine, dict):
            raise InputError(f"{path} has no section [tune]; a study needs one, with the table [tune.space]")
        _check_keys(mine)
        return cls(base=Config.of(sections), **mine)

    def changed(self, changes: Mapping[str, Any]) -> Study:
        """The study with some keys changed, dotted: of the base, ``tune.…``, or ``tune.space.section.key``."""
        mine: dict[str, Any] = {}
        space = dict(self.space)
        for key, value in changes.items():
            section, _, name = key.partition(".")
            if section == "tune":
                inner = name.removeprefix("space.")
                (mine if inner == name else space)[inner] = value
        _check_keys(mine)
        base = self.base.replace({k: v for k, v in changes.items() if k.partition(".")[0] != "tune"})
        return replace(self, base=base, **{"space": space, **mine})


@dataclass(frozen=True)
class Found:
    """What a study found: the best configuration, its figure, every finished trial, and the best one's number."""

    config: Config
    value: float
    trials: list[dict[str, Any]] = field(repr=False)
    importance: dict[str, float]
    trial: int


class Pruned(Exception):  # noqa: N818  # it is no error
    """A trial is so poor that it is ended."""


def _check_keys(mine: Mapping[str, Any]) -> None:
    known = {f.name for f in fields(Study)} - {"base"}
    for key in mine:
        if key not in known:
            raise InputError(f"unknown key tune.{key}; [tune] knows {', '.join(sorted(known))}")


def _check_span(base: Config, key: str, span: Any, method: str) -> None:
    """InputError for what is no key to search, and for values and ranges that the key cannot take."""
    section, _, name = str(key).partition(".")
    if section == "data":
        raise InputError(
            f"tune.space {key!r} has no effect: the data are opened once for all trials; "
            "set it in [data], and make a study of each value"
        )
    if key in WITHOUT_EFFECT:
        raise InputError(f"tune.space {key!r} has no effect: {WITHOUT_EFFECT[key]}; set it in [{section}]")
    if section not in SECTIONS or not name:
        raise InputError(f"tune.space: unknown key {key!r} of the configuration; write section.key, in quotes")
    if isinstance(span, Mapping):
        values = _check_range(key, span, method)
    elif isinstance(span, (list, tuple)) and span:
        values = list(span)
        _check_choices(key, values)
    else:
        raise InputError(f"tune.space {key!r} must be a list of values or a range {{low, high}}, got {span!r}")
    for value in values:
        base.replace({key: value})  # raises for unknown keys, wrong types and values out of range
    if isinstance(span, Mapping) and _is_whole(base, key, span) and not isinstance(span.get("step", 1), int):
        raise InputError(f"tune.space {key!r} is searched in whole numbers; step must be one, got {span['step']!r}")


def _check_range(key: str, span: Mapping[str, Any], method: str) -> list[Any]:
    """Both ends of a range."""
    if set(span) - {"low", "high", "log", "step"} or not {"low", "high"} <= set(span):
        raise InputError(
            f"tune.space {key!r} needs low < high, and log or step where wanted, got {dict(span)}; "
            "a key with dots is written in quotes"
        )
    for name in ("low", "high", "step"):
        value = span.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise InputError(f"tune.space {key!r}: {name} must be a number, got {value!r}")
    low, high, log = span["low"], span["high"], span.get("log", False)
    if not low < high:
        raise InputError(f"tune.space {key!r} needs low < high, got {dict(span)}")
    if method == "grid":
        raise InputError(f"tune.space {key!r}: a grid needs a list of values, got a range")
    if not isinstance(log, bool):
        raise InputError(f"tune.space {key!r}: log must be true or false, got {log!r}")
    if log and low <= 0:
        raise InputError(f"tune.space {key!r}: with log = true low must be above 0, got {low!r}")
    if log and "step" in span:
        raise InputError(f"tune.space {key!r} has both log and step; leave one of them out")
    if span.get("step", 1) <= 0:
        raise InputError(f"tune.space {key!r}: step must be above 0, got {span['step']!r}")
    return [low, high]


def _check_choices(key: str, values: list[Any]) -> None:
    for i, value in enumerate(values):
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"tune.space {key!r} cannot be kept with the value {value!r}: {error}") from error
        if value in values[:i]:  # also true beside 1: a trial's value could not be told from the other
            raise InputError(f"tune.space {key!r} has the value {value!r} twice; leave one of them out")


def _is_whole(base: Config, key: str, span: Mapping[str, Any]) -> bool:
    """Whether a range is of whole numbers: as the key's type says, else as its value in the base and the ends do."""
    section, first, *deeper = key.split(".")
    hint: Any = typing.get_type_hints(SECTIONS[section])[first]
    value: Any = base.to_dict()[section][first]
    for step in deeper:
        hint = typing.get_args(hint)[1] if typing.get_args(hint) else Any
        value = value.get(step) if isinstance(value, Mapping) else None
    if hint in (int, float):
        return hint is int
    return not isinstance(value, float) and isinstance(span["low"], int) and isinstance(span["high"], int)


def tune(study: Study, folder: str | Path, *, workers: int = 1, quiet: bool = False) -> Found:
    """Run a study, or go on with it, and write trials.csv, tuning.png and best.toml beside its database.

    folder: of the study; every trial has its own in it. workers: trials at once, each a process. Raises InputError for
    a folder with another study, OutputError for one in which a study is under way, StoppedError after an interrupt,
    when all state is kept.
    """
    folder = Path(folder)
    with _calm():
        data = _gather(study)
        with locked(folder, "a study"):
            _claim(study, folder, data)
            _revive(study, folder)
            if study.method == "grid":
                _lay_out(study, folder)
            if workers > 1:
                _in_processes(study, folder, data, workers, quiet=quiet)
            else:
                _work(study, folder, data, quiet=quiet)
            return _conclude(study, folder)


def _gather(study: Study) -> Any:
    """The data of all trials; InputError also for an architecture that nobody knows, which only PyTorch can tell."""
    from beholder.models.assessors.architectures import find_architecture
    from beholder.training import open_data  # it says which extra is missing
    from beholder.training.opening import check_pictures

    for name in study.space.get("model.architecture", [study.base.model.architecture]):
        find_architecture(name)
    if not any(key.startswith(CHECKED) for key in study.space):
        study.base.check()
    data = open_data(study.base)
    check_pictures(data, study.base)
    return data


def _described(study: Study) -> dict[str, Any]:
    space = {k: dict(v) if isinstance(v, Mapping) else list(v) for k, v in study.space.items()}
    more = {n: getattr(study, n) for n in ("method", "figure", "prune", "startup", "seed")}
    return {"base": study.base.to_dict(), "space": space, **more}


def _claim(study: Study, folder: Path, data: Any) -> None:
    """More trials may be asked for than before, and run in another way; all else has to be the same."""
    path, mine = folder / "study.json", json.loads(json.dumps({**_described(study), "data": data.digest}))
    if path.is_file():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            theirs = {**kept, "base": _without_how(kept["base"])}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(
                f"{path} does not describe a study ({error}); "
                "if the folder's trials are of this study, remove that file, else choose another folder"
            ) from error
        ours = {**mine, "base": _without_how(mine["base"])}
        differ = [name for name in ours if theirs.get(name) != ours[name]]
        if differ:
            raise InputError(
                f"{folder} holds another study (other {', '.join(differ)}); choose another folder, or remove it"
            )
    part = path.with_suffix(".part")
    part.write_text(json.dumps(mine, indent=1), encoding="utf-8")
    part.replace(path)


def _without_how(base: dict[str, Any]) -> dict[str, Any]:
    run = {name: value for name, value in base["run"].items() if name not in HOW}
    count = count_devices(base["run"]["devices"])  # steps of several devices have more pictures
    return {**base, "run": run if count == "auto" else {**run, "devices": count}}


@contextmanager
def _calm() -> Iterator[None]:
    """Without Optuna's log; MissingExtraError where it is not installed."""
    try:
        import optuna  # noqa: F401  # it sets its log up when it is loaded
    except ImportError as error:
        raise MissingExtraError('tuning needs: pip install "beholder[train]"') from error
    with quieted("optuna"):
        yield


def _open(study: Study, folder: Path) -> Any:
    import optuna
    from sqlalchemy.exc import DatabaseError

    path = (folder / DATABASE).resolve()
    pruner = optuna.pruners.SuccessiveHalvingPruner(reduction_factor=3) if study.prune else optuna.pruners.NopPruner()
    try:
        # The path goes past the URL, in which ?, # and % have a meaning.
        how = {"creator": lambda: sqlite3.connect(path, timeout=60, check_same_thread=False)}
        return optuna.create_study(
            storage=optuna.storages.RDBStorage(f"sqlite:///{DATABASE}", engine_kwargs=how),
            study_name="beholder",
            direction=FIGURES[study.figure],
            pruner=pruner,
            load_if_exists=True,
        )
    except DatabaseError as error:
        raise InputError(
            f"{path} cannot be opened as a study's database ({error.orig}); restore or remove it"
        ) from error


def _sampler(study: Study, begun: int) -> Any:
    """A sampler that depends on seed and history alone, so that an interrupted study goes on as it would have.

    begun: trials that have ended or are under way: those who work beside each other draw different ones.
    """
    import optuna

    seed = (study.seed * 100_003 + begun) % 2**32
    if study.method in ("grid", "random"):  # a grid's trials are laid out beforehand
        return optuna.samplers.RandomSampler(seed=seed)
    if study.method == "tpe":
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=study.startup, multivariate=False)
    return optuna.samplers.GPSampler(seed=seed, n_startup_trials=study.startup, deterministic_objective=False)


def _coded(space: Mapping[str, Any]) -> dict[str, Any]:
    """Choices as what Optuna can store: numbers, words and truth values stay, all else becomes JSON."""
    plain = (str, int, float, bool)
    return {
        key: span if isinstance(span, Mapping) else [v if isinstance(v, plain) else json.dumps(v) for v in span]
        for key, span in space.items()
    }


def _suggest(trial: Any, study: Study) -> dict[str, Any]:
    """The changes of a trial, by dotted key."""
    changes: dict[str, Any] = {}
    for key, span in _coded(study.space).items():
        if isinstance(span, Mapping):
            whole = _is_whole(study.base, key, span)
            kind, draw = (int, trial.suggest_int) if whole else (float, trial.suggest_float)
            more = {"step": kind(span["step"])} if "step" in span else {"log": span.get("log", False)}
            changes[key] = draw(key, kind(span["low"]), kind(span["high"]), **more)
        else:
            chosen = trial.suggest_categorical(key, span)
            changes[key] = study.space[key][span.index(chosen)]
    return changes


def _changed(study: Study, changes: Mapping[str, Any]) -> Config:
    """The configuration of a trial, without the settings of losses that other trials have."""
    config = study.base.replace(changes)
    if not any(key.startswith("loss.terms") for key in study.space):
        return config
    kept = {name: dict(values) for name, values in config.loss.settings.items() if name in config.loss.terms}
    return config.replace({"loss.settings": kept})


def _finished(kept: Any) -> list[Any]:
    from optuna.trial import TrialState

    found: list[Any] = kept.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    return found


def _revive(study: Study, folder: Path) -> None:
    """Trials that were under way when a study was ended are asked again, to go on in their folders."""
    from optuna.trial import TrialState

    kept = _open(study, folder)
    waiting = {t.user_attrs.get("folder") for t in kept.get_trials(deepcopy=False, states=(TrialState.WAITING,))}
    for trial in kept.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        kept.tell(trial.number, state=TrialState.FAIL)
        _ask_again(kept, trial, waiting)


def _ask_again(kept: Any, trial: Any, waiting: set[Any]) -> None:
    place = trial.user_attrs.get("folder", f"trial-{trial.number:04d}")
    if trial.params and place not in waiting:
        more = {name: trial.user_attrs[name] for name in ("failed",) if name in trial.user_attrs}
        kept.enqueue_trial(trial.params, user_attrs={"folder": place, **more})


def _grid(study: Study) -> list[dict[str, Any]]:
    """Every combination of the values, in an order that the seed draws, no more than there are to be trials."""
    coded = _coded(study.space)
    every = [dict(zip(coded, values, strict=True)) for values in itertools.product(*coded.values())]
    random.Random(study.seed).shuffle(every)
    return every[: study.trials]


def _lay_out(study: Study, folder: Path) -> None:
    """Ask for every trial of a grid that has not been asked for."""
    kept = _open(study, folder)
    for values in _grid(study):
        kept.enqueue_trial(values, skip_if_exists=True)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Within it PyTorch has this many threads; 0: as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _work(
    study: Study, folder: Path, data: Any, *, quiet: bool, turn: AbstractContextManager[Any] | None = None
) -> None:
    """Trials, one after the other, until there are enough.

    turn: a lock that those who work at the same study share, so that none begins a trial too many.
    """
    from optuna.trial import TrialState

    most = len(_grid(study)) if study.method == "grid" else study.trials
    proven = False  # whether a trial has gone well here, so that what fails is due to the trial
    while True:
        kept = _open(study, folder)
        with turn or nullcontext():
            running = len(kept.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
            finished = len(_finished(kept))
            if finished + running >= most:
                return
            kept.sampler = _sampler(study, finished + running)
            trial = kept.ask()
            changes = _suggest(trial, study)
            place = trial.user_attrs.get("folder") or f"trial-{trial.number:04d}"
            trial.set_user_attr("folder", place)
        if not quiet:
            told = ", ".join(f"{k} = {v}" for k, v in changes.items())
            tell(f"trial {finished + 1} of {most}: {told}")
        try:
            with _threads(study.base.run.threads):
                value = _try(study, _changed(study, changes), data, folder / place, trial)
            kept.tell(trial, value)
            proven = True
        except (Pruned, TrainingError) as error:  # a rate too high is a finding, no reason to end the study
            _pass_over(kept, trial, str(error), quiet=quiet)
        except (StoppedError, KeyboardInterrupt, OSError, ReadError, MissingExtraError):  # no fault of the trial
            _leave(kept, trial)
            raise
        except Exception as error:
            if not ((proven and isinstance(error, (InputError, ModelError))) or trial.user_attrs.get("failed")):
                trial.set_user_attr("failed", True)  # it is tried once more: the cause may have been mended
                _leave(kept, trial)
                if not quiet:
                    tell(f"{place} failed; the same call tries it once more, and then passes over it")
                raise
            _pass_over(kept, trial, f"{type(error).__name__}: {error}", quiet=quiet)


def _pass_over(kept: Any, trial: Any, why: str, *, quiet: bool) -> None:
    """The trial counts as finished, and as poor."""
    from optuna.trial import TrialState

    if why:
        trial.set_user_attr("error", why)
        if not quiet:
            tell(f"{trial.user_attrs['folder']} is passed over: {why}")
    kept.tell(trial, state=TrialState.PRUNED)


def _leave(kept: Any, trial: Any) -> None:
    """The trial does not count; it is asked again."""
    from optuna.trial import TrialState

    kept.tell(trial, state=TrialState.FAIL)
    _ask_again(kept, kept.trials[trial.number], set())


def _try(study: Study, config: Config, data: Any, folder: Path, trial: Any) -> float:
    """The figure of the best epoch of one training; Pruned where no epoch has one."""
    from beholder.training.fitting import begun_from, train_member

    config.check()
    sign = 1 if FIGURES[study.figure] == "maximize" else -1

    def report(curves: list[dict[str, float]]) -> None:
        for step in range(len(trial.user_attrs.get("seen", [])), len(curves)):
            trial.report(curves[step][study.figure], step)
        trial.set_user_attr("seen", [c[study.figure] for c in curves])

    def watch(curves: list[dict[str, float]]) -> None:
        report(curves)
        if study.prune and trial.should_prune():
            value = curves[-1][study.figure]  # of no number every pruner says that it is poor
            raise Pruned("" if math.isfinite(value) else f"{study.figure} was no number in epoch {len(curves)}")

    with locked(folder, "a trial"):
        (folder / "config.toml").write_text(config.to_toml(), encoding="utf-8")
        _, curves = train_member(begun_from(config), data, folder, watch=watch, quiet=True)
    report(curves)  # a training that had ended before does not show its epochs again
    good = [c for c in curves if math.isfinite(c[study.figure])]
    if not good:
        raise Pruned(f"{study.figure} was no number in any of {len(curves)} epochs; nothing has been learned")
    best = max(good, key=lambda c: sign * c[study.figure])
    trial.set_user_attr("epoch", int(best["epoch"]))
    return best[study.figure]


def _in_processes(study: Study, folder: Path, data: Any, workers: int, *, quiet: bool) -> None:
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    turn = context.Lock()
    each = [context.Process(target=_process, args=(study, folder, data, quiet, turn)) for _ in range(workers)]
    for process in each:
        process.start()
    try:
        for process in each:
            process.join()
    except KeyboardInterrupt:  # the processes had it, too: they keep their state
        for process in each:
            process.join()
        raise
    failed = [p.exitcode for p in each if p.exitcode]
    if failed:
        raise InputError(f"{len(failed)} of {workers} processes of the study failed; their errors stand above")


def _process(  # pragma: no cover  # in another process
    study: Study, folder: Path, data: Any, quiet: bool, turn: Any
) -> None:
    end_with_parent()
    with _calm():
        try:
            _work(study, folder, data, quiet=quiet, turn=turn)
        except (StoppedError, KeyboardInterrupt):
            sys.exit(0)
        except (BeholderError, OSError) as error:
            tell(f"beholder: {error}")
            sys.exit(1)


def _conclude(study: Study, folder: Path) -> Found:
    """The best trial, the table of all, what mattered, pictures."""
    from optuna.trial import TrialState

    kept = _open(study, folder)
    done = kept.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    rows = [_row(t, study) for t in _finished(kept)]
    if rows:
        with (folder / "trials.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    if not done:
        told = next((f" ({row['error']})" for row in rows if row["error"]), "")
        raise InputError(
            f"none of {len(rows)} trials of {folder} has ended well{told}; "
            "see its trials.csv, and search other values in another folder"
        )
    best = kept.best_trial
    config = _changed(study, _decoded(best.params, study))
    (folder / "best.toml").write_text(config.to_toml(), encoding="utf-8")
    importance = _importance(kept, study)
    (folder / "best.json").write_text(
        json.dumps({study.figure: best.value, "trial": best.number, "importance": importance}, indent=1),
        encoding="utf-8",
    )
    draw_study(rows, list(study.space), study.figure, importance, folder / "tuning.png")
    return Found(config, float(best.value), rows, importance, best.number)


def _decoded(parameters: Mapping[str, Any], study: Study) -> dict[str, Any]:
    coded = _coded(study.space)
    return {
        key: value if isinstance(coded[key], Mapping) else study.space[key][coded[key].index(value)]
        for key, value in parameters.items()
    }


def _row(trial: Any, study: Study) -> dict[str, Any]:
    seen = trial.user_attrs.get("seen", [])
    value = trial.value if trial.value is not None else (seen[-1] if seen else None)
    if value is not None and not math.isfinite(value):
        value = None
    return {
        "trial": trial.number,
        "state": trial.state.name.lower(),
        study.figure: value,
        "epochs": len(seen),
        **{key: trial.params.get(key) for key in study.space},
        "folder": trial.user_attrs.get("folder", ""),
        "error": trial.user_attrs.get("error", ""),
    }


def _importance(kept: Any, study: Study) -> dict[str, float]:
    """How much of the difference between good and other trials each key explains, in shares (PED-ANOVA).

    Source: Watanabe et al. 2023, doi:10.24963/ijcai.2023/488.
    """
    import warnings

    import optuna

    done = [t for t in _finished(kept) if t.value is not None]
    if len(done) < 4 or len({t.value for t in done}) < 2:
        return {}
    with warnings.catch_warnings():  # it calls itself experimental
        warnings.simplefilter("ignore")
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        found = optuna.importance.get_param_importances(kept, evaluator=evaluator, params=list(study.space))
    return {key: round(float(value), 4) for key, value in found.items()}
