"""Metrics over networks: `lpips` and `dists` by hand and by tiles, their weights, and `beholder_fr`."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from backbones import made, state, weights_of
from patterns import batch, degrade, photograph
from test_cli import run

import beholder as bh
from beholder.errors import InputError, ModelError, SizeError
from beholder.metrics import features as deep_features
from beholder.models import comparison
from beholder.models.comparison import STAGES, Comparer, distance, moments, terms
from beholder.models.files import read_arrays, shipped

NETWORKS = ("lpips", "lpips:vgg", "lpips:squeeze", "dists")


def pair(height=96, width=112, kind="blur"):
    picture = photograph("astronaut")[40 : 40 + height, 150 : 150 + width]
    return batch(degrade(picture, kind, 2)), batch(picture)


# --- lpips and dists --------------------------------------------------------------------------------------------------


def conv(x, w, b, stride, pad):
    """Convolution in plain NumPy, (C, H, W)."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    views = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("chwij,ocij->ohw", views, w) + b[:, None, None]


def pool(x):
    return np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))[:, ::2, ::2].max((-1, -2))


def test_lpips_is_what_the_paper_says():
    """AlexNet, unit features, squared differences, linear weights, mean over places, sum: all in NumPy."""
    w = {k.removeprefix("features."): v.astype(np.float64) for k, v in state("alexnet").items()}
    table = read_arrays(comparison.shipped("beholder.safetensors").parents[2] / "metrics/parameters/lpips.safetensors")
    maps = []
    image, reference = pair(47, 50)
    for picture in (image[0] / 255, reference[0] / 255):
        x = (2 * picture - 1 - np.array([-0.030, -0.088, -0.188])[:, None, None]) / np.array([0.458, 0.448, 0.450])[
            :, None, None
        ]
        stages = []
        for index, stride, pad in ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)):
            if index in (3, 6):
                x = pool(x)
            x = np.maximum(conv(x, w[f"{index}.weight"], w[f"{index}.bias"], stride, pad), 0)
            stages.append(x / (np.sqrt((x**2).sum(0)) + 1e-10))
        maps.append(stages)
    expected = sum(
        ((a - b) ** 2 * table[f"alexnet.{i}"][:, None, None]).sum(0).mean()
        for i, (a, b) in enumerate(zip(*maps, strict=True))
    )
    assert float(made("lpips")(image, reference)[0]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_give_what_the_whole_gives(name, monkeypatch):
    m = made(name)
    image, reference = (np.tile(a, (1, 1, 4, 4))[..., :331, :415] for a in pair())
    whole = m(*(torch.tensor(a / 255, dtype=torch.float64) for a in (image, reference)))
    assert len(list(deep_features._tiles(331, 415, 96))) > 9
    for network in deep_features.TILES:
        monkeypatch.setitem(deep_features.TILES, network, 96)
    assert float(m(image, reference)[0]) == pytest.approx(float(whole[0]), rel=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_equal_pictures_have_no_distance_at_all(name):
    _, picture = pair(131, 150)
    assert float(made(name)(picture, picture)[0]) == 0
    wide = torch.tensor(picture / 255)
    assert float(made(name)(wide, wide)[0]) == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_other_than_the_published_are_flagged(name, monkeypatch):
    from beholder.models import backbones

    m = made(name)
    (score,) = m.scores(*pair())
    assert score.flags == ("unknown_weights",)
    ours = dataclasses.replace(backbones.BACKBONES[m.card.backbones[m.preset]], sha256=score.weights[:8])
    monkeypatch.setitem(backbones.BACKBONES, ours.name, ours)
    (score,) = m.scores(*pair())
    assert score.flags == ()


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_that_are_wanted_are_told(name, tmp_path):
    m = bh.metric(name)
    image, reference = pair()
    file = {"lpips": "alexnet-owt-7be5be79.pth", "lpips:squeeze": "squeezenet1_1-b8a52dc0.pth"}.get(
        name, "vgg16-397923af"
    )
    with pytest.raises(InputError, match=rf"{name} needs weights=PATH.*{file}.*SHA-256 begins with.*torchvision"):
        m(image, reference)
    with pytest.raises(InputError, match=r"finds no weights at 'nowhere\.pth'"):
        bh.metric(name, weights="nowhere.pth")(image, reference)
    with pytest.raises(InputError, match="takes weights as a path, got int"):
        bh.metric(name, weights=3)(image, reference)
    for ending in (".pth", ".safetensors"):
        bad = tmp_path / f"bad{ending}"
        bad.write_bytes(b"these are no weights at all")
        with pytest.raises(ModelError, match="cannot be read as weights") as caught:
            bh.metric(name, weights=bad)(image, reference)
        assert "\n" not in str(caught.value)
        with pytest.raises(ModelError, match="cannot be read as weights"):
            bh.metric(name, weights=bad).prepare()
    other = "squeezenet1_1" if name != "lpips:squeeze" else "alexnet"
    with pytest.raises(ModelError, match=r"does not hold .*features\..* is missing or of another shape"):
        bh.metric(name, weights=weights_of(other))(image, reference)


def test_pth_files_are_read_without_running_code(tmp_path):
    path = tmp_path / "alexnet.pth"
    torch.save({k: torch.from_numpy(v) for k, v in state("alexnet").items()}, path)
    image, reference = pair()
    assert bh.metric("lpips", weights=path)(image, reference) == made("lpips")(image, reference)
    torch.save({"features.0.weight": pytest.approx}, path)
    with pytest.raises(ModelError):
        bh.metric("lpips", weights=path)(image, reference)


def test_a_changed_file_is_read_anew(tmp_path):
    path = tmp_path / "w.safetensors"
    shutil.copy(weights_of("squeezenet1_1"), path)
    image, reference = pair()
    m = bh.metric("lpips:squeeze", weights=path)
    before = (float(m(image, reference)[0]), m.scores(image, reference)[0].weights)
    from safetensors.numpy import save_file

    save_file({k: v * np.float32(0.9) for k, v in state("squeezenet1_1").items()}, path)
    after = (float(m(image, reference)[0]), m.scores(image, reference)[0].weights)
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_weights_by_name_in_score_loss_and_command(samples, tmp_path):
    image, reference = samples / "degraded", samples / "originals"
    one = sorted(image.iterdir())[0]
    other = next(p for p in reference.iterdir() if p.stem == one.stem)
    path = str(weights_of("squeezenet1_1"))
    row = bh.score(one, other, metrics="psnr,lpips:squeeze", weights={"lpips:squeeze": path})
    assert row["lpips:squeeze"].value > 0
    assert len(row["lpips:squeeze"].weights) == 12
    with pytest.raises(InputError, match="needs weights=PATH"):
        bh.score(one, other, metrics="lpips")
    with pytest.raises(InputError, match="weights are given for lpips, which is not measured"):
        bh.score(one, other, metrics="psnr", weights={"lpips": path})
    done = run("score", one, "-r", other, "-m", "lpips:squeeze", "--weights", f"LPIPS:squeeze={path}")
    assert done.returncode == 0, done.stderr
    assert f"{row['lpips:squeeze'].value:.4f}"[:5] in done.stdout
    assert run("score", one, "-r", other, "-m", "lpips").returncode == 2
    assert run("score", one, "-r", other, "-m", "lpips", "--weights", "lpips").returncode == 2
    x, y = (torch.tensor(a / 255, dtype=torch.float32) for a in pair())
    loss = bh.Loss("lpips:squeeze", weights=path)(x.requires_grad_(), y)
    loss.backward()
    assert float(x.grad.abs().sum()) > 0


# --- beholder_fr ------------------------------------------------------------------------------------------------------


def test_the_model_is_small_and_shares_its_backbone():
    sizes = [shipped(f"beholder_fr{e}").stat().st_size for e in (".onnx", ".safetensors")]
    assert sum(sizes) < 300_000
    assert b"lite0.safetensors" in shipped("beholder_fr.onnx").read_bytes()
    header = Comparer().header
    assert [tuple(s) for s in header["stages"]] == list(STAGES)
    assert header["scale"] == {"low": 0, "high": 1, "better": "lower"}
    assert not set(header["training"]["photographs"]) & set(header["training"]["held_out"])


def test_moments_and_terms_are_those_of_numpy():
    rng = np.random.default_rng(0)
    x, y = ([rng.normal(size=(1, c, 128 // s, 192 // s)) for _, c, s in STAGES] for _ in range(2))
    channels = sum(c for _, c, _ in STAGES)
    spread = rng.uniform(0.5, 2, channels)
    sums, counts = moments(x, y, np.zeros(channels), spread, (0, 0, 1 << 24, 1 << 24))
    each = np.repeat(counts, [c for _, c, _ in STAGES])
    found = terms(sums, each, spread)[0]
    a, b = x[0][0, 1].ravel(), y[0][0, 1].ravel()
    floor = comparison.KAPPA * spread[1]
    shift = (a.mean() - b.mean()) ** 2
    apart = (a - b) ** 2 / (a**2 + b**2 + 2 * spread[1])
    expected = [
        shift / (shift + b.var() + floor),
        (a.var() + b.var() - 2 * np.cov(a, b, bias=True)[0, 1]) / (a.var() + b.var() + floor),
        apart.mean(),
        np.sqrt(apart.var() + 1e-8) - 1e-4,
    ]
    np.testing.assert_allclose(found[:, 1], expected, rtol=1e-9)
    parts = [moments(x, y, np.zeros(channels), spread, box)[0] for box in ((0, 0, 1, 9), (1, 0, 9, 2), (1, 2, 9, 9))]
    np.testing.assert_allclose(sum(parts), sums, rtol=1e-9)
    weights = comparison.fitted()
    assert 0 < float(distance(sums, counts, weights)[0]) < 1
    assert all((w >= 0).all() for w in weights[1:])


@pytest.mark.parametrize("shape", [(32, 32), (33, 200), (128, 130), (300, 451), (1100, 1000)])
def test_onnx_and_pytorch_are_twins(shape):
    rng = np.random.default_rng(1)
    y = np.kron(rng.random((1, 3, *(-(-s // 16) for s in shape))), np.ones((16, 16)))[..., : shape[0], : shape[1]]
    x = np.clip(y + rng.normal(0, 0.05, y.shape), 0, 1)
    m = bh.metric("beholder_fr")
    x, y = x.astype(np.float32), y.astype(np.float32)
    assert float(m(torch.from_numpy(x), torch.from_numpy(y))[0]) == pytest.approx(float(m(x, y)[0]), abs=1e-3)


def test_native_is_independent_of_the_tiling(monkeypatch):
    picture = photograph("astronaut")
    image, reference = (a[0] for a in (batch(degrade(picture, "noise", 2)), batch(picture)))
    model = Comparer()
    whole = model.compare(image, reference, full_scale=255)
    for tile in (128, 256):
        monkeypatch.setattr(comparison, "TILE", tile)
        assert model.compare(image, reference, full_scale=255, native=True) == pytest.approx(whole, abs=0.01)


def test_large_pictures_are_seen_as_on_a_screen():
    picture = np.kron(photograph("coffee"), np.ones((4, 4, 1), np.uint8))
    worse = degrade(picture, "noise", 4)
    seen, native = (float(bh.metric(n)(batch(worse), batch(picture))[0]) for n in ("beholder_fr", "beholder_fr:native"))
    assert seen < native
    with pytest.raises(SizeError, match="cut it into pieces"):
        bh.metric("beholder_fr")(np.zeros((1, 3, 32, 600_000), np.uint8), np.zeros((1, 3, 32, 600_000), np.uint8))


def test_gradients_lead_to_the_reference():
    """A few steps down the gradient bring a blurred picture nearer to its reference."""
    image, reference = (torch.tensor(a / 255, dtype=torch.float32) for a in pair(160, 160))
    loss = bh.Loss("beholder_fr")
    x = image.clone().requires_grad_()
    optimiser = torch.optim.Adam([x], lr=0.005)
    first = float(loss(x.detach(), reference))
    for _ in range(6):
        optimiser.zero_grad()
        loss(x.clamp(0, 1), reference).backward()
        optimiser.step()
    assert float(loss(x.detach().clamp(0, 1), reference)) < 0.8 * first
