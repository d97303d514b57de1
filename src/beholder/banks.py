"""Ingredients in the frequency domain and of saliency: log-Gabor banks, phase congruency, MATLAB's image resizing.

Planes are (N, C, H, W). Filters depend on the size alone: they are made once in double precision and kept.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from beholder.arrays import Array, correlate, is_torch, namespace, pad_mirror, pad_zeros

Matrix = np.ndarray[Any, Any]

SCALES, ORIENTATIONS = 4, 4
"""Of the phase congruency that FSIM uses; wavelengths 6, 12, 24 and 48 pixels."""
_WAVELENGTH, _STEP, _SPREAD = 6.0, 2.0, 0.55  # shortest wavelength, ratio of scales, sigma of the log-Gabor over f0
_ANGLE = math.pi / ORIENTATIONS / 1.2  # sigma of the angular Gaussian
_CUTOFF, _ORDER = 0.45, 15  # of the Butterworth low-pass that keeps the corners of the spectrum out
_NOISE = (math.sqrt(math.pi / 2) + 2 * math.sqrt(2 - math.pi / 2)) / 1.7  # mean and two deviations of Rayleigh noise
_FAINT = float(np.finfo(np.float32).eps)  # where there is no energy at all, phase congruency is 0


def frequencies(size: int) -> Matrix:
    """Cycles per pixel of the DFT of `size` samples as Kovesi's programs take them: an odd size counts as one less."""
    first = -(size - 1) / 2 if size % 2 else -size / 2
    return np.fft.ifftshift((np.arange(size) + first) / max(size - size % 2, 1))


def _mirrored(spectrum: Matrix) -> Matrix:
    """The spectrum at the opposite frequencies."""
    return np.roll(spectrum[..., ::-1, ::-1], 1, axis=(-2, -1))


def log_gabor_bank(height: int, width: int) -> tuple[Matrix, Matrix]:
    """Log-Gabor filters of one size, (orientations, scales, H, W), zero frequency first, and their noise factors.

    A factor is what the median of an orientation's squared finest response is multiplied with to get its squared noise
    threshold.
    """
    fy, fx = frequencies(height)[:, None], frequencies(width)[None, :]
    radius = np.hypot(fx, fy)
    low_pass = 1 / (1 + (radius / _CUTOFF) ** (2 * _ORDER))
    radius[0, 0] = 1
    theta = np.arctan2(-fy, fx)
    filters = np.empty((ORIENTATIONS, SCALES, height, width))
    noise = np.zeros(ORIENTATIONS)
    for s in range(SCALES):
        centre = 1 / (_WAVELENGTH * _STEP**s)
        filters[:, s] = np.exp(-(np.log(radius / centre) ** 2) / (2 * math.log(_SPREAD) ** 2)) * low_pass
    filters[..., 0, 0] = 0
    for o in range(ORIENTATIONS):
        away = theta - o * math.pi / ORIENTATIONS
        away = np.abs(np.arctan2(np.sin(away), np.cos(away)))
        filters[o] *= np.exp(-(away**2) / (2 * _ANGLE**2))
        # Kovesi sums the products of all pairs of impulse responses: by Parseval, the energy of the even parts' sum.
        total = filters[o].sum(axis=0)
        energy = ((total + _mirrored(total)) ** 2).sum() / 4
        finest = (filters[o, 0] ** 2).sum()
        noise[o] = energy / finest / math.log(2) * _NOISE**2 if finest else 0
    return filters, noise


@functools.lru_cache(maxsize=2)
def _bank_like(height: int, width: int, kind: Any, device: Any) -> tuple[Array, Array]:
    """The bank in a precision, on a device (None: NumPy); the filters complex, so that they need no conversion."""
    filters, noise = log_gabor_bank(height, width)
    if device is None:
        return filters.astype(np.result_type(kind, np.complex64)), noise.astype(kind)
    import torch

    wide = torch.complex128 if kind == torch.float64 else torch.complex64
    return torch.as_tensor(filters).to(device, wide), torch.as_tensor(noise).to(device, kind)


