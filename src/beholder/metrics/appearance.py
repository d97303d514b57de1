"""Most apparent distortion: what is visible near the threshold, and how appearance changes above it."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from beholder.arrays import (
    Array,
    correlate,
    namespace,
    pad_mirror,
    positive_power,
    positive_root,
    to_luma,
    uniform_window,
)
from beholder.metrics.registry import metric
from beholder.strips import Strip, cut, run

BLOCK, CELL = 16, 4
_SCALES, _ORIENTATIONS = 5, 4
_SCALE_WEIGHTS = (0.5, 0.75, 1.0, 5.0, 6.0)
_LUMINANCE, _EXPONENT, _DARK, _LOG_THRESHOLD = 0.02874, 2.2 / 3, 0.5, -5.0
_FLAT = 1e-18  # variance of what rounding leaves of a flat part, in squared units of 0..255
_FIRST, _SECOND = math.exp(-2.55 / 3.35), 1 / (math.log(10) * 3.35)


Line = np.ndarray[Any, Any]


def _sensitivity_lines(height: int, width: int) -> tuple[Line, Line]:
    """Cycles per degree down and along the spectrum, zero frequency first, for 32 along the width."""
    down, along = ((np.arange(n) - (n - 1) / 2) / width * 64 for n in (height, width))
    return np.fft.ifftshift(down), np.fft.ifftshift(along)


def _sensitivity(down: Line, along: Line) -> np.ndarray[Any, Any]:
    """Contrast sensitivity at these cycles per degree."""
    place = down[:, None] + 1j * along[None]
    frequency = np.abs(place) / (0.15 * np.cos(4 * np.angle(place)) + 0.85)
    curve = 2.6 * (0.0192 + 0.114 * frequency) * np.exp(-((0.114 * frequency) ** 1.1))
    return np.where(frequency < 7.8909, 0.9809, curve)


def _gabor_lines(height: int, width: int) -> tuple[Line, Line]:
    """Frequencies down and along the spectrum in units of the highest, zero frequency first."""
    down, along = ((np.arange(n) - n / 2) / (n / 2) for n in (height, width))
    return np.fft.fftshift(down), np.fft.fftshift(along)


def _log_gabor(down: Line, along: Line, middle: tuple[float, float], scale: int, orientation: int) -> Any:
    """A log-Gabor filter at these frequencies: Kovesi's, two octaves wide, 0 at `middle`."""
    centre = (down[:, None] == middle[0]) & (along[None] == middle[1])
    radius = np.where(centre, 1.0, np.hypot(along[None], down[:, None]))
    turn = np.arctan2(-down[:, None], along[None]) - orientation * math.pi / _ORIENTATIONS
    turn = (turn + math.pi) % (2 * math.pi) - math.pi
    spread = math.pi / _ORIENTATIONS / 1.5
    radial = np.log(radius * 3.0 ** (scale + 1) / 2) / math.log(0.55)
    return np.where(centre, 0.0, np.exp(-(radial**2 + (turn / spread) ** 2) / 2))


def _middle(height: int, width: int) -> tuple[float, float]:
    """The frequencies that the program takes for zero: not quite, for odd sizes."""
    down, along = ((math.floor(n / 2 + 0.5) - n / 2) / (n / 2) for n in (height, width))
    return down, along


def _gain(values: np.ndarray[Any, Any], like: Array) -> Array:
    xp = namespace(like)
    return xp.asarray(values, dtype=like.dtype, device=like.device)


def _cells(x: Array) -> Array:
    """Sums over cells of 4 x 4 pixels; what is left over at the end is left out."""
    n, c, h, w = x.shape
    rows, columns = h // CELL, w // CELL
    xp = namespace(x)
    return xp.sum(xp.reshape(x[..., : rows * CELL, : columns * CELL], (n, c, rows, CELL, columns, CELL)), axis=(3, 5))


def _blocks(x: Array, cells: int) -> Array:
    """Sums over blocks of `cells` x `cells` cells, one block for each cell that it starts at."""
    rows, columns = (n - cells + 1 for n in x.shape[-2:])
    x = sum(x[..., i : rows + i, :] for i in range(cells))
    return sum(x[..., i : columns + i] for i in range(cells))


def _block_sums(x: Array, cells: int) -> Array:
    """Sums over blocks of `cells` x `cells` cells of pixels, one block for each cell that it starts at."""
    return _blocks(_cells(x), cells)


