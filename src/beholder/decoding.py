"""Decoding of picture files: which format the bytes are, and JPEG, by libjpeg-turbo; the rest is in rasters.py."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from beholder.errors import ReadError, SizeError
from beholder.profiles import cmyk_to_srgb
from beholder.rasters import (
    Picture,
    check_size,
    decode_png,
    decode_with_pillow,
    exif_orientation,
    load,
    open_with_pillow,
    take_samples,
)
from beholder.tiff import decode_tiff

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LONGEST_MAGIC", "decode", "from_pillow", "sniff"]

LONGEST_MAGIC = 16

# What Pillow's decoders raise over damaged bytes; which of them depends on where the damage is.
_FAULTS = (
    OSError, ValueError, SyntaxError, LookupError, EOFError, TypeError, AttributeError, ArithmeticError, RuntimeError,
    AssertionError, struct.error, zlib.error,
)  # fmt: skip


def sniff(head: bytes, name: str) -> str:
    """Tell the format by the first bytes; ReadError where it is none that is read."""
    if not head:
        raise ReadError(f"{name}: empty file")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis", b"mif1", b"msf1"):
        return "AVIF"
    for magic, kind in (
        (b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"),
        (b"II+\0", "TIFF"), (b"MM\0+", "TIFF"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"), (b"BM", "BMP"),
    ):  # fmt: skip
        if head.startswith(magic):
            return kind
    raise ReadError(f"{name}: not a picture that can be read; expected PNG, JPEG, WebP, TIFF, BMP, GIF or AVIF")


def decode(data: bytes, name: str, max_pixels: int) -> Picture:
    """Decode the bytes of one file; the header's size is checked first.

    Raises ReadError where the bytes are no whole picture of a known format, SizeError where it has too many pixels.
    """
    kind = sniff(data[:LONGEST_MAGIC], name)
    try:
        if kind == "JPEG":
            return _decode_jpeg(data, name, max_pixels)
        if kind == "TIFF":
            return decode_tiff(data, name, max_pixels)
        if kind == "PNG":
            return decode_png(data, name, max_pixels)
        return decode_with_pillow(data, kind, name, max_pixels)
    except (ReadError, SizeError):
        raise
    except _FAULTS as error:
        text = str(error) or type(error).__name__
        raise ReadError(f"{name}: the {kind} file is damaged or truncated: {text}") from error


def from_pillow(image: Any, name: str, max_pixels: int) -> Picture:
    """Take the samples of a PIL image that the caller opened or made."""
    check_size(name, image.width, image.height, max_pixels)
    crushed = image.mode in ("RGB", "RGBA") and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    try:
        image.load()
        picture = take_samples(image, name, image.format or "")
    except _FAULTS as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(f"{name}: the PIL image cannot be loaded: {error}") from error
    if crushed:
        picture.notes.append("Pillow kept 8 of 16 bits; pass the path or the bytes for all of them")
    return picture


# ---------------------------------------------------------------------------------------------- JPEG


@dataclass(slots=True)
class _JpegHeader:
    process: int = 0  # the number of the start-of-frame marker: 0 baseline, 2 progressive, ...
    precision: int = 0
    height: int = 0
    width: int = 0
    components: int = 0
    exif: bytes = b""
    icc: bytes | None = None
    adobe: bool = False


def _jpeg_header(data: bytes) -> _JpegHeader:
    """Walk the segments up to the first scan (ITU-T T.81, annex B)."""
    header, profile, position = _JpegHeader(), dict[int, bytes](), 2
    while True:
        position = data.index(b"\xff", position)
        while data[position] == 0xFF:
            position += 1
        marker = data[position]
        position += 1
        if marker in (0xD9, 0xDA):  # end, or start of scan
            break
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:  # these stand alone
            continue
        (length,) = struct.unpack_from(">H", data, position)
        segment = data[position + 2 : position + length]
        position += max(length, 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            header.process = marker - 0xC0
            header.precision, header.height, header.width, header.components = struct.unpack_from(">BHHB", segment)
        elif marker == 0xE1 and segment.startswith(b"Exif\0\0") and not header.exif:
            header.exif = segment
        elif marker == 0xE2 and segment.startswith(b"ICC_PROFILE\0") and len(segment) > 14:
            profile[segment[12]] = segment[14:]
        elif marker == 0xEE and segment.startswith(b"Adobe"):
            header.adobe = True
    if profile:
        header.icc = b"".join(part for _, part in sorted(profile.items()))
    return header


def _decode_jpeg(data: bytes, name: str, max_pixels: int) -> Picture:
    header = _jpeg_header(data)
    check_size(name, header.width, header.height, max_pixels)
    if header.precision != 8:
        raise ReadError(f"{name}: expected JPEG of 8 bits, got {header.precision}; convert it to 16-bit PNG")
    space = {1: "GRAY", 3: "RGB", 4: "CMYK"}.get(header.components)
    notes: list[str] = []
    samples = _decode_with_turbo(data, name, space, notes) if space and header.process in (0, 1, 2) else None
    if samples is None:
        image, _ = open_with_pillow(data, "JPEG", name, max_pixels)
        picture = take_samples(load(image, name), name, "JPEG")
    elif space == "CMYK":
        picture = _from_cmyk(samples, header, notes)
    else:
        picture = Picture(samples, 8, "L" if space == "GRAY" else "RGB", "JPEG", icc=header.icc, notes=notes)
    picture.orientation = exif_orientation(header.exif)
    return picture


def _from_cmyk(samples: NDArray[np.uint8], header: _JpegHeader, notes: list[str]) -> Picture:
    """Take inks as they are, or, as Adobe stores them, inverted (Adobe technical note 5116)."""
    import PIL.Image

    if header.adobe:
        samples = 255 - samples
    image = PIL.Image.frombuffer("CMYK", (header.width, header.height), samples.tobytes(), "raw", "CMYK", 0, 1)
    rgb, note = cmyk_to_srgb(image, header.icc)
    return Picture(rgb, 8, "CMYK", "JPEG", notes=[*notes, note])


def _decode_with_turbo(data: bytes, name: str, space: str, notes: list[str]) -> NDArray[np.uint8] | None:
    """Decode by libjpeg-turbo (it releases the GIL); None where its interface refuses what Pillow's accepts."""
    import simplejpeg

    try:
        return np.asarray(simplejpeg.decode_jpeg(data, space))
    except ValueError as error:
        message = str(error).partition(": ")[2] or str(error)
    if "extraneous bytes" in message:  # padding by careless cameras; every viewer shows such a picture
        notes.append(f"jpeg warning: {message}")
        return np.asarray(simplejpeg.decode_jpeg(data, space, strict=False))
    if "remature end" in message or "orrupt" in message:
        raise ReadError(f"{name}: the JPEG file is damaged or truncated: {message}")
    return None