def root(x: Array) -> Array:
    """Square root with a finite gradient everywhere; of nothing, or less, practically nothing."""
    if is_torch(x):
        return x.clamp_min(1e-30).sqrt()
    return np.sqrt(np.maximum(x, 0))


def _median(x: Array, lower: bool) -> tuple[Array, Array]:
    """The two values in the middle of every row, (N, M) to (N,) twice; lower: the lower one twice."""
    count = x.shape[-1]
    low, high = (count - 1) // 2, (count - 1) // 2 if lower else count // 2
    if not is_torch(x):
        middle = np.partition(x, (low, high), axis=-1)
        return middle[:, low], middle[:, high]
    first = x.kthvalue(low + 1, dim=-1).values
    return first, first if low == high else x.kthvalue(high + 1, dim=-1).values


def phase_congruency(x: Array, tiny: float = 1e-4, lower_median: bool = False) -> Array:
    """How well the phases of the waves at every pixel agree, after Kovesi, in [0, 1]; 0 on flat pictures.

    x: (N, 1, H, W), values in 0 to 255. Returns the same shape. The noise threshold comes from the median of the finest
    scale's energy; all as FSIM's program has it. tiny: Kovesi's epsilon under the length of the mean phase;
    lower_median: take the lower of two middle values, as PyTorch does.
    """
    xp = namespace(x)
    n, _, height, width = x.shape
    filters, noise = _bank_like(height, width, x.dtype, x.device if is_torch(x) else None)
    spectrum = xp.fft.fftn(x - xp.mean(x, axis=(-2, -1), keepdims=True), axes=(-2, -1))
    energy: Array = 0.0
    total: Array = _FAINT
    for o in range(ORIENTATIONS):
        waves = xp.fft.ifftn(spectrum * filters[o], axes=(-2, -1))
        amplitude = xp.abs(waves)
        low, high = _median(xp.reshape(amplitude[:, 0], (n, -1)), lower_median)
        threshold = root((low * low + high * high) * (noise[o] / 2))
        mean = xp.sum(waves, axis=1, keepdims=True)
        length = xp.abs(mean)
        # Along the mean phase the parts add up to its length; what stands across it is taken off.
        across = xp.sum(xp.abs(xp.imag(waves * xp.conj(mean))), axis=1, keepdims=True)
        found = (length * length - across) / (length + tiny) - threshold[:, None, None, None]
        energy = energy + xp.clip(found, min=0.0)
        total = total + xp.sum(amplitude, axis=1, keepdims=True)
    return energy / total


def scharr(x: Array) -> Array:
    """Scharr gradient magnitude of every plane, zeros beyond the border; same shape."""
    x = pad_zeros(x, 1, 1, 1, 1)
    smooth, step = (3 / 16, 10 / 16, 3 / 16), (1.0, 0.0, -1.0)
    return root(correlate(x, smooth, step) ** 2 + correlate(x, step, smooth) ** 2)


def reduction(height: int, width: int, even: bool = False) -> int:
    """The factor that brings the shorter side to about 256 pixels, at least 1.

    even: round halves to even numbers as Python does, not up as MATLAB does.
    """
    ratio = min(height, width) / 256
    return max(1, round(ratio) if even else math.floor(ratio + 0.5))


