"""The bodies below the metrics, for NumPy and PyTorch alike, against SciPy, NumPy and values that MATLAB documents."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d

from beholder import arrays, banded
from beholder.errors import ChannelError

BOTH = pytest.mark.parametrize("make", [np.array, torch.tensor], ids=["numpy", "torch"])
sizes = st.integers(1, 9)


def picture(*shape, seed=0):
    return np.random.default_rng(seed).uniform(size=shape)


def colour(r, g, b):
    return np.array([r, g, b], dtype=np.float64).reshape(1, 3, 1, 1) / 255


# --- which library ----------------------------------------------------------------------------------------------------


def test_tensors_are_told_from_arrays():
    assert arrays.is_torch(torch.zeros(1))
    assert arrays.is_torch(torch.nn.Parameter(torch.zeros(1)))
    assert not arrays.is_torch(np.zeros(1))
    assert not arrays.is_torch([1.0])
    assert not arrays.is_torch(object())
    assert arrays.namespace(torch.zeros(1)).__name__.endswith("torch")
    assert arrays.namespace(np.zeros(1)).__name__.endswith("numpy")


def test_telling_does_not_import_pytorch():
    code = (
        "import sys, numpy; from beholder.arrays import is_torch; "
        "print(is_torch(numpy.zeros(1)), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False", "False"]


# --- windows and filters ----------------------------------------------------------------------------------------------


def test_gaussian_window_is_the_papers():
    """fspecial('gaussian', 11, 1.5): MATLAB shows 0.0708 in the middle, 0.0567 beside it, 0.0000 in the corners."""
    window = np.outer(*[arrays.gaussian_window(11, 1.5)] * 2)
    assert window.sum() == pytest.approx(1, abs=1e-15)
    assert np.array_equal(window, window[::-1, ::-1])
    assert np.round(window[5, 3:8], 4).tolist() == [0.0291, 0.0567, 0.0708, 0.0567, 0.0291]
    assert 0 < window[0, 0] < 5e-5
    assert window[5, 6] / window[5, 5] == pytest.approx(np.exp(-1 / 4.5))


def test_uniform_window_is_the_mean():
    assert arrays.uniform_window(7).tolist() == [1 / 7] * 7


@BOTH
@given(rows=sizes, columns=sizes, height=st.integers(9, 14), width=st.integers(9, 14))
@settings(max_examples=25, deadline=None)
def test_correlate_is_scipys(make, rows, columns, height, width):
    """Even and odd windows, not symmetric: a convolution or a shift by one would show."""
    x = picture(2, 3, height, width)
    down, along = picture(rows, seed=1), picture(columns, seed=2)
    found = np.asarray(arrays.correlate(make(x), down, along))
    assert found.shape == (2, 3, height - rows + 1, width - columns + 1)
    for n in range(2):
        for c in range(3):
            np.testing.assert_allclose(found[n, c], correlate2d(x[n, c], np.outer(down, along), "valid"), atol=1e-12)


@BOTH
@given(margins=st.tuples(*[st.integers(0, 13)] * 4), height=st.integers(1, 6), width=st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_padding_is_numpys(make, margins, height, width):
    """Margins wider than the picture, too: the mirror image goes to and fro."""
    top, bottom, left, right = margins
    x = picture(1, 2, height, width)
    by = ((0, 0), (0, 0), (top, bottom), (left, right))
    assert np.array_equal(np.asarray(arrays.pad_mirror(make(x), *margins)), np.pad(x, by, mode="symmetric"))
    assert np.array_equal(np.asarray(arrays.pad_zeros(make(x), *margins)), np.pad(x, by))


def shrunk(x, factor, zeros):
    """MATLAB: imfilter(x, ones(f) / f^2, 'symmetric' or 0)(1:f:end, 1:f:end), written out."""
    before = (factor - 1) // 2
    big = np.pad(x, before + factor, mode="constant" if zeros else "symmetric")
    height, width = x.shape
    out = np.zeros((-(-height // factor), -(-width // factor)))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            top, left = i * factor + factor, j * factor + factor  # of the window: the pixel, less `before`
            out[i, j] = big[top : top + factor, left : left + factor].mean()
    return out


@BOTH
@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("shape", [(12, 12), (13, 11), (6, 7)], ids=str)
def test_shrink_is_matlabs(make, factor, zeros, shape):
    x = picture(*shape)
    found = np.asarray(arrays.shrink(make(x[None, None]), factor, zeros=zeros))[0, 0]
    np.testing.assert_allclose(found, shrunk(x, factor, zeros), atol=1e-12)


# --- colour -----------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("rgb", "grey", "studio"),
    [
        ((255, 0, 0), 76, 81.481),
        ((0, 255, 0), 150, 144.553),
        ((0, 0, 255), 29, 40.966),
        ((255, 255, 255), 255, 235),
        ((0, 0, 0), 0, 16),
        ((255, 255, 0), 226, 210.034),
        ((12, 200, 99), 132, 16 + (12 * 65.481 + 200 * 128.553 + 99 * 24.966) / 255),
    ],
    ids=str,
)
def test_luma_is_matlabs(make, rgb, grey, studio):
    """rgb2gray on uint8, and rgb2ycbcr on double (times 255), whose corners MATLAB's documentation gives."""
    x = make(colour(*rgb))
    assert float(arrays.to_luma(x, "matlab", 255)[0, 0, 0, 0]) * 255 == pytest.approx(grey, abs=1e-10)
    assert float(arrays.to_luma(x, "studio")[0, 0, 0, 0]) * 255 + 16 == pytest.approx(studio, abs=1e-10)
    full = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    assert float(arrays.to_luma(x, "luma")[0, 0, 0, 0]) * 255 == pytest.approx(full, abs=1e-10)
    assert float(arrays.to_luma(x, "matlab")[0, 0, 0, 0]) * 255 == pytest.approx(full, abs=0.02)  # not rounded
    assert arrays.to_luma(x, "rgb") is x


