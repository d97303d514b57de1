"""Fused kernels of SSIMULACRA 2: its sums over channels, norms and maps, and the derivative by one of the pictures."""

from __future__ import annotations

import ctypes
import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from beholder import strips
from beholder.colours import OPSIN, OPSIN_BIAS, srgb_to_linear
from beholder.kernels import machine
from beholder.kernels.machine import place

__all__ = ["Scale", "Window", "measure", "slopes"]

Array = Any
REACH, MARGIN, LINE = 4, 16, 16  # of the window; around a line of pixels; floats that the cache loads at once
SLOPES, TABLE, INSIDE = 21, 39, 295  # where these settings are
SUMS_ROOM, SLOPES_ROOM = 70, 179  # lines to work in
ROWS = 96  # of a strip, about: the same for any number of threads


class Window(NamedTuple):
    """What the metric is made with: nine taps, and what is taken off X, Y and B."""

    taps: tuple[float, ...]
    centre: tuple[float, float, float]


class Scale(NamedTuple):
    """Both pictures at one scale: (C, H, W) or bytes (H, W), (H, W, 3); beyond the first scale linear light."""

    pair: tuple[Array, Array]
    channels: int
    height: int
    width: int
    kind: str


def _strips(height: int) -> list[tuple[int, int]]:
    """Rows cut into an even number of about equal parts, each of an even number of rows but for the last."""
    parts = max(2 * round(height / (2 * ROWS)), min(2, height // 16), 1)
    cuts = [2 * (-(-height // 2) * part // parts) for part in range(parts)]
    return list(itertools.pairwise([*cuts, height]))


def _settings(scale: Scale, window: Window, slopes: Array | None = None) -> Array:
    """The numbers that a kernel reads."""
    settings = np.zeros(INSIDE + scale.width + scale.height, np.float32)
    centre = window.centre
    shifts = [0.42 - centre[0], 0.01 - OPSIN_BIAS ** (1 / 3) - centre[1], 0.55 - centre[2]]
    # B - Y is taken before Y is shifted: the shift of B stands for itself.
    first = [*window.taps[:5], *centre, *np.ravel(OPSIN), OPSIN_BIAS, *shifts]
    settings[: len(first)] = first
    if slopes is not None:
        settings[SLOPES:TABLE] = np.ravel(slopes)
    settings[TABLE:INSIDE] = srgb_to_linear(np.arange(256) / 255)
    settings[INSIDE:][: scale.width] = _inside(scale.width, window.taps)
    settings[INSIDE + scale.width :][: scale.height] = _inside(scale.height, window.taps)
    return settings


def _inside(length: int, taps: tuple[float, ...]) -> Array:
    """The share of the window that lies inside a line of pixels, for each of them."""
    return np.convolve(np.ones(length), taps)[REACH : REACH + length]


def _room(settings: Array, lines: int, width: int) -> Array:
    """Lines with the settings, then so many to work in, whose margins are zero; they begin where a cache's lines do."""
    pitch = -(-width // LINE) * LINE + 2 * MARGIN
    size = (-(-settings.size // pitch) + lines) * pitch
    whole = np.zeros(size + LINE, np.float32)
    start = -(whole.ctypes.data // 4) % LINE
    room = whole[start : start + size]
    room[: settings.size] = settings
    return room


def _first(image: Array, reference: Array) -> Scale:
    """Two pictures as they came: uint8 (H, W) or (H, W, 3), or float32 (C, H, W), C-contiguous."""
    if image.dtype == np.uint8:
        return Scale((image, reference), 1 if image.ndim == 2 else 3, image.shape[0], image.shape[1], "bytes")
    channels, height, width = image.shape
    return Scale((image, reference), channels, height, width, "encoded")


def _halved(scale: Scale) -> Scale:
    """Room for the next scale."""
    channels, height, width = scale.channels, -(-scale.height // 2), -(-scale.width // 2)
    both = np.empty((2, channels, height, width), np.float32)
    return Scale((both[0], both[1]), channels, height, width, "linear")


def _step(wanted: Array) -> int:
    """The bits of the channels whose structure, and whose ringing or blur, have a weight."""
    return sum((1 << c) * bool(w[:, 0].any()) + (8 << c) * bool(w[:, 1:].any()) for c, w in enumerate(wanted))


def _sums(scale: Scale, window: Window, wanted: Array, small: Scale | None, threads: int) -> Array:
    """The sums of one scale, (3, 2, 3); `small` is filled with the next one."""
    settings, step = _settings(scale, window), _step(wanted) + 64 * bool(small)
    run, (x, y) = machine.kernel(f"ssimulacra2.{scale.kind}"), map(place, scale.pair)
    target = place(small.pair[0]) if small else None

    def part(rows: tuple[int, int]) -> list[float]:
        room, out = _room(settings, SUMS_ROOM, scale.width), (ctypes.c_double * 18)()
        run(
            x, y, scale.height, scale.width, scale.channels, step, None, place(room), target, ctypes.addressof(out),
            *rows,
        )  # fmt: skip
        return list(out)

    parts = strips.run(part, _strips(scale.height), threads)
    means = np.array([math.fsum(p) for p in zip(*parts, strict=True)]).reshape(3, 3, 2).swapaxes(1, 2)
    means /= scale.height * scale.width
    means[:, 1] **= 0.25
    return means


def measure(image: Array, reference: Array, window: Window, wanted: Array, threads: int) -> tuple[Array, list[Scale]]:
    """Norms and maps at every scale, (3, S, 2, 3) of channels, scales, norms and maps, and the pictures' scales.

    image, reference: uint8 (H, W) or (H, W, 3), or float32 sRGB (C, H, W) in [0, 1], C-contiguous. wanted: of the
    result's shape, what has a weight; most of the rest stays 0.
    """
    scales, found = [_first(image, reference)], []
    for i in range(wanted.shape[1]):
        small = _halved(scales[-1]) if i + 1 < wanted.shape[1] else None
        found.append(_sums(scales[-1], window, wanted[:, i], small, threads))
        if small:
            scales.append(small)
    return np.stack(found, axis=1), scales


def slopes(
    scales: list[Scale], window: Window, factors: Array, target: Array, by_reference: bool, threads: int
) -> None:
    """Fill `target`, float32 (C, H, W), with the derivative by one of the pictures.

    scales: of `measure`, of float32 pictures. factors: (3, S, 3, 2) of channels, scales, maps: a value of a map adds
    the first, and the second times its third power.
    """
    coarse = None
    for i, scale in reversed(list(enumerate(scales))):
        result = target if i == 0 else np.empty((scale.channels, scale.height, scale.width), np.float32)
        _slopes(scale, window, factors[:, i], coarse, result, by_reference, threads)
        coarse = result


def _slopes(
    scale: Scale, window: Window, factors: Array, coarse: Array | None, target: Array, by_reference: bool,
    threads: int,
) -> None:  # fmt: skip
    settings, pair = _settings(scale, window, factors), [place(a) for a in scale.pair]
    x, y = reversed(pair) if by_reference else pair
    step = _step(factors.swapaxes(1, 2) != 0) + 64 * (coarse is not None) + 128 * by_reference
    run, out = machine.kernel(f"ssimulacra2_slopes.{scale.kind}"), ctypes.c_double()

    def part(rows: tuple[int, int]) -> None:
        room = _room(settings, SLOPES_ROOM, scale.width)
        run(
            x, y, scale.height, scale.width, scale.channels, step, place(coarse), place(room), place(target),
            ctypes.addressof(out), *rows,
        )  # fmt: skip

    strips.run(part, _strips(scale.height), threads)
