"""Cameras: what lens, sensor and shutter do, in linear light."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from beholder.distortions.blur import disk
from beholder.distortions.planes import convolve, from_light, to_light, warp
from beholder.distortions.registry import distortion

if TYPE_CHECKING:
    from beholder.distortions.planes import Pixels

OURS = "Foi et al. 2008, Practical Poissonian-Gaussian noise modeling and fitting, doi:10.1109/TIP.2008.2001399"
LENS = "levels chosen by this project"
READ_NOISE = 3.0
"""Standard deviation of the noise of reading a pixel, in electrons."""
BANDS = 9.5
"""Periods of a lamp's flicker while a picture is read out."""


@distortion(
    "defocus_light",
    group="camera",
    parameter="radius",
    levels=(1.0, 2.0, 4.0, 6.0, 8.0),
    neutral=0.0,
    limits=(0, 100),
    unit="px",
    paper=LENS,
)
def defocus_light(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Mean over a disk of light, so that highlights become bright disks as behind a real lens."""
    del rng
    return from_light(convolve(to_light(x), disk(value)))


@distortion(
    "camera_shake",
    group="camera",
    parameter="extent",
    levels=(2.0, 4.0, 7.0, 12.0, 20.0),
    neutral=0.0,
    limits=(0, 100),
    unit="px",
    paper=LENS,
)
def camera_shake(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Light smeared along a random curved path of a given extent: a hand that was not steady."""
    turn = np.cumsum(rng.standard_normal((2, 64)), axis=1)
    path = np.cumsum(turn, axis=1)
    path -= path.mean(axis=1, keepdims=True)
    path *= value / max(float(np.max(np.ptp(path, axis=1))), 1e-9)
    reach = math.ceil(float(np.abs(path).max()))
    kernel = np.zeros((2 * reach + 3, 2 * reach + 3))
    fine = np.stack([np.interp(np.linspace(0, 63, 1024), np.arange(64), p) for p in path]) + reach + 1
    low = fine.astype(int)
    part = fine - low
    for down in (0, 1):
        for along in (0, 1):
            share = np.abs(1 - down - part[0]) * np.abs(1 - along - part[1])
            np.add.at(kernel, (low[0] + down, low[1] + along), share)
    return from_light(convolve(to_light(x), kernel / kernel.sum()))


@distortion(
    "camera_noise",
    group="camera",
    parameter="gain",
    levels=(1 / 4000, 1 / 1500, 1 / 500, 1 / 150, 1 / 50),
    neutral=0.0,
    limits=(0, 1),
    unit="of full scale an electron",
    paper=OURS,
)
def camera_noise(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Shot noise and read noise (3 electrons) of a sensor whose white is 1 / gain electrons."""
    light = to_light(x)
    variance = light * np.float32(value) + np.float32((READ_NOISE * value) ** 2)
    return from_light(light + rng.standard_normal(x.shape, np.float32) * np.sqrt(variance))


@distortion(
    "flicker_bands",
    group="camera",
    parameter="depth",
    levels=(0.05, 0.1, 0.2, 0.4, 0.7),
    neutral=0.0,
    limits=(0, 1),
    unit="of the light",
    paper=LENS,
    aliases=("rolling_exposure",),
)
def flicker_bands(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Dark bands across: a lamp that flickers while a rolling shutter reads row by row."""
    phase = rng.uniform(0, 2 * math.pi)
    rows = np.arange(x.shape[0]) / max(x.shape[0], 1)
    light = 1 - value * (0.5 + 0.5 * np.cos(2 * math.pi * BANDS * rows + phase))
    return from_light(to_light(x) * light.astype(np.float32)[:, None, None])


@distortion(
    "vignetting",
    group="camera",
    parameter="loss",
    levels=(0.15, 0.3, 0.5, 0.7, 0.9),
    neutral=0.0,
    limits=(0, 1),
    unit="of the light in the corners",
    paper=LENS,
)
def vignetting(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Less light towards the corners, by the fourth power of the cosine."""
    del rng
    square = _radius(x) ** 2
    steep = (1 - min(value, 0.999)) ** -0.5 - 1  # cos^4 = 1 / (1 + tan^2)^2, of the given loss in the corner
    return from_light(to_light(x) * ((1 + np.float32(steep) * square) ** -2)[..., None])


def _radius(x: Pixels) -> Pixels:
    """Distance from the middle; 1 in the corners."""
    rows, columns = ((np.arange(n, dtype=np.float32) - (n - 1) / 2) for n in x.shape[:2])
    return np.asarray(
        np.hypot(rows[:, None], columns) / max(math.hypot(x.shape[0] - 1, x.shape[1] - 1) / 2, 0.5), np.float32
    )


@distortion(
    "lateral_chromatic_aberration",
    group="camera",
    parameter="distance",
    levels=(0.5, 1.0, 2.0, 4.0, 8.0),
    neutral=0.0,
    limits=(0, 100),
    unit="px in the corners",
    paper=LENS,
    channels=(3,),
)
def lateral_chromatic_aberration(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Red imaged larger and blue smaller than green: coloured fringes that grow towards the corners."""
    del rng
    height, width = x.shape[:2]
    middle = (height - 1) / 2, (width - 1) / 2
    corner = max(math.hypot(*middle), 1.0)
    out = x.copy()
    for channel, sign in ((0, -1), (2, 1)):
        scale = 1 + sign * value / corner
        rows = (np.arange(height) - middle[0]) * scale + middle[0]
        columns = (np.arange(width) - middle[1]) * scale + middle[1]
        places = np.meshgrid(rows.astype(np.float32), columns.astype(np.float32), indexing="ij")
        out[..., channel : channel + 1] = warp(x[..., channel : channel + 1], *places)
    return out


@distortion(
    "demosaicking",
    group="camera",
    parameter="variance",
    levels=(0.0002, 0.0008, 0.002, 0.004, 0.01),
    neutral=0.0,
    limits=(0, 1),
    unit="of full scale squared",
    paper=LENS,
    channels=(3,),
    min_size=2,
)
def demosaicking(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """One colour a pixel (Bayer pattern) with noise of a given variance, the others interpolated: zippers and maze."""
    raw = x + rng.standard_normal(x.shape, np.float32) * np.float32(math.sqrt(value))
    seen = np.zeros_like(x)
    for channel, places in enumerate((((0, 0),), ((0, 1), (1, 0)), ((1, 1),))):
        for row, column in places:
            seen[row::2, column::2, channel] = 1
    taps = np.outer((0.5, 1, 0.5), (0.5, 1, 0.5))
    return np.asarray(_near(raw * seen, taps) / np.maximum(_near(seen, taps), 1e-6), np.float32)


def _near(x: Pixels, taps: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Pixels:
    """Correlation with 3x3 taps, zeros beyond the border."""
    big = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    rows, columns = x.shape[:2]
    out = np.zeros_like(x)
    for i in range(3):
        for j in range(3):
            out += big[i : i + rows, j : j + columns] * np.float32(taps[i, j])
    return out
