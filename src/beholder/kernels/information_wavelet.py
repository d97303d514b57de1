"""VIF in wavelets, band by band and in strips of rows: the twin of the definition in `metrics.information`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from beholder import strips
from beholder.kernels import planes
from beholder.kernels.information import call, rows_of, whitening

__all__ = ["wavelet_information"]

Array = Any
BLOCK = 3
FLOOR = 1e-6
"""Variances below this are rounding, in squares of 0..255."""


def _reflected(plane: Array, first: int, last: int, half: int) -> Array:
    """Rows `first` to `last` and `half` more on every side, reflected about the edge pixels."""
    index = np.abs(np.arange(first - half, last + half))
    index = plane.shape[0] - 1 - np.abs(plane.shape[0] - 1 - index)
    return np.ascontiguousarray(np.pad(plane[index], ((0, 0), (half, half)), mode="reflect"))


def filtered(plane: Array, kernel: Array, step: int, threads: int) -> Array:
    """A plane under a two-dimensional filter, every `step`-th value; edges reflected."""
    from beholder.pyramids import terms

    pairs, half = terms(kernel), len(kernel) // 2
    height, width = (-(-n // step) for n in plane.shape)
    result = np.empty((height, width), np.float32)

    def part(span: tuple[int, int]) -> None:
        wide = _reflected(plane, span[0] * step, (span[1] - 1) * step + 1, half)
        rows = result[slice(*span)]
        for number, (down, along) in enumerate(pairs):
            found = planes.correlate(wide, down, along, step=step)
            if number:
                rows += found
            else:
                rows[...] = found

    strips.run(part, rows_of(height), threads)
    return result


def _source(x: Array, threads: int) -> tuple[Array, Array]:
    """Weights whose squared sums are the local strength of a block, and eigenvalues of the blocks' covariance."""
    ones = np.ones((x.shape[0] - 2, x.shape[1] - 2), np.float32)  # as the tenth neighbour: sums of the nine others

    def part(span: tuple[int, int]) -> Array:
        out = np.zeros(100)
        call("covariance", x, ones, span, out=out)
        return out

    sums = np.sum(strips.run(part, rows_of(x.shape[0] - 2), threads), axis=0).reshape(10, 10) / ones.size
    covariance = sums[:9, :9] - np.outer(sums[:9, 9], sums[:9, 9])
    covariance = (covariance + covariance.T) / 2
    eigenvalues, axes = whitening(covariance)
    return axes / BLOCK, eigenvalues


def _channel(x: Array, y: Array, span: tuple[int, int], size: int) -> tuple[Array, Array]:
    """Gain and noise of the distortion channel in windows about the blocks of some rows of blocks."""
    half, taps = size // 2, np.ones(size)
    first, last = span[0] * BLOCK + 1, (span[1] - 1) * BLOCK + 2
    a, b = (np.ascontiguousarray(_reflected(p, first, last, half)[:, 1:]) for p in (x, y))
    count = size * size
    sx, sy, sxx, syy, sxy = (
        planes.correlate(p, taps, taps, step=BLOCK).astype(np.float64) for p in (a, b, a * a, b * b, a * b)
    )
    vx, vy = np.maximum(sxx - sx * sx / count, 0), np.maximum(syy - sy * sy / count, 0)
    cov = sxy - sx * sy / count
    flat, still = vx < FLOOR * count, vy < FLOOR * count
    gain = np.where(flat | still, 0, cov / np.where(flat, 1, vx))
    noise = np.where(still, 0, np.where(flat, vy, (vy - gain * cov) / count))
    noise = np.where(gain < 0, vy, noise)
    return np.maximum(gain, 0), np.maximum(noise, 1e-15)


def band_information(x: Array, y: Array, size: int, noise: float, threads: int) -> tuple[float, float]:
    """Information that a band of the image y carries of the reference x, and that x itself carries."""
    height, width = (n // BLOCK * BLOCK for n in x.shape)
    x, y = (np.ascontiguousarray(a[:height, :width]) for a in (x, y))
    weights, eigenvalues = _source(x, threads)
    edge = -(-(size // 2) // BLOCK)
    rows, columns = height // BLOCK, width // BLOCK

    def part(strip: strips.Strip) -> tuple[float, float]:
        span = strip.first + edge, strip.last + edge
        gain, error = _channel(x, y, span, size)
        blocks = x[span[0] * BLOCK : span[1] * BLOCK].reshape(-1, BLOCK, columns, BLOCK).astype(np.float64)
        vectors = blocks.transpose(1, 3, 0, 2).reshape(BLOCK * BLOCK, -1)
        strength = np.square(weights @ vectors).sum(axis=0).reshape(-1, columns)[:, edge : columns - edge]
        inner = slice(edge, columns - edge)
        signal = gain[:, inner] ** 2 * strength / (error[:, inner] + noise)
        strength = strength / noise
        received = sum(float(np.log2(1 + signal * value).sum()) for value in eigenvalues)
        return received, sum(float(np.log2(1 + strength * value).sum()) for value in eigenvalues)

    found = strips.run(part, strips.cut(rows - 2 * edge, 24), threads)
    return math.fsum(f[0] for f in found), math.fsum(f[1] for f in found)


def wavelet_information(x: Array, y: Array, noise: float, threads: int) -> tuple[float, float]:
    """Information over all bands that the image y carries of the reference x, and that x carries; planes, 0..255."""
    from beholder.pyramids import BAND, LOW, LOW_FIRST

    received, sent = [], []
    for level in range(4):
        x, y = (filtered(a, LOW if level else LOW_FIRST, 2 if level else 1, threads) for a in (x, y))
        for kernel in (BAND, BAND.T):
            a, b = (filtered(p, kernel, 1, threads) for p in (x, y))
            got, whole = band_information(a, b, 2 ** (4 - level) + 1, noise, threads)
            received.append(got)
            sent.append(whole)
    return math.fsum(received), math.fsum(sent)
