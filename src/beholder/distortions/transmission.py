"""Screens and channels: pictures that were shown and photographed again, or arrived damaged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from beholder.distortions.registry import distortion

if TYPE_CHECKING:
    from beholder.distortions.planes import Pixels

OURS = "levels chosen by this project"
MACROBLOCK = 16
GRID = 4


@distortion(
    "pixel_grid",
    group="screen and transmission",
    parameter="depth",
    levels=(0.05, 0.1, 0.2, 0.4, 0.7),
    neutral=0.0,
    limits=(0, 1),
    unit="",
    paper=OURS,
    aliases=("screen_door",),
)
def pixel_grid(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """The dark lines between a screen's pixels, every fourth row and column."""
    del rng
    gaps = [np.where(np.arange(n) % GRID == GRID - 1, 1 - value, 1.0).astype(np.float32) for n in x.shape[:2]]
    return x * np.minimum(gaps[0][:, None], gaps[1])[..., None]


@distortion(
    "moire",
    group="screen and transmission",
    parameter="depth",
    levels=(0.05, 0.1, 0.2, 0.35, 0.6),
    neutral=0.0,
    limits=(0, 1),
    unit="",
    paper=OURS,
)
def moire(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Coloured fringes of a screen that was photographed: two gratings, turned and scaled against each other."""
    height, width, channels = x.shape
    rows, columns = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    turn, scale = rng.uniform(0.02, 0.08), rng.uniform(0.97, 1.03)
    start = rng.uniform(0, 2 * math.pi)
    out = np.empty_like(x)
    for channel in range(channels):
        pitch = 2 * math.pi / 3 * (1 + 0.01 * channel)  # the colours' stripes lie beside each other
        other = (columns * math.cos(turn) + rows * math.sin(turn)) * np.float32(scale * pitch)
        across = (rows * math.cos(turn) - columns * math.sin(turn)) * np.float32(scale * pitch)
        beats = np.cos(columns * np.float32(pitch) - other + start) * np.cos(rows * np.float32(pitch) - across)
        out[..., channel] = x[..., channel] * (1 - np.float32(value / 2) * (1 + beats))
    return out


@distortion(
    "lost_blocks",
    group="screen and transmission",
    parameter="lost",
    levels=(0.005, 0.02, 0.05, 0.1, 0.2),
    neutral=0.0,
    limits=(0, 1),
    unit="share of blocks",
    paper=OURS,
)
def lost_blocks(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Blocks of 16x16 pixels that did not arrive and stay grey."""
    rows, columns = (math.ceil(n / MACROBLOCK) for n in x.shape[:2])
    order = rng.permutation(rows * columns)
    lost = np.zeros(rows * columns, bool)
    lost[order[: math.ceil(value * len(order))]] = True
    mask = lost.reshape(rows, columns).repeat(MACROBLOCK, axis=0).repeat(MACROBLOCK, axis=1)
    return np.where(mask[: x.shape[0], : x.shape[1], None], np.float32(0.5), x)


@distortion(
    "packet_loss",
    group="screen and transmission",
    parameter="lost",
    levels=(0.03, 0.08, 0.15, 0.3, 0.5),
    neutral=0.0,
    limits=(0, 1),
    unit="share of slices",
    paper=OURS,
)
def packet_loss(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Slices of 16 rows, half a picture wide, that did not arrive: the row above them is drawn down."""
    rows = math.ceil(x.shape[0] / MACROBLOCK)
    order = rng.permutation(2 * rows)
    out = x.copy()
    half = max(x.shape[1] // 2, 1)
    for slice_number in order[: math.ceil(value * len(order))]:
        top, left = int(slice_number) // 2 * MACROBLOCK, int(slice_number) % 2 * half
        part = (slice(top, top + MACROBLOCK), slice(left, left + half if left == 0 else None))
        out[part] = x[max(top - 1, 0), part[1]] if top else np.float32(0.5)
    return out
