"""`fit`: from a configuration to a model file, with everything that a reviewer would ask for on the way."""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from beholder.datasets.tables import Dataset
from beholder.distortions.chains import list_distortions
from beholder.distortions.registry import Distortion, find
from beholder.errors import InputError, ModelError, StoppedError
from beholder.evaluation import agreement
from beholder.locks import locked
from beholder.models.assessors.architectures import check_model, find_architecture
from beholder.models.assessors.bodies import find_bodies, freeze
from beholder.models.assessors.costs import count_parameters
from beholder.models.assessors.domain import Domain
from beholder.models.assessors.ensembles import Ensemble
from beholder.models.assessors.heads import Standard, set_target
from beholder.models.assessors.networks import fold_norms, is_code, load_network, make_network, save_network
from beholder.models.backbones import read_state as read_tensors
from beholder.models.cards import card_of
from beholder.models.files import load_model, read_header, shipped
from beholder.models.runtime import ASSESSORS
from beholder.progress import Counter, quieted, tell
from beholder.training import ranks
from beholder.training.caching import BegunFeed, check_cache, collate_begun
from beholder.training.calibration import conformal_interval, coverage, domain_of, fewest_pictures
from beholder.training.config import Config
from beholder.training.curves import draw_curves
from beholder.training.devices import Devices, find_devices
from beholder.training.feeding import Feed, Loader
from beholder.training.folders import (
    BEST,
    LAST,
    claim,
    damaged,
    is_done,
    read_figures,
    read_seconds,
    read_state,
    told,
    write_end,
)
from beholder.training.launching import Line, train_on
from beholder.training.learning import Assessing, Best, Keeper
from beholder.training.logs import make_loggers
from beholder.training.opening import check_pictures, open_data, tell_of_crop
from beholder.training.strategies import make_environment, make_strategy
from beholder.version import __version__

MOST_FOR_DOMAIN = 2000
"""Training pictures whose features describe the domain."""


@dataclass(frozen=True)
class Result:
    """What a training gave: the model's file, and its figures on the validation pictures."""

    model: Path
    figures: dict[str, float]
    epochs: int
    seconds: float
    curves: list[dict[str, float]] = field(default_factory=list, repr=False)


def fit(config: Config, folder: str | Path, *, restart: bool = False, quiet: bool = False) -> Result:
    """Train, calibrate and write a quality network.

    folder: the run's: configuration, split, checkpoints, figures.csv, curves.png, model.safetensors and model.onnx. A
    run that was interrupted there goes on, unless `restart`. quiet: no progress on stderr. Where `run.devices` names
    several, processes are begun for them, which read the calling script: it has to call this below
    `if __name__ == "__main__":`. Raises InputError for a configuration or data that do not fit, ReadError for pictures
    that are not there, ModelError for a run whose files are damaged, OutputError for a folder in which another run is
    under way, StoppedError after an interrupt, when the state is kept.
    """
    if not isinstance(config, Config):
        raise InputError(
            f"fit takes a Config, got {config!r} ({type(config).__name__}); Config.read opens a file, Config.of takes "
            "nested mappings"
        )
    folder, begun = Path(folder).absolute(), time.monotonic()
    config.check()
    config = begun_from(config)
    _check_model(config)
    data = open_data(config, None if restart else folder)
    check_pictures(data, config)
    if not quiet:
        tell_of_crop(data.of("train"), config)
    with locked(folder, "a run"):
        claim(folder, config, data, restart=restart)
        model, found, curves = _train(config, data, folder, quiet=quiet)
        draw_curves(curves, folder / "curves.png", f"{config.model.architecture} on {data.name}")
    return Result(model, found, len(curves), time.monotonic() - begun, curves)


