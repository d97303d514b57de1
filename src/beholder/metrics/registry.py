"""The metric card, the decorator that fills it, and the look-up by name; knows no metric."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from beholder.errors import UnknownMetricError
from beholder.metrics.settings import hints_of, kind_of, wanted
from beholder.version import __version__

Array = Any
"""A NumPy array or a PyTorch tensor."""
Needs = Literal["reference", "image", "set"]
KINDS = {"reference": "full reference", "image": "no reference", "set": "set"}
Better = Literal["higher", "lower"]
Function = TypeVar("Function", bound=Callable[..., Array])

ROUNDED = ("matlab", "studio", "opencv")
"""The mixes of colours that are rounded, of metrics that know the steps of their input (`levels`)."""
WORDS = ("bad", "poor", "fair", "good", "excellent")
"""The five words of ITU-R BT.500, a fifth of the 0-100 scale each."""


@dataclass(frozen=True, slots=True)
class Score:
    """One value of one metric for one picture, with all that gives it a meaning.

    value: in the metric's unit; low, high: the 90 % interval where the metric has one, else None; word: the
    ITU-R BT.500 word where the scale is 0-100 opinion, else empty; version: Beholder's; weights: the first twelve
    hexadecimal digits of the SHA-256 of the weights, empty where there are none.
    """

    metric: str
    value: float
    preset: str = ""
    low: float | None = None
    high: float | None = None
    word: str = ""
    unit: str = ""
    better: Better = "higher"
    version: str = __version__
    weights: str = ""
    flags: tuple[str, ...] = ()

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a metric with an interval says of one picture: the parts of a `Score` that only it can know."""

    value: float
    low: float
    high: float
    word: str
    flags: tuple[str, ...]
    weights: str


@dataclass(frozen=True, slots=True)
class Metric:
    """The card of a metric: everything that CLI, documentation, service and tests need to know of it.

    better: which direction means better quality; range: smallest and largest value that can occur, ranges: the same for
    presets with another, range_of: the same for any settings, where they change it; best: the best value, which
    equal pictures have (where it is left out, an end of the range); needs: "reference" (full reference), "image"
    (no reference) or "set" (two sets of pictures); min_size: smallest height and width in pixels; verified: the
    presets ("" is the default one) with a truth value from outside the project; unverified: why there is none for
    the others; channels: the counts that it takes, None for any; precision: the largest relative difference between
    the kernels (`kernel` works on uint8 (H, W) or (H, W, 3), `planar_kernel` on uint8 (3, H, W), `tensor_kernel` on
    float32 tensors, see `beholder.metrics.tensors`) and the definition; any_order: whether the last takes arrays in
    any order of memory; guards: whether it looks itself for values outside of [0, 1], and returns None for them;
    tolerance: how far the ways to one value may lie apart, in the metric's unit, where a network in single
    precision computes it (0 for formulas); keeps: whether a set metric needs the features themselves, not only
    their moments; model: the shipped model file behind it; backbones: for each preset the network whose weights the
    user brings; file_setting: the setting that takes the file which a user brings, of weights or of a fitted model;
    prepare: called with the settings, loads what they name, and raises ModelError for a file that does not fit.
    """

    name: str
    better: Better
    range: tuple[float, float]
    unit: str
    needs: Needs
    min_size: int
    paper: str
    summary: str
    function: Callable[..., Array] = field(repr=False, compare=False)
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, compare=False)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict, compare=False)
    range_of: Callable[..., tuple[float, float]] | None = field(default=None, repr=False, compare=False)
    best: float = math.nan
    verified: frozenset[str] = frozenset()
    unverified: str = ""
    aliases: tuple[str, ...] = ()
    differentiable: bool = True
    channels: tuple[int, ...] | None = (1, 3)
    precision: float = 1e-5
    tolerance: float = 0.0
    keeps: bool = False
    model: str = ""
    backbones: Mapping[str, str] = field(default_factory=dict, compare=False)
    file_setting: str = ""
    prepare: Callable[..., Any] | None = field(default=None, repr=False, compare=False)
    kernel: Callable[..., float | None] | None = field(default=None, repr=False, compare=False)
    planar_kernel: Callable[..., float | None] | None = field(default=None, repr=False, compare=False)
    tensor_kernel: Callable[..., float | None] | None = field(default=None, repr=False, compare=False)
    any_order: bool = False
    guards: bool = False
    assess: Callable[..., list[Assessment]] | None = field(default=None, repr=False, compare=False)

    @property
    def kind(self) -> str:
        """Full reference, no reference or set, in words."""
        return KINDS[self.needs]

    def __post_init__(self) -> None:
        if math.isnan(self.best):
            object.__setattr__(self, "best", self.range[1] if self.better == "higher" else self.range[0])

    def having(self, **settings: Any) -> Metric:
        """The card with the range that values have with these settings."""
        found = self.range if self.range_of is None else self.range_of(**settings)
        return self if found == self.range else replace(self, range=found)

    def __reduce__(self) -> tuple[Callable[..., Metric], tuple[Any, ...]]:
        return card_of, (self.name, self.range)


