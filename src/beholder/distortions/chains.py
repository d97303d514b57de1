"""Distortions applied: one by its level, its value or a target PSNR, and chains of several."""

from __future__ import annotations

import reprlib
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from beholder.distortions.registry import CARDS, MAX_LEVEL, Distortion, find, number, split
from beholder.errors import ChannelError, InputError, LayoutError, RangeError, SizeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

STEPS = 18
"""Halvings of the interval in a search for a PSNR: the value is then known to a part in 250,000."""


def list_distortions(group: str | None = None) -> list[Distortion]:
    """The cards of all distortions, by name.

    group: only this one: "blur", "noise" and so on as on the cards, or "kadid" or "tid", in the order of the data set.
    Raises InputError for an unknown group.
    """
    cards = sorted(CARDS.values(), key=lambda c: c.name)
    if group is None:
        return cards
    numbered = [c for c in cards if group in c.sets]
    chosen = sorted(numbered, key=lambda c: c.sets[group]) or [c for c in cards if c.group == group]
    if not chosen:
        known = sorted({c.group for c in cards} | {s for c in cards for s in c.sets})
        raise InputError(f"no group of distortions is called {group!r}; known: {', '.join(known)}")
    return chosen


def distort(
    image: NDArray[Any],
    name: str | Sequence[str],
    level: float | Sequence[float] = 3,
    *,
    seed: int = 0,
    value: float | None = None,
    psnr: float | None = None,
) -> NDArray[Any]:
    """Distort a picture; the same arguments give the same pixels in every process.

    image: (H, W) or (H, W, 3), uint8 or uint16 at full scale or float in [0, 1]; the result is of the same kind.
    name: a distortion of `list_distortions`, or several, or "one+another", applied in this order.
    level: 0 (untouched) to 5; whole numbers are the published levels, between them is interpolated; one for each name,
    or one for all.
    value: the distortion's own parameter in place of a level, for example a JPEG quality, within the `limits` of its
    card (that of level 0 leaves the picture untouched). psnr: the level is sought at which this PSNR in decibels is
    reached, as near as the distortion comes.
    Raises UnknownDistortionError, RangeError, LayoutError, ChannelError, SizeError; InputError for contradicting wishes
    and for a picture that a codec refuses.
    """
    pixels = to_pixels(image)
    cards = _named(name)
    if (value is not None or psnr is not None) and (len(cards) != 1 or (value is not None and psnr is not None)):
        raise InputError("value and psnr, one of them, are for a single distortion; pass levels for a chain")
    seed = _whole(seed, "seed")
    if psnr is not None:
        return _at_psnr(image, pixels, cards[0], psnr, seed)
    if value is not None:
        values = [cards[0].checked(value)]
    else:
        values = [c.value(v) for c, v in zip(cards, _levels(level, len(cards)), strict=True)]
    touched = False
    for position, (card, amount) in enumerate(zip(cards, values, strict=True)):
        check(card, pixels)
        if amount == card.neutral:
            continue
        touched = True
        pixels = np.clip(card.function(pixels, amount, generator(seed, card.name, position)), 0, 1)
    return to_kind(pixels, image) if touched else image.copy()


def draw_chain(
    seed: int, names: Sequence[str] | None = None, *, longest: int = 4, spread: float = 2.5, channels: int = 3
) -> list[tuple[str, float]]:
    """Draw a random chain of distortions of different groups: names and levels, as `distort` takes them.

    seed: the same gives the same chain. names: out of which, default all. longest: the chain has 1 to so many, each
    number as likely (fewer where there are fewer groups). spread: levels are the absolute values of a normal
    distribution of this standard deviation, drawn anew beyond 5, so that mild ones are more frequent; after ARNIQA
    (Agnolucci et al. 2024, doi:10.1109/WACV57701.2024.00026). channels: of the pictures it is for: 1 leaves out what
    needs colour. Raises UnknownDistortionError, RangeError, ChannelError; InputError where no distortion is named.
    """
    longest = _whole(longest, "longest", 1)
    if not 0 < number(spread, "spread", "a number above 0") < np.inf:
        raise RangeError(f"spread: expected a number above 0, got {spread:g}")
    groups: dict[str, list[str]] = {}
    for card in list_distortions() if names is None else _named(names):
        if channels in card.channels:
            groups.setdefault(card.group, []).append(card.name)
    if not groups:
        raise ChannelError(f"none of the distortions named takes pictures with {channels!r} channels; name others")
    rng = generator(_whole(seed, "seed"), "chain")
    count = min(int(rng.integers(1, longest + 1)), len(groups))
    chain = []
    for group in rng.permutation(sorted(groups))[:count]:
        level = abs(rng.normal(0, spread))
        while level > MAX_LEVEL:
            level = abs(rng.normal(0, spread))
        chain.append((str(rng.choice(sorted(groups[group]))), round(level, 3)))
    return chain