def _train(
    config: Config, data: Dataset, folder: Path, *, quiet: bool
) -> tuple[Path, dict[str, float], list[dict[str, float]]]:
    """The model's file, its figures on validation, and those of the last member's epochs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(config.run.threads or threads)
    try:
        members, curves = [], []
        for member in range(config.model.members):
            network, figures = train_member(config, data, folder, member, quiet=quiet)
            members.append(network)
            curves = figures
        network = members[0] if len(members) == 1 else Ensemble(members)
        return *_finish(network, config, data, folder, curves, quiet=quiet), curves
    finally:
        torch.set_num_threads(threads)


def _check_model(config: Config) -> None:
    part = config.regularisation
    check_model(config.to_dict()["model"], part.dropout, part.stochastic_depth)


def begun_from(config: Config) -> Config:
    """The configuration with the architecture and settings of the model file that it goes on from, where it names one.

    model.weights may also be the name of a shipped model. What the configuration sets itself stays.
    """
    weights = config.model.weights
    if weights in ("imagenet", "none"):
        return config
    header = read_header(find_weights(weights))
    theirs = header.get("config", {}).get("model")
    if theirs is None:
        raise ModelError(f"{weights} was not written by `beholder train`; its header has no configuration")
    if theirs.get("members", 1) != 1:
        raise InputError(f"{weights} holds an ensemble; go on from a model of one member")
    mine = config.model
    if mine.settings or mine.architecture not in (Config().model.architecture, theirs["architecture"]):
        return config
    if is_code(theirs["body"]) and theirs["body"] != mine.body:
        raise InputError(
            f"{weights} asks to call {theirs['body']!r} for its body, which runs code; if you trust it, write "
            f'model.body = "{theirs["body"]}" into your own configuration'
        )
    kept = {key: theirs[key] for key in ("architecture", "settings", "body", "body_settings")}
    return config.replace({f"model.{key}": value for key, value in kept.items()})


def find_weights(weights: str) -> Path:
    """The file that model.weights names: a shipped model, or a path; of an .onnx file, the weights beside it."""
    if weights in ASSESSORS:
        return shipped(f"{weights}.safetensors")
    path = Path(weights)
    if path.suffix != ".onnx":
        return path
    beside = path.with_suffix(".safetensors")
    if not beside.is_file():
        raise ModelError(
            f"model.weights = {weights!r} is for scoring; a training goes on from the weights that were written beside "
            f"it, and {beside} is not there: bring it, or name another model file"
        )
    return beside


def _types(config: Config) -> Sequence[Distortion]:
    """The distortions that the network's types stand for, in order; none without synthesis."""
    if not (config.synthesis.photographs and config.synthesis.count):
        return ()
    return [find(name) for name in config.synthesis.types] or list_distortions("kadid")


def _loaders(config: Config, data: Dataset, network: nn.Module, *, quiet: bool) -> tuple[Loader, Loader]:
    card, terms = find_architecture(config.model.architecture), {n for n, w in config.loss.terms.items() if w}
    kind = config.synthesis.map if terms & {"ssim_map", "map"} else ""
    run = config.run
    least = int(getattr(network, "min_size", 1))
    feed = Feed(data.of("train"), config, compares=card.reference, maps=kind, least=least)
    chains = bool(terms & {"margin_rank", "fidelity"}) or config.regularisation.mixup > 0
    train = _loader(feed, network, config, shuffle=True, batch=run.batch, chains=chains, quiet=quiet)
    seen = Feed(data.of("validation"), config, compares=card.reference, training=False, least=least)
    return train, _loader(seen, network, config, shuffle=False, batch=1, quiet=quiet)


def _loader(feed: Feed, network: nn.Module, config: Config, *, quiet: bool, **how: Any) -> Loader:
    """Batches of pictures, or where the configuration keeps them, of what the frozen stages give."""
    run = config.run
    if not config.input.frozen_cache:
        return Loader(feed, workers=run.workers, seed=run.seed, **how)
    check_cache(network, config)
    begun = BegunFeed(feed, network)
    begun.fill(quiet=quiet)
    return Loader(begun, workers=0, seed=run.seed, join=collate_begun, sizes=begun.sizes(), **how)


