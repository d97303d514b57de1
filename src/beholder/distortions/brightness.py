"""Brightness: brighter, darker, shifted, and contrast, as KADID-10k made them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from beholder.distortions.planes import lab_to_rgb, rgb_to_lab, spline
from beholder.distortions.registry import KADID, distortion

if TYPE_CHECKING:
    from beholder.distortions.planes import Pixels


@distortion(
    "brighten",
    group="brightness",
    parameter="amount",
    levels=(0.1, 0.2, 0.4, 0.7, 1.1),
    neutral=0.0,
    limits=(0, 2),
    unit="",
    paper=KADID,
    sets={"kadid": 16},
)
def brighten(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """A curve that lifts the middle by half the amount: two parts on R, G and B, one part on L*."""
    del rng
    middle = (0.5 + value / 2,)
    out = spline(x, (0.5,), middle)
    if x.shape[2] == 1:
        return out
    lab = rgb_to_lab(x)
    lab[..., 0] = spline(np.clip(lab[..., 0] / 100, 0, 1), (0.5,), middle) * 100
    return np.asarray((2 * out + lab_to_rgb(lab)) / 3, np.float32)


@distortion(
    "darken",
    group="brightness",
    parameter="amount",
    levels=(0.05, 0.1, 0.2, 0.4, 0.8),
    neutral=0.0,
    limits=(0, 2),
    unit="",
    paper=KADID,
    sets={"kadid": 17},
)
def darken(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """A curve that lowers the middle by half the amount."""
    del rng
    return spline(x, (0.5,), (0.5 - value / 2,))


@distortion(
    "mean_shift",
    group="brightness",
    parameter="shift",
    levels=(0.15, 0.08, 0.0, -0.08, -0.15),
    neutral=0.0,
    limits=(-1, 1),
    unit="of full scale",
    paper=KADID,
    sets={"kadid": 18, "tid": 16},
    signed=True,
)
def mean_shift(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """One value added everywhere; the levels run from brighter to darker, level 3 is the picture itself."""
    del rng
    return x + np.float32(value)


@distortion(
    "contrast_change",
    group="sharpness and contrast",
    parameter="amount",
    levels=(0.3, 0.15, 0.0, -0.4, -0.6),
    neutral=-0.2,
    limits=(-1, 1),
    unit="",
    paper=KADID,
    sets={"kadid": 25, "tid": 17},
    signed=True,
)
def contrast_change(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """A curve through (.3, .25 - amount / 4) and (.7, .75 + amount / 4); the levels run from more to less contrast.

    As published, amount 0 (level 3) still adds a little contrast; -0.2 is the straight line.
    """
    del rng
    return spline(x, (0.3, 0.5, 0.7), (0.25 - value / 4, 0.5, 0.75 + value / 4))
