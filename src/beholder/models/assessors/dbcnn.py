"""DB-CNN: two networks, for synthetic distortions and for photographs, pooled together (Zhang et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from beholder.models.assessors.architectures import Judgement, architecture
from beholder.models.assessors.bodies import make_body
from beholder.models.assessors.heads import Points, check_picture, choose_maps, perceptron, pool_grid

PAPER = (
    "Zhang et al. 2020, Blind Image Quality Assessment Using a Deep Bilinear Convolutional Neural Network,"
    " doi:10.1109/TCSVT.2018.2886771"
)
LAYERS = ((1, 1), (1, 2), (2, 1), (2, 2), (2, 1), (2, 2), (3, 1), (3, 1), (3, 2))
"""Width class and stride of the nine 3 x 3 convolutions of the network for synthetic distortions, S-CNN."""
STRIDE = 16
"""Of its map."""


def synthetic(width: int) -> tuple[nn.Sequential, int]:
    """S-CNN without its classifier, and its channels; its layers are `width`, 4/3 and 8/3 of it wide (48, 64, 128)."""
    widths = {1: width, 2: max(1, width * 4 // 3), 3: max(1, width * 8 // 3)}
    layers: list[nn.Module] = []
    ins = 3
    for kind, stride in LAYERS:
        outs = widths[kind]
        layers += [nn.Conv2d(ins, outs, 3, stride, 1), nn.BatchNorm2d(outs), nn.ReLU()]
        ins = outs
    return nn.Sequential(*layers), ins


def pool_bilinear(x: Tensor, y: Tensor) -> Tensor:
    """Mean outer product over positions, signed square root, length 1: (N, A, h, w), (N, B, h, w) to (N, A B)."""
    both = x.flatten(2) @ y.flatten(2).transpose(1, 2) / (x.shape[2] * x.shape[3])
    flat = both.flatten(1)
    # the floor keeps the slope finite at 0; an addition of 1e-8 would be dropped from ONNX as if it were 0
    return F.normalize(flat / torch.sqrt(flat.abs().clamp(min=1e-8)))


@architecture("dbcnn", paper=PAPER, gives=("score", "type", "features"), crop=224, bodies=True)
class DBCNN(nn.Module):
    """One linear layer on the bilinear pooling of two networks' maps.

    body, weights, body_settings, stochastic_depth: see `make_body`; it stands in for VGG-16, whose last map is half
    as coarse as EfficientNet's. tap: which of its maps. The finer of the two maps is averaged to the coarser one's
    grid. width: of the first layer of the network for synthetic distortions; types: kinds of distortion that a
    classifier on that network tells apart, 0 for none (the paper trains it so first, with 39). dropout: before the
    last layer; the paper has none.
    """

    def __init__(
        self,
        body: str = "",
        weights: str = "imagenet",
        body_settings: Mapping[str, Any] | None = None,
        stochastic_depth: float = 0.0,
        tap: int = -1,
        width: int = 48,
        types: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.body = make_body(body, weights, body_settings, stochastic_depth=stochastic_depth)
        (self.tap,) = choose_maps([tap], len(self.body.channels))
        self.synthetic, channels = synthetic(width)
        self.classifier = perceptron(channels, (2 * channels,), types, 0.0) if types else None
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(channels * self.body.channels[self.tap], 1)
        self.points = Points()
        self.min_size = max(self.body.min_size, STRIDE)

    def forward(self, image: Tensor) -> Judgement:
        """Judge (N, 3, H, W) in [0, 1]."""
        check_picture("dbcnn", image, self.min_size)
        x, y = self.synthetic(image * 2 - 1), self.body(image)[self.tap]
        means = x.mean((2, 3)), y.mean((2, 3))
        if self.body.strides[self.tap] >= STRIDE:
            x = pool_grid(x, y.shape[2], y.shape[3])
        else:
            y = pool_grid(y, x.shape[2], x.shape[3])
        score = self.points(self.last(self.dropout(pool_bilinear(x, y))))[:, 0]
        kinds = None if self.classifier is None else self.classifier(means[0])
        return Judgement(score, type=kinds, features=torch.cat(means, 1))
