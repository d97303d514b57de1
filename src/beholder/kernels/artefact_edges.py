"""Widths of the edges of one picture, block by block: what CPBD and JNB count.

Luma comes in whole thousandths of an 8-bit step, as bytes give it: every comparison of neighbours is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.strips import Strip, cut, run

Array = np.ndarray[Any, Any]
Grey = Callable[[int, int], Array]
"""The luma of the rows from the first number up to the second, int32."""

BLOCK = 64
STEP = 1000
"""Luma units in an 8-bit step."""
REACH = 100
"""How many steps an edge is followed to either side."""
EDGES_OF_BLOCK = 0.002 * BLOCK * BLOCK
"""A block counts where more than .2 % of its pixels are Canny edges."""
_WEAK, _STRONG = 0.1, 0.2
_SLOPE = math.tan(math.radians(22.5))
_HALO = 6  # Gaussian of sigma 1 cut at 4, Sobel, neighbours


def edge_widths(grey: Grey, height: int, width: int, threads: int, every: bool = False) -> tuple[Array, int]:
    """How many edges of each width there are, and the number of blocks of 64 x 64 pixels that count.

    every: blocks without an edge whose width can be measured count, too. Returns counts (2, 2 * REACH + 3): in blocks
    whose contrast is at most 50 steps, and in the others.
    """
    bands = cut(height, BLOCK, 1, 1)
    energy = math.fsum(run(lambda band: _energy(grey, band, height), bands, threads))
    least = 2 * math.sqrt(energy) / math.sqrt(height * width) / (8 * STEP) * (8 * STEP) ** 2
    whole = [band for band in bands if band.last - band.first == BLOCK]
    found = run(lambda band: _band(grey, band, height, least), whole, threads)
    marked = np.array([[every or block.any() for block in counts] for counts, _ in found]).reshape(len(whole), -1)
    busy = _busy_blocks(grey, height, width, marked, threads)
    total = np.zeros((2, 2 * REACH + 3), np.int64)
    for i, (counts, contrast) in enumerate(found):
        for j in np.flatnonzero(busy[i]):
            total[int(contrast[j] > 50)] += counts[j]
    return total, int(busy.sum())


def _gradient(grey: Grey, band: Strip, height: int, halo: int) -> Array:
    """Horizontal Sobel response of a band with `halo` rows around it, the picture mirrored at its border."""
    top, bottom = max(band.first - halo, 0), min(band.last + halo, height)
    y = grey(max(top - 1, 0), min(bottom + 1, height))
    y = np.pad(y, ((int(top == 0), int(bottom == height)), (1, 1)), mode="symmetric")
    smooth = y[:-2] + y[2:]
    smooth += 2 * y[1:-1]
    return np.asarray(smooth[:, 2:] - smooth[:, :-2])


def _energy(grey: Grey, band: Strip, height: int) -> float:
    g = _gradient(grey, band, height, 0).astype(np.float64).reshape(-1)
    return float(np.sum(np.square(g, out=g)))


def _band(grey: Grey, band: Strip, height: int, least: float) -> tuple[Array, Array]:
    """For each block of a band of 64 rows: how many edges of each width, and the contrast in whole steps."""
    y = grey(max(band.first - 1, 0), min(band.last + 1, height))
    inner = slice(band.first - max(band.first - 1, 0), None)
    rows, width = BLOCK, y.shape[1]
    blocks = width // BLOCK
    row, column = np.nonzero(_thin_edges(grey, band, height, least))
    middle = (row + band.first > 0) & (row + band.first < height - 1) & (column > 0)
    middle &= column < min(blocks * BLOCK, width - 1)
    row, column = row[middle], column[middle]
    flat, at = y.reshape(-1), (row + inner.start) * width + column
    gx, gy = flat[at + 1] - flat[at - 1], flat[at + width] - flat[at - width]
    level = np.abs(gy) < _SLOPE * np.abs(gx)
    kept = level | (gx == 0)  # no horizontal gradient counts as rising, as in the authors' program
    at, column, gx = at[kept], column[kept], gx[kept]
    sign = np.where(gx < 0, -1, 1)
    length = 2 + _run(flat, at, column, -sign, -1, width) + _run(flat, at, column, sign, 1, width)
    counts = np.zeros((blocks, 2 * REACH + 3), np.int64)
    np.add.at(counts, (column // BLOCK, length), 1)
    part = y[inner][:rows, : blocks * BLOCK].reshape(rows, blocks, BLOCK)
    return counts, (part.max(axis=(0, 2)) - part.min(axis=(0, 2))) // STEP


def _thin_edges(grey: Grey, band: Strip, height: int, least: float) -> Array:
    """Where the response is strong, and larger than both neighbours in its row or in its column."""
    g = _gradient(grey, band, height, 1).astype(np.float64)
    strength = np.where(g * g > least, np.abs(g), 0)
    above = int(band.first == 0)
    strength = np.pad(strength, ((above, int(band.last == height)), (1, 1)))
    inner = strength[1:-1, 1:-1]
    across = (inner > strength[1:-1, :-2]) & (inner > strength[1:-1, 2:])
    return np.asarray(across | ((inner > strength[:-2, 1:-1]) & (inner > strength[2:, 1:-1])))


def _run(flat: Array, at: Array, column: Array, sign: Array, step: int, width: int) -> Array:
    """How many steps the luma goes on to change by `sign`, from one pixel beside the edge outwards; at most REACH."""
    length = np.zeros(len(at), np.int64)
    active = np.arange(len(at))
    for k in range(1, REACH + 1):
        far = column[active] + (k + 1) * step
        active = active[(far >= 0) & (far < width)]
        inner = at[active] + k * step
        active = active[(flat[inner + step] - flat[inner]) * sign[active] > 0]
        if not len(active):
            break
        length[active] += 1
    return length


# --- which blocks hold edges: Canny's, of which a few suffice --------------------------------------------------------


def _busy_blocks(grey: Grey, height: int, width: int, marked: Array, threads: int) -> Array:
    """Blocks with more than EDGES_OF_BLOCK Canny edges; the decision matters for, and is made in, marked ones alone.

    Most blocks have enough strong edges in their first rows. Only where weak ones decide are these traced.
    """
    enough = np.zeros(marked.shape, bool)
    open_ = marked.copy()
    for rows in (8, BLOCK):
        items = [i for i in range(len(marked)) if open_[i].any()]

        def work(i: int, rows: int = rows) -> tuple[Array, Array]:
            weak, strong = _canny_candidates(grey, i * BLOCK, i * BLOCK + rows, height, width)
            return _per_block(weak), _per_block(strong)

        for i, (weak, strong) in zip(items, run(work, items, threads), strict=True):
            enough[i] |= strong > EDGES_OF_BLOCK
            open_[i] &= ~enough[i]
            if rows == BLOCK:
                open_[i] &= weak > EDGES_OF_BLOCK
    if open_.any():
        traced = _canny(grey, height, width, threads)
        for i in range(len(marked)):
            enough[i] |= open_[i] & (_per_block(traced[i * BLOCK : (i + 1) * BLOCK]) > EDGES_OF_BLOCK)
    return enough & marked


def _per_block(edges: Array) -> Array:
    blocks = edges.shape[1] // BLOCK
    return np.asarray(np.count_nonzero(edges[:, : blocks * BLOCK].reshape(len(edges), blocks, BLOCK), axis=(0, 2)))


def _canny_candidates(grey: Grey, first: int, last: int, height: int, width: int) -> tuple[Array, Array]:
    """Canny's thinned edges of some rows above the low and above the high threshold."""
    from scipy.ndimage import correlate1d, gaussian_filter, sobel

    top, bottom = max(first - _HALO, 0), min(last + _HALO, height)
    smooth = gaussian_filter(grey(top, bottom) / STEP, 1.0, mode="constant")
    tap = np.exp(-(np.arange(-4, 5) ** 2) / 2)
    reach = [correlate1d(np.ones(n), tap / tap.sum(), mode="constant") for n in (height, width)]
    smooth /= reach[0][top:bottom, None] * reach[1]  # beyond the border there is nothing, not black
    down, along = sobel(smooth, axis=0), sobel(smooth, axis=1)
    size = np.hypot(down, along)
    thin = np.zeros(size.shape, bool)
    thin[1:-1, 1:-1] = _ridge(size, down[1:-1, 1:-1], along[1:-1, 1:-1])
    rows = slice(first - top, last - top)
    thin, size = thin[rows], size[rows]
    if first == 0:
        thin[0] = False
    if last == height:
        thin[-1] = False
    return thin & (size >= _WEAK), thin & (size >= _STRONG)


