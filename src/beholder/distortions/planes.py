"""What distortions share: filters, colour spaces and warps of pictures, float32 (H, W, C) in [0, 1]."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Pixels = NDArray[np.float32]

TABLE = 65536
STRIP = 32768
"""Pixels of a strip: 128 KiB of float32."""
LUMA = (0.299, 0.587, 0.114)
# sRGB primaries and D65 white (IEC 61966-2-1), already divided by the white point for Lab.
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _TO_XYZ.sum(axis=1)
_TO_CONES = (_TO_XYZ / _WHITE[:, None]).astype(np.float32)
_FROM_CONES = np.linalg.inv(_TO_XYZ / _WHITE[:, None]).astype(np.float32)
# BT.601 studio range, as MATLAB's rgb2ycbcr has it, in units of full scale.
_TO_YCC = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
_YCC_OFFSET = np.array([16, 128, 128], np.float32) / 255


def luma(x: Pixels) -> Pixels:
    """BT.601 luma, (H, W)."""
    weights = LUMA if x.shape[2] == 3 else (1.0,)
    out = np.zeros(x.shape[:2], np.float32)
    for channel, weight in enumerate(weights):
        out += x[..., channel] * np.float32(weight)
    return out


def gaussian_taps(sigma: float, radius: int) -> NDArray[np.float32]:
    """The taps of a sampled Gaussian, 2 radius + 1 of them, of sum 1."""
    offsets = np.arange(-radius, radius + 1)
    taps = np.exp(-(offsets**2) / (2 * sigma * sigma))
    return np.asarray(taps / taps.sum(), np.float32)


def gaussian(x: Pixels, sigma: float) -> Pixels:
    """Gaussian filter over 2 ceil(2 sigma) + 1 pixels, edge pixels continued, as MATLAB's imgaussfilt."""
    if sigma <= 0:
        return x
    return separable(x, gaussian_taps(sigma, math.ceil(2 * sigma)))


def separable(x: Pixels, taps: NDArray[np.float32], step: int = 1) -> Pixels:
    """The symmetric filter down and along, its taps `step` pixels apart, edge pixels continued."""
    for axis in (0, 1):
        x = _slide(x, taps, axis, step)
    return x


