"""Fused CPU kernels: accelerated twins of the metric definitions, held equal to them by tests.

Every function takes two C-contiguous uint8 arrays of equal shape, (H, W) or interleaved (H, W, 3), works on strips or
tiles with small float32 buffers that stay in the cache, and adds up in float64. `threads` strips run at once, with the
global interpreter lock released; the value does not depend on it. The code is in `code`, compiled once by `machine`
and kept in a per-user cache folder (NUMBA_CACHE_DIR, where set, else the system's), or in memory alone where no
folder can be written.
"""

from __future__ import annotations

import ctypes
import itertools
import math
import threading
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from beholder.errors import ChannelError, InputError, LayoutError, SizeError
from beholder.kernels import machine
from beholder.kernels.machine import place
from beholder.kernels.sizes import (
    FULL,
    GMSD_ROWS,
    LINE,
    LUMA_BLOCK,
    MAP,
    PLAIN,
    ROUNDED,
    STUDIO,
    TAPS,
    TILE,
    TILE_ROWS,
    gmsd_pitch,
)
from beholder.strips import run

__all__ = ["absolute_error", "gmsd", "squared_error", "ssim", "ssim_terms"]

Array = Any
LUMA = {"full": FULL, "matlab": ROUNDED, "studio": STUDIO}
SMALL = 65536  # values that are not worth a second thread
WORTH = {"squared": 1 << 21, "absolute": 1 << 21}  # nor are these: handing them over takes longer than doing them
PIECE = 1 << 20  # values of these at a time: a thread that starts late finds less left
_own = threading.local()


def _aligned(shape: tuple[int, ...], kind: Any) -> Array:
    """Zeros that start at a cache line."""
    size = math.prod(shape) * np.dtype(kind).itemsize
    room = np.zeros(size + 64, np.uint8)
    skip = -room.ctypes.data % 64
    return room[skip : skip + size].view(kind).reshape(shape)


