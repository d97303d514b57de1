"""The code of `artefact_bands`: sliding histograms of a plane of levels, in Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beholder.kernels.code import FLOATS, F, carray, loose, matrix, signature

__all__ = ["KERNELS"]

Array = Any
Pointer = Any
ZERO, ONE = F(0), F(1)
STEPS = 4
"""Differences of levels that make a band, and their weights: 1 to 4."""


@loose
def _count(v: Array, counts: Array, sign: Any, pad: int, left: int, right: int) -> None:
    """Add a row of levels to, or take it from, the histograms of the windows around columns `left` to `right`."""
    for j in range(max(left - pad, 0), min(right + pad, v.size)):
        if v[j] >= ZERO:
            row = counts[int(v[j]) + STEPS]
            for k in range(max(j - pad, left) - left, min(j + pad + 1, right) - left):
                row[k] += sign


def _contrasts(
    x: Pointer, y: Pointer, rows: int, columns: int, mode: int, step: int, marks: Pointer, line: Pointer, maps: Pointer,
    out: Pointer, first: int, last: int,
) -> None:  # fmt: skip
    """CAMBI's contrast of every pixel of the strips of `step` columns from `first` to `last`.

    x: levels 0..1023, negative where a pixel does not count; mode: half the window; line: the contrasts, as x; maps:
    room for 1024 + 2 * STEPS histogram rows of `step` columns; out: the largest level at which each step is seen.
    """
    pad = mode
    plane, found, visible = matrix(x, rows, columns), matrix(line, rows, columns), carray(out, STEPS)
    counts = matrix(maps, 1024 + 2 * STEPS, step)
    for strip in range(first, last):
        left, right = strip * step, min(strip * step + step, columns)
        counts[:, :] = ZERO
        for i in range(min(pad, rows)):
            _count(plane[i], counts, ONE, pad, left, right)
        for i in range(rows):
            if i + pad < rows:
                _count(plane[i + pad], counts, ONE, pad, left, right)
            if i - pad - 1 >= 0:
                _count(plane[i - pad - 1], counts, -ONE, pad, left, right)
            for j in range(left, right):
                best = ZERO
                if plane[i, j] >= ZERO:
                    level, k = int(plane[i, j]) + STEPS, j - left
                    own = counts[level, k]
                    for d in range(1, STEPS + 1):
                        if level - STEPS <= visible[d - 1]:
                            other = max(counts[level + d, k], counts[level - d, k])
                            best = max(best, F(d) * own * other / (own + other))
                found[i, j] = best


KERNELS: dict[str, tuple[Callable[..., None], Any]] = {"contrasts": (_contrasts, signature(FLOATS))}
