"""What a kernel for float32 tensors owes: the value, the gradient and the gradient's gradient of its definition."""

import functools

import numpy as np
import pytest
import torch
from test_registry import CARDS, bytes_pair, tensors

import beholder as bh

FAST = [f"{c.name}:{p}" if p else c.name for c in CARDS if c.tensor_kernel for p in ("", *c.presets)]
every_fast = pytest.mark.parametrize("name", FAST)
SHAPES = pytest.mark.parametrize("shape", [(67, 131), (240, 333)], ids=["small", "large"])
GREY = pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])


def definition(m):
    return functools.partial(m.card.function, **m.settings)


def pair_of(m, shape=(67, 131), **how):
    """Float32 tensors (2, C, H, W) off the grid of eight bits, distorted first; no smaller than the metric takes."""
    height, width = (max(side, m.card.min_size + side // 32) for side in shape)
    arrays = [a.astype(np.float32) / 255 for a in bytes_pair(m, 2, height=height, width=width, **how)]
    return tensors(
        [
            np.clip(a + np.float32(0.001) * np.cos(np.arange(a.size, dtype=np.float32).reshape(a.shape)), 0, 1)
            for a in arrays
        ]
    )


def slopes(function, pair, kind):
    """Values and the derivative of a weighted sum of them by both pictures."""
    leaves = [a.to(kind).requires_grad_() for a in pair]
    values = function(*leaves)
    weights = torch.tensor([1.0, -2.0], dtype=values.dtype)
    return values.detach().double(), [g.double() for g in torch.autograd.grad((values * weights).sum(), leaves)]


@every_fast
@SHAPES
@GREY
def test_values_and_gradients_are_those_of_the_definition(name, shape, grey):
    """The kernel in float32 lies as near to the definition in float64 as the card says, gradients to a thousandth."""
    m = bh.metric(name)
    pair = pair_of(m, shape, grey=grey)
    values, gradients = slopes(m, pair, torch.float32)
    expected, truths = slopes(definition(m), pair, torch.float64)
    torch.testing.assert_close(values, expected, rtol=max(m.card.precision, 1e-5), atol=1e-6)
    for gradient, truth in zip(gradients, truths, strict=True):
        assert float((gradient - truth).abs().max()) <= 1e-3 * float(truth.abs().max())
        assert float((gradient - truth).norm()) <= 2e-4 * float(truth.norm())


@every_fast
def test_threads_do_not_change_gradients(name):
    m = bh.metric(name)
    pair = [a.requires_grad_() for a in pair_of(m, (240, 333))]
    found = [torch.autograd.grad(m(*pair, threads=threads).sum(), pair) for threads in (1, 3)]
    for one, three in zip(*found, strict=True):
        torch.testing.assert_close(one, three, rtol=1e-5, atol=1e-7 * float(one.abs().max()))


@every_fast
def test_one_gradient_alone_and_none_at_all(name):
    """What is not asked for is not made, and does not change what is."""
    m = bh.metric(name)
    image, reference = pair_of(m)
    values, (by_image, by_reference) = slopes(m, (image, reference), torch.float32)
    with torch.no_grad():
        torch.testing.assert_close(m(image, reference).double(), values)
    weights = torch.tensor([1.0, -2.0])
    for place, whole in enumerate((by_image, by_reference)):
        leaves = [image.clone(), reference.clone()]
        leaves[place].requires_grad_()
        total = (m(*leaves) * weights).sum()
        for _ in range(2):  # with the graph kept, twice the same
            (gradient,) = torch.autograd.grad(total, leaves[place], retain_graph=True)
            torch.testing.assert_close(gradient.double(), whole, rtol=1e-5, atol=1e-7 * float(whole.abs().max()))


@every_fast
def test_gradients_of_gradients_are_those_of_the_definition(name):
    """A penalty on the gradient, as some trainings have it, goes by the definition."""
    m = bh.metric(name)
    found = []
    for function in (m, definition(m)):
        leaf, reference = pair_of(m)
        leaf.requires_grad_()
        (gradient,) = torch.autograd.grad(function(leaf, reference).sum(), leaf, create_graph=True)
        found.append(torch.autograd.grad((gradient**2).sum(), leaf)[0])
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-4 * float(found[1].abs().max()))


@every_fast
def test_strided_and_virtual_tensors_are_measured(name):
    """Views, and tensors that only stand for others (vmap), give the same values."""
    m = bh.metric(name)
    image, reference = pair_of(m)
    expected = m(image, reference)
    views = [a.transpose(2, 3).contiguous().transpose(2, 3) for a in (image, reference)]
    torch.testing.assert_close(m(*views), expected)


@every_fast
def test_tensors_whose_pixels_lie_together_are_measured(name):
    """Channels-last memory, as pictures come from files: the same values, and gradients in that order of memory."""
    m = bh.metric(name)
    pair = pair_of(m)
    values, gradients = slopes(m, pair, torch.float32)
    last = [a.contiguous(memory_format=torch.channels_last) for a in pair]
    found, others = slopes(m, last, torch.float32)
    torch.testing.assert_close(found, values, rtol=1e-6, atol=1e-7)
    for one, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6 * float(one.abs().max()))
