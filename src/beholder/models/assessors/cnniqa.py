"""CNNIQA: one convolution, max and min pooling, three layers, on patches of 32 pixels (Kang et al. 2014)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from beholder.arrays import LUMA_FULL
from beholder.errors import InputError
from beholder.models.assessors.architectures import Judgement, architecture
from beholder.models.assessors.heads import Points, check_picture

PAPER = (
    "Kang et al. 2014, Convolutional Neural Networks for No-Reference Image Quality Assessment,"
    " doi:10.1109/CVPR.2014.224"
)
REACH = 3
"""P and Q of the paper: local means are over 7 x 7 pixels."""
FLOOR = 1 / 255
"""C of the paper, one step of 8 bits, as in BRISQUE, from which the normalisation is taken."""


def normalise_contrast(x: Tensor) -> Tensor:
    """(x - local mean) / (local standard deviation + C), each over the 7 x 7 pixels around that the picture has."""
    size = 2 * REACH + 1

    def mean(a: Tensor) -> Tensor:
        down = F.avg_pool2d(a, (size, 1), 1, (REACH, 0), count_include_pad=False)
        return F.avg_pool2d(down, (1, size), 1, (0, REACH), count_include_pad=False)

    middle = x.mean((2, 3), keepdim=True)  # near 0 the variance keeps more digits
    x = x - middle
    centre = mean(x)
    variance = mean(x * x) - centre * centre
    return (x - centre) / (torch.sqrt(variance.clamp(min=1e-10)) + FLOOR)


@architecture("cnniqa", paper=PAPER, gives=("score", "map", "features"), crop=32)
class CNNIQA(nn.Module):
    """Mean over patches of what a small network says of each; fully convolutional, pictures of any size from 32 x 32.

    width: filters; hidden: nodes of the two fully connected layers; kernel: of the filters; patch: side of a patch;
    step: from patch to patch, the paper's are side by side; dropout: at the second fully connected layer, as in the
    paper; colour: three channels instead of luma. What is left of the picture at the right and the bottom of the last
    whole patch is not looked at. The map holds the patches' scores. 724,901 parameters as published.
    """

    luma: Tensor

    def __init__(
        self,
        width: int = 50,
        hidden: int = 800,
        kernel: int = 7,
        patch: int = 32,
        step: int = 32,
        dropout: float = 0.5,
        colour: bool = False,
    ) -> None:
        super().__init__()
        if not 1 <= kernel <= patch or step < 1:
            raise InputError(f"cnniqa needs 1 <= kernel <= patch and step >= 1, got {kernel}, {patch} and {step}")
        self.min_size, self.step, self.reach = patch, step, patch - kernel + 1
        self.colour = colour
        self.register_buffer("luma", torch.tensor(LUMA_FULL).reshape(1, 3, 1, 1), persistent=False)
        self.filters = nn.Conv2d(3 if colour else 1, width, kernel)
        # layers on each patch's vector, written as 1 x 1 convolutions over the grid of patches
        self.first = nn.Conv2d(2 * width, hidden, 1)
        self.second = nn.Conv2d(hidden, hidden, 1)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Conv2d(hidden, 1, 1)
        self.points = Points()

    def forward(self, image: Tensor) -> Judgement:
        """Judge (N, 3, H, W) in [0, 1]."""
        check_picture("cnniqa", image, self.min_size)
        x = image if self.colour else (image * self.luma).sum(1, keepdim=True)
        responses = self.filters(normalise_contrast(x))
        high = F.max_pool2d(responses, self.reach, self.step)
        low = -F.max_pool2d(-responses, self.reach, self.step)
        pooled = torch.cat([high, low], 1)
        hidden = F.relu(self.second(F.relu(self.first(pooled))))
        scores = self.points(self.last(self.dropout(hidden)))
        return Judgement(scores.mean((1, 2, 3)), map=scores, features=pooled.mean((2, 3)))
