"""Colour profiles: what a picture's embedded ICC profile says, brought to sRGB.

Eight-bit colour goes through Little CMS (in Pillow). Little CMS as Pillow wraps it knows no deeper colour, so deeper
samples go through the profile's own curves and matrix here (ICC.1:2022, section 8.3 and F.3), which holds every
profile of a camera, screen or working space; grey goes through its curve at every depth.
Intent: relative colorimetric with black point compensation.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from beholder.rasters import Picture

__all__ = ["cmyk_to_srgb", "to_srgb"]

_STEPS = 65536  # of the tables that stand for curves: one entry for each 16-bit value
_ROWS_AT_ONCE = 256
_DAMAGE = (ValueError, struct.error, LookupError, ArithmeticError)


@dataclass(frozen=True, slots=True)
class _Profile:
    """What was understood of the bytes of one profile."""

    name: str
    space: str  # "RGB", "GRAY", "CMYK", ...
    transform: Any = None  # of Little CMS, 8 bits, to sRGB
    is_srgb: bool = False
    problem: str = ""


def to_srgb(picture: Picture) -> None:
    """Convert the samples of a picture to sRGB, in place; what can't be converted is noted, and left as it is."""
    if picture.icc is None:
        return
    profile, icc = _understand(picture.icc), picture.icc
    picture.icc = None
    if profile.is_srgb:
        return
    channels = picture.samples.shape[2]
    problem = profile.problem
    if not problem and profile.space != {1: "GRAY", 3: "RGB"}[channels]:
        problem = f"{profile.space} profile on a picture with {channels} channels"
    if not problem:
        try:
            if channels == 1:
                picture.samples = _convert_grey(picture.samples, icc)
            elif picture.samples.dtype == np.uint8:
                picture.samples = _apply(profile.transform, picture.samples)
            else:
                picture.samples = _convert_deep(picture.samples, icc)
        except _DAMAGE as error:
            problem = str(error)
    picture.notes.append(
        f"icc {profile.name} not applied: {problem}" if problem else f"icc {profile.name} to sRGB".strip()
    )


def cmyk_to_srgb(image: Any, icc: bytes | None) -> tuple[NDArray[np.uint8], str]:
    """Convert a PIL image in CMYK to sRGB (H, W, 3), and say how."""
    profile = None if icc is None else _understand(icc)
    if profile is not None and profile.space == "CMYK" and not profile.problem:
        return np.asarray(profile.transform.apply(image)), f"icc {profile.name} to sRGB"
    why = "no profile" if profile is None else profile.problem or f"{profile.space} profile"
    return np.asarray(image.convert("RGB")), f"CMYK to RGB by plain arithmetic ({why})"


@lru_cache(maxsize=32)
def _understand(icc: bytes) -> _Profile:
    """Open a profile; the same few come again and again, hence the cache."""
    from PIL import ImageCms

    space, name = icc[16:20].decode("ascii", "replace").strip(), ""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        name = " ".join(ImageCms.getProfileDescription(profile).split())
        if space == "GRAY":
            return _Profile(name, space, is_srgb=_is_identity(_grey_table(icc)))
        if space not in ("RGB", "CMYK"):
            return _Profile(name, space, problem=f"colour space {space} is not supported")
        transform = ImageCms.buildTransform(
            profile,
            ImageCms.createProfile("sRGB"),
            space,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, TypeError, *_DAMAGE) as error:
        return _Profile(name, space, problem=f"broken profile ({error})")
    return _Profile(name, space, transform, is_srgb=space == "RGB" and _changes_nothing(transform))


def _apply(transform: Any, samples: NDArray[Any]) -> NDArray[Any]:
    import PIL.Image

    # transform.apply is safe in many threads at once: Little CMS keeps its state on the stack.
    return np.asarray(transform.apply(PIL.Image.fromarray(np.ascontiguousarray(samples))))


def _changes_nothing(transform: Any) -> bool:
    """Tell whether no colour moves by more than a level: then it is sRGB under some name, and decoding stays fast."""
    steps = np.linspace(0, 255, 18).astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(18, 324, 3)
    return bool(np.abs(_apply(transform, grid).astype(np.int16) - grid).max() <= 1)


def _is_identity(table: NDArray[np.float64]) -> bool:
    return bool(np.abs(table - np.linspace(0, 1, _STEPS)).max() <= 1 / 255)


# ---------------------------------------------------------------------------------------------- at any depth


