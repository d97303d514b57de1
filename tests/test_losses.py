"""Metrics as training objectives: direction, weight, gradients, and that training by them gains what they measure."""

import math

import numpy as np
import pytest
import torch
from patterns import batch, degrade, photograph, terrain

import beholder as bh
from beholder import Loss
from beholder.errors import InputError, SizeError, UnknownMetricError
from beholder.metrics.registry import CARDS, metric

PAIRED = [c.name for c in bh.list_metrics(needs="reference") if c.differentiable and not c.backbones]


def tensors(side=176, kind=torch.float64):
    picture = terrain(side, side, 3)
    return [torch.tensor(batch(p) / 255, dtype=kind) for p in (degrade(picture, "noise", 3), picture)]


@pytest.mark.parametrize("name", PAIRED)
def test_worse_pictures_lose_more(name):
    picture = photograph("coffee")[100:280, 150:330]
    reference = torch.tensor(batch(picture) / 255)
    found = [
        float(Loss(name)(torch.tensor(batch(degrade(picture, "noise", n)) / 255), reference)) for n in (1, 2, 3, 4)
    ]
    assert found == sorted(found)
    assert len(set(found)) == 4


@pytest.mark.parametrize("name", ["mse", "mae", "rmse", "ssim", "ssim:y", "ms_ssim", "gmsd"])
def test_equal_pictures_lose_nothing(name):
    _, reference = tensors()
    assert float(Loss(name)(reference, reference.clone())) == pytest.approx(0, abs=1e-9)


def test_values_by_direction():
    image, reference = tensors()
    assert float(Loss("mse")(image, reference)) == pytest.approx(float(((image - reference) ** 2).mean()))
    assert float(Loss("ssim")(image, reference)) == pytest.approx(1 - float(bh.metric("ssim")(image, reference)[0]))
    assert float(Loss("psnr")(image, reference)) == pytest.approx(-float(bh.metric("psnr")(image, reference)[0]))
    assert float(Loss("beholder")(image)) == pytest.approx(100 - float(bh.metric("beholder")(image)[0]))


DECIBELS = [c.name for c in bh.list_metrics() if c.differentiable and c.unit == "dB"]


@pytest.mark.parametrize("name", PAIRED)
@pytest.mark.parametrize("kind", [torch.float32, torch.float64], ids=str)
def test_equal_pictures_lose_least_and_finitely(name, kind):
    """Nothing where there is a best value; else minus the ceiling of 100 dB; with gradients that are finite."""
    image, reference = tensors(kind=kind)
    x, y = reference.clone().requires_grad_(), reference.clone().requires_grad_()
    loss = Loss(name)(x, y)
    loss.backward()
    expected = -100 if name in DECIBELS else 0
    assert loss.item() == pytest.approx(expected, abs=2e-6 if kind == torch.float32 else 1e-9)
    assert math.isfinite(bh.metric(name).card.best) == (name not in DECIBELS)
    assert x.grad.isfinite().all()
    assert y.grad.isfinite().all()
    assert loss < Loss(name)(image, reference) < math.inf


@pytest.mark.parametrize("name", DECIBELS)
def test_decibels_count_up_to_a_hundred(name):
    """A batch with an equal pair has the gradients of its other pair; below the ceiling the value is the metric's."""
    image, reference = tensors()
    x = torch.cat([image, reference]).requires_grad_()
    loss = Loss(name)(x, torch.cat([reference, reference]))
    assert loss.item() == pytest.approx((-100 - float(bh.metric(name)(image, reference)[0])) / 2)
    loss.backward()
    alone = image.clone().requires_grad_()
    Loss(name, weight=0.5)(alone, reference).backward()
    assert torch.equal(x.grad[:1], alone.grad)
    assert not x.grad[1:].any()
    near = reference + (image - reference) * 1e-6
    assert float(bh.metric(name)(near, reference)[0]) > 120
    assert Loss(name)(near, reference).item() == -100


@pytest.mark.parametrize("name", ["nrmse", "ergas"])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64], ids=str)
def test_relative_errors_of_black_references_are_infinite_with_finite_gradients(name, kind):
    image, _ = tensors(kind=kind)
    x, y = image.requires_grad_(), torch.zeros_like(image).requires_grad_()
    loss = Loss(name)(x, y)
    loss.backward()
    assert loss.item() == math.inf
    assert x.grad.isfinite().all()
    assert y.grad.isfinite().all()


