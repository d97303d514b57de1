"""Colour differences: mean CIEDE2000, alone or after the filters of S-CIELAB, and FLIP."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np

from beholder.arrays import Array, correlate, namespace, plane_mean, positive_power, positive_root
from beholder.colours import (
    D65,
    D65_SKIMAGE,
    EXACT_WHITE,
    SRGB_TO_XYZ,
    SRGB_TO_XYZ_EXACT,
    SRGB_TO_XYZ_SKIMAGE,
    XYZ_TO_OPPONENT,
    YCXCZ,
    Matrix,
    invert,
    mix,
    scaled,
    srgb_to_linear,
    to_three,
    xyz_to_lab,
)
from beholder.metrics.registry import metric
from beholder.metrics.settings import AtLeast, AtMost
from beholder.strips import Strip, cut, run

_DEGREE = math.pi / 180
_ROWS = 32  # of a strip
Ppd = Annotated[float, AtLeast(1), AtMost(300)]
"""Pixels per degree of visual angle: fewer than 1 blur nothing, and nobody sees 300."""
# Spreads (half width at half height, in degrees of visual angle) and weights of the Gaussians for black-white,
# red-green and blue-yellow: S-CIELAB of 1997.
SCIELAB = (
    ((0.05, 1.00327), (0.225, 0.114416), (7.0, -0.117686)),
    ((0.0685, 0.616725), (0.826, 0.383275)),
    ((0.092, 0.567885), (0.6451, 0.432115)),
)


def pad_edge(x: Array, margin: int) -> Array:
    """Continue every plane by its edge pixels."""
    xp = namespace(x)
    for axis in (-2, -1):
        index = np.clip(np.arange(-margin, x.shape[axis] + margin), 0, x.shape[axis] - 1)
        x = xp.take(x, xp.asarray(index, device=x.device) if xp.__name__.endswith("torch") else index, axis=axis)
    return x


def _hue(b: Array, a: Array) -> Array:
    """Hue angle, -pi to pi; 0 without chroma, with a finite gradient."""
    xp = namespace(a, b)
    grey = (a == 0) & (b == 0)
    return xp.where(grey, xp.zeros_like(a), xp.atan2(b, xp.where(grey, xp.ones_like(a), a)))


def _chroma_share(c: Array) -> Array:
    """Square root of c^7 / (c^7 + 25^7), written so that single precision does not overflow."""
    root = positive_power(c / 25, 3.5)
    return root / (1 + root * root) ** 0.5


def delta_e00(x: Array, y: Array) -> Array:
    """CIEDE2000 colour difference of L*a*b* pictures, (N, 3, H, W) twice to (N, 1, H, W).

    Source: Luo, Cui and Rigg 2001, doi:10.1002/col.1049; the hue conventions are those of Sharma, Wu and Dalal 2005,
    The CIEDE2000 color-difference formula: implementation notes, doi:10.1002/col.20070.
    """
    xp = namespace(x, y)
    (l1, a1, b1), (l2, a2, b2) = ([v[:, i : i + 1] for i in range(3)] for v in (x, y))
    raw = (positive_root(a1 * a1 + b1 * b1) + positive_root(a2 * a2 + b2 * b2)) / 2
    stretch = 1 + (1 - _chroma_share(raw)) / 2
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = positive_root(a1 * a1 + b1 * b1), positive_root(a2 * a2 + b2 * b2)
    h1, h2 = _hue(b1, a1), _hue(b2, a2)
    h1, h2 = (xp.where(h < 0, h + 2 * math.pi, h) for h in (h1, h2))
    coloured = (c1 > 0) & (c2 > 0)
    far = coloured & (abs(h1 - h2) > math.pi)
    step = xp.where(coloured, h2 - h1, xp.zeros_like(h1))
    step = xp.where(far, step - 2 * math.pi * xp.sign(step), step)
    total = h1 + h2
    round_trip = xp.where(total < 2 * math.pi, xp.full_like(total, math.pi), xp.full_like(total, -math.pi))
    mean = xp.where(far, total / 2 + round_trip, total / 2)
    mean = xp.where(coloured, mean, total)
    return _weigh(l1, l2, c1, c2, step, mean)


def _weigh(l1: Array, l2: Array, c1: Array, c2: Array, step: Array, hue: Array) -> Array:
    """The difference from lightness, chroma, hue step and mean hue."""
    xp = namespace(l1)
    shape = (
        1
        - 0.17 * xp.cos(hue - 30 * _DEGREE)
        + 0.24 * xp.cos(2 * hue)
        + 0.32 * xp.cos(3 * hue + 6 * _DEGREE)
        - 0.20 * xp.cos(4 * hue - 63 * _DEGREE)
    )
    middle, chroma = ((l1 + l2) / 2 - 50) ** 2, (c1 + c2) / 2
    dl = (l2 - l1) / (1 + 0.015 * middle / (20 + middle) ** 0.5)
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * positive_root(c1 * c2) * xp.sin(step / 2) / (1 + 0.015 * chroma * shape)
    turn = xp.sin(60 * _DEGREE * xp.exp(-(((hue / _DEGREE - 275) / 25) ** 2)))
    turn = -2 * _chroma_share(chroma) * turn
    return positive_root(dl * dl + dc * dc + dh * dh + turn * dc * dh)


@functools.cache
def _scielab_taps(ppd: float) -> tuple[tuple[tuple[float, np.ndarray[Any, Any]], ...], ...]:
    """Weights and one-dimensional Gaussians of the three opponent channels, over one degree."""
    reach = math.ceil(ppd / 2) - 1
    offsets = np.arange(-reach, reach + 1)
    channels = []
    for parts in SCIELAB:
        gaussians = []
        for spread, weight in parts:
            taps = np.exp(-math.log(2) * (offsets / (spread * ppd)) ** 2)
            gaussians.append((weight, taps / taps.sum()))
        channels.append(tuple(gaussians))
    return tuple(channels)


def _filtered(x: Array, ppd: float) -> Array:
    """XYZ pictures after the S-CIELAB filters."""
    xp = namespace(x)
    opponent = mix(x, XYZ_TO_OPPONENT)
    planes = []
    for i, parts in enumerate(_scielab_taps(ppd)):
        plane = pad_edge(opponent[:, i : i + 1], len(parts[0][1]) // 2)
        planes.append(sum(weight * correlate(plane, taps, taps) for weight, taps in parts))
    return xp.maximum(mix(xp.concat(planes, axis=1), invert(XYZ_TO_OPPONENT)), xp.zeros_like(x))


def linear_to_lab(x: Array, constants: str = "srgb", ppd: float | None = None) -> Array:
    """L*a*b* of linear sRGB (N, 3, H, W), after the S-CIELAB filters where `ppd` is given.

    constants: "srgb" for those of IEC 61966-2-1 and CIE 15, "skimage" for those of scikit-image.
    """
    theirs = constants == "skimage"
    xyz = mix(x, SRGB_TO_XYZ_SKIMAGE if theirs else SRGB_TO_XYZ)
    return xyz_to_lab(xyz if ppd is None else _filtered(xyz, ppd), D65_SKIMAGE if theirs else D65, rounded=theirs)


def _mean_of_strips(
    work: Callable[[Array, Array], Array], image: Any, reference: Any, reach: int, threads: int
) -> float:
    """Mean of a map of two uint8 pictures, strip by strip; work: the map of linear sRGB, which looks `reach` far."""
    table = np.asarray(srgb_to_linear(np.arange(256) / 255), np.float32)

    def one(strip: Strip) -> float:
        rows = (np.atleast_3d(a[strip.top : strip.bottom]).transpose(2, 0, 1)[None] for a in (image, reference))
        x, y = (np.take(table, to_three(np.ascontiguousarray(a))) for a in rows)
        inner = work(x, y)[..., strip.first - strip.top : strip.last - strip.top, :]
        return float(inner.sum(dtype=np.float64))

    height, width = image.shape[:2]
    return float(math.fsum(run(one, cut(height, _ROWS, reach, reach), threads)) / (height * width))


def _lab_constants(constants: str) -> tuple[Matrix, float, float]:
    """XYZ relative to white of linear sRGB, knee and slope of L*a*b*: what `linear_to_lab` takes."""
    if constants == "skimage":
        return scaled(SRGB_TO_XYZ_SKIMAGE, D65_SKIMAGE), 0.008856, 7.787
    return scaled(SRGB_TO_XYZ, D65), (6 / 29) ** 3, (29 / 6) ** 2 / 3


def _ciede2000_tensor(
    image: Any, reference: Any, gradients: Any, *, threads: int, constants: str = "srgb", ppd: float | None = None
) -> float | None:
    if ppd is not None:
        return None
    from beholder.kernels import colour

    return colour.mean_difference(image, reference, gradients, _lab_constants(constants), threads)


def _ciede2000_kernel(
    image: Any, reference: Any, *, threads: int, constants: str = "srgb", ppd: float | None = None
) -> float | None:
    if ppd is None:
        from beholder.kernels import colour

        table = np.asarray(srgb_to_linear(np.arange(256) / 255), np.float32)
        return colour.mean_difference_of_bytes(image, reference, table, _lab_constants(constants), threads)

    def work(x: Array, y: Array) -> Array:
        return delta_e00(linear_to_lab(x, constants, ppd), linear_to_lab(y, constants, ppd))

    reach = 0 if ppd is None else len(_scielab_taps(ppd)[0][0][1]) // 2
    return _mean_of_strips(work, image, reference, reach, threads)


@metric(
    "ciede2000",
    better="lower",
    range=(0.0, 125.0),
    unit="",
    needs="reference",
    min_size=1,
    paper="Luo, Cui and Rigg 2001, The development of the CIE 2000 colour-difference formula: CIEDE2000, "
    "doi:10.1002/col.1049; Zhang and Wandell 1997, A spatial extension of CIELAB for digital color-image reproduction, "
    "doi:10.1889/1.1985127",
    presets={"skimage": {"constants": "skimage"}, "scielab": {"ppd": 30.0}},
    verified=("", "skimage"),
    unverified="no outside program joins the S-CIELAB filters with CIEDE2000",
    aliases=("delta_e", "deltae2000"),
    kernel=_ciede2000_kernel,
    tensor_kernel=_ciede2000_tensor,
)
def ciede2000(
    image: Array, reference: Array, *, constants: Literal["srgb", "skimage"] = "srgb", ppd: Ppd | None = None
) -> Array:
    """Mean CIEDE2000 colour difference over pixels, in units of just over one just noticeable difference; 0 for equal.

    image, reference: (N, C, H, W) of sRGB in [0, 1], equal shapes, C 1 (R = G = B) or 3. Returns (N,). Matrix and D65
    white are those of IEC 61966-2-1; the preset ``skimage`` takes scikit-image's. ppd: pixels per degree of visual
    angle; where given, both pictures first pass the filters of S-CIELAB, edges repeated: the preset ``scielab`` takes
    30, a 24 inch full-HD display at 47 cm.
    """
    linear = (srgb_to_linear(to_three(a)) for a in (image, reference))
    return plane_mean(delta_e00(*(linear_to_lab(a, constants, ppd) for a in linear)))


# Amplitude and width of the Gaussians for black-white, red-green and blue-yellow, in the frequency domain.
_CONTRAST = (((1.0, 0.0047),), ((1.0, 0.0053),), ((34.1, 0.04), (13.5, 0.025)))
_PPD = 3840 * math.pi / 180  # pixels per degree of a display 3840 pixels wide, seen from its width
_CUT, _STEP, _POWER, _EDGE_POWER, _EDGE_WIDTH = 0.4, 0.95, 0.7, 0.5, 0.082
_XYZ_RELATIVE = scaled(SRGB_TO_XYZ_EXACT, EXACT_WHITE)
_FROM_YCXCZ = invert(YCXCZ)
_TO_LINEAR = invert(_XYZ_RELATIVE)


@functools.cache
def _flip_taps(ppd: float) -> tuple[tuple[tuple[float, np.ndarray[Any, Any]], ...], ...]:
    """Weights and one-dimensional Gaussians of the three contrast sensitivity filters; each filter sums to 1."""
    reach = math.ceil(3 * math.sqrt(0.04 / (2 * math.pi**2)) * ppd)
    degrees = np.arange(-reach, reach + 1) / ppd
    channels = []
    for parts in _CONTRAST:
        raw = [(a * math.sqrt(math.pi / b), np.exp(-((math.pi * degrees) ** 2) / b)) for a, b in parts]
        total = sum(weight * taps.sum() ** 2 for weight, taps in raw)
        channels.append(tuple((float(weight * taps.sum() ** 2 / total), taps / taps.sum()) for weight, taps in raw))
    return tuple(channels)


@functools.cache
def _feature_taps(ppd: float) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A Gaussian, its slope (edges) and its curvature (points); positive and negative taps sum to 1 and -1."""
    deviation = 0.5 * _EDGE_WIDTH * ppd
    reach = math.ceil(3 * deviation)
    offsets = np.arange(-reach, reach + 1)
    bell = np.exp(-(offsets**2) / (2 * deviation**2))
    slope, curve = -offsets * bell, (offsets**2 / deviation**2 - 1) * bell
    slope = slope / slope[slope > 0].sum()
    curve = np.where(curve > 0, curve / curve[curve > 0].sum(), -curve / curve[curve < 0].sum())
    return bell / bell.sum(), slope, curve


