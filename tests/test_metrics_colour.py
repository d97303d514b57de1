"""Colour differences, SSIMULACRA 2, MAD and spectral metrics: published pairs, and what the contract does not ask."""

import math

import numpy as np
import pytest
from patterns import batch, load

import beholder as bh
from beholder.colours import SRGB_TO_XYZ_EXACT, invert, linear_to_xyb, mix, srgb_to_linear
from beholder.metrics import appearance, ssimulacra2
from beholder.metrics.colour import delta_e00

# Sharma, Wu and Dalal 2005, The CIEDE2000 color-difference formula, doi:10.1002/col.20070, table 1: two L*a*b* colours
# and their difference.
SHARMA = """
50.0000   2.6772 -79.7751 50.0000   0.0000 -82.7485  2.0425
50.0000   3.1571 -77.2803 50.0000   0.0000 -82.7485  2.8615
50.0000   2.8361 -74.0200 50.0000   0.0000 -82.7485  3.4412
50.0000  -1.3802 -84.2814 50.0000   0.0000 -82.7485  1.0000
50.0000  -1.1848 -84.8006 50.0000   0.0000 -82.7485  1.0000
50.0000  -0.9009 -85.5211 50.0000   0.0000 -82.7485  1.0000
50.0000   0.0000   0.0000 50.0000  -1.0000   2.0000  2.3669
50.0000  -1.0000   2.0000 50.0000   0.0000   0.0000  2.3669
50.0000   2.4900  -0.0010 50.0000  -2.4900   0.0009  7.1792
50.0000   2.4900  -0.0010 50.0000  -2.4900   0.0010  7.1792
50.0000   2.4900  -0.0010 50.0000  -2.4900   0.0011  7.2195
50.0000   2.4900  -0.0010 50.0000  -2.4900   0.0012  7.2195
50.0000  -0.0010   2.4900 50.0000   0.0009  -2.4900  4.8045
50.0000  -0.0010   2.4900 50.0000   0.0010  -2.4900  4.8045
50.0000  -0.0010   2.4900 50.0000   0.0011  -2.4900  4.7461
50.0000   2.5000   0.0000 50.0000   0.0000  -2.5000  4.3065
50.0000   2.5000   0.0000 73.0000  25.0000 -18.0000 27.1492
50.0000   2.5000   0.0000 61.0000  -5.0000  29.0000 22.8977
50.0000   2.5000   0.0000 56.0000 -27.0000  -3.0000 31.9030
50.0000   2.5000   0.0000 58.0000  24.0000  15.0000 19.4535
50.0000   2.5000   0.0000 50.0000   3.1736   0.5854  1.0000
50.0000   2.5000   0.0000 50.0000   3.2972   0.0000  1.0000
50.0000   2.5000   0.0000 50.0000   1.8634   0.5757  1.0000
50.0000   2.5000   0.0000 50.0000   3.2592   0.3350  1.0000
60.2574 -34.0099  36.2677 60.4626 -34.1751  39.4387  1.2644
63.0109 -31.0961  -5.8663 62.8187 -29.7946  -4.0864  1.2630
61.2901   3.7196  -5.3901 61.4292   2.2480  -4.9620  1.8731
35.0831 -44.1164   3.7933 35.0232 -40.0716   1.5901  1.8645
22.7233  20.0904 -46.6940 23.0331  14.9730 -42.5619  2.0373
36.4612  47.8580  18.3852 36.2715  50.5065  21.2231  1.4146
90.8027  -2.0831   1.4410 91.1528  -1.6435   0.0447  1.4441
90.9257  -0.5406  -0.9208 88.6381  -0.8985  -0.7239  1.5381
 6.7747  -0.2908  -2.4247  5.8714  -0.0985  -2.2286  0.6377
 2.0776   0.0795  -1.1350  0.9033  -0.0636  -0.5514  0.9082
"""


def test_ciede2000_of_the_published_pairs():
    table = np.array(SHARMA.split(), float).reshape(34, 7)
    x, y = (table[:, i : i + 3].T.reshape(1, 3, 1, 34) for i in (0, 3))
    for pair in ((x, y), (y, x)):
        np.testing.assert_allclose(delta_e00(*pair)[0, 0, 0], table[:, 6], rtol=0, atol=5.1e-5)


