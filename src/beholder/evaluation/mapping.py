"""Monotone mappings from a metric's values to opinions, fitted by least squares."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from beholder.errors import InputError

Array = NDArray[np.float64]
Kind = Literal["logistic4", "logistic5", "cubic", "linear", "none"]
GRID = 200
"""Places at which a mapping is tested for rising."""


@dataclass(frozen=True)
class Mapping:
    """A fitted mapping: `kind` is what was used, `asked` what was wanted, `note` why they differ or "".

    parameters: of the published form; low, high: the predictions that it was fitted to. rising: whether it never falls
    between those.
    """

    kind: Kind
    asked: Kind
    parameters: tuple[float, ...]
    low: float
    high: float
    rising: bool
    note: str = ""

    def __call__(self, predicted: NDArray[Any]) -> Array:
        """Predictions brought to the opinions' scale."""
        return FORMS[self.kind][0](np.asarray(predicted, dtype=np.float64), np.array(self.parameters))


def _logistic4(x: Array, b: Array) -> Array:
    from scipy.special import expit

    return np.asarray(b[1] + (b[0] - b[1]) * expit((x - b[2]) / max(abs(b[3]), 1e-300)))


def _logistic5(x: Array, b: Array) -> Array:
    from scipy.special import expit

    return np.asarray(b[0] * (0.5 - expit(-b[1] * (x - b[2]))) + b[3] * x + b[4])


def _cubic(x: Array, b: Array) -> Array:
    return np.asarray(b[0] + x * (b[1] + x * (b[2] + x * b[3])))


def _linear(x: Array, b: Array) -> Array:
    return np.asarray(b[0] + b[1] * x)


def _same(x: Array, _: Array) -> Array:
    return x


FORMS: dict[str, tuple[Callable[[Array, Array], Array], int]] = {
    "logistic4": (_logistic4, 4),
    "logistic5": (_logistic5, 5),
    "cubic": (_cubic, 4),
    "linear": (_linear, 2),
    "none": (_same, 0),
}
"""Each form and its number of parameters: degrees of freedom that RMSE loses."""


def fit_mapping(predicted: NDArray[Any], opinions: NDArray[Any], kind: Kind = "logistic4") -> Mapping:
    """Fit a mapping of predictions to opinions by least squares, from several starts.

    predicted, opinions: (N,), finite, higher is better in both. kind: 'logistic4' (VQEG: Final Report, Phase I, 2000),
    'logistic5' (Sheikh et al. 2006, doi:10.1109/TIP.2006.881959), 'cubic' (ITU-T P.1401, not forced to rise), 'linear',
    'none'. Where a logistic does not converge, or falls somewhere, a linear one takes its place and `note` says so; a
    line that would fall is flat.
    Raises InputError for another kind or fewer pictures than parameters plus one.
    """
    if kind not in FORMS:
        raise InputError(f"a mapping is one of {', '.join(FORMS)}, got {kind!r}")
    x, y = (np.asarray(a, dtype=np.float64).ravel() for a in (predicted, opinions))
    form, count = FORMS[kind]
    if len(x) <= count:
        raise InputError(f"a {kind} mapping has {count} parameters and needs more pictures than that, got {len(x)}")
    low, high = float(x.min()), float(x.max())
    if kind == "none":
        return Mapping(kind, kind, (), low, high, rising=True)
    if low == high:
        return Mapping("linear", kind, (float(y.mean()), 0.0), low, high, rising=True, note="constant predictions")
    if kind == "linear":
        return _straight(x, y, kind, "")
    if kind == "cubic":
        return _settled(kind, kind, np.asarray(np.polynomial.polynomial.polyfit(x, y, 3), np.float64), low, high)
    centre, spread = float(np.median(x)), float(x.std())
    best = _search(form, (x - centre) / spread, y, kind)
    if best is not None:
        made = _settled(kind, kind, _back(kind, best, centre, spread), low, high)
        if made.rising:
            return made
    why = "did not converge" if best is None else "falls somewhere"
    return _straight(x, y, kind, f"the {kind} mapping {why}; linear instead")


def _straight(x: Array, y: Array, asked: Kind, note: str) -> Mapping:
    """The line that fits best and does not fall: one that would fall is flat."""
    found = np.asarray(np.polynomial.polynomial.polyfit(x, y, 1), np.float64)
    if found[1] < 0:
        found = np.array([y.mean(), 0.0])
        note = "the predictions fall where the opinions rise, so that a mapping that rises is flat"
    return _settled("linear", asked, found, float(x.min()), float(x.max()), note)


def _search(form: Callable[[Array, Array], Array], z: Array, y: Array, kind: str) -> Array | None:
    """The best of several starts on standardised predictions, or None where none converged."""
    from scipy.optimize import least_squares

    top, bottom, slope = float(np.quantile(y, 0.98)), float(np.quantile(y, 0.02)), float(np.polyfit(z, y, 1)[0])
    if kind == "logistic4":
        starts = [[top, bottom, c, w] for c in (-0.7, 0.0, 0.7) for w in (0.3, 1.0)]
    else:
        starts = [[top - bottom, w, c, 0.3 * slope, float(y.mean())] for c in (-0.7, 0.0, 0.7) for w in (1.0, 3.0)]
    best, cost = None, np.inf
    for start in starts:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = least_squares(lambda b: form(z, b) - y, start, method="lm", max_nfev=2000)
            except ValueError:  # values left the range of floats
                continue
        if found.success and np.isfinite(found.x).all() and found.cost < cost * (1 - 1e-9):
            best, cost = found.x, found.cost
    return None if best is None else np.asarray(best)


def _back(kind: str, b: Array, centre: float, spread: float) -> Array:
    """Parameters for predictions as they came."""
    if kind == "logistic4":
        return np.array([b[0], b[1], centre + spread * b[2], spread * abs(b[3])])
    return np.array([b[0], b[1] / spread, centre + spread * b[2], b[3] / spread, b[4] - b[3] * centre / spread])


def _settled(kind: Kind, asked: Kind, found: Array, low: float, high: float, note: str = "") -> Mapping:
    values = FORMS[kind][0](np.linspace(low, high, GRID), found)
    rising = bool((np.diff(values) >= -1e-9 * max(float(np.ptp(values)), 1e-30)).all())
    return Mapping(kind, asked, tuple(float(v) for v in found), low, high, rising=rising, note=note)
