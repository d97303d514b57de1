"""HyperIQA: what the picture shows decides the weights of the network that judges it (Su et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from beholder.errors import InputError
from beholder.models.assessors.architectures import Judgement, architecture
from beholder.models.assessors.bodies import make_body
from beholder.models.assessors.heads import Points, check_picture, pool_grid

PAPER = (
    "Su et al. 2020, Blindly Assess Image Quality in the Wild Guided by a Self-Adaptive Hyper Network,"
    " doi:10.1109/CVPR42600.2020.00372"
)


class LocalDistortion(nn.Module):
    """Local distortion aware module: a map, squeezed and averaged over a grid, to a vector."""

    def __init__(self, ins: int, grid: int, outs: int) -> None:
        super().__init__()
        few = max(16, ins // 16)
        self.grid = grid
        self.squeeze = nn.Conv2d(ins, few, 1)
        self.last = nn.Linear(few * grid * grid, outs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, ins, h, w) to (N, outs)."""
        found: Tensor = self.last(pool_grid(self.squeeze(x), self.grid, self.grid).flatten(1))
        return found


class HyperLayer(nn.Module):
    """The weights and biases of one fully connected layer, for each picture its own.

    A 3 x 3 convolution of the content map, read out over its grid, gives the (outs, ins) weights; a layer on the
    map's mean gives the biases. They start with the variance 1 / ins of an ordinary layer.
    """

    def __init__(self, content: int, grid: int, ins: int, outs: int) -> None:
        super().__init__()
        cells = grid * grid
        if outs > 1 and ins * outs % cells:
            raise InputError(
                f"{ins} x {outs} weights do not divide over a grid of {grid} x {grid}; change target or grid"
            )
        self.ins, self.outs = ins, outs
        # the last layer has too few weights for a grid: a layer on the mean gives them
        self.weights: nn.Module = (
            nn.Conv2d(content, ins * outs // cells, 3, padding=1) if outs > 1 else nn.Linear(content, ins)
        )
        self.biases = nn.Linear(content, outs)
        fan = content * 9 if outs > 1 else content
        nn.init.normal_(self.weights.weight, std=(fan * ins) ** -0.5)

    def forward(self, content: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (N, outs, ins) and biases (N, outs) from the content map (N, C, grid, grid) and its mean (N, C)."""
        made = self.weights(content if self.outs > 1 else mean)
        return made.reshape(-1, self.outs, self.ins), self.biases(mean)


def apply_layer(x: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
    """A fully connected layer with weights for each picture: (N, ins) to (N, outs)."""
    return (weights @ x[:, :, None])[:, :, 0] + biases


@architecture("hyperiqa", paper=PAPER, gives=("score", "features"), crop=224, bodies=True)
class HyperIQA(nn.Module):
    """A small network judges the picture's distortions, with weights that another predicts from its content.

    body, weights, body_settings, stochastic_depth: see `make_body`. content: channels of the content map; grid: its
    side (7 for the paper's 224 pixels; maps of other sizes are averaged to it); target: nodes of the layers that
    judge, the first being the length of what they look at; local: length of what each map but the last adds to it;
    dropout: on what the target network looks at (the paper has none).
    """

    def __init__(
        self,
        body: str = "",
        weights: str = "imagenet",
        body_settings: Mapping[str, Any] | None = None,
        stochastic_depth: float = 0.0,
        content: int = 112,
        grid: int = 7,
        target: Sequence[int] = (224, 112, 56, 28, 14),
        local: int = 16,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.body = make_body(body, weights, body_settings, stochastic_depth=stochastic_depth)
        self.min_size = self.body.min_size
        *shallow, deep = self.body.channels
        rest = target[0] - local * len(shallow)
        if rest < 1:
            raise InputError(
                f"{len(shallow)} maps of {local} values leave none of {target[0]}; enlarge target or lower local"
            )
        self.grid = grid
        coarsest = self.body.strides[-1]
        self.local = nn.ModuleList(
            LocalDistortion(ins, max(1, coarsest // stride), local)
            for ins, stride in zip(shallow, self.body.strides, strict=False)
        )
        self.whole = nn.Linear(deep, rest)
        self.content = nn.Sequential(
            nn.Conv2d(deep, max(1, deep // 2), 1),
            nn.ReLU(),
            nn.Conv2d(max(1, deep // 2), max(1, deep // 4), 1),
            nn.ReLU(),
            nn.Conv2d(max(1, deep // 4), content, 1),
            nn.ReLU(),
        )
        pairs = zip(target, [*target[1:], 1], strict=True)
        self.layers = nn.ModuleList(HyperLayer(content, grid, ins, outs) for ins, outs in pairs)
        self.dropout = nn.Dropout(dropout)
        self.points = Points()

    def forward(self, image: Tensor) -> Judgement:
        """Judge (N, 3, H, W) in [0, 1]."""
        check_picture("hyperiqa", image, self.min_size)
        *shallow, deep = self.body(image)
        seen = [module(m) for module, m in zip(self.local, shallow, strict=True)]
        features = torch.cat([*seen, self.whole(deep.mean((2, 3)))], 1)
        content = self.content(pool_grid(deep, self.grid, self.grid))
        mean = content.mean((2, 3))
        x = self.dropout(features)
        for i, layer in enumerate(self.layers):
            x = apply_layer(x, *layer(content, mean))
            if i + 1 < len(self.layers):
                x = torch.sigmoid(x)
        return Judgement(self.points(x)[:, 0], features=features)
