"""What a quality network can be trained to minimise: its judgement against opinions, orders and maps.

Scores are in points of 0-100; losses count them in words of ITU-R BT.500 (20 points), so that they are of order one.
A loss looks only at the pictures that have what it needs; where a batch has none, it is 0.
"""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from beholder.arrays import gaussian_window
from beholder.errors import InputError
from beholder.models.assessors.architectures import Judgement, list_architectures

WORD = 20.0
"""Points in one of the five words."""
USUAL_SPREAD = 15.0
"""Standard deviation of opinions on one picture, in points, where a data set does not tell it."""
TINY = 1e-6


@dataclass
class Target:
    """What is known of a batch; NaN, -1 and None stand for what is not.

    score: (N,), mean opinion on 0-100; std: (N,), of single opinions, in points; distribution: (N, K), shares of
    opinions, worst first; map: (N, 1, h, w), local quality on 0-100; type: (N,), int64, -1 for none; severity: (N,),
    0-1; group: (N,), int64, pictures of one content; order: (N,), a rank within the group, higher is better; weight:
    (N,), how much a picture counts.
    """

    score: Tensor
    std: Tensor | None = None
    distribution: Tensor | None = None
    map: Tensor | None = None
    type: Tensor | None = None
    severity: Tensor | None = None
    group: Tensor | None = None
    order: Tensor | None = None
    weight: Tensor | None = None

    def to(self, device: Any) -> Target:
        """The same on another device."""
        moved = {f.name: v.to(device) for f in fields(self) if (v := getattr(self, f.name)) is not None}
        return replace(self, **moved)

    def weights(self) -> Tensor:
        """(N,), 1 where nothing else is said."""
        return torch.ones_like(self.score) if self.weight is None else self.weight


LossFunction = Callable[..., Tensor]
LOSSES: dict[str, LossFunction] = {}
"""Losses by name: called with a Judgement, a Target and their own settings, they give a scalar."""
NEEDS: dict[str, str] = {}
"""The part of the judgement that a loss looks at, by the loss's name."""
SPANS: dict[tuple[str, str], tuple[float, float, str]] = {
    ("huber", "delta"): (math.ulp(0.0), math.inf, "above 0"),
    ("soft_rank", "temperature"): (math.ulp(0.0), math.inf, "above 0"),
    ("margin_rank", "margin"): (0, math.inf, "0 or more"),
    ("type", "smoothing"): (0, 1, "0 to 1"),
}
"""Least and most value of a loss's setting, by loss and setting, and how that is said."""


def loss(name: str, needs: str = "score") -> Callable[[LossFunction], LossFunction]:
    """Register a loss under a name; needs: the part of the judgement that it cannot do without."""

    def register(function: LossFunction) -> LossFunction:
        LOSSES[name], NEEDS[name] = function, needs
        return function

    return register


def _mean(values: Tensor, weights: Tensor, valid: Tensor) -> Tensor:
    """Weighted mean over the valid ones, 0 where there are none; what is not valid gets no gradient, NaN or not."""
    counted = torch.where(valid, values, torch.zeros_like(values)) * weights
    return counted.sum() / torch.where(valid, weights, torch.zeros_like(weights)).sum().clamp_min(TINY)


def _errors(judged: Judgement, target: Target) -> tuple[Tensor, Tensor]:
    """Errors in words, 0 where there is no opinion, and where there is one."""
    valid = torch.isfinite(target.score)
    known = torch.where(valid, target.score, judged.score.detach())
    return (judged.score - known) / WORD, valid


@loss("mse")
def mse(judged: Judgement, target: Target) -> Tensor:
    """Mean squared error."""
    error, valid = _errors(judged, target)
    return _mean(error**2, target.weights(), valid)


@loss("mae")
def mae(judged: Judgement, target: Target) -> Tensor:
    """Mean absolute error."""
    error, valid = _errors(judged, target)
    return _mean(error.abs(), target.weights(), valid)


@loss("huber")
def huber(judged: Judgement, target: Target, *, delta: float = 10.0) -> Tensor:
    """Squared error up to `delta` points, absolute beyond. Source: Huber 1964, doi:10.1214/aoms/1177703732."""
    error, valid = _errors(judged, target)
    each = F.huber_loss(error, torch.zeros_like(error), reduction="none", delta=delta / WORD)
    return _mean(each, target.weights(), valid)


