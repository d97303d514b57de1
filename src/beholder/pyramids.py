"""Pyramids of pictures, once for NumPy and PyTorch: Laplacian, steerable in space, complex steerable by frequency.

Pictures are (N, C, H, W). Every function works in the precision of what it is given.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from beholder.arrays import Array, correlate, is_torch, namespace, pad_mirror

__all__ = [
    "BINOMIAL",
    "BURT",
    "enlarge",
    "expand",
    "filter2d",
    "laplacian_pyramid",
    "pad_reflect",
    "reduce",
    "steerable_pyramid",
]

BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16
"""The five-tap binomial filter."""
BURT = np.array([0.05, 0.25, 0.4, 0.25, 0.05])
"""The filter of Burt and Adelson 1983."""


def unfold(rows: tuple[tuple[int, ...], ...]) -> np.ndarray[Any, Any]:
    """A filter, symmetric about both axes, from its upper left quarter in units of 1e-8."""
    quarter = np.array(rows) * 1e-8
    half = np.concatenate([quarter, quarter[:, -2::-1]], axis=1)
    return np.concatenate([half, half[-2::-1]])


# The filters of order 5 of the steerable pyramid (Simoncelli and Freeman 1995, doi:10.1109/ICIP.1995.537667;
# Karasaridis and Simoncelli 1996, doi:10.1109/ICASSP.1996.547734), as published in pyrtools (MIT License).
LOW_FIRST = unfold(((341614, -1551246, -3848215), (-1551246, 5586982, 15925570), (-3848215, 15925570, 40304148)))
LOW = 2 * unfold(
    (
        (85404, -244917, -387812, -944432, -962054),
        (-244917, -523281, -661117, 410600, 1002988),
        (-387812, -661117, 1396746, 3277038, 3981393),
        (-944432, 410600, 3277038, 6426333, 8169618),
        (-962054, 1002988, 3981393, 8169618, 10096540),
    )
)
_QUARTER = np.array(
    (
        (277643, -986904, -1021852, 0),
        (496194, -893064, -3075356, 0),
        (1026699, 1189859, -8226445, 0),
        (1455399, 2755155, -11732297, 0),
    )
)
_HALF = np.concatenate([_QUARTER, -_QUARTER[:, -2::-1]], axis=1)
BAND = np.concatenate([_HALF, _HALF[-2::-1]]) * 1e-8
"""Odd along the rows, even down them; its transpose is the band across."""


def pad_reflect(x: Array, top: int, bottom: int, left: int, right: int) -> Array:
    """Continue every plane by its mirror image about the edge pixel, which is not repeated."""
    xp = namespace(x)
    for axis, before, after in ((-2, top, bottom), (-1, left, right)):
        length = x.shape[axis]
        if (before or after) and length > 1:
            period = np.arange(-before, length + after) % (2 * length - 2)
            index = np.minimum(period, 2 * length - 2 - period)
            x = xp.take(x, xp.asarray(index, device=x.device) if is_torch(x) else index, axis=axis)
        elif before or after:
            x = xp.concat([x] * (before + 1 + after), axis=axis)
    return x


def terms(kernel: np.ndarray[Any, Any]) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """A two-dimensional filter as a sum of separable ones: pairs of taps down and along."""
    u, s, v = np.linalg.svd(kernel)
    return [(u[:, i] * s[i], v[i]) for i in range(len(s)) if s[i] > 1e-12 * s[0]]


def filter2d(x: Array, kernel: np.ndarray[Any, Any]) -> Array:
    """Correlation of every plane with a two-dimensional filter, only where it fits."""
    if not is_torch(x):
        return sum(correlate(x, down, along) for down, along in terms(kernel))
    import torch

    n, c, h, w = x.shape
    taps = torch.as_tensor(kernel, dtype=x.dtype, device=x.device)
    out = torch.nn.functional.conv2d(x.reshape(n * c, 1, h, w), taps[None, None])
    return out.reshape(n, c, *out.shape[-2:])


def every_second(x: Array) -> Array:
    """Rows and columns 0, 2, 4 ..."""
    return x[..., ::2, ::2]


def reduce(x: Array, taps: np.ndarray[Any, Any], *, edge: str) -> Array:
    """Smooth and take every second row and column; edge: "reflect" about the edge pixel, or "mirror" it, too."""
    pad = pad_reflect if edge == "reflect" else pad_mirror
    half = len(taps) // 2
    return every_second(correlate(pad(x, half, half, half, half), taps, taps))


def spread(x: Array, height: int, width: int) -> Array:
    """Put zeros between the rows and columns."""
    xp = namespace(x)
    n, c, h, w = x.shape
    rows = xp.stack([x, xp.zeros_like(x)], axis=3)
    rows = xp.reshape(rows, (n, c, 2 * h, w))
    both = xp.reshape(xp.stack([rows, xp.zeros_like(rows)], axis=4), (n, c, 2 * h, 2 * w))
    return both[..., :height, :width]


def expand(x: Array, taps: np.ndarray[Any, Any], height: int, width: int, *, edge: str) -> Array:
    """Bring a reduced plane to twice the size by putting in zeros and smoothing, without loss of brightness.

    edge: "reflect" the plane with its zeros about the edge pixel, or "repeat" the edge pixels before.
    """
    if edge == "reflect":
        wide = pad_reflect(spread(x, height, width), 2, 2, 2, 2)
    else:
        x = pad_repeat(x)
        wide = spread(x, height + 4, width + 4)
    return correlate(wide, 2 * taps, 2 * taps)


def pad_repeat(x: Array) -> Array:
    """One more pixel on every side."""
    return pad_mirror(x, 1, 1, 1, 1)


def laplacian_pyramid(x: Array, taps: np.ndarray[Any, Any], levels: int, *, edges: tuple[str, str]) -> list[Array]:
    """Differences between a picture and its reduced and expanded self, and the rest last; `levels` in all.

    edges: those of `reduce` and of `expand`.
    """
    pyramid = []
    for _ in range(levels - 1):
        small = reduce(x, taps, edge=edges[0])
        pyramid.append(x - expand(small, taps, x.shape[-2], x.shape[-1], edge=edges[1]))
        x = small
    return [*pyramid, x]


def steerable_pyramid(x: Array, levels: int) -> list[tuple[Array, Array]]:
    """The bands along and across, finest first, of the steerable pyramid of order 5, filtered in space.

    Of the six orientations it has the two that lie along the axes. Edges are reflected about the edge pixel.
    """
    low, bands = filter2d(pad_reflect(x, 2, 2, 2, 2), LOW_FIRST), []
    for level in range(levels):
        if level:
            low = every_second(filter2d(pad_reflect(low, 4, 4, 4, 4), LOW))
        wide = pad_reflect(low, 3, 3, 3, 3)
        bands.append((filter2d(wide, BAND), filter2d(wide, BAND.T)))
    return bands


def enlarge(x: Array, height: int, width: int) -> Array:
    """Twice the size by linear interpolation, as the authors of IW-SSIM bring a parent band to its children's size."""
    return between(between(x, height, -2), width, -1)