CARDS: dict[str, Metric] = {}
_ALIASES: dict[str, str] = {}


def metric(
    name: str,
    *,
    better: Better,
    range: tuple[float, float],  # noqa: A002  # the card's own word
    unit: str,
    needs: Needs,
    min_size: int,
    paper: str,
    presets: Mapping[str, Mapping[str, Any]] | None = None,
    range_of: Callable[..., tuple[float, float]] | None = None,
    best: float = math.nan,
    verified: tuple[str, ...] = (),
    unverified: str = "",
    aliases: tuple[str, ...] = (),
    differentiable: bool = True,
    channels: tuple[int, ...] | None = (1, 3),
    precision: float = 1e-5,
    tolerance: float = 0.0,
    keeps: bool = False,
    model: str = "",
    backbones: Mapping[str, str] | None = None,
    file_setting: str = "",
    prepare: Callable[..., Any] | None = None,
    kernel: Callable[..., float | None] | None = None,
    planar_kernel: Callable[..., float | None] | None = None,
    tensor_kernel: Callable[..., float | None] | None = None,
    any_order: bool = False,
    guards: bool = False,
    assess: Callable[..., list[Assessment]] | None = None,
) -> Callable[[Function], Function]:
    """Register the decorated function as a metric; the arguments are the fields of `Metric`.

    What the function takes by keyword are its settings; their type hints say what each may be, see
    `beholder.metrics.settings`.
    """

    def register(function: Function) -> Function:
        summary = (inspect.getdoc(function) or "").split("\n", 1)[0]
        frozen = {k: MappingProxyType(dict(v)) for k, v in (presets or {}).items()}
        ranges = {} if range_of is None else {k: range_of(**v) for k, v in frozen.items()}
        card = Metric(
            name=name,
            better=better,
            range=range,
            unit=unit,
            needs=needs,
            min_size=min_size,
            paper=paper,
            summary=summary,
            function=function,
            presets=MappingProxyType(frozen),
            ranges=MappingProxyType({k: found for k, found in ranges.items() if found != range}),
            range_of=range_of,
            best=best,
            verified=frozenset(verified),
            unverified=unverified,
            aliases=aliases,
            differentiable=differentiable,
            channels=channels,
            precision=precision,
            tolerance=tolerance,
            keeps=keeps,
            model=model,
            backbones=MappingProxyType(dict(backbones or {})),
            file_setting=file_setting,
            prepare=prepare,
            kernel=kernel,
            planar_kernel=planar_kernel,
            tensor_kernel=tensor_kernel,
            any_order=any_order,
            guards=guards,
            assess=assess,
        )
        CARDS[name] = card
        _ALIASES.update(dict.fromkeys((name, *aliases), name))
        return function

    return register


