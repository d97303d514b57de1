"""Phase congruency, MATLAB's resizing and saliency, and the kernels of FSIM, VSI and SR-SIM."""

import numpy as np
import pytest
import torch
from patterns import batch, degrade, photograph, terrain

import beholder as bh
from beholder import banks
from beholder.arrays import pad_zeros, shrink
from beholder.kernels import phase as fast


def planes(height, width, count=1):
    return terrain(height, width, count).transpose(2, 0, 1)[None].astype(np.float64)


@pytest.mark.parametrize("size", [(7, 9), (8, 12), (31, 20)])
def test_responses_are_those_of_the_whole_filters(size):
    """Noise factors against the sums over impulse responses that Kovesi's program takes, pair by pair."""
    filters, noise = banks.log_gabor_bank(*size)
    assert filters.shape == (4, 4, *size)
    assert not filters[..., 0, 0].any()
    for o in range(4):
        impulses = np.fft.ifft2(filters[o]).real * np.sqrt(size[0] * size[1])
        squares = (impulses**2).sum()
        products = sum((impulses[i] * impulses[j]).sum() for i in range(4) for j in range(i + 1, 4))
        power = 1 / np.log(2) / (filters[o, 0] ** 2).sum()  # for a median of 1
        tau = np.sqrt((2 * power * squares + 4 * power * products) / 2)
        threshold = (tau * np.sqrt(np.pi / 2) + 2 * np.sqrt((2 - np.pi / 2) * tau**2)) / 1.7
        assert noise[o] == pytest.approx(threshold**2, rel=1e-12)


