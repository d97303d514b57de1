"""Measures of one uint8 picture, worked out in strips of rows: exact or float32 sums, merged in order.

A picture is (H, W) or (H, W, 3), C-contiguous. Strips lie the same for any number of threads: so do the roundings.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.arrays import LUMA_FULL, LUMA_MATLAB
from beholder.strips import Strip, cut, run

Array = np.ndarray[Any, Any]

VALUES = 1 << 17
"""Pixels of a strip, about: its float32 planes stay in the cache."""


def strips(image: Array, halo: int = 0, multiple: int = 1) -> list[Strip]:
    """Strips of the picture, their heights a multiple of `multiple`, with `halo` rows more on either side."""
    rows = max(VALUES // image.shape[1] // multiple, 1) * multiple
    return cut(image.shape[0], rows, halo, halo)


def luma(image: Array, strip: Strip, weights: tuple[float, ...] = LUMA_FULL) -> Array:
    """Unrounded luma of a strip with its halo, float32 in 0..255."""
    part = image[strip.top : strip.bottom]
    if part.ndim == 2:
        return part.astype(np.float32)
    total = part[..., 0] * np.float32(weights[0])
    for i in (1, 2):
        total += part[..., i] * np.float32(weights[i])
    return np.asarray(total)


def total(x: Array) -> float:
    """Sum of a strip, pairwise."""
    return float(np.sum(x.reshape(-1)) if x.flags.c_contiguous else np.sum(np.ascontiguousarray(x).reshape(-1)))


def sums(work: Callable[[Strip], tuple[float, ...]], parts: list[Strip], threads: int) -> list[float]:
    """The sums of what `work` returns for every strip."""
    return [math.fsum(column) for column in zip(*run(work, parts, threads), strict=True)]


def histogram(image: Array, colour: str, threads: int) -> Array:
    """Counts of the 256 steps of rounded grey; colour: "luma" or "matlab", as for `beholder.arrays.to_luma`."""

    def grey(part: Array) -> Array:
        if colour == "luma":  # whole thousandths: values halfway between two steps round up, exactly
            mixed = part[..., 0] * np.int32(299) + part[..., 1] * np.int32(587) + part[..., 2] * np.int32(114)
            return np.asarray((mixed + 500) // 1000)
        mixed = part[..., 0] * LUMA_MATLAB[0] + part[..., 1] * LUMA_MATLAB[1]
        mixed += part[..., 2] * LUMA_MATLAB[2]
        mixed += 0.5
        return np.asarray(mixed.astype(np.uint8))

    def work(strip: Strip) -> Array:
        part = image[strip.first : strip.last]
        return np.bincount((grey(part) if part.ndim == 3 else part).reshape(-1), minlength=256)

    return np.asarray(sum(run(work, strips(image), threads)))


def moments(image: Array, threads: int) -> tuple[int, float, float]:
    """Number of pixels, mean of full-range luma in 0..255, and sum of the squared deviations from it."""

    def work(strip: Strip) -> tuple[float, float, float]:
        y = luma(image, strip)
        mean = total(y) / y.size
        y -= np.float32(mean)
        return float(y.size), mean * y.size + total(y), total(np.square(y, out=y))

    parts = run(work, strips(image), threads)
    count = math.prod(image.shape[:2])
    mean = math.fsum(p[1] for p in parts) / count
    squares = math.fsum(p[2] + p[0] * (p[1] / p[0] - mean) ** 2 for p in parts)
    return count, mean, squares


def clipped(image: Array, threads: int) -> tuple[float, float]:
    """Shares of the pixels whose largest channel is 255, and whose largest channel is 0."""

    def work(strip: Strip) -> tuple[float, float]:
        part = image[strip.first : strip.last]
        top = part
        if part.ndim == 3:
            top = np.maximum(np.maximum(part[..., 0], part[..., 1]), part[..., 2])
        return float(np.count_nonzero(top == 255)), float(top.size - np.count_nonzero(top))

    bright, dark = sums(work, strips(image), threads)
    count = math.prod(image.shape[:2])
    return bright / count, dark / count


def colorfulness(image: Array, threads: int) -> float:
    """Hasler and Süsstrunk's M3 of an RGB picture, from exact sums."""

    def work(strip: Strip) -> tuple[float, ...]:
        red, green, blue = (image[strip.first : strip.last, :, i].astype(np.int16) for i in range(3))
        rg, yb = red - green, red + green - 2 * blue
        found = []
        for opponent in (rg, yb):
            wide = opponent.astype(np.int32)
            found += [float(np.sum(wide, dtype=np.int64)), float(np.sum(wide * wide, dtype=np.int64))]
        return tuple(found)

    count = math.prod(image.shape[:2])
    rg, rg2, yb, yb2 = (value / count for value in sums(work, strips(image), threads))
    spread = (rg2 - rg**2) + (yb2 - yb**2) / 4
    return float(math.sqrt(max(spread, 0.0)) + 0.3 * math.sqrt(rg**2 + yb**2 / 4))