def places(length: int, count: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """For `count` values out of `length`: index of the first of the two neighbours, and the weight of the second.

    MATLAB's bilinear imresize to 4 n - 3 values, its ends continued, then every second of them.
    """
    at = np.clip((2 * np.arange(count) - 0.5) * length / (4 * length - 3) - 0.5, 0, length - 1)
    first = np.minimum(at.astype(np.int64), max(length - 2, 0))
    return first, at - first


def between(x: Array, count: int, axis: int) -> Array:
    """Linear interpolation along an axis, at `places`."""
    xp = namespace(x)
    first, share = places(x.shape[axis], count)
    shape = (-1, 1) if axis == -2 else (-1,)
    if is_torch(x):
        index = xp.asarray(first, device=x.device)
        weight = xp.asarray(share, dtype=x.dtype, device=x.device).reshape(shape)
    else:
        index, weight = first, share.astype(x.dtype).reshape(shape)
    a, b = xp.take(x, index, axis=axis), xp.take(x, index + 1, axis=axis)
    return a + weight * (b - a)


# --- complex steerable pyramid ----------------------------------------------------------------------------------------


def _low_high(radius: np.ndarray[Any, Any], octave: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Raised cosine transition one octave wide, in log2 of the frequency, `octave` octaves down: lower, upper part."""
    phase = np.clip((radius + octave) * np.pi / 2, -np.pi / 2, 0)
    return np.abs(np.sin(phase)), np.cos(phase)


@functools.lru_cache(maxsize=8)
def complex_masks(height: int, width: int, level: int, orientations: int) -> np.ndarray[Any, Any]:
    """Masks on the cropped spectrum of a level (1 the finest): (orientations, h, w), in the order of an FFT."""
    h, w = cropped(height, level), cropped(width, level)
    fy = np.fft.ifftshift(np.arange(h) - h // 2)[:, None] / (height / 2)
    fx = np.fft.ifftshift(np.arange(w) - w // 2)[None, :] / (width / 2)
    radius = np.hypot(fy, fx)
    radius[0, 0] = 1.0
    log_radius = np.log2(radius)
    log_radius[0, 0] = log_radius[0, 1] if w > 1 else -32.0
    mask = _low_high(log_radius, level)[1]
    for octave in range(level):
        mask = mask * _low_high(log_radius, octave)[0]
    order = orientations - 1
    angle = np.arctan2(fy, fx)
    scale = 2.0 ** (2 * order) * float(_factorial(order)) ** 2 / (orientations * float(_factorial(2 * order)))
    masks = []
    for k in range(orientations):
        turned = (angle - np.pi * k / orientations + np.pi) % (2 * np.pi) - np.pi
        lobe = np.where(np.abs(turned) < np.pi / 2, np.cos(turned) ** order, 0.0)
        masks.append(mask * 2 * np.sqrt(scale) * lobe)
    return np.stack(masks)


def _factorial(n: int) -> int:
    return int(np.prod(np.arange(1, n + 1, dtype=object))) if n else 1


def cropped(length: int, level: int) -> int:
    """How many frequencies along an axis a level of the complex pyramid keeps; 1 is the finest level."""
    for _ in range(level - 1):
        length = (length + 1) // 2
    return length


def crop_spectrum(spectrum: Array, axis: int, count: int) -> Array:
    """The `count` lowest frequencies along an axis, in the order of an FFT."""
    xp = namespace(spectrum)
    length = spectrum.shape[axis]
    if count == length:
        return spectrum
    keep = np.concatenate([np.arange((count + 1) // 2), np.arange(length - count // 2, length)])
    return xp.take(spectrum, xp.asarray(keep, device=spectrum.device) if is_torch(spectrum) else keep, axis=axis)


def complex_bands(x: Array, level: int, orientations: int) -> Array:
    """The bands of one level of the complex steerable pyramid: (N, C, H, W) to (N, C, orientations, h, w)."""
    height, width = x.shape[-2:]
    if is_torch(x):
        from torch import fft
    else:
        from scipy import fft  # type: ignore[no-redef]
    rows = crop_spectrum(fft.fft(x), -1, cropped(width, level))
    spectrum = crop_spectrum(_along_columns(fft.fft, rows), -2, cropped(height, level))
    masks = complex_masks(height, width, level, orientations) * (-1j) ** ((orientations - 1) % 4)
    return fft.ifft2(spectrum[..., None, :, :] * _like(masks, spectrum))


def _along_columns(transform: Any, x: Array) -> Array:
    return transform(x, dim=-2) if is_torch(x) else transform(x, axis=-2)


def _like(constant: np.ndarray[Any, Any], x: Array) -> Array:
    xp = namespace(x)
    return xp.asarray(constant, dtype=x.dtype, device=x.device) if is_torch(x) else constant.astype(x.dtype)