def train_member(
    config: Config,
    data: Dataset,
    folder: Path,
    member: int = 0,
    *,
    watch: Callable[[list[dict[str, float]]], None] | None = None,
    quiet: bool = False,
) -> tuple[nn.Module, list[dict[str, float]]]:
    """One network of an ensemble with its best weights, and its figures by epoch; goes on where it was interrupted.

    watch: is shown the figures of all epochs so far after each; what it raises ends the training.
    """
    folder = folder / f"member-{member + 1}"
    folder.mkdir(exist_ok=True)
    seed = config.run.seed + 1000 * member
    config = config.replace({"run.seed": seed})  # order, crops and distortions are a member's own, too
    watch = watch or _teller(config.run.epochs, quiet=quiet)
    devices = find_devices(config.run.devices)
    if devices.size == 1:
        network = train_here(config, data, folder, watch, quiet=quiet)
    else:
        if not is_done(folder, config.run.minutes):
            train_on(devices, config, data, folder, watch, quiet=quiet)
        network = _begin(config, data)
    _load_best(network, folder / BEST)
    return network.eval(), read_figures(folder)


def train_here(
    config: Config,
    data: Dataset,
    folder: Path,
    watch: Callable[[list[dict[str, float]]], None],
    *,
    line: Line | None = None,
    quiet: bool,
) -> nn.Module:
    """Train a member in this process, alone or as one of several, each of which calls it; the network at the end.

    line: to the process that began several.
    """
    run = config.run
    network = _begin(config, data)
    train, validation = _loaders(config, data, network, quiet=quiet)
    steps = math.ceil(len(train) / run.accumulate) * run.epochs
    assessing = Assessing(network, config, steps, run.seed)
    keeper = Keeper(train, folder, run.checkpoint_minutes, run.minutes, line)
    best = Best(folder, watch)
    if not is_done(folder, run.minutes):
        _run(assessing, train, validation, [keeper, best], folder, quiet=quiet)
        if ranks.rank() == 0:
            write_end(folder, assessing.figures, keeper.seconds, limited=keeper.limited)
            if not keeper.limited:
                (folder / LAST).unlink(missing_ok=True)
    return network


def _begin(config: Config, data: Dataset) -> nn.Module:
    """The network before its first step."""
    torch.manual_seed(config.run.seed)
    network = make_network(
        config.to_dict()["model"], config.regularisation.dropout, config.regularisation.stochastic_depth
    )
    if config.model.weights in ("imagenet", "none"):
        known = np.array([s.mos for s in data.of("train")])
        set_target(network, float(known.mean()), float(known.std()))
    else:
        _load_weights(network, config.model.weights)
    if config.model.weights != "none":  # batches are too small to learn normalisations' statistics anew
        for body in find_bodies(network):
            body.fixed_norm = True
    freeze(network, config.model.frozen)
    return network


def _run(
    assessing: Assessing, train: Loader, validation: Loader, callbacks: list[Any], folder: Path, *, quiet: bool
) -> None:
    """Lightning's Trainer, from the beginning or from where it was interrupted."""
    import pytorch_lightning as lightning
    from pytorch_lightning.callbacks import EarlyStopping, TQDMProgressBar

    config = assessing.config
    run, part = config.run, config.optimiser
    state = folder / LAST
    kept = read_state(state) if state.is_file() else None
    if run.patience:
        callbacks = [
            *callbacks,
            EarlyStopping("validation_srcc", mode="max", patience=run.patience, check_finite=False),
        ]
    bar = not quiet and sys.stderr.isatty()  # elsewhere a line for every epoch is enough
    if bar:
        callbacks = [*callbacks, TQDMProgressBar(refresh_rate=10)]
    with _calm():
        trainer = lightning.Trainer(
            **_placed(find_devices(run.devices)),
            precision="bf16-mixed" if run.precision == "bf16" else "32-true",
            max_epochs=run.epochs,
            accumulate_grad_batches=run.accumulate,
            gradient_clip_val=part.clip or None,
            callbacks=callbacks,
            logger=make_loggers(run.loggers, folder, 0 if kept is None else kept["global_step"])
            if ranks.rank() == 0
            else False,
            default_root_dir=folder,
            enable_checkpointing=False,
            enable_progress_bar=bar,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=10,
            use_distributed_sampler=False,
        )
        try:
            network = assessing.to(memory_format=torch.channels_last)
            trainer.fit(network, train, validation, ckpt_path=None if kept is None else state)
        except SystemExit as error:  # Lightning's answer to a second interrupt
            raise StoppedError(
                f"the training was stopped at once; what {state} holds, the same command goes on from"
            ) from error


