"""Artefacts that one picture shows by itself: blur, noise, block borders, ringing."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np

from beholder.arrays import LUMA_FULL, Array, correlate, is_torch, namespace, pad_mirror, pad_zeros, weighted
from beholder.errors import InputError
from beholder.metrics.registry import metric
from beholder.metrics.settings import Above, AtLeast, AtMost, Positive

LUMA_709 = (0.2125, 0.7154, 0.0721)
"""Luma weights of ITU-R BT.709, rounded as scikit-image's ``rgb2gray`` has them."""
LUMA_OPENCV = (9798, 19235, 3735)
"""Luma weights of ITU-R BT.601 in 1 / 32768, as OpenCV's ``cvtColor`` has them for integers."""
DB2 = np.array([1 - 3**0.5, 3**0.5 - 3, 3 + 3**0.5, -1 - 3**0.5]) / (4 * 2**0.5)
"""High-pass filter of Daubechies' wavelet with two vanishing moments, in the order of correlation."""
_ONES = np.ones(4)
_REACH = 4  # pixels: half a JPEG block
_ROUNDING = 1 / 12


# --- blur ------------------------------------------------------------------------------------------------------------


def _blur_kernel(image: Any, *, threads: int) -> float | None:
    from beholder.kernels import artefact

    return artefact.blur_effect(image, LUMA_709, threads)


def _loss_along(y: Array) -> Array:
    """Share of the differences along the rows that a box filter of 11 pixels takes away, less 1 and negated."""
    xp = namespace(y)
    height, width = y.shape[-2:]
    smooth = y[:, :, 1 : height - 2] + 2 * y[:, :, 2 : height - 1] + y[:, :, 3:height]
    wide = pad_mirror(smooth, 0, 0, 6, 6)
    a, b, c, d, e, f = (wide[..., 8 + k : 5 + k + width] for k in (1, -1, 6, -6, 5, -5))
    sharp = xp.abs(a - b)
    soft = xp.abs((c - d) + (e - f)) / 11  # the difference of two box filters, two pixels apart
    found = xp.sum(sharp, axis=(1, 2, 3))
    lost = xp.sum(xp.where(sharp > soft, sharp - soft, xp.zeros_like(sharp)), axis=(1, 2, 3))
    return 1 - lost / xp.where(found > 0, found, xp.ones_like(found))


@metric(
    "blur_effect",
    better="lower",
    range=(0.0, 1.0),
    unit="",
    needs="image",
    min_size=4,
    paper="Crété-Roffet et al. 2007, The blur effect: perception and estimation with a new no-reference perceptual "
    "blur metric, doi:10.1117/12.702790",
    verified=("",),
    kernel=_blur_kernel,
)
def blur_effect(image: Array) -> Array:
    """How little sharpness a strong blur would still take away, 0 for a sharp picture and 1 for a fully blurred one.

    image: (N, C, H, W) in [0, 1], C 1 or 3. Returns (N,). Sobel differences before and after a box filter of 11
    pixels, on BT.709 luma, the larger value of both directions, as scikit-image's ``blur_effect``; a flat picture
    gives 1.
    """
    xp = namespace(image)
    y = weighted(image, LUMA_709)
    return xp.maximum(_loss_along(y), _loss_along(xp.permute_dims(y, (0, 1, 3, 2))))


def _laplacian_kernel(image: Any, *, threads: int, colour: str = "luma") -> float | None:
    from beholder.kernels import artefact

    return artefact.laplacian_variance(image, colour == "opencv", threads) if colour in ("luma", "opencv") else None


def _opencv_grey(x: Array, levels: float | None) -> Array:
    """OpenCV's grey: integers are mixed with fixed-point weights and rounded; floats, without levels, are not."""
    if x.shape[1] == 1:
        return x
    if levels is None:
        return weighted(x, LUMA_FULL)
    xp = namespace(x)
    parts = xp.round(weighted(x, tuple(w / 2**15 for w in LUMA_OPENCV)) * (levels * 2**15))
    return xp.floor((parts + 2**14) / 2**15) / levels


