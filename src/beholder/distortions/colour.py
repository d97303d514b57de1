"""Colour: what KADID-10k and TID2013 did to it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from beholder.distortions.planes import (
    from_bytes,
    gaussian,
    lab_to_rgb,
    luma,
    rgb_to_lab,
    rgb_to_ycbcr,
    to_bytes,
    ycbcr_to_rgb,
)
from beholder.distortions.registry import KADID, TID, distortion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from beholder.distortions.planes import Pixels


@distortion(
    "color_diffusion",
    group="color",
    parameter="amount",
    levels=(1.0, 3.0, 6.0, 8.0, 12.0),
    neutral=0.0,
    limits=(0, 50),
    unit="",
    paper=KADID,
    sets={"kadid": 4},
    channels=(3,),
)
def color_diffusion(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """The chroma of L*a*b* blurred (standard deviation 1.5 amount + 2 px) and multiplied by the amount."""
    del rng
    lab = rgb_to_lab(x)
    # Below level 1 the published rule would take colour away; there, blur and gain fade in from the picture itself.
    sigma, gain = (1.5 * value + 2, value) if value >= 1 else (3.5 * value, 1.0)
    lab[..., 1:] = gaussian(lab[..., 1:], sigma) * np.float32(gain)
    return lab_to_rgb(lab)


@distortion(
    "color_shift",
    group="color",
    parameter="distance",
    levels=(1.0, 3.0, 6.0, 8.0, 12.0),
    neutral=0.0,
    limits=(0, 100),
    unit="px",
    paper=KADID,
    sets={"kadid": 5},
    channels=(3,),
)
def color_shift(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """The green channel moved in a random direction, blended in where the picture has edges."""
    angle = rng.uniform(0, math.pi / 2)
    mask = _edges(luma(x))
    moved = shift(x[..., 1:2], round(value * math.sin(angle)), round(value * math.cos(angle)))[..., 0]
    out = x.copy()
    out[..., 1] += (moved - x[..., 1]) * mask
    return out


def shift(x: Pixels, down: float, along: float) -> Pixels:
    """The picture moved down and to the right by parts of pixels, edge pixels continued."""
    for axis, by in ((0, down), (1, along)):
        size = x.shape[axis]
        place = np.clip(np.arange(size) - by, 0, size - 1)
        low = np.minimum(place.astype(int), max(size - 2, 0))
        part = (place - low).astype(np.float32)
        part = part[:, None, None] if axis == 0 else part[:, None]
        first = np.take(x, low, axis=axis)
        x = first + (np.take(x, np.minimum(low + 1, size - 1), axis=axis) - first) * part
    return np.asarray(x)


def _edges(grey: Pixels) -> Pixels:
    """Smoothed gradient magnitude between its first and last hundredth, stretched to [0, 1]."""
    down = np.diff(grey, axis=0, append=grey[-1:])
    along = np.diff(grey, axis=1, append=grey[:, -1:])
    strength = gaussian(np.hypot(down, along)[..., None], 4)[..., 0]
    low, high = np.percentile(strength, (1, 99))
    if high <= low:
        return np.zeros_like(grey)
    return np.asarray(np.clip((strength - low) / (high - low), 0, 1), np.float32)


@distortion(
    "color_quantization",
    group="color",
    parameter="colors",
    levels=(64.0, 48.0, 32.0, 16.0, 8.0),
    neutral=256.0,
    limits=(2, 256),
    unit="",
    paper=KADID,
    log=True,
    whole=True,
    sets={"kadid": 6, "tid": 22},
    aliases=("color_quantization_dither",),
)
def color_quantization(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """A palette of few colours by minimum variance, with error diffusion (Floyd and Steinberg)."""
    from PIL import Image

    del rng
    values = np.repeat(to_bytes(x), 4 - x.shape[2], axis=2)[..., :3]
    colors = minimum_variance(values, max(round(value), 2))
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.resize(colors, (256, 3)).tobytes())  # repeats: the first of equal colours is taken
    picture = Image.fromarray(values).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    out = from_bytes(np.asarray(picture.convert("RGB")))
    return out if x.shape[2] == 3 else out[..., :1]


def minimum_variance(values: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """A palette: the box of colours that varies most is cut where that helps most, until there are enough.

    values: (H, W, 3). Returns (n, 3) with n at most `count`: fewer where there are fewer colours.
    """
    coarse = (values >> 3).astype(np.int32)  # 32 steps a channel, as programs with this method do
    cell = (coarse[..., 0] << 10 | coarse[..., 1] << 5 | coarse[..., 2]).ravel()
    number = np.bincount(cell, minlength=1 << 15)
    held = np.flatnonzero(number)
    sums = [np.bincount(cell, values[..., c].ravel(), 1 << 15)[held] for c in range(3)]
    weight = number[held].astype(float)
    means = np.stack(sums, axis=1) / weight[:, None]
    place = np.stack((held >> 10, held >> 5 & 31, held & 31))
    boxes = [np.arange(len(held))]
    cuts = [_cut(boxes[0], place, means, weight)]
    while len(boxes) < count:
        worst = max(range(len(boxes)), key=lambda i: cuts[i][0])
        gain, axis, bound = cuts[worst]
        if gain <= 0:
            break
        box = boxes[worst]
        left = place[axis, box] <= bound
        boxes[worst : worst + 1] = box[left], box[~left]
        cuts[worst : worst + 1] = (_cut(b, place, means, weight) for b in (box[left], box[~left]))
    palette = [np.average(means[b], axis=0, weights=weight[b]) for b in boxes]
    return np.rint(palette).astype(np.uint8)


def _cut(
    box: NDArray[np.int_], place: NDArray[np.int_], means: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[float, int, int]:
    """The cut of a box that lowers the squared error most: by how much, along which channel, after which step."""
    best = (0.0, 0, 0)
    mass = weight[box]
    moments = means[box] * mass[:, None]
    total, whole = mass.sum(), moments.sum(axis=0)
    for axis in range(3):
        steps = place[axis, box]
        count = np.cumsum(np.bincount(steps, mass, 32))
        first = np.stack([np.cumsum(np.bincount(steps, moments[:, c], 32)) for c in range(3)], axis=1)
        split = (count > 0) & (count < total - 0.5)
        if not split.any():
            continue
        n, m = count[split, None], first[split]
        gain = ((m**2 / n).sum(axis=1) + ((whole - m) ** 2 / (total - n)).sum(axis=1)) - (whole**2).sum() / total
        at = int(np.argmax(gain))
        if gain[at] > best[0] + 1e-6:
            best = (float(gain[at]), axis, int(np.flatnonzero(split)[at]))
    return best


@distortion(
    "color_saturation_1",
    group="color",
    parameter="factor",
    levels=(0.4, 0.2, 0.1, 0.0, -0.4),
    neutral=1.0,
    limits=(-10, 10),
    unit="",
    paper=KADID,
    sets={"kadid": 7},
    channels=(3,),
)
def color_saturation_1(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Saturation of HSV multiplied by a factor; a negative one turns colours into their opposites."""
    del rng
    brightest = x.max(axis=2, keepdims=True)
    return np.asarray(brightest + (x - brightest) * np.float32(value))


@distortion(
    "color_saturation_2",
    group="color",
    parameter="factor",
    levels=(1.0, 2.0, 3.0, 6.0, 9.0),
    neutral=1.0,
    limits=(0, 100),
    unit="",
    paper=KADID,
    sets={"kadid": 8},
    channels=(3,),
)
def color_saturation_2(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """The chroma of L*a*b* multiplied by a factor; as published, level 1 leaves the picture untouched."""
    del rng
    if value == 1:
        return x
    lab = rgb_to_lab(x)
    lab[..., 1:] *= np.float32(value)
    return lab_to_rgb(lab)


@distortion(
    "color_saturation_change",
    group="color",
    parameter="factor",
    levels=(0.8, 0.6, 0.4, 0.2, 0.0),
    neutral=1.0,
    limits=(0, 10),
    unit="",
    paper=TID,
    sets={"tid": 18},
    channels=(3,),
)
def color_saturation_change(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Cb and Cr multiplied by a factor: the picture fades to grey."""
    del rng
    ycc = rgb_to_ycbcr(x)
    ycc[..., 1:] = (ycc[..., 1:] - np.float32(128 / 255)) * np.float32(value) + np.float32(128 / 255)
    return ycbcr_to_rgb(ycc)