def _named(name: Any) -> list[Distortion]:
    """The cards behind one name, several, or several with + between."""
    if isinstance(name, str):
        return [find(n) for n in split(name)]
    if isinstance(name, bytes) or not isinstance(name, Iterable):
        return [find(name)]  # which says what was expected
    cards = [find(n) for n in name]
    if not cards:
        raise InputError("no distortion is named; pass a name such as 'jpeg', or several")
    return cards


def _levels(level: Any, count: int) -> list[float]:
    given = level.tolist() if isinstance(level, np.ndarray) else level
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        given = [given] * count
    levels = [number(v, "level", f"a number from 0 (untouched) to {MAX_LEVEL}") for v in given]
    if len(levels) != count:
        raise InputError(f"expected one level for each of {count} distortions, got {len(levels)}; pass one for all")
    return levels


def _whole(value: int, name: str, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise RangeError(f"{name}: expected a whole number from {least} on, got {reprlib.repr(value)}")
    return int(value)


def generator(seed: int, name: str, position: int = 0) -> np.random.Generator:
    """The random numbers of one distortion at one place of a chain; the level has no part in them."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), position])


def check(card: Distortion, pixels: NDArray[np.float32]) -> None:
    """Raise the typed error for a picture that this distortion does not take."""
    height, width, channels = pixels.shape
    if channels not in card.channels:
        raise ChannelError(f"{card.name} changes colours and needs RGB, got a grey picture; repeat it over 3 channels")
    if min(height, width) < card.min_size:
        raise SizeError(
            f"{card.name} needs at least {card.min_size}x{card.min_size} pixels, got {width}x{height}; "
            "pass larger pictures"
        )
    if card.max_side is not None and max(height, width) > card.max_side:
        raise SizeError(
            f"{card.name} takes at most {card.max_side} pixels a side, got {width}x{height}; pass smaller pictures"
        )


def to_pixels(image: Any) -> NDArray[np.float32]:
    """The picture as float32 (H, W, C) in [0, 1]; raises LayoutError, ChannelError and RangeError."""
    if not isinstance(image, np.ndarray) or image.ndim not in (2, 3):
        shape = getattr(image, "shape", type(image).__name__)
        raise LayoutError(f"expected a NumPy array (H, W) or (H, W, 3), got {shape}; read_image(path).native is one")
    pixels = image if image.ndim == 3 else image[..., None]
    if pixels.shape[2] not in (1, 3):
        raise ChannelError(f"expected 1 or 3 channels last, got shape {image.shape}; pass (H, W) or (H, W, 3)")
    if 0 in pixels.shape:
        raise SizeError(f"expected at least one pixel, got shape {image.shape}")
    if image.dtype in (np.uint8, np.uint16):
        return np.divide(pixels, np.float32(np.iinfo(image.dtype).max), dtype=np.float32)
    if image.dtype.kind != "f":
        raise RangeError(f"expected uint8, uint16 or floats in [0, 1], got {image.dtype}; convert the picture first")
    pixels = np.ascontiguousarray(pixels, dtype=np.float32)
    if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
        raise RangeError(
            f"expected floats in [0, 1], got {float(pixels.min()):g} to {float(pixels.max()):g}; divide by full scale"
        )
    return pixels


def to_kind(pixels: NDArray[np.float32], image: NDArray[Any]) -> NDArray[Any]:
    """Pixels in [0, 1] in the shape and type of the picture they came from."""
    pixels = pixels.reshape(image.shape)
    if image.dtype.kind == "f":
        return pixels.astype(image.dtype, copy=False)
    return np.asarray(np.rint(pixels * np.float32(np.iinfo(image.dtype).max)), image.dtype)


def _at_psnr(
    image: NDArray[Any], pixels: NDArray[np.float32], card: Distortion, psnr: float, seed: int
) -> NDArray[Any]:
    """Bisection over the level, which the PSNR falls with."""
    if card.signed or card.order != "mse":
        raise InputError(f"{card.name} has no order by PSNR; pass a level or a value")
    if not 0 < number(psnr, "psnr", "decibels above 0") < np.inf:
        raise RangeError(f"psnr: expected decibels above 0, got {psnr:g}")
    check(card, pixels)
    low, high = 0.0, float(MAX_LEVEL)
    best, miss = image.copy(), np.inf
    for _ in range(STEPS):
        level = (low + high) / 2
        amount = card.value(level)
        out = np.clip(card.function(pixels, amount, generator(seed, card.name)), 0, 1)
        made = to_kind(out, image)
        error = float(np.mean(np.square(to_pixels(made) - pixels, dtype=np.float64)))
        reached = np.inf if error == 0 else -10 * np.log10(error)
        if abs(reached - psnr) < miss:
            best, miss = made, abs(reached - psnr)
        low, high = (level, high) if reached > psnr else (low, level)
    return best
