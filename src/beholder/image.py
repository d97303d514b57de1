"""Reading of pictures: whatever a picture comes as, its samples at full depth and the facts about them.

Range, colour and bit depth are settled here, once, so that no metric has to guess. Integers stay the integers that
the file held; orientation is applied; colours are brought to sRGB; alpha is composited. What can't be known from the
source (the axes of an array, the full scale of a float) is asked for, never guessed.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import numpy as np

from beholder.decoding import LONGEST_MAGIC, decode, from_pillow, sniff
from beholder.errors import ChannelError, InputError, LayoutError, RangeError, ReadError, SizeError
from beholder.profiles import to_srgb
from beholder.rasters import Picture, check_size, orient

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MAX_PIXELS", "Image", "Source", "read_image"]

# str and os.PathLike are paths; bytes are the content of a file; then a binary file object, PIL.Image.Image,
# numpy.ndarray or torch.Tensor. Any, because PIL and torch are not imported here.
Source: TypeAlias = Any

MAX_PIXELS = 178_956_970  # the point where Pillow, too, refuses: 512 MiB as 24-bit RGB
_METADATA_ALLOWANCE = 64 * 2**20
_PIECE = 16 * 2**20
_BYTES_PER_PIXEL = 16  # the dearest uncompressed pixel: four floats
_LAYOUTS = ("HW", "HWC", "CHW")
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True, slots=True)
class Image:
    """A picture as it was read: its samples at their own depth, and the facts about them.

    native: (H, W, C), C-contiguous, C = 1 (grey) or 3 (sRGB); uint8 and uint16 at full scale (255, 65535), float32
    in [0, 1]. It may be read-only and may share memory with an array that was passed in.
    source: the path as given, or "<bytes>", "<file>", "<pillow>", "<array>", "<tensor>".
    bit_depth: of what was read: 1, 8, 16, or 32 for floats. mode: what the file held, such as "P" or "CMYK".
    format: "JPEG", "PNG", ... or "" for arrays. converted: what was done on the way, in words for a report.
    """

    native: NDArray[Any]
    source: str
    bit_depth: int
    mode: str
    format: str
    converted: tuple[str, ...]

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.native.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.native.shape[1])

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return int(self.native.shape[2])

    @property
    def pixels(self) -> NDArray[np.float32]:
        """The picture as float32 (C, H, W) in [0, 1]; a new array at each call."""
        out = np.empty((self.channels, self.height, self.width), np.float32)
        planes = self.native.transpose(2, 0, 1)
        if self.native.dtype.kind == "f":
            out[...] = planes
        else:
            np.divide(planes, np.float32(np.iinfo(self.native.dtype).max), out=out, dtype=np.float32)
        return out

    @property
    def batch(self) -> NDArray[Any]:
        """The native samples as a batch of one, (1, C, H, W): a view, no copy."""
        return self.native.transpose(2, 0, 1)[None]


def read_image(
    source: Source,
    *,
    layout: str | None = None,
    data_range: float | None = None,
    background: tuple[int, int, int] = (255, 255, 255),
    max_pixels: int = MAX_PIXELS,
) -> Image:
    """Read one picture from a path, bytes, a binary file object, a PIL image, a NumPy array or a PyTorch tensor.

    layout: "HW", "HWC" or "CHW"; needed for arrays and tensors with three axes, of no effect on anything else.
    data_range: the value that means full scale. Needed for floats outside [0, 1] and for integers other than uint8
    and uint16; with it, values are divided by it and kept as float32.
    background: sRGB 0-255; alpha is composited on it in gamma-encoded values, as web browsers do.
    max_pixels: a larger picture is refused, before decoding.
    PNG, JPEG, WebP, TIFF, BMP, GIF and AVIF are read; of several frames the first. EXIF orientation is applied, ICC
    profiles are converted to sRGB (relative colorimetric, black point compensation).
    Raises ReadError, LayoutError, ChannelError, RangeError or SizeError; all are InputError.
    """
    _check_options(data_range, background, max_pixels)
    name, picture = _open(source, layout, max_pixels)
    check_size(name, picture.samples.shape[1], picture.samples.shape[0], max_pixels)
    _settle_range(name, picture, data_range)
    to_srgb(picture)
    _composite(picture, background)
    native = orient(picture.samples, picture.orientation)
    if picture.orientation != 1:
        picture.notes.insert(0, f"exif orientation {picture.orientation}")
    native = np.ascontiguousarray(native).view()
    native.flags.writeable = False
    return Image(native, name, picture.bit_depth, picture.mode, picture.format, tuple(picture.notes))


def _check_options(data_range: float | None, background: tuple[int, int, int], max_pixels: int) -> None:
    if data_range is not None and not (np.isfinite(data_range) and data_range > 0):
        raise RangeError(f"data_range: expected a positive number (the value of full scale), got {data_range!r}")
    if len(background) != 3 or not all(0 <= value <= 255 for value in background):
        raise RangeError(f"background: expected three values of sRGB in 0-255, got {background!r}")
    if max_pixels < 1:
        raise SizeError(f"max_pixels: expected at least 1, got {max_pixels!r}")


def _open(source: Source, layout: str | None, max_pixels: int) -> tuple[str, Picture]:
    """Find out what the source is, and take its samples."""
    if isinstance(source, str | os.PathLike):
        name = os.fsdecode(source)
        return name, decode(_read_path(name, max_pixels), name, max_pixels)
    if isinstance(source, bytes | bytearray | memoryview):
        return "<bytes>", decode(bytes(source), "<bytes>", max_pixels)
    if _is_a(source, "PIL.Image", "Image"):
        return "<pillow>", from_pillow(source, "<pillow>", max_pixels)
    if _is_a(source, "torch", "Tensor"):
        return "<tensor>", _from_array(_tensor_values(source), layout, "<tensor>")
    if isinstance(source, np.ndarray):
        return "<array>", _from_array(source, layout, "<array>")
    if callable(getattr(source, "read", None)):
        return "<file>", decode(_read_stream(source, "<file>", max_pixels), "<file>", max_pixels)
    raise ReadError(
        "expected a path, bytes, a binary file object, a PIL image, a NumPy array or a PyTorch tensor, "
        f"got {type(source).__name__}"
    )


def _is_a(source: object, module: str, name: str) -> bool:
    """Tell a type of PIL or torch by name, so that neither is imported for it."""
    return any(cls.__module__ == module and cls.__name__ == name for cls in type(source).__mro__)


# ---------------------------------------------------------------------------------------------- files and streams


def _read_path(name: str, max_pixels: int) -> bytes:
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", name):
        raise ReadError(f"{name}: expected a file on disk, got a URL; Beholder never goes to the network")
    try:
        with _open_regular(name) as file:
            sniff(file.read(LONGEST_MAGIC), name)  # before the rest of what may be gigabytes of something else
            _check_bytes(name, os.fstat(file.fileno()).st_size, max_pixels)
            file.seek(0)
            return file.read()  # of a file without buffer: one allocation, no copy
    except InputError:
        raise
    except FileNotFoundError as error:
        raise ReadError(f"{name}: no such file") from error
    except PermissionError as error:
        raise ReadError(f"{name}: permission denied; make the file readable for this user") from error
    except (OSError, ValueError) as error:
        raise ReadError(f"{name}: cannot be read: {error}") from error


def _open_regular(name: str) -> IO[bytes]:
    # The kind is asked for before opening: opening a FIFO would wait for a writer for ever.
    kind = Path(name).stat().st_mode
    if stat.S_ISDIR(kind):
        raise ReadError(f"{name}: expected a picture file, got a folder")
    if not stat.S_ISREG(kind):
        raise ReadError(f"{name}: expected a regular file, got a pipe, socket or device")
    return Path(name).open("rb", buffering=0)


def _check_bytes(name: str, count: int, max_pixels: int) -> None:
    limit = _BYTES_PER_PIXEL * max_pixels + _METADATA_ALLOWANCE
    if count > limit:
        raise SizeError(
            f"{name}: more than {limit:,} bytes, the most for {max_pixels:,} pixels; pass max_pixels= to allow more"
        )


def _read_stream(file: IO[bytes], name: str, max_pixels: int) -> bytes:
    """Read the rest of a binary stream, once its first bytes have shown that it is a picture."""
    parts, total = [], 0
    while part := _read_some(file, name, _PIECE if total >= LONGEST_MAGIC else LONGEST_MAGIC - total):
        parts.append(part)
        total += len(part)
        _check_bytes(name, total, max_pixels)
        if total == LONGEST_MAGIC:
            sniff(b"".join(parts), name)
    if not parts:
        raise ReadError(f"{name}: empty file")
    return b"".join(parts)


def _read_some(file: IO[bytes], name: str, count: int) -> bytes:
    try:
        data = file.read(count)
    except (OSError, ValueError) as error:
        raise ReadError(f"{name}: cannot be read: {error}") from error
    if not isinstance(data, bytes):
        raise ReadError(f"{name}: expected bytes, got {type(data).__name__}; open the file in binary mode")
    return data


# ---------------------------------------------------------------------------------------------- arrays


def _tensor_values(tensor: Any) -> NDArray[Any]:
    values = tensor.detach().cpu()
    if "bfloat16" in str(values.dtype):  # NumPy has no such type
        values = values.float()
    return np.asarray(values.numpy())


def _from_array(array: NDArray[Any], layout: str | None, name: str) -> Picture:
    if isinstance(array, np.ma.MaskedArray):
        raise InputError(f"{name}: expected every pixel, got a masked array; crop it, or fill the mask first")
    samples = _to_rows_columns_channels(array, layout, name)
    channels = samples.shape[2]
    if samples.dtype.kind not in "buif":
        raise RangeError(f"{name}: expected bool, integer or float samples, got {samples.dtype}")
    if not samples.dtype.isnative:
        samples = samples.astype(samples.dtype.newbyteorder("="))
    bit_depth = min(samples.dtype.itemsize * 8, 32)
    if samples.dtype.kind == "b":
        bit_depth, samples = 1, samples.astype(np.uint8) * np.uint8(255)
    alpha = samples[..., -1] if channels in (2, 4) else None
    colour = samples[..., :-1] if channels in (2, 4) else samples
    suffix = {"f": ";F", "i": ";I"}.get(samples.dtype.kind, f";{bit_depth}" if bit_depth > 8 else "")
    return Picture(colour, bit_depth, _MODES[channels] + suffix, "", alpha=alpha)


def _to_rows_columns_channels(array: NDArray[Any], layout: str | None, name: str) -> NDArray[Any]:
    if layout is None and array.ndim == 2:
        layout = "HW"
    if layout not in _LAYOUTS:
        raise LayoutError(
            f'{name}: expected layout="HW", "HWC" or "CHW", got {layout!r} for shape {array.shape}; '
            "the meaning of axes is never guessed"
        )
    if array.ndim != len(layout):
        raise LayoutError(f"{name}: layout {layout} needs {len(layout)} axes, got shape {array.shape}")
    samples = array[..., None] if layout == "HW" else array.transpose(1, 2, 0) if layout == "CHW" else array
    if samples.shape[2] not in _MODES:
        raise ChannelError(
            f"{name}: expected 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha) channels, got {samples.shape[2]} "
            f"from shape {array.shape} read as {layout}"
        )
    return samples


# ---------------------------------------------------------------------------------------------- range and alpha


def _settle_range(name: str, picture: Picture, data_range: float | None) -> None:
    """Bring samples to uint8, uint16 or float32 in [0, 1]; alpha goes the same way."""
    dtype = picture.samples.dtype
    full = data_range if data_range is not None else picture.full_scale
    if dtype in (np.uint8, np.uint16) and full in (None, np.iinfo(dtype).max):
        return
    if dtype.kind in "iu" and full is None:
        raise RangeError(
            f"{name}: {picture.bit_depth}-bit integers ({dtype}) have no agreed full scale; "
            "pass data_range= with the value that means white"
        )
    picture.samples = _scaled(picture.samples, full, name)
    if picture.alpha is not None:
        picture.alpha = _scaled(picture.alpha, full, name)
    if full is not None and full != 1:
        picture.notes.append(f"divided by {full:g}")


def _scaled(samples: NDArray[Any], full: float | None, name: str) -> NDArray[Any]:
    bad = samples.size - int(np.count_nonzero(np.isfinite(samples)))
    if bad:
        raise RangeError(f"{name}: expected finite values, got {bad:,} NaN or infinite of {samples.size:,}")
    low, high = float(samples.min()), float(samples.max())
    top = 1.0 if full is None else float(full)
    if low < 0 or np.float32(high / top) > 1:
        hint = "pass data_range= with the value that means white" if full is None else "is data_range right?"
        raise RangeError(f"{name}: expected values in [0, {top:g}], got {low:g} to {high:g}; {hint}")
    scaled = samples if top == 1 else np.divide(samples, top)
    return np.asarray(scaled, np.float32)


def _composite(picture: Picture, background: tuple[int, int, int]) -> None:
    """Put a transparent picture on the background, in gamma-encoded values, as web browsers do."""
    alpha = picture.alpha
    if alpha is None:
        return
    picture.alpha = None
    full = 1 if alpha.dtype.kind == "f" else np.iinfo(alpha.dtype).max
    if alpha.min() == full:
        return
    grey = len(set(background)) == 1
    if not grey and picture.samples.shape[2] == 1:
        picture.samples = np.repeat(picture.samples, 3, axis=2)
    backdrop = np.asarray(background[: picture.samples.shape[2]], np.float32) / 255 * full
    picture.samples = _blend(picture.samples, alpha[..., None], backdrop, full, picture.premultiplied)
    picture.notes.append("alpha composited on " + ("white" if min(background) == 255 else f"rgb{tuple(background)}"))


def _blend(
    colour: NDArray[Any], alpha: NDArray[Any], backdrop: NDArray[Any], full: int, premultiplied: bool
) -> NDArray[Any]:
    if full == 1:
        part = colour if premultiplied else colour * alpha
        return np.asarray(np.clip(part + backdrop * (1 - alpha), 0, 1), np.float32)
    # Products of two samples and the rounding fit: 65535 * 65535 + 32767 < 2**32, and likewise for 8 bits in 16.
    wide: Any = np.uint16 if full == 255 else np.uint32
    weight, base, top = alpha.astype(wide), np.rint(backdrop).astype(wide), wide(full)
    product = colour.astype(wide) * (top if premultiplied else weight)
    product = np.minimum(product, top * weight)  # a premultiplied sample above its alpha is no colour
    product += base * (top - weight)
    product += wide(full // 2)
    return np.asarray(product // top, colour.dtype)
