"""The types of TID2013 that KADID-10k has not: shaped noise, and errors of sampling and of blocks.

The paper describes these types in words and sets their levels by PSNR; shapes and filters here are this project's.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from beholder.distortions.colour import shift
from beholder.distortions.compression import JPEG_SIDE, code
from beholder.distortions.noise import grain
from beholder.distortions.planes import gaussian, luma
from beholder.distortions.registry import PSNR_LEVELS, TID, distortion

if TYPE_CHECKING:
    from beholder.distortions.planes import Pixels

VARIANCES = tuple(10 ** (-p / 10) for p in PSNR_LEVELS)
"""The mean squared errors of these PSNR values, full scale 1."""
UNIT = "of full scale squared"
BLOCK, BLOCKS, TRANSFORM = 32, 16, 8


def _scaled(noise: Pixels, variance: float) -> Pixels:
    """Noise brought to a mean square."""
    power = float(np.mean(np.square(noise), dtype=np.float64))
    return np.asarray(noise * np.float32(math.sqrt(variance / power) if power > 0 else 0))


@distortion(
    "spatially_correlated_noise",
    group="noise",
    parameter="variance",
    levels=VARIANCES,
    neutral=0.0,
    limits=(0, 1),
    unit=UNIT,
    paper=TID,
    sets={"tid": 3},
)
def spatially_correlated_noise(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Gaussian noise that neighbouring pixels share: white noise through a Gaussian filter of 1 px."""
    return x + _scaled(gaussian(grain(x, rng), 1.0), value)


@distortion(
    "masked_noise",
    group="noise",
    parameter="variance",
    levels=VARIANCES,
    neutral=0.0,
    limits=(0, 1),
    unit=UNIT,
    paper=TID,
    sets={"tid": 4},
)
def masked_noise(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Gaussian noise where the picture hides it: as strong as the local standard deviation."""
    grey = luma(x)[..., None]
    mean = gaussian(grey, 2.0)
    spread = np.sqrt(np.maximum(gaussian(grey * grey, 2.0) - mean * mean, 0))
    noise: Pixels = grain(x, rng) * np.asarray(spread + 1e-3, np.float32)
    return x + _scaled(noise, value)


@distortion(
    "high_frequency_noise",
    group="noise",
    parameter="variance",
    levels=VARIANCES,
    neutral=0.0,
    limits=(0, 1),
    unit=UNIT,
    paper=TID,
    sets={"tid": 5},
)
def high_frequency_noise(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Gaussian noise without its low frequencies: white noise less its Gaussian mean of 1 px."""
    noise = grain(x, rng)
    if x.size > x.shape[2]:
        noise -= gaussian(noise, 1.0)
    return x + _scaled(noise, value)


@distortion(
    "block_distortion",
    group="spatial",
    parameter="variance",
    levels=VARIANCES,
    neutral=0.0,
    limits=(0, 1),
    unit=UNIT,
    paper=TID,
    sets={"tid": 15},
    aliases=("local_block_wise_distortion",),
)
def block_distortion(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Sixteen blocks of 32x32 pixels, each with a colour of its own added; their squared error is the variance."""
    size = np.minimum(BLOCK, x.shape[:2])
    added = np.zeros_like(x)
    for _ in range(BLOCKS):
        top, left = (int(c) for c in rng.integers(0, np.array(x.shape[:2]) - size + 1))
        colour = rng.choice([-1.0, 1.0], x.shape[2]) * rng.uniform(0.6, 1.4)
        added[top : top + size[0], left : left + size[1]] = colour
    return x + _scaled(added, value)


@distortion(
    "comfort_noise",
    group="noise",
    parameter="threshold",
    levels=(0.05, 0.1, 0.2, 0.4, 1.0),
    neutral=0.0,
    limits=(0, 8),
    unit="of full scale",
    paper=TID,
    sets={"tid": 20},
)
def comfort_noise(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Detail replaced by noise of its strength: DCT coefficients of 8x8 blocks below a threshold get random signs."""
    from scipy import fft

    blocks = _blocks(x)
    spectrum = fft.dctn(blocks, axes=(1, 3), norm="ortho", overwrite_x=True)
    signs = np.sign(rng.random(spectrum.shape, np.float32) - np.float32(0.5))
    keep = np.abs(spectrum) >= value
    keep[:, 0, :, 0] = True
    out = fft.idctn(np.where(keep, spectrum, spectrum * signs), axes=(1, 3), norm="ortho", overwrite_x=True)
    rows, columns, channels = x.shape
    merged = out.reshape(out.shape[0] * TRANSFORM, -1, channels)
    return np.asarray(merged[:rows, :columns], np.float32)


def _blocks(x: Pixels) -> Pixels:
    """The picture as (rows of blocks, 8, columns of blocks, 8, channels), continued to whole blocks."""
    rows, columns, channels = x.shape
    big = np.pad(x, ((0, -rows % TRANSFORM), (0, -columns % TRANSFORM), (0, 0)), mode="edge")
    return big.reshape(big.shape[0] // TRANSFORM, TRANSFORM, big.shape[1] // TRANSFORM, TRANSFORM, channels)


@distortion(
    "noisy_compression",
    group="compression",
    parameter="variance",
    levels=VARIANCES,
    neutral=0.0,
    limits=(0, 1),
    unit=UNIT,
    paper=TID,
    sets={"tid": 21},
    aliases=("lossy_compression_of_noisy_images",),
    max_side=JPEG_SIDE,
)
def noisy_compression(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """White noise, and JPEG of the noisy picture at a quality that falls with the noise."""
    sigma = math.sqrt(value)
    noisy = x + grain(x, rng) * np.float32(sigma)
    return code(noisy, "JPEG", quality=max(round(100 - 765 * sigma), 10))


@distortion(
    "chromatic_aberration",
    group="color",
    parameter="distance",
    levels=(0.5, 1.0, 2.0, 4.0, 8.0),
    neutral=0.0,
    limits=(0, 100),
    unit="px",
    paper=TID,
    sets={"tid": 23},
    channels=(3,),
)
def chromatic_aberration(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """Red and blue moved in opposite directions, to the side and half as far down, and a little blurred."""
    del rng
    blurred = gaussian(x[..., ::2], value / 8)
    out = x.copy()
    out[..., :1] = shift(blurred[..., :1], value / 2, value)
    out[..., 2:] = shift(blurred[..., 1:], -value / 2, -value)
    return out


@distortion(
    "sparse_sampling",
    group="spatial",
    parameter="lost",
    levels=(0.2, 0.4, 0.6, 0.8, 0.92),
    neutral=0.0,
    limits=(0, 0.95),
    unit="share of pixels",
    paper=TID,
    sets={"tid": 24},
    aliases=("sparse_sampling_and_reconstruction",),
)
def sparse_sampling(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """A share of pixels lost at random places and filled in from the others around."""
    held = (rng.random(x.shape[:2], np.float32) >= value)[..., None]
    out, reach = x * held, 0.7
    weight = held.astype(np.float32)
    known = weight.copy()
    values = out.copy()
    while True:
        near = gaussian(weight, reach)
        filled = gaussian(values, reach) / np.maximum(near, np.float32(1e-6))
        new = (near > 0.02) & (known == 0)
        out = np.where(new, filled, out)
        known[new] = 1
        if known.all() or reach > max(x.shape):
            return np.asarray(out, np.float32)
        reach *= 2
