"""DIQaM and WaDIQaM: ten convolutions on patches of 32 pixels, with and without a reference (Bosse et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from beholder.models.assessors.architectures import Judgement, architecture
from beholder.models.assessors.heads import Points, check_pair, check_picture, perceptron, pool_weighted

PAPER = (
    "Bosse et al. 2018, Deep Neural Networks for No-Reference and Full-Reference Image Quality Assessment,"
    " doi:10.1109/TIP.2017.2760518"
)
PATCH = 32
"""Five halvings take it to one pixel."""
CROP = 192
"""36 patches side by side; the paper draws 32 patches of a picture at random."""
LEAST = 1e-6
"""Of a patch's weight."""


def cut(image: Tensor) -> Tensor:
    """All whole patches side by side: (N, C, H, W) to (N x h x w, C, 32, 32), row by row."""
    n, c, height, width = image.shape
    h, w = height // PATCH, width // PATCH
    rows = image[:, :, : h * PATCH, : w * PATCH].reshape(n, c, h, PATCH, w, PATCH)
    return rows.permute(0, 2, 4, 1, 3, 5).reshape(n * h * w, c, PATCH, PATCH)


def convolutions(width: int) -> nn.Sequential:
    """Five times two 3 x 3 convolutions with ReLU and a halving; twice the channels each time, first `width`.

    Drawn as in He et al. 2015, doi:10.1109/ICCV.2015.123: with PyTorch's usual weights a hundred-millionth of the
    picture's variance would be left behind ten layers.
    """
    layers: list[nn.Module] = []
    ins = 3
    for i in range(5):
        outs = width << i
        layers += [nn.Conv2d(ins, outs, 3, padding=1), nn.ReLU(), nn.Conv2d(outs, outs, 3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
        ins = outs
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.get_parameter("bias"))
    return nn.Sequential(*layers)


class PatchNetwork(nn.Module):
    """What the four forms share: features of patches, a score and where asked for a weight of each, their mean.

    The convolutions pad every patch with zeros, so the patches are cut out and judged as a batch: a convolution over
    the whole picture would not be the same network. What is left of the picture at the right and the bottom of the
    last whole patch is not looked at.
    """

    def __init__(self, width: int, hidden: int, dropout: float, weighted: bool, times: int) -> None:
        super().__init__()
        self.min_size = PATCH
        self.convolutions = convolutions(width)
        ins = times * (width << 4)
        self.quality = perceptron(ins, (hidden,), 1, dropout)
        self.weight: nn.Sequential | None = None
        if weighted:
            # all patches begin with a weight about 1; one that begins below 0 would have no slope through the ReLU
            *layers, last = perceptron(ins, (hidden,), 1, dropout)
            nn.init.ones_(last.get_parameter("bias"))
            self.weight = nn.Sequential(*layers, last)
        self.points = Points()

    def extract(self, image: Tensor) -> Tensor:
        """Features (patches, 16 width) of all patches of a batch."""
        found: Tensor = self.convolutions(cut(image) * 2 - 1).flatten(1)
        return found

    def judge(self, features: Tensor, image: Tensor) -> Judgement:
        """A judgement from the features of all patches."""
        n, h, w = image.shape[0], image.shape[2] // PATCH, image.shape[3] // PATCH
        scores = self.points(self.quality(features)).reshape(n, 1, h, w)
        mean = features.reshape(n, h * w, features.shape[1]).mean(1)
        if self.weight is None:
            return Judgement(scores.mean((1, 2, 3)), map=scores, features=mean)
        weights = (F.relu(self.weight(features)).float() + LEAST).reshape(n, 1, h, w)
        return Judgement(pool_weighted(scores, weights), map=scores, features=mean)


class NoReference(PatchNetwork):
    """Judges a picture alone."""

    def __init__(self, width: int, hidden: int, dropout: float, weighted: bool) -> None:
        super().__init__(width, hidden, dropout, weighted, 1)

    def forward(self, image: Tensor) -> Judgement:
        """Judge (N, 3, H, W) in [0, 1]."""
        check_picture("diqam", image, PATCH)
        return self.judge(self.extract(image), image)


class FullReference(PatchNetwork):
    """Judges a picture beside its reference: both features and their difference, reference first."""

    def __init__(self, width: int, hidden: int, dropout: float, weighted: bool) -> None:
        super().__init__(width, hidden, dropout, weighted, 3)

    def forward(self, image: Tensor, reference: Tensor) -> Judgement:
        """Judge (N, 3, H, W) in [0, 1] against a reference of the same shape."""
        check_pair("diqam_fr", image, reference, PATCH)
        x, y = self.extract(image), self.extract(reference)
        return self.judge(torch.cat([y, x, y - x], 1), image)


GIVES = ("score", "map", "features")


@architecture("diqam", paper=PAPER, gives=GIVES, crop=CROP)
def diqam(width: int = 32, hidden: int = 512, dropout: float = 0.5) -> nn.Module:
    """DIQaM-NR: the plain mean of the patches' scores."""
    return NoReference(width, hidden, dropout, False)


@architecture("wadiqam", paper=PAPER, gives=GIVES, crop=CROP)
def wadiqam(width: int = 32, hidden: int = 512, dropout: float = 0.5) -> nn.Module:
    """WaDIQaM-NR: a mean of the patches' scores with weights that a second branch gives."""
    return NoReference(width, hidden, dropout, True)


@architecture("diqam_fr", paper=PAPER, gives=GIVES, crop=CROP, reference=True)
def diqam_fr(width: int = 32, hidden: int = 512, dropout: float = 0.5) -> nn.Module:
    """DIQaM-FR: as diqam, with a reference."""
    return FullReference(width, hidden, dropout, False)


@architecture("wadiqam_fr", paper=PAPER, gives=GIVES, crop=CROP, reference=True)
def wadiqam_fr(width: int = 32, hidden: int = 512, dropout: float = 0.5) -> nn.Module:
    """WaDIQaM-FR: as wadiqam, with a reference."""
    return FullReference(width, hidden, dropout, True)
