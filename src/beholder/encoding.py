"""Writing of pictures without loss, at their own depth: PNG, BMP and TIFF.

Pillow writes colour with 8 bits only. Deeper PNG is put together here (ISO/IEC 15948), deeper TIFF by tifffile.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from beholder.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FORMATS", "encode"]

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("PNG", {"compress_level": 3}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {"compression": "tiff_lzw"}),
}
"""Endings of the files that can be written, and what they are to Pillow."""
_LEVEL = 3
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encode(picture: NDArray[Any], ending: str) -> bytes:
    """The content of a file that holds the picture without loss.

    picture: (H, W), (H, W, 1) or (H, W, 3), uint8 or uint16 at full scale, or float in [0, 1], which a TIFF file keeps
    as 32-bit floats and a PNG file as the nearest 16-bit values. ending: one of `FORMATS`. Raises InputError for more
    than 8 bits in BMP, which has no place for them.
    """
    from PIL import Image

    picture = picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
    store = io.BytesIO()
    if picture.dtype == np.uint8:
        kind, options = FORMATS[ending]
        Image.fromarray(picture).save(store, kind, **options)
        return store.getvalue()
    if ending == "bmp":
        raise InputError(
            f"BMP holds 8 bits a sample and the picture has {picture.dtype.itemsize * 8}; write png or tiff"
        )
    if ending == "tiff":
        _write_tiff(store, picture)
        return store.getvalue()
    if picture.dtype.kind == "f":
        picture = np.rint(picture * np.float64(65535)).astype(np.uint16)
    return _deep_png(picture)


def _write_tiff(store: io.BytesIO, picture: NDArray[Any]) -> None:
    import tifffile

    if picture.dtype.kind == "f":
        picture = picture.astype(np.float32, copy=False)
    meaning = "rgb" if picture.ndim == 3 else "minisblack"
    tifffile.imwrite(store, picture, photometric=meaning, compression="zlib", metadata=None, software=False)


def _deep_png(picture: NDArray[np.uint16]) -> bytes:
    """PNG with 16 bits a sample."""
    height, width = picture.shape[:2]
    colour = 2 if picture.ndim == 3 else 0
    rows = picture.astype(">u2").view(np.uint8).reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    body = zlib.compress(_filtered(rows, 6 if colour else 2).data, _LEVEL)
    parts = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def _filtered(rows: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Each row's number of filter and its bytes less those of the pixel to the left (1) or above (2), what is smaller.

    step: bytes of a pixel. Differences are modulo 256 and small in either direction where neighbours are alike.
    """
    out = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    left, above = rows.copy(), rows.copy()
    left[:, step:] -= rows[:, :-step]
    above[1:] -= rows[:-1]
    cost = [np.abs(d.view(np.int8).astype(np.int16)).sum(axis=1, dtype=np.int64) for d in (left, above)]
    up = cost[1] < cost[0]
    out[:, 0] = np.where(up, 2, 1)
    out[:, 1:] = np.where(up[:, None], above, left)
    return out