def _placed(devices: Devices) -> dict[str, Any]:
    """Where Lightning's Trainer runs: on one device, or as one of several processes that have met already."""
    where: dict[str, Any] = {"accelerator": devices.kind, "devices": list(devices.numbers) or devices.size}
    if devices.size > 1:
        where |= {"strategy": make_strategy(), "plugins": [make_environment()]}
    return where


@contextmanager
def _calm() -> Iterator[None]:
    """Without Lightning's advice, which is for those who write their own training."""
    names = ("pytorch_lightning", "lightning.pytorch", "pytorch_lightning.utilities")
    with quieted(*names), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"pytorch_lightning|lightning|torch\.utils\.data|torch\.jit")
        warnings.filterwarnings("ignore", message=r".*(isinstance\(treespec|lr_scheduler\.step).*")
        yield


def _teller(epochs: int, *, quiet: bool) -> Any:
    def show(curves: list[dict[str, float]]) -> None:
        figures = curves[-1]
        if not quiet:
            told = "  ".join(f"{n.upper()} {figures[n]:.4f}" for n in ("srcc", "plcc", "krcc"))
            begin = f"epoch {int(figures['epoch'])} of {epochs}  loss {figures['loss']:.4f}"
            tell(f"{begin}  {told}  RMSE {figures['rmse']:.2f}")

    return show


def _load_best(network: nn.Module, path: Path) -> None:
    """The weights of the best epoch."""
    try:
        network.load_state_dict(read_tensors(path))
    except (ModelError, RuntimeError) as error:  # RuntimeError: tensors of another network
        raise damaged(path, "no weights of this network") from error


def _load_weights(network: nn.Module, path: str) -> None:
    """Begin with a model file's weights; what it has no place for (heads of another kind) stays fresh."""
    header, state = load_model(find_weights(path))
    if header.get("folded"):
        fold_norms(network)
    kept = {k.removeprefix("network."): v for k, v in state.items() if not k.startswith("domain.")}
    own = network.state_dict()
    fitting = {k: v for k, v in kept.items() if k in own and own[k].shape == v.shape}
    if not any(own[k].ndim > 1 for k in fitting):
        raise ModelError(f"no weight in {path} fits this architecture; give model.architecture and settings as in it")
    network.load_state_dict(fitting, strict=False)
    for name, module in network.named_modules():
        if isinstance(module, Standard):
            module.held = f"{name}.mean" in fitting