def reduce(x: Array, factor: int, border: str = "zeros") -> Array:
    """Means over `factor` x `factor` pixels, one for every `factor`-th of them: `shrink`, in one go.

    border: "zeros" or "edge" continue the plane to the left and right of where a window has its centre; "none" puts
    whole windows side by side from the corner and leaves the rest out.
    """
    if factor == 1:
        return x
    before = {"zeros": (factor - 1) // 2, "edge": factor // 2, "none": 0}[border]
    after = {"zeros": factor // 2, "edge": (factor - 1) // 2, "none": 0}[border]
    rows, columns = ((n + before + after) // factor for n in x.shape[-2:])
    if border == "edge" or not is_torch(x):
        x, before = _continue(x, before, after, border), 0
    if is_torch(x):
        import torch

        pooled = torch.nn.functional.avg_pool2d(
            x, factor, factor, before, ceil_mode=border == "zeros", divisor_override=factor * factor
        )
        return pooled[..., :rows, :columns]
    x = x[..., : rows * factor, : columns * factor]
    return x.reshape(*x.shape[:2], rows, factor, columns, factor).mean(axis=(3, 5))


def _continue(x: Array, before: int, after: int, border: str) -> Array:
    if border == "none":
        return x
    if border == "zeros":
        return pad_zeros(x, before, after, before, after)
    if is_torch(x):
        import torch

        return torch.nn.functional.pad(x, (before, after, before, after), mode="replicate")
    return np.pad(x, ((0, 0), (0, 0), (before, after), (before, after)), mode="edge")


# --- MATLAB's imresize -----------------------------------------------------------------------------------------------


def _linear(x: Matrix) -> Matrix:
    return np.asarray(np.maximum(1 - np.abs(x), 0))


def _cubic(x: Matrix) -> Matrix:
    x = np.abs(x)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0))


def _plain_taps(size: int, new: int, kind: str) -> tuple[Matrix, Matrix]:
    if kind == "ends":
        at = np.arange(new) * ((size - 1) / max(new - 1, 1))
    else:
        at = np.clip((np.arange(new) + 0.5) * (size / new) - 0.5, 0, size - 1)
    first = np.minimum(at.astype(np.int64), max(size - 2, 0))
    place = np.stack((first, np.minimum(first + 1, size - 1)), axis=1)
    return place, np.stack((1 - (at - first), at - first), axis=1)


@functools.lru_cache(maxsize=16)
def resize_taps(size: int, new: int, scale: float | None = None, kind: str = "linear") -> tuple[Matrix, Matrix]:
    """What every new sample is made of, as MATLAB's ``imresize``: indices and weights, (new, taps) each.

    kind: "linear" or "cubic", with the kernel stretched against aliasing when a picture gets smaller, the mirror image
    beyond the border; "centres" is linear without that, "ends" too, with the first and last sample on the first and
    last of the source. scale: the factor, default new / size.
    """
    if kind in ("centres", "ends"):
        return _plain_taps(size, new, kind)
    factor = new / size if scale is None else scale
    shrinking = min(factor, 1.0)
    kernel, reach = (_linear, 1) if kind == "linear" else (_cubic, 2)
    centre = (np.arange(new) + 0.5) / factor - 0.5
    count = math.ceil(2 * reach / shrinking) + 2
    taps = np.floor(centre - reach / shrinking)[:, None] + np.arange(count)
    weights = kernel((centre[:, None] - taps) * shrinking)
    weights /= weights.sum(axis=1, keepdims=True)
    place = taps.astype(np.int64) % (2 * size)
    place = np.minimum(place, 2 * size - 1 - place)
    used = (weights != 0).any(axis=0)
    return place[:, used], weights[:, used]


@functools.lru_cache(maxsize=16)
def resize_matrix(size: int, new: int, scale: float | None = None, kind: str = "linear") -> Matrix:
    """`resize_taps` as a matrix (new, size)."""
    place, weights = resize_taps(size, new, scale, kind)
    matrix = np.zeros((new, size))
    np.add.at(matrix, (np.arange(new)[:, None], place), weights)
    return matrix


_ROWS = 16  # of a block in `_shorten`


@functools.lru_cache(maxsize=16)
def _blocks(size: int, new: int, scale: float | None, kind: str) -> tuple[Matrix, Matrix]:
    """`resize_matrix` of new rows by 16: the rows a block needs, (blocks, m), and their weights, (blocks, 16, m)."""
    place, weights = resize_taps(size, new, scale, kind)
    starts = range(0, new, _ROWS)
    needed = [np.unique(place[i : i + _ROWS]) for i in starts]
    most = max(map(len, needed))
    rows = np.array([np.pad(rows, (0, most - len(rows)), mode="edge") for rows in needed])
    block = np.zeros((len(needed), _ROWS, most))
    for b, start in enumerate(starts):
        for i in range(start, min(start + _ROWS, new)):
            np.add.at(block[b, i - start], np.searchsorted(needed[b], place[i]), weights[i])
    return rows, block


def _shorten(x: Array, new: int, scale: float | None, kind: str) -> Array:
    """Fewer rows: blocks of new rows need only a few of the old ones, so a full matrix would be mostly zeros."""
    xp = namespace(x)
    rows, block = _blocks(x.shape[-2], new, scale, kind)
    picked = xp.take(x, _like(rows.ravel(), x, integer=True), axis=-2)
    picked = xp.reshape(picked, (*x.shape[:2], *rows.shape, x.shape[-1]))
    made = _like(block, x) @ picked
    return xp.reshape(made, (*x.shape[:2], -1, x.shape[-1]))[..., :new, :]


def _like(values: Matrix, x: Array, integer: bool = False) -> Array:
    """Numbers in the library, on the device and, unless they are integers, in the precision of x."""
    where = {"device": x.device} if is_torch(x) else {}
    return namespace(x).asarray(values.copy(), dtype=None if integer else x.dtype, **where)


def resize(x: Array, height: int, width: int, scale: float | None = None, kind: str = "linear") -> Array:
    """Every plane at another size, as MATLAB's ``imresize`` of doubles: (N, C, H, W) to (N, C, height, width)."""
    growing = height >= x.shape[-2] and width >= x.shape[-1]
    if is_torch(x) and (kind in ("centres", "ends") or (kind == "linear" and growing)):
        import torch

        return torch.nn.functional.interpolate(x, size=(height, width), mode="bilinear", align_corners=kind == "ends")
    if 2 * height < x.shape[-2]:
        x = _shorten(x, height, scale, kind)
    else:
        x = _like(resize_matrix(x.shape[-2], height, scale, kind), x) @ x
    return x @ _like(resize_matrix(x.shape[-1], width, scale, kind).T, x)


# --- saliency --------------------------------------------------------------------------------------------------------

_PRIMARIES = (
    ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041)),
    ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227)),
)
_WHITE = ((0.9642, 1.0, 0.8251), (1 / 0.950456, 1.0, 1 / 1.088754))
_KNEE = ((0.008856, 903.3), ((6 / 29) ** 3, (29 / 3) ** 3))
SALIENCY_SIDE = 256
"""SDSP works on pictures of this height and width."""
_SDSP = {"sigma_f": 1.34, "omega": 0.021, "sigma_d": 145.0, "sigma_c": 0.001}
FLAT = 1e-3
"""Maps that vary less than this are not stretched to 1: rounding would be all that shows."""
_SILENT = 1e-8  # amplitude of a wave, of 255, that keeps the logarithm finite


