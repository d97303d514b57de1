"""Several opinions of one picture: an ensemble of networks, or one network with its dropout left on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from beholder.errors import InputError
from beholder.models.assessors.architectures import Judgement

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def merge(judgements: Sequence[Judgement]) -> Judgement:
    """One judgement out of several of the same pictures, as of the mixture of them in equal shares.

    score, distribution, map, severity: the mean. spread: the root of the mean variance that they state (0 where they
    state none) plus the variance of their scores. type: the logarithm of the mean probabilities. features: side by
    side. Parts that one of them lacks are None.
    """
    if not judgements:
        raise InputError("an ensemble needs at least one judgement, got none")
    parts = [j.parts() for j in judgements]
    shared = {name: torch.stack([p[name] for p in parts]) for name in parts[0] if all(name in p for p in parts)}
    score = shared["score"]
    variance = score.var(0, unbiased=False)
    if "spread" in shared:
        variance = variance + shared["spread"].square().mean(0)
    merged: dict[str, Tensor] = {
        name: shared[name].mean(0) for name in ("distribution", "map", "severity") if name in shared
    }
    if "type" in shared:
        merged["type"] = torch.logsumexp(torch.log_softmax(shared["type"], -1), 0) - math.log(len(parts))
    if "features" in shared:
        merged["features"] = torch.cat(list(shared["features"]), 1)
    # the root of a variance of nothing would have no slope
    return Judgement(score.mean(0), torch.sqrt(variance.clamp(min=1e-12)), **merged)


class Ensemble(nn.Module):
    """Networks of one architecture whose judgements are merged.

    Takes what its members take and returns a `Judgement` that always has a spread: the root of the members' mean
    variance plus the variance of their scores, as in Lakshminarayanan et al. 2017, doi:10.48550/arXiv.1612.01474.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        if not members:
            raise InputError("an ensemble needs at least one member, got none")
        self.members = nn.ModuleList(members)
        self.min_size = max(int(getattr(member, "min_size", 1)) for member in members)
        self.groups = tuple(size for member in members for size in getattr(member, "groups", ()))

    def forward(self, *pictures: Tensor) -> Judgement:
        """The merged judgement."""
        return merge([member(*pictures) for member in self.members])


@contextmanager
def keep_dropout(network: nn.Module) -> Iterator[int]:
    """Within it, all dropout of the network is on, whatever mode it is in; gives the number of dropout layers."""
    layers = [m for m in network.modules() if isinstance(m, DROPOUTS) and m.p > 0]
    modes = [layer.training for layer in layers]
    for layer in layers:
        layer.train()
    try:
        yield len(layers)
    finally:
        for layer, mode in zip(layers, modes, strict=True):
            layer.train(mode)


@torch.no_grad()
def mc_dropout(
    network: nn.Module, image: Tensor, times: int = 20, seed: int = 0, reference: Tensor | None = None
) -> Judgement:
    """The merged judgement of `times` passes with dropout on and all else in evaluation mode.

    seed: of the dropout; PyTorch's generators are as before afterwards. `features` are left out. Raises InputError
    where the network has no dropout or `times` is below 1. Source: Gal and Ghahramani 2016,
    doi:10.48550/arXiv.1506.02142.
    """
    if times < 1:
        raise InputError(f"Monte Carlo dropout needs at least one pass, got times={times}")
    modes = {module: module.training for module in network.modules()}
    network.eval()
    pictures = (image,) if reference is None else (image, reference)
    try:
        with torch.random.fork_rng([image.device] if image.is_cuda else []), keep_dropout(network) as layers:
            if not layers:
                raise InputError(
                    f"{type(network).__name__} has no dropout that could be kept on; set its dropout above 0"
                )
            torch.manual_seed(seed)
            found: list[Judgement] = [network(*pictures) for _ in range(times)]
    finally:
        for module, mode in modes.items():
            module.training = mode
    for judgement in found:
        judgement.features = None
    return merge(found)
