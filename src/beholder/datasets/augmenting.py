"""Variations of pictures for training: crops at native size, and those that leave the opinion as it is.

Everything takes (H, W, C) arrays of any type, and a generator where chance has a part. An opinion is of a picture as
people saw it: what changes noise, sharpness, colour or size changes the opinion, and is refused as a variation; such
pictures are made by `beholder.datasets.synthesis`, which knows their labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from beholder.errors import InputError, SizeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[Any]

# ------------------------------------------------------------------------------------------------ crops and size


def grow(pixels: Pixels, height: int, width: int) -> Pixels:
    """The picture continued by its mirror image below and to the right, to at least this size."""
    above = max(0, height - pixels.shape[0]), max(0, width - pixels.shape[1])
    if not any(above):
        return pixels
    return np.pad(pixels, ((0, above[0]), (0, above[1]), (0, 0)), mode="symmetric")


def _cut(pixels: Pixels, top: int, left: int, height: int, width: int) -> Pixels:
    return pixels[top : top + height, left : left + width]


def crop_random(pixels: Pixels, size: int | tuple[int, int], rng: np.random.Generator) -> Pixels:
    """A part of this size at a random place, pixel for pixel; smaller pictures are continued by mirroring."""
    height, width = _pair(size)
    pixels = grow(pixels, height, width)
    top = int(rng.integers(pixels.shape[0] - height + 1))
    left = int(rng.integers(pixels.shape[1] - width + 1))
    return _cut(pixels, top, left, height, width)


def crop_centre(pixels: Pixels, size: int | tuple[int, int]) -> Pixels:
    """The part of this size in the middle, pixel for pixel; smaller pictures are continued by mirroring."""
    height, width = _pair(size)
    pixels = grow(pixels, height, width)
    return _cut(pixels, (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2, height, width)


def crop_grid(pixels: Pixels, size: int | tuple[int, int], count: int) -> list[Pixels]:
    """So many parts of this size, spread evenly over the picture by rows, always the same ones.

    The grid has as many columns for its rows as the picture has room beside the parts; a count that does not fill it
    leaves out the last ones. One part is the middle. Raises InputError for a count below 1.
    """
    if count < 1:
        raise InputError(f"crops must be at least 1, got {count!r}")
    if count == 1:
        return [crop_centre(pixels, size)]
    height, width = _pair(size)
    pixels = grow(pixels, height, width)
    room = pixels.shape[0] - height, pixels.shape[1] - width
    columns = int(np.clip(round(np.sqrt(count * (room[1] + 1) / (room[0] + 1))), 1, count))
    rows = -(-count // columns)
    tops = [_spread(room[0], rows, r) for r in range(rows)]
    lefts = [_spread(room[1], columns, c) for c in range(columns)]
    return [_cut(pixels, top, left, height, width) for top in tops for left in lefts][:count]


def _spread(room: int, parts: int, place: int) -> int:
    return room // 2 if parts == 1 else round(room * place / (parts - 1))


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise SizeError(f"a crop must have at least 1x1 pixels, got {height}x{width}")
    return height, width


def resize_shorter(pixels: Pixels, side: int) -> Pixels:
    """The picture with its shorter side at so many pixels, uint8, by an antialiased bicubic filter.

    Not a variation: it hides noise, blur and compression, or makes blur. Raises SizeError for a side below 1,
    InputError for other than uint8.
    """
    if side < 1:
        raise SizeError(f"the shorter side must have at least 1 pixel, got {side!r}")
    if pixels.dtype != np.uint8 or pixels.shape[2] != 3:
        raise InputError(f"resize_shorter takes (H, W, 3) uint8, got {pixels.shape} {pixels.dtype}")
    height, width = pixels.shape[:2]
    factor = side / min(height, width)
    if factor == 1:
        return pixels
    from PIL import Image

    new = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(new, Image.Resampling.BICUBIC))


# ------------------------------------------------------------------------------------------------ variations


def flip(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Mirrored left and right, or not, as likely."""
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def flip_vertical(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Turned upside down by mirroring, or not, as likely."""
    return pixels[::-1] if rng.random() < 0.5 else pixels


def quarter_turn(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Turned by none to three quarters, as likely; height and width change places with odd ones."""
    return np.rot90(pixels, int(rng.integers(4)))


@dataclass(frozen=True)
class Augmentation:
    """The card of a variation: whether it leaves the opinion as it is, and why, or why not."""

    name: str
    keeps_label: bool
    note: str
    function: Callable[[Pixels, np.random.Generator], Pixels] | None = None


def _table(*cards: Augmentation) -> dict[str, Augmentation]:
    return {card.name: card for card in cards}


_MEASURED = "the shipped assessor moves by 4 points on average and 18 at most, in the mirror by 1 and 4"
_LABELS = "its labels come from a label model: use [synthesis]"

AUGMENTATIONS: dict[str, Augmentation] = _table(
    Augmentation("flip", True, "as good a picture in the mirror", flip),
    Augmentation("flip_vertical", False, f"what stands on its head is judged otherwise: {_MEASURED}", flip_vertical),
    Augmentation("quarter_turn", False, f"what lies on its side is judged otherwise: {_MEASURED}", quarter_turn),
    Augmentation("noise", False, f"noise is a distortion; {_LABELS} with white_noise"),
    Augmentation("blur", False, f"blur is a distortion; {_LABELS} with gaussian_blur"),
    Augmentation("jpeg", False, f"compression is a distortion; {_LABELS} with jpeg"),
    Augmentation("brightness", False, f"exposure is part of the opinion; {_LABELS} with brighten, darken"),
    Augmentation("contrast", False, f"contrast is part of the opinion; {_LABELS} with contrast_change"),
    Augmentation("colour", False, f"colour is part of the opinion; {_LABELS} with color_shift, color_saturation_1"),
    Augmentation("resize", False, "a resize hides or makes distortions; where that is wanted, input.resize does it"),
    Augmentation("rotate", False, "a turn by some angle blurs and cuts"),
    Augmentation("crop", False, "the opinion is of the whole picture; input.crop cuts native crops for all to learn"),
    Augmentation("erase", False, f"a hole is a distortion; {_LABELS} with color_block"),
)
"""Every variation by its name; only those that keep the label can be asked for."""


def choose_augmentations(names: Sequence[str]) -> list[Augmentation]:
    """The cards of these variations; InputError for an unknown one, and for one that changes the opinion."""
    chosen = []
    for name in names:
        card = AUGMENTATIONS.get(name.strip().lower())
        keeping = ", ".join(c.name for c in AUGMENTATIONS.values() if c.keeps_label)
        if card is None:
            raise InputError(f"no variation is called {name!r}; those that keep the opinion: {keeping}")
        if not card.keeps_label:
            raise InputError(f"{card.name} does not keep the opinion: {card.note}. Those that do: {keeping}")
        chosen.append(card)
    return chosen


def augment(pixels: Pixels, cards: Sequence[Augmentation], rng: np.random.Generator) -> Pixels:
    """The picture after each variation in turn; equal generators give equal variations of pictures of equal size."""
    for card in cards:
        if card.function is not None:
            pixels = card.function(pixels, rng)
    return pixels