def test_loss_of_no_blocks_has_no_slope():
    """Where no step stands out at the borders of blocks there is nothing to lose, and nowhere to go."""
    x = torch.full((1, 3, 32, 32), 0.5).requires_grad_()
    loss = Loss("blockiness")(x)
    loss.backward()
    assert loss.item() == 0
    assert not x.grad.any()


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1, -1e-9, "a", None, True, [1.0]], ids=repr)
def test_wrong_weight_is_refused(wrong):
    with pytest.raises(
        InputError, match=r"^Loss: weight must be a number of at least 0, got .*; leave it out for 1\.0$"
    ):
        Loss("mse", weight=wrong)


def test_weights_of_any_kind_of_number():
    assert [Loss("mse", weight=w).weight for w in (0, 2, np.float32(0.5), np.int64(3))] == [0.0, 2.0, 0.5, 3.0]


def test_wrong_settings_are_refused():
    with pytest.raises(InputError, match=r"^psnr: crop must be a whole number of at least 0, got -4"):
        Loss("psnr", crop=-4)


def test_batch_mean_weight_and_sum():
    image, reference = tensors()
    loss = Loss("mae", weight=0.25)
    assert (loss.weight, Loss("mae").weight) == (0.25, 1.0)
    one = float(Loss("mae")(image, reference))
    assert float(loss(image, reference)) == pytest.approx(0.25 * one)
    two = loss(torch.cat([image, reference]), torch.cat([reference, reference]))
    assert two.shape == ()
    assert float(two) == pytest.approx(0.125 * one)
    both = loss(image, reference) + Loss("ssim", weight=0.8)(image, reference)
    assert float(both) == pytest.approx(0.25 * one + 0.8 * float(Loss("ssim")(image, reference)))


@pytest.mark.parametrize("name", [*PAIRED, "ssim:skimage", "ms_ssim:matlab-sum", "mse:255"])
def test_descending_a_loss_gains_quality(name):
    """Six steps of Adam from a noisy picture: the loss falls, and the metric says so too."""
    image, reference = tensors(kind=torch.float32)
    measure = bh.metric(name)
    before = float(measure(image, reference)[0])
    x = image.clone().requires_grad_()
    optimiser = torch.optim.Adam([x], lr=0.004)
    loss = Loss(name)
    told = []
    for _ in range(6):
        optimiser.zero_grad()
        value = loss(x, reference)
        value.backward()
        assert torch.isfinite(x.grad).all()
        told.append(value.item())
        optimiser.step()
        with torch.no_grad():
            x.clamp_(0, 1)
    after = float(measure(x.detach(), reference)[0])
    assert told[-1] < told[0]
    assert (after > before) == (measure.card.better == "higher")
    assert after != before


def test_descending_the_network_gains_its_score():
    picture = degrade(photograph("astronaut")[40:168, 140:268], "noise", 2)
    x = torch.tensor(batch(picture) / 255, dtype=torch.float32).requires_grad_()
    loss = Loss("beholder")
    before = loss(x)
    (gradient,) = torch.autograd.grad(before, x)
    after = loss((x - 0.5 * gradient / gradient.norm()).detach().clamp(0, 1))
    assert float(after) < before.item() - 1


def test_name_is_canonical():
    assert repr(Loss("SSIM:Skimage", weight=0.5)) == "Loss('ssim:skimage', weight=0.5)"
    assert repr(Loss("MS-SSIM")) == "Loss('ms_ssim', weight=1)"


def test_wrong_use_is_told():
    image, reference = tensors(side=24)
    with pytest.raises(UnknownMetricError, match="did you mean 'ssim'"):
        Loss("sim")
    with pytest.raises(InputError, match=r"PyTorch tensors, got ndarray; use beholder\.metric"):
        Loss("mse")(image.numpy(), reference.numpy())
    with pytest.raises(InputError, match="one NumPy array and one PyTorch tensor"):
        Loss("mse")(image, reference.numpy())
    with pytest.raises(InputError, match="takes an image and its reference"):
        Loss("mse")(image)
    with pytest.raises(InputError, match="takes an image alone"):
        Loss("beholder")(image, reference)
    with pytest.raises(SizeError, match="ms_ssim needs at least 161x161"):
        Loss("ms_ssim")(image, reference)


def test_metric_without_gradient_is_refused(monkeypatch):
    monkeypatch.setattr("beholder.metrics.registry.CARDS", dict(CARDS))
    monkeypatch.setattr("beholder.metrics.registry._ALIASES", {})

    @metric(
        "stepwise", better="lower", range=(0, 1), unit="", needs="reference", min_size=1, paper="", differentiable=False
    )
    def stepwise(image, reference):
        """Nothing."""
        return np.zeros(1)

    with pytest.raises(InputError, match="stepwise has no gradient"):
        Loss("stepwise")
