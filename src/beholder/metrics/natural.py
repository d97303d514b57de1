"""Naturalness by scene statistics: NIQE, without opinions, and BRISQUE, with a regression to them."""

from __future__ import annotations

import functools
import math
from typing import Any, Literal

from beholder.arrays import LUMA_STUDIO, Array, namespace, positive_root, to_luma, weighted
from beholder.errors import SizeError
from beholder.metrics.fitted import Parameters, parameters_of, prepare_model
from beholder.metrics.registry import metric
from beholder.metrics.settings import Luma
from beholder.resizing import resize
from beholder.statistics import FLAT, Moments, double, fit_asymmetric, fit_gaussian, like, moments, normalise

SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Neighbours whose products are looked at: to the left, above, and on both diagonals, around the end of a region."""
HALF = 0.5 + 1e-6
"""What rounds halves up in spite of rounding errors."""


def grey_levels(image: Array, colour: str, levels: float | None) -> Array:
    """Luma in grey levels, 0 to 255, in double precision: (N, C, H, W) to (N, 1, H, W).

    colour: as for `to_luma`; "studio" is rounded here, as "matlab" is, if `levels` is given.
    """
    image = double(image)
    if colour == "studio":
        grey = weighted(image, LUMA_STUDIO) if image.shape[1] == 3 else image * sum(LUMA_STUDIO)
        return 255 * (grey if levels is None else namespace(grey).floor(grey * levels + HALF) / levels)
    return 255 * to_luma(image, colour, levels)


def regions(x: Array, side: int) -> Array:
    """Whole squares of a plane: (N, 1, H, W) to (N, rows, columns, side, side); what is left over is cut off."""
    rows, columns = x.shape[-2] // side, x.shape[-1] // side
    xp = namespace(x)
    squares = xp.reshape(x[:, 0, : rows * side, : columns * side], (x.shape[0], rows, side, columns, side))
    return xp.permute_dims(squares, (0, 1, 3, 2, 4))


def local_moments(x: Array) -> list[Moments]:
    """Moments of normalised luminance and of its products with four neighbours, over the last two axes."""
    xp = namespace(x)
    flat = (*x.shape[:-2], x.shape[-2] * x.shape[-1])
    products = (x * xp.roll(x, shift, axis=(-2, -1)) for shift in SHIFTS)
    return [moments(xp.reshape(a, flat)) for a in (x, *products)]


def _joined(found: list[Moments]) -> Moments:
    """Moments of several sorts as one, the sorts along a new first axis: they are fitted at once."""
    return Moments(*(namespace(found[0].square).stack(parts) for parts in zip(*found, strict=True)))


def niqe_features(scales: list[list[Moments]], inverse: str) -> Array:
    """The 36 features of every region out of the moments at two scales: (..., 36)."""
    fits = fit_asymmetric(_joined([m for found in scales for m in found]), inverse)
    features: list[Array] = []
    for i in range(fits.alpha.shape[0]):
        alpha, left, right = fits.alpha[i], fits.left_scale[i], fits.right_scale[i]
        features += [alpha, fits.mean[i], left, right] if i % 5 else [alpha, (left + right) / 2]
    return namespace(features[0]).stack(features, axis=-1)


def brisque_features(scales: list[list[Moments]], inverse: str) -> Array:
    """The 36 features of every picture out of the moments at two scales: (..., 36)."""
    products = _joined([m for _, *found in scales for m in found])
    fits = fit_asymmetric(products, inverse)
    shapes, variances = fit_gaussian(_joined([own for own, *_ in scales]), inverse)
    features: list[Array] = []
    for i in range(fits.alpha.shape[0]):
        if i % 4 == 0:
            features += [shapes[i // 4], variances[i // 4]]
        features += [fits.alpha[i], fits.mean[i], products.below[i], products.above[i]]
    return namespace(features[0]).stack(features, axis=-1)


def block_moments(grey: Array, block: int) -> tuple[list[list[Moments]], Array]:
    """Moments of every block at both scales, and its sharpness, the mean local deviation: (N, blocks) each."""
    rows, columns = grey.shape[-2] // block, grey.shape[-1] // block
    if rows * columns < 2:
        size = f"{grey.shape[-2]}x{grey.shape[-1]}"
        raise SizeError(f"niqe needs at least two blocks of {block}x{block} pixels, got {size}; pass larger pictures")
    grey = grey[..., : rows * block, : columns * block]
    xp = namespace(grey)
    count = (grey.shape[0], rows * columns)
    scales: list[list[Moments]] = []
    sharpness: Any = None
    for side in (block, block // 2):
        if scales:
            grey = resize(grey, scale=0.5)
        normal, deviation = normalise(grey)
        found = local_moments(regions(normal, side))
        scales.append([Moments(*(xp.reshape(a, count) for a in m)) for m in found])
        if sharpness is None:
            sharpness = xp.reshape(xp.mean(regions(deviation, side), axis=(-2, -1)), count)
    return scales, sharpness


def naturalness(features: Array, valid: Array, parameters: Parameters) -> Array:
    """Distance of the Gaussian of a picture's blocks from that of natural pictures: (N, B, 36) and (N, B) to (N,)."""
    xp = namespace(features)
    mean, covariance = (like(parameters[name], features) for name in ("mean", "covariance"))
    weight = xp.astype(valid, features.dtype)
    weight = xp.where(xp.sum(weight, axis=-1, keepdims=True) > 0, weight, xp.ones_like(weight))[..., None]
    count = xp.sum(weight, axis=-2)
    own = xp.sum(features * weight, axis=-2) / count
    off = (features - own[:, None, :]) * weight
    spread = xp.matmul(xp.matrix_transpose(off), off) / xp.clip(count - 1, 1, math.inf)[..., None]
    step = (own - mean)[:, None, :]
    inverse = xp.linalg.pinv((spread + covariance) / 2, rtol=features.shape[-1] * 2.3e-16)
    return positive_root(xp.matmul(xp.matmul(step, inverse), xp.matrix_transpose(step))[:, 0, 0])