def _convert_grey(samples: NDArray[Any], icc: bytes) -> NDArray[Any]:
    table = _grey_table(icc)
    if samples.dtype.kind == "f":
        return np.asarray(_look_up(table, samples), np.float32)
    full = np.iinfo(samples.dtype).max
    levels = np.rint(table[:: (_STEPS - 1) // full] * full).astype(samples.dtype)
    return np.asarray(levels[samples])


@lru_cache(maxsize=8)
def _grey_table(icc: bytes) -> NDArray[np.float64]:
    light = _curve(_tags(icc), "kTRC")
    if icc[20:23] == b"Lab":  # the curve gives lightness, not light
        light = np.where(light > 0.08, ((light * 100 + 16) / 116) ** 3, light * 100 / 903.3)
    return _encode(light)


def _convert_deep(samples: NDArray[Any], icc: bytes) -> NDArray[Any]:
    """Convert uint16 or float32 colour by the curves and the matrix of its profile."""
    curves, matrix = _curves_and_matrix(icc)
    to_linear_srgb = (np.linalg.inv(_srgb_matrix()) @ matrix).T.astype(np.float32)
    out = np.empty(samples.shape, samples.dtype)
    for start in range(0, samples.shape[0], _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        light = np.empty(samples[rows].shape, np.float32)
        for channel, curve in enumerate(curves):
            values = samples[rows, :, channel]
            light[..., channel] = _look_up(curve, values)
        encoded = _encode(light @ to_linear_srgb)
        out[rows] = encoded if out.dtype.kind == "f" else np.rint(encoded * np.iinfo(out.dtype).max)
    return out


def _look_up(table: NDArray[np.float64], values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind == "f":
        return np.asarray(np.interp(values, np.linspace(0, 1, _STEPS), table))
    return np.asarray(table.astype(np.float32)[values])


@lru_cache(maxsize=8)
def _curves_and_matrix(icc: bytes) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    tags = _tags(icc)
    if any(name not in tags for name in ("rXYZ", "gXYZ", "bXYZ", "rTRC", "gTRC", "bTRC")):
        raise ValueError("a profile of tables can be applied to 8-bit pictures only")
    columns = [np.array(struct.unpack_from(">3i", tags[name], 8)) / 65536 for name in ("rXYZ", "gXYZ", "bXYZ")]
    return [_curve(tags, name) for name in ("rTRC", "gTRC", "bTRC")], np.stack(columns, axis=1)


@cache
def _srgb_matrix() -> NDArray[np.float64]:
    from PIL import ImageCms

    srgb: Any = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return _curves_and_matrix(srgb.tobytes())[1]


def _encode(light: NDArray[Any]) -> NDArray[Any]:
    """Encode linear light as sRGB (IEC 61966-2-1), clipped to [0, 1]."""
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def _tags(icc: bytes) -> dict[str, bytes]:
    (count,) = struct.unpack_from(">I", icc, 128)
    if count > 200:
        raise ValueError(f"{count} tags in a profile")
    entries = [struct.unpack_from(">4sII", icc, 132 + 12 * i) for i in range(count)]
    return {name.decode("latin-1"): icc[offset : offset + size] for name, offset, size in entries}


def _curve(tags: dict[str, bytes], name: str) -> NDArray[np.float64]:
    """Read a curve as a table over [0, 1] (ICC.1:2022, sections 10.6 and 10.18)."""
    if name not in tags:
        raise ValueError(f"no {name} in the profile")
    tag, x = tags[name], np.linspace(0, 1, _STEPS)
    if tag[:4] == b"para":
        return _parametric(tag, x)
    if tag[:4] != b"curv":
        raise ValueError(f"{name} is of the unknown kind {tag[:4]!r}")
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return x
    points = np.frombuffer(tag, ">u2", count, 12)
    if count == 1:
        return np.asarray(x ** (points[0] / 256))
    return np.interp(x, np.linspace(0, 1, count), points / 65535)


def _parametric(tag: bytes, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """(ax + b)^g + e from d on, cx + f below it; the lesser kinds leave parameters out."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    if kind > 4:
        raise ValueError(f"unknown parametric curve {kind}")
    given = [value / 65536 for value in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12)]
    if kind in (1, 2):
        offset = given[3] if kind == 2 else 0.0
        given = [*given[:3], 0.0, -given[2] / given[1], offset, offset]
    g, a, b, c, d, e, f = given + [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0][len(given) :]
    return np.asarray(np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f))
