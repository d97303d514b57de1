"""`beholder`: any body, moments of several stages at one or two sizes, and the heads that a training asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from beholder.errors import InputError
from beholder.models.assessors.architectures import Judgement, architecture
from beholder.models.assessors.bodies import make_body
from beholder.models.assessors.heads import Points, Standard, check_picture, choose_maps, pool_moments

HEADS = ("score", "spread", "distribution", "map", "type", "severity")


class MapHead(nn.Module):
    """The local quality, at the finest of the given maps: all squeezed, brought to its size, added, read out."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.squeeze = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """(N, 1, h, w), raw."""
        total: Tensor = self.squeeze[0](maps[0])
        for squeeze, x in zip(list(self.squeeze)[1:], maps[1:], strict=True):
            total = total + F.interpolate(squeeze(x), total.shape[2:], mode="bilinear", align_corners=False)
        found: Tensor = self.last(F.relu(self.mix(F.relu(total))))
        return found


def _trunk(ins: int, hidden: Sequence[int], dropout: float) -> tuple[nn.Sequential, int]:
    """Layers of so many nodes with dropout before and behind each, and the width of the last."""
    layers: list[nn.Module] = [nn.Dropout(dropout)]
    for width in hidden:
        layers += [nn.Linear(ins, width), nn.GELU(), nn.Dropout(dropout)]
        ins = width
    return nn.Sequential(*layers), ins


def _heads(ins: int, widths: Mapping[str, int]) -> nn.ModuleDict:
    """A linear head of each name and width."""
    return nn.ModuleDict({f"to_{name}": nn.Linear(ins, width) for name, width in widths.items()})


def _read(heads: nn.Module, hidden: Tensor) -> dict[str, Tensor]:
    """What each head gives, raw, by its name."""
    return {name.removeprefix("to_"): head(hidden) for name, head in heads.named_children()}


@architecture(
    "beholder",
    paper="Beholder's own; bodies as Tan and Le 2019, doi:10.48550/arXiv.1905.11946",
    gives=(*HEADS, "features"),
    crop=224,
    bodies=True,
)
class General(nn.Module):
    """Mean and standard deviation of every channel of several maps, standardised, a trunk, and heads.

    body, weights, body_settings, stochastic_depth, fixed_norm: see `make_body`; the last is wise for a trained body,
    whose batch statistics would otherwise be a mixture of those of both sizes. taps: which of its maps are pooled,
    all when empty. half: also those of the picture at half its size, which needs pictures of twice the smallest side.
    hidden: nodes of the trunk's layers. dropout: on the features and behind each layer of the trunk. skip: whether the
    score has a linear part beside the trunk, which wants a tenth of the trunk's rate. sides: further trunks, of layers
    of `side_hidden` nodes, each on some of the pooled maps by their places: members of an ensemble that share the body.
    The score is the mean of all; in training each picture is judged by one of them, drawn, so that they learn apart.
    heads: of `HEADS`; 'score' is always there. types: kinds of distortion (KADID-10k's 25); steps: of the distribution;
    map_stride: the finest map that the local quality is read from; map_width: its channels.

    The judgement's features are the standardised ones and, behind them, the `deep` ones that the body's last stage
    makes of the means of the map before it, where it can and that map is pooled: they say what is in the picture.

    `pool` and `judge` are the two halves of `forward`, for training on features that were computed once (without map).
    """

    def __init__(
        self,
        body: str = "",
        weights: str = "imagenet",
        body_settings: Mapping[str, Any] | None = None,
        stochastic_depth: float = 0.0,
        fixed_norm: bool = False,
        taps: Sequence[int] = (),
        half: bool = True,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.2,
        skip: bool = False,
        sides: Sequence[Sequence[int]] = (),
        side_hidden: Sequence[int] = (256, 64),
        heads: Sequence[str] = ("score",),
        types: int = 25,
        steps: int = 10,
        map_stride: int = 8,
        map_width: int = 64,
    ) -> None:
        super().__init__()
        unknown = [head for head in heads if head not in HEADS]
        if unknown:
            raise InputError(f"beholder has no head {unknown[0]!r}; heads: {', '.join(HEADS)}")
        self.body = make_body(body, weights, body_settings, stochastic_depth=stochastic_depth, fixed_norm=fixed_norm)
        self.taps = choose_maps(taps, len(self.body.channels)) or tuple(range(len(self.body.channels)))
        self.both_sizes = half
        self.min_size = self.body.min_size * (2 if half else 1)
        self.groups = tuple(2 * self.body.channels[i] for i in self.taps) * (2 if half else 1)
        before = len(self.body.channels) - 2  # the map that the body's last stage takes
        self.deep = self.body.channels[-1] if hasattr(self.body, "look") and before in self.taps else 0
        first = sum(self.groups[: self.taps.index(before)]) if self.deep else 0
        self.deep_span = (first, first + self.body.channels[before])
        features = sum(self.groups)
        self.standard = Standard(features)
        self.trunk, ins = _trunk(features, hidden, dropout)
        self.skip = nn.Linear(features, 1, bias=False) if skip and hidden else None
        if self.skip is not None:
            nn.init.zeros_(self.skip.weight)
        self.side_spans = tuple(self._spans(side) for side in sides)
        widths = {"score": 1, "spread": 1, "distribution": steps, "type": types, "severity": 1}
        asked = {"score", *heads}
        widths = {name: width for name, width in widths.items() if name in asked}
        self.heads = _heads(ins, widths)
        self.sides = nn.ModuleList()
        for spans in self.side_spans:
            side, ins = _trunk(sum(b - a for a, b in spans), side_hidden, dropout)
            self.sides.append(nn.ModuleDict({"trunk": side, "heads": _heads(ins, widths)}))
        self.map_taps = tuple(i for i, stride in enumerate(self.body.strides) if stride >= map_stride)
        self.map: nn.Module | None = None
        if "map" in asked:
            if not self.map_taps:
                raise InputError(f"no map of the body has a stride of {map_stride} or more: {self.body.strides}")
            self.map = MapHead([self.body.channels[i] for i in self.map_taps], map_width)
        self.points = Points()

    def pool(self, image: Tensor) -> Tensor:
        """Means and standard deviations of all channels, not standardised: (N, 3, H, W) in [0, 1] to (N, F)."""
        check_picture("beholder", image, self.min_size)
        return self._pool(image, self.body(image))

    def judge(self, pooled: Tensor) -> Judgement:
        """What the heads say of pooled features (N, F): all but the map."""
        features = self.standard(pooled)
        raw = _read(self.heads, self.trunk(features))
        if self.skip is not None:
            raw["score"] = raw["score"] + self.skip(self.trunk[0](features))
        if self.sides:
            raw = self._merge([raw, *(self._side(i, features) for i in range(len(self.sides)))])
        score = raw["score"][:, 0]
        found = Judgement(self.points(score), features=features)
        if self.deep and not self.training:
            body: Any = self.body
            found.features = torch.cat([features, body.look(pooled[:, slice(*self.deep_span)])], 1)
        if "spread" in raw:
            found.spread = self.points.spread(raw["spread"])[:, 0]
        if "distribution" in raw:
            found.distribution = torch.softmax(raw["distribution"].float(), 1)
        if "severity" in raw:
            found.severity = torch.sigmoid(raw["severity"])[:, 0]
        found.type = raw.get("type")
        return found

    def forward(self, image: Tensor) -> Judgement:
        """Judge (N, 3, H, W) in [0, 1]."""
        check_picture("beholder", image, self.min_size)
        maps = self.body(image)
        found = self.judge(self._pool(image, maps))
        if self.map is not None:
            found.map = self.points(self.map([maps[i] for i in self.map_taps]))
        return found

    def _spans(self, places: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """Where the pooled features of these of the pooled maps stand: (first, end) for each, at both sizes."""
        unknown = [i for i in places if not 0 <= i < len(self.taps)]
        if unknown or not places:
            last = len(self.taps) - 1
            raise InputError(f"sides are lists of places from 0 to {last} of the pooled maps, got {list(places)}")
        ends = list(accumulate(self.groups))
        return tuple(
            (ends[i] - self.groups[i], ends[i])
            for start in range(0, len(self.groups), len(self.taps))
            for i in (start + place for place in sorted(set(places)))
        )

    def _side(self, number: int, features: Tensor) -> dict[str, Tensor]:
        """What the heads of one of the sides give."""
        side: Any = self.sides[number]
        own = torch.cat([features[:, a:b] for a, b in self.side_spans[number]], 1)
        return _read(side["heads"], side["trunk"](own))

    def _merge(self, said: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """What the members' heads give as one: the mean, in training what one of them gives, drawn for each picture."""
        stacked = {name: torch.stack([s[name] for s in said]) for name in said[0]}
        if not self.training:
            return {name: x.mean(0) for name, x in stacked.items()}
        count = len(stacked["score"][0])
        drawn, places = torch.randint(len(said), (count,)), torch.arange(count)
        return {name: x[drawn.to(x.device), places.to(x.device)] for name, x in stacked.items()}

    def _pool(self, image: Tensor, maps: Sequence[Tensor]) -> Tensor:
        pooled = [pool_moments(maps[i]) for i in self.taps]
        if self.both_sizes:
            small = self.body(F.avg_pool2d(image, 2))
            pooled += [pool_moments(small[i]) for i in self.taps]
        return torch.cat(pooled, 1)

    def begin(self, image: Tensor) -> list[Tensor]:
        """What the body's frozen stages give, to be kept between epochs: for each size the pooled maps, and the rest.

        The rest, (N, C, h, w), is what the later stages go on from; it is empty where all stages are frozen.
        """
        check_picture("beholder", image, self.min_size)
        body: Any = self.body
        found = []
        for x in (image, F.avg_pool2d(image, 2)) if self.both_sizes else (image,):
            rest, maps = body.begin(x, body.frozen)
            if body.frozen == len(body.stages):
                maps, rest = [*maps, rest], rest[:, :0]
            pooled = [pool_moments(m) for i, m in enumerate(maps) if i in self.taps]
            found += [torch.cat(pooled, 1) if pooled else rest[:, :0].mean((2, 3)), rest]
        return found

    def finish(self, begun: Sequence[Tensor]) -> Judgement:
        """The judgement of what `begin` gave: all but the map."""
        body: Any = self.body
        pooled = []
        for before, rest in zip(begun[::2], begun[1::2], strict=True):
            pooled.append(before)
            if rest.shape[1]:
                maps = body.finish(rest, body.frozen)
                first = len(body.channels) - len(maps)
                pooled += [pool_moments(m) for i, m in enumerate(maps, first) if i in self.taps]
        return self.judge(torch.cat([p.float() for p in pooled], 1))
