"""The method that minimises, and the rate of every part of the network at every step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from beholder.training.config import Optimiser

FLOOR = 0.01
"""What is left of the rate at the end of a cosine."""


def parameter_groups(network: nn.Module, config: Optimiser) -> list[dict[str, Any]]:
    """Parameters by their rate and decay: `share` is the rate as a share of the head's, `body` whether it is the body.

    The body's last stage has `body_rate`, every stage before it `layer_decay` times that of the next. Vectors (biases,
    normalisations) are not decayed.
    """
    body = getattr(network, "body", None)
    stages = [list(stage) for stage in body.stages] if body is not None else []
    shares = {
        id(p): config.body_rate * config.layer_decay ** (len(stages) - 1 - i)
        for i, stage in enumerate(stages)
        for p in stage
    }
    groups: dict[tuple[float, bool, bool], dict[str, Any]] = {}
    for p in network.parameters():
        if not p.requires_grad:
            continue
        in_body = id(p) in shares
        share, decayed = shares.get(id(p), 1.0), p.ndim > 1
        group = groups.setdefault(
            (share, in_body, decayed),
            {"params": [], "share": share, "body": in_body, "weight_decay": config.weight_decay if decayed else 0.0},
        )
        group["params"].append(p)
    return list(groups.values())


def make_optimiser(network: nn.Module, config: Optimiser) -> torch.optim.Optimizer:
    """The optimiser of a network's trainable parameters."""
    groups = parameter_groups(network, config)
    rate = config.rate
    if config.name == "sgd":
        nesterov = config.nesterov and config.momentum > 0
        return torch.optim.SGD(groups, lr=rate, momentum=config.momentum, nesterov=nesterov)
    if config.name == "adam":
        return torch.optim.Adam(groups, lr=rate, betas=config.betas)
    if config.name == "adamw":
        return torch.optim.AdamW(groups, lr=rate, betas=config.betas)
    if config.name == "adagrad":
        return torch.optim.Adagrad(groups, lr=rate)
    return torch.optim.RMSprop(groups, lr=rate, momentum=config.momentum)


def factor(step: int, steps: int, config: Optimiser) -> float:
    """What the rate is multiplied by at a step of `steps`: the warm-up, then the schedule (plateau is the caller's)."""
    done = step / max(steps, 1)
    if done < config.warm_up:
        return (step + 1) / max(config.warm_up * steps, 1)
    left = (done - config.warm_up) / max(1 - config.warm_up, 1e-9)
    if config.schedule == "cosine":
        return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(left, 1)))
    if config.schedule == "step":
        return 0.1 ** sum(left >= mark for mark in (0.5, 0.75))
    return 1.0


def set_rates(
    optimiser: torch.optim.Optimizer, step: int, steps: int, config: Optimiser, plateau: float = 1.0
) -> float:
    """Give every group its rate for a step; returns the head's. A body that is held has none."""
    rate = config.rate * plateau * factor(step, steps, config)
    held = step < config.hold * steps
    for group in optimiser.param_groups:
        group["lr"] = 0.0 if group["body"] and held else rate * group["share"]
    return rate


class Plateau:
    """The rate falls to a third where validation has not been better for `patience` epochs."""

    def __init__(self, patience: int = 2, drop: float = 1 / 3) -> None:
        self.patience, self.drop = patience, drop
        self.best, self.waited, self.factor = -math.inf, 0, 1.0

    def see(self, figure: float) -> None:
        """Take note of an epoch's figure, higher is better."""
        if figure > self.best:
            self.best, self.waited = figure, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.factor, self.waited = self.factor * self.drop, 0

    def state_dict(self) -> dict[str, float]:
        """What a checkpoint holds of it."""
        return {"best": self.best, "waited": self.waited, "factor": self.factor}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from a checkpoint."""
        self.best, self.waited, self.factor = state["best"], int(state["waited"]), state["factor"]
