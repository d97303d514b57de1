"""TIFF, at the depth that the file holds: by Pillow (libtiff) where it can, by tifffile where it can't.

Pillow knows no floats in three channels and no 16 bits in separate planes; tifffile does, uncompressed or deflated.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from beholder.errors import InputError, ReadError
from beholder.rasters import Picture, check_size, hush, join_bytes, load, open_with_pillow, quiet, take_samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["decode_tiff"]

_TAGS = _BITS, _PHOTOMETRIC, _ORIENTATION, _PLANES, _FORMAT = 258, 262, 274, 284, 339  # TIFF 6.0
_PLAIN_MODES = ("I;16", "I;16B", "I", "F")


def decode_tiff(data: bytes, name: str, max_pixels: int) -> Picture:
    """Decode the first page of a TIFF file."""
    try:
        image, notes = open_with_pillow(data, "TIFF", name, max_pixels)
    except SyntaxError:  # a combination of depth, channels and meaning that Pillow does not know
        return _decode_with_tifffile(data, name, max_pixels)
    with quiet(name):  # tags are parsed when asked for
        tags = {tag: image.tag_v2[tag] for tag in _TAGS if tag in image.tag_v2}
    bits = max(tags.get(_BITS, (1,)))
    if bits <= 8 or image.mode in _PLAIN_MODES:
        picture = _decode_plain(image, name, bits, tags)
    elif image.mode in ("RGB", "RGBA") and tags.get(_PLANES, 1) == 1 and tags.get(_PHOTOMETRIC) == 2:
        picture = _decode_deep(image, data, name, max_pixels)
    else:
        return _decode_with_tifffile(data, name, max_pixels)
    picture.notes[:0] = notes
    picture.orientation = _valid(tags.get(_ORIENTATION))
    return picture


def _valid(orientation: Any) -> int:
    return orientation if orientation in range(1, 9) else 1


def _load_unturned(image: Any, name: str, mode: str = "", raw_mode: str = "") -> Any:
    # After decoding, Pillow's method turns the picture, which is done elsewhere here, and reads the rest of the
    # metadata, which is not needed and can warn.
    image.load_end = lambda: None
    load(image, name, mode, raw_mode)
    image._size = image.im.size
    return image


def _decode_plain(image: Any, name: str, bits: int, tags: dict[int, Any]) -> Picture:
    """Decode what Pillow reads without loss."""
    picture = take_samples(_load_unturned(image, name), name, "TIFF")
    if image.mode == "I" and tags.get(_FORMAT, (1,))[0] == 1:
        picture.samples = picture.samples.view(np.uint32)
    if 8 < bits < 16:
        picture.bit_depth, picture.full_scale = bits, 2**bits - 1
    if bits > 8 and tags.get(_PHOTOMETRIC) == 0:
        picture.samples = _inverted(picture.samples, picture.full_scale, name)
    return picture


def _inverted(samples: NDArray[Any], full_scale: int | None, name: str) -> NDArray[Any]:
    if samples.dtype != np.uint16:
        raise ReadError(f"{name}: white is zero, in {samples.dtype}, has no agreed black; store black as zero")
    return np.uint16(full_scale or 65535) - samples


def _decode_deep(image: Any, data: bytes, name: str, max_pixels: int) -> Picture:
    """Decode 16-bit colour, one byte of each sample at a time."""
    codec, raw_mode = image.tile[0][0], image.tile[0][3][0]
    little = sys.byteorder == "little" if codec == "libtiff" else image.tag_v2.prefix == b"II"
    high, low = ("L", "B") if little else ("B", "L")
    # RGBa is colour multiplied by alpha: taken as it is, to be divided at full depth.
    base = raw_mode.partition(";")[0]
    plain = base.upper()
    second, _ = open_with_pillow(data, "TIFF", name, max_pixels)
    mode = image.mode
    samples = join_bytes(
        _load_unturned(image, name, mode, f"{plain};16{high}"), _load_unturned(second, name, mode, f"{plain};16{low}")
    )
    picture = Picture(samples[..., :3], 16, f"{mode};16", "TIFF")
    picture.take_metadata(image.info)
    if mode == "RGBA":
        picture.alpha, picture.premultiplied = samples[..., 3], base == "RGBa"
    return picture


def _decode_with_tifffile(data: bytes, name: str, max_pixels: int) -> Picture:
    import tifffile

    hush("tifffile")
    advice = "convert it to 16-bit PNG or to uncompressed TIFF, or pass its samples as an array"
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page: Any = file.pages.first
            check_size(name, page.imagewidth, page.imagelength, max_pixels)
            if page.photometric not in (0, 1, 2) or page.imagedepth != 1:
                raise ReadError(f"{name}: TIFF of kind {page.photometric!s} can't be read at full depth; {advice}")
            if not page.dataoffsets or min(*page.dataoffsets, *page.databytecounts) < 1:
                raise ReadError(f"{name}: the TIFF file is damaged: it does not say where its samples are")
            picture = _from_page(page, name)
            frames = len(file.pages)
            tags = {code: tag.value for code in (_ORIENTATION, 34675) if (tag := page.tags.get(code)) is not None}
    except (tifffile.TiffFileError, ImportError) as error:
        raise ReadError(f"{name}: the TIFF file is damaged: {error}") from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise ReadError(f"{name}: this kind of TIFF can't be read at full depth ({error}); {advice}") from error
    if frames > 1:
        picture.notes.append(f"first of {frames} frames")
    picture.take_metadata({"icc_profile": tags.get(34675)})
    picture.orientation = _valid(tags.get(_ORIENTATION))
    return picture


def _from_page(page: Any, name: str) -> Picture:
    samples = np.asarray(page.asarray())
    channels, extras = page.samplesperpixel, tuple(page.extrasamples)
    if page.planarconfig == 2 and channels > 1:
        samples = np.moveaxis(samples, 0, -1)
    samples = samples.reshape(page.imagelength, page.imagewidth, channels)
    colours = 3 if page.photometric == 2 else 1
    if not samples.dtype.isnative:
        samples = samples.astype(samples.dtype.newbyteorder("="))
    bits, kind = page.bitspersample, samples.dtype.kind
    full = 2**bits - 1 if kind == "u" and bits < samples.dtype.itemsize * 8 else None
    alpha = samples[..., colours] if extras and extras[0] in (1, 2) else None
    mode = {(1, False): "L", (1, True): "LA", (3, False): "RGB", (3, True): "RGBA"}[colours, alpha is not None]
    suffix = ";F" if kind == "f" else f";{bits}"
    picture = Picture(samples[..., :colours], min(bits, 32), mode + suffix, "TIFF", alpha, full_scale=full)
    picture.premultiplied = alpha is not None and extras[0] == 1
    if page.photometric == 0:
        picture.samples = _inverted(picture.samples, full, name)
    return picture
