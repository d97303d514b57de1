"""Perceived blur by the widths of edges: CPBD and JNB.

Both decide about single pixels: they have no gradient, and work on NumPy arrays whatever they are given.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from beholder.arrays import LUMA_FULL, Array, is_torch, namespace, weighted
from beholder.metrics.registry import metric

BETA = 3.6
"""Exponent of the probability that blur is seen, from the authors' experiments."""
_LIMITS = np.array([5, 3])  # just noticeable widths, in blocks of a contrast of at most 50 of 255 and in others
_STEP = 1000


def _by_widths(image: Array, every: bool) -> list[tuple[Any, int]]:
    """For each picture the edges' widths and the number of blocks, as `artefact_edges.edge_widths`."""
    from beholder.kernels.artefact_edges import edge_widths

    luma = weighted(image, LUMA_FULL)[:, 0]
    luma = luma.detach().cpu().numpy() if is_torch(luma) else luma
    found = []
    for plane in luma:
        whole = np.rint(plane * np.asarray(255 * _STEP, plane.dtype)).astype(np.int32)
        found.append(edge_widths(partial(_rows, whole), whole.shape[0], whole.shape[1], 1, every))
    return found


def _rows(luma: Any, top: int, bottom: int) -> Any:
    return luma[top:bottom]


def _rows_of_bytes(image: Any, top: int, bottom: int) -> Any:
    part = image[top:bottom]
    if part.ndim == 2:
        return part * np.int32(_STEP)
    return sum(part[..., i] * np.int32(round(w * _STEP)) for i, w in enumerate(LUMA_FULL))


def _of_bytes(image: Any, threads: int, every: bool) -> tuple[Any, int]:
    """The same for one picture of bytes."""
    from beholder.kernels.artefact_edges import edge_widths

    return edge_widths(partial(_rows_of_bytes, image), image.shape[0], image.shape[1], threads, every)


def _as_given(image: Array, values: list[float]) -> Array:
    xp = namespace(image)
    where = {"device": image.device} if is_torch(image) else {}
    return xp.asarray(values, dtype=image.dtype, **where)


def _unseen(counts: Any) -> float:
    seen = [counts[i, : limit + 1].sum() for i, limit in enumerate(_LIMITS)]
    return float(sum(seen) / max(counts.sum(), 1))


def _sharpness(counts: Any, blocks: int) -> float:
    width = np.arange(counts.shape[1])
    blur = ((width / _LIMITS[:, None]) ** BETA * counts).sum()
    return float(blocks / blur ** (1 / BETA)) if blur > 0 else 0.0


def _cpbd_kernel(image: Any, *, threads: int) -> float | None:
    return _unseen(_of_bytes(image, threads, every=False)[0])


def _jnb_kernel(image: Any, *, threads: int) -> float | None:
    return _sharpness(*_of_bytes(image, threads, every=True))


@metric(
    "cpbd",
    better="higher",
    range=(0.0, 1.0),
    unit="",
    needs="image",
    min_size=64,
    paper="Narvekar and Karam 2011, A no-reference image blur metric based on the cumulative probability of blur "
    "detection (CPBD), doi:10.1109/TIP.2011.2131660",
    verified=("",),
    differentiable=False,
    kernel=_cpbd_kernel,
)
def cpbd(image: Array) -> Array:
    """Share of the edges whose blur is not seen, being no wider than just noticeable; 0 where there are no edges.

    image: (N, C, H, W) in [0, 1], C 1 or 3. Returns (N,). Edges are vertical ones by Sobel's filter, their widths the
    monotone run of luma along the row; in each block of 64 x 64 pixels with edges, 5 pixels are just noticeable up to
    a contrast of 50 of 255, 3 pixels above it. Thresholds as in the Python package cpbd, whose values it has; but luma
    (BT.601) counts in thousandths of an 8-bit step, so that rounding never decides about an edge.
    """
    return _as_given(image, [_unseen(counts) for counts, _ in _by_widths(image, every=False)])


@metric(
    "jnb",
    better="higher",
    range=(0.0, float("inf")),
    unit="",
    needs="image",
    min_size=64,
    paper="Ferzli and Karam 2009, A no-reference objective image sharpness metric based on the notion of just "
    "noticeable blur (JNB), doi:10.1109/TIP.2008.2011760",
    verified=("",),
    differentiable=False,
    kernel=_jnb_kernel,
)
def jnb(image: Array) -> Array:
    """Blocks with edges over the pooled widths of their edges in just noticeable widths; 0 where there are no edges.

    image: (N, C, H, W) in [0, 1], C 1 or 3. Returns (N,). Edges, widths and just noticeable widths as for `cpbd`,
    pooled by the exponent 3.6 of probability summation. It grows with the number of blocks: compare pictures of one
    size.
    """
    return _as_given(image, [_sharpness(*found) for found in _by_widths(image, every=True)])