def saturation(image: Array, threads: int) -> float:
    """Mean HSV saturation of an RGB picture."""
    inverse = np.concatenate([[0], 1 / np.arange(1, 256)]).astype(np.float32)

    def work(strip: Strip) -> tuple[float]:
        red, green, blue = (image[strip.first : strip.last, :, i] for i in range(3))
        top = np.maximum(np.maximum(red, green), blue)
        spread = top - np.minimum(np.minimum(red, green), blue)
        return (total(spread * inverse[top]),)

    return float(sums(work, strips(image), threads)[0] / math.prod(image.shape[:2]))


def variation(image: Array, norm: str, threads: int) -> float:
    """Total variation over all channels in 8-bit steps: the sum of lengths, of absolute or of squared differences."""
    height = image.shape[0]
    flat = image.reshape(height, -1)
    step = flat.shape[1] // image.shape[1]

    def work(strip: Strip) -> tuple[float]:
        wide = flat[strip.first : min(strip.last + 1, height)].astype(np.int16)
        rows = strip.last - strip.first
        along = wide[:rows, step:] - wide[:rows, :-step]
        down = wide[1:] - wide[:-1]  # one row less at the lower border
        if norm == "anisotropic":
            return (float(np.sum(np.abs(along), dtype=np.int64) + np.sum(np.abs(down), dtype=np.int64)),)
        a, d = np.square(along, dtype=np.int32), np.square(down, dtype=np.int32)
        if norm == "energy":
            return (float(np.sum(a, dtype=np.int64) + np.sum(d, dtype=np.int64)),)
        length = np.zeros((rows, flat.shape[1]), np.float32)
        length[:, :-step] = a
        length[: len(d)] += d
        return (total(np.sqrt(length, out=length)),)

    return sums(work, strips(image), threads)[0]


def blur_effect(image: Array, weights: tuple[float, ...], threads: int) -> float:
    """The blur measure of Crété-Roffet with a box of 11 pixels: the larger one of both directions."""
    height, width = image.shape[:2]
    reach = 6

    def sides(x: Array) -> tuple[float, float]:
        """Sums of the differences along the rows, and of what a box filter takes of them."""
        n = x.shape[1] - 2 * reach - 3
        a, b, c, d, e, f = (x[:, 8 + k : 8 + k + n] for k in (1, -1, 6, -6, 5, -5))
        sharp = np.abs(a - b)
        soft = np.abs((c - d) + (e - f))
        soft *= np.float32(1 / 11)
        np.subtract(sharp, soft, out=soft)
        np.maximum(soft, 0, out=soft)
        return total(sharp), total(soft)

    def work(strip: Strip) -> tuple[float, ...]:
        first, last = max(strip.first, 2), min(strip.last, height - 1)
        if first >= last:
            return 0.0, 0.0, 0.0, 0.0
        y = luma(image, strip, weights)
        above, below = reach - (strip.first - strip.top), reach - (strip.bottom - strip.last)
        y = np.pad(y, ((above, below), (0, 0)), mode="symmetric")
        start = first - strip.first + reach
        rows = last - first
        s = y[start - 1 : start - 1 + rows] + y[start + 1 : start + 1 + rows] + 2 * y[start : start + rows]
        along = sides(np.pad(s, ((0, 0), (reach, reach)), mode="symmetric"))
        v = y[start - reach : start + rows + reach]
        v = v[:, 1 : width - 2] + v[:, 3:width] + 2 * v[:, 2 : width - 1]
        a, b, c, d, e, f = (v[reach + k : reach + k + rows] for k in (1, -1, 6, -6, 5, -5))
        sharp = np.abs(a - b)
        soft = np.abs((c - d) + (e - f))
        soft *= np.float32(1 / 11)
        np.subtract(sharp, soft, out=soft)
        np.maximum(soft, 0, out=soft)
        return *along, total(sharp), total(soft)

    x1, x2, y1, y2 = sums(work, strips(image, reach), threads)
    return max(1 - lost / found if found > 0 else 1.0 for found, lost in ((x1, x2), (y1, y2)))


def opencv_grey(image: Array, strip: Strip) -> Array:
    """OpenCV's rounded grey of a strip with its halo, float32 in 0..255."""
    part = image[strip.top : strip.bottom]
    if part.ndim == 2:
        return part.astype(np.float32)
    mixed: Array = part[..., 0] * np.int32(9798) + part[..., 1] * np.int32(19235) + part[..., 2] * np.int32(3735)
    return np.asarray(((mixed + (1 << 14)) >> 15).astype(np.float32))