@loss("plcc")
def plcc(judged: Judgement, target: Target) -> Tensor:
    """1 less Pearson's correlation within the batch, halved: 0 to 1; 0 for fewer than three opinions."""
    valid = torch.isfinite(target.score)
    if int(valid.sum()) < 3:
        return judged.score.sum() * 0
    return (1 - _correlation(judged.score[valid], target.score[valid], target.weights()[valid])) / 2


def _correlation(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    shares = weights / weights.sum()
    x, y = (a - (a * shares).sum() for a in (x, y))
    return (x * y * shares).sum() / ((x**2 * shares).sum() * (y**2 * shares).sum() + TINY).sqrt()


@loss("soft_rank")
def soft_rank(judged: Judgement, target: Target, *, temperature: float = 5.0) -> Tensor:
    """1 less the correlation of soft ranks, halved: as SRCC, but smooth.

    The rank of a score is the sum of logistic functions of its distances to the others; `temperature`, in points, says
    how far scores must lie apart to count as ordered. Source: Qin et al. 2010, doi:10.1007/s10791-009-9124-x.
    """
    valid = torch.isfinite(target.score)
    if int(valid.sum()) < 3:
        return judged.score.sum() * 0
    score, truth = judged.score[valid], target.score[valid]
    ranks = torch.sigmoid((score[:, None] - score) / temperature).sum(dim=1)
    truth = (truth[:, None] > truth).to(score.dtype).sum(1) + (truth[:, None] == truth).to(score.dtype).sum(1) / 2
    return (1 - _correlation(ranks, truth, target.weights()[valid])) / 2


def _pairs(target: Target) -> Tensor:
    """(N, N), 1 where the first is known to be better than the second: by opinion, or by order within a group."""
    better = target.score[:, None] > target.score  # false where either is NaN
    if target.order is not None and target.group is not None:
        ordered = torch.isfinite(target.order)  # pictures that people scored have no order but their opinions'
        alike = (target.group[:, None] == target.group) & (target.group >= 0) & ordered & ordered[:, None]
        better = torch.where(alike, target.order[:, None] > target.order, better)
    return better


@loss("margin_rank")
def margin_rank(judged: Judgement, target: Target, *, margin: float = 5.0) -> Tensor:
    """How far pairs in known order are from being `margin` points apart in that order, in words.

    Source: Liu et al. 2017, RankIQA, doi:10.1109/ICCV.2017.118.
    """
    short = F.relu(margin - (judged.score[:, None] - judged.score)) / WORD
    weights = (target.weights()[:, None] * target.weights()).sqrt()
    return _mean(short, weights, _pairs(target))


@loss("fidelity")
def fidelity(judged: Judgement, target: Target) -> Tensor:
    """How unlike the probabilities are, that one picture is found better than another, over all pairs.

    Thurstone's model: the difference of opinions is normal. Sources: Tsai et al. 2007, doi:10.1145/1277741.1277808;
    Zhang et al. 2021, doi:10.1109/TIP.2021.3061932.
    """
    valid = torch.isfinite(target.score)
    told = torch.full_like(target.score, USUAL_SPREAD) if target.std is None else target.std
    told = torch.where(torch.isfinite(told), told, torch.full_like(told, USUAL_SPREAD)).clamp_min(1.0)
    stated = told if judged.spread is None else judged.spread
    truth = torch.where(valid, target.score, torch.zeros_like(target.score))
    wanted, found = _preference(truth, told), _preference(judged.score, stated)
    each = 1 - (wanted * found + 1e-10).sqrt() - ((1 - wanted) * (1 - found) + 1e-10).sqrt()
    both = valid[:, None] & valid & ~torch.eye(len(valid), dtype=torch.bool, device=valid.device)
    weights = (target.weights()[:, None] * target.weights()).sqrt()
    return _mean(each, weights, both)


def _preference(score: Tensor, spread: Tensor) -> Tensor:
    distance = (score[:, None] - score) / (spread[:, None] ** 2 + spread**2).sqrt()
    return 0.5 * (1 + torch.erf(distance / math.sqrt(2)))


@loss("gaussian", needs="spread")
def gaussian(judged: Judgement, target: Target) -> Tensor:
    """Negative logarithm of a normal density whose standard deviation the network states itself.

    Source: Nix and Weigend 1994, doi:10.1109/ICNN.1994.374138.
    """
    error, valid = _errors(judged, target)
    if judged.spread is None:
        raise _lacking("gaussian", "states its spread", "spread")
    spread = judged.spread / WORD
    return _mean(0.5 * (error / spread) ** 2 + spread.log(), target.weights(), valid)


@loss("emd", needs="distribution")
def emd(judged: Judgement, target: Target) -> Tensor:
    """Root mean squared difference of cumulative distributions of opinions (earth mover's distance).

    Where the target has no distribution, a normal one of its score and spread is taken. Source: Talebi and Milanfar
    2018, NIMA, doi:10.1109/TIP.2018.2831899.
    """
    if judged.distribution is None:
        raise _lacking("emd", "gives a distribution", "distribution")
    found, valid = judged.distribution, torch.isfinite(target.score)
    wanted = expected_distribution(target, found.shape[1]).to(found.dtype)
    gap = (found.cumsum(dim=1) - wanted.cumsum(dim=1)) ** 2
    return _mean((gap.mean(dim=1) + TINY**2).sqrt(), target.weights(), valid)


def expected_distribution(target: Target, steps: int) -> Tensor:
    """(N, steps), sum 1: the target's own, else a normal distribution of its score and spread within 0-100."""
    if target.distribution is not None:
        if target.distribution.shape[1] != steps:
            got = target.distribution.shape[1]
            raise InputError(
                f"the network gives {steps} steps of opinion, the data set {got}; set model.settings.steps"
            )
        return target.distribution
    told = torch.full_like(target.score, USUAL_SPREAD) if target.std is None else target.std
    told = torch.where(torch.isfinite(told), told, torch.full_like(told, USUAL_SPREAD)).clamp_min(1.0)
    score = torch.where(torch.isfinite(target.score), target.score, torch.full_like(target.score, 50.0))
    edges = torch.linspace(0, 100, steps + 1, dtype=score.dtype, device=score.device)
    below = 0.5 * (1 + torch.erf((edges - score[:, None]) / told[:, None] / math.sqrt(2)))
    shares = below[:, 1:] - below[:, :-1]
    return shares / shares.sum(dim=1, keepdim=True).clamp_min(TINY)


def _maps(judged: Judgement, target: Target) -> tuple[Tensor, Tensor, Tensor] | None:
    """The two maps in [0, 1] at the size of the network's, and which pictures have one."""
    if judged.map is None:
        raise _lacking("map or ssim_map", "gives a map", "map")
    if target.map is None:
        return None
    valid = torch.isfinite(target.map).all(dim=3).all(dim=2).all(dim=1)
    known = torch.where(valid[:, None, None, None], target.map, torch.zeros_like(target.map))
    return judged.map / 100, F.interpolate(known, judged.map.shape[-2:], mode="area") / 100, valid


@loss("map", needs="map")
def map_mae(judged: Judgement, target: Target) -> Tensor:
    """Mean absolute error of the local quality map, in fifths of the scale."""
    maps = _maps(judged, target)
    if maps is None:
        return judged.score.sum() * 0
    found, wanted, valid = maps
    return _mean((found - wanted).abs().mean(dim=(1, 2, 3)) * 5, target.weights(), valid)


@loss("ssim_map", needs="map")
def ssim_map(judged: Judgement, target: Target) -> Tensor:
    """1 less the structural similarity of the local quality map with the one of a full-reference metric.

    The window is 11x11 with a sigma of 1.5, smaller where the map is. Source: Wang et al. 2004,
    doi:10.1109/TIP.2003.819861.
    """
    maps = _maps(judged, target)
    if maps is None:
        return judged.score.sum() * 0
    found, wanted, valid = maps
    side = min(11, *found.shape[-2:])
    taps = torch.as_tensor(gaussian_window(side, 1.5), dtype=found.dtype, device=found.device)
    window = torch.outer(taps, taps)[None, None]

    def blur(x: Tensor) -> Tensor:
        return F.conv2d(x, window)

    mx, my = blur(found), blur(wanted)
    vx, vy, both = blur(found**2) - mx**2, blur(wanted**2) - my**2, blur(found * wanted) - mx * my
    similar = ((2 * mx * my + 1e-4) * (2 * both + 9e-4)) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    return _mean(1 - similar.mean(dim=(1, 2, 3)), target.weights(), valid)


@loss("type", needs="type")
def distortion_type(judged: Judgement, target: Target, *, smoothing: float = 0.05) -> Tensor:
    """Cross entropy of the distortion's type."""
    if judged.type is None:
        raise _lacking("type", "tells types", "type")
    if target.type is None or not bool((target.type >= 0).any()):
        return judged.score.sum() * 0
    each = F.cross_entropy(judged.type, target.type.clamp_min(0), reduction="none", label_smoothing=smoothing)
    return _mean(each, target.weights(), target.type >= 0)


@loss("severity", needs="severity")
def severity(judged: Judgement, target: Target) -> Tensor:
    """Mean absolute error of the distortion's severity, in fifths."""
    if judged.severity is None:
        raise _lacking("severity", "tells severity", "severity")
    if target.severity is None:
        return judged.score.sum() * 0
    valid = torch.isfinite(target.severity)
    known = torch.where(valid, target.severity, torch.zeros_like(target.severity))
    return _mean((judged.severity - known).abs() * 5, target.weights(), valid)


def _lacking(name: str, what: str, part: str) -> InputError:
    """That a judgement lacks a part: which architectures give it, and by which of their settings."""
    ways = []
    for card in list_architectures():
        if part in card.gives:
            heads = f" with {part!r} among model.settings.heads" if "heads" in card.settings else ""
            counted = " with model.settings.types above 0" if part == "type" and not heads else ""
            ways.append(f"{card.name}{heads or counted}")
    return InputError(
        f"the {name} loss needs a network that {what}, which this one does not; take {', or '.join(ways)}"
    )


class Objective:
    """A weighted sum of losses.

    terms: weight by name; settings: a loss's own, by its name. Calling it with a Judgement and a Target gives the sum
    and every term without its weight. Raises InputError for unknown names and settings, for weights below 0 and
    settings out of their range, or no term at all.
    """

    def __init__(self, terms: Mapping[str, float], settings: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        for name, weight in terms.items():
            _check_number(f"the weight of the loss {name}", weight, 0, math.inf, "0 or more")
        self.terms = {name: float(weight) for name, weight in terms.items() if weight}
        self.settings = {name: dict(values) for name, values in (settings or {}).items()}
        if not self.terms:
            raise InputError(f"expected at least one loss with a weight, got {dict(terms)}; known: {', '.join(LOSSES)}")
        for name in [*terms, *self.settings]:
            if name not in LOSSES:
                near = difflib.get_close_matches(name, LOSSES, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(LOSSES)}"
                raise InputError(f"no loss is called {name!r}; {hint}")
        for name, values in self.settings.items():
            parameters = inspect.signature(LOSSES[name]).parameters
            known = [p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
            for key, value in values.items():
                if key not in known:
                    raise InputError(
                        f"the loss {name} has no setting {key!r}; its settings: {', '.join(known) or 'none'}"
                    )
                if isinstance(parameters[key].default, (int, float)):
                    span = SPANS.get((name, key), (-math.inf, math.inf, "finite"))
                    _check_number(f"the setting {key} of the loss {name}", value, *span)

    def __repr__(self) -> str:
        return "Objective(" + " + ".join(f"{weight:g} {name}" for name, weight in self.terms.items()) + ")"

    @property
    def needs(self) -> set[str]:
        """The parts of a judgement that the losses look at."""
        return {NEEDS[name] for name in self.terms}

    def __call__(self, judged: Judgement, target: Target) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and every term."""
        parts = {name: LOSSES[name](judged, target, **self.settings.get(name, {})) for name in self.terms}
        return torch.stack([weight * parts[name] for name, weight in self.terms.items()]).sum(), parts


def _check_number(what: str, value: Any, least: float, most: float, span: str) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not least <= value <= most:
        raise InputError(f"{what} must be a number, {span}, got {value!r}")
