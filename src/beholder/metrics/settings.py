"""What the settings of a metric may be: read from its type hints, checked when a `Measure` is made.

A hint is bool, int, float or str; `Literal` for one of several words; `Annotated` for a number with limits, as in
``Annotated[int, AtLeast(0)]``; any of these or None. `Any` is left to the metric: files and fitted models.
"""

from __future__ import annotations

import functools
import inspect
import math
import numbers
import reprlib
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from beholder.errors import InputError

_WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a string", type(None): "None"}
_shown = reprlib.Repr()
_shown.maxstring = _shown.maxother = 60


@dataclass(frozen=True, slots=True)
class Above:
    """A number is larger than this."""

    bound: float

    def __contains__(self, value: float) -> bool:
        return value > self.bound

    def __str__(self) -> str:
        return f"above {self.bound:g}"


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A number is this or larger."""

    bound: float

    def __contains__(self, value: float) -> bool:
        return value >= self.bound

    def __str__(self) -> str:
        return f"of at least {self.bound:g}"


@dataclass(frozen=True, slots=True)
class AtMost:
    """A number is this or smaller."""

    bound: float

    def __contains__(self, value: float) -> bool:
        return value <= self.bound

    def __str__(self) -> str:
        return f"of at most {self.bound:g}"


Limit = Above | AtLeast | AtMost
Count = Annotated[int, AtLeast(0)]
NotNegative = Annotated[float, AtLeast(0)]
Positive = Annotated[float, Above(0)]
Constant = Annotated[float, AtLeast(1e-12)]
"""What is added so that no quotient is 0 / 0: not so little that single precision loses it."""
Colour = Literal["rgb", "luma", "studio", "matlab"]
"""What a metric looks at, see `beholder.arrays.to_luma`."""
Luma = Literal["luma", "studio", "matlab"]
"""The same for metrics of one plane."""


@functools.cache
def hints_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The type hints of the settings that a user may give to a metric's function, Any where there is none."""
    named = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    hints = get_type_hints(function, include_extras=True)
    return MappingProxyType({name: hints.get(name, Any) for name in named if name != "levels"})


def kind_of(hint: Any) -> str:
    """The plain type of a hint: "float" of ``Annotated[float, Above(0)]``, "str" of a `Literal` of strings."""
    if _is_union(hint):
        return " | ".join(dict.fromkeys(map(kind_of, get_args(hint))))
    if get_origin(hint) is Annotated:
        return kind_of(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return " | ".join(dict.fromkeys(type(choice).__name__ for choice in get_args(hint)))
    return "None" if hint is type(None) else str(getattr(hint, "__name__", hint))


def wanted(hint: Any) -> str:
    """What a value has to be, in words; empty where anything may do."""
    if _is_union(hint):
        return " or ".join(map(wanted, get_args(hint)))
    if get_origin(hint) is Annotated:
        kind, *limits = get_args(hint)
        return f"{wanted(kind)} {' and '.join(map(str, limits))}".replace(" and of ", " and ")
    if get_origin(hint) is Literal:
        *some, last = map(repr, get_args(hint))
        return f"{', '.join(some)} or {last}" if some else last
    return _WORDS.get(hint, "")


def limits_of(hint: Any) -> tuple[Limit, ...]:
    """The limits of a number."""
    if _is_union(hint):
        return tuple(limit for part in get_args(hint) for limit in limits_of(part))
    return tuple(get_args(hint)[1:]) if get_origin(hint) is Annotated else ()


def choices_of(hint: Any) -> tuple[Any, ...]:
    """The words of which a setting is one."""
    return get_args(hint) if get_origin(hint) is Literal else ()


def check(owner: str, name: str, value: Any, hint: Any, default: Any) -> Any:
    """The value of a setting as its hint has it, NumPy's numbers as Python's; InputError for one that does not fit."""
    fits, found = _fitted(value, hint)
    if not fits:
        got = _shown.repr(value)
        raise InputError(f"{owner}: {name} must be {wanted(hint)}, got {got}; leave it out for {default!r}")
    return found


def check_all(
    owner: str, function: Callable[..., Any], preset: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """A preset's settings and those given, which go before, by `check`; InputError for those that there are not."""
    hints, found = hints_of(function), {}
    for name, value in {**preset, **given}.items():
        if name not in hints:
            raise InputError(f"{owner} has no setting {name!r}; its settings: {', '.join(hints) or 'none'}")
        usual = preset[name] if name in preset else inspect.signature(function).parameters[name].default
        found[name] = check(owner, name, value, hints[name], usual)
    return found


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _fitted(value: Any, hint: Any) -> tuple[bool, Any]:
    """Whether a value is what the hint says, and the value as Python has it."""
    if _is_union(hint):
        tried = (_fitted(value, part) for part in get_args(hint))
        return next((found for found in tried if found[0]), (False, value))
    if get_origin(hint) is Annotated:
        kind, *limits = get_args(hint)
        fits, found = _fitted(value, kind)
        return fits and all(found in limit for limit in limits), found
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in get_args(hint), value
    return _plain(value, hint)


def _plain(value: Any, kind: Any) -> tuple[bool, Any]:
    truth = isinstance(value, bool | np.bool_)
    if kind is bool:
        return truth, bool(value) if truth else value
    if kind is int:
        whole = isinstance(value, numbers.Integral) and not truth
        return whole, int(value) if whole else value
    if kind is float:
        number = _number(value) if isinstance(value, numbers.Real) and not truth else math.nan
        return math.isfinite(number), number
    return kind is Any or not isinstance(kind, type) or isinstance(value, kind), value


def _number(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
