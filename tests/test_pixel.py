"""The kernels of pixel differences and of the check of large float pictures against plain NumPy."""

import numpy as np
import pytest
import torch

import beholder as bh
from beholder.errors import RangeError
from beholder.kernels import pixel

RNG = np.random.default_rng(5)
LARGE = (1, 3, 241, 317)  # above the size from which a kernel looks for values outside


def pair():
    return RNG.random((2, *LARGE), dtype=np.float32)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1e-6, 1.000001, -1e30, np.finfo(np.float32).max])
@pytest.mark.parametrize("place", [(0, 0, 0, 0), (0, 1, 100, 201), (0, 2, 240, 316)])
@pytest.mark.parametrize("kind", ["numpy", "torch", "pixels together"])
@pytest.mark.parametrize("name", ["psnr", "psnr:sr-y-crop2", "mae", "gmsd", "mdsi"])
def test_a_single_bad_value_of_a_large_picture_is_found(name, bad, place, kind):
    x, y = pair()
    x[place] = bad
    if kind == "pixels together":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    elif kind == "torch":
        x, y = torch.from_numpy(x), torch.from_numpy(y)
    with pytest.raises(RangeError, match="NaN or infinite" if not np.isfinite(bad) else r"takes floats in \[0, 1\]"):
        bh.metric(name)(x, y)
    if kind == "torch":
        with pytest.raises(RangeError):
            bh.metric(name)(y, x.requires_grad_())


def test_the_ends_of_the_range_and_a_negative_zero_are_within():
    x, y = pair()
    x[0, 0, 0, :3], y[0, 2, -1, -3:] = (0, 1, -0.0), (1, -0.0, 0)
    assert pixel.within_unit(x, 2)
    assert not pixel.within_unit(np.nextafter(x, np.float32(2)), 2)
    assert not pixel.within_unit(np.nextafter(x, np.float32(-1)), 2)
    for name in ("psnr", "mae", "gmsd"):
        m = bh.metric(name)
        assert float(m(torch.from_numpy(x), torch.from_numpy(y))[0]) == pytest.approx(float(m(x, y)[0]), rel=1e-5)


@pytest.mark.parametrize("crop", [0, 3])
@pytest.mark.parametrize("weights", [(1.0,), (0.5,), (0.2, 0.7, 0.1)])
@pytest.mark.parametrize("threads", [1, 3])
def test_differences_are_those_of_numpy(crop, weights, threads):
    x, y = (a[0] for a in pair())
    inner = np.s_[:, crop : x.shape[1] - crop, crop : x.shape[2] - crop]
    double = x.astype(float) - y
    mixed = np.tensordot(weights, double, 1)[None] if len(weights) == 3 else weights[0] * double
    expected = float((mixed[inner] ** 2).mean())
    assert pixel.squared_difference(x, y, weights, crop, threads) == pytest.approx(expected, rel=1e-6)
    slope, truth = np.full_like(x, np.nan), np.zeros(x.shape)
    pixel.square_slope(x, y, weights, crop, 3.0, slope, threads)
    truth[inner] = (3 * np.reshape(weights, (-1, 1, 1)) * mixed)[inner]
    np.testing.assert_allclose(slope, truth, atol=1e-6)


def test_absolute_differences_have_no_slope_where_equal():
    x, y = (a[0] for a in pair())
    x[1] = y[1]
    assert pixel.absolute_difference(x, y, 2) == pytest.approx(np.abs(x.astype(float) - y).mean(), rel=1e-6)
    slope = np.empty_like(x)
    pixel.absolute_slope(x, y, 0.25, slope, 2)
    np.testing.assert_array_equal(slope, 0.25 * np.sign(x - y))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *((n, s) for n in ("psnr", "mse", "mae", "rmse", "psnr_y", "mdsi", "mdsi:mult") for s in ((48, 51), (24, 3))),
        *((n, (241, 317)) for n in ("psnr", "mdsi", "mdsi:mult", "gmsd", "psnr:sr-y-crop3")),
    ],
)
def test_planes_of_bytes_one_after_the_other_give_the_same_value(name, shape):
    m = bh.metric(name)
    planar = RNG.integers(0, 256, (2, 1, 3, *shape), dtype=np.uint8)
    together = [np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for a in planar]
    expected = m(*together)
    assert m(*planar, threads=2) == expected
    assert m(planar[0], together[1]) == expected
    # without a kernel, as for cropped pictures, NumPy and PyTorch add in an order of their own
    apart = 1e-14 if m.settings.get("crop") else 0
    assert m(*(torch.from_numpy(a) for a in planar)).numpy() == pytest.approx(expected, rel=apart, abs=0)
