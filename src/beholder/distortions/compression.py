"""Compression: the real codecs, through Pillow."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from beholder.distortions.planes import from_bytes, to_bytes
from beholder.distortions.registry import KADID, distortion
from beholder.errors import InputError
from beholder.rasters import load

if TYPE_CHECKING:
    from beholder.distortions.planes import Pixels

OURS = "levels chosen by this project for about the steps of KADID-10k's JPEG"
JPEG_SIDE, WEBP_SIDE, AVIF_SIDE = 65500, 16383, 32768
"""The most pixels a side of libjpeg, libwebp and libavif (which writes twice as many, and does not read them)."""
_READERS = {
    "JPEG": ("JpegImagePlugin", "JpegImageFile"),
    "JPEG2000": ("Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "WEBP": ("WebPImagePlugin", "WebPImageFile"),
    "AVIF": ("AvifImagePlugin", "AvifImageFile"),
}


def code(x: Pixels, kind: str, **options: Any) -> Pixels:
    """The picture after a codec: 8-bit values in, 8-bit values out; raises InputError where the codec refuses it."""
    data = encode(x, kind, **options)
    with _refusal(kind, x):
        return decode(data, kind, x.shape[2])


def encode(x: Pixels, kind: str, **options: Any) -> bytes:
    """The picture's 8-bit values as a file; raises InputError where the codec refuses them."""
    from PIL import Image

    store = io.BytesIO()
    values = to_bytes(x)
    with _refusal(kind, x):
        Image.fromarray(values if x.shape[2] == 3 else values[..., 0]).save(store, kind, **options)
    return store.getvalue()


def decode(data: bytes, kind: str, channels: int) -> Pixels:
    """What a file holds, with as many channels; raises OSError and ValueError for one that is damaged."""
    module, reader = _READERS[kind]
    try:  # the reader itself: Image.open, and of the readers WebP's alone, has a limit on pixels of its own
        picture = getattr(importlib.import_module(f"PIL.{module}"), reader)(io.BytesIO(data))
    except SyntaxError as error:
        raise OSError(f"the header cannot be read: {error}") from error
    with picture:
        return from_bytes(np.asarray(load(picture, f"<{kind}>").convert("RGB" if channels == 3 else "L")))


@contextmanager
def _refusal(kind: str, x: Pixels) -> Iterator[None]:
    """What a codec says of a picture that it cannot take, as an error of Beholder's."""
    from PIL.Image import DecompressionBombError

    try:
        yield
    except (OSError, ValueError, RuntimeError, DecompressionBombError) as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{kind} cannot code a picture of {x.shape[1]}x{x.shape[0]} pixels: {told}; pass a smaller one"
        ) from error


@distortion(
    "jpeg2000",
    group="compression",
    parameter="ratio",
    levels=(16.0, 32.0, 45.0, 120.0, 400.0),
    neutral=1.0,
    limits=(1, 1000),
    unit="times smaller",
    paper=KADID,
    log=True,
    sets={"kadid": 9, "tid": 11},
    aliases=("jp2k",),
)
def jpeg2000(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """JPEG 2000, irreversible wavelets, at a compression ratio."""
    del rng
    return code(x, "JPEG2000", quality_mode="rates", quality_layers=[value], **jpeg2000_options(x))


def jpeg2000_options(x: Pixels) -> dict[str, Any]:
    """The wavelets: irreversible, five times, or as often as the picture can be halved."""
    return {"irreversible": True, "num_resolutions": min(5, int(np.log2(min(x.shape[:2])))) + 1, "no_jp2": True}


@distortion(
    "jpeg",
    group="compression",
    parameter="quality",
    levels=(43.0, 36.0, 24.0, 7.0, 4.0),
    neutral=100.0,
    limits=(1, 100),
    unit="",
    paper=KADID,
    whole=True,
    sets={"kadid": 10, "tid": 10},
    aliases=("jpg",),
    max_side=JPEG_SIDE,
)
def jpeg(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """JPEG at a quality of 1 to 100, chroma halved."""
    del rng
    return code(x, "JPEG", quality=round(value))


@distortion(
    "webp",
    group="compression",
    parameter="quality",
    levels=(60.0, 35.0, 15.0, 5.0, 0.0),
    neutral=100.0,
    limits=(0, 100),
    unit="",
    paper=OURS,
    whole=True,
    max_side=WEBP_SIDE,
)
def webp(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """WebP, lossy, at a quality of 0 to 100."""
    del rng
    return code(x, "WEBP", quality=round(value), method=2)


@distortion(
    "avif",
    group="compression",
    parameter="quality",
    levels=(50.0, 35.0, 22.0, 10.0, 0.0),
    neutral=100.0,
    limits=(0, 100),
    unit="",
    paper=OURS,
    whole=True,
    max_side=AVIF_SIDE,
)
def avif(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """AVIF (AV1) at a quality of 0 to 100."""
    del rng
    return code(x, "AVIF", quality=round(value), speed=9, subsampling="4:2:0", max_threads=1)