def _linear_light(x: Array) -> Array:
    xp = namespace(x)
    bright = x > 0.04045
    curve = ((xp.where(bright, x, xp.ones_like(x)) + 0.055) / 1.055) ** 2.4
    return xp.where(bright, curve, x / 12.92)


def _lab_curve(x: Array, knee: float, slope: float) -> Array:
    xp = namespace(x)
    bright = x > knee
    return xp.where(bright, xp.where(bright, x, xp.ones_like(x)) ** (1 / 3), (slope * x + 16) / 116)


def to_lab(x: Array, neutral: bool = False) -> Array:
    """L, a and b of sRGB, (N, 3, H, W) in [0, 1] to the same shape.

    neutral: with the white of D65, where grey has no tint; otherwise with D50's, unadapted, as SDSP's program does.
    """
    xp = namespace(x)
    light = _linear_light(x)
    red, green, blue = light[:, 0], light[:, 1], light[:, 2]
    fx, fy, fz = (
        _lab_curve((r * red + g * green + b * blue) / white, *_KNEE[neutral])
        for (r, g, b), white in zip(_PRIMARIES[neutral], _WHITE[neutral], strict=True)
    )
    return xp.stack((116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)), axis=1)


@functools.lru_cache(maxsize=2)
def sdsp_parts(height: int, width: int, origin: int = 1) -> tuple[Matrix, Matrix]:
    """SDSP's log-Gabor band-pass on the half spectrum, and how salient the centre is.

    origin: number of the first row and column, 1 in MATLAB; where it is 0, the outermost circle of frequencies is left
    out, as in IQA-optimization.
    """
    radius = np.hypot(frequencies(height)[:, None], frequencies(width)[None, :])
    inside = (radius > 0) & (radius <= 0.5 if origin else radius < 0.5)
    band = np.exp(-(np.log(np.where(inside, radius, 1) / _SDSP["omega"]) ** 2) / (2 * _SDSP["sigma_f"] ** 2)) * inside
    away = [(np.arange(origin, n + origin) - n / 2) ** 2 for n in (height, width)]
    centre = np.exp(-(away[0][:, None] + away[1][None, :]) / _SDSP["sigma_d"] ** 2)
    return band[:, : width // 2 + 1], centre


def stretch(x: Array) -> Array:
    """Every plane stretched from 0 to 1, as MATLAB's ``mat2gray``; one that hardly varies becomes 0 throughout."""
    xp = namespace(x)
    low, high = xp.min(x, axis=(-2, -1), keepdims=True), xp.max(x, axis=(-2, -1), keepdims=True)
    span = high - low
    return (x - low) / xp.where(span > FLAT, span, xp.full_like(span, FLAT))


def _transforms(x: Array) -> Any:
    """The library's Fourier transforms; for NumPy SciPy's: its own take three times as long in single precision."""
    if is_torch(x):
        return namespace(x).fft
    from scipy import fft

    return fft


def simple_priors(x: Array, neutral: bool = False, origin: int = 1) -> Array:
    """Saliency by three simple priors (SDSP, Zhang et al. 2013): salient frequencies, the centre, warm colours.

    x: (N, 3, H, W) in [0, 1], for its program 256x256. Returns (N, 1, H, W), not stretched. neutral: as in `to_lab`;
    origin: as in `sdsp_parts`.
    """
    xp = namespace(x)
    band, centre = (_like(a, x) for a in sdsp_parts(*x.shape[-2:], origin))
    lab = to_lab(x, neutral)
    fft = _transforms(x)
    spectrum = fft.rfftn(lab - xp.mean(lab, axis=(-2, -1), keepdims=True), axes=(-2, -1))
    waves = fft.irfftn(spectrum * band, s=x.shape[-2:], axes=(-2, -1))
    strength = root(xp.sum(waves * waves, axis=1, keepdims=True))
    warm = xp.sum(stretch(lab[:, 1:]) ** 2, axis=1, keepdims=True)
    return strength * centre * (1 - xp.exp(-warm / _SDSP["sigma_c"] ** 2))


def spectral_residual(x: Array) -> Array:
    """Saliency as what a log spectrum has beyond its local mean (Hou and Zhang 2007), not smoothed; about 1 on average.

    x: (N, 1, H, W), values in 0 to 255. Returns the same shape. The mean is over 3x3 bins of the spectrum as the FFT
    orders them, edge bins repeated, as in SR-SIM's program.
    """
    xp = namespace(x)
    size = x.shape[-2] * x.shape[-1]
    mean = xp.mean(x, axis=(-2, -1), keepdims=True)
    spectrum = xp.fft.fftn(x - mean, axes=(-2, -1))  # without the mean, whose rounding errors would hide faint waves
    re, im = xp.real(spectrum) + mean * size * _corner(x), xp.imag(spectrum)
    level = xp.log(re * re + im * im + (_SILENT * size) ** 2) / 2
    third = np.full(3, 1 / 3)
    gain = xp.exp(-correlate(pad_mirror(level, 1, 1, 1, 1), third, third))  # one repeated edge: mirror is replicate
    waves = xp.fft.ifftn(xp.astype(re * gain, spectrum.dtype) + 1j * (im * gain), axes=(-2, -1))
    return (xp.real(waves) ** 2 + xp.imag(waves) ** 2) * size


def _corner(x: Array) -> Array:
    """One at the first bin of a plane, else zero."""
    corner = np.zeros(x.shape[-2:])
    corner[0, 0] = 1
    return _like(corner, x)
