"""Pictures for the tests, exact on every machine: integer patterns, photographs out of scikit-image, and their ladders.

A name says everything: ``terrain/64x48/grey/blur2`` is the pattern `terrain`, 64 wide and 48 high, grey, blurred by
two steps of the integer ladder. Pictures are uint8 (H, W, C), C 1 or 3.
"""

import functools
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

TRUTH = Path(__file__).with_name("truth")
DATA = os.environ.get("BEHOLDER_DATA") or None
NEEDS_DATA = "BEHOLDER_DATA does not point to the data sets"

# The arithmetic of the hand-computed rows is written out in their "source".
LITERALS = {
    "hand-a": [[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [100, 110, 120]]],
    "hand-b": [[[12, 20, 27], [40, 54, 60]], [[70, 79, 90], [105, 110, 120]]],
    "hand-white": [[[255, 255, 255]]],
    "hand-red": [[[255, 0, 0]]],
    "hand-black": [[[0, 0, 0]]],
}


def noise(height, width, channels, seed=1):
    """Bytes of a linear congruential generator (Numerical Recipes' constants), the upper eight of 32 bits."""
    count = height * width * channels
    index = np.arange(count, dtype=np.uint64) + np.uint64(seed * 1_000_003)
    state = index
    for _ in range(3):  # three rounds, with a shift between them, so that neighbours differ
        state = (state * np.uint64(1664525) + np.uint64(1013904223)) & np.uint64(0xFFFFFFFF)
        state = state ^ (state >> np.uint64(15))
    return (state >> np.uint64(24)).astype(np.uint8).reshape(height, width, channels)


def terrain(height, width, channels):
    """Slopes, steps, stripes and fine grain at once, in whole numbers."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    slope = (3 * x + 2 * y + 40 * c) % 509
    slope = np.minimum(slope, 508 - slope) // 2  # 0..127, without a jump
    steps = ((x // 16 + 2 * (y // 24) + c) % 3) * 24
    stripes = (((x * (1 + x // 64) + y) // 3) % 2) * 20
    grain = noise(height, width, channels, 7).astype(np.int64) % 24
    return (slope + steps + stripes + grain + 10).astype(np.uint8)


def stripes(height, width, channels, period=4):
    """Black and white vertical bars."""
    bars = ((np.arange(width) // (period // 2)) % 2 * 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(bars[None, :, None], (height, width, channels)))


@functools.cache
def photograph(name):
    """A photograph that comes with scikit-image, without loss."""
    from skimage import data

    picture = getattr(data, name)()
    return picture[..., None] if picture.ndim == 2 else picture


def box(picture, radius):
    """Mean over a square of 2 radius + 1 pixels, edge pixels continued, rounded down."""
    side = 2 * radius + 1
    big = np.pad(picture.astype(np.int64), ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    total = sum(big[i : i + picture.shape[0], j : j + picture.shape[1]] for i in range(side) for j in range(side))
    return (total // side**2).astype(np.uint8)


def degrade(picture, kind, level):
    """One step of an exact integer ladder; level 1 is slight, level 4 heavy."""
    wide = picture.astype(np.int64)
    if kind == "noise":
        grain = noise(*picture.shape, seed=99).astype(np.int64) - 128
        return np.clip(wide + grain * level**2 // 24, 0, 255).astype(np.uint8)
    if kind == "blur":
        return box(picture, level)
    if kind == "contrast":
        return (128 + (wide - 128) * (10 - 2 * level) // 10).astype(np.uint8)
    if kind == "shift":
        return np.clip(wide + 6 * level, 0, 255).astype(np.uint8)
    if kind == "negative":
        return 255 - picture
    if kind == "blocks":
        side = 4 * level
        rows, columns = (np.arange(n) // side * side for n in picture.shape[:2])
        return picture[rows][:, columns]
    raise ValueError(kind)


def jpeg(picture, quality):
    """The picture after JPEG compression (Pillow)."""
    from PIL import Image

    store = io.BytesIO()
    Image.fromarray(picture.squeeze()).save(store, "JPEG", quality=quality)
    return np.asarray(Image.open(store)).reshape(picture.shape)


def pattern(name):
    """The picture behind the part of a name after ``pattern:``."""
    first, *steps = name.split("/")
    if first in LITERALS:
        return np.array(LITERALS[first], np.uint8)
    size, *steps = steps
    width, height = (int(n) for n in size.split("x"))
    channels = 1 if "grey" in steps else 3
    makers = {"terrain": terrain, "stripes": stripes, "noise": noise}
    return _steps(makers[first](height, width, channels), [s for s in steps if s != "grey"])


def _steps(picture, steps):
    for step in steps:
        if step.startswith("crop"):
            width, height = (int(n) for n in step[4:].split("x"))
            picture = picture[:height, :width]
        else:
            kind = step.rstrip("0123456789")
            picture = degrade(picture, kind, int(step[len(kind) :] or 1))
    return picture


def load(name):
    """The picture of a truth file: "pattern:…", "photo:…" (scikit-image) or "data:…" (under BEHOLDER_DATA)."""
    kind, _, rest = name.partition(":")
    if kind == "pattern":
        return pattern(rest)
    if kind == "photo":
        first, *steps = rest.split("/")
        return _steps(photograph(first), steps)
    if kind != "data":
        raise ValueError(name)
    if DATA is None:
        pytest.skip(NEEDS_DATA)
    from PIL import Image

    with Image.open(Path(DATA) / rest) as opened:
        return np.asarray(opened.convert("RGB"))


def features(name):
    """Float32 features (N, D) of the name "features:NxD/SEED" or "features:NxD/SEED/NARROW", for metrics of sets."""
    size, seed, *narrow = name.partition(":")[2].split("/")
    count, width = (int(n) for n in size.split("x"))
    values = noise(count, width, 1, seed=int(seed))[..., 0].astype(np.int64)
    values = values + np.roll(values, 1, axis=1) // 2  # neighbours are correlated
    if narrow:
        values = values * (100 - int(narrow[0])) // 100 + int(narrow[0]) // 2
    return (values / 256).astype(np.float32)


def batch(*pictures):
    """Pictures (H, W, C) as one batch (N, C, H, W)."""
    return np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2))


def truths():
    """The content of every truth file."""
    return [json.loads(path.read_text()) for path in sorted(TRUTH.glob("*.json"))]