@metric(
    "laplacian_sharpness",
    better="higher",
    range=(0.0, 1040400.0),
    unit="",
    needs="image",
    min_size=2,
    paper="Pech-Pacheco et al. 2000, Diatom autofocusing in brightfield microscopy: a comparative study, "
    "doi:10.1109/ICPR.2000.903548",
    presets={"opencv": {"colour": "opencv"}},
    verified=("", "opencv"),
    kernel=_laplacian_kernel,
)
def laplacian_sharpness(
    image: Array, *, colour: Literal["luma", "opencv"] = "luma", levels: float | None = None
) -> Array:
    """Variance of the Laplacian in squared 8-bit steps; 0 for a flat picture, more for more fine detail.

    image: (N, C, H, W) in [0, 1], C 1 or 3. Returns (N,), below 1020 squared. As ``cv2.Laplacian(grey,
    cv2.CV_64F).var()``: four neighbours, the picture mirrored about its edge pixels, grey in 0..255. Colour becomes
    BT.601 luma, which is not rounded; with the preset ``opencv`` integers, but not floats, become ``cv2.cvtColor``'s
    rounded grey, whose rounding noise adds about 1 to 1.7: much of the value where a picture is blurred. Noise counts
    as detail: compare pictures of one camera and scene. Raises InputError for another colour.
    """
    xp = namespace(image)
    if colour not in ("luma", "opencv"):
        raise InputError(f"colour must be luma or opencv, got {colour!r}")
    y = (_opencv_grey(image, levels) if colour == "opencv" else weighted(image, LUMA_FULL)) * 255
    rows = xp.concat([y[:, :, 1:2], y, y[:, :, -2:-1]], axis=2)
    columns = xp.concat([y[..., 1:2], y, y[..., -2:-1]], axis=3)
    bend = rows[:, :, :-2] + rows[:, :, 2:] + columns[..., :-2] + columns[..., 2:] - 4 * y
    deviation = bend - xp.mean(bend, axis=(2, 3), keepdims=True)
    return xp.mean(deviation**2, axis=(1, 2, 3))


# --- noise -----------------------------------------------------------------------------------------------------------


def _noise_kernel(image: Any, *, threads: int, method: str = "laplacian", scale: float = 1.0) -> float | None:
    from beholder.kernels import artefact

    if method == "laplacian":
        return artefact.laplacian_noise(image, threads) / 255 * scale
    if method == "wavelet":
        return artefact.wavelet_noise(image, DB2, threads) / 255 * scale
    return None


def _second_differences(x: Array) -> Array:
    return correlate(x, (1.0, -2.0, 1.0), (1.0, -2.0, 1.0))


def _wavelet(x: Array, taps: Any) -> Array:
    """Every second value of a separable filter of four taps, the picture continued by its mirror image."""
    xp = namespace(x)
    for _ in range(2):
        count = (x.shape[-1] + 3) // 2
        wide = pad_mirror(x, 0, 0, 2, 3)
        x = sum(t * wide[..., i : i + 2 * count - 1 : 2] for i, t in enumerate(taps.tolist()))
        x = xp.permute_dims(x, (0, 1, 3, 2))
    return x


def _median(x: Array, counted: Array) -> Array:
    """Median over the last axis of the values that are counted; 0 where there are none."""
    xp = namespace(x)
    size = x.shape[-1]
    number = xp.sum(xp.astype(counted, xp.int64), axis=-1, keepdims=True)
    ordered = xp.sort(xp.where(counted, x, -xp.ones_like(x)), axis=-1)  # absolute values: -1 comes first
    first, second = size - number + (number - 1) // 2, size - number + number // 2
    low, high = (xp.take_along_axis(ordered, xp.clip(i, 0, size - 1), axis=-1)[..., 0] for i in (first, second))
    return xp.where(number[..., 0] > 0, (low + high) / 2, xp.zeros_like(low))


