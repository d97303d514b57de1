"""The fused kernel of SSIM and its gradient against the definition in float64: seams, and where float32 is short."""

import numpy as np
import pytest
import torch
from patterns import terrain

from beholder.arrays import gaussian_window, shrink
from beholder.kernels import structure
from beholder.metrics.structure import similarity


def truth(x, y, light=True):
    """Mean and the gradients, in float64."""
    leaves = [torch.tensor(a, dtype=torch.float64)[None, None].requires_grad_() for a in (x, y)]
    value = similarity(*leaves, gaussian_window(11, 1.5))[0 if light else 1].sum()
    return float(value.detach()), [g[0, 0].numpy() for g in torch.autograd.grad(value, leaves)]


def rough(height, width):
    """Two planes in [0, 1] off the grid of eight bits."""
    y = terrain(height, width, 1)[..., 0].astype(np.float32) / 255
    return y, np.clip(y + 0.1 * np.random.default_rng(3).normal(size=y.shape), 0, 1).astype(np.float32)


def step(left, right, place, height=150, width=600):
    """A plane of two flat halves."""
    plane = np.full((height, width), left, np.float32)
    plane[:, place:] = right
    return plane


def check(x, y, value_within, **how):
    """Value and gradients, both at once and each alone, are those of the definition."""
    expected, gradients = truth(x, y, how.get("light", True))
    for wanted in ((True, True), (True, False), (False, True), (False, False)):
        found = [np.full_like(x, np.nan) if w else None for w in wanted]
        value = structure.mean_similarity(x, y, tuple(found), **how)
        assert value == pytest.approx(expected, abs=value_within)
        for one, exact in zip(found, gradients, strict=True):
            if one is not None:
                assert np.abs(one - exact).max() <= 1e-4 * np.abs(exact).max()


@pytest.mark.parametrize("shape", [(11, 11), (12, 530), (75, 521), (64, 512), (140, 1111)])
@pytest.mark.parametrize("light", [True, False], ids=["full", "without luminance"])
def test_tiles_join_without_a_seam(shape, light):
    x, y = rough(*shape)
    check(x, y, 1e-6, light=light, threads=2)


@pytest.mark.parametrize("sigma", [0.0, 0.01])
def test_flat_areas_far_apart_stay_exact(sigma):
    """Float32 alone is too short here: such tiles go through float64, their gradients, too."""
    random = np.random.default_rng(0)
    for _ in range(5):
        a, b, c, d = random.uniform(0, 1, 4)
        p, q = (int(place) for place in random.integers(50, 550, 2))
        x, y = step(a, b, p), step(c, d, q)
        x = np.clip(x + sigma * random.normal(size=x.shape), 0, 1).astype(np.float32)
        check(x, y, 3e-6, threads=2)


def test_equal_planes_have_exactly_one_and_no_slope():
    x, _ = rough(90, 130)
    slopes = np.ones_like(x), np.ones_like(x)
    assert structure.mean_similarity(x, x.copy(), slopes) == 1
    assert all(np.all(slope == 0) for slope in slopes)


@pytest.mark.parametrize("shape", [(8, 6), (7, 9), (8, 9), (11, 6)])
def test_slopes_of_scales_come_back_through_the_halves(shape):
    """One scale after the other is linear in the pixels: the slope is that of halving, seen from the other side."""
    random = np.random.default_rng(1)
    small = random.normal(size=[(side + 1) // 2 for side in shape]).astype(np.float32)
    slope = random.normal(size=shape).astype(np.float32)
    leaf = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    (shrink(leaf[None, None], 2)[0, 0] * torch.tensor(small)).sum().backward()
    expected = 0.5 * slope + 3 * leaf.grad.numpy()
    structure.add_from_half(small, slope, 0.5, 3, threads=2)
    assert slope == pytest.approx(expected, abs=1e-6)


def test_channels_of_planar_bytes_need_no_luma():
    """Bytes, as they are, have the value of the floats that they stand for."""
    random = np.random.default_rng(2)
    x, y = (random.integers(0, 256, (3, 70, 90), np.uint8) for _ in range(2))
    found = structure.by_planes(lambda a, b, _, factor: structure.mean_similarity(a, b, full=1.0), x, y)
    expected = np.mean([truth(a / 255, b / 255)[0] for a, b in zip(x, y, strict=True)])
    assert found == pytest.approx(expected, abs=1e-6)
