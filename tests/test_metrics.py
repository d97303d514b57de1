"""What single metrics promise beyond the contract of all (tests/contract): closed forms, protocols, peers at hand."""

import math
import pickle  # noqa: TID251  # what worker processes do with a metric
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from patterns import batch, degrade, noise, photograph, stripes, terrain
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

import beholder as bh
from beholder.errors import SizeError, UnknownMetricError
from beholder.metrics.deep import word_of
from beholder.metrics.registry import find, normalise
from beholder.models import viewing

CARDS = [c for c in bh.list_metrics(needs="reference") if not c.backbones]  # the user brings weights for the others
PAIRED = [f"{c.name}:{p}" if p else c.name for c in CARDS for p in ("", *c.presets)]
C1, C2 = 0.01**2, 0.03**2


def flat(value, side=24, channels=3):
    return np.full((1, channels, side, side), value, np.uint8)


def value(name, *pictures, **how):
    return float(bh.metric(name)(*pictures, **how)[0])


# --- pixel differences ------------------------------------------------------------------------------------------------

tiny = arrays(np.uint8, (1, 3, 5, 4))


@given(x=tiny, y=tiny)
@settings(max_examples=60, deadline=None)
def test_pixel_metrics_are_their_formulas(x, y):
    difference = x.astype(np.int64) - y.astype(np.int64)
    squares, absolutes, count = int((difference**2).sum()), int(abs(difference).sum()), difference.size
    assert value("mse:255", x, y) == pytest.approx(squares / count, rel=1e-12)
    assert value("mse", x, y) == pytest.approx(squares / count / 65025, rel=1e-12)
    assert value("mae:255", x, y) == pytest.approx(absolutes / count, rel=1e-12)
    assert value("rmse:255", x, y) == pytest.approx(math.sqrt(squares / count), rel=1e-12)
    assert value("rmse", x, y) == pytest.approx(math.sqrt(value("mse", x, y)), rel=1e-12)
    decibels = 10 * math.log10(65025 * count / squares) if squares else math.inf
    assert value("psnr", x, y) == pytest.approx(decibels, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("step", [1, 2, 7, 100])
def test_psnr_of_a_constant_offset(step):
    """20 log10(255 / step); one step of 255 is the 48.13 dB of every textbook."""
    x, y = flat(50 + step), flat(50)
    assert value("psnr", x, y) == pytest.approx(20 * math.log10(255 / step), rel=1e-12)
    assert value("psnr_y:full", x, y) == pytest.approx(20 * math.log10(255 / step), abs=1e-6)
    assert value("psnr_y", x, y) == pytest.approx(20 * math.log10(255 / step * 255 / 219), abs=1e-6)
    assert round(value("psnr", flat(51), flat(50)), 2) == 48.13


@pytest.mark.parametrize("crop", [2, 3, 4])
def test_super_resolution_psnr_leaves_the_border_out(crop):
    y = batch(terrain(40, 48, 3))
    x = y.copy()
    x[..., crop:-crop, crop:-crop] += 3
    inner = 20 * math.log10(255 / 3 * 255 / 219)
    for spoilt in (
        x,
        np.where(np.pad(np.zeros((40 - 2 * crop, 48 - 2 * crop), bool), crop, constant_values=True), 0, x),
    ):
        assert value(f"psnr:sr-y-crop{crop}", spoilt.astype(np.uint8), y) == pytest.approx(inner, abs=1e-9)
    x[..., crop, crop] += 9  # the first pixel that counts
    assert value(f"psnr:sr-y-crop{crop}", x, y) < inner
    with pytest.raises(SizeError, match=f"more than {2 * crop} pixels a side to crop {crop}, got {2 * crop}x48"):
        value(f"psnr:sr-y-crop{crop}", x[..., : 2 * crop, :], y[..., : 2 * crop, :])


def test_grey_counts_as_equal_channels():
    x, y = batch(terrain(30, 30, 3))[:, :1], batch(noise(30, 30, 3))[:, :1]
    for name in ("psnr", "psnr_y", "psnr_y:full", "ssim", "ssim:y", "ssim:matlab", "gmsd", "gmsd:matlab", "mse", "mae"):
        as_colour = value(name, np.repeat(x, 3, 1), np.repeat(y, 3, 1))
        assert value(name, x, y) == pytest.approx(as_colour, rel=1e-6), name


# --- structure --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ssim", "ssim:y", "ssim:matlab", "ssim:skimage", "ssim:wang-downsampled"])
@pytest.mark.parametrize(("a", "b"), [(0, 255), (10, 20), (128, 130), (255, 254)])
def test_ssim_of_flat_pictures_is_its_luminance_term(name, a, b):
    u, v = a / 255, b / 255
    expected = (2 * u * v + C1) / (u * u + v * v + C1)
    assert value(name, flat(a), flat(b)) == pytest.approx(expected, abs=2e-6)
    assert value(name, flat(a), flat(b), data_range=255) == pytest.approx(expected, abs=1e-9)


def test_ssim_is_the_papers_formula_window_by_window():
    """Equations 13 of the paper, with explicit two-dimensional weights, loops and centred moments."""
    x, y = (picture(14, 13, 1)[..., 0] / 255 for picture in (terrain, noise))
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    found = []
    for i in range(4):
        for j in range(3):
            p, q = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            mp, mq = (weights * p).sum(), (weights * q).sum()
            vp, vq = (weights * (p - mp) ** 2).sum(), (weights * (q - mq) ** 2).sum()
            cov = (weights * (p - mp) * (q - mq)).sum()
            found.append((2 * mp * mq + C1) * (2 * cov + C2) / ((mp**2 + mq**2 + C1) * (vp + vq + C2)))
    assert value("ssim", x[None, None], y[None, None]) == pytest.approx(np.mean(found), rel=1e-12)


def test_ssim_of_a_negative_is_negative():
    x = batch(terrain(64, 64, 3))
    assert value("ssim", 255 - x, x) < -0.2
    assert value("ssim:y", 255 - x, x) < -0.2


@pytest.mark.parametrize(("side", "factor"), [(383, 1), (384, 2), (512, 2), (639, 2), (640, 3)])
def test_wang_downsampling_follows_the_shorter_side(side, factor):
    """round(min(H, W) / 256), halves upwards, and the mean over factor x factor pixels: written out here."""
    shape = (side, side + 40)
    pair = batch(degrade(terrain(*shape, 1), "noise", 2)), batch(terrain(*shape, 1))
    before = (factor - 1) // 2
    small = []
    for a in pair:
        big = np.pad(a[0, 0].astype(float), (before, factor), mode="symmetric")
        mean = sum(big[i : i + shape[0], j : j + shape[1]] for i in range(factor) for j in range(factor)) / factor**2
        small.append(mean[None, None, ::factor, ::factor] / 255)
    assert value("ssim:wang-downsampled", *pair) == pytest.approx(value("ssim", *small), abs=1e-10)


def test_ms_ssim_of_a_negative_counts_as_nothing_but_its_sum_does():
    x = batch(terrain(176, 180, 3))
    assert value("ms_ssim", 255 - x, x) == 0
    assert value("ms_ssim:matlab-sum", 255 - x, x) < 0
    tensor = torch.tensor(x / 255, requires_grad=True)
    (gradient,) = torch.autograd.grad(bh.metric("ms_ssim")(1 - tensor, tensor.detach()).sum(), tensor)
    assert torch.isfinite(gradient).all()


def test_ms_ssim_weights_the_scales_as_the_paper():
    """Fine stripes are gone after the first halving: only the first exponent, .0448, acts on their loss."""
    grey = flat(128, 192, 1)
    bars = batch(stripes(192, 192, 1, 2))  # one pixel black, one white
    first = (C2) / ((0.5 * 255 / 255) ** 2 + C2)  # contrast-structure term at scale 1: variance 1/4 against none
    rest = (2 * 128 / 255 * 0.5 + C1) / ((128 / 255) ** 2 + 0.25 + C1)  # luminance at scale 5
    assert value("ms_ssim", bars, grey) == pytest.approx(first**0.0448 * rest**0.1333, rel=1e-3)


def test_ms_ssim_needs_five_scales():
    """(161 - 1) / 16 + 1 = 11 pixels at the fifth scale, as wide as the window."""
    assert bh.metric("ms_ssim").card.min_size == 161
    side, scales = 161, 0
    while side >= 11:
        side, scales = (side + 1) // 2, scales + 1
    assert scales == 5


# --- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("a", "b"), [(255, 0), (200, 100), (30, 33)])
def test_gmsd_of_flat_pictures_is_their_border(a, b):
    """Zeros stand beyond the border: gradient v along the sides, (2/3, 2/3) v in the corners, none within."""
    n, c = 12, 170
    energies = np.zeros((n, n))
    energies[0], energies[-1], energies[:, 0], energies[:, -1] = 1, 1, 1, 1
    energies[[0, 0, -1, -1], [0, -1, 0, -1]] = 8 / 9
    p, q = energies * a**2, energies * b**2
    expected = np.std((2 * np.sqrt(p * q) + c) / (p + q + c), ddof=1)
    for name in ("gmsd", "gmsd:matlab"):
        assert value(name, flat(a), flat(b)) == pytest.approx(expected, rel=1e-5)
        assert value(name, flat(a), flat(b), data_range=255) == pytest.approx(expected, rel=1e-10)


def test_gmsd_reaches_beyond_a_third():
    """A picture that has lost every edge of one half: similarity about 0 there and 1 elsewhere, spread about a half."""
    y = batch(stripes(64, 64, 1, 8))
    y[..., 32:, :] = 0
    found = value("gmsd", np.zeros_like(y), y)
    assert 0.4 < found < bh.metric("gmsd").range[1]


# --- what all have in common ------------------------------------------------------------------------------------------


SYMMETRIC = {"gmsd", "mae", "ms_ssim", "mse", "psnr", "psnr_y", "rmse", "ssim", "uqi"}


@pytest.mark.parametrize("name", [n for n in PAIRED if n.partition(":")[0] in SYMMETRIC])
def test_symmetric_formulas_give_symmetric_values(name):
    y = terrain(170, 172, 3)
    x = degrade(y, "noise", 3)
    x, y = batch(x) / 255, batch(y) / 255
    assert value(name, x, y) == pytest.approx(value(name, y, x), rel=1e-12)


@pytest.mark.parametrize("seed", [1, 2])
def test_peers_at_hand_agree(seed):
    """scikit-image, whichever version is installed: on pictures that no truth file holds."""
    y = noise(37, 53, 3, seed) // 2 + terrain(37, 53, 3) // 2
    x = degrade(y, ("blur", "noise")[seed % 2], 2)
    gauss = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    found = structural_similarity(y, x, channel_axis=2, data_range=255, **gauss)
    assert value("ssim", batch(x), batch(y)) == pytest.approx(found, abs=1e-6)
    found = structural_similarity(y, x, channel_axis=2, data_range=255)
    assert value("ssim:skimage", batch(x), batch(y)) == pytest.approx(found, abs=1e-10)
    assert value("mse:255", batch(x), batch(y)) == pytest.approx(mean_squared_error(y, x), rel=1e-12)
    assert value("psnr", batch(x), batch(y)) == pytest.approx(peak_signal_noise_ratio(y, x), rel=1e-12)


def test_range_follows_the_preset():
    black, white = flat(0), flat(255)
    for name in ("mse", "mae", "rmse"):
        for preset in ("", ":255"):
            m = bh.metric(name + preset)
            assert float(m(white, black)[0]) == pytest.approx(m.range[1])
    assert bh.metric("mse").range == (0, 1)
    assert bh.metric("mse:255").range == (0, 65025)


def test_rounding_follows_the_steps_of_the_type():
    """rgb2gray of integers gives integers: 8, 12 and 16 bits round at their own steps, floats never."""
    x, y = batch(photograph("coffee")[:64, :64]), batch(photograph("coffee")[1:65, :64])
    m = bh.metric("ssim:matlab")
    weights = np.array([0.298936021293775, 0.587043074451121, 0.114020904255103])

    def rounded(a, levels):
        grey = (
            np.floor((a.astype(np.float64) * (levels // 255)).transpose(0, 2, 3, 1) @ weights + 0.5)[:, None] / levels
        )
        return grey / (255 * (levels // 255) / levels)

    for levels, kind in ((255, np.uint8), (4080, np.uint16), (65535, np.uint16)):
        wide = [a.astype(kind) * (levels // 255) for a in (x, y)]
        expected = value("ssim", rounded(x, levels), rounded(y, levels))
        told = None if levels in (255, 65535) else levels
        assert float(m(*wide, data_range=told)[0]) == pytest.approx(expected, abs=1e-6 if levels == 255 else 1e-10)
    assert float(m(x / 255, y / 255)[0]) != pytest.approx(float(m(x, y)[0]), abs=1e-7)


@pytest.mark.parametrize(
    ("score", "word"),
    [
        (0, "bad"),
        (19.99, "bad"),
        (20, "poor"),
        (40, "fair"),
        (59.9, "fair"),
        (60, "good"),
        (80, "excellent"),
        (100, "excellent"),
    ],
)
def test_words_are_fifths_of_the_scale(score, word):
    assert word_of(score) == word


def test_names():
    assert normalise(" MS SSIM ") == normalise("msssim") == normalise("MS-SSIM") == "ms_ssim"
    assert find("PSNR:SR_Y_Crop4")[1] == "sr-y-crop4"
    assert repr(bh.metric("Ssim:Y")) == "Measure('ssim:y')"
    with pytest.raises(UnknownMetricError, match="known metrics: banding, beholder"):
        bh.metric("qqqqqqqq")
    with pytest.raises(UnknownMetricError, match="known metrics"):
        bh.metric("")
    with pytest.raises(UnknownMetricError, match="mse has no preset 'y'"):
        bh.metric("mse:y")


@pytest.mark.parametrize(
    ("given", "meant"),
    [("sssim", "ssim"), ("simm", "ssim"), ("pnsr", "psnr"), ("nique", "niqe"), ("msim", "ms_ssim"), ("ergass", "ergas"),
     ("blur", "blur_effect"), ("sharpness", "laplacian_sharpness"), ("hvs", "psnr_hvs"), ("gsmd", "gmsd")],
)  # fmt: skip
def test_a_misspelt_name_suggests_the_nearest(given, meant):
    with pytest.raises(UnknownMetricError, match=f"did you mean '{meant}'"):
        bh.metric(given)


@pytest.mark.parametrize("given", ["nope", "xyz", "quality"])
def test_a_name_that_is_near_none_suggests_none(given):
    with pytest.raises(UnknownMetricError, match="known metrics: banding, beholder"):
        bh.metric(given)


def test_no_metric_warns():
    """NaN, division by zero and overflow would: on flat, equal and opposite pictures."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in PAIRED:
            for a, b in ((0, 0), (255, 255), (0, 255), (128, 128)):
                x, y = flat(a, 176) / 255, flat(b, 176) / 255
                assert not np.isnan(value(name, x, y))
                assert not np.isnan(float(bh.metric(name)(torch.tensor(x), torch.tensor(y))[0]))


# --- the network ------------------------------------------------------------------------------------------------------


def test_native_and_default_agree_up_to_a_megapixel_and_part_above():
    picture = batch(photograph("astronaut"))
    assert value("beholder", picture) == pytest.approx(value("beholder:native", picture), abs=0.05)
    large = np.tile(picture, (1, 1, 3, 3))[..., :1200, :1300]
    assert large.shape[-2] * large.shape[-1] > viewing.VIEWING_AREA
    assert abs(value("beholder", large) - value("beholder:native", large)) > 0.05


@pytest.mark.parametrize(("height", "width"), [(1100, 1200), (700, 2300)])
def test_viewing_size_is_the_same_in_both_libraries(height, width):
    """Reduced by Pillow for ONNX Runtime and by PyTorch for gradients."""
    picture = np.tile(batch(photograph("coffee")), (1, 1, 3, 4))[..., :height, :width]
    x = picture.astype(np.float32) / 255
    tensor = float(bh.metric("beholder")(torch.tensor(x))[0])
    assert tensor == pytest.approx(value("beholder", x), abs=0.05)


# --- kinds of arrays --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ssim", "ssim:matlab", "blur_effect", "beholder"])
@pytest.mark.parametrize("kind", [">f4", ">f8", "longdouble", ">u2"])
def test_any_order_of_bytes_gives_the_same_value(name, kind):
    x, y = batch(photograph("coffee")[:64, :64]), batch(photograph("coffee")[1:65, :64])
    given = (x, y) if bh.metric(name).card.needs == "reference" else (x,)
    wide = [a.astype(np.uint16) * np.uint16(257) if kind == ">u2" else (a / 255) for a in given]
    usual = {"f": np.float32} if kind == ">f4" else {}
    native = [a.astype(usual.get(a.dtype.kind, a.dtype)) for a in wide]
    foreign = [a.astype(kind) for a in native]
    assert value(name, *foreign) == value(name, *native)


def test_white_of_bool_is_white():
    x, y = batch(terrain(40, 40, 3)) > 128, batch(noise(40, 40, 3)) > 100
    expected = value("ssim", x.astype(np.uint8) * 255, y.astype(np.uint8) * 255)
    assert value("ssim", x, y) == expected
    assert float(bh.metric("ssim")(torch.tensor(x), torch.tensor(y))[0]) == expected
    assert value("ssim", x, y, data_range=4095) == pytest.approx(expected, abs=1e-6)
    assert float(bh.metric("blur_effect").scores(x)[0]) == value("blur_effect", x.astype(np.uint8) * 255)


@pytest.mark.parametrize(
    ("kind", "error", "told"),
    [
        (np.complex64, bh.RangeError, "bool, integer or float values, got complex64 as image; pass its magnitude"),
        (object, bh.RangeError, "bool, integer or float values, got object as image; convert it"),
        ("M8[s]", bh.RangeError, "bool, integer or float values, got datetime64"),
        (np.int32, bh.RangeError, "int32 values, whose full scale is unknown; pass data_range"),
    ],
)
def test_arrays_that_hold_no_samples_are_refused(kind, error, told):
    x = batch(terrain(40, 40, 3))
    with pytest.raises(error, match=told):
        bh.metric("ssim")(x.astype(kind), x)


def test_complex_tensors_and_masked_arrays_are_refused():
    x = batch(terrain(40, 40, 3))
    with pytest.raises(bh.RangeError, match="complex64 as reference"):
        bh.metric("ssim")(torch.tensor(x), torch.tensor(x).to(torch.complex64))
    masked = np.ma.masked_greater(x, 200)
    with pytest.raises(bh.InputError, match="measures every pixel, got a masked array as reference; crop it, or fill"):
        bh.metric("ssim")(x, masked)
    with pytest.raises(bh.InputError, match="expected every pixel, got a masked array"):
        bh.read_image(masked[0], layout="CHW")


# --- settings ---------------------------------------------------------------------------------------------------------


def test_settings_go_before_the_preset():
    x, y = (np.ascontiguousarray(np.random.default_rng(i).integers(0, 256, (1, 3, 40, 40), np.uint8)) for i in (0, 1))
    assert bh.metric("ssim", colour="luma")(x, y) == bh.metric("ssim:y")(x, y)
    m = bh.metric("ssim:matlab", colour="luma")
    assert m(x, y) == bh.metric("ssim:y")(x, y)
    again = pickle.loads(pickle.dumps(m))
    assert again.settings == m.settings
    assert again(x, y) == m(x, y)


@pytest.mark.parametrize("name", ["levels", "image", "color"])
def test_unknown_settings_are_told(name):
    with pytest.raises(bh.InputError, match=f"ssim has no setting '{name}'; its settings: colour, window, "):
        bh.metric("ssim", **{name: 1})
