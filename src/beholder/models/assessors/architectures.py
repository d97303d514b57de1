"""The registry of quality networks: what each is called, what it takes and gives, and how to build it by name."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

from beholder.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

Builder = TypeVar("Builder", bound=Callable[..., Any])


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
    """A network by name with its settings, weights drawn by PyTorch's generator; InputError for unknown settings."""
    card = find_architecture(name)
    for key in settings or {}:
        if key not in card.settings:
            raise InputError(f"{card.name} has no setting {key!r}; its settings: {', '.join(card.settings) or 'none'}")
    network: nn.Module = card.build(**(settings or {}))
    return network
