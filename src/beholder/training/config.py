"""`Config`: everything that decides what a training gives, one typed dataclass, read from TOML and saved in the model.

A section of the file is a field of `Config`, a key in it a field of the section's class. Unknown keys, wrong types and
values out of range are errors that name the key; every field is documented where it stands.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

from beholder.errors import InputError
from beholder.training.devices import parse_devices

AUTO = "auto"
NAMES: dict[Any, str] = {tuple: "list", Mapping: "table"}
"""What TOML calls the types of fields that hold several values."""
LARGEST = 2**31 - 1
"""Of whole numbers: what PyTorch and NumPy take everywhere, a seed multiplied by steps included."""


def _field(default: Any, about: str, **limits: Any) -> Any:
    """A field with its documentation and, where it has them, the limits `least`, `most` and `below`, of every value."""
    more = {"about": about, **limits}
    if callable(default):
        return field(default_factory=default, metadata=more)
    return field(default=default, metadata=more)


@dataclass(frozen=True, kw_only=True)
class Data:
    """Which pictures and opinions are learned from."""

    name: str = _field("", "a known data set (`beholder data list`), which settles columns, scale and orientation")
    table: str = _field("", "a table of one's own: CSV, JSON lines or Parquet with the columns image, mos (…)")
    root: str = _field("", "folder that the pictures' paths start from; empty: the table's own folder")
    scale: tuple[float, ...] = _field((), "worst and best value that an opinion can take, in this order, as (1, 5)")
    split: str = _field("", "file with every picture's split; empty: the table's column, else `shares` are drawn")
    shares: tuple[float, float, float] = _field(
        (0.8, 0.1, 0.1), "of train, validation and test, where none is given", least=0
    )
    seed: int = _field(0, "of the split by content", least=0)


@dataclass(frozen=True, kw_only=True)
class Input:
    """How pictures are prepared and varied."""

    crop: int = _field(
        224, "side of the square native crop to train on; 0: the whole picture (batch 1 or equal sizes)", least=0
    )
    crops: int = _field(1, "crops of each picture in an epoch", least=1)
    resize: int = _field(0, "shorter side after a resize before the crop, which hides distortions; 0: never", least=0)
    viewing: bool = _field(True, "whether pictures of more than a megapixel are first reduced as for scoring")
    flip: bool = _field(True, "mirror at random, left and right: keeps the label")
    augment: tuple[str, ...] = _field((), "further label-preserving variations (see beholder.datasets.augmenting)")
    cache: str = _field("", "folder for decoded pictures, so that training does not wait for JPEG; empty: none")
    frozen_cache: str = _field("", "folder for what model.frozen stages give of whole pictures, worked out once")
    test_crops: int = _field(0, "crops averaged in validation; 0: the whole picture as it is scored", least=0)


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """Distorted versions of pristine photographs, made on the fly."""

    photographs: str = _field("", "folder of pristine photographs; empty: none are made")
    count: int = _field(0, "distorted pictures in an epoch", least=0)
    types: tuple[str, ...] = _field((), "distortions to draw from; empty: the 25 of KADID-10k")
    label: str = _field(
        "opinion", "'opinion': human mean of type and level; 'rank': order alone; else a full-reference metric"
    )
    map: Literal["ssim", "gmsd"] = _field("ssim", "local similarity to the photograph that a map head learns")
    weight: float = _field(1.0, "of their loss beside that of the human scores", least=0)


@dataclass(frozen=True, kw_only=True)
class Model:
    """The network."""

    architecture: str = _field("beholder", "a name of `beholder.models.assessors.architectures`")
    settings: Mapping[str, Any] = _field(dict, "the architecture's own settings")
    body: str = _field("", "feature extractor: 'efficientnet_lite0' or a dotted name of a callable; empty: the usual")
    body_settings: Mapping[str, Any] = _field(dict, "keyword arguments of that callable")
    weights: str = _field(
        "imagenet", "'imagenet', 'none' (from scratch), 'beholder' or 'cnniqa' (shipped), or a model file to go on from"
    )
    frozen: int = _field(0, "first stages of the body that are not trained; -1: all of it", least=-1)
    members: int = _field(1, "networks of an ensemble, trained with seeds of their own", least=1)


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What is minimised: a weighted sum."""

    terms: Mapping[str, float] = _field(
        lambda: {"mse": 1.0}, "weight of each loss by its name (beholder.losses)", least=0
    )
    settings: Mapping[str, Mapping[str, Any]] = _field(dict, "settings of a loss by its name, as {huber={delta=5}}")


