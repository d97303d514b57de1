"""CAMBI, the contrast-aware multiscale banding index, of one plane of 8-bit studio-range luma."""

from __future__ import annotations

import ctypes
import functools
import math
from typing import Any

import numpy as np

from beholder.kernels import machine
from beholder.strips import Strip, cut, run

Array = np.ndarray[Any, Any]

SCALES = (16, 8, 4, 2, 1)
STEPS = 4
WINDOW, AREA = 65, 6000
"""Side of the window where width and height add up to 6000, as in 4K pictures."""
TOP = 0.6
"""Share of the pixels, those with the largest contrasts, that are averaged."""
SEEN = 0.019
"""Relative step of luminance that is seen."""
STRIP = 128


@functools.cache
def visible_levels() -> tuple[float, ...]:
    """For steps of 1 to 4 of 1023: the largest level at which the step is seen on a BT.1886 display of 300 cd/m2."""
    white, black, gamma = 300.0, 0.01, 2.4
    foot, head = 64, 940
    root = white ** (1 / gamma) - black ** (1 / gamma)
    share = (np.clip(np.arange(1024), foot, head) - foot) / (head - foot)
    luminance = root**gamma * np.maximum(share + black ** (1 / gamma) / root, 0) ** gamma
    levels = []
    for step in range(1, STEPS + 1):
        samples = np.arange(foot, head - step)
        seen = luminance[samples + step] - luminance[samples] > SEEN * luminance[samples]
        levels.append(float(foot + np.argmin(seen) - 1 if not seen.all() else 1023))
    return tuple(levels)


def studio_luma(image: Array, scale: int, threads: int = 1) -> Array:
    """BT.601 luma in 16..235 as bytes, of a picture (H, W), (H, W, 1) or (H, W, 3) of whole numbers in 0..255 scale."""
    weights = (65481, 128553, 24966)
    planes: Array = np.atleast_3d(image)
    whole = 255 * 1000 * scale
    kind = np.int32 if scale == 1 else np.int64
    out: Array = np.empty(planes.shape[:2], np.uint8)

    def work(strip: Strip) -> None:
        part = planes[strip.first : strip.last]
        used = (sum(weights),) if part.shape[2] == 1 else weights
        mixed = np.full(part.shape[:2], whole // 2, kind)
        for i, weight in enumerate(used):
            mixed += part[..., i] * kind(weight)
        mixed //= whole
        out[strip.first : strip.last] = mixed + 16

    run(work, cut(len(out), max((1 << 17) // out.shape[1], 1)), threads)
    return out


def banding_index(luma: Array, threads: int) -> float:
    """CAMBI of a plane of bytes, 0 without banding and about 5 where it begins to annoy."""
    height, width = luma.shape
    levels = _smoothed(luma)
    flat = _flat(levels)
    window = WINDOW * (width + height) // AREA | 1
    total = 0.0
    for i, weight in enumerate(SCALES):
        if i:
            levels, flat = levels[::2, ::2], flat[::2, ::2]
        levels = _agreed(levels, threads)
        total += weight * _pooled(_contrasts(np.where(flat, levels, -1), window // 2, threads))
    return float(total / window**2)


def _smoothed(luma: Array) -> Array:
    """Ten bits out of eight: the mean of 2x2 pixels, rounded down, which takes dithering away."""
    y = luma.astype(np.int16) << 2
    out = y.copy()
    out[:-1, :-1] = (y[:-1, :-1] + y[:-1, 1:] + y[1:, :-1] + y[1:, 1:]) >> 2
    out[:-1, -1] = (y[:-1, -1] + y[1:, -1]) >> 1
    out[-1, :-1] = (y[-1, :-1] + y[-1, 1:]) >> 1
    return out


def _flat(levels: Array) -> Array:
    """Pixels most of whose 7x7 neighbours equal their own right and lower neighbours."""
    height, width = levels.shape
    even = np.zeros((height + 6, width + 6), np.int8)
    inner = even[3:-3, 3:-3]
    inner[:] = 1
    inner[:, :-1] &= levels[:, 1:] == levels[:, :-1]
    inner[:-1] &= levels[1:] == levels[:-1]
    rows = np.sum([even[i : i + height] for i in range(7)], axis=0, dtype=np.int8)
    count = np.sum([np.asarray(rows)[:, j : j + width] for j in range(7)], axis=0, dtype=np.int8)
    size = (width >> 6) * (height >> 6)
    doublings = math.ceil(math.log2(size)) if size > 0 else 0
    return np.asarray(count > (49 + 3 * (doublings - 11) - 1) >> 1)


def _agreed(levels: Array, threads: int) -> Array:
    """What two of three neighbours share, or the smallest of them, along rows, then columns; the frame stays."""
    height, width = levels.shape
    found = np.array(levels)

    def work(strip: Strip) -> None:
        first, last = max(strip.first, 1), min(strip.last, height - 1)
        if first < last:
            rows = np.array(levels[first - 1 : last + 1])
            rows[:, 1:-1] = _common(*(levels[first - 1 : last + 1, k : width - 2 + k] for k in range(3)))
            found[first:last] = _common(rows[:-2], rows[1:-1], rows[2:])

    run(work, cut(height, max((1 << 17) // width, 1)), threads)
    return found


def _common(a: Array, b: Array, c: Array) -> Array:
    """The larger two where they are equal, else the smallest."""
    small, large = np.minimum(a, b), np.maximum(a, b)
    middle = np.maximum(small, np.minimum(large, c))
    np.minimum(small, c, out=small)
    np.maximum(large, c, out=large)
    np.copyto(small, large, where=middle == large)
    return small


def _contrasts(levels: Array, pad: int, threads: int) -> Array:
    plane = np.ascontiguousarray(levels, np.float32)
    height, width = plane.shape
    found = np.empty_like(plane)

    def work(strip: int) -> None:
        counts = np.empty((1024 + 2 * STEPS, STRIP), np.float32)
        visible = (ctypes.c_double * STEPS)(*visible_levels())
        machine.kernel("artefact.contrasts")(
            plane.ctypes.data, plane.ctypes.data, height, width, pad, STRIP, None, found.ctypes.data,
            counts.ctypes.data, ctypes.addressof(visible), strip, strip + 1,
        )  # fmt: skip

    run(work, range(-(-width // STRIP)), threads)
    return found


def _pooled(contrasts: Array) -> float:
    number = min(max(int(TOP * contrasts.size), 1), contrasts.size)
    values = contrasts[contrasts > 0]
    if values.size > number:
        values = np.partition(values, values.size - number)[values.size - number :]
    return float(np.sum(values, dtype=np.float64)) / number
