"""The size at which an assessor sees a picture: one rule for the ONNX runtime and for PyTorch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from beholder.errors import SizeError

VIEWING_AREA = 1 << 20
"""Pixels that a larger picture is reduced to before the default preset looks at it: as on a screen."""
MIN_SIDE = 128
"""Smaller pictures are continued by mirroring up to this side, which keeps their local statistics."""
LEAST = 32
"""Pixels that must be left of the shorter side."""


def min_side_of(header: Mapping[str, Any]) -> int:
    """The side up to which a model file's network wants smaller pictures continued by mirroring."""
    side: int = header["size_rule"]["min_side"] if "size_rule" in header else header["min_size"]
    return side


def viewing_size(height: int, width: int, area: int = VIEWING_AREA, min_side: int = MIN_SIDE) -> tuple[int, int]:
    """Height and width at which a picture is seen: its own up to `area` pixels, else reduced to that, in shape.

    A side that will be continued to `min_side` counts with that, so that a thin picture costs no more than others.
    Raises SizeError for a picture so thin that less than 32 pixels of its shorter side would be left.
    """
    if max(height, min_side) * max(width, min_side) <= area:
        return height, width
    factor = math.sqrt(area / (height * width))
    if min(height, width) * factor < min_side:
        factor = area / min_side / max(height, width)
    if factor >= 1:
        return height, width
    seen = max(1, math.floor(height * factor)), max(1, math.floor(width * factor))
    if min(seen) < LEAST:
        raise SizeError(
            f"beholder sees a picture of {height}x{width} pixels at {seen[0]}x{seen[1]}, less than {LEAST} on a side; "
            "cut it into pieces, or choose beholder:native"
        )
    return seen