@dataclass(frozen=True, kw_only=True)
class Optimiser:
    """How it is minimised."""

    name: Literal["sgd", "adam", "adamw", "adagrad", "rmsprop"] = _field("adamw", "the method")
    rate: float = _field(3e-4, "learning rate of the head", least=0)
    body_rate: float = _field(0.1, "the body's rate as a share of the head's", least=0)
    layer_decay: float = _field(1.0, "factor of the rate from one stage of the body to the one before it", least=0)
    momentum: float = _field(0.9, "for sgd and rmsprop", least=0, most=1)
    nesterov: bool = _field(False, "for sgd: look ahead along the momentum")
    betas: tuple[float, float] = _field((0.9, 0.999), "for adam and adamw", least=0, below=1)
    weight_decay: float = _field(1e-4, "of weights; biases and normalisations have none", least=0)
    warm_up: float = _field(0.05, "share of the steps over which the rate rises", least=0, most=1)
    schedule: Literal["constant", "cosine", "plateau", "step"] = _field("cosine", "how the rate falls")
    hold: float = _field(0.0, "share of the steps in which the body waits for the head", least=0, most=1)
    clip: float = _field(0.0, "largest norm of the gradient; 0: none", least=0)
    average: float = _field(0.0, "decay of the moving average of the weights, as .999; 0: none", least=0, most=1)


@dataclass(frozen=True, kw_only=True)
class Regularisation:
    """What keeps it from learning by heart."""

    dropout: float = _field(-1.0, "share of the head's inputs dropped; -1: the architecture's own", least=-1, most=0.95)
    stochastic_depth: float = _field(0.0, "share of residual blocks skipped, rising with depth", least=0, most=0.95)
    label_noise: float = _field(
        0.0, "opinions redrawn normally, by this share of their spread: label smoothing", least=0
    )
    mixup: float = _field(0.0, "Beta parameter of mixing pictures of one content; 0: none", least=0)


@dataclass(frozen=True, kw_only=True)
class Run:
    """How long, with what, where to."""

    epochs: int = _field(10, "passes over the training pictures", least=1)
    batch: int = _field(16, "pictures in a step, on each device", least=1)
    accumulate: int = _field(1, "steps whose gradients are added up", least=1)
    precision: Literal["32", "bf16"] = _field("32", "of the arithmetic: bf16 is quicker where the processor knows it")
    seed: int = _field(0, "of weights, order, crops and distortions", least=0)
    workers: int = _field(0, "processes that prepare pictures beside the training; 0: none", least=0)
    threads: int = _field(
        0, "of PyTorch in each process; 0: all processors; 1 makes a CPU run repeatable to the last bit", least=0
    )
    devices: str = _field(
        "auto",
        "what to run on: 'auto' (one GPU, else the CPU), 'cpu', GPUs by how many ('2') or by number ('0,' or '0,1'), "
        "processes on the CPU ('cpu:2'); each takes batches of its own, so that a step has batch x devices pictures",
    )
    patience: int = _field(0, "epochs without a better validation SRCC after which it stops; 0: never", least=0)
    minutes: float = _field(0.0, "time after which it stops at the end of a step; 0: none", least=0)
    checkpoint_minutes: float = _field(5.0, "how often the state is kept, beside every epoch's end", least=0)
    loggers: tuple[Literal["csv", "tensorboard", "mlflow"], ...] = _field(("csv",), "where the figures go")
    level: float = _field(0.9, "share of the opinions that the conformal interval is to hold", least=0.5, most=0.99)


SECTIONS = {
    "data": Data,
    "input": Input,
    "synthesis": Synthesis,
    "model": Model,
    "loss": Loss,
    "optimiser": Optimiser,
    "regularisation": Regularisation,
    "run": Run,
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides what a training gives; `Config.read("config.toml")`, or by keywords."""

    data: Data = field(default_factory=Data)
    input: Input = field(default_factory=Input)
    synthesis: Synthesis = field(default_factory=Synthesis)
    model: Model = field(default_factory=Model)
    loss: Loss = field(default_factory=Loss)
    optimiser: Optimiser = field(default_factory=Optimiser)
    regularisation: Regularisation = field(default_factory=Regularisation)
    run: Run = field(default_factory=Run)

    def __post_init__(self) -> None:
        for section in fields(self):
            part, kind = getattr(self, section.name), SECTIONS[section.name]
            if not isinstance(part, kind):
                raise InputError(
                    f"{section.name} must be of type {kind.__name__}, got {part!r} ({type(part).__name__}); "
                    "Config.of makes a Config of nested mappings"
                )
            _check(section.name, part)
        parse_devices(self.run.devices)
        if not (self.data.shares[0] and self.data.shares[1]):
            raise InputError(
                "data.shares are those of train, validation and test; training needs the first two above 0, as "
                f"[0.9, 0.1, 0.0], got {list(self.data.shares)!r}"
            )

    def check(self) -> None:
        """Raise InputError for options that would be ignored without a word.

        A recipe may leave such an option to the command line, so that this is asked of what is to be trained.
        """
        from beholder.training.options import check_options  # which knows this module

        check_options(self)

    @classmethod
    def read(cls, path: str | Path) -> Config:
        """A Config out of a TOML file; InputError names the key that is unknown or wrong."""
        try:
            text = Path(path).read_text(encoding="utf-8-sig")  # editors on Windows put a mark in front
            return cls.of(tomllib.loads(text))
        except OSError as error:
            raise InputError(f"the configuration {path} cannot be read: {error}") from error
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{path} is not TOML: {error}") from error
        except UnicodeDecodeError as error:
            raise InputError(f"the configuration {path} is not in UTF-8 ({error}); save it as UTF-8") from error

    @classmethod
    def of(cls, sections: Mapping[str, Any]) -> Config:
        """A Config out of nested mappings, as TOML and model headers hold it."""
        for name, part in sections.items():
            if name not in SECTIONS:
                raise InputError(f"unknown section [{name}] in the configuration; known: {', '.join(SECTIONS)}")
            if not isinstance(part, Mapping):
                raise InputError(f"[{name}] must be a section of keys, got {part!r}")
        return cls(**{name: _section(name, part) for name, part in sections.items()})

    def replace(self, changes: Mapping[str, Any]) -> Config:
        """A Config with some fields changed, by dotted keys such as ``optimiser.rate`` or ``loss.terms.plcc``."""
        sections = self.to_dict()
        for key, value in changes.items():
            *way, last = key.split(".")
            part = sections
            for step in way:
                found = part.setdefault(step, {}) if len(way) > 1 and step != way[0] else part.get(step)
                if not isinstance(found, dict):
                    raise InputError(f"unknown key {key!r} of the configuration; write section.key")
                part = found
            part[last] = value
        return Config.of(sections)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, for TOML, JSON and `Config.of`."""
        return {section.name: _plain(getattr(self, section.name)) for section in fields(self)}

    def to_toml(self) -> str:
        """The whole configuration as TOML, every key with its documentation."""
        lines: list[str] = []
        for section in fields(self):
            part = getattr(self, section.name)
            lines += ["" if lines else "# Beholder training", f"[{section.name}]  # {(part.__doc__ or '').strip()}"]
            lines += [f"{f.name} = {_toml(getattr(part, f.name))}  # {f.metadata['about']}" for f in fields(part)]
        return "\n".join(lines) + "\n"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return value


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml(str(k))} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value)


