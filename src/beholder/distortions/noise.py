"""Noise: what KADID-10k and TID2013 added, and what its removal leaves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from beholder.distortions.planes import rgb_to_ycbcr, separable, ycbcr_to_rgb
from beholder.distortions.registry import KADID, distortion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from beholder.distortions.planes import Pixels

# Standard deviation of unit white noise in the planes of the B3 spline's undecimated wavelets (Starck and Murtagh).
_B3: NDArray[np.float32] = np.array([1 / 16, 1 / 4, 3 / 8, 1 / 4, 1 / 16], np.float32)
_B3_NOISE = (0.8907, 0.2007, 0.0856, 0.0413, 0.0205)


def grain(x: Pixels, rng: np.random.Generator) -> Pixels:
    """White Gaussian noise of variance 1 in the shape of the picture."""
    return rng.standard_normal(x.shape, np.float32)


@distortion(
    "white_noise",
    group="noise",
    parameter="variance",
    levels=(0.001, 0.002, 0.003, 0.005, 0.01),
    neutral=0.0,
    limits=(0, 1),
    unit="of full scale squared",
    paper=KADID,
    sets={"kadid": 11, "tid": 1},
    aliases=("gaussian_noise",),
)
def white_noise(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """White Gaussian noise, independent in R, G and B."""
    return x + grain(x, rng) * np.float32(math.sqrt(value))


@distortion(
    "white_noise_ycbcr",
    group="noise",
    parameter="variance",
    levels=(0.0001, 0.0005, 0.001, 0.002, 0.003),
    neutral=0.0,
    limits=(0, 1),
    unit="of full scale squared",
    paper=KADID,
    sets={"kadid": 12, "tid": 2},
    aliases=("white_noise_color_component",),
)
def white_noise_ycbcr(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """White Gaussian noise in Y, Cb and Cr of studio range, which the way back to R, G and B makes stronger."""
    noise = grain(x, rng) * np.float32(math.sqrt(value))
    if x.shape[2] == 1:
        return x + noise * np.float32(255 / 219)
    return ycbcr_to_rgb(rgb_to_ycbcr(x) + noise)


@distortion(
    "impulse_noise",
    group="noise",
    parameter="density",
    levels=(0.001, 0.005, 0.01, 0.02, 0.03),
    neutral=0.0,
    limits=(0, 1),
    unit="share of values",
    paper=KADID,
    sets={"kadid": 13, "tid": 6},
    aliases=("salt_and_pepper",),
)
def impulse_noise(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Salt and pepper: a share of all values becomes 0 or 1, as likely."""
    chance = rng.random(x.shape, np.float32)
    out = x.copy()
    out[chance < value / 2] = 0
    out[chance > 1 - value / 2] = 1
    return out


@distortion(
    "multiplicative_noise",
    group="noise",
    parameter="variance",
    levels=(0.001, 0.005, 0.01, 0.02, 0.05),
    neutral=0.0,
    limits=(0, 1),
    unit="",
    paper=KADID,
    sets={"kadid": 14, "tid": 19},
    aliases=("speckle_noise",),
)
def multiplicative_noise(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Speckle: x + n x with uniform noise n of a given variance."""
    reach = np.float32(math.sqrt(3 * value))
    return x + x * ((2 * rng.random(x.shape, np.float32) - 1) * reach)


@distortion(
    "denoise",
    group="noise",
    parameter="variance",
    levels=(0.01, 0.03, 0.05, 0.1, 0.15),
    neutral=0.0,
    limits=(0, 1),
    unit="of full scale squared",
    paper=KADID,
    sets={"kadid": 15, "tid": 9},
    aliases=("denoising",),
)
def denoise(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """White Gaussian noise, removed again: smeared detail and what noise is left.

    KADID-10k took a denoising network (DnCNN) on every channel; here, undecimated B3-spline wavelets are thresholded at
    three standard deviations, which needs no weights.
    """
    sigma = math.sqrt(value)
    return shrink_noise(np.clip(x + grain(x, rng) * np.float32(sigma), 0, 1), sigma)


def shrink_noise(x: Pixels, sigma: float, scales: int = 4) -> Pixels:
    """Noise of a known standard deviation removed: small wavelet coefficients become zero."""
    rest, out = x, np.zeros_like(x)
    for scale in range(scales):
        smooth = separable(rest, _B3, 2**scale)
        detail = rest - smooth
        bound = np.float32(sigma * _B3_NOISE[scale] * (3.5 if scale == 0 else 3))
        out += detail * (np.abs(detail) > bound)
        rest = smooth
    return out + rest