def laplacian_variance(image: Array, rounded: bool, threads: int) -> float:
    """Variance of the four-neighbour Laplacian in 8-bit steps, mirrored at the border without the edge.

    rounded: of OpenCV's rounded grey, in place of luma.
    """

    def work(strip: Strip) -> tuple[float, float]:
        y = opencv_grey(image, strip) if rounded else luma(image, strip)
        above, below = 1 - (strip.first - strip.top), 1 - (strip.bottom - strip.last)
        y = np.pad(y, ((above, below), (1, 1)), mode="reflect")
        bend = y[:-2, 1:-1] + y[2:, 1:-1]
        bend += y[1:-1, :-2]
        bend += y[1:-1, 2:]
        bend -= 4 * y[1:-1, 1:-1]
        return total(bend), total(np.square(bend, out=bend))

    count = math.prod(image.shape[:2])
    first, second = sums(work, strips(image, 1, 2), threads)
    return float(max(second / count - (first / count) ** 2, 0.0))


def laplacian_noise(image: Array, threads: int) -> float:
    """Immerkær's estimate of the standard deviation of noise in luma, in 8-bit steps."""
    height, width = image.shape[:2]

    def work(strip: Strip) -> tuple[float]:
        y = luma(image, strip)
        if len(y) < 3:
            return (0.0,)
        bend = y[2:] + y[:-2]
        bend -= 2 * y[1:-1]
        double = bend[:, 2:] + bend[:, :-2]
        double -= 2 * bend[:, 1:-1]
        return (total(np.abs(double, out=double)),)

    whole = sums(work, strips(image, 1, 2), threads)[0]
    return float(math.sqrt(math.pi / 2) * whole / (6 * (width - 2) * (height - 2)))


def wavelet_noise(image: Array, taps: Array, threads: int) -> float:
    """Donoho's estimate of the standard deviation of noise, the mean over channels, in 8-bit steps.

    taps: the high-pass filter, four of them, in the order of correlation. Black windows do not count.
    """
    from scipy.special import ndtri

    t = taps.astype(np.float32)
    height = image.shape[0]
    parts = strips(image, 0, 2)

    def details(plane: Array, strip: Strip) -> Array:
        # row k of the result needs the rows 2k - 2 to 2k + 1; strips start at even rows
        bottom = strip.last if strip.last < height else height + 2 + height % 2
        period = np.arange(strip.first - 2, bottom) % (2 * height)
        y = plane[np.minimum(period, 2 * height - 1 - period)]
        black = not np.all(y)  # only then can a window be black
        y = y.astype(np.float32)
        found = np.abs(_twice(y, t))
        return found[_twice(y, np.ones(4, np.float32)) > 0] if black else found.reshape(-1)

    levels = []
    for plane in [image] if image.ndim == 2 else [image[..., i] for i in range(3)]:
        found = np.concatenate(run(lambda strip, p=plane: details(p, strip), parts, threads))  # type: ignore[misc]
        middle = found.size // 2
        if found.size == 0:
            levels.append(0.0)
            continue
        order = np.partition(found, (max(middle - 1, 0), middle))
        levels.append(float(order[middle] if found.size % 2 else (order[middle - 1] + order[middle]) / 2))
    return float(np.mean(levels) / ndtri(0.75))


def _twice(y: Array, taps: Array) -> Array:
    rows = _halve(y, taps)
    rows = np.pad(rows, ((0, 0), (2, 2 + rows.shape[1] % 2)), mode="symmetric")
    return _halve(rows.T, taps)


def _halve(x: Array, taps: Array) -> Array:
    """Correlate down the rows where the window fits, every second value."""
    n = (x.shape[0] - len(taps)) // 2 + 1
    found = x[0 : 2 * n : 2] * taps[0]
    for i in range(1, len(taps)):
        found += x[i : i + 2 * n - 1 : 2] * taps[i]
    return np.asarray(found)


def block_steps(image: Array, block: int, threads: int) -> tuple[float, float]:
    """Sums of squared differences of neighbours in luma, in 8-bit steps: over borders of blocks, and elsewhere."""
    height = image.shape[0]

    def work(strip: Strip) -> tuple[float, float]:
        y = luma(image, Strip(strip.first, strip.last, strip.first, min(strip.last + 1, height)))
        rows = strip.last - strip.first
        along = np.square(y[:rows, 1:] - y[:rows, :-1])
        down = np.square(y[1:] - y[:-1])
        # strips start at multiples of the block: its last row is the border
        borders = total(along[:, block - 1 :: block]) + total(down[block - 1 :: block])
        return borders, total(along) + total(down) - borders

    borders, others = sums(work, strips(image, 0, block), threads)
    return borders, others
