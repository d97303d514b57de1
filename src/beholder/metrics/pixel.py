"""Pixel differences: MSE, MAE, RMSE, PSNR."""

from __future__ import annotations

from typing import Any

from beholder.arrays import Array, namespace, plane_mean, positive_root, to_luma
from beholder.errors import SizeError
from beholder.metrics.registry import metric

_POYNTON = "ITU-R BT.601-7 (2011); ITU-T J.340 (2010)"
_LEGENDRE = "Wang and Bovik 2009, Mean squared error: love it or leave it?, doi:10.1109/MSP.2008.930649"
_KERNEL_LUMA = {"rgb": "", "studio": "studio", "luma": "full"}
_EIGHT_BIT = {"255": {"scale": 255.0}}


def _squared_kernel(
    image: Any, reference: Any, *, threads: int, colour: str = "rgb", crop: int = 0, scale: float = 1.0
) -> float | None:
    from beholder import kernels

    if colour not in _KERNEL_LUMA or crop:
        return None
    error = kernels.squared_error(image, reference, threads=threads, luma=_KERNEL_LUMA[colour])
    return error / 255**2 * scale**2


def _absolute_kernel(image: Any, reference: Any, *, threads: int, scale: float = 1.0) -> float | None:
    from beholder import kernels

    return kernels.absolute_error(image, reference, threads=threads) / 255 * scale


def _root_kernel(image: Any, reference: Any, *, threads: int, scale: float = 1.0) -> float | None:
    error = _squared_kernel(image, reference, threads=threads, scale=scale)
    return None if error is None else float(error**0.5)


def _psnr_kernel(image: Any, reference: Any, *, threads: int, colour: str = "rgb", crop: int = 0) -> float | None:
    import math

    error = _squared_kernel(image, reference, threads=threads, colour=colour, crop=crop)
    if error is None:
        return None
    return -10 * math.log10(error) if error > 0 else math.inf


def _psnr_y_kernel(image: Any, reference: Any, *, threads: int, colour: str = "studio", crop: int = 0) -> float | None:
    return _psnr_kernel(image, reference, threads=threads, colour=colour, crop=crop)


@metric(
    "mse",
    better="lower",
    range=(0.0, 1.0),
    unit="",
    needs="reference",
    min_size=1,
    paper=_LEGENDRE,
    presets=_EIGHT_BIT,
    ranges={"255": (0.0, 65025.0)},
    verified=("", "255"),
    kernel=_squared_kernel,
)
def mse(image: Array, reference: Array, *, scale: float = 1.0) -> Array:
    """Mean squared error over all values; 0 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], equal shapes. Returns (N,). scale: the full range in which the error
    is stated (preset ``255``: in 8-bit steps).
    """
    return plane_mean((image - reference) ** 2) * scale**2


@metric(
    "mae",
    better="lower",
    range=(0.0, 1.0),
    unit="",
    needs="reference",
    min_size=1,
    paper=_LEGENDRE,
    presets=_EIGHT_BIT,
    ranges={"255": (0.0, 255.0)},
    verified=("", "255"),
    kernel=_absolute_kernel,
)
def mae(image: Array, reference: Array, *, scale: float = 1.0) -> Array:
    """Mean absolute error over all values; 0 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], equal shapes. Returns (N,). scale: the full range in which the error
    is stated (preset ``255``: in 8-bit steps).
    """
    return plane_mean(namespace(image, reference).abs(image - reference)) * scale


@metric(
    "rmse",
    better="lower",
    range=(0.0, 1.0),
    unit="",
    needs="reference",
    min_size=1,
    paper=_LEGENDRE,
    presets=_EIGHT_BIT,
    ranges={"255": (0.0, 255.0)},
    verified=("", "255"),
    kernel=_root_kernel,
)
def rmse(image: Array, reference: Array, *, scale: float = 1.0) -> Array:
    """Root of the mean squared error over all values of a picture; 0 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], equal shapes. Returns (N,). scale: the full range in which the error
    is stated (preset ``255``: in 8-bit steps).
    """
    return positive_root(plane_mean((image - reference) ** 2)) * scale


@metric(
    "psnr",
    better="higher",
    range=(0.0, float("inf")),
    unit="dB",
    needs="reference",
    min_size=1,
    paper=_LEGENDRE,
    presets={f"sr-y-crop{n}": {"colour": "studio", "crop": n} for n in (2, 3, 4)},
    verified=("", "sr-y-crop2", "sr-y-crop3", "sr-y-crop4"),
    kernel=_psnr_kernel,
)
def psnr(image: Array, reference: Array, *, colour: str = "rgb", crop: int = 0) -> Array:
    """Peak signal-to-noise ratio over all values; infinite for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], equal shapes. Returns (N,) in dB against the full range. colour: what
    is compared (see `beholder.arrays.to_luma`); crop: border pixels left out. The presets ``sr-y-cropN`` are the
    protocol of the super-resolution papers: studio-range luma, N border pixels left out, full range 1.
    """
    xp = namespace(image, reference)
    if crop:
        if min(image.shape[-2:]) <= 2 * crop:
            height, width = image.shape[-2:]
            raise SizeError(f"psnr needs more than {2 * crop} pixels a side to crop {crop}, got {height}x{width}")
        image, reference = (a[..., crop:-crop, crop:-crop] for a in (image, reference))
    difference = to_luma(image, colour) - to_luma(reference, colour)
    error = plane_mean(difference**2)
    safe = xp.where(error > 0, error, xp.ones_like(error))
    return xp.where(error > 0, -10 * xp.log10(safe), xp.full_like(error, float("inf")))


@metric(
    "psnr_y",
    better="higher",
    range=(0.0, float("inf")),
    unit="dB",
    needs="reference",
    min_size=1,
    paper=_POYNTON,
    presets={"full": {"colour": "luma"}},
    verified=("", "full"),
    aliases=("psnry",),
    kernel=_psnr_y_kernel,
)
def psnr_y(image: Array, reference: Array, *, colour: str = "studio", crop: int = 0) -> Array:
    """Peak signal-to-noise ratio of the luma; infinite for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,) in dB. The default luma is
    MATLAB's ``rgb2ycbcr``, unrounded (16 to 235 of 255) against a full range of 1, as super-resolution papers have
    it; the preset ``full`` takes full-range BT.601 luma. A grey picture counts as RGB with equal channels.
    """
    return psnr(image, reference, colour=colour, crop=crop)
