"""Sharpness: too much of it, as KADID-10k made it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from beholder.distortions.planes import gaussian_taps, lab_to_rgb, rgb_to_lab, separable
from beholder.distortions.registry import KADID, distortion

if TYPE_CHECKING:
    from beholder.distortions.planes import Pixels

RADIUS = 3.0


@distortion(
    "high_sharpen",
    group="sharpness and contrast",
    parameter="amount",
    levels=(1.0, 2.0, 3.0, 6.0, 12.0),
    neutral=0.0,
    limits=(0, 100),
    unit="",
    paper=KADID,
    sets={"kadid": 24},
    aliases=("over_sharpen",),
)
def high_sharpen(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Unsharp masking of L* with a Gaussian of 3 pixels."""
    del rng
    taps = gaussian_taps(RADIUS, math.ceil(2 * RADIUS))
    if x.shape[2] == 1:
        return x + (x - separable(x, taps)) * np.float32(value)
    lab = rgb_to_lab(x)
    lightness = lab[..., :1]
    lab[..., :1] = np.clip(lightness + (lightness - separable(lightness, taps)) * np.float32(value), 0, 100)
    return lab_to_rgb(lab)
