"""Local quality of a distorted picture beside its original, as a map that a network can learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.arrays import LUMA_FULL, gaussian_window
from beholder.errors import InputError

KINDS = ("ssim", "gmsd")


def local_similarity(image: NDArray[np.uint8], reference: NDArray[np.uint8], kind: str = "ssim") -> NDArray[np.float32]:
    """Quality of every pixel, 0-100: 100 times the local SSIM, or GMSD's similarity of gradients, on luma.

    image, reference: uint8 (H, W, 3). Returns (H, W): edge pixels are continued, negative similarity counts as 0.
    Raises InputError for another kind. Sources: Wang et al. 2004, doi:10.1109/TIP.2003.819861; Xue et al. 2014,
    doi:10.1109/TIP.2013.2293423.
    """
    x, y = (a.astype(np.float32) @ np.asarray(LUMA_FULL, np.float32) / np.float32(255) for a in (image, reference))
    if kind not in KINDS:
        raise InputError(f"a map is one of {', '.join(KINDS)}, got {kind!r}")
    similar = _ssim(x, y) if kind == "ssim" else _gradients(x, y)
    return np.asarray(np.clip(similar, 0, 1) * 100, dtype=np.float32)


def _ssim(x: Any, y: Any) -> Any:
    from scipy.ndimage import correlate1d

    taps = gaussian_window(11, 1.5)

    def blur(a: Any) -> Any:
        return correlate1d(correlate1d(a, taps, axis=0, mode="nearest"), taps, axis=1, mode="nearest")

    mx, my = blur(x), blur(y)
    vx, vy, both = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    return ((2 * mx * my + 1e-4) * (2 * both + 9e-4)) / ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4))


def _gradients(x: Any, y: Any) -> Any:
    from scipy.ndimage import prewitt

    energies = [(prewitt(a, 0) / 3) ** 2 + (prewitt(a, 1) / 3) ** 2 for a in (x, y)]
    c = 170 / 255**2
    return (2 * np.sqrt(energies[0] * energies[1]) + c) / (energies[0] + energies[1] + c)
