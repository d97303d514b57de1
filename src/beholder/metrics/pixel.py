"""Pixel differences: MSE, MAE, RMSE, PSNR."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from beholder.arrays import LUMA_FULL, LUMA_STUDIO, Array, namespace, plane_mean, positive_root, to_luma
from beholder.errors import SizeError
from beholder.metrics.registry import metric
from beholder.metrics.settings import Colour, Count, Luma, Positive
from beholder.metrics.tensors import TensorKernel, in_order

_POYNTON = "ITU-R BT.601-7 (2011); ITU-T J.340 (2010)"
_LEGENDRE = "Wang and Bovik 2009, Mean squared error: love it or leave it?, doi:10.1109/MSP.2008.930649"
_KERNEL_LUMA = {"rgb": "", "studio": "studio", "luma": "full"}
_TENSOR_LUMA: dict[str, tuple[float, ...]] = {"rgb": (), "studio": LUMA_STUDIO, "luma": LUMA_FULL}
_EIGHT_BIT = {"255": {"scale": 255.0}}


def _squared_kernel(
    image: Any, reference: Any, *, threads: int, colour: str = "rgb", crop: int = 0, scale: float = 1.0
) -> float | None:
    from beholder import kernels

    if colour not in _KERNEL_LUMA or crop:
        return None
    error = kernels.squared_error(image, reference, threads=threads, luma=_KERNEL_LUMA[colour])
    return error / 255**2 * (scale * scale)


def _absolute_kernel(image: Any, reference: Any, *, threads: int, scale: float = 1.0) -> float | None:
    from beholder import kernels

    return kernels.absolute_error(image, reference, threads=threads) / 255 * scale


def _root_kernel(image: Any, reference: Any, *, threads: int, scale: float = 1.0) -> float | None:
    error = _squared_kernel(image, reference, threads=threads, scale=scale)
    return None if error is None else float(error**0.5)


def _decibels(error: float | None) -> float | None:
    if error is None:
        return None
    return -10 * math.log10(error) if error > 0 else math.inf


def _psnr_kernel(image: Any, reference: Any, *, threads: int, colour: str = "rgb", crop: int = 0) -> float | None:
    return _decibels(_squared_kernel(image, reference, threads=threads, colour=colour, crop=crop))


def _psnr_y_kernel(image: Any, reference: Any, *, threads: int, colour: str = "studio", crop: int = 0) -> float | None:
    return _psnr_kernel(image, reference, threads=threads, colour=colour, crop=crop)


def _planar(kernel: Callable[..., float | None]) -> Callable[..., float | None]:
    """A kernel to which all values of a picture are alike, for one whose planes lie one after the other."""

    def planar(image: Any, reference: Any, *, threads: int, colour: str = "rgb", **settings: Any) -> float | None:
        if colour != "rgb" or settings.pop("crop", 0):
            return None
        x, y = (a.reshape(-1, a.shape[-1]) for a in (image, reference))
        return kernel(x, y, threads=threads, **settings)

    return planar


def _any_order(kernel: TensorKernel) -> TensorKernel:
    """A kernel to which all values of a picture are alike, for any order of memory that both pictures have."""

    def ordered(image: Any, reference: Any, gradients: Any, *, threads: int, **settings: Any) -> float | None:
        arrays = [image, reference, *(g for g in gradients if g is not None)]
        axes = sorted(range(3), key=lambda axis: -image.strides[axis])
        alike = settings.get("colour", "rgb") == "rgb" and not settings.get("crop")
        if not alike or not all(a.transpose(axes).flags.c_contiguous for a in arrays):
            return in_order(kernel, image, reference, gradients, threads=threads, **settings)
        rows = image.shape[axes[0]]
        x, y, *_ = (a.transpose(axes).reshape(1, rows, -1) for a in arrays)
        slopes = tuple(None if g is None else g.transpose(axes).reshape(1, rows, -1) for g in gradients)
        return kernel(x, y, slopes, threads=threads, **settings)

    return ordered


_Slope = Callable[[float], float]


def _square_tensors(
    pair: tuple[Any, Any], gradients: Any, threads: int, slope: _Slope, colour: str = "rgb", crop: int = 0
) -> float | None:
    """Mean squared difference of float32 pictures; slope: the derivative of the value by it."""
    from beholder.kernels import pixel

    if colour not in _TENSOR_LUMA:
        return None
    mixed = _TENSOR_LUMA[colour]
    weights = mixed if len(pair[0]) == 3 and mixed else (sum(LUMA_STUDIO) if colour == "studio" else 1.0,)
    channels, height, width = pair[0].shape
    error = pixel.squared_difference(*pair, weights, crop, threads)
    if error is None:
        return None
    count = (height - 2 * crop) * (width - 2 * crop) * (1 if mixed else channels)
    for (x, y), gradient in zip((pair, pair[::-1]), gradients, strict=True):
        if gradient is not None:
            pixel.square_slope(x, y, weights, crop, 2 * slope(error) / count, gradient, threads)
    return error


def _mse_tensor(image: Any, reference: Any, gradients: Any, *, threads: int, scale: float = 1.0) -> float | None:
    error = _square_tensors((image, reference), gradients, threads, lambda _: scale * scale)
    return None if error is None else error * (scale * scale)


def _rmse_tensor(image: Any, reference: Any, gradients: Any, *, threads: int, scale: float = 1.0) -> float | None:
    def slope(error: float) -> float:
        return scale / (2 * math.sqrt(error)) if error > 0 else 0.0

    error = _square_tensors((image, reference), gradients, threads, slope)
    return None if error is None else math.sqrt(error) * scale


def _mae_tensor(image: Any, reference: Any, gradients: Any, *, threads: int, scale: float = 1.0) -> float | None:
    from beholder.kernels import pixel

    error = pixel.absolute_difference(image, reference, threads)
    if error is None:
        return None
    for (x, y), gradient in zip(((image, reference), (reference, image)), gradients, strict=True):
        if gradient is not None:
            pixel.absolute_slope(x, y, scale / image.size, gradient, threads)
    return error * scale


def _psnr_tensor(
    image: Any, reference: Any, gradients: Any, *, threads: int, colour: str = "rgb", crop: int = 0
) -> float | None:
    if crop and min(image.shape[-2:]) <= 2 * crop:
        return None  # the definition says what is wrong

    def slope(error: float) -> float:
        return -10 / (math.log(10) * error) if error > 0 else 0.0

    return _decibels(_square_tensors((image, reference), gradients, threads, slope, colour, crop))


def _psnr_y_tensor(
    image: Any, reference: Any, gradients: Any, *, threads: int, colour: str = "studio", crop: int = 0
) -> float | None:
    return _psnr_tensor(image, reference, gradients, threads=threads, colour=colour, crop=crop)


@metric(
    "mse",
    better="lower",
    range=(0.0, 1.0),
    unit="",
    needs="reference",
    min_size=1,
    paper=_LEGENDRE,
    presets=_EIGHT_BIT,
    range_of=lambda scale=1.0: (0.0, scale * scale),
    verified=("", "255"),
    kernel=_squared_kernel,
    planar_kernel=_planar(_squared_kernel),
    tensor_kernel=_any_order(_mse_tensor),
    guards=True,
    any_order=True,
)
def mse(image: Array, reference: Array, *, scale: Positive = 1.0) -> Array:
    """Mean squared error over all values; 0 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], equal shapes. Returns (N,). scale: the full range in which the error
    is stated (preset ``255``: in 8-bit steps).
    """
    return plane_mean((image - reference) ** 2) * (scale * scale)


@metric(
    "mae",
    better="lower",
    range=(0.0, 1.0),
    unit="",
    needs="reference",
    min_size=1,
    paper=_LEGENDRE,
    presets=_EIGHT_BIT,
    range_of=lambda scale=1.0: (0.0, scale),
    verified=("", "255"),
    kernel=_absolute_kernel,
    planar_kernel=_planar(_absolute_kernel),
    tensor_kernel=_any_order(_mae_tensor),
    guards=True,
    any_order=True,
)
def mae(image: Array, reference: Array, *, scale: Positive = 1.0) -> Array:
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
    range_of=lambda scale=1.0: (0.0, scale),
    verified=("", "255"),
    kernel=_root_kernel,
    planar_kernel=_planar(_root_kernel),
    tensor_kernel=_any_order(_rmse_tensor),
    guards=True,
    any_order=True,
)
def rmse(image: Array, reference: Array, *, scale: Positive = 1.0) -> Array:
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
    planar_kernel=_planar(_psnr_kernel),
    tensor_kernel=_any_order(_psnr_tensor),
    guards=True,
    any_order=True,
)
def psnr(image: Array, reference: Array, *, colour: Colour = "rgb", crop: Count = 0) -> Array:
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
    tensor_kernel=_psnr_y_tensor,
    guards=True,
)
def psnr_y(image: Array, reference: Array, *, colour: Luma = "studio", crop: Count = 0) -> Array:
    """Peak signal-to-noise ratio of the luma; infinite for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,) in dB. The default luma is
    MATLAB's ``rgb2ycbcr``, unrounded (16 to 235 of 255) against a full range of 1, as super-resolution papers have
    it; the preset ``full`` takes full-range BT.601 luma. A grey picture counts as RGB with equal channels.
    """
    return psnr(image, reference, colour=colour, crop=crop)