def _ridge(size: Array, down: Array, along: Array) -> Array:
    """Where the gradient is no smaller than both neighbours in its direction, interpolated between pixels."""
    height, width = down.shape

    def shifted(i: int, j: int) -> Array:
        return size[1 + i : 1 + i + height, 1 + j : 1 + j + width]

    a, b = np.abs(down), np.abs(along)
    steep = a >= b
    share = np.minimum(a, b) / np.where(steep, np.where(a > 0, a, 1), b)
    slant = np.where((down >= 0) == (along >= 0), 1, -1)
    kept = np.ones(down.shape, bool)
    for s in (1, -1):
        near = np.where(steep, shifted(s, 0), shifted(0, s))
        far = np.where(slant > 0, shifted(s, s), np.where(steep, shifted(s, -s), shifted(-s, s)))
        kept &= share * far + (1 - share) * near <= shifted(0, 0)
    return np.asarray(kept)


def _canny(grey: Grey, height: int, width: int, threads: int) -> Array:
    """Canny edges of the picture: weak ones count where they touch strong ones, over any number of steps."""
    from scipy.ndimage import label

    parts = run(lambda band: _canny_candidates(grey, band.first, band.last, height, width), cut(height, BLOCK), threads)
    weak, strong = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    names, count = label(weak, np.ones((3, 3)))
    good = np.zeros(count + 1, bool)
    good[names[strong]] = True
    good[0] = False
    return np.asarray(good[names])
