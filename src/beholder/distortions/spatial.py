"""Space: pixels, patches and blocks that are not where or what they were, as KADID-10k made them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from beholder.distortions.planes import to_bytes, warp
from beholder.distortions.registry import KADID, distortion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from beholder.distortions.planes import Pixels

ROUNDS = 5
PATCH, BLOCK = 16, 32
_MILDEST = 0.01


@distortion(
    "jitter",
    group="spatial",
    parameter="amount",
    levels=(0.05, 0.1, 0.2, 0.5, 1.0),
    neutral=0.0,
    limits=(0, 100),
    unit="px",
    paper=KADID,
    sets={"kadid": 19},
)
def jitter(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Every pixel taken from a place beside it, at a normally distributed distance, five times over."""
    rows, columns = (np.arange(n, dtype=np.float32) for n in x.shape[:2])
    for _ in range(ROUNDS):
        down, along = rng.standard_normal((2, *x.shape[:2]), np.float32) * np.float32(value)
        x = warp(x, rows[:, None] + down, columns + along)
    return x


@distortion(
    "non_eccentricity_patch",
    group="spatial",
    parameter="patches",
    levels=(20.0, 40.0, 60.0, 80.0, 100.0),
    neutral=0.0,
    limits=(0, 10000),
    unit="",
    paper=KADID,
    whole=True,
    sets={"kadid": 20, "tid": 14},
    min_size=PATCH + 2,
)
def non_eccentricity_patch(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Patches of 16x16 pixels copied to places up to 8 pixels beside them."""
    out = x.copy()
    room = np.array(x.shape[:2]) - PATCH
    places = rng.random((round(max(100.0, value)), 4))
    for draw in places[: round(value)]:
        source = np.rint(draw[:2] * room).astype(int)
        target = np.clip(source + np.rint((draw[2:] - 0.5) * PATCH).astype(int), 0, room)
        out[_square(target, PATCH)] = out[_square(source, PATCH)].copy()
    return out


def _square(corner: NDArray[np.int_], size: int) -> tuple[slice, slice]:
    top, left = (int(c) for c in corner)
    return slice(top, top + size), slice(left, left + size)


@distortion(
    "pixelate",
    group="spatial",
    parameter="strength",
    levels=(_MILDEST, 0.05, 0.1, 0.2, 0.5),
    neutral=0.0,
    limits=(0, 1),
    unit="",
    paper=KADID,
    sets={"kadid": 21},
)
def pixelate(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Reduced to .95 - strength^.6 of its size and enlarged again, by the nearest pixel both times."""
    del rng
    scale = 0.95 - max(value, _MILDEST) ** 0.6
    if value < _MILDEST:  # the published rule has no strength for scale 1: the straight way there
        scale = 1 + (scale - 1) * value / _MILDEST
    index = []
    for size in x.shape[:2]:
        small = max(int(size * scale), 1)
        kept = ((np.arange(small) + 0.5) * size / small).astype(int)
        index.append(kept[((np.arange(size) + 0.5) * small / size).astype(int)])
    return np.asarray(x[index[0]][:, index[1]])


@distortion(
    "quantization",
    group="spatial",
    parameter="thresholds",
    levels=(20.0, 16.0, 13.0, 10.0, 7.0),
    neutral=255.0,
    limits=(1, 255),
    unit="",
    paper=KADID,
    log=True,
    whole=True,
    sets={"kadid": 22, "tid": 7},
)
def quantization(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Few grey levels a channel, their thresholds by Otsu's criterion over all channels.

    As published, a value becomes the upper threshold of its class, the lowest class 0, the highest 1.
    """
    del rng
    count = round(value)
    values = to_bytes(x)
    bounds = otsu(np.bincount(values.ravel(), minlength=256), count)
    steps = np.concatenate(([0.0], bounds[1:] / 255, [1.0])).astype(np.float32)
    return steps[np.searchsorted(bounds, np.arange(256), side="left")][values]


def otsu(histogram: NDArray[np.int_], count: int) -> NDArray[np.int_]:
    """The `count` thresholds that make the variance within classes least, exactly, by dynamic programming.

    A value belongs to the first class whose threshold is not below it. Fewer thresholds come back where there are
    fewer values.
    """
    present = np.flatnonzero(histogram)
    count = min(count, len(present) - 1)
    if count < 1:
        return np.array([int(present[0]) if len(present) else 0])
    weight = np.concatenate(([0.0], np.cumsum(histogram[present], dtype=float)))
    first = np.concatenate(([0.0], np.cumsum(histogram[present] * present.astype(float))))
    mass = weight[None, 1:] - weight[:-1, None]  # of the values i to j
    moment = first[None, 1:] - first[:-1, None]
    size = len(present)
    held = np.tril(np.ones((size, size), bool), -1)
    gain = np.where(held, -np.inf, moment**2 / np.where(mass > 0, mass, 1))
    best, choices = gain[0], []
    for _ in range(count):
        total = best[:-1, None] + gain[1:]
        choices.append(np.argmax(total, axis=0))
        best = np.max(total, axis=0)
    ends, last = [], size - 1
    for choice in reversed(choices):
        last = int(choice[last])
        ends.append(int(present[last]))
    return np.array(ends[::-1])


@distortion(
    "color_block",
    group="spatial",
    parameter="blocks",
    levels=(2.0, 4.0, 6.0, 8.0, 10.0),
    neutral=0.0,
    limits=(0, 10000),
    unit="",
    paper=KADID,
    whole=True,
    sets={"kadid": 23},
    min_size=2,
)
def color_block(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Blocks of 32x32 pixels of one random colour at random places."""
    out = x.copy()
    draws = rng.random((round(max(10.0, value)), 5), np.float32)
    size = min(BLOCK, *(n // 2 for n in x.shape[:2]))
    room = np.array(x.shape[:2]) - size
    for draw in draws[: round(value)]:
        out[_square((draw[:2] * room).astype(int), size)] = draw[2 : 2 + x.shape[2]]
    return out