def _centred(x: Array) -> Array:
    """A plane less its mean, which keeps moments precise."""
    return x - namespace(x).mean(x, axis=(-2, -1), keepdims=True)


def _deviation(x: Array, cells: int) -> Array:
    """Sample standard deviation in blocks."""
    count = (cells * CELL) ** 2
    x = _centred(x)
    total, squares = _block_sums(x, cells), _block_sums(x * x, cells)
    return positive_root((squares - total * total / count) / (count - 1))


def _powers(x: Array) -> list[Array]:
    """Sums over cells of the first four powers."""
    square = x * x
    return [_cells(a) for a in (x, square, square * x, square * square)]


def _shape(powers: list[Array]) -> tuple[Array, Array, Array]:
    """Sample standard deviation, skewness and kurtosis in blocks of 16 x 16; 0 where a block is flat."""
    xp = namespace(*powers)
    count = BLOCK**2
    m1, m2, m3, m4 = (_blocks(a, BLOCK // CELL) / count for a in powers)
    variance = m2 - m1 * m1
    third = m3 - 3 * m1 * m2 + 2 * m1**3
    fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
    rough = variance > _FLAT
    safe = xp.where(rough, variance, xp.ones_like(variance))
    zero = xp.zeros_like(variance)
    skewness = xp.where(rough, third / safe**1.5, zero)
    kurtosis = xp.where(rough, fourth / safe**2, zero)
    return positive_root(xp.where(rough, variance, zero) * (count / (count - 1))), skewness, kurtosis


def _root_mean_square(blocks: Array, weight: Array | None, shape: tuple[int, int]) -> Array:
    """Of a map that is constant in cells, times `weight` of the pixels, without its edges: (N, 1, h, w) to (N,)."""
    xp = namespace(blocks)
    rows, columns = (slice(BLOCK, n - BLOCK - 1) for n in shape)
    for axis, inner in ((-2, rows), (-1, columns)):
        index = np.arange(inner.start, inner.stop) // CELL
        outside = index >= blocks.shape[axis]
        index = np.minimum(index, blocks.shape[axis] - 1)
        where = xp.asarray(index, device=blocks.device) if xp.__name__.endswith("torch") else index
        blocks = xp.take(blocks, where, axis=axis)
        kept = _gain(1.0 - outside, blocks)
        blocks = blocks * (kept[:, None] if axis == -2 else kept)
    values = blocks if weight is None else blocks * weight[..., rows, columns]
    return positive_root(xp.mean(values * values, axis=(1, 2, 3)))


def detection(image: Array, reference: Array) -> Array:
    """How visible the error is, from grey pictures in 0..255: (N, 1, H, W) to (N,)."""
    xp = namespace(image, reference)
    gain = _gain(_sensitivity(*_sensitivity_lines(*image.shape[-2:])), image)
    x, y = (
        xp.real(xp.fft.ifft2(xp.fft.fft2(_LUMINANCE * positive_power(a, _EXPONENT)) * gain)) for a in (image, reference)
    )
    seen = _visibility(x - y, y)
    taps = uniform_window(BLOCK)
    before, after = BLOCK // 2, BLOCK // 2 - 1
    squares = correlate(pad_mirror((image - reference) ** 2, before, after, before, after), taps, taps)
    return _root_mean_square(seen, squares, image.shape[-2:])


def _visibility(error: Array, reference: Array) -> Array:
    """By how much the log contrast of the error lies above its threshold in every block; 0 below."""
    xp = namespace(error, reference)
    mean = _block_sums(reference, BLOCK // CELL) / BLOCK**2
    contrast, small = _deviation(error, BLOCK // CELL), _deviation(reference, BLOCK // CELL // 2)
    rows, columns = mean.shape[-2:]
    quarters = [small[..., i : i + rows, j : j + columns] for i in (0, 2) for j in (0, 2)]
    texture = functools.reduce(xp.minimum, quarters)
    lit = mean >= _DARK
    mean = xp.where(lit, mean, xp.ones_like(mean))
    least = xp.full_like(mean, math.exp(_LOG_THRESHOLD))
    seen = xp.log(xp.maximum(contrast / mean, least)) - xp.log(xp.maximum(texture / mean, least))
    return xp.where(lit, xp.maximum(seen, xp.zeros_like(seen)), xp.zeros_like(seen))


def _change(found: list[tuple[Array, Array, Array]]) -> Array:
    """How far the statistics of two bands are apart."""
    spread, skewness, kurtosis = (abs(a - b) for a, b in zip(*found, strict=True))
    return spread + 2 * skewness + kurtosis


def appearance(image: Array, reference: Array) -> Array:
    """How local statistics of log-Gabor magnitudes change, from grey pictures in 0..255: (N, 1, H, W) to (N,)."""
    xp = namespace(image, reference)
    shape = image.shape[-2:]
    lines, middle = _gabor_lines(*shape), _middle(*shape)
    spectra = [xp.fft.fft2(a) for a in (image, reference)]
    change: Any = 0.0
    for scale, weight in enumerate(_SCALE_WEIGHTS):
        for orientation in range(_ORIENTATIONS):
            gain = _gain(_log_gabor(*lines, middle, scale, orientation), image)
            found = []
            for spectrum in spectra:
                band = xp.fft.ifft2(spectrum * gain)
                magnitude = positive_root(xp.real(band) ** 2 + xp.imag(band) ** 2)
                found.append(_shape(_powers(_centred(magnitude))))
            change = change + weight / sum(_SCALE_WEIGHTS) * _change(found)
    return _root_mean_square(change, None, shape)


def _power(base: Array, exponent: Array) -> Array:
    """Base to the power of exponent where base is positive, else 0, with a finite gradient."""
    xp = namespace(base)
    positive = base > 0
    return xp.where(positive, xp.where(positive, base, xp.ones_like(base)) ** exponent, xp.zeros_like(base))


def _combined(visible: Array, changed: Array) -> Array:
    """The geometric mean of both, weighted by visibility."""
    share = 1 / (1 + _FIRST * positive_power(visible, _SECOND))
    return _power(changed, 1 - share) * _power(visible, share)


_ROWS = 8  # of a strip, whole cells


def _grey(picture: Any, *, planar: bool = False) -> Any:
    """Rounded ``rgb2gray`` of a uint8 picture, as uint8: what a large picture is kept as."""
    if picture.ndim == 2:
        return picture
    planes = picture if planar else picture.transpose(2, 0, 1)
    grey = np.empty(planes.shape[1:], np.uint8)
    for strip in cut(len(grey), _ROWS):
        part = planes[None, :, strip.first : strip.last] / 255.0
        grey[strip.first : strip.last] = to_luma(part, "matlab", 255)[0, 0] * 255 + 0.5
    return grey


def _filtered_light(grey: Any, threads: int) -> Any:
    """Relative luminance through the contrast sensitivity filter, in double precision."""
    from scipy import fft

    height, width = grey.shape
    table = _LUMINANCE * np.arange(256.0) ** _EXPONENT
    spectrum = fft.rfft2(table[grey], workers=threads)
    down, along = _sensitivity_lines(height, width)
    half = spectrum.shape[1]
    back, left = (-np.arange(height)) % height, (-np.arange(half)) % width

    def part(strip: Strip) -> None:  # of a real picture, the filter acts as its mean with its mirror image
        rows = slice(strip.first, strip.last)
        gain = _sensitivity(down[rows], along[:half]) + _sensitivity(down[back[rows]], along[left])
        spectrum[rows] *= gain / 2

    run(part, cut(height, _ROWS), threads)
    return fft.irfft2(spectrum, s=(height, width), overwrite_x=True, workers=threads)


def _whole_rows(half: Any, rows: Any, width: int) -> Any:
    """Rows of the whole spectrum out of its half."""
    known = half[rows]
    rest = np.conj(half[(-rows) % len(half)][:, width - known.shape[1] : 0 : -1])
    return np.concatenate([known, rest], axis=1)


def _band_powers(half: Any, shape: tuple[int, int], scale: int, orientation: int, threads: int) -> list[Any]:
    """Sums of powers over the cells of one band of a picture, of which half the spectrum is given."""
    from scipy import fft

    lines, middle = _gabor_lines(*shape), _middle(*shape)
    band = np.empty(shape, np.complex128)

    def along(strip: Strip) -> None:
        rows = np.arange(strip.first, strip.last)
        gain = _log_gabor(lines[0][rows], lines[1], middle, scale, orientation)
        band[rows] = fft.ifft(_whole_rows(half, rows, shape[1]) * gain, axis=1)

    def down(strip: Strip) -> None:
        columns = slice(strip.first, strip.last)
        band[:, columns] = fft.ifft(band[:, columns], axis=0)

    strips = cut(shape[0], _ROWS)
    run(along, strips, threads)  # by strips, and not at once, for the sake of memory
    run(down, cut(shape[1], _ROWS), threads)
    means = run(lambda strip: float(np.abs(band[strip.first : strip.last]).sum()), strips, threads)
    mean = math.fsum(means) / (shape[0] * shape[1])
    powers = np.empty((4, 1, 1, shape[0] // CELL, shape[1] // CELL))

    def sums(strip: Strip) -> None:
        rows = slice(strip.first // CELL, strip.last // CELL)
        powers[..., rows, :] = _powers((np.abs(band[strip.first : strip.last]) - mean)[None, None])

    run(sums, strips, threads)
    return list(powers)


def _shape_by_strips(powers: list[Any]) -> tuple[Any, Any, Any]:
    """`_shape`, with little memory for what is only on the way."""
    reach = BLOCK // CELL - 1
    rows, columns = (n - reach for n in powers[0].shape[-2:])
    found = np.empty((3, 1, 1, rows, columns))
    for strip in cut(rows, 8 * _ROWS):
        here = slice(strip.first, strip.last)
        found[..., here, :] = _shape([p[..., strip.first : strip.last + reach, :] for p in powers])
    spread, skewness, kurtosis = found
    return spread, skewness, kurtosis


def _detection(x: Any, y: Any, threads: int) -> Any:
    """`detection` of grey pictures of bytes."""
    from scipy.ndimage import uniform_filter

    error = _filtered_light(x, threads)
    filtered = _filtered_light(y, threads)
    error -= filtered
    seen = _visibility(error[None, None], filtered[None, None])
    del error, filtered
    squares = (x.astype(np.float32) - y) ** 2  # whole numbers: exact
    squares = uniform_filter(squares, BLOCK, output=np.float64, mode="reflect")
    return _root_mean_square(seen, squares[None, None], x.shape)


def _appearance(pair: list[Any], threads: int) -> Any:
    """`appearance` of grey pictures of bytes, which are taken out of the list."""
    from scipy import fft

    shape = pair[0].shape
    halves = [fft.rfft2(pair.pop(0).astype(np.float64), workers=threads) for _ in range(2)]
    change: Any = 0.0
    for scale, weight in enumerate(_SCALE_WEIGHTS):
        for orientation in range(_ORIENTATIONS):
            found = [_shape_by_strips(_band_powers(half, shape, scale, orientation, threads)) for half in halves]
            change = change + weight / sum(_SCALE_WEIGHTS) * _change(found)
            del found
    del halves
    return _root_mean_square(change, None, shape)


def _mad_kernel(image: Any, reference: Any, *, threads: int, planar: bool = False) -> float | None:
    pair = [_grey(image, planar=planar), _grey(reference, planar=planar)]
    visible = _detection(pair[0], pair[1], threads)
    return float(_combined(visible, _appearance(pair, threads))[0])


@metric(
    "mad",
    better="lower",
    range=(0.0, math.inf),
    unit="",
    needs="reference",
    min_size=2 * BLOCK + 2,
    paper="Larson and Chandler 2010, Most apparent distortion: full-reference image quality assessment and the role of "
    "strategy, doi:10.1117/1.3267105",
    unverified="the authors' program needs MATLAB and is not to be had whole; ports of it differ from each other",
    kernel=_mad_kernel,
    planar_kernel=functools.partial(_mad_kernel, planar=True),
)
def mad(image: Array, reference: Array, *, levels: float | None = None) -> Array:
    """Most apparent distortion, of visible errors near the threshold and of changed appearance above; 0 for equal.

    image, reference: (N, C, H, W) in [0, 1], equal shapes, C 1 or 3. Returns (N,). As the authors' program of April
    2010, on ``rgb2gray`` (integers rounded): blocks of 16x16 pixels every 4 pixels, 32 cycles per degree, log-Gabor
    filters of five scales and four orientations, a geometric mean whose weights follow visibility. It is worked out in
    double precision.
    """
    xp = namespace(image, reference)
    x, y = (255 * xp.astype(to_luma(a, "matlab", levels), xp.float64) for a in (image, reference))
    return xp.astype(_combined(detection(x, y), appearance(x, y)), image.dtype)
