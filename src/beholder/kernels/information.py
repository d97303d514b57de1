"""NLPD and IW-SSIM of two uint8 pictures in strips of rows: twins of the definitions in `metrics`.

Every function takes two C-contiguous uint8 arrays, (H, W) or (H, W, 3), works in float32 and adds up in float64. The
value does not depend on the threads: strips lie the same for any number of them.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

from beholder import strips
from beholder.kernels import machine, planes
from beholder.kernels.machine import place

__all__ = ["call", "distance", "laplacian", "rows_of", "weighted_similarity", "whitening"]

Array = Any
ROWS = 64
"""Rows of a strip."""
EDGES = {"mirror": 0, "repeat": 0, "reflect": 1}


def call(name: str, x: Array, y: Array | None, span: tuple[int, int], **given: Any) -> None:
    """A kernel of this family on the plane x; given: mode, marks, line, maps, out where it takes them."""
    marks, line, maps = (place(given.get(k)) for k in ("marks", "line", "maps"))
    out = given.get("out")
    spare = ctypes.c_double()
    machine.kernel(f"information.{name}")(
        place(x), place(y), x.shape[0], x.shape[1], given.get("mode", 0), 1,
        marks, line, maps, ctypes.addressof(spare) if out is None else place(out),
        *span,
    )  # fmt: skip


def rows_of(height: int) -> list[tuple[int, int]]:
    """Strips of rows."""
    return [(s.first, s.last) for s in strips.cut(height, ROWS)]


def halves(x: Array, taps: Array, edge: str, threads: int) -> Array:
    """A plane smoothed by five symmetric taps, of which the first three are given, and halved."""
    small = np.empty(((x.shape[0] + 1) // 2, (x.shape[1] + 1) // 2), np.float32)

    def part(span: tuple[int, int]) -> None:
        line = np.empty(x.shape[1] + 8, np.float32)
        call("reduce", x, taps, span, mode=EDGES[edge], marks=small, line=line)

    strips.run(part, rows_of(small.shape[0]), threads)
    return small


def laplacian(x: Array, taps: Any, levels: int, edges: tuple[str, str], gain: float, threads: int) -> list[Array]:
    """The Laplacian pyramid of a plane, as `beholder.pyramids`; gain: of each level over the last."""
    pyramid = []
    down = (np.asarray(taps[:3]) * math.sqrt(gain)).astype(np.float32)
    up = (np.asarray(taps[:3]) * 2 / math.sqrt(gain)).astype(np.float32)
    for _ in range(levels - 1):
        small, band = halves(x, down, edges[0], threads), np.empty_like(x)

        def part(span: tuple[int, int], x: Array = x, small: Array = small, band: Array = band) -> None:
            line = np.empty(small.shape[1] + 2, np.float32)
            call("laplace", x, up, span, mode=EDGES[edges[1]], marks=band, line=line, maps=small)

        strips.run(part, rows_of(x.shape[0]), threads)
        pyramid.append(band)
        x = small
    return [*pyramid, x]


def distance(a: Array, b: Array, constants: Array, threads: int) -> float:
    """Root mean square difference between two bands, each divided by constants[0] and its neighbours' magnitudes."""

    def part(span: tuple[int, int]) -> float:
        out, line = np.zeros(1), np.zeros(8 * (a.shape[1] + 4), np.float32)
        call("divisive", a, b, span, line=line, maps=constants, out=out)
        return float(out[0])

    return math.sqrt(math.fsum(strips.run(part, rows_of(a.shape[0]), threads)) / a.size)


# --- IW-SSIM ----------------------------------------------------------------------------------------------------------


