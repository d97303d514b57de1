"""Bit errors in real JPEG and JPEG 2000 streams, decoded as they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from beholder.distortions.compression import JPEG_SIDE, decode, encode, jpeg2000_options
from beholder.distortions.registry import TID, distortion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from beholder.distortions.planes import Pixels

JPEG_QUALITY, RESTART = 85, 2
JPEG2000_RATIO, PROTECTED, MOST = 10.0, 4, 5e-4
TRIES = 8


@distortion(
    "jpeg_transmission_errors",
    group="screen and transmission",
    parameter="damaged",
    levels=(0.01, 0.03, 0.08, 0.2, 0.4),
    neutral=0.0,
    limits=(0, 1),
    unit="share of restart intervals",
    paper=TID,
    sets={"tid": 12},
    aliases=("jpeg_bit_errors",),
    max_side=JPEG_SIDE,
)
def jpeg_transmission_errors(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """A JPEG file of quality 85, one bit wrong in a share of its restart intervals of two blocks."""
    stream = np.frombuffer(encode(x, "JPEG", quality=JPEG_QUALITY, restart_marker_blocks=RESTART), np.uint8).copy()
    bounds = _intervals(stream)
    places, bits = rng.random(len(bounds)), rng.integers(0, 8, len(bounds))
    for number in rng.permutation(len(bounds))[: math.ceil(value * len(bounds))]:
        first, last = bounds[number]
        # A byte beside 255, or one that becomes 255, would make or break a marker.
        free = [p for p in range(first, last) if _harmless(stream, p, 1 << int(bits[number]))]
        if free:
            stream[free[int(places[number] * len(free))]] ^= 1 << int(bits[number])
    return decode(stream.tobytes(), "JPEG", x.shape[2])


def _harmless(stream: NDArray[np.uint8], place: int, bit: int) -> bool:
    value = int(stream[place])
    return 255 not in (value, value ^ bit, int(stream[place - 1]))


def _intervals(stream: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """First and one past the last byte of every restart interval of the only scan."""
    data = stream.tobytes()
    start = data.rfind(b"\xff\xda")
    start += 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    after_ff = stream[start:-1] == 0xFF
    marker = after_ff & (stream[start + 1 :] >= 0xD0) & (stream[start + 1 :] <= 0xD9)
    ends = (np.flatnonzero(marker) + start).tolist()
    return list(zip([start, *(e + 2 for e in ends[:-1])], ends, strict=True))


@distortion(
    "jpeg2000_transmission_errors",
    group="screen and transmission",
    parameter="rate",
    levels=(1e-5, 3e-5, 8e-5, 2e-4, 5e-4),
    neutral=0.0,
    limits=(0, MOST),
    unit="of the bits",
    paper=TID,
    sets={"tid": 13},
    order="damaged bits",
    aliases=("jpeg2000_bit_errors",),
)
def jpeg2000_transmission_errors(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """A JPEG 2000 file ten times smaller, a share of its bits wrong; its first quarter is protected."""
    data = encode(x, "JPEG2000", quality_mode="rates", quality_layers=[JPEG2000_RATIO], **jpeg2000_options(x))
    body = data.rfind(b"\xff\x93", 0, 400) + 2
    draws, bits = rng.random(max(math.ceil(len(data) * 8 * MOST), 1)), rng.integers(0, 8, len(data))
    count = min(math.ceil(value * 8 * (len(data) - body)), len(draws))
    first = body + (len(data) - 2 - body) // PROTECTED
    places = (first + draws[:count] * (len(data) - 2 - first)).astype(int)
    flips = [(int(p), 1 << int(b)) for p, b in zip(places, bits, strict=False)]
    for _ in range(TRIES):  # an error in a header can make the rest undecodable: that one is left out
        try:
            return decode(_flipped(data, flips), "JPEG2000", x.shape[2])
        except (OSError, ValueError):
            del flips[_culprit(data, flips, x.shape[2])]
    return decode(data, "JPEG2000", x.shape[2])


def _flipped(data: bytes, flips: list[tuple[int, int]]) -> bytes:
    stream = bytearray(data)
    for place, bit in flips:
        stream[place] ^= bit
    return bytes(stream)


def _culprit(data: bytes, flips: list[tuple[int, int]], channels: int) -> int:
    """The first error with which the stream cannot be decoded any more, by bisection."""
    good, bad = 0, len(flips)
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            decode(_flipped(data, flips[:middle]), "JPEG2000", channels)
            good = middle
        except (OSError, ValueError):
            bad = middle
    return bad - 1