def valid_blocks(scales: list[list[Moments]]) -> Array:
    """Which blocks have statistics: flat ones have none, at either scale."""
    return (scales[0][0].square > FLAT) & (scales[1][0].square > FLAT)


def _niqe_kernel(
    image: Any, *, threads: int, colour: str = "luma", model: Any = "live", inverse: str = "exact"
) -> float | None:
    from beholder.kernels import natural as fast

    parameters = parameters_of(model, "niqe")
    block = int(parameters.header["block"])
    size = tuple(n // block * block for n in image.shape[:2])
    if colour not in fast.MODES or size[0] * size[1] < 2 * block**2:
        return None
    plane = fast.grey(image, colour, (size[0], size[1]), threads)
    scales = [fast.block_moments(plane, block, threads)]
    scales.append(fast.block_moments(fast.half(plane, threads), block // 2, threads))
    features, valid = niqe_features(scales, inverse), valid_blocks(scales)
    return float(naturalness(features[None], valid[None], parameters)[0])


@metric(
    "niqe",
    better="lower",
    range=(0.0, math.inf),
    unit="",
    needs="image",
    min_size=192,
    paper="Mittal et al. 2013, Making a completely blind image quality analyzer, doi:10.1109/LSP.2012.2227726",
    presets={
        "live": {"colour": "matlab", "model": "live"},
        "basicsr": {"colour": "studio", "model": "live"},
    },
    verified=("", "live", "basicsr"),
    file_setting="model",
    prepare=functools.partial(prepare_model, "niqe"),
    kernel=_niqe_kernel,
)
def niqe(
    image: Array,
    *,
    colour: Luma = "luma",
    model: Any = "live",
    inverse: Literal["exact", "table"] = "exact",
    levels: float | None = None,
) -> Array:
    """Distance of a picture's statistics from those of natural photographs, without opinions; lower is more natural.

    image: (N, C, H, W) in [0, 1], C 1 or 3, with room for two blocks of 96x96 or more. Returns (N,), about 3 for
    photographs. model: "live" (the authors' parameters), the path of a file that `fit_niqe` made, or what it returned.
    inverse: "exact", or "table", shapes in steps of .001 as in the authors' program, without gradients. Blocks without
    any contrast are left out. The default takes full-range BT.601 luma; the preset ``live`` takes ``rgb2gray``
    (integers rounded), as the authors' program is fed; ``basicsr`` studio-range luma (integers rounded), as BasicSR and
    super-resolution papers do.
    """
    parameters = parameters_of(model, "niqe")
    grey = grey_levels(image, colour, levels)
    scales, _ = block_moments(grey, int(parameters.header["block"]))
    value = naturalness(niqe_features(scales, inverse), valid_blocks(scales), parameters)
    return namespace(value).astype(value, image.dtype)


def regress(features: Array, parameters: Parameters) -> Array:
    """The support vector regression of BRISQUE: (N, 36) to (N,)."""
    xp = namespace(features)
    low, high, vectors, weights = (like(parameters[n], features) for n in ("low", "high", "vectors", "coefficients"))
    scaled = 2 * (features - low) / (high - low) - 1
    distance = xp.sum((scaled[:, None, :] - vectors) ** 2, axis=-1)
    near = xp.exp(-float(parameters.header["gamma"]) * distance)
    return xp.sum(weights * near, axis=-1) - float(parameters.header["rho"])


def _brisque_kernel(
    image: Any, *, threads: int, colour: str = "luma", model: Any = "live", inverse: str = "exact"
) -> float | None:
    from beholder.kernels import natural as fast

    if colour not in fast.MODES:
        return None
    plane = fast.grey(image, colour, image.shape[:2], threads)
    scales = [fast.plane_moments(plane, threads), fast.plane_moments(fast.half(plane, threads), threads)]
    return float(regress(brisque_features(scales, inverse), parameters_of(model, "brisque"))[0])


def picture_moments(grey: Array) -> list[list[Moments]]:
    """Moments of whole pictures at both scales: (N,) each."""
    scales: list[list[Moments]] = []
    for _ in range(2):
        if scales:
            grey = resize(grey, scale=0.5)
        scales.append(local_moments(normalise(grey, zeros=True)[0][:, 0]))
    return scales


@metric(
    "brisque",
    better="lower",
    range=(-math.inf, math.inf),
    unit="",
    needs="image",
    min_size=2,
    paper="Mittal et al. 2012, No-reference image quality assessment in the spatial domain, "
    "doi:10.1109/TIP.2012.2214050",
    presets={"live": {"colour": "matlab", "model": "live"}},
    verified=("", "live"),
    file_setting="model",
    prepare=functools.partial(prepare_model, "brisque"),
    kernel=_brisque_kernel,
)
def brisque(
    image: Array,
    *,
    colour: Luma = "luma",
    model: Any = "live",
    inverse: Literal["exact", "table"] = "exact",
    levels: float | None = None,
) -> Array:
    """Opinion score as a regression on scene statistics predicts it, about 0 (best) to 100; it may fall outside.

    image: (N, C, H, W) in [0, 1], C 1 or 3. Returns (N,). model: "live" (the authors' support vectors, from the LIVE
    data set), the path of a file that `fit_brisque` made, or what it returned. inverse: "exact", or "table", shapes in
    steps of .001 as in the authors' program, without gradients. The default takes full-range BT.601 luma; the preset
    ``live`` takes ``rgb2gray`` (integers rounded), as the authors' program is fed.
    """
    parameters = parameters_of(model, "brisque")
    features = brisque_features(picture_moments(grey_levels(image, colour, levels)), inverse)
    value = regress(features, parameters)
    return namespace(value).astype(value, image.dtype)
