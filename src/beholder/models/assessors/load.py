"""Shipped assessors as PyTorch modules, with the size rule of the runtime."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from beholder.arrays import pad_mirror
from beholder.models.assessors.networks import Deployed, load_network
from beholder.models.files import shipped
from beholder.models.viewing import min_side_of, viewing_size


class Viewer(nn.Module):
    """An assessor that takes pictures of any size: (N, C, H, W) in [0, 1], C 1 or 3, to (N,) on 0-100."""

    def __init__(self, network: Deployed, min_side: int) -> None:
        super().__init__()
        self.network = network
        self.min_side = min_side

    def forward(self, image: Tensor, native: bool = False) -> Tensor:
        """Scores (N,); native: at 100 %, whatever the size."""
        image = image.expand(-1, 3, -1, -1)
        height, width = image.shape[-2:]
        size = (height, width) if native else viewing_size(height, width)
        if size != (height, width):
            image = F.interpolate(image, size, mode="bicubic", antialias=True).clamp(0, 1)
            height, width = size
        down, right = max(0, self.min_side - height), max(0, self.min_side - width)
        score: Tensor = self.network(pad_mirror(image, 0, down, 0, right))[0]
        return score


def load_assessor(name: str = "beholder") -> Viewer:
    """A shipped assessor with its weights, in evaluation mode.

    Raises ModelError for a damaged file, MissingExtraError without safetensors.
    """
    network, header = load_network(shipped(f"{name}.safetensors"))
    return Viewer(network, min_side_of(header)).eval().requires_grad_(False)
