"""What people said of pictures, and how metrics are judged by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import InputError
from beholder.evaluation.mapping import FORMS, Kind
from beholder.evaluation.significance import adjust

Array = NDArray[np.float64]
FEWEST = 5
"""Pictures that an evaluation needs at least."""
LARGEST = 1e100
"""Numbers beyond are a mistake, and their squares none that can be worked with."""


@dataclass(frozen=True)
class Options:
    """How metrics are judged.

    mapping: see `mapping.fit_mapping`; rounds: of the bootstrap; level: of intervals and tests; seed; adjust: 'holm',
    'bh' or 'none'; splits, held: random splits by content and the share of contents in each one's test part.
    """

    mapping: Kind = "logistic4"
    rounds: int = 1000
    level: float = 0.95
    seed: int = 0
    adjust: str = "holm"
    splits: int = 10
    held: float = 0.2

    def __post_init__(self) -> None:
        if self.mapping not in FORMS:
            raise InputError(f"a mapping is one of {', '.join(FORMS)}, got {self.mapping!r}")
        if not 0.5 <= self.level < 1:
            raise InputError(f"level is a probability from 0.5 to below 1, got {self.level}")
        if self.rounds < 100 or self.seed < 0:
            raise InputError(f"a bootstrap needs 100 rounds and a seed from 0 on, got {self.rounds} and {self.seed}")
        if not 0 < self.held < 1 or self.splits < 0:
            raise InputError(f"splits are 0 or more with a share between 0 and 1, got {self.splits} and {self.held}")
        adjust([0.5], self.adjust)


@dataclass(frozen=True)
class Stimuli:
    """What people said: opinions (N,), higher is better, and what is known of every picture.

    scale: the worst and the best opinion possible. names: of the pictures. std, count: spread and number of a picture's
    opinions; half_width: of its 95 % interval. references, types, levels: of distorted pictures. None where not known.
    Raises InputError for fewer than five pictures, numbers that are not finite, columns of another length, or a picture
    that is there twice.
    """

    opinions: Array
    scale: tuple[float, float]
    names: Sequence[str] = ()
    std: Array | None = None
    count: Array | None = None
    half_width: Array | None = None
    references: NDArray[Any] | None = None
    types: NDArray[Any] | None = None
    levels: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        for name in ("opinions", "std", "count", "half_width", "references", "types", "levels"):
            given = getattr(self, name)
            if given is not None:
                number = name in ("opinions", "std", "count", "half_width")
                object.__setattr__(self, name, _column(name, given, number=number))
        total = len(self.opinions)
        if total < FEWEST:
            raise InputError(f"an evaluation needs at least {FEWEST} pictures, got {total}")
        for name in ("opinions", "std", "count", "half_width"):
            column = getattr(self, name)
            if column is not None and not np.isfinite(column).all():
                place = int(np.flatnonzero(~np.isfinite(column))[0])
                raise InputError(f"{name} of {self.name(place)} is not a finite number; leave that picture out")
        for name in ("names", "std", "count", "half_width", "references", "types", "levels"):
            column = getattr(self, name)
            if column is not None and len(column) and len(column) != total:
                raise InputError(f"{name} has {len(column)} values, there are {total} opinions")
        self._check_ranges()
        if len(self.names) != len(set(self.names)):
            seen: set[str] = set()
            twice = next(n for n in self.names if n in seen or seen.add(n))  # type: ignore[func-returns-value]
            raise InputError(f"{twice} is there twice; a picture counts once")

    def _check_ranges(self) -> None:
        for name, least in (("std", "negative"), ("half_width", "negative"), ("count", "0 or less")):
            column = getattr(self, name)
            if column is not None and (column < 0 if name != "count" else column <= 0).any():
                raise InputError(f"a {name} of opinions is {least}; check that column")
        if np.ptp(self.opinions) == 0:
            raise InputError("all opinions are the same, nothing can agree or disagree with them")
        worst, best = self.scale
        if not worst < best or self.opinions.min() < worst - 1e-9 or self.opinions.max() > best + 1e-9:
            raise InputError(
                f"scale is the worst and the best opinion that there can be, and all lie within; got {self.scale} and "
                f"opinions from {self.opinions.min():g} to {self.opinions.max():g}"
            )

    def name(self, place: int) -> str:
        """A picture's name, or its place."""
        return self.names[place] if len(self.names) else f"row {place + 1}"

    @property
    def error(self) -> Array | None:
        """Half-width of every opinion's 95 % interval, where it is known."""
        if self.half_width is not None:
            return self.half_width
        if self.std is not None and self.count is not None:
            return 1.959964 * self.std / np.sqrt(self.count)
        return None


def _column(name: str, values: Any, *, number: bool) -> NDArray[Any]:
    try:
        return np.asarray(values, dtype=np.float64) if number else np.asarray(values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is a list or an array of {'numbers' if number else 'values'}: {error}") from error


def orient(
    stimuli: Stimuli, predictions: Mapping[str, NDArray[Any]], lower_better: Sequence[str] = (), *, mirror: bool = False
) -> dict[str, Array]:
    """Predictions as higher is better; InputError for what cannot be judged.

    mirror: within the opinions' scale, as opinions are turned, not by their sign.
    """
    if not predictions:
        raise InputError("an evaluation needs predictions of at least one metric")
    unknown = [name for name in lower_better if name not in predictions]
    if unknown:
        raise InputError(f"lower is better for {unknown[0]!r}, which is not there; there are: {', '.join(predictions)}")
    found = {}
    for name, values in predictions.items():
        x = _column(name, values, number=True)
        if x.shape != stimuli.opinions.shape:
            raise InputError(f"{name} has {x.size} predictions, there are {len(stimuli.opinions)} opinions")
        broken = np.flatnonzero(np.isnan(x) | (np.isfinite(x) & (np.abs(x) > LARGEST)))
        if len(broken) or not np.isfinite(x).any():
            raise InputError(
                f"{name} has {len(broken) or len(x)} predictions that are no numbers or beyond {LARGEST:g}, the first "
                f"of {stimuli.name(int(broken[0]) if len(broken) else 0)}; leave these pictures out, for all metrics "
                "alike"
            )
        if name in lower_better:
            x = sum(stimuli.scale) - x if mirror else -x
        found[name] = x
    return found


def bounded(x: Array) -> tuple[Array, int]:
    """Infinite predictions, as PSNR's of equal pictures, a millionth of the range beyond the finite ones; how many."""
    known = np.isfinite(x)
    if known.all():
        return x, 0
    low, high = float(x[known].min()), float(x[known].max())
    margin = 1e-6 * max(high - low, 1e-6)
    return np.clip(x, low - margin, high + margin), int((~known).sum())