def _room(name: str, columns: int, mode: int) -> tuple[Array | None, Array | None]:
    """What a kernel works in: `line` and `maps`. A thread keeps that of ssim, which is large and always the same."""
    if name == "gmsd":
        count = ((columns if mode == PLAIN else columns // 3) + 1) // 2
        return _aligned((GMSD_ROWS, gmsd_pitch(count)), np.float32), np.zeros(columns, np.uint8)
    if name.startswith("double"):
        return _aligned((2, LINE), np.float64), _aligned((4, MAP), np.float64)
    if name not in ("ssim", "terms", "terms_float"):
        return None, None
    if not hasattr(_own, "room"):
        _own.room = _aligned((2, LINE), np.float32), _aligned((4, MAP), np.float32)
    kept: tuple[Array, Array] = _own.room
    return kept


@dataclass(frozen=True)
class _Job:
    """A kernel and what it is given: flat rows of two pictures."""

    name: str
    x: Array
    y: Array
    columns: int  # values in a row
    mode: int = PLAIN
    step: int = 1
    marks: Array | None = None

    def part(self, first: int, last: int) -> list[float]:
        """What the kernel finds in a range."""
        out, (line, maps) = (ctypes.c_double * 3)(), _room(self.name, self.columns, self.mode)
        machine.kernel(self.name)(
            place(self.x), place(self.y), self.x.size // self.columns, self.columns, self.mode, self.step,
            place(self.marks), place(line), place(maps), ctypes.addressof(out), first, last,
        )  # fmt: skip
        return list(out)


def _run(job: _Job, units: int, threads: int) -> list[list[float]]:
    """What a kernel finds in each of some equal ranges of its values, tiles or rows: one for each thread, or more."""
    if threads < 1:
        raise InputError(f"expected threads of at least 1, got {threads}; pass how many strips to run at once")
    workers = max(1, min(threads, units, job.x.size // WORTH.get(job.name, SMALL)))
    parts = job.x.size // PIECE if workers > 1 and job.name in WORTH else workers
    cuts = [units * part // parts for part in range(parts + 1)]
    return run(lambda span: job.part(*span), itertools.pairwise(cuts), workers)


def _check(image: Array, reference: Array, smallest: int, kinds: tuple[Any, ...] = (np.uint8,)) -> None:
    for role, array in (("image", image), ("reference", reference)):
        if not isinstance(array, np.ndarray) or array.dtype not in kinds or not array.flags.c_contiguous:
            got = f"{array.dtype}, strides {array.strides}" if isinstance(array, np.ndarray) else type(array).__name__
            wanted = " or ".join(np.dtype(kind).name for kind in kinds)
            raise LayoutError(
                f"{role}: expected a C-contiguous NumPy array of {wanted}, got {got}; "
                "convert it, or pass it through numpy.ascontiguousarray"
            )
        if array.ndim != 2 and (array.ndim != 3 or array.shape[2] != 3):
            raise ChannelError(f"{role}: expected shape (H, W) or (H, W, 3), got {array.shape}; drop other channels")
    if image.shape != reference.shape or image.dtype != reference.dtype:
        got = f"{image.dtype} {image.shape} and {reference.dtype} {reference.shape}"
        raise SizeError(f"expected image and reference of one shape and type, got {got}; crop or convert one of them")
    if min(image.shape[:2]) < smallest:
        size = f"{image.shape[0]}x{image.shape[1]}"
        raise SizeError(f"expected at least {smallest}x{smallest} pixels, got {size}; pass larger pictures")


def _mode(image: Array, luma: str, allowed: tuple[str, ...]) -> int:
    if luma not in allowed:
        raise InputError(f"luma: expected one of {', '.join(map(repr, allowed))}, got {luma!r}")
    return PLAIN if image.ndim == 2 else LUMA.get(luma, PLAIN)


def _total(job: _Job, units: int, threads: int) -> float:
    return float(math.fsum(part[0] for part in _run(job, units, threads)))


def squared_error(image: Array, reference: Array, threads: int = 1, luma: str = "") -> float:
    """Mean squared error in squared units of 0..255, exact to the last bit without luma.

    image, reference: uint8, C-contiguous, (H, W) or (H, W, 3). luma: "" for all values, "studio" for MATLAB's unrounded
    rgb2ycbcr (ITU-R BT.601, 16..235; grey counts as R = G = B), "full" for .299 R + .587 G + .114 B.
    Raises LayoutError, ChannelError, SizeError or InputError.
    """
    _check(image, reference, 1)
    mode = _mode(image, luma, ("", "studio", "full"))
    pixels = int(image.size) if mode == PLAIN else int(image.size) // 3
    if mode == PLAIN:
        scale = (219 / 255) ** 2 if luma == "studio" else 1.0
        return _total(_Job("squared", image, reference, image.size), image.size, threads) * scale / pixels
    return _total(_Job("luma", image, reference, image.size, mode), -(-pixels // LUMA_BLOCK), threads) / pixels


def absolute_error(image: Array, reference: Array, threads: int = 1) -> float:
    """Mean absolute error in units of 0..255, exact to the last bit; input and errors as for squared_error."""
    _check(image, reference, 1)
    return _total(_Job("absolute", image, reference, image.size), image.size, threads) / int(image.size)


def _mean_terms(fast: str, double: str, job: _Job, threads: int) -> tuple[float, float]:
    """Means of SSIM and of its contrast-structure term; tiles that the fast kernel flags are done again, exactly."""
    rows = job.x.size // job.columns
    height, width = rows - TAPS, (job.columns if job.mode == PLAIN else job.columns // 3) - TAPS * job.step
    flags = np.zeros(-(-height // TILE_ROWS) * -(-width // TILE), np.uint8)
    parts = _run(replace(job, name=fast, marks=flags), flags.size, threads)
    chosen = np.flatnonzero(flags)
    if chosen.size:
        parts += _run(replace(job, name=double, marks=chosen), chosen.size, threads)
    totals, contrasts, _ = zip(*parts, strict=True)
    return math.fsum(totals) / (height * width), math.fsum(contrasts) / (height * width)


def ssim(image: Array, reference: Array, threads: int = 1, luma: str = "") -> float:
    """Mean structural similarity, -1 to 1, with the 11x11 Gaussian of sigma 1.5, valid windows, no downsampling.

    image, reference: uint8, C-contiguous, (H, W) or (H, W, 3), at least 11x11. luma: "" for the mean over the channels,
    "full" for unrounded .299 R + .587 G + .114 B, "matlab" for rgb2gray, rounded; nothing on grey pictures.
    Raises LayoutError, ChannelError, SizeError or InputError.
    Source: Wang et al. 2004, Image Quality Assessment: From Error Visibility to Structural Similarity,
    doi:10.1109/TIP.2003.819861.
    """
    _check(image, reference, 11)
    mode = _mode(image, luma, ("", "full", "matlab"))
    step = 3 if image.ndim == 3 and mode == PLAIN else 1
    job = _Job("ssim", image, reference, image.size // image.shape[0], mode, step)
    return _mean_terms("ssim", "double", job, threads)[0]


def ssim_terms(image: Array, reference: Array, threads: int = 1) -> tuple[float, float]:
    """Mean SSIM and its mean contrast-structure term, as MS-SSIM needs them for every scale.

    image, reference: planes (H, W) of at least 11x11, uint8 or float32 in 0..255, C-contiguous.
    Raises LayoutError, ChannelError or SizeError. Source: as for ssim, and Wang et al. 2003, Multiscale Structural
    Similarity for Image Quality Assessment, doi:10.1109/ACSSC.2003.1292216.
    """
    _check(image, reference, 11, (np.uint8, np.float32))
    if image.ndim != 2:
        raise ChannelError(f"expected planes of shape (H, W), got {image.shape}; pass one channel at a time")
    names = ("terms", "double") if image.dtype == np.uint8 else ("terms_float", "double_float")
    return _mean_terms(*names, _Job(names[0], image, reference, image.shape[1]), threads)


def gmsd(image: Array, reference: Array, threads: int = 1, luma: str = "full") -> float:
    """Gradient magnitude similarity deviation, from 0 for equal pictures upwards.

    image, reference: uint8, C-contiguous, (H, W) or (H, W, 3), at least 2x2. luma: "full" for unrounded
    .299 R + .587 G + .114 B, "matlab" for rgb2gray, rounded; nothing on grey pictures.
    Raises LayoutError, ChannelError, SizeError or InputError.
    Source: Xue et al. 2014, Gradient Magnitude Similarity Deviation, doi:10.1109/TIP.2013.2293423, and the authors'
    program: zeros beyond the border, the standard deviation over N - 1.
    """
    _check(image, reference, 2)
    mode = _mode(image, luma, ("full", "matlab"))
    rows = image.shape[0]
    parts = _run(_Job("gmsd", image, reference, image.size // rows, mode), (rows + 1) // 2, threads)
    number = math.fsum(part[0] for part in parts)
    mean = math.fsum(part[0] * part[1] for part in parts) / number
    spread = math.fsum(part[2] + part[0] * (part[1] - mean) ** 2 for part in parts)
    return math.sqrt(spread / max(number - 1, 1))
