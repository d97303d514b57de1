"""What the array API lacks, once for NumPy and PyTorch: windows, filters, sampling, colour.

Pictures are (N, C, H, W) floats in [0, 1]. Every function works in the precision of what it is given.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from beholder.errors import ChannelError

Array = Any
"""A NumPy array or a PyTorch tensor."""

LUMA_FULL = (0.299, 0.587, 0.114)
"""ITU-R BT.601 luma of R'G'B', full range."""
LUMA_STUDIO = (65.481 / 255, 128.553 / 255, 24.966 / 255)
"""ITU-R BT.601 luma, studio range (16 to 235 of 255), without its offset of 16 / 255."""
LUMA_MATLAB = (0.298936021293775, 0.587043074451121, 0.114020904255103)
"""MATLAB's ``rgb2gray``: the first row of the inverse of the NTSC YIQ matrix."""


def is_torch(array: Array) -> bool:
    """Whether this is a PyTorch tensor; PyTorch is not imported to find out."""
    return any(base.__module__ == "torch" for base in type(array).__mro__[:-1])


def namespace(*arrays: Array) -> Any:
    """The array-API namespace that the arrays share."""
    from array_api_compat import array_namespace

    return array_namespace(*arrays)


def gaussian_window(size: int, sigma: float) -> np.ndarray[Any, Any]:
    """Sampled Gaussian of `size` taps that sum to 1."""
    offsets = np.arange(size) - (size - 1) / 2
    window = np.exp(-(offsets**2) / (2 * sigma**2))
    return np.asarray(window / window.sum())


def uniform_window(size: int) -> np.ndarray[Any, Any]:
    """Mean over `size` taps."""
    return np.full(size, 1 / size)


def correlate(x: Array, rows: Any, columns: Any) -> Array:
    """Separable correlation of every plane, only where the window fits ("valid").

    rows: taps down the rows, columns: taps along them. (N, C, H, W) becomes (N, C, H - len(rows) + 1,
    W - len(columns) + 1).
    """
    taps = np.asarray(rows, dtype=np.float64), np.asarray(columns, dtype=np.float64)
    if not is_torch(x):
        return _slide(_slide(x, taps[0], -2), taps[1], -1)
    import torch

    n, c, h, w = x.shape
    if x.device.type == "cpu":
        from beholder import banded

        found = banded.correlate(x.reshape(n * c, h, w), tuple(taps[0].tolist()), tuple(taps[1].tolist()))
        return found.reshape(n, c, *found.shape[-2:])
    down, along = (torch.as_tensor(t, dtype=x.dtype, device=x.device) for t in taps)
    out = torch.nn.functional.conv2d(x.reshape(n * c, 1, h, w), down.reshape(1, 1, -1, 1))
    out = torch.nn.functional.conv2d(out, along.reshape(1, 1, 1, -1))
    return out.reshape(n, c, *out.shape[-2:])


def _slide(x: np.ndarray[Any, Any], taps: np.ndarray[Any, Any], axis: int) -> np.ndarray[Any, Any]:
    from scipy.ndimage import correlate1d

    first = len(taps) // 2
    full = correlate1d(x, taps, axis=axis, mode="constant")
    keep: list[slice] = [slice(None)] * x.ndim
    keep[axis] = slice(first, first + x.shape[axis] - len(taps) + 1)
    return np.asarray(full[tuple(keep)])


def pad_zeros(x: Array, top: int, bottom: int, left: int, right: int) -> Array:
    """Continue every plane with zeros."""
    if is_torch(x):
        import torch

        return torch.nn.functional.pad(x, (left, right, top, bottom))
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))


def pad_mirror(x: Array, top: int, bottom: int, left: int, right: int) -> Array:
    """Continue every plane by its mirror image, the edge pixel repeated (MATLAB's "symmetric")."""
    xp = namespace(x)
    for axis, before, after in ((-2, top, bottom), (-1, left, right)):
        if before or after:
            length = x.shape[axis]
            period = np.arange(-before, length + after) % (2 * length)
            index = np.minimum(period, 2 * length - 1 - period)
            where = xp.asarray(index.copy(), device=x.device) if is_torch(x) else index
            x = xp.take(x, where, axis=axis)
    return x


def shrink(x: Array, factor: int, *, zeros: bool = False) -> Array:
    """Mean over `factor` x `factor` pixels, then every `factor`-th of them, as MATLAB's imfilter and 1:factor:end.

    The window of pixel i reaches from i - (factor - 1) // 2 to i + factor // 2; beyond the border stand zeros or,
    by default, the mirror image.
    """
    before, after = (factor - 1) // 2, factor // 2
    x = (pad_zeros if zeros else pad_mirror)(x, before, after, before, after)
    if is_torch(x):
        import torch

        return torch.nn.functional.avg_pool2d(x, factor)
    window = uniform_window(factor)
    return correlate(x, window, window)[..., ::factor, ::factor]


def weighted(x: Array, weights: tuple[float, ...]) -> Array:
    """Weighted sum of the three channels, (N, 3, H, W) to (N, 1, H, W); one channel stays as it is.

    Raises ChannelError for other channel counts.
    """
    channels = x.shape[1]
    if channels == 1:
        return x
    if channels != len(weights):
        raise ChannelError(f"luma needs 1 or 3 channels (grey or RGB), got {channels}; pass RGB or score the channels")
    return sum(w * x[:, i : i + 1] for i, w in enumerate(weights))


def to_luma(x: Array, colour: str, levels: float | None = None) -> Array:
    """The plane or planes that a metric looks at.

    colour: "rgb" leaves all channels; "luma" BT.601 full range, unrounded; "studio" BT.601 studio range without its
    offset; "matlab" ``rgb2gray``, rounded to the input's integers (`levels` steps; floats, where it is None, are
    not rounded, as MATLAB does). A grey picture is itself, but for "studio", which scales it by 219 / 255.
    """
    if colour == "rgb":
        return x
    if colour == "luma":
        return weighted(x, LUMA_FULL)
    if colour == "studio":
        return weighted(x, LUMA_STUDIO) if x.shape[1] != 1 else x * sum(LUMA_STUDIO)
    if colour == "matlab":
        grey = weighted(x, LUMA_MATLAB)
        return grey if levels is None or x.shape[1] == 1 else namespace(x).floor(grey * levels + 0.5) / levels
    raise ChannelError(f"colour must be rgb, luma, studio or matlab, got {colour!r}")


def plane_mean(x: Array) -> Array:
    """Mean over channels and pixels: (N, C, H, W) to (N,)."""
    return namespace(x).mean(x, axis=(1, 2, 3))


def positive_power(x: Array, exponent: float) -> Array:
    """X to the power where x is positive, else 0, with a finite gradient everywhere."""
    xp = namespace(x)
    positive = x > 0
    return xp.where(positive, xp.where(positive, x, xp.ones_like(x)) ** exponent, xp.zeros_like(x))


def positive_root(x: Array) -> Array:
    """Square root of x where x is positive, else 0, with a finite gradient everywhere."""
    return positive_power(x, 0.5)
