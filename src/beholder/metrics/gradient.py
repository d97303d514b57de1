"""Gradient similarity: GMSD."""

from __future__ import annotations

from typing import Any

from beholder.arrays import Array, correlate, namespace, pad_zeros, positive_root, shrink, to_luma
from beholder.metrics.registry import metric

_KERNEL_LUMA = {"luma": "full", "matlab": "matlab"}


def prewitt_energy(x: Array) -> Array:
    """Squared Prewitt gradient magnitude of every plane, zeros beyond the border; same shape."""
    x = pad_zeros(x, 1, 1, 1, 1)
    mean, step = (1 / 3, 1 / 3, 1 / 3), (1.0, 0.0, -1.0)
    return correlate(x, mean, step) ** 2 + correlate(x, step, mean) ** 2


def _gmsd_kernel(
    image: Any, reference: Any, *, threads: int, colour: str = "luma", c: float = 170 / 255**2
) -> float | None:
    from beholder import kernels

    if colour not in _KERNEL_LUMA or c != 170 / 255**2:
        return None
    return kernels.gmsd(image, reference, threads=threads, luma=_KERNEL_LUMA[colour])


@metric(
    "gmsd",
    better="lower",
    range=(0.0, 0.53),
    unit="",
    needs="reference",
    min_size=6,
    paper="Xue et al. 2014, Gradient magnitude similarity deviation, doi:10.1109/TIP.2013.2293423",
    presets={"matlab": {"colour": "matlab"}},
    verified=("", "matlab"),
    kernel=_gmsd_kernel,
)
def gmsd(
    image: Array,
    reference: Array,
    *,
    c: float = 170 / 255**2,
    colour: str = "luma",
    levels: float | None = None,
) -> Array:
    """Spread of the local similarity of gradient magnitudes; 0 for equal pictures.

    image, reference: (N, C, H, W) in [0, 1], C 1 or 3, equal shapes. Returns (N,). Both are averaged over 2x2 and
    halved first, gradients are Prewitt, the spread is the sample standard deviation, as in the authors' program: below
    0.53, half the span of a similarity and a little more on nine samples. The default takes full-range BT.601 luma;
    the preset ``matlab`` rounded ``rgb2gray``, as the authors' program is fed.
    """
    xp = namespace(image, reference)
    ex, ey = (prewitt_energy(shrink(to_luma(a, colour, levels), 2, zeros=True)) for a in (image, reference))
    similar = (2 * positive_root(ex * ey) + c) / (ex + ey + c)
    pixels = similar.shape[-1] * similar.shape[-2]
    deviation = similar - xp.mean(similar, axis=(-2, -1), keepdims=True)
    return positive_root(xp.sum(deviation**2, axis=(1, 2, 3)) / (pixels - 1))
