"""Measures of one picture: what the contract's pictures do not show, on photographs and on hand-made ones."""

import math

import numpy as np
import pytest
import torch
from patterns import batch, degrade, jpeg, photograph, stripes

import beholder as bh
from beholder.errors import InputError
from beholder.kernels.artefact_bands import visible_levels
from beholder.kernels.artefact_edges import edge_widths

RARE = ["ringing", "ringing:variance", "banding", "exposure", "exposure:bright", "exposure:dark", "cpbd", "jnb"]
TITLES = ("rocket", "coffee", "astronaut")


def value(name, picture, **settings):
    return float(bh.metric(name, **settings)(batch(picture))[0])


def flat(level, height=72, width=80, channels=1):
    return np.full((height, width, channels), level, np.uint8)


def ramp(height=270, width=480, dither=0):
    """A dark slope of 40 levels over the width, with or without a grain of one level before rounding."""
    slope = 16 + np.arange(width) * 40 / width + np.zeros((height, 1))
    grain = np.random.default_rng(3).uniform(-0.5, 0.5, slope.shape) * dither
    return np.repeat(np.floor(slope + grain + 0.5).astype(np.uint8)[..., None], 3, 2)


# --- kernels, libraries and batches agree where there is something to measure ----------------------------------------


@pytest.mark.parametrize("name", RARE)
@pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])
def test_kernel_and_pytorch_equal_the_definition_on_photographs(name, grey):
    m = bh.metric(name)
    harsh = [np.clip(degrade(photograph(t)[20:300, 100:420], "blur", 1) * 2.0 - 110, 0, 255) for t in TITLES]
    x = batch(*(p[..., : 1 if grey else 3].astype(np.uint8) for p in harsh))
    found = m(x)
    assert len(set(found)) == 3
    assert (found > 0).all()
    np.testing.assert_allclose(found, m(x, data_range=255), rtol=m.card.precision)
    np.testing.assert_allclose(found, [m(x[i : i + 1])[0] for i in range(3)], rtol=1e-12)
    np.testing.assert_allclose(found, m(torch.tensor(x)).numpy(), rtol=1e-5)
    np.testing.assert_allclose(found, m(torch.tensor(x / 255, dtype=torch.float32)).numpy(), rtol=1e-4)
    np.testing.assert_array_equal(m(x, threads=1), m(x, threads=3))


# --- blur and noise --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("title", TITLES)
def test_blur_is_noticed(title):
    steps = [photograph(title), *(degrade(photograph(title), "blur", i) for i in (1, 2, 3))]
    for name, sign in (("blur_effect", 1), ("laplacian_sharpness", -1), ("cpbd", -1), ("noise_sigma", -1)):
        found = [sign * value(name, s) for s in steps]
        assert found == sorted(found), name
        assert found[1] - found[0] > 0.1 * abs(found[0]), name


@pytest.mark.parametrize("sigma", [2, 8, 20])
@pytest.mark.parametrize("preset", ["255", "wavelet-255"])
def test_noise_of_known_strength_is_found(sigma, preset):
    noise = np.random.default_rng(sigma).normal(128, sigma, (400, 400, 1))
    found = value(f"noise_sigma:{preset}", np.clip(np.round(noise), 0, 255).astype(np.uint8))
    assert found == pytest.approx(sigma, rel=0.03)


def test_black_areas_do_not_count_as_free_of_noise():
    noise = np.random.default_rng(1).normal(128, 8, (256, 256, 1)).round().astype(np.uint8)
    half = noise.copy()
    half[:, :128] = 0
    for picture in (noise, half):
        assert value("noise_sigma:wavelet-255", picture) == pytest.approx(8, rel=0.05)


def test_flat_pictures_have_no_artefact():
    picture = flat(90, 240, 240, 3)
    for name in ("noise_sigma", "noise_sigma:wavelet", "blockiness", "ringing", "banding", "tv", "tv:piq", "exposure"):
        assert value(name, picture) == pytest.approx(0, abs=1e-9), name
    assert value("blur_effect", picture) == 1
    for name in ("laplacian_sharpness", "cpbd", "jnb", "entropy", "contrast_rms", "colorfulness", "saturation"):
        assert value(name, picture) == pytest.approx(0, abs=1e-9), name


# --- edges -----------------------------------------------------------------------------------------------------------


def slope(width, contrast):
    """One block with a slope of `width` steps, the largest of which has no equal."""
    steps = [(k + 1) * (width - k) + 0.4 * k for k in range(width)]
    row = np.full(64, 20.0)
    row[30 : 30 + width] += np.cumsum(steps) / sum(steps) * contrast
    row[30 + width :] += contrast
    return np.repeat(np.round(row)[None, :, None], 64, 0).astype(np.uint8)


@pytest.mark.parametrize(("width", "contrast", "share"), [(3, 200, 1), (4, 200, 0), (5, 50, 1), (6, 50, 0)])
def test_just_noticeable_width_depends_on_contrast(width, contrast, share):
    """Blur is seen above 3 pixels in blocks of high contrast, above 5 in others."""
    assert value("cpbd", slope(width, contrast)) == share