def test_scielab_filters_hide_fine_patterns_and_keep_flat_colours():
    fine = np.indices((96, 96)).sum(axis=0) % 2 * 0.2 + 0.4
    fine, mean = np.broadcast_to(fine, (1, 3, 96, 96)), np.full((1, 3, 96, 96), 0.5)
    assert bh.metric("ciede2000:scielab")(fine, mean)[0] < 0.2 * bh.metric("ciede2000")(fine, mean)[0]
    red, green = (
        np.broadcast_to(np.reshape(c, (1, 3, 1, 1)), (1, 3, 64, 64)) for c in ((0.8, 0.3, 0.3), (0.3, 0.8, 0.3))
    )
    expected = bh.metric("ciede2000")(red, green)[0]
    assert bh.metric("ciede2000:scielab")(red, green)[0] == pytest.approx(expected, rel=1e-9)


def test_linear_light_and_matrices():
    np.testing.assert_allclose(
        srgb_to_linear(np.array([0.0, 0.04045, 0.5, 1.0])), [0, 0.0031308, 0.2140411, 1], atol=1e-7
    )
    x = np.random.default_rng(1).random((2, 3, 4, 5))
    np.testing.assert_allclose(mix(mix(x, SRGB_TO_XYZ_EXACT), invert(SRGB_TO_XYZ_EXACT)), x, atol=1e-12)


def test_greys_are_neutral_in_xyb():
    greys = np.broadcast_to(np.linspace(0, 1, 7), (1, 3, 1, 7))
    x, y, b = linear_to_xyb(greys)[0, :, 0]
    np.testing.assert_allclose(x, 0.42, atol=1e-12)
    np.testing.assert_allclose(b, 0.55, atol=1e-12)
    assert y[0] == pytest.approx(0.01)
    assert (np.diff(y) > 0).all()


def test_window_of_ssimulacra2():
    taps, steps = np.array(ssimulacra2.window()), np.arange(-4, 5)
    assert taps.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(taps, taps[::-1])
    assert taps @ steps**2 == pytest.approx(1.5**2, abs=1e-9)
    gaussian = np.exp(-(steps**2) / 4.5)
    np.testing.assert_allclose(taps, gaussian / gaussian.sum(), atol=6e-3)
    assert len(ssimulacra2.WEIGHTS) == 108


@pytest.mark.parametrize("name", ["sam", "ergas", "scc", "scc:zhou", "nrmse", "nmi"])
@pytest.mark.parametrize("channels", [2, 5])
def test_spectral_metrics_take_any_number_of_channels(name, channels):
    reference = np.random.default_rng(3).integers(20, 230, (2, channels, 40, 37)).astype(np.uint8)
    image = np.clip(reference + np.random.default_rng(4).normal(0, 9, reference.shape), 0, 255).astype(np.uint8)
    m = bh.metric(name)
    np.testing.assert_allclose(m(image, reference), m(image / 255, reference / 255), rtol=1e-9)
    assert m(reference, reference) == pytest.approx(m.range[0] if m.card.better == "lower" else m.range[1], abs=1e-9)


def test_relative_errors_of_a_black_reference():
    black, grey = np.zeros((1, 3, 16, 16)), np.full((1, 3, 16, 16), 0.5)
    for name in ("ergas", "nrmse", "nrmse:mean", "nrmse:min-max"):
        assert bh.metric(name)(grey, black)[0] == math.inf
        assert bh.metric(name)(black, black)[0] == 0
    assert bh.metric("sam")(grey, black)[0] == 0
    with pytest.raises(bh.InputError, match="nrmse: scale must be 'euclidean', 'min-max' or 'mean'"):
        bh.metric("nrmse", scale="median")(grey, grey)


def test_mutual_information_survives_a_change_of_values():
    picture = batch(load("photo:camera"))
    assert bh.metric("nmi")(255 - picture, picture)[0] == pytest.approx(2, abs=0.2)
    assert bh.metric("nmi")(np.full_like(picture, 7), picture)[0] == pytest.approx(1)


def test_mad_moments_are_those_of_every_block():
    x = np.random.default_rng(5).random((1, 1, 41, 50)) ** 3
    spread, skewness, kurtosis = (a[0, 0] for a in appearance._shape(appearance._powers(x)))
    assert spread.shape == (7, 9)
    block = x[0, 0, 8:24, 12:28]
    z = (block - block.mean()) / block.std()
    assert spread[2, 3] == pytest.approx(block.std(ddof=1), rel=1e-10)
    assert skewness[2, 3] == pytest.approx((z**3).mean(), rel=1e-10)
    assert kurtosis[2, 3] == pytest.approx((z**4).mean(), rel=1e-10)
