"""Perceptual hashes: 64 bits that stay nearly the same when a picture is compressed, resized or brightened a little."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from beholder.errors import BeholderError, LayoutError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE, KEPT = 32, 8
"""A picture is hashed at 32x32; the 8x8 slowest cosines count, the mean left out."""
DISTANCE = 8
"""Bits in which two pictures of one content may differ by default."""
_FLAT = 1.0
"""Largest amplitude, in grey levels, below which nothing is left to be compared: a flat picture has the hash 0."""
_BLOCK = 512


@functools.cache
def _cosines() -> NDArray[np.float64]:
    """The slowest waves of the orthonormal cosine transform (type II): (KEPT, SIDE)."""
    places = (np.arange(SIDE) + 0.5) * np.pi / SIDE
    waves = np.cos(np.arange(KEPT)[:, None] * places) * np.sqrt(2 / SIDE)
    waves[0] /= np.sqrt(2)
    return np.asarray(waves)


def hash_pixels(pixels: NDArray[Any]) -> int:
    """The hash of a picture: 63 signs of its slow cosines against their median, or 0 for a flat picture.

    pixels: (H, W, C), C 1 or 3, uint8, uint16 or float in [0, 1], as `Image.native`. Raises LayoutError for others.
    """
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise LayoutError(f"expected (H, W, 1) or (H, W, 3), got shape {pixels.shape}; read_image(path).native is one")
    from PIL import Image

    step = max(1, min(pixels.shape[:2]) // (8 * SIDE))  # every so many pixels are enough, and much quicker
    part = pixels[::step, ::step].astype(np.float32)
    luma = part[..., 0] if part.shape[2] == 1 else part @ np.array([0.299, 0.587, 0.114], np.float32)
    full = 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
    small = np.asarray(Image.fromarray(luma * np.float32(255 / full)).resize((SIDE, SIDE), Image.Resampling.BOX))
    waves = (_cosines() @ small.astype(np.float64) @ _cosines().T).ravel()[1:]
    if np.abs(waves).max() < _FLAT:
        return 0
    bits = waves > np.median(waves)
    return int(np.packbits(np.concatenate(([False], bits))).view(">u8")[0])


def hash_picture(path: str | Path) -> int:
    """The hash of a picture file; raises the errors of `read_image`."""
    from beholder.image import read_image

    return hash_pixels(read_image(path).native)


def hash_pictures(paths: Sequence[Path], *, threads: int | None = None) -> list[int | BeholderError]:
    """The hash of each picture, in order, or the error that its reading raised."""
    from beholder.metrics.measure import processors
    from beholder.strips import stream

    def work(path: Path) -> int | BeholderError:
        try:
            return hash_picture(path)
        except BeholderError as error:
            return error

    return list(stream(work, ((p,) for p in paths), threads or processors(), "beholder-hash"))


def near_pairs(hashes: Sequence[int], distance: int = DISTANCE) -> list[tuple[int, int, int]]:
    """Places of hashes that differ in at most `distance` bits, and that number: (first, second, bits), in order.

    Hashes of 0, of flat pictures, are near nothing.
    """
    values = np.array(hashes, np.uint64)
    pairs: list[tuple[int, int, int]] = []
    for first in range(0, len(values), _BLOCK):
        rows = values[first : first + _BLOCK]
        bits = np.bitwise_count(rows[:, None] ^ values[None, first:])
        near = (bits <= distance) & (rows[:, None] != 0) & (values[None, first:] != 0)
        for row, column in np.argwhere(np.triu(near, 1)):
            pairs.append((first + int(row), first + int(column), int(bits[row, column])))
    return pairs


def near_duplicates(
    paths: Sequence[Path], distance: int = DISTANCE, *, threads: int | None = None
) -> list[tuple[Path, Path, int]]:
    """Pairs of pictures whose hashes differ in at most `distance` of 64 bits, with that number.

    Raises the first error of a picture that cannot be read.
    """
    hashes: list[int] = []
    for found in hash_pictures(paths, threads=threads):
        if isinstance(found, BeholderError):
            raise found
        hashes.append(found)
    return [(paths[a], paths[b], bits) for a, b, bits in near_pairs(hashes, distance)]