def _section(name: str, part: Mapping[str, Any]) -> Any:
    kind: type[Any] = SECTIONS[name]
    known = [f.name for f in fields(kind)]
    for key in part:
        if key not in known:
            raise InputError(f"unknown key {name}.{key} in the configuration; [{name}] knows {', '.join(known)}")
    return kind(**part)  # `Config` checks types and limits


def _check(name: str, part: Any) -> None:
    """Types and limits of a section that may have been made by hand."""
    hints = typing.get_type_hints(type(part))
    for f in fields(part):
        key, value = f"{name}.{f.name}", _fit(f"{name}.{f.name}", getattr(part, f.name), hints[f.name])
        for place, number in _numbers(key, value):
            _limit(place, number, f.metadata.get("least"), f.metadata.get("most"), f.metadata.get("below"))
        object.__setattr__(part, f.name, value)


def _numbers(key: str, value: Any) -> Iterator[tuple[str, float]]:
    """The numbers in a value, each with its key."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _numbers(f"{key}.{name}", inner)
    elif isinstance(value, (tuple, list)):
        for i, inner in enumerate(value):
            yield from _numbers(f"{key}[{i}]", inner)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield key, value


def _limit(key: str, value: float, least: float | None, most: float | None, below: float | None) -> None:
    if not math.isfinite(value):
        raise InputError(f"{key} must be a finite number, got {value!r}")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise InputError(f"{key} must be a whole number of at most {LARGEST}, got {value!r}")
    low, high = least is not None and value < least, most is not None and value > most
    if low or high or (below is not None and value >= below):
        span = f"{least} to {most}" if most is not None else f"at least {least}"
        raise InputError(f"{key} must be {span if below is None else f'{span} and below {below}'}, got {value!r}")


def _fit(key: str, value: Any, hint: Any) -> Any:
    """A value as its field's type: lists become tuples, whole numbers become floats; else InputError."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value in arguments:
            return value
        raise InputError(f"{key} must be one of {', '.join(map(repr, arguments))}, got {value!r}")
    if origin is tuple and isinstance(value, (list, tuple)):
        endless = len(arguments) == 2 and arguments[1] is Ellipsis
        if not endless and len(value) != len(arguments):
            raise InputError(f"{key} must hold {len(arguments)} values, got {list(value)!r}")
        kinds = [arguments[0]] * len(value) if endless else arguments
        return tuple(_fit(f"{key}[{i}]", v, k) for i, (v, k) in enumerate(zip(value, kinds, strict=True)))
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {str(k): _fit(f"{key}.{k}", v, arguments[1]) for k, v in value.items()}
    if hint is Any:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise InputError(f"{key} must be a finite number, got one of {len(str(value))} digits") from error
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    wanted = NAMES.get(origin, getattr(hint, "__name__", str(hint)))
    raise InputError(f"{key} must be of type {wanted}, got {value!r} ({type(value).__name__})")


def documentation() -> list[tuple[str, str, str]]:
    """(key, default, what it means) of every field, in order."""
    whole = Config()
    return [
        (f"{section.name}.{f.name}", _toml(getattr(part, f.name)), str(f.metadata["about"]))
        for section in dataclasses.fields(whole)
        for part in [getattr(whole, section.name)]
        for f in dataclasses.fields(part)
    ]
