"""VIF, IW-SSIM, NLPD, CW-SSIM and UQI: what the contract does not know of them, and their pyramids."""

import numpy as np
import pytest
import torch
from patterns import batch, degrade, noise, photograph, stripes, terrain

import beholder as bh
from beholder import pyramids
from beholder.kernels import information, planes

VIF = ("vif", "vif:matlab", "vif_p", "vif_p:matlab", "vif_p:rgb")


def flat(value, side=80):
    return np.full((1, 3, side, side), value, np.uint8)


@pytest.mark.parametrize("name", VIF)
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_vif_of_equal_pictures_is_one(name, kind):
    m = bh.metric(name)
    side = 80
    pictures = batch(terrain(side, side, 3), noise(side, side, 3), np.zeros((side, side, 3), np.uint8))
    x = pictures if kind == np.uint8 else (pictures / 255).astype(kind)
    tolerance = 2e-6 if kind == np.float32 else 1e-9
    np.testing.assert_allclose(m(x, x.copy()), 1, rtol=0, atol=tolerance)
    np.testing.assert_allclose(m(torch.tensor(x), torch.tensor(x)), 1, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", VIF)
@pytest.mark.parametrize("kind", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("case", ["equal", "black"])
def test_vif_gradients_of_equal_pictures_are_finite(name, kind, case):
    x = torch.tensor(batch(terrain(80, 80, 3)) / 255, dtype=kind)
    x = x * 0 if case == "black" else x
    image, reference = x.clone().requires_grad_(), x.clone().requires_grad_()
    bh.metric(name)(image, reference).sum().backward()
    assert torch.isfinite(image.grad).all()
    assert torch.isfinite(reference.grad).all()


@pytest.mark.parametrize("name", VIF)
def test_more_contrast_gives_more_than_one(name):
    reference = photograph("coffee")[100:250, 100:250]
    dull = degrade(reference, "contrast", 2)
    assert float(bh.metric(name)(batch(reference), batch(dull))[0]) > 1.05
    assert float(bh.metric(name)(batch(dull), batch(reference))[0]) < 0.95


@pytest.mark.parametrize("name", VIF)
def test_flat_reference_has_no_information(name):
    assert float(bh.metric(name)(batch(noise(80, 80, 3)), flat(90))[0]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["uqi", "uqi:rgb"])
def test_uqi_by_hand(name):
    """Flat windows of 100 and 50: luminance 2 * 100 * 50 / (100^2 + 50^2); two black ones are equal."""
    m = bh.metric(name)
    assert float(m(flat(100), flat(50))[0]) == pytest.approx(0.8, abs=1e-9)
    assert float(m(flat(0), flat(0))[0]) == 1
    assert float(m(flat(0), flat(50))[0]) == 0
    bars = batch(stripes(40, 40, 3, 4))  # of mean and deviation 127.5 in every window, against the same upside down
    assert float(m(bars, 255 - bars)[0]) == pytest.approx(-1, abs=1e-9)


def test_cw_ssim_takes_small_shifts_for_what_they_are():
    picture = photograph("astronaut")
    moved, dirty = batch(picture[:400, 2:402]), batch(degrade(picture, "noise", 4)[:400, :400])
    reference = batch(picture[:400, :400])
    cw, plain = bh.metric("cw_ssim"), bh.metric("ssim:y")
    assert float(cw(moved, reference)[0]) > 0.85 > float(plain(moved, reference)[0])
    assert float(cw(moved, reference)[0]) > float(cw(dirty, reference)[0])


@pytest.mark.parametrize(("height", "width"), [(37, 50), (40, 41), (64, 130), (65, 33)])
@pytest.mark.parametrize(
    ("edges", "taps", "gain"),
    [(("mirror", "repeat"), pyramids.BURT, 1.0), (("reflect", "reflect"), pyramids.BINOMIAL, 2.0)],
    ids=["burt", "binomial"],
)
def test_laplacian_kernel_is_the_pyramid(height, width, edges, taps, gain):
    x = np.random.default_rng(1).uniform(0, 255, (height, width)).astype(np.float32)
    bands = pyramids.laplacian_pyramid(x[None, None].astype(float), taps, 4, edges=edges)
    for threads in (1, 2):
        found = information.laplacian(x, taps, 4, edges, gain, threads)
        for level, (a, b) in enumerate(zip(bands, found, strict=True)):
            np.testing.assert_allclose(b, a[0, 0] * gain**level, atol=1e-4 * gain**level)


@pytest.mark.parametrize("edge", [("reflect", "reflect"), ("mirror", "repeat")])
def test_laplacian_pyramid_of_a_flat_picture_is_empty(edge):
    taps = pyramids.BINOMIAL if edge[0] == "reflect" else pyramids.BURT
    *bands, rest = pyramids.laplacian_pyramid(np.full((1, 1, 33, 46), 0.7), taps, 4, edges=edge)
    assert max(float(abs(b).max()) for b in bands) < 1e-12
    np.testing.assert_allclose(rest, 0.7)


def test_steerable_bands_see_their_orientation():
    grating = np.tile(np.sin(np.arange(96) * 1.2), (96, 1))[None, None]
    (along, across), *_ = pyramids.steerable_pyramid(grating, 2)
    assert along.std() > 30 * across.std()
    turned, upright = (b.std() for b in pyramids.steerable_pyramid(grating.swapaxes(-1, -2), 2)[0])
    assert (turned, upright) == pytest.approx((across.std(), along.std()), abs=1e-12)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (61, 83)])
def test_complex_bands_are_analytic_and_hold_the_level(height, width):
    """A wave at the middle of a level gives a band of even magnitude in its own orientation, and little in others."""
    level, step = 2, 2 * np.pi * (width // 6) / width
    wave = np.tile(np.cos(step * np.arange(width)), (height, 1))[None, None]
    bands = abs(pyramids.complex_bands(wave, level, 4)[0, 0])
    assert bands.shape == (4, -(-height // 2), -(-width // 2))
    assert bands[0].std() < 0.01 * bands[0].mean()
    assert bands[2].mean() < 1e-6 * bands[0].mean()
    tensor = pyramids.complex_bands(torch.tensor(wave), level, 4)[0, 0].abs().numpy()
    np.testing.assert_allclose(tensor, bands, atol=1e-12)


def test_planes_of_pictures():
    picture = terrain(20, 30, 3)
    for colour, weights in (("luma", (0.299, 0.587, 0.114)), ("studio", (65.481 / 255, 128.553 / 255, 24.966 / 255))):
        np.testing.assert_allclose(planes.plane_of(picture, colour), picture @ np.array(weights), atol=5e-5)
    assert len(list(planes.pairs(picture, picture, "rgb"))) == 3
    assert len(list(planes.pairs(picture, picture, "luma"))) == 1
    grey = np.ascontiguousarray(picture[..., 0])
    (pair,) = planes.pairs(grey, grey, "rgb")
    assert np.array_equal(pair[0], grey)
    with pytest.raises(bh.InputError, match="colour must be one of"):
        planes.plane_of(picture, "lab")
