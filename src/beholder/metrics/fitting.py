"""Natural scene models of a domain of one's own: NIQE and IL-NIQE from good pictures, BRISQUE from scores."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sized
from typing import Any

import numpy as np

from beholder.arrays import Array, namespace
from beholder.errors import InputError, LayoutError
from beholder.metrics.fitted import Parameters
from beholder.metrics.measure import FULL_SCALE, dtype_name, to_unit
from beholder.metrics.natural import (
    block_moments,
    brisque_features,
    grey_levels,
    niqe_features,
    picture_moments,
    valid_blocks,
)
from beholder.progress import watch

__all__ = ["fit_brisque", "fit_ilniqe", "fit_niqe"]

Table = np.ndarray[Any, Any]
FEATURES = 36
"""Of a block, in NIQE."""


def _pictures(
    images: Iterable[Any], name: str, skip: bool, progress: bool | None
) -> Iterator[tuple[Table, float | None] | None]:
    """Pictures (1, C, H, W) in [0, 1], and the steps of their type; None for files that cannot be read, where `skip`.

    images: paths, or arrays as a metric takes them.
    """
    if isinstance(images, str | bytes | os.PathLike) or not isinstance(images, Iterable):
        raise InputError(f"{name} takes many pictures, got {images!r:.80}; pass a list of paths or arrays")
    total = len(images) if isinstance(images, Sized) else None
    with contextlib.closing(watch(images, total, "fitting", shown=progress)) as watched:
        for image in watched:
            batch = _batch(image, name, skip)
            if batch is None:
                yield None
                continue
            levels = FULL_SCALE.get(dtype_name(batch))
            for i in range(batch.shape[0]):
                yield to_unit(batch[i : i + 1], None, name), levels


def _batch(image: Any, name: str, skip: bool) -> Array | None:
    """Pictures (N, C, H, W) out of a source; None for a file that cannot be read, where `skip`."""
    from beholder.image import read_image

    if isinstance(image, str | bytes | os.PathLike):
        try:
            return read_image(image).batch
        except InputError as error:
            if skip:
                return None
            raise type(error)(f"{error}; mend it, or pass skip=True to leave such pictures out") from error
    if getattr(image, "ndim", 0) not in (3, 4):
        got = getattr(image, "shape", type(image).__name__)
        raise LayoutError(f"{name} takes paths, or arrays (C, H, W) or (N, C, H, W), got {got}; add the missing axes")
    return image if image.ndim == 4 else image[None]


def _as_numpy(x: Array) -> Table:
    return np.asarray(x.detach().cpu() if hasattr(x, "detach") else x, dtype=np.float64)


def _gaussian(rows: list[Table], name: str, least: int) -> tuple[Table, Table]:
    """Mean and covariance of the rows of features; InputError for fewer than `least`."""
    table = np.concatenate(rows) if rows else np.empty((0, 1))
    if len(table) < least:
        raise InputError(
            f"{name} found {len(table)} blocks with contrast, at least {least} are needed; pass more pictures, "
            "a hundred or more are usual"
        )
    return table.mean(0), np.atleast_2d(np.cov(table, rowvar=False))


def fit_niqe(
    images: Iterable[Any],
    *,
    block: int = 96,
    sharpness: float = 0.75,
    colour: str = "luma",
    source: str = "",
    skip: bool = False,
    progress: bool | None = None,
) -> Parameters:
    """Fit a NIQE model to pictures that are as they should be; more than a hundred is usual.

    images: paths, or arrays (C, H, W) or (N, C, H, W), uint8 or uint16, or floats in [0, 1]. block: side of the squares
    that are looked at, an even number. sharpness: of each picture, blocks count whose mean local deviation is above
    this share of the sharpest. colour: as for the metric. source: what the pictures are, for the file's header. skip:
    leave out files that cannot be read, which otherwise end the fit. progress: True for progress on stderr, False for
    none, default a bar where that is a terminal. Returns parameters: ``save`` them, or pass them as ``model=`` to
    ``metric("niqe", ...)``. Raises InputError for bad settings and for no more blocks than features, SizeError for
    pictures with fewer than two. Source: Mittal et al. 2013, doi:10.1109/LSP.2012.2227726.
    """
    if block < 2 or block % 2 or not 0 <= sharpness < 1:
        raise InputError(f"expected an even block of at least 2 and a sharpness in [0, 1), got {block} and {sharpness}")
    rows: list[Table] = []
    skipped = 0
    for found in _pictures(images, "fit_niqe", skip, progress):
        if found is None:
            skipped += 1
            continue
        picture, levels = found
        scales, sharp = block_moments(grey_levels(picture, colour, levels), block)
        features, sharp = _as_numpy(niqe_features(scales, "exact"))[0], _as_numpy(sharp)[0]
        valid = _as_numpy(namespace(sharp).asarray(valid_blocks(scales)))[0] > 0
        rows.append(features[valid & (sharp > sharpness * sharp.max())])
    mean, covariance = _gaussian(rows, "fit_niqe", FEATURES + 1)  # with fewer, the covariance is singular
    header = {"metric": "niqe", "block": block, "sharpness": sharpness, "colour": colour, "source": source}
    counts = {"pictures": len(rows), "skipped": skipped, "blocks": sum(map(len, rows))}
    return Parameters({**header, **counts}, {"mean": mean, "covariance": covariance})


def fit_brisque(
    images: Iterable[Any],
    scores: Iterable[float],
    *,
    gamma: float = 0.05,
    cost: float = 1024.0,
    margin: float = 0.1,
    colour: str = "luma",
    source: str = "",
    skip: bool = False,
    progress: bool | None = None,
) -> Parameters:
    """Fit a BRISQUE regression to pictures and their scores; memory grows with the square of their number.

    images: as for `fit_niqe`. scores: one number for each, lower is better, as the metric's card says (negate or
    mirror mean opinion scores). gamma: of the radial basis functions of features scaled to [-1, 1]; cost and margin:
    of the support vector regression, the values of the authors by default. skip, progress: as for `fit_niqe`; a score
    is given for every picture, left out or not. Returns parameters: ``save`` them, or pass them as ``model=`` to
    ``metric("brisque", ...)``. Raises InputError where counts differ, for fewer than two pictures, and for scores that
    are not finite or all alike. Source: Mittal et al. 2012, doi:10.1109/TIP.2012.2214050.
    """
    found = [
        None
        if given is None
        else _as_numpy(brisque_features(picture_moments(grey_levels(given[0], colour, given[1])), "exact"))
        for given in _pictures(images, "fit_brisque", skip, progress)
    ]
    target = _numbers(scores)
    kept = [i for i, row in enumerate(found) if row is not None]
    if len(found) != len(target) or len(kept) < 2 or not np.isfinite(target).all():
        raise InputError(
            f"fit_brisque takes two pictures or more and a finite score for each, got {len(kept)} pictures and "
            f"{len(target)} scores, {int((~np.isfinite(target)).sum())} of them not finite; pair them"
        )
    target = target[kept]
    if np.ptp(target) <= 2 * margin:
        raise InputError(
            f"fit_brisque learns differences of more than twice its margin of {margin:g}, got scores from "
            f"{target.min():g} to {target.max():g}; pass scores on a wider scale, or a smaller margin"
        )
    features = np.concatenate([row for row in found if row is not None])
    if not np.ptp(features, axis=0).any():
        raise InputError(f"fit_brisque got {len(kept)} pictures that are all alike; pass different ones")
    low, high = features.min(0), features.max(0)
    high = np.where(high > low, high, low + 1)
    scaled = 2 * (features - low) / (high - low) - 1
    weights, bias = support_vectors(scaled, target, gamma, cost, margin)
    used = weights != 0
    header = {"metric": "brisque", "gamma": gamma, "rho": -bias, "pictures": len(target), "source": source}
    header["skipped"] = len(found) - len(kept)
    arrays = {"vectors": scaled[used], "coefficients": weights[used], "low": low, "high": high}
    return Parameters({**header, "cost": cost, "margin": margin, "colour": colour}, arrays)


def _numbers(scores: Iterable[Any]) -> Table:
    try:
        return np.asarray(list(scores), dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise InputError(f"scores are numbers, one for each picture, got {scores!r:.80}; convert them") from error


def support_vectors(
    points: Table, target: Table, gamma: float, cost: float, margin: float, tolerance: float = 1e-3
) -> tuple[Table, float]:
    """Weights and bias of an epsilon support vector regression with radial basis functions.

    points: (n, d); target: (n,). Stops when the optimality conditions hold within `tolerance`. By sequential minimal
    optimisation, pairs chosen by second order: Fan, Chen and Lin 2005, Working set selection using second order
    information for training support vector machines, JMLR 6.
    """
    squares = (points**2).sum(1)
    kernel = np.exp(-gamma * np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0))
    n = len(target)
    share = np.zeros((2, n))  # what pulls up, and what pulls down
    pull = target.copy()  # target less prediction without bias
    for _ in range(10_000_000):
        value = np.stack([pull - margin, pull + margin])
        up = np.where(np.stack([share[0] < cost, share[1] > 0]), value, -np.inf)
        down = np.where(np.stack([share[0] > 0, share[1] < cost]), value, np.inf)
        side, i = divmod(int(np.argmax(up)), n)
        best = up[side, i]
        if best - down.min() < tolerance:
            break
        curve = np.maximum(2 - 2 * kernel[i], 1e-12)
        gain = np.where(down < best, (best - down) ** 2 / curve, -np.inf)
        other, j = divmod(int(np.argmax(np.where(np.isfinite(down), gain, -np.inf))), n)
        room = cost - share[0, i] if side == 0 else share[1, i]
        room = min(room, share[0, j] if other == 0 else cost - share[1, j])
        step = min((best - down[other, j]) / curve[j], room)
        share[side, i] += step if side == 0 else -step
        share[other, j] -= step if other == 0 else -step
        pull -= step * (kernel[i] - kernel[j])
    return share[0] - share[1], float((best + down.min()) / 2)


def fit_ilniqe(
    images: Iterable[Any],
    *,
    components: int = 430,
    contrast: float = 0.5,
    source: str = "",
    skip: bool = False,
    progress: bool | None = None,
) -> Parameters:
    """Fit an IL-NIQE model to colour pictures that are as they should be; it keeps 430 principal components.

    images: as for `fit_niqe`. components: how many principal components of the 468 features are kept, fewer where
    there are fewer blocks. contrast: of each picture, blocks count whose mean local deviation is above this share of
    the highest. source: what the pictures are, for the file's header. skip, progress: as for `fit_niqe`. Returns
    parameters: ``save`` them, or pass them as ``model=`` to ``metric("ilniqe", ...)``. Raises InputError for fewer than
    two pictures, or two blocks. Source: Zhang et al. 2015, doi:10.1109/TIP.2015.2426416.
    """
    from beholder.metrics.ilniqe import block_features

    rows: list[Table] = []
    skipped = 0
    for found in _pictures(images, "fit_ilniqe", skip, progress):
        if found is None:
            skipped += 1
            continue
        features, sharp = (_as_numpy(a)[0] for a in block_features(found[0]))
        rows.append(features[sharp > contrast * sharp.max()])
    if len(rows) < 2:
        raise InputError(f"fit_ilniqe takes two pictures or more, got {len(rows)}; a hundred or more are usual")
    mean, covariance = _gaussian(rows, "fit_ilniqe", 2)
    strength, vectors = np.linalg.eigh(covariance)
    keep = slice(None, -1 - min(components, len(strength), sum(map(len, rows)) - 1), -1)
    header = {"metric": "ilniqe", "pictures": len(rows), "skipped": skipped, "contrast": contrast}
    header["blocks"] = sum(map(len, rows))
    arrays = {"centre": mean, "vectors": vectors[:, keep], "mean": np.zeros(len(strength[keep]))}
    return Parameters({**header, "source": source}, {**arrays, "covariance": strength[keep]})
