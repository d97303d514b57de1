"""Fused kernels of PSNR-HVS and PSNR-HVS-M for float32 planes, with gradients."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

from beholder import strips
from beholder.kernels import machine
from beholder.kernels.machine import place

__all__ = ["hvs"]

Array = Any
ROWS = 4  # of blocks, in a strip: the same for any number of threads
TILE = 64 * 64
SPREAD = 32  # rows whose slopes are scaled at a time
ROOM = 208 + 18 * 64 + 3 * TILE


def hvs(
    image: Array, reference: Array, gradients: Any, weights: Any, tables: Any, masked: bool, threads: int
) -> float:  # fmt: skip
    """Peak signal-to-noise ratio, in dB, of cosine transforms of 8x8 blocks, infinite for equal pictures.

    image, reference: float32 (C, H, W) in [0, 1]; gradients: two such arrays that are filled, or None; weights: of the
    colours; tables: squared sensitivities, masking and limits, 64 each.
    """
    colours, height, width = image.shape
    given = np.zeros(ROOM, np.float32)
    given[:192] = np.concatenate([np.ravel(t) for t in tables])
    given[128 - 64] = 0  # the mean masks nothing
    given[192 : 192 + colours] = weights
    wanted = sum(2 << i for i, g in enumerate(gradients) if g is not None)
    mode = int(masked) + wanted + (8 if wanted else 0)
    run = machine.kernel("cosine_tensor.hvs")

    def part(strip: strips.Strip) -> float:
        room, out = given.copy(), ctypes.c_double()
        run(
            place(image), place(reference), height, width, mode, colours, place(gradients[0]), place(room),
            place(gradients[1]), ctypes.addressof(out), strip.first, strip.last,
        )  # fmt: skip
        return out.value

    total = math.fsum(strips.run(part, strips.cut(height // 8, ROWS), threads))
    error = total / (height // 8 * (width // 8) * 64)
    for gradient in gradients:
        if gradient is not None:
            # The kernel leaves half of what the total changes by.
            _scale(gradient, -20 / math.log(10) / total if total > 0 else 0.0, weights, threads)
    return -10 * math.log10(error) if error > 0 else math.inf


def _scale(gradient: Array, factor: float, weights: Any, threads: int) -> None:
    """The slope by the grey value, which lies in the first plane, to those by the colours; 0 beyond whole blocks."""
    colours, height, width = gradient.shape
    bottom, right = height // 8 * 8, width // 8 * 8
    # Two factors, each within float32, as one alone may not be.
    parts = [np.float32(math.copysign(math.sqrt(abs(factor)), f)) for f in (factor, 1.0)]

    def part(strip: strips.Strip) -> None:
        inner = gradient[:, strip.first : strip.last, :right]
        grey = inner[0]
        for p in parts:
            grey *= p
        for c in range(colours - 1, -1, -1):
            np.multiply(grey, np.float32(weights[c]), out=inner[c])
        gradient[:, strip.first : strip.last, right:] = 0

    strips.run(part, strips.cut(bottom, SPREAD), threads)
    gradient[:, bottom:] = 0
