"""Bootstrap over contents: how often each picture counts in every round, and Kendall's tau under such counts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BLOCKS = 200
"""Blocks that pictures are put into, where there are more units, for what grows with the square of their number."""


@dataclass(frozen=True)
class Units:
    """What a bootstrap draws: `of` (N,), the unit of every picture; count; kind: "reference" or "picture"."""

    of: NDArray[np.intp]
    count: int
    kind: str

    def blocks(self, seed: int) -> Units:
        """At most `BLOCKS` units: these, or blocks of them drawn with a seed."""
        if self.count <= BLOCKS:
            return self
        place = np.random.default_rng(seed).permutation(self.count) % BLOCKS
        return Units(place[self.of], BLOCKS, self.kind)

    def draws(self, rounds: int, seed: int) -> Iterator[Array]:
        """(N,) counts of the pictures, in every round."""
        rng = np.random.default_rng(seed)
        even = np.full(self.count, 1 / self.count)
        for _ in range(rounds):
            yield rng.multinomial(self.count, even).astype(np.float64)[self.of]

    def left_out(self) -> Iterator[Array]:
        """(N,) counts with one unit after another left out."""
        for i in range(self.count):
            yield (self.of != i).astype(np.float64)


def make_units(references: NDArray[Any] | None, pictures: int) -> Units:
    """References where there are at least two, else pictures."""
    if references is not None:
        of = np.unique(references, return_inverse=True)[1]
        count = int(of.max(initial=-1)) + 1
        if 2 <= count < pictures:
            return Units(of, count, "reference")
    return Units(np.arange(pictures), pictures, "picture")


@dataclass(frozen=True)
class Concordance:
    """Sums over pairs of pictures of two units: agreement of signs, and pairs that are not tied in each of the two."""

    agree: Array
    apart_x: Array
    apart_y: Array

    def tau(self, weights: Array) -> float:
        """Kendall's tau-b where every unit counts so often: (U,) weights; a picture is tied with its own copies."""
        both = [float(weights @ m @ weights) for m in (self.agree, self.apart_x, self.apart_y)]
        if both[1] <= 0 or both[2] <= 0:
            return math.nan
        return both[0] / math.sqrt(both[1] * both[2])


def concord(x: Array, y: Array, units: Units) -> Concordance:
    """Signs of all pairs of pictures, added up by unit: time and memory of N squared and of N times the unit's size."""
    order = np.argsort(units.of, kind="stable")
    ranks = [np.unique(v, return_inverse=True)[1].astype(np.int32)[order] for v in (x, y)]
    starts = np.searchsorted(units.of[order], np.arange(units.count))
    ends = np.append(starts[1:], len(order))
    found = np.zeros((3, units.count, units.count))
    for u, (start, end) in enumerate(zip(starts, ends, strict=True)):
        signs = [np.sign(r[start:end, None] - r[None, :]).astype(np.int8) for r in ranks]
        columns = (signs[0] * signs[1], np.abs(signs[0]), np.abs(signs[1]))
        for i, values in enumerate(columns):
            found[i, u] = np.add.reduceat(values.sum(axis=0, dtype=np.int64), starts)
    return Concordance(*found)
