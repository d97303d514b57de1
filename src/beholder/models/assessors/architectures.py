"""The registry of quality networks: what each is called, what it takes and gives, and how to build it by name."""

from __future__ import annotations

import difflib
import importlib
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

from beholder.errors import BeholderError, InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

Builder = TypeVar("Builder", bound=Callable[..., Any])
FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What PyTorch and Python raise where a network is made with settings that do not fit."""


@dataclass
class Judgement:
    """What a quality network says of a batch; the parts that it has no head for are None.

    score: (N,), on 0-100, higher is better. spread: (N,), the standard deviation that the network states, in points.
    distribution: (N, K), shares of opinions in K equal steps of 0-100, worst first, sum 1. map: (N, 1, h, w), the local
    quality on 0-100. type: (N, T), logits of the distortion's type; severity: (N,), in [0, 1], 0 for none. features:
    (N, F), what the head looks at, for the distance from the training pictures.
    """

    score: Tensor
    spread: Tensor | None = None
    distribution: Tensor | None = None
    map: Tensor | None = None
    type: Tensor | None = None
    severity: Tensor | None = None
    features: Tensor | None = None

    def parts(self) -> dict[str, Tensor]:
        """Those that there are, by name."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class Architecture:
    """The card of a quality network.

    gives: the names of the parts of its `Judgement`; reference: whether it compares with a reference, given as the
    second argument; crop: the side of the crops that its paper trains on; bodies: whether it takes any feature
    extractor (`body=`); build: makes the ``nn.Module``, called with the architecture's settings.
    """

    name: str
    paper: str
    gives: tuple[str, ...]
    crop: int
    reference: bool
    bodies: bool
    build: Callable[..., Any]

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of the settings that `build` takes."""
        return tuple(inspect.signature(self.build).parameters)


ARCHITECTURES: dict[str, Architecture] = {}
MODULES = ("cnniqa", "diqam", "nima", "dbcnn", "hyperiqa", "general")
"""Modules beside this one that register architectures; they import PyTorch."""


def architecture(
    name: str,
    *,
    paper: str,
    gives: tuple[str, ...],
    crop: int,
    reference: bool = False,
    bodies: bool = False,
) -> Callable[[Builder], Builder]:
    """Register the decorated ``nn.Module`` class (or function that makes one); arguments as in `Architecture`.

    The module is called with ``image`` (N, 3, H, W), sRGB in [0, 1], and for full-reference forms ``reference`` of the
    same shape; it normalises them itself and returns a `Judgement`.
    """

    def register(build: Builder) -> Builder:
        ARCHITECTURES[name] = Architecture(name, paper, gives, crop, reference, bodies, build)
        return build

    return register


def list_architectures() -> list[Architecture]:
    """The cards of all quality networks that can be trained, by name; needs PyTorch."""
    for module in MODULES:
        importlib.import_module(f"beholder.models.assessors.{module}")
    return [ARCHITECTURES[name] for name in sorted(ARCHITECTURES)]


def find_architecture(name: str) -> Architecture:
    """The card of a network; InputError suggests the nearest name."""
    known = {a.name: a for a in list_architectures()}
    key = name.strip().lower().replace("-", "_")
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise InputError(f"no architecture is called {name!r}; {hint}")
    return known[key]


def build(name: str, settings: Mapping[str, Any] | None = None) -> nn.Module:
    """A network by name with its settings, weights drawn by PyTorch's generator.

    Raises InputError for settings that are unknown, of another type than they should be, or that make no network.
    """
    card = find_architecture(name)
    for key in settings or {}:
        if key not in card.settings:
            raise InputError(f"{card.name} has no setting {key!r}; its settings: {', '.join(card.settings) or 'none'}")
    _check_types(card, settings or {})
    told = f"{card.name} cannot be built with the settings {dict(settings or {})}"
    try:
        with warnings.catch_warnings():  # of layers without weights, which are an error below
            warnings.filterwarnings("ignore", "Initializing zero-element", UserWarning)
            network: nn.Module = card.build(**(settings or {}))
    except BeholderError:
        raise
    except FAULTS as error:
        raise InputError(f"{told}: {error}; change model.settings") from error
    _check_weights(network, told)
    return network


def _check_types(card: Architecture, settings: Mapping[str, Any]) -> None:
    """Settings are of the type of their defaults: a word such as "False" would count as true."""
    parameters = inspect.signature(card.build).parameters
    for key, value in settings.items():
        wanted = next((name for kind, name in KINDS.items() if type(parameters[key].default) is kind), None)
        if wanted is not None and not _suits(parameters[key].default, value):
            raise InputError(f"{card.name}'s setting {key} must be {wanted}, got {value!r}; change model.settings")


KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", tuple: "a list"}
"""What a setting must be, by the type of its default; others are left to the network."""


def _suits(default: Any, value: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, tuple):
        return isinstance(value, Sequence) and not isinstance(value, str)
    return isinstance(value, (int, float) if isinstance(default, float) else type(default))


def _check_weights(network: nn.Module, told: str) -> None:
    """A layer without weights comes of a width of 0: it would fail at the first picture, or say the same of all."""
    from torch.nn.parameter import is_lazy

    empty = [n for n, p in network.named_parameters() if not is_lazy(p) and not p.numel()]
    if empty:
        raise InputError(f"{told}: {empty[0]} has no weights; widths and counts of what it gives must be above 0")


def check_model(section: Mapping[str, Any], dropout: float = -1.0, stochastic_depth: float = 0.0) -> None:
    """Raise InputError where a part of a configuration's section [model] would be ignored without a word.

    section: as plain values; dropout, stochastic_depth: of its section [regularisation].
    """
    card, cards = find_architecture(section["architecture"]), list_architectures()
    settings = section["settings"]
    for key in ("body", "body_settings"):
        if section[key] and not card.bodies:
            raise InputError(
                f"model.{key} = {section[key]!r}: {card.name} takes no body; leave it out, or take one of "
                f"{', '.join(a.name for a in cards if a.bodies)}"
            )
        if section[key] and key in settings:
            raise InputError(f"model.{key} and model.settings.{key} are both given; leave out the latter")
    if "weights" in settings and card.bodies:
        raise InputError("model.settings.weights would be overruled; set model.weights")
    asked = {"dropout": dropout >= 0, "stochastic_depth": stochastic_depth > 0}
    for key in (name for name, given in asked.items() if given and name not in card.settings):
        raise InputError(
            f"{card.name} has no {key}; leave out regularisation.{key}, or take one of "
            f"{', '.join(a.name for a in cards if key in a.settings)}"
        )
