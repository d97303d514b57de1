"""IL-NIQE: naturalness block by block, by more features than NIQE: of colour, gradients and log-Gabor responses."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from beholder.arrays import Array, correlate, gaussian_window, namespace, pad_zeros, positive_root
from beholder.metrics.fitted import Parameters, parameters_of, prepare_model
from beholder.metrics.natural import local_moments, regions
from beholder.metrics.registry import metric
from beholder.resizing import resize
from beholder.statistics import Moments, double, fit_asymmetric, like, moments, normalise, pad_edge

SIZE, SIDE = 524, 84
"""Pictures are resized to this square, and looked at in squares of this side."""
OPPONENT = ((0.30, 0.04, -0.35), (0.34, -0.60, 0.17), (0.06, 0.63, 0.27))
LOG_OPPONENT = ((3**-0.5,) * 3, (6**-0.5, 6**-0.5, -2 * 6**-0.5), (2**-0.5, -(2**-0.5), 0.0))
DARK = 1e-5
"""What is added before the logarithm of a channel."""
WINDOW = gaussian_window(5, 5 / 6)
WAVELENGTH, RATIO, BANDWIDTH, SPREAD = 2.4, 1.31, 0.55, math.pi / 4 / 1.10
SCALES, ORIENTATIONS = 3, 4
TINY = 2.2e-16**2
"""Added to squared gradients, so that their logarithm is finite."""
LARGEST = 10000.0
"""Features are cut off here."""


def _mix(x: Array, weights: tuple[tuple[float, ...], ...]) -> Array:
    """Weighted sums of three channels: (N, 3, H, W) to as many channels as there are rows of weights."""
    xp = namespace(x)
    rows = [sum(w * x[:, i : i + 1] for i, w in enumerate(row)) for row in weights]
    return xp.concat(rows, axis=1)


def _derivatives(x: Array, scale: int) -> tuple[Array, Array]:
    """Gaussian derivatives of every plane along its rows and down its columns, zeros beyond the border."""
    sigma = 1.66 / scale**0.28
    half = math.ceil(3 * sigma)
    offsets = np.arange(-half, half + 1)
    bell = np.exp(-(offsets**2) / (2 * sigma**2))
    big = pad_zeros(x, half, half, half, half)
    return correlate(big, bell, -offsets * bell), correlate(big, -offsets * bell, bell)


@functools.lru_cache(maxsize=4)
def log_gabor(size: int, scale: int) -> np.ndarray[Any, Any]:
    """Frequency responses of three scales by four orientations for an even size: (12, size, size), scales outermost."""
    axis = np.arange(size) / size - 0.5
    x, y = np.meshgrid(axis, axis)
    radius, angle = (np.fft.ifftshift(a) for a in (np.hypot(x, y), np.arctan2(-y, x)))
    radius[0, 0] = 1
    filters = []
    for s in range(SCALES):
        centre = scale**0.87 / (WAVELENGTH * RATIO**s)
        radial = np.exp(-(np.log(radius / centre) ** 2) / (2 * math.log(BANDWIDTH) ** 2))
        radial[0, 0] = 0
        for o in range(ORIENTATIONS):
            off = angle - o * math.pi / ORIENTATIONS
            off = np.abs(np.arctan2(np.sin(off), np.cos(off)))
            filters.append(radial * np.exp(-(off**2) / (2 * SPREAD**2)))
    return np.stack(filters)


def _response_features(plane: Array, scale: int, side: int) -> list[Array]:
    """Features of the log-Gabor responses, of their gradients, and of the gradients' strength: (N, B, ...) each.

    Filter by filter: all of them at once would be a hundred planes.
    """
    xp = namespace(plane)
    bank = like(log_gabor(plane.shape[-1], scale), plane)
    spectrum = xp.fft.fft2(plane)
    found: list[list[Array]] = [[], [], []]
    for i in range(bank.shape[0]):
        response = xp.fft.ifft2(spectrum * bank[i])
        for part in (xp.real(response), xp.imag(response)):
            across, down = _derivatives(part, scale)
            found[0].append(_symmetric_features(_blocks(part, side)))
            found[1] += [_symmetric_features(_blocks(a, side)) for a in (across, down)]
            strength = xp.sqrt(across * across + down * down + TINY)
            found[2].append(_in_turns(*weibull(_blocks(strength, side))))
    return [xp.concat(parts, axis=-1) for parts in found]


def _blocks(x: Array, side: int) -> Array:
    """Squares of every plane: (N, C, H, W) to (N, C, squares, pixels)."""
    n, c = x.shape[:2]
    xp = namespace(x)
    squares = regions(xp.reshape(x, (n * c, 1, *x.shape[-2:])), side)
    return xp.reshape(squares, (n, c, -1, side * side))


def weibull(x: Array) -> tuple[Array, Array]:
    """Scale and shape of the Weibull distribution of positive values along the last axis, of greatest likelihood."""
    xp = namespace(x)
    log = xp.log(x)
    mean = xp.mean(log, axis=-1)
    off = log - mean[..., None]
    start = 1.2 / positive_root(xp.clip(xp.vecdot(off, off) / x.shape[-1], 1e-6, math.inf))
    shape = start
    for _ in range(5):  # Newton's steps for 1 / shape = weighted mean of the logarithm less its mean
        power = xp.exp(shape[..., None] * off)
        total, first = xp.sum(power, axis=-1), xp.vecdot(power, off)
        first, second = first / total, xp.vecdot(power * off, off) / total
        step = (first - 1 / shape) / (second - first * first + 1 / (shape * shape))
        shape = xp.clip(shape - step, 0.25 * start, 4 * start)
    level = xp.log(xp.mean(xp.exp(shape[..., None] * off), axis=-1)) / shape
    return xp.exp(mean + level), shape


def _symmetric_features(blocks: Array) -> Array:
    """Shape and mean scale of every block of every plane: (N, C, B, P) to (N, B, 2 C)."""
    fit = fit_asymmetric(moments(blocks))
    return _in_turns(fit.alpha, (fit.left_scale + fit.right_scale) / 2)


def _in_turns(*features: Array) -> Array:
    """Features (N, C, B) of one block side by side: (N, B, C times their number)."""
    xp = namespace(features[0])
    table = xp.stack(features, axis=2)
    return xp.permute_dims(xp.reshape(table, (table.shape[0], -1, table.shape[-1])), (0, 2, 1))


def _normal_features(plane: Array, side: int) -> tuple[Array, Array]:
    """The 18 features of NIQE of every block, and the mean local deviation."""
    xp = namespace(plane)
    normal, deviation = normalise(plane, window=WINDOW)
    found = local_moments(regions(normal, side))
    flat = [Moments(*(xp.reshape(a, (plane.shape[0], -1)) for a in m)) for m in found]
    fit = fit_asymmetric(Moments(*(xp.stack(parts, axis=1) for parts in zip(*flat, strict=True))))
    own = [fit.alpha[:, 0], (fit.left_scale[:, 0] + fit.right_scale[:, 0]) / 2]
    pairs = [a[:, i] for i in range(1, 5) for a in (fit.alpha, fit.mean, fit.left_scale, fit.right_scale)]
    return xp.stack(own + pairs, axis=-1), xp.mean(_blocks(deviation, side)[:, 0], axis=-1)


def _scale_features(rgb: Array, opponent: Array, scale: int) -> tuple[Array, Array]:
    """The 234 features of every block at one scale, (N, B, 234), and the mean local deviation, (N, B)."""
    xp = namespace(rgb)
    side = SIDE // scale
    normal, deviation = _normal_features(opponent[:, 2:], side)
    across, down = _derivatives(opponent, scale)
    strength = xp.sqrt(across * across + down * down + TINY)
    log = xp.log(rgb + DARK)
    colour = _blocks(_mix(log - xp.mean(log, axis=(-2, -1), keepdims=True), LOG_OPPONENT), side)
    mean = xp.mean(colour, axis=-1)
    variance = xp.mean((colour - mean[..., None]) ** 2, axis=-1) * (side * side / (side * side - 1))
    gradients = xp.stack([a for i in range(3) for a in (across[:, i], down[:, i])], axis=1)
    parts = [
        normal,
        _in_turns(*weibull(_blocks(strength, side))),
        _in_turns(mean, variance),
        _symmetric_features(_blocks(gradients, side)),
        *_response_features(opponent[:, 2:], scale, side),
    ]
    return xp.concat(parts, axis=-1), deviation


def _halved(x: Array) -> Array:
    """Every second pixel after a Gaussian of six taps, which reach from two before to three after."""
    taps = gaussian_window(6, 0.9)
    return correlate(pad_edge(x, 3)[..., 1:, 1:], taps, taps)[..., ::2, ::2]


def block_features(image: Array) -> tuple[Array, Array]:
    """The 468 features of 36 blocks, (N, 36, 468), and their mean local deviation, (N, 36); image in [0, 1]."""
    return _square_features(resize(double(image), (SIZE, SIZE)))


def _square_features(square: Array) -> tuple[Array, Array]:
    """`block_features` of pictures at the size that they are looked at."""
    xp = namespace(square)
    rgb = 255 * xp.clip(square, 0, 1)
    if rgb.shape[1] == 1:
        rgb = xp.concat([rgb, rgb, rgb], axis=1)
    whole = SIZE // SIDE * SIDE
    rgb = rgb[..., :whole, :whole]
    opponent = _mix(rgb, OPPONENT)
    fine, sharpness = _scale_features(rgb, opponent, 1)
    coarse, _ = _scale_features(_halved(rgb), _halved(opponent), 2)
    return xp.clip(xp.concat([fine, coarse], axis=-1), -math.inf, LARGEST), sharpness


def distances(features: Array, parameters: Parameters) -> Array:
    """Distance of every block from natural pictures: (N, B, 468) to (N, B)."""
    xp = namespace(features)
    names = ("centre", "vectors", "mean", "covariance")
    centre, vectors, mean, covariance = (like(parameters[name], features) for name in names)
    if covariance.ndim == 1:  # of principal components: only variances
        covariance = covariance * like(np.eye(covariance.shape[0]), features)
    found = xp.matmul(features - centre, vectors)
    off = found - xp.mean(found, axis=-2, keepdims=True)
    spread = xp.matmul(xp.matrix_transpose(off), off) / (found.shape[-2] - 1)
    step = found - mean
    solved = xp.linalg.solve((spread + covariance) / 2, xp.matrix_transpose(step))
    return positive_root(xp.sum(step * xp.matrix_transpose(solved), axis=-1))


def _ilniqe_kernel(image: Any, *, model: Any = "bsds", planar: bool = False, **_threads: int) -> float | None:
    """`ilniqe` of a uint8 picture, plane by plane up to where it is small."""
    planes = image if planar else np.atleast_3d(image).transpose(2, 0, 1)
    square = np.concatenate([resize((plane / 255)[None, None], (SIZE, SIZE)) for plane in planes], axis=1)
    features, _ = _square_features(square)
    return float(distances(features, parameters_of(model, "ilniqe")).mean())


@metric(
    "ilniqe",
    better="lower",
    range=(0.0, math.inf),
    unit="",
    needs="image",
    min_size=2,
    paper="Zhang et al. 2015, A feature-enriched completely blind image quality evaluator, "
    "doi:10.1109/TIP.2015.2426416",
    unverified="the authors' model file is free for research only, and our own fit gives other values",
    differentiable=False,
    file_setting="model",
    prepare=functools.partial(prepare_model, "ilniqe"),
    kernel=_ilniqe_kernel,
    planar_kernel=functools.partial(_ilniqe_kernel, planar=True),
)
def ilniqe(image: Array, *, model: Any = "bsds") -> Array:
    """Distance of a picture's blocks from natural photographs, by colour, gradients and log-Gabor responses.

    image: (N, C, H, W) in [0, 1], C 1 or 3; it is resized to 524x524. Returns (N,), lower is more natural. model:
    "bsds" (fitted by Beholder to 100 training photographs of BSDS500), the path of a file that `fit_ilniqe` made,
    what it returned, or the path of the authors' own ``templateModel.mat``.
    """
    parameters = parameters_of(model, "ilniqe")
    features, _ = block_features(image)
    xp = namespace(image)
    return xp.astype(xp.mean(distances(features, parameters), axis=-1), image.dtype)
