"""MS-GMSD, MDSI, HaarPSI, DSS and PSNR-HVS: what the contract and the truth files do not say of them."""

import math
import tracemalloc

import numpy as np
import pytest
from patterns import batch, degrade, noise, stripes, terrain
from scipy.fft import dctn
from scipy.signal import convolve2d

import beholder as bh
from beholder.errors import InputError
from beholder.metrics import frequency, mdsi, wavelet

FAST = (
    "ms_gmsd",
    "ms_gmsdc",
    "mdsi",
    "mdsi:mult",
    "haarpsi",
    "haarpsi:medical",
    "haarpsi:full-size",
    "dss",
    "psnr_hvs",
    "psnr_hvs_m",
)
SHAPES = ((33, 35), (48, 131), (131, 48), (257, 70), (384, 401), (641, 640))


def pair(height, width, grey=False):
    reference = terrain(height, width, 3)[..., : 1 if grey else 3]
    image = degrade(degrade(reference, "blur", 1), "noise", 2)
    return batch(image), batch(reference)


# --- kernels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])
def test_kernel_equals_definition_at_every_border(name, shape, grey):
    m = bh.metric(name)
    x, y = pair(*shape, grey=grey)
    assert m.card.kernel is not None
    expected = float(m(x, y, data_range=255)[0])
    for threads in (1, 2, 5):
        assert float(m(x, y, threads=threads)[0]) == pytest.approx(expected, rel=m.card.precision)
    assert m(x, y, threads=1) == m(x, y, threads=3)


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("kind", ["swapped", "black", "white", "negative", "bars", "faint"])
def test_kernel_equals_definition_on_extreme_pictures(name, kind):
    m = bh.metric(name)
    grain, bars = noise(65, 66, 3), stripes(65, 66, 3, 8)
    faint = bars.copy()
    faint[30:33, 20:25] ^= 1
    x, y = {
        "swapped": (terrain(65, 66, 3), degrade(terrain(65, 66, 3), "blur", 2)),
        "black": (np.zeros_like(grain), grain),
        "white": (grain, np.full_like(grain, 255)),
        "negative": (255 - grain, grain),
        "bars": (bars, 255 - bars),
        "faint": (faint, bars),
    }[kind]
    x, y = batch(x), batch(y)
    # The fourth root of a mean deviation of 1e-4 keeps fewer digits.
    expected = float(m(x, y, data_range=255)[0])
    assert float(m(x, y)[0]) == pytest.approx(expected, rel=m.card.precision, abs=1e-7)


@pytest.mark.parametrize("name", FAST)
def test_equal_bytes_are_exactly_best(name):
    m = bh.metric(name)
    best = m.range[1] if m.card.better == "higher" else m.range[0]
    for picture in (terrain(70, 67, 3), np.zeros((40, 41, 3), np.uint8), noise(64, 64, 1)):
        assert float(m(batch(picture), batch(picture.copy()))[0]) == best


@pytest.mark.parametrize(
    ("name", "settings"),
    [("haarpsi", {"steepness": 9.0}), ("ms_gmsd", {"masking": 0.25})],
)
def test_settings_without_a_kernel_go_by_the_definition(name, settings):
    x, y = pair(48, 50)
    m = bh.metric(name, **settings)
    assert float(m(x, y)[0]) == float(m(x, y, data_range=255)[0])
    assert float(m(x, y)[0]) != pytest.approx(float(bh.metric(name)(x, y)[0]), rel=1e-3)