def _parent(x: Array, height: int, width: int, threads: int) -> Array:
    """A band brought to its child's size, without the outermost pixels."""
    from beholder.pyramids import places

    result = np.empty((height - 2, width - 2), np.float32)
    (i, down), (j, along) = places(x.shape[0], height), places(x.shape[1], width)
    i, down, j, along = i[1:-1], down[1:-1].astype(np.float32), j[1:-1], along[1:-1].astype(np.float32)

    def part(span: tuple[int, int]) -> None:
        rows = slice(*span)
        upper, lower = x[i[rows]], x[i[rows] + 1]
        lines = upper + down[rows, None] * (lower - upper)
        left = np.take(lines, j, axis=1)
        np.add(left, along * (np.take(lines, j + 1, axis=1) - left), out=result[rows])

    strips.run(part, rows_of(height - 2), threads)
    return result


def whitening(covariance: Array) -> tuple[Array, Array]:
    """Eigenvalues of a covariance, and the axes, as rows, along which vectors have variance 1."""
    found, axes = np.linalg.eigh(covariance)
    least = 1e-12 * np.trace(covariance) + 1e-12  # as the definition has it; rounding may make a zero negative
    return found, (axes / np.sqrt(np.maximum(found, 0) + least)).T


def _scale_mixture(x: Array, parent: Array, number: int, threads: int) -> tuple[Array, Array]:
    """Weights whose squared sums are the local strength, 10x10, and ten eigenvalues, of neighbours and parent."""

    def part(span: tuple[int, int]) -> Array:
        out = np.zeros(100)
        call("covariance", x, parent, span, out=out)
        return out

    sums = strips.run(part, rows_of(x.shape[0] - 2), threads)
    covariance = (np.sum(sums, axis=0) / parent.size).reshape(10, 10)[:number, :number]
    covariance = (covariance + covariance.T) / 2
    found, axes = whitening(covariance)
    positive = np.maximum(found, 0)
    total = positive.sum()
    weights, eigenvalues = np.zeros((10, 10)), np.zeros(10)
    weights[:number, :number] = axes / math.sqrt(number)
    eigenvalues[:number] = positive * (found.sum() / total if total > 0 else 1)
    return weights, eigenvalues


def _similar(x: Array, y: Array, taps: Array, c2: float) -> Array:
    """Contrast and structure of SSIM in every window."""

    def mean(plane: Array) -> Array:
        return planes.correlate(plane, taps, taps)

    mx, my = mean(x), mean(y)
    cov = mean(x * y)
    cov -= mx * my
    energy = mean(x * x + y * y)
    energy -= mx * mx + my * my  # in this order, equal bands have twice the covariance, to the last bit
    energy += np.float32(c2)
    cov *= 2
    cov += np.float32(c2)
    cov /= energy
    return cov


def weighted_similarity(x: Array, y: Array, parent: Array | None, noise: float, taps: Array, threads: int) -> float:
    """Mean contrast and structure of a band, reference x and image y, weighted by information."""
    height, width = x.shape
    taps = planes.unit_taps(taps)
    inner = np.zeros((height - 2, width - 2), np.float32) if parent is None else _parent(parent, height, width, threads)
    number = 9 if parent is None else 10
    weights, eigenvalues = _scale_mixture(x, inner, number, threads)
    maps = np.append(weights, noise).astype(np.float32)

    def part(span: tuple[int, int]) -> tuple[float, float, float]:
        first, last = span
        out = np.empty(10 + (last - first) * (width - 2))
        out[:10] = eigenvalues
        call(
            "bits", x, y, (first + 4, last + 4), mode=number, marks=inner, line=np.empty(8 * width, np.float32),
            maps=maps, out=out,
        )  # fmt: skip
        bits = out[10:].reshape(last - first, width - 2)[:, 4:-4].astype(np.float64)
        np.log2(bits, out=bits)
        bits[bits < 1e-15] = 0
        similar = _similar(x[first : last + 10], y[first : last + 10], taps, 7.65**2)
        return float(np.sum(similar * bits)), float(bits.sum()), float(similar.sum(dtype=np.float64))

    found = np.array(strips.run(part, rows_of(height - 10), threads))
    weighted, total, plain = (math.fsum(column) for column in found.T)
    return float((weighted + 1e-8 * plain / ((height - 10) * (width - 10))) / (total + 1e-8))