def _slide(x: Pixels, taps: NDArray[np.float32], axis: int, step: int) -> Pixels:
    """One pass of a symmetric filter as sums of shifted pictures, in strips that stay in the cache."""
    middle = len(taps) // 2
    radius = middle * step
    big = np.pad(x, [(radius, radius) if a == axis else (0, 0) for a in range(x.ndim)], mode="edge")
    out = np.empty_like(x, order="C")
    rows, columns = x.shape[:2]
    high = max(STRIP // max(columns * x.shape[2], 1), 1)
    for start in range(0, rows, high):
        total = out[start : start + high]
        end = start + total.shape[0]
        views = [
            big[start + by : end + by] if axis == 0 else big[start:end, by : by + columns]
            for by in range(0, 2 * radius + 1, step)
        ]
        np.multiply(views[middle], taps[middle], out=total)
        pair = np.empty_like(total)
        for i in range(middle):
            np.add(views[i], views[-1 - i], out=pair)
            pair *= taps[i]
            total += pair
    return out


def convolve(x: Pixels, kernel: NDArray[Any]) -> Pixels:
    """Filter every channel with a two-dimensional kernel of odd size, edge pixels continued."""
    from scipy import fft

    down, along = (n // 2 for n in kernel.shape)
    if down == along == 0:
        return x * np.float32(kernel.sum())
    big = np.pad(x.transpose(2, 0, 1), ((0, 0), (down, down), (along, along)), mode="edge")
    shape = [fft.next_fast_len(n, real=True) for n in big.shape[1:]]
    spectrum = fft.rfft2(big, shape) * fft.rfft2(kernel.astype(np.float32), shape)
    full = fft.irfft2(spectrum, shape)
    rows, columns = x.shape[:2]
    out = full[:, 2 * down : 2 * down + rows, 2 * along : 2 * along + columns]
    return np.ascontiguousarray(out.transpose(1, 2, 0), dtype=np.float32)


@functools.cache
def _linear_light() -> Pixels:
    """The sRGB curve of IEC 61966-2-1 as a table."""
    grid = np.linspace(0, 1, TABLE)
    return np.where(grid <= 0.04045, grid / 12.92, ((grid + 0.055) / 1.055) ** 2.4).astype(np.float32)


@functools.cache
def _encoded_light() -> Pixels:
    """The inverse of that curve as a table, over the square root of light: it is steep near black."""
    light = np.linspace(0, 1, TABLE) ** 2
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055).astype(np.float32)


def to_light(x: Pixels) -> Pixels:
    """Linear light of sRGB values."""
    return look_up(x, _linear_light())


def from_light(light: Pixels) -> Pixels:
    """The sRGB values of linear light, clipped to [0, 1]."""
    return look_up(np.sqrt(np.clip(light, 0, 1)), _encoded_light())


def rgb_to_lab(x: Pixels) -> Pixels:
    """CIE L*a*b* (D65) of sRGB; L 0-100."""
    cones = to_light(x) @ _TO_CONES.T
    dark = cones <= np.float32(216 / 24389)
    bent = np.cbrt(cones)
    bent[dark] = cones[dark] * np.float32(24389 / 27 / 116) + np.float32(16 / 116)
    lab = np.empty_like(x)
    lab[..., 0] = 116 * bent[..., 1] - 16
    lab[..., 1] = 500 * (bent[..., 0] - bent[..., 1])
    lab[..., 2] = 200 * (bent[..., 1] - bent[..., 2])
    return lab


def lab_to_rgb(lab: Pixels) -> Pixels:
    """The sRGB of CIE L*a*b* (D65), clipped to [0, 1]."""
    bent = np.empty_like(lab)
    bent[..., 1] = (lab[..., 0] + 16) / 116
    bent[..., 0] = bent[..., 1] + lab[..., 1] / 500
    bent[..., 2] = bent[..., 1] - lab[..., 2] / 200
    dark = bent <= np.float32(6 / 29)
    cones = bent * bent * bent
    cones[dark] = (bent[dark] - np.float32(16 / 116)) * np.float32(108 / 841)
    linear = np.clip(cones @ _FROM_CONES.T, 0, 1)
    out = np.float32(1.055) * linear ** np.float32(1 / 2.4) - np.float32(0.055)
    dark = linear <= np.float32(0.0031308)
    out[dark] = linear[dark] * np.float32(12.92)
    return np.asarray(out, np.float32)


def rgb_to_ycbcr(x: Pixels) -> Pixels:
    """Y, Cb and Cr of BT.601 in studio range, in units of full scale."""
    return np.asarray(x @ _TO_YCC.T.astype(np.float32) + _YCC_OFFSET, np.float32)


def ycbcr_to_rgb(ycc: Pixels) -> Pixels:
    """R, G and B of BT.601 in studio range."""
    return np.asarray((ycc - _YCC_OFFSET) @ np.linalg.inv(_TO_YCC).T.astype(np.float32), np.float32)


def spline(x: Pixels, knots: Sequence[float], values: Sequence[float]) -> Pixels:
    """A tone curve: the not-a-knot cubic spline through (0, 0), the knots and (1, 1), clipped to [0, 1]."""
    from scipy.interpolate import CubicSpline

    curve = CubicSpline([0.0, *knots, 1.0], [0.0, *values, 1.0])
    return look_up(x, np.clip(curve(np.linspace(0, 1, TABLE)), 0, 1).astype(np.float32))


def look_up(x: Pixels, table: NDArray[np.float32]) -> Pixels:
    """The curve that a table of `TABLE` values samples over [0, 1]; exact for 8- and 16-bit values."""
    return np.take(table, (x * np.float32(TABLE - 1) + np.float32(0.5)).astype(np.uint16))


def warp(x: Pixels, rows: NDArray[np.float32], columns: NDArray[np.float32]) -> Pixels:
    """The picture at other places (row and column of each pixel), bilinear, edge pixels continued."""
    height, width, channels = x.shape
    planes = [np.pad(x[..., c], (0, 1), mode="edge").ravel() for c in range(channels)]
    out = np.empty((*rows.shape, channels), np.float32)
    step = max(STRIP // max(rows.shape[1], 1), 1)
    for start in range(0, rows.shape[0], step):  # strips whose intermediate results stay in the cache
        part = slice(start, start + step)
        down, along = np.clip(rows[part], 0, height - 1), np.clip(columns[part], 0, width - 1)
        top, left = down.astype(np.int32), along.astype(np.int32)
        down -= top.astype(np.float32)
        along -= left.astype(np.float32)
        first = top.astype(np.intp) * (width + 1) + left
        for channel, plane in enumerate(planes):
            upper, right, lower, corner = (np.take(plane, first + by) for by in (0, 1, width + 1, width + 2))
            upper += (right - upper) * along
            lower += (corner - lower) * along
            upper += (lower - upper) * down
            out[part, :, channel] = upper
    return out


def to_bytes(x: Pixels) -> NDArray[np.uint8]:
    """The nearest 8-bit values."""
    return np.asarray(np.rint(np.clip(x, 0, 1) * np.float32(255)), np.uint8)


def from_bytes(x: NDArray[np.uint8]) -> Pixels:
    """8-bit values as float32 (H, W, C) in [0, 1]."""
    wide = np.asarray(x, np.float32) / np.float32(255)
    return wide if wide.ndim == 3 else wide[..., None]