@pytest.mark.parametrize("name", FAST)
def test_memory_is_a_small_part_of_the_picture_in_floats(name):
    x, y = pair(1024, 1024)
    m = bh.metric(name)
    m(x[..., :64, :64], y[..., :64, :64])  # kernels are loaded
    tracemalloc.start()
    m(x, y, threads=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 34 * 2**20  # 32 bytes a pixel, of which interleaving the planes takes 6


# --- definitions ------------------------------------------------------------------------------------------------------


def test_ms_gmsd_is_the_formula_of_the_paper():
    x, y = (a.astype(np.float64)[0, 0] for a in pair(37, 51, grey=True))
    kernel = np.array([[1, 0, -1]] * 3) / 3

    def magnitude(a):
        return np.hypot(convolve2d(a, kernel, "same"), convolve2d(a, kernel.T, "same"))

    total = 0.0
    for weight in (0.096, 0.596, 0.289, 0.019):
        p, q = magnitude(x), magnitude(y)
        total += weight * np.var((1.5 * p * q + 170) / (p**2 + q**2 - 0.5 * p * q + 170))
        x, y = (convolve2d(a, np.full((2, 2), 0.25), "full")[1::2, 1::2] for a in (x, y))
    assert float(bh.metric("ms_gmsd")(*pair(37, 51, grey=True), data_range=255)[0]) == pytest.approx(math.sqrt(total))


def test_ms_gmsdc_sees_colour_alone():
    x, y = pair(40, 44)
    tinted = y.astype(np.int64) + np.array([19, -11, 7])[None, :, None, None]  # hardly a change of luma
    tinted = np.clip(tinted, 0, 255).astype(np.uint8)
    assert float(bh.metric("ms_gmsdc")(tinted, y)[0]) > 10 * float(bh.metric("ms_gmsd")(tinted, y)[0])
    grey = [np.repeat(a[:, :1], 3, axis=1) for a in (x, y)]
    assert float(bh.metric("ms_gmsdc")(*grey)[0]) == pytest.approx(
        float(bh.metric("ms_gmsdc")(x[:, :1], y[:, :1])[0]), rel=1e-6
    )


def test_mdsi_knows_which_picture_is_the_reference():
    x, y = pair(64, 64)
    forth, back = (float(bh.metric("mdsi")(*order)[0]) for order in ((x, y), (y, x)))
    assert abs(forth - back) > 0.001


def test_mdsi_combination_is_checked():
    x, y = pair(16, 16)
    with pytest.raises(InputError, match="combination must be 'sum' or 'mult', got 'prod'"):
        bh.metric("mdsi", combination="prod")(x, y)


@pytest.mark.parametrize(("side", "factor"), [(3, 1), (383, 1), (384, 2), (639, 2), (640, 3), (1080, 4), (1152, 5)])
def test_mdsi_reduces_with_halves_up(side, factor):
    assert mdsi._reduction(side, 2 * side) == factor


def test_mdsi_takes_roots_of_negative_similarities_in_the_complex_plane():
    """Texture that vanishes: a good part of the similarities is negative."""
    reference = batch(noise(64, 64, 3))
    image = np.full_like(reference, 128)
    for name in ("mdsi", "mdsi:mult"):
        assert 0.4 < float(bh.metric(name)(image, reference, data_range=255)[0]) < 0.9
    similarity = np.array([0.5, -0.25])[None, None, None]
    real, imaginary = mdsi._fourth_root(similarity, similarity, "sum")
    np.testing.assert_allclose((real + 1j * imaginary)[0, 0, 0], similarity[0, 0, 0].astype(complex) ** 0.25)
    real, imaginary = mdsi._fourth_root(similarity, -similarity, "mult")
    s, t = similarity[0, 0, 0].astype(complex), (-similarity[0, 0, 0]).astype(complex)
    np.testing.assert_allclose((real + 1j * imaginary)[0, 0, 0], (s**0.2 * t**0.1) ** 0.25)


def test_haarpsi_of_a_loss_undoes_the_logistic_function():
    similarity = np.linspace(0.05, 1, 20)
    for steepness in (4.2, 4.9):
        loss = wavelet._sigmoid_loss(1 - similarity, steepness)
        np.testing.assert_allclose(
            loss, 1 / (1 + math.exp(-steepness)) - 1 / (1 + np.exp(-steepness * similarity)), atol=1e-15
        )
        np.testing.assert_allclose(wavelet.from_loss(loss, steepness), similarity**2, rtol=1e-12)


def test_haarpsi_polynomial_is_the_loss():
    missing = np.linspace(0.001, 1, 997)
    for steepness in (4.2, 4.9):
        values = np.polynomial.Polynomial(wavelet._loss_polynomial(steepness))(2 * missing - 1)
        np.testing.assert_allclose(values, wavelet._sigmoid_loss(missing, steepness) / missing, atol=1e-7)


def test_haar_coefficients_of_a_step():
    step = np.zeros((1, 1, 24, 24))
    step[..., 12:] = 1
    for scale in (1, 2, 3):
        across, along = wavelet.haar(step, scale)
        assert across[0, 0, 11, 11] == 0
        assert along[0, 0, 11, 11] == 2 ** (
            scale - 1
        )  # half a window of 2**scale, summed down its rows, times 2**-scale


# --- cosine transforms ------------------------------------------------------------------------------------------------


def test_block_transform_is_the_orthonormal_one():
    x = noise(29, 35, 1)[None].transpose(0, 3, 1, 2) / 255
    found = frequency.block_dct(x)
    assert found.shape == (1, 3, 8, 4, 8)
    np.testing.assert_allclose(found[0, 2, :, 1], dctn(x[0, 0, 16:24, 8:16], norm="ortho"), atol=1e-14)


def test_tables_are_those_that_the_authors_print():
    for table, corners in (
        (frequency.SENSITIVITY, (1.608443, 0.421887, 0.357432, 0.259950, 2.573509)),
        (frequency.MASKING, (0.390625, 0.026874, 0.019290, 0.010203, 1.0)),
    ):
        found = (table[0, 0], table[0, 7], table[7, 0], table[7, 7], table[0, 2])
        np.testing.assert_allclose(found, corners, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["psnr_hvs", "psnr_hvs_m"])
@pytest.mark.parametrize("step", [1, 10, 60])
def test_shift_of_the_mean_is_never_hidden(name, step):
    """Of the transform of a constant only the first coefficient is left, eight times as large."""
    reference = batch(terrain(64, 72, 1) // 2)
    image = (reference + step).astype(np.uint8)
    expected = -20 * math.log10(step / 255 * 1.608443)
    assert float(bh.metric(name)(image, reference)[0]) == pytest.approx(expected, abs=1e-5)


def test_contrast_hides_differences():
    """One fine wave on a flat block and on a busy one: alike by its energy, seen on the flat one alone."""
    wave = 0.02 * np.outer(frequency.DCT[6], frequency.DCT[6])[None, None]
    plain, seen = [], []
    for reference in (np.full((1, 1, 8, 8), 0.5), 0.25 + batch(noise(8, 8, 1)) / 510):
        plain.append(float(bh.metric("psnr_hvs")(reference + wave, reference)[0]))
        seen.append(float(bh.metric("psnr_hvs_m")(reference + wave, reference)[0]))
    expected = -20 * math.log10(0.02 * frequency.SENSITIVITY[6, 6] / 8)
    np.testing.assert_allclose(plain, expected, rtol=1e-9)
    assert 0 < seen[0] - plain[0] < 6
    assert seen[1] > 250  # what is left is the rounding of the mean


def test_dss_takes_seventeen_subbands_and_the_worst_twentieth():
    assert len(frequency.SUBBANDS) == 17
    assert frequency.SUBBANDS[0] == (0, 0)
    assert max(k + n for k, n in frequency.SUBBANDS) == 5
    for count, worst in ((10, 1), (29, 1), (30, 2), (50, 3), (450, 23)):
        values = np.arange(count, dtype=np.float64)[None, None, :, None]
        assert frequency.worst_mean(values[..., ::-1, :])[0, 0] == (worst - 1) / 2


def test_rows_and_columns_left_over_do_not_count():
    x, y = pair(64, 80)
    for name in ("psnr_hvs", "psnr_hvs_m", "dss"):
        more = [np.pad(a, ((0, 0), (0, 0), (0, 7), (0, 5)), constant_values=9) for a in (x, y)]
        more[0][..., 64:, :] = 200
        assert bh.metric(name)(*more) == bh.metric(name)(x, y)
