"""Pictures on their way from a file: samples by Pillow, at the depth that the file holds.

Pillow has no mode for colour with 16 bits a channel: it keeps the high byte and drops the low one. Its decoders can be
told which byte to keep, though, so such a file is decoded twice, once for each byte.
"""

from __future__ import annotations

import importlib
import io
import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from beholder.errors import ReadError, SizeError
from beholder.profiles import cmyk_to_srgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Picture",
    "check_size",
    "decode_png",
    "decode_with_pillow",
    "exif_orientation",
    "hush",
    "join_bytes",
    "load",
    "open_with_pillow",
    "orient",
    "quiet",
    "take_samples",
]

_READERS = {
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
}
_WARNINGS = Lock()  # the list of warning filters is the process's


@dataclass(slots=True)
class Picture:
    """Samples on their way from a source to an Image: not yet in range, in sRGB, composited or upright."""

    samples: NDArray[Any]  # (H, W, C), C = 1 or 3
    bit_depth: int
    mode: str
    format: str
    alpha: NDArray[Any] | None = None  # (H, W), of the type of samples
    premultiplied: bool = False
    icc: bytes | None = None
    orientation: int = 1  # EXIF, 1-8
    full_scale: int | None = None  # where it is not that of the type
    notes: list[str] = field(default_factory=list)

    def take_metadata(self, info: dict[Any, Any]) -> None:
        """Take profile and orientation from what Pillow read beside the samples."""
        icc, exif = info.get("icc_profile"), info.get("exif")
        self.icc = icc if isinstance(icc, bytes) and icc else None
        self.orientation = exif_orientation(exif) if isinstance(exif, bytes) else 1


def check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture without pixels, or with too many."""
    if width < 1 or height < 1:
        raise SizeError(f"{name}: expected a picture of at least 1x1 pixels, got {width}x{height}")
    if width * height > max_pixels:
        raise SizeError(
            f"{name}: {width}x{height} is {width * height:,} pixels, more than the limit of {max_pixels:,}; "
            "pass max_pixels= to allow more"
        )


def orient(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn samples (H, W, C) upright, from EXIF orientation 1-8; a view."""
    if orientation in (5, 6, 7, 8):
        samples = samples.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return samples


def exif_orientation(exif: bytes) -> int:
    """Find tag 274 of the first directory; 1 where there is none, or none that is valid."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(count):
            tag, _, _, value = struct.unpack_from(order + "HHIH", exif, start + 2 + 12 * entry)
            if tag == 274:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


# ---------------------------------------------------------------------------------------------- Pillow


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Keep Pillow's warnings about odd metadata to itself, and word its own limit.

    The filter names Pillow, so that a race with somebody else's catch_warnings, which no lock of ours prevents, can at
    worst leave Pillow quiet.
    """
    from PIL.Image import DecompressionBombError

    with _WARNINGS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            yield
        except DecompressionBombError as error:
            raise SizeError(f"{name}: {error} To allow it, raise PIL.Image.MAX_IMAGE_PIXELS, too") from error


def hush(library: str) -> None:
    """Keep a library's log off stderr, where Python writes what nobody handles; configured logging still gets it."""
    logger = logging.getLogger(library)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def open_with_pillow(data: bytes, kind: str, name: str, max_pixels: int) -> tuple[Any, list[str]]:
    """Parse the header of a file; returns the PIL image, not yet decoded, and notes for the report.

    The reader is called directly: PIL.Image.open has a limit and warnings of its own, and tries formats by the dozen.
    """
    module, reader = _READERS[kind]
    hush("PIL")
    with quiet(name):
        image = getattr(importlib.import_module(module), reader)(io.BytesIO(data))
        check_size(name, image.width, image.height, max_pixels)
        frames = image.n_frames if getattr(image, "is_animated", False) else 1
    return image, [f"first of {frames} frames"] if frames > 1 else []


def load(image: Any, name: str, mode: str = "", raw_mode: str = "") -> Any:
    """Decode; where a raw mode is given, Pillow's decoder delivers that instead of what it would have chosen."""
    import PIL.Image

    if raw_mode:
        image._mode = mode  # no public way
        image.tile = [
            tile._replace(args=raw_mode if isinstance(tile.args, str) else (raw_mode, *tile.args[1:]))
            for tile in image.tile
        ]
    limit = PIL.Image.MAX_IMAGE_PIXELS
    # Above its limit Pillow warns while decoding; below it nothing does, and decoding needs no lock.
    with quiet(name) if limit is not None and image.width * image.height > limit else nullcontext():
        image.load()
    return image


def decode_with_pillow(data: bytes, kind: str, name: str, max_pixels: int) -> Picture:
    """Decode a file that holds at most 8 bits a sample, or grey of 16."""
    image, notes = open_with_pillow(data, kind, name, max_pixels)
    picture = take_samples(load(image, name), name, kind)
    picture.notes[:0] = notes
    if kind == "AVIF" and (bits := _avif_depth(data)) > 8:
        picture.notes.append(f"{bits}-bit AVIF decoded to 8 bits")
    return picture


