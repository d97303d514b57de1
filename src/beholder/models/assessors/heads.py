"""What the quality networks share: checks, poolings, standardised features, points, distributions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from beholder.errors import ChannelError, InputError, LayoutError, SizeError

CENTRE, POINTS = 50.0, 20.0
"""What a raw output of 0 means on 0-100, and the points that one unit is worth, unless `set_target` says otherwise."""
TINY = 1e-6
"""Below the square root, where its slope would be infinite."""


def check_picture(name: str, image: Tensor, least: int) -> None:
    """Typed errors for anything but (N, 3, H, W) with both sides at least `least` pixels."""
    if image.ndim != 4:
        raise LayoutError(f"{name} takes (N, 3, H, W), got {image.ndim} axes; add or drop the batch axis")
    if image.shape[1] != 3:
        raise ChannelError(
            f"{name} takes 3 channels, got {image.shape[1]}; repeat a grey picture: image.expand(-1, 3, -1, -1)"
        )
    if image.shape[2] < least or image.shape[3] < least:
        size = f"{image.shape[2]}x{image.shape[3]}"
        raise SizeError(f"{name} needs at least {least}x{least} pixels, got {size}; pass larger pictures or crop less")


def check_pair(name: str, image: Tensor, reference: Tensor, least: int) -> None:
    """As `check_picture`, for a picture and a reference of the same shape."""
    check_picture(name, image, least)
    if image.shape != reference.shape:
        got = f"{tuple(image.shape)} and {tuple(reference.shape)}"
        raise SizeError(f"{name} compares pictures of one shape, got {got}; crop or pad them alike")


class Points(nn.Module):
    """Raw outputs to points on 0-100: ``raw * target[1] + target[0]``, not clipped.

    The buffer `target` is the mean and the standard deviation that the opinions have; it is saved with the weights.
    """

    target: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("target", torch.tensor([CENTRE, POINTS]))

    def forward(self, raw: Tensor) -> Tensor:
        """Points."""
        return raw.float() * self.target[1] + self.target[0]

    def spread(self, raw: Tensor) -> Tensor:
        """Raw outputs to standard deviations in points, at least a hundredth of the opinions'."""
        return (nn.functional.softplus(raw.float()) + 0.01) * self.target[1]


def set_target(network: nn.Module, mean: float, spread: float) -> None:
    """Tell a network the mean and standard deviation of the opinions, so that it starts from there.

    Raises InputError where the spread is not above 0. Networks that give a distribution have no such target.
    """
    if not spread > 0:
        raise InputError(f"the opinions' standard deviation must be above 0, got {spread}; are all scores equal?")
    for module in network.modules():
        if isinstance(module, Points):
            with torch.no_grad():
                module.target.copy_(torch.tensor([mean, spread]))


class Standard(nn.Module):
    """Features in standard deviations from their mean over the training pictures, clipped at `limit`.

    (N, F) to (N, F). In training mode every batch updates the two first: an exact running mean and variance over the
    first `memory` pictures, exponential ones after; where `held`, they stay as loaded, for the weights behind them were
    learned with these. A batch is never normalised by itself, so one picture at a time trains as it is judged, and no
    gradient flows through the statistics.
    """

    mean: Tensor
    deviation: Tensor
    count: Tensor

    def __init__(self, features: int, memory: int = 2000, limit: float = 8.0) -> None:
        super().__init__()
        self.memory, self.limit = memory, limit
        self.held = False
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))  # not its square, of which 16 bits would keep little
        self.register_buffer("count", torch.zeros(()))

    @torch.no_grad()
    def update(self, features: Tensor) -> None:
        """Take the pictures of a batch into the statistics."""
        x = features.detach().float()
        count = (self.count + len(x)).clamp(max=float(max(self.memory, len(x))))
        share = len(x) / count
        step = x.mean(0) - self.mean
        known = self.deviation.square() * (self.count > 1)  # one picture says nothing of the deviation
        variance = (1 - share) * known + share * x.var(0, unbiased=False) + share * (1 - share) * step * step
        self.deviation.copy_(torch.where(count > 1, variance.sqrt(), 1.0))
        self.mean.add_(share * step)
        self.count.copy_(count)

    def forward(self, features: Tensor) -> Tensor:
        """Standardised features."""
        if self.training and not self.held:
            self.update(features)
        scaled = (features.float() - self.mean) * torch.rsqrt(self.deviation.square() + TINY)
        return scaled.clamp(-self.limit, self.limit)


def choose_maps(taps: Sequence[int], count: int) -> tuple[int, ...]:
    """Numbers of some of `count` maps, in order, the last one also being -1; InputError for one that is not there."""
    for tap in taps:
        if not -count <= tap < count:
            raise InputError(f"the body gives {count} maps, there is no map {tap}; pass 0 to {count - 1}")
    return tuple(sorted({tap % count for tap in taps}))


def pool_moments(x: Tensor) -> Tensor:
    """Mean and standard deviation of every channel over the picture: (N, C, H, W) to (N, 2 C)."""
    x = x.float()
    mean = x.mean((2, 3))
    around = x - mean[:, :, None, None]
    return torch.cat([mean, torch.sqrt((around * around).mean((2, 3)) + TINY)], 1)


def pool_grid(x: Tensor, height: int, width: int) -> Tensor:
    """Mean over the cells of a grid: (N, C, H, W) to (N, C, height, width).

    The cells are those of PyTorch's adaptive average pooling, of which neighbours share a row where sizes do not
    divide; written as two matrix products, since ONNX has no such pooling for pictures of any size.
    """
    rows = _cells(x.shape[2], height, x)
    columns = _cells(x.shape[3], width, x)
    return rows @ x @ columns.transpose(0, 1)


def _cells(size: int, cells: int, like: Tensor) -> Tensor:
    """(cells, size): the weight of each of `size` pixels in the mean of each cell."""
    pixel = torch.arange(size, device=like.device)
    cell = torch.arange(cells, device=like.device)[:, None]
    first = torch.div(cell * size, cells, rounding_mode="floor")
    end = torch.div((cell + 1) * size + cells - 1, cells, rounding_mode="floor")
    inside = ((pixel >= first) & (pixel < end)).to(like.dtype)
    return inside / (end - first).to(like.dtype)


def pool_weighted(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean over positions: two (N, 1, h, w), weights above 0, to (N,)."""
    return (values * weights).sum((1, 2, 3)) / weights.sum((1, 2, 3))


def expect(shares: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, (N,) on 0-100, of opinions with these shares (N, K) in K equal steps, worst first.

    A step counts as its middle, as in Talebi and Milanfar 2018: ten steps stand for 5, 15, ... 95.
    """
    steps = shares.shape[1]
    middles = (torch.arange(steps, device=shares.device, dtype=shares.dtype) + 0.5) * (100 / steps)
    mean = (shares * middles).sum(1)  # a product of matrices would be rounded under autocast
    variance = (shares * (middles - mean[:, None]) ** 2).sum(1)
    return mean, torch.sqrt(variance + TINY)


def perceptron(ins: int, hidden: Sequence[int], outs: int, dropout: float) -> nn.Sequential:
    """Fully connected layers, ReLU and dropout behind all but the last."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(ins, width), nn.ReLU(), nn.Dropout(dropout)]
        ins = width
    return nn.Sequential(*layers, nn.Linear(ins, outs))
