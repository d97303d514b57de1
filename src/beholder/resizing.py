"""Resizing as MATLAB's ``imresize`` does it: what quality metrics and super-resolution benchmarks are defined with.

Pictures are (N, C, H, W) floats, NumPy or PyTorch. The kernel is stretched when a picture is reduced (antialiasing),
weights are normalised, and beyond the border stands the mirror image, the edge pixel repeated.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.arrays import Array, is_torch, pad_mirror
from beholder.errors import InputError, LayoutError

Plane = np.ndarray[Any, Any]


def _box(x: Plane) -> Plane:
    return ((x >= -0.5) & (x < 0.5)).astype(np.float64)


def _triangle(x: Plane) -> Plane:
    return np.asarray(np.maximum(1 - np.abs(x), 0))


def _cubic(x: Plane) -> Plane:
    """Keys 1981, doi:10.1109/TASSP.1981.1163711, with a = -1/2."""
    a = np.abs(x)
    inner = (1.5 * a - 2.5) * a**2 + 1
    outer = ((-0.5 * a + 2.5) * a - 4) * a + 2
    return np.asarray(np.where(a <= 1, inner, np.where(a <= 2, outer, 0)))


def _lanczos(lobes: int) -> Callable[[Plane], Plane]:
    return lambda x: np.where(np.abs(x) < lobes, np.sinc(x) * np.sinc(x / lobes), 0)


METHODS: dict[str, tuple[Callable[[Plane], Plane], float]] = {
    "nearest": (_box, 1.0),
    "box": (_box, 1.0),
    "bilinear": (_triangle, 2.0),
    "bicubic": (_cubic, 4.0),
    "lanczos2": (_lanczos(2), 4.0),
    "lanczos3": (_lanczos(3), 6.0),
}
"""Kernel and its width in pixels; "nearest" is never stretched."""


@functools.lru_cache(maxsize=64)
def contributions(target: int, scale: float, method: str, antialias: bool) -> tuple[Plane, Plane]:
    """Which pixels of a line make each pixel of the resized one, and by how much: (target, taps) twice.

    The first are places in the line, which lie beyond its ends where the mirror image is meant; the rows of the
    second, the weights, sum to 1.
    """
    kernel, width = METHODS[method]
    stretch = min(scale, 1.0) if antialias and method != "nearest" else 1.0
    centre = (np.arange(target) + 0.5) / scale - 0.5
    taps = math.ceil(width / stretch) + 2
    first = np.floor(centre - width / stretch / 2)
    places = first[:, None] + np.arange(taps)
    weights = kernel((centre[:, None] - places) * stretch)
    weights = weights / weights.sum(1, keepdims=True)
    used = np.flatnonzero(np.any(weights != 0, axis=0))
    keep = slice(used[0], used[-1] + 1)
    return places[:, keep].astype(np.int64), weights[:, keep]


def mirrored(places: Plane, length: int) -> Plane:
    """Places in a line continued by its mirror image without end, the edge pixel repeated, as places in the line."""
    period = places % (2 * length)
    return np.asarray(np.minimum(period, 2 * length - 1 - period))


def resize(
    x: Array,
    size: tuple[int, int] | None = None,
    *,
    scale: float | None = None,
    method: str = "bicubic",
    antialias: bool = True,
) -> Array:
    """Pictures at another size, the values that MATLAB's ``imresize`` gives for floats (it does not clip them).

    x: (N, C, H, W) floats. size: the new (H, W); or scale: factor on both sides, the new ones rounded up. method:
    nearest, box, bilinear, bicubic, lanczos2 or lanczos3. antialias: stretch the kernel when reducing. Returns
    (N, C, new H, new W) in the same precision; differentiable in PyTorch. Raises InputError for sizes that are not
    positive, unknown methods, and unless one of size and scale is given; LayoutError for other than four axes.
    """
    if x.ndim != 4:
        raise LayoutError(f"resize takes (N, C, H, W), got shape {tuple(x.shape)}; add the missing axes")
    if method not in METHODS:
        raise InputError(f"resize knows the methods {', '.join(METHODS)}, got {method!r}")
    wanted, factors = _target(tuple(x.shape[-2:]), size, scale)
    for axis in sorted((-2, -1), key=lambda a: factors[a]):  # the stronger reduction first, as MATLAB does
        x = _along(x, wanted[axis], factors[axis], axis, method, antialias)
    return x


def _target(
    old: tuple[int, ...], size: tuple[int, int] | None, scale: float | None
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    if (size is None) == (scale is None):
        raise InputError(f"resize takes either a size or a scale, got size={size!r} and scale={scale!r}")
    if scale is not None:
        if not (scale > 0 and math.isfinite(scale)):
            raise InputError(f"scale must be a positive number, got {scale!r}")
        return tuple(math.ceil(n * scale) for n in old), (scale, scale)
    if size is None or len(size) != 2 or min(size) < 1:
        raise InputError(f"size must be a height and a width of at least 1, got {size!r}")
    return tuple(size), tuple(new / n for new, n in zip(size, old, strict=True))


def _along(x: Array, target: int, scale: float, axis: int, method: str, antialias: bool) -> Array:
    length = x.shape[axis]
    places, weights = contributions(target, scale, method, antialias)
    if places.shape[1] == 1 and np.array_equal(places[:, 0], np.arange(length)):
        return x
    step = _step(places, weights)
    if step:
        return _strided(x, places, weights, step, axis)
    index: Array
    factors: Array
    if is_torch(x):
        import torch

        index = torch.as_tensor(mirrored(places, length), device=x.device)
        factors = torch.as_tensor(weights, dtype=x.dtype, device=x.device)
        parts: Any = (torch.index_select(x, axis, index[:, t]) for t in range(index.shape[1]))
    else:
        index, factors = mirrored(places, length), weights.astype(x.dtype)
        parts = (np.take(x, index[:, t], axis=axis) for t in range(index.shape[1]))
    shape = (-1, 1) if axis == -2 else (-1,)
    return sum(part * factors[:, t].reshape(shape) for t, part in enumerate(parts))


def _step(places: Plane, weights: Plane) -> int:
    """How many pixels lie between windows where all have the same weights (whole reductions), else 0."""
    if len(places) < 2 or not np.allclose(weights, weights[:1], rtol=0, atol=1e-15):
        return 0
    steps = np.diff(places[:, 0])
    return int(steps[0]) if steps.min() == steps.max() else 0


def _strided(x: Array, places: Plane, weights: Plane, step: int, axis: int) -> Array:
    length = x.shape[axis]
    before = max(-int(places[0, 0]), 0)
    after = max(int(places[-1, -1]) + 1 - length, 0)
    around = (before, after, 0, 0) if axis == -2 else (0, 0, before, after)
    x = pad_mirror(x, *around)
    reach = (len(places) - 1) * step + 1
    total = None
    for t, weight in enumerate(weights[0]):
        first = int(places[0, t]) + before
        window = slice(first, first + reach, step)
        part = (x[..., window, :] if axis == -2 else x[..., window]) * float(weight)
        total = part if total is None else total + part
    return total
