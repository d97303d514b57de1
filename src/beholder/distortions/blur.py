"""Blur: Gaussian, lens and motion, as KADID-10k made them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from beholder.distortions.planes import convolve, gaussian
from beholder.distortions.registry import KADID, distortion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from beholder.distortions.planes import Pixels

FINE = 512
"""Samples across a pixel when the area under a disk's edge is measured."""


@distortion(
    "gaussian_blur",
    group="blur",
    parameter="sigma",
    levels=(0.1, 0.5, 1.0, 2.0, 5.0),
    neutral=0.0,
    limits=(0, 100),
    unit="px",
    paper=KADID,
    sets={"kadid": 1, "tid": 8},
)
def gaussian_blur(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Gaussian filter of a given standard deviation."""
    del rng
    return gaussian(x, value)


@distortion(
    "lens_blur",
    group="blur",
    parameter="radius",
    levels=(1.0, 2.0, 4.0, 6.0, 8.0),
    neutral=0.0,
    limits=(0, 100),
    unit="px",
    paper=KADID,
    sets={"kadid": 2},
    aliases=("defocus",),
)
def lens_blur(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Mean over a disk: a lens out of focus."""
    del rng
    return convolve(x, disk(value))


@distortion(
    "motion_blur",
    group="blur",
    parameter="length",
    levels=(1.0, 2.0, 4.0, 6.0, 10.0),
    neutral=0.0,
    limits=(0, 100),
    unit="px",
    paper=KADID,
    sets={"kadid": 3},
)
def motion_blur(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Mean along a straight line in a random direction: a camera or a thing that moved."""
    return convolve(x, line(value, rng.uniform(0, math.pi)))


def disk(radius: float) -> NDArray[np.float64]:
    """A disk's share of every pixel's area, of sum 1; as MATLAB's fspecial("disk")."""
    if radius <= 0:
        return np.ones((1, 1))
    reach = max(math.ceil(radius - 0.5), 0)
    columns = np.arange(-reach, reach + 1)
    across = columns[:, None] + (np.arange(FINE) + 0.5) / FINE - 0.5
    half = np.sqrt(np.maximum(radius * radius - across * across, 0))
    low, high = columns - 0.5, columns + 0.5
    # The chord from -half to half, cut to every pixel, averaged over the columns within the pixel.
    covered = np.minimum(half[..., None], high) - np.maximum(-half[..., None], low)
    area = np.maximum(covered, 0).mean(axis=1)
    area = (area + area.T) / 2
    return np.asarray(area / area.sum())


def line(length: float, angle: float) -> NDArray[np.float64]:
    """A line of one pixel's width through the middle, of sum 1; as MATLAB's fspecial("motion")."""
    half = max(length - 1, 0) / 2
    cosine, sine = math.cos(angle), math.sin(angle)
    reach = [math.ceil(half * abs(part) - 1e-9) for part in (sine, cosine)]
    down, along = np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij")
    beside = np.abs(down * cosine + along * sine)
    forth = np.abs(along * cosine - down * sine)
    beyond = np.maximum(forth - half, 0)
    weight = np.maximum(1 - np.hypot(beside, beyond), 0)
    return np.asarray(weight / weight.sum())
