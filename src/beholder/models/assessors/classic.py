"""The convolutional parts of AlexNet, VGG-16 and SqueezeNet 1.1 with taps, in torchvision's numbering (PyTorch)."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from beholder.errors import ModelError
from beholder.models.backbones import read_state

VGG16 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512)
TAPS = {
    "alexnet": (1, 4, 7, 9, 11),
    "vgg16": (3, 8, 15, 22, 29),
    "squeezenet1_1": (1, 4, 7, 9, 10, 11, 12),
}
"""Modules whose outputs are the features, shallow first: Zhang et al. 2018, doi:10.1109/CVPR.2018.00068."""
STRIDE = 16
"""Of the deepest tap; tiles begin at its multiples."""


class Fire(nn.Module):
    """SqueezeNet's module: squeeze to few channels, expand by 1x1 and 3x3 side by side."""

    def __init__(self, ins: int, few: int, outs: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(ins, few, 1)
        self.expand1x1 = nn.Conv2d(few, outs, 1)
        self.expand3x3 = nn.Conv2d(few, outs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, ins, H, W) to (N, 2 outs, H, W)."""
        x = F.relu(self.squeeze(x))
        return F.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))


class L2Pool(nn.Module):
    """Root of the locally weighted mean of squares, halved: DISTS' pooling (Hénaff and Simoncelli 2016)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, ceil(H / 2), ceil(W / 2))."""
        taps = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype, device=x.device)  # a Hann window without its zeros
        c = x.shape[1]
        y = F.conv2d(x * x, taps.reshape(1, 1, 3, 1).expand(c, 1, 3, 1), stride=(2, 1), padding=(1, 0), groups=c)
        y = F.conv2d(y, taps.reshape(1, 1, 1, 3).expand(c, 1, 1, 3), stride=(1, 2), padding=(0, 1), groups=c)
        return torch.sqrt(y + 1e-12)


def build(name: str) -> nn.Sequential:
    """The network up to its last tap, with torchvision's indices, not initialised to anything of use."""
    return {"alexnet": _alexnet, "vgg16": _vgg16, "squeezenet1_1": _squeezenet}[name]()


def _alexnet() -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    layers += [nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    for ins, outs in ((192, 384), (384, 256), (256, 256)):
        layers += [nn.Conv2d(ins, outs, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


def _vgg16() -> nn.Sequential:
    layers: list[nn.Module] = []
    ins = 3
    for outs in VGG16:
        if isinstance(outs, str):
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(ins, outs, 3, padding=1), nn.ReLU()]
            ins = outs
    return nn.Sequential(*layers)


def _squeezenet() -> nn.Sequential:
    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    fires = [Fire(*sizes) for sizes in ((64, 16, 64), (128, 16, 64), (128, 32, 128), (256, 32, 128))]
    more = [Fire(*sizes) for sizes in ((256, 48, 192), (384, 48, 192), (384, 64, 256), (512, 64, 256))]
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool(), fires[0], fires[1], pool(), fires[2], fires[3], pool(), *more
    )


class Features(nn.Module):
    """A backbone with its taps: (N, 3, H, W), normalised, to the maps of all taps, shallow first."""

    def __init__(self, name: str, *, smooth: bool = False) -> None:
        super().__init__()
        self.name = name
        self.layers = build(name)
        if smooth:
            for i, layer in enumerate(self.layers):
                if isinstance(layer, nn.MaxPool2d):
                    self.layers[i] = L2Pool()
        self.taps = TAPS[name]

    def load(self, path: Path) -> Features:
        """Take the weights out of a file in torchvision's naming; ModelError where names or shapes do not fit."""
        state = read_state(path)
        own = self.layers.state_dict()
        mine = {k: state.get(f"features.{k}", state.get(k)) for k in own}
        found = {k: v for k, v in mine.items() if v is not None and v.shape == own[k].shape}
        wrong = sorted(set(own) - set(found))
        if wrong:
            raise ModelError(f"{path} does not hold {self.name}: features.{wrong[0]} is missing or of another shape")
        self.layers.load_state_dict(found)
        self.requires_grad_(False)
        return self.eval()

    def stages(self, x: Tensor) -> Iterator[Tensor]:
        """The maps of the taps, one after another: only those that are held on to stay in memory."""
        for i, layer in enumerate(self.layers):
            in_place = isinstance(layer, nn.ReLU) and not torch.is_grad_enabled()  # a convolution's, nobody else's
            x = F.relu_(x) if in_place else layer(x)
            if i in self.taps:
                yield x


@functools.lru_cache(maxsize=8)
def features(name: str, path: Path, _changed: int, kind: str, device: str, smooth: bool = False) -> Features:
    """A backbone with the weights of a file, in a precision and on a device; loaded once for each state of the file."""
    return Features(name, smooth=smooth).load(path).to(device=device, dtype=getattr(torch, kind))