def _avif_depth(data: bytes) -> int:
    """Bits of the codec configuration (AV1 in ISO BMFF, section 2.3); 8 where there is none."""
    at = data[:65536].find(b"av1C")
    flags = data[at + 6] if 0 <= at < len(data) - 6 else 0
    return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10


_DEPTHS = {"1": 1, "I;16": 16, "I;16L": 16, "I;16B": 16, "I;16N": 16, "I": 32, "F": 32} | dict.fromkeys(
    ("L", "LA", "La", "RGB", "RGBA", "RGBa"), 8
)


def take_samples(image: Any, name: str, kind: str) -> Picture:
    """Bring a loaded PIL image of any mode to grey or RGB, with alpha aside."""
    mode, info = image.mode, image.info
    if mode == "CMYK":
        samples, note = cmyk_to_srgb(image, info.get("icc_profile"))
        picture = Picture(samples, 8, mode, kind, notes=[note])
        picture.take_metadata(info)
        picture.icc = None
        return picture
    if mode == "PA" or (mode == "P" and ("transparency" in info or image.palette.mode == "RGBA")):
        image = image.convert("RGBA")
    elif mode in ("P", "RGBX", "YCbCr", "HSV"):
        image = image.convert("RGB")
    if image.mode not in _DEPTHS:
        raise ReadError(f"{name}: pictures of mode {mode} are not supported; convert it to RGB first")
    samples = _plain(np.asarray(image))
    alpha = None
    if samples.shape[2] in (2, 4):
        alpha, samples = samples[..., -1], samples[..., :-1]
    elif "transparency" in info and image.mode == mode:
        alpha = keyed_alpha(samples, info["transparency"])
    picture = Picture(samples, _DEPTHS.get(mode, 8), mode, kind, alpha, mode in ("La", "RGBa"))
    picture.take_metadata(info)
    return picture


def _plain(samples: NDArray[Any]) -> NDArray[Any]:
    """Bring samples to (H, W, C), bits to 0 and 255, and bytes to the order of this machine."""
    if samples.dtype == np.bool_:
        samples = samples.astype(np.uint8) * np.uint8(255)
    elif not samples.dtype.isnative:
        samples = samples.astype(samples.dtype.newbyteorder("="))
    return samples[..., None] if samples.ndim == 2 else samples


def keyed_alpha(samples: NDArray[Any], key: Any) -> NDArray[Any] | None:
    """Alpha of a picture in which one colour means transparent; None where the key is none for these samples."""
    if samples.dtype.kind != "u" or np.size(key) != samples.shape[2] or isinstance(key, bytes):
        return None
    opaque = np.any(samples != np.asarray(key), axis=2)
    return np.where(opaque, np.iinfo(samples.dtype).max, 0).astype(samples.dtype)


# ---------------------------------------------------------------------------------------------- PNG


def join_bytes(high: Any, low: Any) -> NDArray[np.uint16]:
    """Put two PIL images, of the high and of the low bytes, together."""
    samples = np.asarray(high).astype(np.uint16)
    samples <<= 8
    samples |= np.asarray(low)
    return samples


def decode_png(data: bytes, name: str, max_pixels: int) -> Picture:
    """Decode PNG of any depth."""
    bits, colour = data[24], data[25]  # of the header, which comes first
    image, notes = open_with_pillow(data, "PNG", name, max_pixels)
    if bits != 16 or colour not in (2, 4, 6):
        if bits in (2, 4) and colour == 0 and "transparency" in image.info:
            image.info["transparency"] *= 255 // (2**bits - 1)  # Pillow spreads the samples, but not this
        picture = take_samples(load(image, name), name, "PNG")
        picture.notes[:0] = notes
        return picture
    info, mode = dict(image.info), image.mode
    if colour == 4:
        # Grey and alpha of 16 bits make four bytes a pixel, which RGBA carries unchanged.
        samples = np.asarray(load(image, name, "RGBA", "RGBA")).view(">u2").astype(np.uint16)
    else:
        second, _ = open_with_pillow(data, "PNG", name, max_pixels)
        samples = join_bytes(load(image, name, mode, f"{mode};16B"), load(second, name, mode, f"{mode};16L"))
    info |= image.info  # chunks that come after the samples are known by now
    alpha = None
    if colour != 2:
        alpha, samples = samples[..., -1], samples[..., :-1]
    elif "transparency" in info:
        alpha = keyed_alpha(samples, info["transparency"])
    picture = Picture(samples, 16, {2: "RGB;16", 4: "LA;16", 6: "RGBA;16"}[colour], "PNG", alpha, notes=notes)
    picture.take_metadata(info)
    return picture
