"""The body of `beholder_fr`: a picture to the maps that are compared (PyTorch)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from beholder.arrays import pad_mirror
from beholder.models.assessors.efficientnet import EfficientNetLite0
from beholder.models.comparison import WHOLE, Weights, distance, fitted, moments
from beholder.models.files import load_model, shipped
from beholder.models.viewing import MIN_SIDE, viewing_size

BLOCKS = (0, 2, 4, 7, 10, 15)
"""Blocks of the network whose outputs are compared."""
YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""ITU-R BT.601, full range, without offsets."""


class PairBody(nn.Module):
    """(N, 3, H, W) sRGB in [0, 1], H and W at least 64, to the maps of all stages, in the order of `STAGES`.

    The stages are the picture itself (luma and chroma, at three sizes), the gradient magnitude of luma (at three
    sizes) and six stages of the network.
    """

    ycbcr: Tensor
    prewitt: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.net = EfficientNetLite0()
        self.register_buffer("ycbcr", torch.tensor(YCBCR).reshape(3, 3, 1, 1), persistent=False)
        ramp = torch.tensor([1 / 3, 0.0, -1 / 3]).expand(3, 3)
        self.register_buffer("prewitt", torch.stack([ramp, ramp.T])[:, None].contiguous(), persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """The maps."""
        planes = [F.conv2d(image, self.ycbcr)]
        for _ in range(2):
            planes.append(F.avg_pool2d(planes[-1], 2))
        deep = []
        x = self.net.stem(image * (255 / 128) - (127 / 128))
        for i, block in enumerate(self.net.blocks):
            x = block(x)
            if i in BLOCKS:
                deep.append(x)
        return (*planes, *(self.gradient(p[:, :1]) for p in planes), *deep)

    def gradient(self, luma: Tensor) -> Tensor:
        """Gradient magnitude by Prewitt's filters, the border continued."""
        both = F.conv2d(F.pad(luma, (1, 1, 1, 1), mode="replicate"), self.prewitt)
        return torch.sqrt((both * both).sum(1, keepdim=True) + 1e-12)


def load_pair_body() -> PairBody:
    """The body with the shipped network `lite0`, in evaluation mode."""
    body = PairBody().eval()
    body.net.fold()
    body.net.load_state_dict(load_model(shipped("lite0.safetensors"))[1])
    return body.requires_grad_(False)


class PairViewer(nn.Module):
    """The whole model, differentiable: pictures of any size, (N, C, H, W) in [0, 1], C 1 or 3, twice, to (N,)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = load_pair_body()
        self.weights = [torch.from_numpy(w) for w in fitted()]

    def forward(self, image: Tensor, reference: Tensor, native: bool = False) -> Tensor:
        """Distances, (N,), in double precision; native: at 100 %, whatever the size."""
        maps = [self.body(_seen(p.expand(-1, 3, -1, -1), native)) for p in (image, reference)]
        weights = Weights(*(w.to(image.device) for w in self.weights))
        sums, counts = moments(maps[0], maps[1], weights.centre.float(), weights.spread.float(), WHOLE)
        found: Tensor = distance(sums.double(), counts, weights)
        return found


def _seen(image: Tensor, native: bool) -> Tensor:
    height, width = image.shape[-2:]
    size = (height, width) if native else viewing_size(height, width)
    if size != (height, width):
        image = F.interpolate(image, size, mode="bicubic", antialias=True).clamp(0, 1)
        height, width = size
    seen: Tensor = pad_mirror(image, 0, max(0, MIN_SIDE - height), 0, max(0, MIN_SIDE - width))
    return seen
