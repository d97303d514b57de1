"""What arrays may hold: refuse what no picture is made of, bring the rest to native integers and floats."""

from __future__ import annotations

from typing import Any

import numpy as np

from beholder.arrays import Array, namespace
from beholder.errors import InputError, RangeError


def check_values(array: Array, name: str, role: str = "image") -> None:
    """Raise InputError for masked arrays, RangeError for complex numbers and other things that are no samples."""
    if isinstance(array, np.ma.MaskedArray):
        raise InputError(
            f"{name} measures every pixel, got a masked array as {role}; crop it, or fill it: array.filled(value)"
        )
    kind = _kind(array)
    if kind not in ("b", "i", "u", "f"):
        hint = "pass its magnitude or real part" if kind == "c" else "convert it first"
        raise RangeError(f"{name} takes bool, integer or float values, got {_name(array)} as {role}; {hint}")


def native(array: Array, data_range: float | None = None) -> Array:
    """The array in an element type that all libraries know: bool as uint8 or, with a data_range, float; true is white.

    NumPy arrays of the other byte order, or of more than double precision, are converted; others stay as they are.
    """
    if _kind(array) == "b":
        xp = namespace(array)
        return xp.astype(array, xp.uint8) * 255 if data_range is None else xp.astype(array, xp.float32) * data_range
    if not isinstance(array, np.ndarray):
        return array
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        return array.astype(np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _kind(array: Any) -> str:
    """The letter of NumPy's `dtype.kind`, for tensors as well."""
    if isinstance(array, np.ndarray):
        return str(array.dtype.kind)
    name = _name(array)
    return "f" if name.startswith("bfloat") else name[0]


def _name(array: Any) -> str:
    """The element type without its library."""
    return str(array.dtype).removeprefix("torch.")
