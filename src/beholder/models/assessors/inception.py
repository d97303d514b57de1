"""Inception-v3 as FID uses it: the TensorFlow network of 2015, up to its 2048 pooled features (PyTorch).

Szegedy et al. 2016, doi:10.1109/CVPR.2016.308. It differs from torchvision's in three things: average pooling leaves
the padding out, the last block pools by the maximum, and the weights are others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from beholder.errors import ModelError
from beholder.models.backbones import read_state

Size = int | tuple[int, int]
SIDE = 299
"""Pixels to which pictures are resized, bilinearly and without antialiasing, as the reference program does."""


class Conv(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, ins: int, outs: int, kernel: Size, stride: int = 1, padding: Size = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(ins, outs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(N, ins, H, W) to (N, outs, h, w)."""
        return F.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Branches side by side, and a pooling one: "average" or "max" before a convolution, or "reduce", which halves.

    branches: names of parts that follow each other; a tuple of names at a branch's end stands side by side again.
    """

    def __init__(self, parts: dict[str, Conv], branches: Sequence[Sequence[Any]], pool: str) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.branches = branches
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """All branches, concatenated."""
        found = [self._follow(x, branch) for branch in self.branches]
        if self.pool == "reduce":
            found.append(F.max_pool2d(x, 3, 2))
        else:
            most = self.pool == "max"
            y = F.max_pool2d(x, 3, 1, 1) if most else F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
            found.append(self.get_submodule("branch_pool")(y))
        return torch.cat(found, 1)

    def _follow(self, x: Tensor, branch: Sequence[Any]) -> Tensor:
        for name in branch:
            if isinstance(name, tuple):
                return torch.cat([self.get_submodule(n)(x) for n in name], 1)
            x = self.get_submodule(name)(x)
        return x


def _a(ins: int, pool: int) -> Mixed:
    parts = {
        "branch1x1": Conv(ins, 64, 1),
        "branch5x5_1": Conv(ins, 48, 1),
        "branch5x5_2": Conv(48, 64, 5, padding=2),
        "branch3x3dbl_1": Conv(ins, 64, 1),
        "branch3x3dbl_2": Conv(64, 96, 3, padding=1),
        "branch3x3dbl_3": Conv(96, 96, 3, padding=1),
        "branch_pool": Conv(ins, pool, 1),
    }
    triple = ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")
    return Mixed(parts, (("branch1x1",), ("branch5x5_1", "branch5x5_2"), triple), "average")


def _b(ins: int) -> Mixed:
    parts = {
        "branch3x3": Conv(ins, 384, 3, 2),
        "branch3x3dbl_1": Conv(ins, 64, 1),
        "branch3x3dbl_2": Conv(64, 96, 3, padding=1),
        "branch3x3dbl_3": Conv(96, 96, 3, 2),
    }
    return Mixed(parts, (("branch3x3",), ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")), "reduce")


def _c(few: int) -> Mixed:
    wide, tall = {"kernel": (1, 7), "padding": (0, 3)}, {"kernel": (7, 1), "padding": (3, 0)}

    def conv(ins: int, outs: int, how: dict[str, Any]) -> Conv:
        return Conv(ins, outs, how["kernel"], 1, how["padding"])

    parts = {
        "branch1x1": Conv(768, 192, 1),
        "branch7x7_1": Conv(768, few, 1),
        "branch7x7_2": conv(few, few, wide),
        "branch7x7_3": conv(few, 192, tall),
        "branch7x7dbl_1": Conv(768, few, 1),
        "branch7x7dbl_2": conv(few, few, tall),
        "branch7x7dbl_3": conv(few, few, wide),
        "branch7x7dbl_4": conv(few, few, tall),
        "branch7x7dbl_5": conv(few, 192, wide),
        "branch_pool": Conv(768, 192, 1),
    }
    double = [f"branch7x7dbl_{i}" for i in range(1, 6)]
    return Mixed(parts, (("branch1x1",), [f"branch7x7_{i}" for i in range(1, 4)], double), "average")


def _d() -> Mixed:
    parts = {
        "branch3x3_1": Conv(768, 192, 1),
        "branch3x3_2": Conv(192, 320, 3, 2),
        "branch7x7x3_1": Conv(768, 192, 1),
        "branch7x7x3_2": Conv(192, 192, (1, 7), 1, (0, 3)),
        "branch7x7x3_3": Conv(192, 192, (7, 1), 1, (3, 0)),
        "branch7x7x3_4": Conv(192, 192, 3, 2),
    }
    return Mixed(parts, (("branch3x3_1", "branch3x3_2"), [f"branch7x7x3_{i}" for i in range(1, 5)]), "reduce")


def _e(ins: int, pool: str) -> Mixed:
    parts = {
        "branch1x1": Conv(ins, 320, 1),
        "branch3x3_1": Conv(ins, 384, 1),
        "branch3x3_2a": Conv(384, 384, (1, 3), 1, (0, 1)),
        "branch3x3_2b": Conv(384, 384, (3, 1), 1, (1, 0)),
        "branch3x3dbl_1": Conv(ins, 448, 1),
        "branch3x3dbl_2": Conv(448, 384, 3, padding=1),
        "branch3x3dbl_3a": Conv(384, 384, (1, 3), 1, (0, 1)),
        "branch3x3dbl_3b": Conv(384, 384, (3, 1), 1, (1, 0)),
        "branch_pool": Conv(ins, 192, 1),
    }
    split = ("branch3x3_1", ("branch3x3_2a", "branch3x3_2b"))
    double = ("branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b"))
    return Mixed(parts, (("branch1x1",), split, double), pool)


class Inception(nn.Module):
    """(N, 3, H, W) in [0, 1] to (N, 2048)."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _a(192, 32), _a(256, 64), _a(288, 64)
        self.Mixed_6a = _b(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = _c(128), _c(160), _c(160), _c(192)
        self.Mixed_7a = _d()
        self.Mixed_7b, self.Mixed_7c = _e(1280, "average"), _e(2048, "max")

    def forward(self, image: Tensor) -> Tensor:
        """The features."""
        x = F.interpolate(image, (SIDE, SIDE), mode="bilinear", align_corners=False) * 2 - 1
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, 2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        maps: Tensor = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return maps.mean((2, 3))


def load_inception(path: Path) -> Callable[[Any], NDArray[np.float32]]:
    """A function from (C, H, W) in [0, 1] to (2048,), with the weights of a file; ModelError where they do not fit."""
    state, network = read_state(path), Inception()
    own = network.state_dict()
    found = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    lost = sorted(k for k in set(own) - set(found) if not k.endswith("num_batches_tracked"))
    if lost:
        raise ModelError(f"{path} does not hold FID's Inception: {lost[0]} is missing or of another shape")
    network.load_state_dict(found, strict=False)
    network.eval().requires_grad_(False)

    def extract(picture: Any) -> NDArray[np.float32]:
        image = torch.from_numpy(np.ascontiguousarray(picture, dtype=np.float32))[None].expand(-1, 3, -1, -1)
        with torch.no_grad():
            values: NDArray[np.float32] = network(image)[0].numpy()
        return values

    return extract
