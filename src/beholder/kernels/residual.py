"""Fast twins of SR-SIM: spectral-residual saliency and the similarity that it weighs, with their gradients."""

from __future__ import annotations

import ctypes
import functools
import math
from typing import Any, NamedTuple

import numpy as np

from beholder import strips
from beholder.arrays import gaussian_window
from beholder.banks import FLAT, resize_matrix, resize_taps
from beholder.kernels import machine, planes
from beholder.kernels.machine import place

__all__ = ["of_tensors", "reduced", "sr_sim"]

Array = Any
ROWS = 16  # of small planes, in a strip: the same for any number of threads
LINES = 8 * 256
WINDOW = gaussian_window(10, 3.8)
BEFORE, AFTER = 4, 5  # the window's reach
SILENT = 1e-8  # as `banks` has it


def _spans(count: int, rows: int = ROWS) -> list[tuple[int, int]]:
    return [(r, min(r + rows, count)) for r in range(0, count, rows)]


def reduced(picture: Array, factor: int, weights: Any, threads: int) -> Array:
    """`banks.reduce` of the weighted sum of float32 planes (C, H, W) of 0 to 1, as float64 (h, w) of 0 to 255."""
    colours, height, width = picture.shape
    result = np.empty((-(-height // factor), -(-width // factor)))
    given = np.asarray(weights, np.float64) * (255 / factor**2)
    run = machine.kernel("residual.reduce")

    def part(span: tuple[int, int]) -> None:
        line, out = np.empty(width), ctypes.c_double()
        run(
            place(picture), None, height, width, colours, factor, place(given), place(line), place(result),
            ctypes.addressof(out), *span,
        )  # fmt: skip

    strips.run(part, _spans(len(result)), threads)
    return result


def _spread(slopes: Array, factor: int, weights: Any, to: Array, threads: int) -> None:
    """The adjoint of `reduced`, into float32 planes."""
    colours, height, width = to.shape
    given = np.asarray(weights, np.float64) * (255 / factor**2)
    run = machine.kernel("residual.spread")

    def part(span: tuple[int, int]) -> None:
        line, out = np.empty(width), ctypes.c_double()
        run(
            place(slopes), place(given), height, width, colours, factor, place(to), place(line), None,
            ctypes.addressof(out), *span,
        )  # fmt: skip

    strips.run(part, _spans(len(slopes)), threads)


class _Taps(NamedTuple):
    """Which rows a new row is made of, (new, count) int32, and by which weights."""

    places: Array
    weights: Array


@functools.lru_cache(maxsize=16)
def _taps(size: int, new: int, scale: float | None, adjoint: bool) -> _Taps:
    if not adjoint:
        places, weights = resize_taps(size, new, scale, "cubic")
        return _Taps(np.ascontiguousarray(places, np.int32), np.ascontiguousarray(weights))
    matrix = resize_matrix(size, new, scale, "cubic").T
    used = [np.flatnonzero(row) for row in matrix]
    most = max(len(u) for u in used)
    places, weights = np.zeros((size, most), np.int32), np.zeros((size, most))
    for i, at in enumerate(used):
        places[i, : len(at)], weights[i, : len(at)] = at, matrix[i, at]
    return _Taps(places, weights)


def _resample(x: Array, taps: _Taps) -> Array:
    """New rows of a float64 plane."""
    new, count = taps.places.shape
    result, out = np.empty((new, x.shape[1])), ctypes.c_double()
    machine.kernel("residual.taps")(
        place(x), place(taps.weights), *x.shape, count, new, place(taps.places), None, place(result),
        ctypes.addressof(out), 0, new,
    )  # fmt: skip
    return result


def _turned(x: Array, first: _Taps, second: _Taps) -> Array:
    """New rows, then new columns; transposed."""
    return _resample(np.ascontiguousarray(_resample(x, first).T), second)


def _blurred(x: Array, before: int, after: int) -> Array:
    return planes.correlate(np.pad(x, (before, after)), WINDOW, WINDOW)


def _level(x: Array) -> Array:
    """Means of 3x3, edges repeated: its own adjoint."""
    for _ in range(2):
        y = np.pad(x, ((1, 1), (0, 0)), mode="edge")
        x = ((y[:-2] + y[1:-1] + y[2:]) / 3).T
    return x


class _Saliency:
    """The saliency map of a plane, and its adjoint. Small planes are transposed: nothing here minds."""

    def __init__(self, luma: Array) -> None:
        from scipy import fft

        self.shape = height, width = luma.shape
        low = self.low = -(-height // 4), -(-width // 4)
        small = _turned(luma, _taps(height, low[0], 0.25, False), _taps(width, low[1], 0.25, False))
        size = small.size
        mean = small.mean()
        self.spectrum = fft.fft2(small - mean)  # without the mean, whose rounding errors would hide faint waves
        self.spectrum[0, 0] += mean * size
        self.power = self.spectrum.real**2 + self.spectrum.imag**2 + (SILENT * size) ** 2
        self.gain = np.exp(-_level(np.log(self.power) / 2))
        self.waves = fft.ifft2(self.spectrum * self.gain)
        self.soft = _blurred((self.waves.real**2 + self.waves.imag**2) * size, BEFORE, AFTER)
        self.ends = self.soft.min(), self.soft.max()
        self.span = max(self.ends[1] - self.ends[0], FLAT)

    def map(self) -> Array:
        (height, width), low = self.shape, self.low
        stretched = (self.soft - self.ends[0]) / self.span
        return _turned(stretched, _taps(low[1], width, None, False), _taps(low[0], height, None, False))

    def back(self, slopes: Array) -> Array:
        """Slopes by the map to slopes by the plane."""
        from scipy import fft

        (height, width), low, size = self.shape, self.low, self.power.size
        by = _turned(slopes, _taps(low[0], height, None, True), _taps(low[1], width, None, True)) / self.span
        by_low = -by.sum()
        if self.ends[1] - self.ends[0] > FLAT:
            by_span = -float((by * (self.soft - self.ends[0])).sum()) / self.span
            by_low -= by_span
            highest = self.soft == self.ends[1]
            by += highest * (by_span / highest.sum())
        lowest = self.soft == self.ends[0]
        by += lowest * (by_low / lowest.sum())
        by_waves = 2 * self.waves * _blurred(by, AFTER, BEFORE)  # times size, which the transform takes off again
        by_product = fft.fft2(by_waves)
        by_gain = by_product.real * self.spectrum.real + by_product.imag * self.spectrum.imag
        by_level = _level(-self.gain * by_gain)
        by_spectrum = self.gain * by_product + (by_level / self.power) * self.spectrum
        by_small = fft.ifft2(by_spectrum).real * size
        return _turned(
            np.ascontiguousarray(by_small), _taps(width, low[1], 0.25, True), _taps(height, low[0], 0.25, True)
        )


def sr_sim(lumas: tuple[Array, Array], wants: tuple[bool, bool], threads: int) -> tuple[float, list[Array | None]]:
    """SR-SIM of two float64 planes (H, W) of 0 to 255, and the slopes by them that are wanted."""
    height, width = lumas[0].shape
    between = np.zeros((2, height + 2, width + 2))
    maps = np.empty((2, height, width))

    def prepare(i: int) -> _Saliency:
        between[i, 1:-1, 1:-1] = lumas[i]
        saliency = _Saliency(lumas[i])
        maps[i] = saliency.map()
        return saliency

    saliencies = strips.run(prepare, range(2), threads)
    run = machine.kernel("residual.compare")
    by_map, by_plane = (np.empty_like(maps), np.zeros((4, *between.shape[1:]))) if any(wants) else (None, None)

    def compare(item: tuple[tuple[int, int], tuple[float, float] | None]) -> tuple[float, float]:
        span, known = item
        line, out = np.empty(LINES), (ctypes.c_double * 2)(*(known or ()))
        run(
            place(between), place(maps), height, width, int(known is not None), 1, place(by_map), place(line),
            place(by_plane), ctypes.addressof(out), *span,
        )  # fmt: skip
        return out[0], out[1]

    spans = _spans(height)
    totals, weights = zip(*strips.run(compare, [(s, None) for s in spans], threads), strict=True)
    weight = math.fsum(weights)
    value = math.fsum(totals) / weight
    if by_map is None or by_plane is None:
        return value, [None, None]
    strips.run(compare, [(s, (value, 1 / weight)) for s in spans], threads)

    def back(i: int) -> Array | None:
        if not wants[i]:
            return None
        slopes, out = np.empty((height, width)), ctypes.c_double()
        machine.kernel("residual.back")(
            place(by_plane[2 * i]), None, height, width, 0, 1, None, None, place(slopes), ctypes.addressof(out), 0,
            height,
        )  # fmt: skip
        slopes += saliencies[i].back(by_map[i])
        return slopes

    return value, strips.run(back, range(2), threads)


def of_tensors(image: Array, reference: Array, gradients: Any, factor: int, weights: Any, threads: int) -> float:
    """SR-SIM of float32 planes (C, H, W) of 0 to 1, reduced by a factor; gradients: as they are, filled, or None."""
    lumas = [reduced(a, factor, weights, threads) for a in (image, reference)]
    value, slopes = sr_sim((lumas[0], lumas[1]), (gradients[0] is not None, gradients[1] is not None), threads)
    for slope, gradient in zip(slopes, gradients, strict=True):
        if slope is not None:
            _spread(slope, factor, weights, gradient, threads)
    return value