def test_phase_congruency_finds_edges_and_ignores_contrast():
    step = np.zeros((1, 1, 64, 64))
    step[..., 32:] = 100
    found = banks.phase_congruency(step)[0, 0]
    assert found[32, 31:33].max() > 0.7
    assert found[32, 8:56].argmax() + 8 in (31, 32)  # the other edge is where the picture is continued
    fainter = banks.phase_congruency(step / 4)[0, 0]
    np.testing.assert_allclose(fainter[:, 32], found[:, 32], atol=0.01)
    assert not banks.phase_congruency(np.full((1, 1, 16, 16), 77.0)).any()


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [(16, 20), (17, 23), (18, 21), (19, 22)])
def test_reduce_is_shrink_in_one_go(factor, size):
    x = planes(*size, 3)
    expected = shrink(x, factor, zeros=True)
    np.testing.assert_allclose(banks.reduce(x, factor), expected, rtol=1e-12)
    np.testing.assert_allclose(banks.reduce(torch.tensor(x), factor).numpy(), expected, rtol=1e-12)
    picture = np.ascontiguousarray(x[0].transpose(1, 2, 0).astype(np.uint8))
    np.testing.assert_allclose(fast.reduced(picture, factor, 2), expected, rtol=1e-6)
    whole = banks.reduce(x, factor, "none")
    assert whole.shape[-2:] == (size[0] // factor, size[1] // factor)
    assert whole[0, 1, 0, 0] == pytest.approx(x[0, 1, :factor, :factor].mean())
    edge = banks.reduce(torch.tensor(x), factor, "edge").numpy()
    np.testing.assert_allclose(banks.reduce(x, factor, "edge"), edge, rtol=1e-12)


def test_resize_of_a_ramp_is_a_ramp():
    """MATLAB's samples sit at (i + 1/2) / scale - 1/2: away from the borders a line stays that line."""
    ramp = np.broadcast_to(np.arange(60.0), (1, 1, 8, 60))
    for kind in ("linear", "cubic"):
        for new in (15, 30, 90, 240):
            expected = (np.arange(new) + 0.5) * 60 / new - 0.5
            found = banks.resize(ramp, 8, new, kind=kind)[0, 0, 3]
            inner = slice(new // 6, -new // 6)
            np.testing.assert_allclose(found[inner], expected[inner], atol=1e-9)
    ends = banks.resize(ramp, 8, 7, kind="ends")[0, 0, 0]
    np.testing.assert_allclose(ends, np.linspace(0, 59, 7))
    assert banks.resize(ramp, 8, 30, kind="centres")[0, 0, 0, 0] == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["linear", "cubic", "centres", "ends"])
@pytest.mark.parametrize("new", [(9, 200), (256, 256), (40, 61), (150, 7)])
def test_resize_is_the_product_of_its_matrices(kind, new):
    x = planes(100, 80, 2)
    rows, columns = (banks.resize_matrix(n, m, None, kind) for n, m in zip((100, 80), new, strict=True))
    np.testing.assert_allclose(rows.sum(axis=1), 1)
    expected = rows @ x @ columns.T
    np.testing.assert_allclose(banks.resize(x, *new, kind=kind), expected, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(banks.resize(torch.tensor(x), *new, kind=kind).numpy(), expected, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("size", [(300, 411), (513, 700), (100, 260), (90, 70)])
def test_fast_saliency_is_the_definition(size):
    picture = degrade(terrain(*size, 3), "blur", 1)
    factor = banks.reduction(*size)
    x = batch(picture) / 255
    small = banks.resize(x, 256, 256)
    np.testing.assert_allclose(fast.small(picture), small, atol=2e-6)
    expected = banks.reduce(banks.stretch(banks.resize(banks.simple_priors(small), *size)), factor)[0, 0]
    np.testing.assert_allclose(fast.saliency(picture, factor), expected, atol=2e-5)


@pytest.mark.parametrize("name", ["fsim", "fsimc", "vsi", "sr_sim"])
@pytest.mark.parametrize("size", [(64, 64), (383, 401), (384, 520), (641, 900)])
def test_kernels_are_exact_on_photograph_sizes(name, size):
    """Every rounding of the reduction factor; equal pictures give 1 to the last bit."""
    reference = np.resize(photograph("astronaut"), (*size, 3))
    image = degrade(reference, "noise", 2)
    x, y = batch(image), batch(reference)
    m = bh.metric(name)
    assert m(x, y)[0] == pytest.approx(m(x, y, data_range=255)[0], rel=1e-5)
    assert m(y, y)[0] == 1
    assert m(x, y, threads=3)[0] == m(x, y, threads=1)[0]


def test_round_half_up_as_matlab_or_to_even():
    assert [banks.reduction(n, 5000) for n in (3, 383, 384, 640, 1080, 2160)] == [1, 1, 2, 3, 4, 8]
    assert [banks.reduction(n, 5000, even=True) for n in (384, 640, 896)] == [2, 2, 4]


@pytest.mark.parametrize("program", ["matlab", "piq"])
def test_grey_vsi_gradient_with_a_fine_step(program):
    """The contract's step of 1e-5 is too coarse for the colour prior of grey pictures: declared there, checked here."""
    rng = np.random.default_rng(5)
    reference = rng.uniform(0.3, 0.7, (1, 1, 6, 7))
    image = reference + rng.uniform(0.02, 0.1, reference.shape) * rng.choice([-1, 1], reference.shape)
    pair = [torch.tensor(a).requires_grad_() for a in (image, reference)]
    m = bh.metric("vsi", program=program)
    gradients = torch.autograd.grad(m(*pair).sum(), pair)
    way = [torch.tensor(rng.standard_normal(reference.shape)) for _ in pair]
    h = 1e-8
    up, down = (m(*(a.detach() + s * w for a, w in zip(pair, way, strict=True))).sum() for s in (h, -h))
    told = sum((g * w).sum() for g, w in zip(gradients, way, strict=True))
    assert float((up - down) / (2 * h)) == pytest.approx(float(told), rel=1e-5)


def test_negative_similarity_of_chrominance_is_a_real_part():
    """MATLAB: real((-0.5) ^ 0.03) is 0.5 ^ 0.03 cos(0.03 pi)."""
    from beholder.metrics.phase import tint

    x = np.array([[[[-0.5, 0.5, 0.0]]]])
    found = tint(x, 0.03, plain=False)[0, 0, 0]
    np.testing.assert_allclose(found, [(complex(-0.5) ** 0.03).real, 0.5**0.03, 0])
    np.testing.assert_allclose(tint(x, 0.03, plain=True)[0, 0, 0], [0.5**0.03, 0.5**0.03, 0])


def test_zeros_around_a_gradient():
    x = planes(6, 7)
    padded = pad_zeros(x, 1, 1, 1, 1)[0, 0]
    kernel = np.array([[3, 0, -3], [10, 0, -10], [3, 0, -3]]) / 16
    for i, j in ((0, 0), (3, 4), (5, 6)):
        part = padded[i : i + 3, j : j + 3]
        expected = np.hypot((part * kernel).sum(), (part * kernel.T).sum())
        assert banks.scharr(x)[0, 0, i, j] == pytest.approx(expected)