def test_luma_weights_are_what_they_are_called():
    assert sum(arrays.LUMA_FULL) == pytest.approx(1, abs=1e-15)
    assert sum(arrays.LUMA_MATLAB) == pytest.approx(1, abs=1e-14)
    assert sum(arrays.LUMA_STUDIO) == pytest.approx(219 / 255, abs=1e-15)
    inverse = np.linalg.inv([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.106, 1.703]])  # MATLAB's YIQ matrix
    np.testing.assert_allclose(arrays.LUMA_MATLAB, inverse[0], atol=1e-14)


def test_halves_round_up_as_in_matlab():
    steps = np.array([0.5, 1.5, 2.5, 100.5]) / 255
    x = np.broadcast_to(steps, (1, 3, 1, 4))  # grey as colour: luma is the half itself, give or take 1e-16
    found = arrays.to_luma(x + 1e-12, "matlab", 255) * 255
    np.testing.assert_allclose(found[0, 0, 0], [1, 2, 3, 101])


@BOTH
def test_grey_is_its_own_luma(make):
    x = make(picture(2, 1, 4, 5))
    for name in ("rgb", "luma", "matlab"):
        assert arrays.to_luma(x, name, 255) is x
    as_colour = make(np.repeat(np.asarray(x), 3, axis=1))
    np.testing.assert_allclose(arrays.to_luma(x, "studio"), arrays.to_luma(as_colour, "studio"), atol=1e-15)


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_other_channel_counts_have_no_luma(channels):
    with pytest.raises(ChannelError, match=f"1 or 3 channels .*got {channels}"):
        arrays.to_luma(picture(1, channels, 4, 4), "luma")


def test_unknown_colour_is_told():
    with pytest.raises(ChannelError, match="rgb, luma, studio or matlab, got 'lab'"):
        arrays.to_luma(picture(1, 3, 4, 4), "lab")


# --- sums and powers --------------------------------------------------------------------------------------------------


@BOTH
def test_plane_mean_is_over_all_but_the_batch(make):
    x = picture(3, 2, 4, 5)
    np.testing.assert_allclose(arrays.plane_mean(make(x)), [a.mean() for a in x])


@BOTH
@pytest.mark.parametrize("exponent", [0.5, 0.0448, 2.0])
def test_positive_power(make, exponent):
    x = [-2.0, -0.0, 0.0, 0.25, 4.0]
    np.testing.assert_allclose(arrays.positive_power(make(x), exponent), [0, 0, 0, 0.25**exponent, 4**exponent])


def test_positive_root_has_a_finite_gradient():
    x = torch.tensor([-1.0, 0.0, 0.25, 4.0], dtype=torch.float64, requires_grad=True)
    arrays.positive_root(x).sum().backward()
    assert x.grad.tolist() == [0, 0, 1, 0.25]


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_precision_is_kept(kind):
    x = picture(1, 3, 8, 8).astype(kind)
    window = arrays.gaussian_window(5, 1.0)
    for f in (
        lambda a: arrays.correlate(a, window, window),
        lambda a: arrays.shrink(a, 2),
        lambda a: arrays.shrink(a, 2, zeros=True),
        lambda a: arrays.to_luma(a, "luma"),
        lambda a: arrays.to_luma(a, "studio"),
        lambda a: arrays.to_luma(a, "matlab", 255),
        arrays.plane_mean,
        arrays.positive_root,
    ):
        assert f(x).dtype == np.dtype(kind)
        assert f(torch.tensor(x)).dtype == getattr(torch, kind)


# --- banded products: PyTorch convolution, forward and twice backward -------------------------------------------------


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3), (11, 11), (1, 7), (64, 5)])
@pytest.mark.parametrize(("height", "width"), [(70, 64), (64, 75), (131, 200)])
def test_banded_products_are_convolutions(rows, columns, height, width):
    generator = torch.Generator().manual_seed(1)
    x, down, along = (
        torch.rand(s, generator=generator, dtype=torch.float64) for s in ((2, height, width), (rows,), (columns,))
    )
    expected = torch.nn.functional.conv2d(x[:, None], (down[:, None] * along)[None, None])[:, 0]
    found = banded.correlate(x, tuple(down.tolist()), tuple(along.tolist()))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_banded_products_have_gradients():
    x = torch.rand((2, 9, 70), dtype=torch.float64, requires_grad=True)
    taps = (0.2, 0.5, -0.3), (0.1, 0.4, 0.3, 0.2)
    assert torch.autograd.gradcheck(lambda a: banded.correlate(a, *taps), x, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda a: banded.correlate(a, *taps) ** 2, x, fast_mode=True)