def _colour_error(x: Array, y: Array, ppd: float) -> Array:
    """FLIP's error of colour in [0, 1], of linear sRGB pictures: (N, 3, H, W) twice to (N, 1, H, W)."""
    xp = namespace(x, y)
    seen = [_hunt(_seen(a, ppd)) for a in (x, y)]
    apart = positive_power(_hyab(seen[0] - seen[1]), _POWER)
    most = _most()
    cut = _CUT * most
    beyond = _STEP + (apart - cut) / (most - cut) * (1 - _STEP)
    return xp.where(apart < cut, apart * (_STEP / cut), beyond)


def _seen(x: Array, ppd: float) -> Array:
    """Linear sRGB after the contrast sensitivity filters in YCxCz, cut to [0, 1]."""
    xp = namespace(x)
    opponent = mix(mix(x, _XYZ_RELATIVE), YCXCZ)
    planes = []
    for i, parts in enumerate(_flip_taps(ppd)):
        plane = pad_edge(opponent[:, i : i + 1], len(parts[0][1]) // 2)
        planes.append(sum(weight * correlate(plane, taps, taps) for weight, taps in parts))
    linear = mix(mix(xp.concat(planes, axis=1), _FROM_YCXCZ), _TO_LINEAR)
    return xp.minimum(xp.maximum(linear, xp.zeros_like(linear)), xp.ones_like(linear))


def _hunt(x: Array) -> Array:
    """L*a*b* of linear sRGB with chroma in proportion to lightness."""
    lab = xyz_to_lab(mix(x, _XYZ_RELATIVE), (1.0, 1.0, 1.0))
    light = lab[:, 0:1]
    return namespace(x).concat([light, 0.01 * light * lab[:, 1:2], 0.01 * light * lab[:, 2:3]], axis=1)


def _hyab(d: Array) -> Array:
    """Distance by city blocks in lightness and in a straight line in chroma."""
    return abs(d[:, 0:1]) + positive_root(d[:, 1:2] ** 2 + d[:, 2:3] ** 2)


@functools.cache
def _most() -> float:
    """The largest colour difference that counts: between pure green and pure blue."""
    green, blue = (_hunt(np.array(v, np.float64).reshape(1, 3, 1, 1)) for v in ((0, 1, 0), (0, 0, 1)))
    return float(float(_hyab(green - blue)[0, 0, 0, 0]) ** _POWER)


def _feature_error(x: Array, y: Array, ppd: float) -> Array:
    """FLIP's difference of edges and points in [0, 1], of linear sRGB pictures: (N, 3, H, W) twice to (N, 1, H, W)."""
    xp = namespace(x, y)
    bell, slope, curve = _feature_taps(ppd)
    found = []
    for picture in (x, y):
        light = mix(picture, _XYZ_RELATIVE)[:, 1:2]
        plane = pad_edge(light, len(bell) // 2)
        found.append(
            [
                positive_root(correlate(plane, bell, taps) ** 2 + correlate(plane, taps, bell) ** 2)
                for taps in (slope, curve)
            ]
        )
    edges, points = (abs(a - b) for a, b in zip(*found, strict=True))
    return positive_power(xp.maximum(edges, points) / math.sqrt(2), _EDGE_POWER)


def _power(base: Array, exponent: Array) -> Array:
    """Base to the power of exponent where base is positive, else 0, with a finite gradient."""
    xp = namespace(base)
    positive = base > 0
    return xp.where(positive, xp.where(positive, base, xp.ones_like(base)) ** exponent, xp.zeros_like(base))


def _flip_map(x: Array, y: Array, ppd: float) -> Array:
    """FLIP's error in [0, 1] of linear sRGB pictures, (N, 3, H, W) twice to (N, 1, H, W)."""
    return _power(_colour_error(x, y, ppd), 1 - _feature_error(x, y, ppd))


def _flip_kernel(image: Any, reference: Any, *, threads: int, ppd: float = _PPD) -> float | None:
    reach = max(len(_flip_taps(ppd)[0][0][1]), len(_feature_taps(ppd)[0])) // 2
    return _mean_of_strips(lambda x, y: _flip_map(x, y, ppd), image, reference, reach, threads)


@metric(
    "flip",
    better="lower",
    range=(0.0, 1.0),
    unit="",
    needs="reference",
    min_size=1,
    paper="Andersson et al. 2020, FLIP: a difference evaluator for alternating images, doi:10.1145/3406183",
    presets={"ppd-30": {"ppd": 30.0}},
    verified=("", "ppd-30"),
    precision=1e-4,  # the power .7 of a colour difference has an infinite slope at 0, where grey pictures are
    kernel=_flip_kernel,
)
def flip(image: Array, reference: Array, *, ppd: Ppd = _PPD) -> Array:
    """Mean difference that an observer sees when two pictures alternate at one place; 0 for equal pictures.

    image, reference: (N, C, H, W) of sRGB in [0, 1], equal shapes, C 1 (R = G = B) or 3. Returns (N,). This is
    LDR-FLIP. ppd: pixels per degree of visual angle; the default is the authors', a display 3840 pixels and 70 cm wide
    at 70 cm; the preset ``ppd-30`` a 24 inch full-HD display at 47 cm.
    """
    x, y = (srgb_to_linear(to_three(a)) for a in (image, reference))
    return plane_mean(_flip_map(x, y, ppd))
