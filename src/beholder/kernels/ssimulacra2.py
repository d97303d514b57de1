"""Fused kernels of SSIMULACRA 2: its sums over channels, norms and maps at one scale after the other."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from beholder import strips
from beholder.colours import OPSIN, OPSIN_BIAS, srgb_to_linear
from beholder.kernels import machine
from beholder.kernels.machine import place
from beholder.kernels.planes import halve

__all__ = ["scale_sums"]

Array = Any
MARGIN = 4  # rows of zeros above and below a plane: half the window
ROWS = 64  # of a strip: the same for any number of threads


def _planes(height: int, width: int) -> Array:
    """Three planes with their margins; the margins are zero, the rest is not yet known."""
    planes = np.empty((3, height + 2 * MARGIN, width), np.float32)
    planes[:, :MARGIN] = planes[:, -MARGIN:] = 0
    return planes


def _linear(picture: Array, threads: int) -> Array:
    """Linear light of a uint8 picture, (H, W) or (H, W, 3), as planes."""
    height, width = picture.shape[:2]
    channels = 1 if picture.ndim == 2 else 3
    table = np.asarray(srgb_to_linear(np.arange(256) / 255), np.float32)
    planes, run = _planes(height, width), machine.kernel("ssimulacra2.linear")

    def part(strip: strips.Strip) -> None:
        run(
            place(picture), None, height, width, channels, 1, place(table), None, place(planes), None,
            strip.first, strip.last,
        )  # fmt: skip

    strips.run(part, strips.cut(height, ROWS), threads)
    return planes


def _to_xyb(planes: Array, centre: tuple[float, float, float], threads: int) -> None:
    """Linear light to XYB less `centre`, in the planes themselves."""
    height, width = planes.shape[1] - 2 * MARGIN, planes.shape[2]
    shifts = [0.42 - centre[0], 0.01 - OPSIN_BIAS ** (1 / 3) - centre[1], 0.55 - centre[2]]
    # B - Y is taken before Y is shifted: the shift of B stands for itself.
    weights = np.array([*np.ravel(OPSIN), OPSIN_BIAS, *shifts], np.float32)
    run = machine.kernel("ssimulacra2.xyb")

    def part(strip: strips.Strip) -> None:
        line = np.empty((4, width), np.float32)
        run(place(planes), None, height, width, 0, 1, place(weights), place(line), None, None, strip.first, strip.last)

    strips.run(part, strips.cut(height, ROWS), threads)


def _halved(planes: Array, threads: int) -> Array:
    height, width = planes.shape[1] - 2 * MARGIN, planes.shape[2]
    small = _planes(-(-height // 2), -(-width // 2))
    for source, target in zip(planes, small, strict=True):
        target[MARGIN:-MARGIN] = halve(source[MARGIN:-MARGIN], threads=threads)
    return small


def _inside(length: int, taps: Array) -> Array:
    """The share of the window that lies inside a line of pixels, for each of them."""
    return np.convolve(np.ones(length), taps)[MARGIN : MARGIN + length]


def _sums(x: Array, y: Array, taps: Array, centre: float, threads: int) -> Array:
    """Norms and maps of one channel, (2, 3)."""
    height, width = x.shape[0] - 2 * MARGIN, x.shape[1]
    marks = np.concatenate([taps[:5], [centre], _inside(width, taps), _inside(height, taps)]).astype(np.float32)
    run = machine.kernel("ssimulacra2.maps")

    def part(strip: strips.Strip) -> list[float]:
        line, room = np.zeros((2, width + 2 * MARGIN), np.float32), np.empty((40, width), np.float32)
        out = (ctypes.c_double * 6)()
        run(
            place(x), place(y), height, width, 0, 1, place(marks), place(line), place(room), ctypes.addressof(out),
            strip.first, strip.last,
        )  # fmt: skip
        return list(out)

    parts = strips.run(part, strips.cut(height, ROWS), threads)
    means = np.array([math.fsum(p) for p in zip(*parts, strict=True)]).reshape(3, 2).T / (height * width)
    means[1] **= 0.25
    return means


def scale_sums(
    image: Array, reference: Array, taps: tuple[float, ...], centre: tuple[float, float, float], scales: int,
    smallest: int, threads: int,
) -> Iterator[Array]:  # fmt: skip
    """The sums (3, 2, 3) of channels, norms and maps at each of up to `scales` scales.

    image, reference: uint8, C-contiguous, (H, W) or (H, W, 3). taps: the window, nine taps. A picture with a side
    below `smallest` is not halved any more.
    """
    pair = [_linear(a, threads) for a in (image, reference)]
    for scale in range(scales):
        side = min(pair[0].shape[1] - 2 * MARGIN, pair[0].shape[2])
        last = scale + 1 == scales or side < smallest
        small = [] if last else [_halved(a, threads) for a in pair]
        for planes in pair:
            _to_xyb(planes, centre, threads)
        weights = np.asarray(taps)
        yield np.stack([_sums(x, y, weights, c, threads) for x, y, c in zip(*pair, centre, strict=True)])
        if last:
            return
        pair = small
