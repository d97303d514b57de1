"""The fast primitives on planes against plain sums in float64."""

import numpy as np
import pytest

from beholder.arrays import LUMA_FULL, LUMA_MATLAB, shrink
from beholder.errors import InputError, LayoutError, SizeError
from beholder.kernels import planes

RNG = np.random.default_rng(11)


def true_correlate(plane, down, along, step):
    height, width = plane.shape[0] - len(down) + 1, plane.shape[1] - len(along) + 1
    total = np.zeros((height, width))
    for i, a in enumerate(down):
        for j, b in enumerate(along):
            total += a * b * plane[i : i + height, j : j + width].astype(float)
    return total[::step, ::step]


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize(
    ("shape", "taps", "step"),
    [
        ((40, 57), (11, 11), 1),
        ((33, 64), (3, 5), 1),
        ((65, 70), (17, 17), 2),
        ((31, 40), (4, 9), 3),
        ((31, 31), (31, 31), 1),
        ((50, 60), (1, 2), 2),
        ((50, 61), (16, 15), 4),
        ((300, 401), (7, 6), 1),
        ((300, 401), (5, 5), 2),
        ((1, 1), (1, 1), 1),
    ],
)
def test_correlate_is_the_sum(shape, taps, step, threads):
    plane = RNG.random(shape, dtype=np.float32)
    down, along = (RNG.normal(size=n) for n in taps)
    found = planes.correlate(plane, down, along, step=step, threads=threads)
    expected = true_correlate(plane, down, along, step)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-7 * np.abs(down).sum() * np.abs(along).sum())
    assert np.array_equal(found, planes.correlate(plane, down, along, step=step))


@pytest.mark.parametrize("shape", [(8, 9), (7, 9), (7, 8), (6, 6), (401, 333)])
def test_halve_is_shrink(shape):
    plane = RNG.random(shape, dtype=np.float32)
    for edge in ("mirror", "zeros"):
        expected = shrink(plane[None, None].astype(float), 2, zeros=edge == "zeros")[0, 0]
        np.testing.assert_allclose(planes.halve(plane, edge=edge, threads=2), expected, atol=1e-7)
    dropped = planes.halve(plane, edge="drop")
    assert dropped.shape == (shape[0] // 2, shape[1] // 2)
    np.testing.assert_array_equal(dropped, planes.halve(plane)[: shape[0] // 2, : shape[1] // 2])


@pytest.mark.parametrize("threads", [1, 3])
def test_luma_is_the_weighted_sum(threads):
    picture = RNG.integers(0, 256, (203, 311, 3), dtype=np.uint8)
    found = planes.luma(picture, LUMA_FULL, threads=threads)
    np.testing.assert_allclose(found, picture @ np.array(LUMA_FULL), atol=5e-5)
    rounded = planes.luma(picture, LUMA_MATLAB, rounded=True, threads=threads)
    assert np.array_equal(rounded, np.floor(picture @ np.array(LUMA_MATLAB) + 0.5))
    assert np.array_equal(planes.luma(picture[..., 0].copy(), LUMA_FULL), picture[..., 0])


def test_wrong_input_is_told():
    plane = np.zeros((8, 8), np.float32)
    for wrong in (plane.astype(np.float16), plane[:, ::2], plane[None], [[1.0]]):
        with pytest.raises(LayoutError, match="C-contiguous float32"):
            planes.correlate(wrong, [1], [1])
    with pytest.raises(SizeError, match="does not fit into 8x8"):
        planes.correlate(plane, np.ones(9), [1])
    for taps, step in ((0, 1), (64, 1), (3, 0)):
        with pytest.raises(InputError, match="1 to 63 taps"):
            planes.correlate(plane, np.ones(taps), [1], step=step)
    with pytest.raises(InputError, match="threads of at least 1"):
        planes.correlate(plane, [1], [1], threads=0)
    with pytest.raises(InputError, match="edge must be one of"):
        planes.halve(plane, edge="wrap")
    for shape, kind in (((4, 4, 2), np.uint8), ((4,), np.uint8), ((4, 4, 3), np.float32)):
        with pytest.raises(LayoutError, match="uint8"):
            planes.luma(np.zeros(shape, kind), LUMA_FULL)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", [(1, 1), (37, 51), (300, 401)])
def test_interleave_and_separate_only_move_values(shape, threads):
    picture = RNG.integers(0, 256, (3, *shape), dtype=np.uint8)
    pixels = np.ascontiguousarray(picture.transpose(1, 2, 0))
    np.testing.assert_array_equal(planes.interleave(picture, threads=threads), pixels)
    floats, target = picture.astype(np.float32), np.zeros((*shape, 3), np.float32)
    np.testing.assert_array_equal(planes.interleave(floats, target, threads=threads), pixels)
    np.testing.assert_array_equal(target, pixels)
    np.testing.assert_array_equal(planes.separate(target, threads=threads), picture)


def test_pictures_in_another_order_are_refused():
    picture = np.zeros((3, 8, 9), np.uint8)
    with pytest.raises(LayoutError, match=r"expected C-contiguous uint8 or float32 \(3, H, W\)"):
        planes.interleave(picture[:, ::2])
    with pytest.raises(LayoutError, match=r"expected C-contiguous float32 \(H, W, 3\)"):
        planes.separate(picture.transpose(1, 2, 0))
