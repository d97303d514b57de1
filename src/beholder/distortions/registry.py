"""The card of a distortion, the decorator that fills it, and the look-up by name; knows no distortion."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from beholder.errors import RangeError, UnknownMetricError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.float32]
    Function = Callable[[Pixels, float, np.random.Generator], Pixels]

MAX_LEVEL = 5

KADID = "Lin, Hosu and Saupe 2019, KADID-10k: A Large-scale Artificially Distorted IQA Database, "
KADID += "doi:10.1109/QoMEX.2019.8743252"
TID = "Ponomarenko et al. 2015, Image database TID2013: Peculiarities, results and perspectives, "
TID += "doi:10.1016/j.image.2014.10.009"
PSNR_LEVELS = (33.0, 30.0, 27.0, 24.0, 21.0)
"""The PSNR in decibels to which TID2013 set its five levels, about."""


@dataclass(frozen=True, slots=True)
class Distortion:
    """The card of a distortion: everything that CLI, documentation, training and tests need to know of it.

    levels: the value of `parameter`, in `unit`, at levels 1 to 5; neutral: the value at level 0, which leaves a picture
    untouched; log: values between are interpolated geometrically; whole: they are whole numbers; sets: number of the
    type in a published data set, by the set's name ("kadid", "tid"); channels: the counts that it takes; signed: the
    levels run from one sign to the other, so that a higher level is not worse; order: what grows with the level ("mse",
    the mean squared error, or a word for another measure).
    """

    name: str
    group: str
    parameter: str
    levels: tuple[float, ...]
    neutral: float
    unit: str
    paper: str
    summary: str
    function: Function = field(repr=False, compare=False)
    log: bool = False
    whole: bool = False
    sets: Mapping[str, int] = field(default_factory=dict, compare=False)
    aliases: tuple[str, ...] = ()
    channels: tuple[int, ...] = (1, 3)
    min_size: int = 1
    signed: bool = False
    order: str = "mse"

    def value(self, level: float) -> float:
        """The parameter's value at a level in [0, 5], interpolated between the published ones.

        Raises RangeError for other levels.
        """
        if isinstance(level, bool) or not 0 <= level <= MAX_LEVEL:
            raise RangeError(f"{self.name}: expected a level from 0 (untouched) to {MAX_LEVEL}, got {level!r}")
        points = (self.neutral, *self.levels)
        low = min(int(level), MAX_LEVEL - 1)
        first, second, part = points[low], points[low + 1], level - low
        if part in (0, 1):
            return second if part else first
        between = first * (second / first) ** part if self.log else first + part * (second - first)
        return float(round(between)) if self.whole else between

    def __reduce__(self) -> tuple[Callable[[str], Distortion], tuple[str]]:
        return card_of, (self.name,)


CARDS: dict[str, Distortion] = {}
_ALIASES: dict[str, str] = {}


def distortion(
    name: str,
    *,
    group: str,
    parameter: str,
    levels: tuple[float, ...],
    neutral: float,
    unit: str,
    paper: str,
    log: bool = False,
    whole: bool = False,
    sets: Mapping[str, int] | None = None,
    aliases: tuple[str, ...] = (),
    channels: tuple[int, ...] = (1, 3),
    min_size: int = 1,
    signed: bool = False,
    order: str = "mse",
) -> Callable[[Function], Function]:
    """Register the decorated function as a distortion; the arguments are the fields of `Distortion`."""

    def register(function: Function) -> Function:
        summary = (inspect.getdoc(function) or "").split("\n", 1)[0]
        numbers = dict(sets or {})
        card = Distortion(
            name=name,
            group=group,
            parameter=parameter,
            levels=levels,
            neutral=neutral,
            unit=unit,
            paper=paper,
            summary=summary,
            function=function,
            log=log,
            whole=whole,
            sets=MappingProxyType(numbers),
            aliases=aliases,
            channels=channels,
            min_size=min_size,
            signed=signed,
            order=order,
        )
        CARDS[name] = card
        known = (name, *aliases, *(f"{s}{n:02d}" for s, n in numbers.items()))
        _ALIASES.update(dict.fromkeys(known, name))
        return function

    return register


def card_of(name: str) -> Distortion:
    """The card of a distortion by its canonical name, in any process."""
    importlib.import_module("beholder.distortions")  # fills the registry
    return CARDS[name]


def find(name: Any) -> Distortion:
    """The card behind a name; any case, hyphens, British spelling and ``kadid01``-like numbers are accepted.

    Raises UnknownMetricError that suggests the nearest name.
    """
    if not isinstance(name, str):
        raise UnknownMetricError(f"a distortion is named by a string such as 'jpeg', got {type(name).__name__}")
    key = name.strip().lower().replace("-", "_").replace(" ", "_").replace("colour", "color")
    if key in _ALIASES:
        return CARDS[_ALIASES[key]]
    near = difflib.get_close_matches(key, _ALIASES, n=1, cutoff=0.5)
    hint = f"did you mean {_ALIASES[near[0]]!r}?" if near else f"known distortions: {', '.join(sorted(CARDS))}"
    raise UnknownMetricError(f"no distortion is called {name!r}; {hint}")
