"""Resizing against published weights, PyTorch's and Pillow's own, and its typed errors."""

import numpy as np
import pytest
import torch
from patterns import noise, terrain
from PIL import Image

from beholder.errors import InputError, LayoutError
from beholder.resizing import METHODS, contributions, mirrored, resize


def pictures(height=61, width=83, channels=2):
    return np.stack([terrain(height, width, channels), noise(height, width, channels)]).transpose(0, 3, 1, 2) / 255


def test_weights_of_halving_are_the_published_ones():
    """The row of weights that MATLAB's imresize(x, 1/2) has for pixels off the border, in units of 1 / 256."""
    places, weights = contributions(32, 0.5, "bicubic", True)
    assert places[8].tolist() == list(range(13, 21))
    assert (weights[8] * 256).tolist() == pytest.approx([-3, -9, 29, 111, 111, 29, -9, -3], abs=1e-12)


def test_enlarging_by_two_is_keys_cubic():
    """At a quarter of a pixel: Keys 1981 with a = -1/2, in units of 1 / 128."""
    _, weights = contributions(20, 2.0, "bicubic", True)
    used = [w for w in weights[9] * 128 if w != 0]
    assert used == pytest.approx([-9, 111, 29, -3], abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [0.3, 0.5, 0.77, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("antialias", [True, False])
def test_constants_stay_and_libraries_agree(method, scale, antialias):
    x = pictures()
    flat = resize(np.full((1, 1, 21, 17), 0.3), scale=scale, method=method, antialias=antialias)
    np.testing.assert_allclose(flat, 0.3, rtol=1e-12)
    given = resize(x, scale=scale, method=method, antialias=antialias)
    assert given.shape == (2, 2, int(np.ceil(61 * scale)), int(np.ceil(83 * scale)))
    tensor = resize(torch.tensor(x), scale=scale, method=method, antialias=antialias)
    np.testing.assert_allclose(tensor.numpy(), given, rtol=0, atol=1e-14)
    if scale == 1:
        np.testing.assert_allclose(given, x, rtol=0, atol=1e-15)


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [(20, 30), (31, 61), (90, 83), (122, 166)])
def test_equals_pytorch_off_the_border(mode, size):
    """PyTorch with antialias has the same kernels, a = -1/2, and another border."""
    x = torch.tensor(pictures())
    theirs = torch.nn.functional.interpolate(x, size=size, mode=mode, antialias=True)
    ours = resize(x, size, method=mode)
    edge = 3 * max(1, round(max(size) / 60))
    inner = (..., slice(edge, -edge), slice(edge, -edge))
    np.testing.assert_allclose(ours[inner], theirs[inner], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "theirs"),
    [("bicubic", "BICUBIC"), ("bilinear", "BILINEAR"), ("lanczos3", "LANCZOS")],
)
def test_equals_pillow_off_the_border(method, theirs):
    x = pictures(channels=1)[:1].astype(np.float32)
    expected = np.asarray(Image.fromarray(x[0, 0]).resize((40, 29), getattr(Image.Resampling, theirs)))
    found = resize(x, (29, 40), method=method)[0, 0]
    np.testing.assert_allclose(found[4:-4, 4:-4], expected[4:-4, 4:-4], rtol=0, atol=3e-7)


def test_nearest_takes_pixels_as_they_are():
    x = pictures(6, 8, 1)
    assert np.array_equal(resize(x, scale=0.5, method="nearest"), x[..., 1::2, 1::2])
    assert np.array_equal(resize(x, scale=2, method="nearest"), x.repeat(2, -1).repeat(2, -2))


def test_border_is_the_mirror_image():
    assert mirrored(np.arange(-5, 8), 3).tolist() == [1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1]
    x = pictures(12, 12, 1)
    big = np.pad(x, ((0, 0), (0, 0), (12, 12), (12, 12)), mode="symmetric")
    np.testing.assert_allclose(resize(x, scale=0.5), resize(big, scale=0.5)[..., 6:12, 6:12], atol=1e-15)


def test_short_lines_and_precision():
    for height, width in ((1, 1), (1, 5), (2, 3)):
        x = np.random.default_rng(1).random((1, 1, height, width), np.float32)
        for scale in (0.25, 0.5, 3.0):
            assert resize(x, scale=scale).dtype == np.float32
            assert np.isfinite(resize(x, scale=scale)).all()


def test_gradients_are_the_transpose():
    x = torch.tensor(pictures(9, 7, 1)[:1], requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: resize(a, scale=0.5), x)
    assert torch.autograd.gradcheck(lambda a: resize(a, (5, 11)), x)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"scale": 0.5, "size": (3, 3)}, InputError, "either a size or a scale"),
        ({}, InputError, "either a size or a scale"),
        ({"scale": 0.0}, InputError, "positive"),
        ({"scale": float("nan")}, InputError, "positive"),
        ({"size": (0, 3)}, InputError, "at least 1"),
        ({"scale": 2, "method": "magic"}, InputError, "knows the methods"),
    ],
)
def test_wrong_settings_are_told(given, error, words):
    with pytest.raises(error, match=words):
        resize(np.zeros((1, 1, 4, 4)), **given)
    with pytest.raises(LayoutError, match=r"\(N, C, H, W\)"):
        resize(np.zeros((4, 4)), scale=2)