def predict(
    network: nn.Module, data: Dataset, config: Config, *, features: bool = False, quiet: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]:
    """Scores of all pictures of a data set as they are scored in use, and the features behind them where wanted."""
    card = find_architecture(config.model.architecture)
    least = int(getattr(network, "min_size", 1))
    feed = Feed(data, config, compares=card.reference, training=False, least=least)
    cached = replace(config, input=replace(config.input, frozen_cache="")) if not hasattr(network, "begin") else config
    loader = _loader(feed, network, cached, shuffle=False, batch=1, quiet=quiet)
    scores, seen = [], []
    network.eval()
    counter = Counter("scoring", len(loader), quiet=quiet)
    assessing = Assessing(network, config, 1, 0).eval()
    with torch.inference_mode():
        for given in loader:
            batch = assessing.transfer_batch_to_device(given, torch.device("cpu"), 0)
            judged = assessing(batch.image, batch.reference)
            scores.append(float(judged.score[0].clamp(0, 100)))
            if features and judged.features is not None:
                seen.append(judged.features[0].float().numpy())
            counter.step()
    order = np.argsort(np.concatenate(loader.batches(0)))  # a loader of several sizes takes each size in turn
    per = max(config.input.test_crops, 1)
    said = np.asarray(scores)[order].reshape(-1, per).mean(axis=1)
    return said, np.stack(seen)[order] if seen else None


def _finish(
    network: nn.Module, config: Config, data: Dataset, folder: Path, curves: list[dict[str, float]], *, quiet: bool
) -> tuple[Path, dict[str, float]]:
    """Interval, domain, header; the two files, judged as they are used: on whole pictures."""
    held, learned = data.of("validation"), data.of("train")
    used = config.replace({"input.test_crops": 0})
    said, _ = predict(network, held, used, quiet=quiet)
    known = np.array([s.mos for s in held])
    figures = agreement(said, known)
    needed = fewest_pictures(config.run.level)
    interval = conformal_interval(said, known, config.run.level) if len(held) >= needed else None
    if interval is None:
        tell(f"no interval: at {config.run.level:.0%} it needs {needed} validation pictures, there are {len(held)}")
    else:
        figures["coverage"] = coverage(said, known, interval)
    places = np.random.default_rng(config.run.seed).permutation(len(learned))[:MOST_FOR_DOMAIN]
    some = replace(learned, samples=tuple(learned.samples[i] for i in sorted(places)))
    _, seen = predict(network, some, used, features=True, quiet=quiet)
    domain = None
    if seen is not None and len(seen) > 1:
        domain = Domain(domain_of(seen, getattr(network, "groups", ()), deep=getattr(network, "deep", 0)))
    card = find_architecture(config.model.architecture)
    header = {
        "name": folder.name,
        "architecture": card.name,
        "paper": card.paper,
        "reference": card.reference,
        "min_size": int(getattr(network, "min_size", card.crop)),
        "config": told(config).to_dict(),
        "begun_from": told(config).model.weights if card.bodies or config.model.weights != "imagenet" else "none",
        "epochs": len(curves),
        "best_epoch": 1
        + max(range(len(curves)), key=lambda i: (curves[i]["srcc"] == curves[i]["srcc"], curves[i]["srcc"])),
        "data": {
            "name": data.name,
            "digest": data.digest,
            "pictures": {n: len(data.of(n)) for n in ("train", "validation", "test")},
        },
        "scale": "0-100, higher is better",
        "types": [d.name for d in _types(config)],
        "interval": interval,
        "validation": {name: round(value, 5) if math.isfinite(value) else None for name, value in figures.items()},
        "parameters": count_parameters(network),
        "seed": config.run.seed,
        "seconds": round(sum(read_seconds(path) for path in folder.glob("member-*/done"))),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"beholder": __version__}
        | {p: metadata.version(p) for p in ("torch", "numpy", "pytorch-lightning")},
    }
    if not math.isfinite(figures["srcc"]):
        tell("the network says the same of all validation pictures: it has learned nothing; lower optimiser.rate")
    for old in (*folder.glob("model.*.onnx"), folder / "model.test.json"):  # of a network that was here before
        old.unlink(missing_ok=True)
    save_network(folder / "model", network, header, domain)
    load_network(folder / "model.safetensors", trust=True)  # what cannot be read again is not saved
    (folder / "card.md").write_text(card_of(folder / "model.safetensors"), encoding="utf-8")
    return folder / "model.safetensors", figures