@pytest.mark.parametrize(("width", "contrast", "noticeable"), [(3, 200, 3), (5, 200, 3), (6, 50, 5)])
def test_jnb_pools_widths_by_probability_summation(width, contrast, noticeable):
    """One block, an edge in each of the 62 rows inside: 1 / (62 (w / w_JNB)^3.6)^(1 / 3.6)."""
    expected = noticeable / width / 62 ** (1 / 3.6)
    assert value("jnb", slope(width, contrast)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("strong", "blocks"), [(0, 0), (4, 1)])
def test_weak_edges_count_where_they_touch_strong_ones(strong, blocks):
    luma = np.full((64, 64), 100_000, np.int32)
    luma[:, 32:] += 40  # a step of .04: between Canny's thresholds
    luma[30 : 30 + strong, 32:] += 60
    assert edge_widths(lambda top, bottom: luma[top:bottom], 64, 64, 1, every=True)[1] == blocks


# --- blocks, rings, bands --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("title", TITLES)
def test_blockiness_grows_with_compression_and_knows_the_grid(title):
    picture = photograph(title)[:384, :480]
    steps = [value("blockiness", jpeg(picture, q)) for q in (75, 30, 10)]
    assert steps == sorted(steps)
    assert value("blockiness", jpeg(picture, 10)[3:, 4:]) < 0.1 * steps[-1]


@pytest.mark.parametrize("title", [*TITLES, "chelsea"])
def test_light_compression_rings(title):
    picture = photograph(title)
    assert value("ringing", jpeg(picture, 40)) > 1.05 * value("ringing", picture)


def test_bands_are_found_and_dithering_takes_them_away():
    assert value("banding", ramp()) > 3
    assert value("banding", ramp(dither=4)) < 0.2


def test_steps_of_luminance_are_seen_up_to_known_levels():
    """L(s + d) - L(s) > .019 L(s) with BT.1886, 300 cd/m2: near black, L grows as (s - 64)^2.4 over a small offset."""
    for step, level in enumerate(visible_levels(), 1):

        def luminance(sample):
            root = 300 ** (1 / 2.4), 0.01 ** (1 / 2.4)
            return ((root[0] - root[1]) * (sample - 64) / 876 + root[1]) ** 2.4

        ratios = [luminance(s + step) / luminance(s) - 1 for s in (level, level + 1)]
        assert ratios[0] > 0.019 >= ratios[1]


# --- tone ------------------------------------------------------------------------------------------------------------


def test_entropy_of_equal_shares_is_their_logarithm():
    assert value("entropy", stripes(16, 16, 1)) == 1
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    assert value("entropy", every) == 8
    assert value("entropy", every // 64) == 2


def test_clipped_pixels_are_counted():
    """Four pixels: white, black, pure red, grey."""
    picture = np.array([[[255, 255, 255], [0, 0, 0]], [[255, 0, 0], [128, 128, 128]]], np.uint8)
    shares = {"": 0.75, "bright": 0.5, "dark": 0.25, "mean": (255 + 0.299 * 255 + 128) / 4 / 255}
    for preset, share in shares.items():
        assert value(f"exposure:{preset}" if preset else "exposure", picture) == pytest.approx(share)


def test_colour_by_hand():
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    assert value("colorfulness", red) == pytest.approx(0.3 * math.hypot(255, 127.5))
    assert value("saturation", red) == 1
    red[0] = 255  # one half white
    rg, yb = 127.5, 63.75  # deviations and means of both opponents
    assert value("colorfulness", red) == pytest.approx(math.hypot(rg, yb) * 1.3)
    assert value("saturation", red) == 0.5


def test_variation_of_bars_by_hand():
    """16 columns of bars two pixels wide have seven steps of 1 in each of eight rows."""
    bars = stripes(8, 16, 1)
    assert value("tv", bars) == pytest.approx(56 / 128)
    assert value("tv:anisotropic", bars) == pytest.approx(56 / 128)
    assert value("tv:piq-l1", bars) == pytest.approx(56)
    assert value("tv:piq", bars) == pytest.approx(math.sqrt(56))


def test_contrast_of_two_levels_by_hand():
    bars = stripes(8, 8, 1)
    assert value("contrast_rms", bars) == pytest.approx(0.5 * math.sqrt(64 / 63))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("tv", {"norm": "l3"}),
        ("laplacian_sharpness", {"colour": "rgb"}),
        ("noise_sigma", {"method": "fourier"}),
        ("exposure", {"part": "middle"}),
    ],
)
def test_unknown_settings_are_told(name, settings):
    (setting, wrong), *_ = settings.items()
    for x in (batch(stripes(16, 16, 3)), batch(stripes(16, 16, 3)) / 255):
        with pytest.raises(InputError, match=rf"{setting} must be .*, got '{wrong}'"):
            bh.metric(name, **settings)(x)
