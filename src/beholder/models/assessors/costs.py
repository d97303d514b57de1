"""What a network costs: its parameters, and the multiplications for one picture."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(network: nn.Module, *, trainable: bool = False) -> int:
    """How many numbers are learned, each once, buffers not; trainable: without those that are frozen."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad or not trainable)


@torch.no_grad()
def count_macs(network: nn.Module, height: int, width: int, *, reference: bool = False) -> int:
    """Multiply-accumulate operations to judge one picture of this size, in evaluation mode.

    Counted, as PyTorch runs them: every convolution, fully connected layer and matrix product, also those outside of
    modules (bilinear pooling, predicted weights, grids written as products). Not counted: biases, normalisation,
    activations, pooling, resizing, and other element-wise work. reference: whether the network takes a second picture.
    """
    mode = network.training
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    pictures = [torch.zeros(1, 3, height, width, device=device) for _ in range(1 + reference)]
    network.eval()
    try:
        with FlopCounterMode(display=False) as counter:
            network(*pictures)
    finally:
        network.train(mode)
    return int(counter.get_total_flops()) // 2