@metric(
    "noise_sigma",
    better="lower",
    range=(0.0, math.inf),
    unit="",
    needs="image",
    min_size=3,
    paper="Immerkær 1996, Fast noise variance estimation, doi:10.1006/cviu.1996.0060; Donoho and Johnstone 1994, "
    "Ideal spatial adaptation by wavelet shrinkage, doi:10.1093/biomet/81.3.425",
    presets={
        "255": {"scale": 255.0},
        "wavelet": {"method": "wavelet"},
        "wavelet-255": {"method": "wavelet", "scale": 255.0},
    },
    verified=("", "255", "wavelet", "wavelet-255"),
    kernel=_noise_kernel,
)
def noise_sigma(image: Array, *, method: Literal["laplacian", "wavelet"] = "laplacian", scale: Positive = 1.0) -> Array:
    """Standard deviation of the noise in a picture, estimated from the picture alone; 0 for a flat one.

    image: (N, C, H, W) in [0, 1], C 1 or 3. Returns (N,) in units of the full range. method: "laplacian" is
    Immerkær's mean of absolute second differences of second differences, on BT.601 luma; "wavelet" (preset
    ``wavelet``) is Donoho's median of the diagonal db2 coefficients outside black areas, the mean over channels, as
    scikit-image's ``estimate_sigma``, which differs by up to .1 % on pictures with flat areas: it leaves out what its
    rounding happens to make exactly zero. scale: the full range in which it is stated (presets ``255`` and
    ``wavelet-255``: in 8-bit steps). Fine texture counts as noise. Raises InputError for another method.
    """
    xp = namespace(image)
    if method == "laplacian":
        details = _second_differences(weighted(image, LUMA_FULL))
        return xp.mean(xp.abs(details), axis=(1, 2, 3)) * (math.sqrt(math.pi / 2) / 6 * scale)
    if method != "wavelet":
        raise InputError(f"method must be laplacian or wavelet, got {method!r}")
    from scipy.special import ndtri

    details, light = (xp.reshape(_wavelet(image, t), (*image.shape[:2], -1)) for t in (DB2, _ONES))
    return xp.mean(_median(xp.abs(details), light > 0), axis=1) * (scale / float(ndtri(0.75)))


# --- blocks ----------------------------------------------------------------------------------------------------------


def _effect(borders: Array, others: Array, height: int, width: int, block: int) -> tuple[Any, Any, float]:
    """Mean squared difference over borders and elsewhere, and the weight of their difference, as Yim and Bovik."""
    across, down = height * (width / block) - 1, width * (height / block) - 1
    elsewhere = height * (width - 1) - across + width * (height - 1) - down
    return borders / (across + down), others / elsewhere, math.log2(block) / math.log2(min(height, width))


def _block_kernel(image: Any, *, threads: int, block: int = 8) -> float | None:
    from beholder.kernels import artefact

    height, width = image.shape[:2]
    at, off, weight = _effect(*artefact.block_steps(image, block, threads), height, width, block)
    return float(weight * max(at - off, 0.0))


@metric(
    "blockiness",
    better="lower",
    range=(0.0, math.inf),
    unit="",
    needs="image",
    min_size=9,
    paper="Yim and Bovik 2011, Quality assessment of deblocked images, doi:10.1109/TIP.2010.2061859",
    verified=("",),
    kernel=_block_kernel,
)
def blockiness(image: Array, *, block: Annotated[int, AtLeast(2)] = 8) -> Array:
    """Blocking effect factor: how much larger squared steps are over the borders of blocks than elsewhere; 0 for none.

    image: (N, C, H, W) in [0, 1], C 1 or 3. Returns (N,) in squared 8-bit steps of BT.601 luma: what PSNR-B adds to
    the mean squared error. block: side of the blocks, which start at the upper left pixel, as in a JPEG file that was
    neither cropped nor scaled.
    """
    xp = namespace(image)
    y = weighted(image, LUMA_FULL) * 255
    height, width = y.shape[-2:]
    along, down = (y[..., 1:] - y[..., :-1]) ** 2, (y[:, :, 1:] - y[:, :, :-1]) ** 2
    borders = xp.sum(along[..., block - 1 :: block], axis=(1, 2, 3)) + xp.sum(
        down[:, :, block - 1 :: block], axis=(1, 2, 3)
    )
    others = xp.sum(along, axis=(1, 2, 3)) + xp.sum(down, axis=(1, 2, 3)) - borders
    at, off, weight = _effect(borders, others, height, width, block)
    return xp.where(at > off, weight * (at - off), xp.zeros_like(at))


# --- ringing ---------------------------------------------------------------------------------------------------------


def _ring(near: Any, away: Any, relative: bool) -> Any:
    return near / (away + _ROUNDING) if relative else near


def _ringing_kernel(image: Any, *, threads: int, slope: float = 30.0, relative: bool = True) -> float | None:
    from beholder.kernels import artefact_rings

    return float(_ring(*artefact_rings.ringing(image, slope, _REACH, threads), relative))


def _within(marked: Array, reach: int) -> Array:
    """Every pixel within `reach` of a marked one, in a square."""
    ones = np.ones(2 * reach + 1)
    number = correlate(pad_zeros(marked, reach, reach, reach, reach), ones, ones)
    return number > 0.5


