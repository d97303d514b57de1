"""Search over any field of a `Config`: grid, random or Bayesian, pruned, kept in SQLite, resumable."""

from __future__ import annotations

import csv
import itertools
import json
import random
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from beholder.errors import InputError, MissingExtraError, StoppedError, TrainingError
from beholder.progress import quieted, tell
from beholder.training.config import Config
from beholder.training.curves import draw_study

METHODS = ("grid", "random", "tpe", "gp")
FIGURES: dict[str, Literal["maximize", "minimize"]] = {
    "srcc": "maximize",
    "plcc": "maximize",
    "krcc": "maximize",
    "rmse": "minimize",
}
DATABASE = "study.db"


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
        if self.method not in METHODS:
            raise InputError(f"tune.method must be one of {', '.join(METHODS)}, got {self.method!r}")
        if self.figure not in FIGURES:
            raise InputError(f"tune.figure must be one of {', '.join(FIGURES)}, got {self.figure!r}")
        if not self.space:
            raise InputError(
                'tune.space must name what to search, such as "optimiser.rate" = {low=1e-4, high=1e-1, log=true}'
            )
        if self.trials < 1:
            raise InputError(f"tune.trials must be at least 1, got {self.trials}")
        for key, span in self.space.items():
            _check_span(self.base, key, span, self.method)

    @classmethod
    def read(cls, path: str | Path) -> Study:
        """A Study out of a TOML file: a configuration and a section [tune] with its own table `space`."""
        try:
            sections = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"the study {path} cannot be read: {error}") from error
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{path} is not TOML: {error}") from error
        mine = sections.pop("tune", None)
        if not isinstance(mine, dict):
            raise InputError(f"{path} has no section [tune]; a study needs one, with the table [tune.space]")
        known = {"space", "method", "trials", "figure", "prune", "startup", "seed"}
        for key in mine:
            if key not in known:
                raise InputError(f"unknown key tune.{key}; [tune] knows {', '.join(sorted(known))}")
        return cls(base=Config.of(sections), **mine)


@dataclass(frozen=True)
class Found:
    """What a study found: the best configuration, its figure, and every finished trial."""

    config: Config
    value: float
    trials: list[dict[str, Any]] = field(repr=False)
    importance: dict[str, float]


class Pruned(Exception):  # noqa: N818  # it is no error
    """A trial is so poor that it is ended."""


def _check_span(base: Config, key: str, span: Any, method: str) -> None:
    example = span[0] if isinstance(span, (list, tuple)) and span else None
    if isinstance(span, Mapping):
        extra = set(span) - {"low", "high", "log", "step"}
        if extra or not {"low", "high"} <= set(span) or not span["low"] < span["high"]:
            raise InputError(f"tune.space {key!r} needs low < high, and log or step where wanted, got {dict(span)}")
        if method == "grid":
            raise InputError(f"tune.space {key!r}: a grid needs a list of values, got a range")
        example = span["low"]
    elif example is None:
        raise InputError(f"tune.space {key!r} must be a list of values or a range {{low, high}}, got {span!r}")
    base.replace({key: example})  # raises for unknown keys and wrong types


