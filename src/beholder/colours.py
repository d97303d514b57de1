"""Colour spaces, once for NumPy and PyTorch: linear light, CIE XYZ and L*a*b*, YCxCz, opponent colours, XYB.

Pictures are (N, 3, H, W). Every function works in the precision of what it is given.
"""

from __future__ import annotations

from typing import Any

from beholder.arrays import Array, namespace, positive_power

Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

SRGB_TO_XYZ: Matrix = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
"""Linear sRGB to CIE XYZ as IEC 61966-2-1 prints it."""
SRGB_TO_XYZ_SKIMAGE: Matrix = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
"""The same with the digits that scikit-image uses (ITU-R BT.709)."""
SRGB_TO_XYZ_EXACT: Matrix = (
    (10135552 / 24577794, 8788810 / 24577794, 4435075 / 24577794),
    (2613072 / 12288897, 8788810 / 12288897, 887015 / 12288897),
    (1425312 / 73733382, 8788810 / 73733382, 70074185 / 73733382),
)
"""The same as fractions, from the chromaticities of the primaries: its white is the sum of its rows."""
D65 = (0.3127 / 0.3290, 1.0, (1 - 0.3127 - 0.3290) / 0.3290)
"""White of sRGB from its chromaticity, x = .3127 and y = .3290 (IEC 61966-2-1)."""
D65_SKIMAGE = (0.95047, 1.0, 1.08883)
"""CIE illuminant D65 for the 2 degree observer, with the digits of scikit-image (ASTM E308)."""
EXACT_WHITE = (sum(SRGB_TO_XYZ_EXACT[0]), sum(SRGB_TO_XYZ_EXACT[1]), sum(SRGB_TO_XYZ_EXACT[2]))
XYZ_TO_OPPONENT: Matrix = (
    (0.2787336, 0.7218031, -0.1065520),
    (-0.4487736, 0.2898056, 0.0771569),
    (0.0859513, -0.5899859, 0.5011089),
)
"""CIE XYZ (2 degrees) to black-white, red-green and blue-yellow: Poirson and Wandell 1993, as S-CIELAB uses it."""
OPSIN: Matrix = (
    (0.30, 1 - 0.078 - 0.30, 0.078),
    (0.23, 1 - 0.078 - 0.23, 0.078),
    (0.24342268924547819, 0.20476744424496821, 1 - 0.24342268924547819 - 0.20476744424496821),
)
"""Linear sRGB to the responses of cones that XYB starts from: JPEG XL, ISO/IEC 18181-1."""
OPSIN_BIAS = 0.0037930732552754493
"""What is added to the responses before their cube root: JPEG XL, ISO/IEC 18181-1."""


def to_three(x: Array) -> Array:
    """A grey picture as three equal channels; colour stays as it is."""
    return namespace(x).broadcast_to(x, (x.shape[0], 3, *x.shape[2:])) if x.shape[1] == 1 else x


def mix(x: Array, matrix: Matrix) -> Array:
    """Every pixel's three values multiplied by a matrix."""
    a, b, c = x[:, 0:1], x[:, 1:2], x[:, 2:3]
    return namespace(x).concat([p * a + q * b + r * c for p, q, r in matrix], axis=1)


def invert(matrix: Matrix) -> Matrix:
    """The inverse matrix."""
    import numpy as np

    inverse: Any = tuple(tuple(float(v) for v in row) for row in np.linalg.inv(np.array(matrix)))
    return inverse  # type: ignore[no-any-return]


def srgb_to_linear(x: Array) -> Array:
    """Linear light of sRGB values, both in [0, 1] (IEC 61966-2-1)."""
    return namespace(x).where(x <= 0.04045, x / 12.92, positive_power((x + 0.055) / 1.055, 2.4))


def cube_root(x: Array) -> Array:
    """Cube root of what is not negative, 0 below, with a finite gradient everywhere."""
    xp = namespace(x)
    if not hasattr(xp, "cbrt"):
        return positive_power(x, 1 / 3)
    return xp.cbrt(xp.maximum(x, xp.zeros_like(x)))


def xyz_to_lab(x: Array, white: tuple[float, float, float] = D65, *, rounded: bool = False) -> Array:
    """CIE 1976 L*a*b* of XYZ, of which `white` has lightness 100.

    rounded: with the constants as first printed (.008856 and 7.787), as scikit-image has them.
    """
    xp = namespace(x)
    knee, slope = (0.008856, 7.787) if rounded else ((6 / 29) ** 3, (29 / 6) ** 2 / 3)
    f = []
    for i, w in enumerate(white):
        t = x[:, i : i + 1] / w
        large = t > knee
        root = cube_root(xp.where(large, t, xp.ones_like(t)))
        f.append(xp.where(large, root, slope * t + 16 / 116))
    return xp.concat([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])], axis=1)


def scaled(matrix: Matrix, rows: tuple[float, float, float]) -> Matrix:
    """A matrix with its rows divided by these values."""
    divided: Any = tuple(tuple(v / s for v in row) for row, s in zip(matrix, rows, strict=True))
    return divided  # type: ignore[no-any-return]


YCXCZ: Matrix = ((0.0, 116.0, 0.0), (500.0, -500.0, 0.0), (0.0, 200.0, -200.0))
"""XYZ relative to white to YCxCz, the linear sibling of L*a*b*, less its offset of -16 (Kolpatzik and Bouman 1992)."""


def linear_to_xyb(x: Array, centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Array:
    """XYB of linear sRGB, as JPEG XL works with it, scaled to about [0, 1] with B - Y for B, as SSIMULACRA 2 does.

    centre: what is taken off the three channels.
    """
    offset = OPSIN_BIAS ** (1 / 3)
    roots = cube_root(mix(x, OPSIN) + OPSIN_BIAS)
    long, middle, short = roots[:, 0:1], roots[:, 1:2], roots[:, 2:3]
    luma = 0.5 * (long + middle)
    shifts = (0.42 - centre[0], 0.01 - offset - centre[1], 0.55 - centre[2])
    values = (7 * (long - middle), luma, short - luma)
    return namespace(x).concat([v + s for v, s in zip(values, shifts, strict=True)], axis=1)
