"""Fast twins of what FSIM, VSI and SR-SIM need: small planes of large pictures, phase congruency, saliency."""

from __future__ import annotations

import ctypes
import functools
import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from beholder import strips
from beholder.banks import (
    FLAT,
    ORIENTATIONS,
    SALIENCY_SIDE,
    SCALES,
    log_gabor_bank,
    resize_taps,
    simple_priors,
)
from beholder.kernels import machine
from beholder.kernels.machine import place

__all__ = ["Constants", "compare", "congruency", "reduced", "saliency", "stretched"]

Array = Any
FAINT = np.float32(np.finfo(np.float32).eps)


def _halves(count: int, threads: int) -> list[tuple[int, int]]:
    cuts = [count * part // threads for part in range(threads + 1)]
    return [(a, b) for a, b in itertools.pairwise(cuts) if a < b]


def reduced(picture: Array, factor: int, threads: int = 1) -> Array:
    """`banks.reduce` of a picture of bytes (H, W) or (H, W, 3), as float32 planes (1, C, h, w) of 0 to 255."""
    height, width = picture.shape[:2]
    channels = picture.size // (height * width)
    result = np.empty((1, channels, -(-height // factor), -(-width // factor)), np.float32)

    def part(span: tuple[int, int]) -> None:
        line, out = np.empty(2 * width * channels, np.float32), ctypes.c_double()
        machine.kernel("phase.reduce")(
            place(picture), place(picture), height, width * channels, channels, factor, None, place(line),
            place(result), ctypes.addressof(out), *span,
        )  # fmt: skip

    strips.run(part, _halves(result.shape[2], threads), threads)
    return result


@functools.lru_cache(maxsize=4)
def _tables(height: int, width: int) -> tuple[Array, Array, int]:
    """Places and weights of the taps down and along, and how many: for `phase.resize`."""
    (down, by), (along, at) = resize_taps(height, SALIENCY_SIDE), resize_taps(width, SALIENCY_SIDE)
    places = np.concatenate([down.ravel(), along.ravel()]).astype(np.int32)
    weights = np.concatenate([by.ravel() / 255, at.ravel()]).astype(np.float32)
    return places, weights, 4096 * down.shape[1] + along.shape[1]


def small(picture: Array) -> Array:
    """`banks.resize` of a picture of bytes to 256x256, as float32 planes (1, C, 256, 256) of 0 to 1."""
    height, width = picture.shape[:2]
    channels = picture.size // (height * width)
    places, weights, taps = _tables(height, width)
    result = np.empty((1, channels, SALIENCY_SIDE, SALIENCY_SIDE), np.float32)
    line, out = np.concatenate([weights, np.empty(width * channels, np.float32)]), ctypes.c_double()
    machine.kernel("phase.resize")(
        place(picture), place(picture), height, width * channels, channels, taps, place(places), place(line),
        place(result), ctypes.addressof(out), 0, SALIENCY_SIDE,
    )  # fmt: skip
    return result


@functools.lru_cache(maxsize=2)
def _bank(height: int, width: int) -> tuple[Array, Array]:
    filters, noise = log_gabor_bank(height, width)
    return filters.astype(np.float32), noise


class _Room(NamedTuple):
    """What one orientation at a time needs: the responses of all scales, the finest's energy, and some of that."""

    waves: Array
    power: Array
    near: Array


def _median(values: Array, near: Array) -> float:
    """The median of many values: out of those about the median of a sample, where it is there. near: room for all."""
    ranks = np.array([(values.size - 1) // 2, values.size // 2])
    sample = np.sort(values[::61])  # not a divisor of a usual width
    limits = sample[[int(0.46 * sample.size), int(0.54 * sample.size)]]
    counts = (ctypes.c_double * 2)()
    _whole("phase.near", values, limits, values.size, near, counts)
    chosen, left = near[: int(counts[1])], ranks - int(counts[0])
    if left[0] < 0 or left[1] >= chosen.size:
        chosen, left = values, ranks
    return float(np.partition(chosen, left)[left].mean(dtype=np.float64))


def _orientation(spectrum: Array, o: int, tiny: float, room: _Room, result: Array) -> None:
    """Energy above the noise and sum of amplitudes of one orientation into result, (2, H, W)."""
    from scipy import fft

    height, width = spectrum.shape
    pixels = height * width
    filters, noise = _bank(height, width)
    nothing = ctypes.c_double()
    for s in range(SCALES):
        _whole("phase.filter", spectrum, filters[o, s], pixels, room.waves[s], nothing)
    waves = fft.ifft2(room.waves, overwrite_x=True)
    _whole("phase.power", waves, waves, pixels, room.power, nothing)
    given = np.array([(_median(room.power, room.near) * noise[o]) ** 0.5, tiny], np.float32)
    _whole("phase.congruency", waves, given, pixels, result, nothing)


def _whole(name: str, x: Array, y: Array, count: int, result: Array, out: Any) -> None:
    """Run a kernel on all values at once."""
    total = ctypes.addressof(out)
    machine.kernel(name)(place(x), place(y), 1, count, 0, 0, None, None, place(result), total, 0, count)


def congruency(x: Array, y: Array, tiny: float, threads: int) -> Array:
    """`banks.phase_congruency` of two float32 planes (H, W), of 0 to 255: (2, H, W)."""
    from scipy import fft

    def transform(plane: Array) -> Array:
        return fft.fft2(plane - plane.mean(dtype=np.float64).astype(np.float32))

    spectra = strips.run(transform, (x, y), threads)
    results = np.empty((2, ORIENTATIONS, 2, *x.shape), np.float32)
    rooms: list[_Room] = []  # as many as there are threads at work: taking and giving back are atomic

    def work(item: tuple[int, int]) -> None:
        picture, o = item
        try:
            room = rooms.pop()
        except IndexError:
            room = _Room(np.empty((SCALES, *x.shape), np.complex64), *np.empty((2, x.size), np.float32))
        _orientation(spectra[picture], o, tiny, room, results[picture, o])
        rooms.append(room)

    strips.run(work, itertools.product(range(2), range(ORIENTATIONS)), threads)
    sums = results.sum(axis=1)
    return sums[:, 0] / (sums[:, 1] + FAINT)


class Constants(NamedTuple):
    """Of `compare`: for the map, the gradient, the chrominance; the exponents of the last two."""

    map: float
    gradient: float
    chroma: float = 0.0
    gradient_power: float = 1.0
    chroma_power: float = 0.0


def compare(maps: Array, planes: Array, constants: Constants, threads: int) -> float:
    """Similarity of two pictures, weighted by the larger of two maps.

    maps: float32 (2, H, W); planes: float32 (2, C, H, W), luma and then two of chrominance or none.
    """
    joined = np.concatenate((maps[:, None], planes), axis=1)
    _, count, height, width = joined.shape
    given = np.zeros(6 + width, np.float32)
    given[:6] = *constants, math.cos(math.pi * constants.chroma_power)

    def part(span: tuple[int, int]) -> tuple[float, float]:
        rows, out = np.empty((5, width), np.float32), (ctypes.c_double * 2)()
        machine.kernel("phase.compare")(
            place(joined[0]), place(joined[1]), height, width, count - 2, 0, None, place(given), place(rows),
            ctypes.addressof(out), *span,
        )  # fmt: skip
        return out[0], out[1]

    spans = [(r, min(r + 16, height)) for r in range(0, height, 16)]  # the sum must not depend on the threads
    totals, weights = zip(*strips.run(part, spans, threads), strict=True)
    faint = 1e-12 * height * width
    return float((math.fsum(totals) + faint) / (math.fsum(weights) + faint))


def _lerp(x: Array, places: Array, weights: Array, axis: int) -> Array:
    """Weighted sums of a few rows or columns."""
    shape = (-1, 1) if axis == 0 else (1, -1)
    taps = range(places.shape[1])
    total: Array = sum(np.take(x, places[:, k], axis=axis) * weights[:, k].reshape(shape) for k in taps)
    return total


def _extreme(rows: Array, places: Array, weights: Array) -> float:
    """The largest value of rows that are stretched along: only those are worked out that can have it."""
    bound = rows.max(axis=1)
    order, start, count = np.argsort(-bound), 0, 8
    best: float = -math.inf
    while start < len(order) and bound[order[start]] > best:
        chosen = order[start : start + count]
        best = max(best, float(_lerp(rows[chosen], places, weights, 1).max()))
        start, count = start + count, 2 * count
    return best


@functools.lru_cache(maxsize=8)
def _ups(size: int, factor: int) -> tuple[Array, Array, Array, Array, Array]:
    """Taps from 256 to a size; taps of that reduced by a factor; how much of each mean lies inside."""
    places, weights = resize_taps(SALIENCY_SIDE, size)
    count, before = -(-size // factor), (factor - 1) // 2
    matrix = np.zeros((count, SALIENCY_SIDE))
    inside = np.zeros(count)
    for i in range(count):
        for j in range(max(i * factor - before, 0), min(i * factor - before + factor, size)):
            np.add.at(matrix[i], places[j], weights[j] / factor)
            inside[i] += 1 / factor
    used = [np.flatnonzero(row) for row in matrix]
    most = max(len(u) for u in used)
    at = np.array([np.resize(u, most) for u in used])
    by = np.array(
        [np.where(np.arange(most) < len(u), row[np.resize(u, most)], 0) for u, row in zip(used, matrix, strict=True)]
    )
    return places, weights.astype(np.float32), at, by.astype(np.float32), inside.astype(np.float32)


def stretched(saliency: Array, height: int, width: int, factor: int) -> Array:
    """`banks.reduce` of `banks.stretch` of `banks.resize` of a float32 plane (256, 256), without the large picture."""
    places, weights, at, by, inside = _ups(height, factor)
    places2, weights2, at2, by2, inside2 = _ups(width, factor)
    rows = _lerp(saliency, places, weights, 0)
    high, low = _extreme(rows, places2, weights2), -_extreme(-rows, places2, weights2)
    reduced = _lerp(_lerp(saliency, at, by, 0), at2, by2, 1)
    return (reduced - np.float32(low) * np.outer(inside, inside2)) / np.float32(max(high - low, FLAT))


def saliency(picture: Array, factor: int) -> Array:
    """VSI's stretched and reduced saliency of a picture of bytes, as float32 (h, w)."""
    height, width = picture.shape[:2]
    x = small(picture)
    x = np.repeat(x, 3, axis=1) if x.shape[1] == 1 else x
    return stretched(simple_priors(x)[0, 0], height, width, factor)