def card_of(name: str, span: tuple[float, float] | None = None) -> Metric:
    """The card of a metric by its canonical name, in any process; span: its range, where settings gave another."""
    importlib.import_module("beholder.metrics")  # fills the registry
    card = CARDS[name]
    return card if span in (None, card.range) else replace(card, range=span)


@functools.cache
def _sources() -> dict[str, dict[str, list[str]]]:
    path = Path(__file__).with_name("sources.json")
    found: dict[str, dict[str, list[str]]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def sources_of(name: str) -> dict[str, list[str]]:
    """For each verified preset of a metric ("" is the default one) where the values come from that tests hold it to."""
    return _sources().get(name, {})


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that a user may give to a metric: its name, its type, what it may be in words, and its default."""

    name: str
    type: str
    allowed: str
    default: Any


def settings_of(card: Metric) -> list[Setting]:
    """What can be set by name, as in ``bh.metric("ssim", colour="luma")``."""
    parameters, found = inspect.signature(card.function).parameters, []
    for name, hint in hints_of(card.function).items():
        file = name == card.file_setting
        kind, allowed = ("file", "a file") if file else (kind_of(hint), wanted(hint))
        found.append(Setting(name, kind, allowed, parameters[name].default))
    return found


def rounding_presets(card: Metric) -> list[str]:
    """The presets ("" is the default one) that round a mix of colours to whole steps where the input is integers."""
    parameters = inspect.signature(card.function).parameters
    if "levels" not in parameters:
        return []
    usual = parameters["colour"].default if "colour" in parameters else "matlab"
    return [p for p in ("", *card.presets) if card.presets.get(p, {}).get("colour", usual) in ROUNDED]


def normalise(name: str) -> str:
    """The canonical spelling of a metric's name without its preset: lower case, underscores, aliases resolved."""
    key = name.strip().lower().replace("-", "_").replace(" ", "_")
    return _ALIASES.get(key, _ALIASES.get(key.replace("_", ""), key))


def _nearest(name: str) -> str:
    """The metric that was most likely meant, empty where none is near.

    Of names that are about equally near the one that begins alike counts, then the one of the same length.
    """

    def likeness(known: str) -> float:
        part = 0.9 if len(name) > 2 and name in known else 0.0
        return max(part, difflib.SequenceMatcher(None, name, known).ratio())

    def order(known: str) -> tuple[int, int, str]:
        differ = (i for i, (a, b) in enumerate(zip(name, known, strict=False)) if a != b)
        return -next(differ, min(len(name), len(known))), abs(len(known) - len(name)), known

    found = {known: likeness(known) for known in _ALIASES}
    best = max(found.values(), default=0.0)
    if best < 0.65:  # below, more than a third of the letters are others
        return ""
    return _ALIASES[min((known for known, like in found.items() if like >= best - 0.05), key=order)]


def find(name: str) -> tuple[Metric, str]:
    """The card and the preset behind a name such as ``ssim:skimage``; any case and common aliases are accepted.

    Raises UnknownMetricError that suggests the nearest name or lists the presets.
    """
    if not isinstance(name, str):
        raise UnknownMetricError(f"a metric is named by a string such as 'ssim', got {type(name).__name__}")
    base, _, preset = name.partition(":")
    card = CARDS.get(normalise(base))
    if card is None:
        near = _nearest(normalise(base))
        hint = f"did you mean {near!r}?" if near else f"known metrics: {', '.join(sorted(CARDS))}"
        raise UnknownMetricError(f"no metric is called {base!r}; {hint} (`beholder metrics` lists them all)")
    preset = preset.strip().lower().replace("_", "-")
    if preset and preset not in card.presets:
        known = ", ".join(f"{card.name}:{p}" for p in card.presets) or "none"
        raise UnknownMetricError(f"{card.name} has no preset {preset!r}; its presets: {known}")
    return card, preset
