"""Weights for metrics whose networks the user brings: whole numbers of a generator, the same on every machine."""

import functools
import tempfile
from pathlib import Path

import numpy as np
from patterns import noise

import beholder as bh


@functools.cache
def folder():
    keeper = tempfile.TemporaryDirectory(prefix="beholder-tests-")
    made_in.append(keeper)  # lives as long as the tests
    return Path(keeper.name)


made_in = []


def state(backbone):
    """Name to array, in torchvision's naming: uniform weights with the variance that keeps signals (He et al. 2015)."""
    from beholder.models.assessors.classic import build

    tensors = {}
    for seed, (name, like) in enumerate(build(backbone).state_dict().items()):
        steps = noise(like.numel(), 1, 1, seed=seed + 11).astype(np.float32).reshape(like.shape) / 127.5 - 1
        bound = (6 / np.prod(like.shape[1:])) ** 0.5 if like.ndim > 1 else 0.1
        tensors[f"features.{name}"] = (steps * np.float32(bound)).astype(np.float32)
    return tensors


@functools.cache
def weights_of(backbone):
    """The path of a safetensors file with such weights."""
    from safetensors.numpy import save_file

    path = folder() / f"{backbone}.safetensors"
    save_file(state(backbone), path)
    return path


def made(name):
    """The metric, with weights where it wants them from the user."""
    m = bh.metric(name)
    backbone = m.card.backbones.get(m.preset)
    return m if backbone is None else bh.metric(name, weights=str(weights_of(backbone)))
