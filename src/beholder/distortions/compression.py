"""Compression: the real codecs, through Pillow."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from beholder.distortions.planes import from_bytes, to_bytes
from beholder.distortions.registry import KADID, distortion

if TYPE_CHECKING:
    from beholder.distortions.planes import Pixels

OURS = "levels chosen by this project for about the steps of KADID-10k's JPEG"


def code(x: Pixels, kind: str, **options: Any) -> Pixels:
    """The picture after a codec: 8-bit values in, 8-bit values out."""
    return decode(encode(x, kind, **options), x.shape[2])


def encode(x: Pixels, kind: str, **options: Any) -> bytes:
    """The picture's 8-bit values as a file."""
    from PIL import Image

    store = io.BytesIO()
    values = to_bytes(x)
    Image.fromarray(values if x.shape[2] == 3 else values[..., 0]).save(store, kind, **options)
    return store.getvalue()


def decode(data: bytes, channels: int) -> Pixels:
    """What a file holds, with as many channels."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as picture:
        return from_bytes(np.asarray(picture.convert("RGB" if channels == 3 else "L")))


@distortion(
    "jpeg2000",
    group="compression",
    parameter="ratio",
    levels=(16.0, 32.0, 45.0, 120.0, 400.0),
    neutral=1.0,
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
    unit="",
    paper=KADID,
    whole=True,
    sets={"kadid": 10, "tid": 10},
    aliases=("jpg",),
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
    unit="",
    paper=OURS,
    whole=True,
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
    unit="",
    paper=OURS,
    whole=True,
)
def avif(x: Pixels, value: float, rng: np.random.Generator) -> Pixels:
    """AVIF (AV1) at a quality of 0 to 100."""
    del rng
    return code(x, "AVIF", quality=round(value), speed=9, subsampling="4:2:0", max_threads=1)