def _spread(y: Array) -> Array:
    """Variance of 3x3 pixels, from their differences to the middle one."""
    rows, columns = y.shape[-2] - 2, y.shape[-1] - 2
    steps = [
        y[:, :, i : i + rows, j : j + columns] - y[:, :, 1:-1, 1:-1] for i in range(3) for j in range(3) if i * j != 1
    ]
    return sum(s**2 for s in steps) / 9 - (sum(steps) / 9) ** 2


def _mean_over(x: Array, where: Array) -> Array:
    xp = namespace(x)
    weight = xp.astype(where, x.dtype)
    number = xp.sum(weight, axis=(1, 2, 3))
    return xp.sum(x * weight, axis=(1, 2, 3)) / xp.where(number > 0, number, xp.ones_like(number))


@metric(
    "ringing",
    better="lower",
    range=(0.0, math.inf),
    unit="",
    needs="image",
    min_size=3,
    paper="after Oguz, Hu and Nguyen 1998, Image coding ringing artifact reduction using morphological post-filtering, "
    "Proc. IEEE Workshop on Multimedia Signal Processing; the luma is that of ITU-R BT.601",
    presets={"variance": {"relative": False}},
    verified=("", "variance"),
    differentiable=False,
    kernel=_ringing_kernel,
)
def ringing(image: Array, *, slope: Annotated[float, Above(0), AtMost(255)] = 30.0, relative: bool = True) -> Array:
    """How much busier a picture is close to its strong edges than elsewhere; 0 where there is no strong edge.

    image: (N, C, H, W) in [0, 1], C 1 or 3. Returns (N,). The visible ringing measure of Oguz et al.: the mean
    variance of 3x3 pixels of BT.601 luma in 8-bit steps, within 4 pixels of edges but not beside them (preset
    ``variance``); and, as compression flattens texture, too, divided by that of the pixels farther away and 1/12, the
    variance of rounding. slope: the Sobel gradient in 8-bit steps for a pixel that makes an edge strong; it and the
    distance are ours. Texture beside edges counts as ringing: compare versions of one picture.
    """
    y = weighted(image, LUMA_FULL) * 255
    along = correlate(y, (1.0, 2.0, 1.0), (-1.0, 0.0, 1.0))
    down = correlate(y, (-1.0, 0.0, 1.0), (1.0, 2.0, 1.0))
    strong = namespace(y).astype(along**2 + down**2 > 64 * slope**2 - 0.5, y.dtype)  # a half: whole squares are no tie
    edges = _within(strong, 1)
    near = _within(strong, _REACH) & ~edges
    spread = _spread(y)
    return _ring(_mean_over(spread, near), _mean_over(spread, ~(near | edges)), relative)


# --- bands -----------------------------------------------------------------------------------------------------------


def _banding_kernel(image: Any, *, threads: int) -> float | None:
    from beholder.kernels.artefact_bands import banding_index, studio_luma

    return banding_index(studio_luma(image, 1, threads), threads)


@metric(
    "banding",
    better="lower",
    range=(0.0, math.inf),
    unit="",
    needs="image",
    min_size=216,
    paper="Tandon et al. 2021, CAMBI: contrast-aware multiscale banding index, doi:10.1109/PCS50896.2021.9477464",
    verified=("",),
    aliases=("cambi",),
    differentiable=False,
    kernel=_banding_kernel,
)
def banding(image: Array) -> Array:
    """CAMBI, the contrast-aware multiscale banding index: 0 without banding, about 5 where it begins to annoy.

    image: (N, C, H, W) in [0, 1], C 1 or 3. Returns (N,), seldom above 24. As libvmaf 3 has it, on studio-range luma
    (ITU-R BT.601) rounded to 8 bits, whatever the type of the input is. Blur and compression turn gradients into
    bands, or texture into none: it measures this one artefact, not quality.
    """
    from beholder.kernels.artefact_bands import banding_index, studio_luma

    given = image.detach().cpu().numpy() if is_torch(image) else image
    planes = given.transpose(0, 2, 3, 1)
    thousandths = [np.rint(plane * np.asarray(255_000, plane.dtype)).astype(np.int64) for plane in planes]
    values = [banding_index(studio_luma(plane, 1000), 1) for plane in thousandths]
    where = {"device": image.device} if is_torch(image) else {}
    return namespace(image).asarray(values, dtype=image.dtype, **where)
