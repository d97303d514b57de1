"""Losses on opinions: values worked out by hand or by SciPy, what is left out, and gradients."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm, spearmanr
from skimage.metrics import structural_similarity

from beholder.errors import InputError
from beholder.losses import opinions
from beholder.losses.opinions import LOSSES, NEEDS, Objective, Target, expected_distribution
from beholder.models.assessors.architectures import Judgement

NAN = math.nan


def t(*values, **how):
    return torch.tensor(values, dtype=torch.float64, **how)


def full_case(n=6, seed=0):
    """A judgement and a target with every part."""
    g = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=g, dtype=torch.float64)

    judged = Judgement(
        score=rand(n) * 100,
        spread=rand(n) * 10 + 2,
        distribution=rand(n, 10).softmax(dim=1),
        map=rand(n, 1, 12, 14) * 100,
        type=rand(n, 5),
        severity=rand(n),
    )
    target = Target(
        score=rand(n) * 100,
        std=rand(n) * 10 + 5,
        map=rand(n, 1, 24, 28) * 100,
        type=torch.arange(n) % 5,
        severity=rand(n),
        group=torch.arange(n) // 2,
        order=rand(n),
        weight=torch.ones(n, dtype=torch.float64),
    )
    return judged, target


def value(name, judged, target, **settings):
    return float(LOSSES[name](judged, target, **settings))


def test_errors_are_counted_in_words():
    judged, target = Judgement(t(50, 60, 90)), Target(t(40, 80, NAN))
    assert value("mse", judged, target) == pytest.approx((0.5**2 + 1**2) / 2)
    assert value("mae", judged, target) == pytest.approx((0.5 + 1) / 2)
    # Huber of .5 and 1 with delta .5: .125 and .5 * (1 - .25)
    assert value("huber", judged, target, delta=10) == pytest.approx((0.125 + 0.375) / 2)
    heavy = Target(t(40, 80, NAN), weight=t(3, 1, 5))
    assert value("mse", judged, heavy) == pytest.approx((3 * 0.25 + 1) / 4)


def test_correlations_are_scipys():
    judged, target = full_case(12)
    expected = np.corrcoef(judged.score, target.score)[0, 1]
    assert value("plcc", judged, target) == pytest.approx((1 - expected) / 2, abs=1e-6)
    hard = value("soft_rank", judged, target, temperature=1e-3)
    assert hard == pytest.approx((1 - spearmanr(judged.score, target.score)[0]) / 2, abs=1e-6)
    assert value("plcc", Judgement(3 * target.score - 7), target) == pytest.approx(0, abs=1e-8)


def test_margin_counts_pairs_in_known_order():
    judged = Judgement(t(50, 52, 70))
    target = Target(t(30, 60, 90))
    # (better, worse): (1,0) gap 2 -> 3 short; (2,0) and (2,1) are far enough apart
    assert value("margin_rank", judged, target) == pytest.approx(3 / 20 / 3)
    # orders alone, within groups: 0 better than 1 (short 5 + 2), 2 is alone
    ranks = Target(t(NAN, NAN, NAN), group=torch.tensor([0, 0, 1]), order=t(2, 1, 5))
    assert value("margin_rank", judged, ranks) == pytest.approx(7 / 20)


def test_fidelity_is_zero_for_equal_preferences():
    target = Target(t(20, 50, 80), std=t(10, 12, 14))
    same = Judgement(target.score.clone(), spread=target.std.clone())
    assert value("fidelity", same, target) == pytest.approx(0, abs=1e-5)
    judged = Judgement(t(60, 50), spread=t(3, 4))
    pair = Target(t(40, 50), std=t(6, 8))
    p, q = norm.cdf(-1), norm.cdf(2)
    expected = 1 - math.sqrt(p * q) - math.sqrt((1 - p) * (1 - q))
    assert value("fidelity", judged, pair) == pytest.approx(expected, abs=2e-5)


def test_gaussian_is_a_densitys_logarithm():
    judged, target = Judgement(t(50, 70), spread=t(10, 30)), Target(t(60, 20))
    density = norm.logpdf([0.5, -2.5], scale=[0.5, 1.5]).mean() + 0.5 * math.log(2 * math.pi)
    assert value("gaussian", judged, target) == pytest.approx(-density)


def test_emd_of_distributions():
    judged = Judgement(t(50), distribution=t([0.5, 0.5, 0, 0]))
    target = Target(t(50), distribution=t([0, 0, 0.5, 0.5]))
    # cumulative: .5 1 1 1 against 0 0 .5 1
    assert value("emd", judged, target) == pytest.approx(math.sqrt((0.25 + 1 + 0.25) / 4), abs=1e-6)
    shares = expected_distribution(Target(t(50, 90), std=t(10, NAN)), 20)
    assert shares.sum(dim=1) == pytest.approx([1, 1])
    assert float(shares[0] @ torch.arange(2.5, 100, 5, dtype=torch.float64)) == pytest.approx(50)
    with pytest.raises(InputError, match="4 steps of opinion, the data set 3"):
        value("emd", judged, Target(t(50), distribution=t([0, 0, 1])))


def test_ssim_of_maps_is_scikit_images():
    judged, target = full_case(1)
    judged.map = torch.rand(1, 1, 24, 28, dtype=torch.float64) * 100
    x, y = judged.map[0, 0].numpy(), target.map[0, 0].numpy()
    _, every = structural_similarity(
        x, y, data_range=100, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    assert value("ssim_map", judged, target) == pytest.approx(1 - every[5:-5, 5:-5].mean(), abs=1e-6)
    assert value("map", judged, target) == pytest.approx(np.abs(x - y).mean() / 20)


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_not_known_has_no_part(name):
    """Pictures without opinion, order, map, type or severity change nothing, nor do they make a gradient NaN."""
    judged, target = full_case(6)
    if name not in ("margin_rank",):
        target.group = target.order = None
    parts = {k: v.clone().requires_grad_() for k, v in judged.parts().items()}
    keep = slice(0, 4)
    expected = value(name, Judgement(**{k: v[keep] for k, v in judged.parts().items()}),
                     Target(**{k: v[keep] for k, v in vars(target).items() if v is not None}))  # fmt: skip
    for part in ("score", "std", "severity", "order"):
        if getattr(target, part) is not None:
            getattr(target, part)[4:] = NAN
    target.map[4:] = NAN
    target.type[4:] = -1
    if target.group is not None:
        target.group[4:] = torch.tensor([7, 8])
    found = LOSSES[name](Judgement(**parts), target)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-9)
    gradients = torch.autograd.grad(found, list(parts.values()), allow_unused=True)
    assert all(g is None or bool(torch.isfinite(g).all()) for g in gradients)
    assert float(next(g for k, g in zip(parts, gradients, strict=True) if k == NEEDS[name]).abs().max()) > 0


@pytest.mark.parametrize("name", LOSSES)
def test_nothing_known_is_no_loss(name):
    judged, _ = full_case(3)
    parts = {k: v.clone().requires_grad_() for k, v in judged.parts().items()}
    blank = Target(torch.full((3,), NAN, dtype=torch.float64))
    found = LOSSES[name](Judgement(**parts), blank)
    assert float(found.detach()) == 0
    gradients = torch.autograd.grad(found, list(parts.values()), allow_unused=True)
    assert all(g is None or not g.any() for g in gradients)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_the_slope(name):
    judged, target = full_case(5, seed=3)
    part = NEEDS[name]
    leaf = getattr(judged, part).clone().requires_grad_()

    def call(x):
        return LOSSES[name](Judgement(**{**judged.parts(), part: x}), target)

    assert torch.autograd.gradcheck(call, (leaf,), eps=1e-5, atol=1e-6)


def test_objective_sums_with_weights():
    judged, target = full_case(6)
    objective = Objective({"mse": 2, "plcc": 0.5, "mae": 0}, {"huber": {"delta": 3}})
    total, parts = objective(judged, target)
    assert set(parts) == {"mse", "plcc"}
    assert float(total) == pytest.approx(2 * float(parts["mse"]) + 0.5 * float(parts["plcc"]))
    assert objective.needs == {"score"}
    assert repr(objective) == "Objective(2 mse + 0.5 plcc)"


@pytest.mark.parametrize(
    ("terms", "settings", "told"),
    [
        ({}, {}, "at least one loss"),
        ({"mse": 0}, {}, "at least one loss"),
        ({"msee": 1}, {}, "did you mean 'mse'"),
        ({"mse": 1}, {"mse": {"delta": 1}}, "mse has no setting 'delta'"),
        ({"huber": 1}, {"huber": {"beta": 1}}, "its settings: delta"),
    ],
)
def test_wrong_objectives_are_told(terms, settings, told):
    with pytest.raises(InputError, match=told):
        Objective(terms, settings)


@pytest.mark.parametrize("name", [n for n, part in NEEDS.items() if part != "score"])
def test_missing_heads_are_told(name):
    _, target = full_case(3)
    with pytest.raises(InputError, match="network"):
        LOSSES[name](Judgement(t(1, 2, 3)), target)


def test_pictures_of_one_content_are_ordered_by_their_opinions():
    nan = float("nan")
    target = Target(
        score=torch.tensor([20.0, 80.0, nan, nan]),
        group=torch.tensor([0, 0, 1, 1]),
        order=torch.tensor([nan, nan, -0.2, -0.8]),
    )
    assert opinions._pairs(target).nonzero().tolist() == [[1, 0], [2, 3]]