def tune(study: Study, folder: str | Path, *, workers: int = 1, quiet: bool = False) -> Found:
    """Run a study, or go on with it, and write trials.csv, tuning.png and best.toml beside its database.

    folder: of the study; every trial has its own in it. workers: trials at once, each a process. Raises InputError for
    a folder with another study, StoppedError after an interrupt, when all state is kept.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _claim(study, folder)
    with _calm():
        _revive(study, folder)
        if study.method == "grid":
            _lay_out(study, folder)
        if workers > 1:
            _in_processes(study, folder, workers, quiet=quiet)
        else:
            _work(study, folder, quiet=quiet)
        return _conclude(study, folder)


def _described(study: Study) -> dict[str, Any]:
    space = {k: dict(v) if isinstance(v, Mapping) else list(v) for k, v in study.space.items()}
    more = {n: getattr(study, n) for n in ("method", "figure", "prune", "startup", "seed")}
    return {"base": study.base.to_dict(), "space": space, **more}


def _claim(study: Study, folder: Path) -> None:
    """More trials may be asked for than before; all else has to be the same."""
    path, mine = folder / "study.json", json.loads(json.dumps(_described(study)))
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != mine:
        raise InputError(f"{folder} holds another study; choose another folder, or remove it")
    path.write_text(json.dumps(mine, indent=1), encoding="utf-8")


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

    pruner = optuna.pruners.SuccessiveHalvingPruner(reduction_factor=3) if study.prune else optuna.pruners.NopPruner()
    return optuna.create_study(
        storage=f"sqlite:///{(folder / DATABASE).resolve()}",
        study_name="beholder",
        direction=FIGURES[study.figure],
        pruner=pruner,
        load_if_exists=True,
    )


def _sampler(study: Study, finished: int) -> Any:
    """A sampler that depends on seed and history alone, so that an interrupted study goes on as it would have."""
    import optuna

    seed = study.seed * 100_003 + finished
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
            whole = isinstance(span["low"], int) and isinstance(span["high"], int)
            draw = trial.suggest_int if whole else trial.suggest_float
            more = {n: span[n] for n in ("log", "step") if n in span}
            changes[key] = draw(key, span["low"], span["high"], **more)
        else:
            chosen = trial.suggest_categorical(key, span)
            changes[key] = study.space[key][span.index(chosen)]
    return changes


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
        kept.enqueue_trial(trial.params, user_attrs={"folder": place})


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


def _work(study: Study, folder: Path, *, quiet: bool, turn: AbstractContextManager[Any] | None = None) -> None:
    """Trials, one after the other, until there are enough.

    turn: a lock that those who work at the same study share, so that none begins a trial too many.
    """
    from optuna.trial import TrialState

    from beholder.training.fitting import open_data

    data = open_data(study.base)
    most = len(_grid(study)) if study.method == "grid" else study.trials
    while True:
        kept = _open(study, folder)
        with turn or nullcontext():
            running = len(kept.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
            finished = len(_finished(kept))
            if finished + running >= most:
                return
            kept.sampler = _sampler(study, finished)
            trial = kept.ask()
            changes = _suggest(trial, study)
            place = trial.user_attrs.get("folder") or f"trial-{trial.number:04d}"
            trial.set_user_attr("folder", place)
        if not quiet:
            told = ", ".join(f"{k} = {v}" for k, v in changes.items())
            tell(f"trial {finished + 1} of {most}: {told}")
        try:
            value = _try(study, study.base.replace(changes), data, folder / place, trial)
            kept.tell(trial, value)
        except Pruned:
            kept.tell(trial, state=TrialState.PRUNED)
        except (StoppedError, KeyboardInterrupt):
            kept.tell(trial, state=TrialState.FAIL)
            _ask_again(kept, kept.trials[trial.number], set())
            raise
        except TrainingError as error:  # a rate too high is a finding, no reason to end the study
            trial.set_user_attr("error", str(error))
            kept.tell(trial, state=TrialState.PRUNED)


def _try(study: Study, config: Config, data: Any, folder: Path, trial: Any) -> float:
    """The figure of the best epoch of one training."""
    from beholder.training.fitting import train_member

    sign = 1 if FIGURES[study.figure] == "maximize" else -1

    def watch(curves: list[dict[str, float]]) -> None:
        for step in range(len(trial.user_attrs.get("seen", [])), len(curves)):
            trial.report(curves[step][study.figure], step)
        trial.set_user_attr("seen", [c[study.figure] for c in curves])
        if study.prune and trial.should_prune():
            raise Pruned

    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    _, curves = train_member(config, data, folder, watch=watch, quiet=True)
    best = max(curves, key=lambda c: sign * c[study.figure])
    trial.set_user_attr("epoch", int(best["epoch"]))
    return best[study.figure]


def _in_processes(study: Study, folder: Path, workers: int, *, quiet: bool) -> None:
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    turn = context.Lock()
    each = [context.Process(target=_process, args=(study, folder, quiet, turn)) for _ in range(workers)]
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


def _process(study: Study, folder: Path, quiet: bool, turn: Any) -> None:  # pragma: no cover  # in another process
    with _calm():
        try:
            _work(study, folder, quiet=quiet, turn=turn)
        except (StoppedError, KeyboardInterrupt):
            sys.exit(0)


def _conclude(study: Study, folder: Path) -> Found:
    """The best trial, the table of all, what mattered, pictures."""
    from optuna.trial import TrialState

    kept = _open(study, folder)
    done = kept.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not done:
        raise InputError(f"no trial of {folder} has ended well; see trials.csv, and widen the space")
    rows = [_row(t, study) for t in _finished(kept)]
    with (folder / "trials.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    best = kept.best_trial
    config = study.base.replace(_decoded(best.params, study))
    (folder / "best.toml").write_text(config.to_toml(), encoding="utf-8")
    importance = _importance(kept, study)
    (folder / "best.json").write_text(
        json.dumps({study.figure: best.value, "trial": best.number, "importance": importance}, indent=1),
        encoding="utf-8",
    )
    draw_study(rows, list(study.space), study.figure, importance, folder / "tuning.png")
    return Found(config, float(best.value), rows, importance)


def _decoded(parameters: Mapping[str, Any], study: Study) -> dict[str, Any]:
    coded = _coded(study.space)
    return {
        key: value if isinstance(coded[key], Mapping) else study.space[key][coded[key].index(value)]
        for key, value in parameters.items()
    }


def _row(trial: Any, study: Study) -> dict[str, Any]:
    seen = trial.user_attrs.get("seen", [])
    value = trial.value if trial.value is not None else (seen[-1] if seen else None)
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
