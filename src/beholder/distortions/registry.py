"""The card of a distortion, the decorator that fills it, and the look-up by name; knows no distortion."""

from __future__ import annotations

import difflib
import importlib
import inspect
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from beholder.errors import RangeError, UnknownDistortionError

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
    untouched; limits: the smallest and the largest value that may be asked for; log: values between are interpolated
    geometrically; whole: they are whole numbers; sets: number of the type in a published data set, by the set's name
    ("kadid", "tid"); channels: the counts that it takes; min_size: smallest height and width in pixels; max_side: the
    largest, where a codec has one; signed: the levels run from one sign to the other, so that a higher level is not
    worse; order: what grows with the level ("mse", the mean squared error, or a word for another measure).
    """

    name: str
    group: str
    parameter: str
    levels: tuple[float, ...]
    neutral: float
    limits: tuple[float, float]
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
    max_side: int | None = None
    signed: bool = False
    order: str = "mse"

    def value(self, level: float) -> float:
        """The parameter's value at a level in [0, 5], interpolated between the published ones.

        Raises RangeError for other levels.
        """
        wanted = f"a level from 0 (untouched) to {MAX_LEVEL}"
        level = number(level, self.name, wanted)
        if not 0 <= level <= MAX_LEVEL:
            raise RangeError(f"{self.name}: expected {wanted}, got {level:g}")
        points = (self.neutral, *self.levels)
        low = min(int(level), MAX_LEVEL - 1)
        first, second, part = points[low], points[low + 1], level - low
        if part in (0, 1):
            return second if part else first
        between = first * (second / first) ** part if self.log else first + part * (second - first)
        return float(round(between)) if self.whole else between

    def checked(self, value: Any) -> float:
        """A value of the parameter as it was given, if it may have it.

        Raises RangeError for what is no number, lies outside the limits or is not whole where it has to be.
        """
        low, high = self.limits
        wanted = f"{self.parameter}, {'a whole number' if self.whole else 'a number'} from {low:g} to {high:g}"
        amount = number(value, self.name, wanted)
        if not low <= amount <= high or (self.whole and amount != round(amount)):
            raise RangeError(f"{self.name}: expected {wanted}, got {amount:g}; leave value out to pass a level instead")
        return amount

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
    limits: tuple[float, float],
    unit: str,
    paper: str,
    log: bool = False,
    whole: bool = False,
    sets: Mapping[str, int] | None = None,
    aliases: tuple[str, ...] = (),
    channels: tuple[int, ...] = (1, 3),
    min_size: int = 1,
    max_side: int | None = None,
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
            limits=limits,
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
            max_side=max_side,
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

    Raises UnknownDistortionError that suggests the nearest name.
    """
    if not isinstance(name, str):
        raise UnknownDistortionError(f"a distortion is named by a string such as 'jpeg', got {type(name).__name__}")
    key = name.strip().lower().replace("-", "_").replace(" ", "_").replace("colour", "color")
    if key in _ALIASES:
        return CARDS[_ALIASES[key]]
    if "+" in key:
        raise UnknownDistortionError(f"expected a single distortion, got the chain {name!r}; name its parts one by one")
    near = difflib.get_close_matches(key, _ALIASES, n=1, cutoff=0.5)
    hint = f"did you mean {_ALIASES[near[0]]!r}?" if near else f"known distortions: {', '.join(sorted(CARDS))}"
    raise UnknownDistortionError(f"no distortion is called {name!r}; {hint}")


def split(name: str) -> list[str]:
    """The names in one with + between; raises UnknownDistortionError where there is none beside a +."""
    parts = name.split("+")
    if len(parts) > 1 and not all(p.strip() for p in parts):
        raise UnknownDistortionError(
            f"{name!r} has no distortion beside a +; write names on both sides, such as gaussian_blur+jpeg"
        )
    return parts


def number(value: Any, name: str, wanted: str) -> float:
    """The value as a float; raises RangeError for what is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise RangeError(f"{name}: expected {wanted}, got {' '.join(reprlib.repr(value).split())}")
    return float(value)
