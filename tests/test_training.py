"""Training from table to model file: what it writes, that it goes on exactly, and that every option has its effect."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from training import GENERAL, make_table, tiny
from typer.testing import CliRunner

import beholder as bh
from beholder import cli
from beholder.datasets.tables import read_table
from beholder.errors import InputError, ModelError, OutputError, ReadError, SizeError, StoppedError, TrainingError
from beholder.evaluation import agreement
from beholder.image import read_image
from beholder.locks import locked
from beholder.losses.opinions import Target
from beholder.models.assessors.architectures import build, list_architectures
from beholder.models.assessors.bodies import freeze
from beholder.models.assessors.networks import load_network, make_network
from beholder.models.judging import Judge
from beholder.training import learning
from beholder.training.calibration import conformal_interval, coverage, domain_of
from beholder.training.config import Config, Optimiser
from beholder.training.feeding import Feed, Loader
from beholder.training.fitting import fit, open_data, predict, train_member
from beholder.training.opening import tell_of_crop
from beholder.training.optimisers import Plateau, factor, make_optimiser, parameter_groups, set_rates
from beholder.training.testing import examine, resample


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return make_table(tmp_path_factory.mktemp("opinions"))


SAME = {
    "model__architecture": "beholder",
    "model__body": "plain",
    "model__settings": {**GENERAL, "heads": ["score", "map"], "map_stride": 4},
}


@pytest.fixture(scope="module")
def run(table, tmp_path_factory):
    """A finished run: its folder, configuration, result."""
    folder = tmp_path_factory.mktemp("runs") / "noise"
    config = tiny(
        table, run__epochs=6, input__crops=6, loss__terms={"mse": 1.0, "plcc": 0.5}, optimiser__body_rate=1.0, **SAME
    )  # fmt: skip
    return folder, config, fit(config, folder, quiet=True)


def weights(network):
    return {k: v.clone() for k, v in network.state_dict().items()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


# --- a whole run ------------------------------------------------------------------------------------------------------


def test_it_learns(run):
    """Six epochs of twenty noisy pictures: stronger noise scores worse on pictures never learned from."""
    _, _, result = run
    assert result.figures["srcc"] > 0.8
    assert result.curves[-1]["loss"] < result.curves[0]["loss"]
    assert result.epochs == 6


def test_a_run_leaves_everything(run):
    folder, config, result = run
    assert Config.read(folder / "config.toml") == config
    assert {p.name for p in folder.iterdir()} >= {
        "config.toml", "run.json", "split.json", "curves.png", "model.safetensors", "model.onnx",
    }  # fmt: skip
    assert (folder / "member-1" / "figures.csv").read_text().count("\n") == 7
    assert (folder / "curves.png").read_bytes()[:4] == b"\x89PNG"
    header = Judge(result.model).header
    assert str(folder.parent) not in json.dumps(header)  # a file that travels says nothing of the machine
    assert Config.of(header["config"]) == config.replace({"data.table": "opinions.csv"})
    assert (header["epochs"], header["begun_from"]) == (6, "none")
    assert result.curves[header["best_epoch"] - 1]["srcc"] == max(c["srcc"] for c in result.curves)
    assert header["data"]["digest"] == open_data(config, folder).digest
    assert header["data"]["pictures"] == {"train": 20, "validation": 20, "test": 0}
    assert header["validation"]["srcc"] == pytest.approx(result.figures["srcc"], abs=1e-5)
    assert header["versions"]["torch"] == torch.__version__


def test_both_files_say_the_same(run, table):
    """ONNX Runtime and PyTorch differ by less than a thousandth of a point, at any size."""
    _, config, result = run
    network, _ = load_network(result.model)
    judge = Judge(result.model)
    rng = np.random.default_rng(0)
    for shape in ((3, 32, 32), (3, 40, 48), (3, 97, 71)):
        image = rng.random(shape, dtype=np.float32)
        with torch.inference_mode():
            score, local, distance = network(torch.from_numpy(image)[None])
        verdict = judge.judge(image)
        assert verdict.value == pytest.approx(float(score), abs=1e-3)
        assert verdict.distance == pytest.approx(float(distance), rel=1e-3)
        np.testing.assert_allclose(verdict.map, local[0, 0], atol=1e-3)
    data = open_data(config, result.model.parent).of("validation")
    said, _ = predict(network.network, data, config)
    verdicts = [judge.judge(read_image(s.image).pixels) for s in data]
    np.testing.assert_allclose(said, [v.value for v in verdicts], atol=1e-3)
    assert coverage(said, np.array([s.mos for s in data]), judge.header["interval"]) >= 0.9


def test_a_trained_file_is_a_metric(run, table):
    """score, score_many and rows know it by its name, with interval and word."""
    _, _, result = run
    picture = table.parent / "p003.png"
    row = bh.score(picture, models=result.model)
    score = row["noise"]
    assert list(row.scores) == ["noise"]
    assert score.low < score.value < score.high
    assert score.word
    assert len(score.weights) == 12
    both = next(bh.score_many([picture], metrics="entropy", models=[result.model.with_suffix(".onnx")]))
    assert list(both.scores) == ["entropy", "noise"]
    assert both["noise"].value == pytest.approx(score.value, abs=1e-6)
    with pytest.raises(InputError, match="two models are called noise"):
        bh.score(picture, models=[result.model, result.model])
    with pytest.raises(ModelError, match="found none"):
        bh.score(picture, models="none.onnx")


def test_small_grey_and_large_pictures_are_judged(run):
    judge = Judge(run[2].model)
    for shape in ((1, 8, 9), (1, 40, 40), (3, 1200, 1100)):
        assert 0 <= judge.judge(np.full(shape, 0.5, np.float32)).value <= 100
    assert judge.judge(np.full((3, 40, 40), 128, np.uint8), full_scale=255).value == pytest.approx(
        judge.judge(np.full((3, 40, 40), 128 / 255, np.float32)).value, abs=1e-4
    )
    with pytest.raises(InputError, match="an image alone"):
        judge.judge(np.zeros((3, 40, 40)), np.zeros((3, 40, 40)))
    with pytest.raises(InputError, match="engine must be one of"):
        Judge(run[2].model, engine="tensorrt")


def test_examination_of_the_test_split(run):
    folder, config, result = run
    data = open_data(config, folder).of("validation")
    found = examine(result.model, data)
    assert found.figures["srcc"] == pytest.approx(result.figures["srcc"], abs=1e-6)
    low, high = found.intervals["srcc"]
    assert low < found.figures["srcc"] < high
    assert json.loads((folder / "model.test.json").read_text())["figures"]["pictures"] == 20
    with pytest.raises(InputError, match="no picture to test on"):
        examine(result.model, data.of("test"))


def test_a_finished_run_is_not_trained_again(run, monkeypatch):
    folder, config, result = run
    before = (folder / "member-1" / "best.pt").stat().st_mtime_ns
    monkeypatch.setattr(learning.Assessing, "training_step", None)
    again = fit(config, folder, quiet=True)
    assert again.figures == result.figures
    assert (folder / "member-1" / "best.pt").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("member-1/best.pt", b""),
        ("member-1/best.pt", b"junk" * 300),
        ("member-1/best.pt", None),
        ("member-1/figures.json", b"x"),
        ("member-1/figures.json", b"[3]"),
        ("member-1/done", b""),
        ("member-1/done", b"soon"),
        ("member-1/last.ckpt", b"junk" * 300),
        ("member-1/last.ckpt", {"state_dict": {}}),
        ("run.json", b"[]"),
        ("run.json", b"{"),
    ],
)
def test_damaged_runs_are_told(run, tmp_path, file, content):
    """Every file that a run goes on from: one line that names it and the way out."""
    folder, config, _ = run
    shutil.copytree(folder, tmp_path / "noise")
    path = tmp_path / "noise" / file
    if path.name == learning.LAST:  # what is there when a run was interrupted
        path.with_name("done").unlink()
    if content is None:
        path.unlink()
    elif isinstance(content, dict):
        torch.save(content, path)
    else:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"{path.name} is damaged .* --restart"):
        fit(config, tmp_path / "noise", quiet=True)


def test_a_folder_is_one_runs_at_a_time(run, monkeypatch):
    folder, config, _ = run
    monkeypatch.setattr(learning.Assessing, "training_step", None)
    with (
        locked(folder, "a run"),
        pytest.raises(OutputError, match="noise is a run's folder, in which another process is at work; wait"),
    ):
        fit(config, folder, quiet=True)
    fit(config, folder, quiet=True)


def test_another_configuration_does_not_go_on(run):
    folder, config, _ = run
    with pytest.raises(InputError, match="holds a run of another configuration"):
        fit(config.replace({"optimiser.rate": 0.5}), folder, quiet=True)


# --- interrupts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "stops"),
    [
        ({"optimiser__name": "adamw", "optimiser__average": 0.9}, (1, 3, 4)),
        ({"optimiser__name": "sgd", "optimiser__schedule": "plateau", "run__accumulate": 2}, (2, 5)),
        ({"run__batch": 4, "run__accumulate": 3}, (2, 4)),
        ({"optimiser__name": "rmsprop", "regularisation__mixup": 0.4, "input__crops": 2}, (3, 6)),
    ],
    ids=["adamw average", "sgd plateau", "adamw accumulated", "rmsprop mixup"],
)  # fmt: skip
def test_interrupted_runs_end_with_the_same_weights(table, tmp_path, monkeypatch, changes, stops):
    """To the last bit, wherever it was stopped: in an epoch, at its end, in the next one."""
    config = tiny(table, **changes)
    data = open_data(config)
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    expected, curves = train_member(config, data, tmp_path / "whole", quiet=True)
    count, end = [0], learning.Keeper.on_train_batch_end

    def counted(self, *arguments):
        count[0] += 1
        self.asked = self.asked or count[0] in stops
        end(self, *arguments)

    monkeypatch.setattr(learning.Keeper, "on_train_batch_end", counted)
    stopped = 0
    while True:
        try:
            found, seen = train_member(config, data, tmp_path / "parts", quiet=True)
            break
        except StoppedError:
            stopped += 1
    assert stopped == len(stops)
    logs = [(tmp_path / name / "member-1" / "log" / "metrics.csv").read_text() for name in ("whole", "parts")]
    assert logs[0] == logs[1]
    assert logs[0].count("\n") >= 3  # a head, and a row of every epoch
    assert equal(weights(expected), weights(found))
    assert seen == curves


def test_seeds_tell_runs_apart(table, tmp_path):
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    config = tiny(table, run__epochs=1)
    data = open_data(config)
    first, again = (weights(train_member(config, data, f, quiet=True)[0]) for f in folders[:2])
    other = weights(train_member(config.replace({"run.seed": 1}), data, folders[2], quiet=True)[0])
    assert equal(first, again)
    assert not equal(first, other)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_the_command_stops_and_goes_on(table, tmp_path, number, status):
    """An interrupt or a polite kill ends it with status 130 and a word; the same command goes on to the same end."""
    config = tmp_path / "config.toml"
    config.write_text(tiny(table, run__epochs=40, model__settings={"width": 4, "hidden": 8}).to_toml())
    command = [sys.executable, "-m", "beholder", "train", str(config)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, "-o", str(tmp_path / "run")], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        for line in process.stderr:
            if line.startswith("epoch 2 "):
                process.send_signal(number)
                break
        said = process.stderr.read()
        assert process.wait(timeout=120) == status
    assert "the same command goes on" in said
    assert "Traceback" not in said
    outputs = [
        subprocess.run([*command, "-o", str(tmp_path / n)], capture_output=True, text=True, env=environment, check=True)
        for n in ("run", "whole")
    ]
    assert "epoch 1 " not in outputs[0].stderr
    assert outputs[0].stdout.partition(": ")[2] == outputs[1].stdout.partition(": ")[2]


def test_the_best_epoch_is_kept_through_nan(tmp_path):
    network = torch.nn.Linear(1, 1)
    keeper = learning.Best(tmp_path, lambda _: None)
    trainer = type("Trainer", (), {"sanity_checking": False})()
    seen = []
    for epoch, value in enumerate((math.nan, math.nan, 0.8, math.nan, 0.1, 0.9), 1):
        module = type("Module", (), {"figures": [{"srcc": value, "epoch": epoch}], "network": network})()
        keeper.on_validation_end(trainer, module)
        seen.append(keeper.epoch)
    assert seen == [1, 1, 3, 3, 3, 6]


def test_pictures_without_a_group_are_contents_of_their_own(table, tmp_path):
    rows = table.read_text().splitlines()
    plain = table.with_name("plain.csv")
    plain.write_text("image,mos\n" + "".join(",".join(row.split(",")[:2]) + "\n" for row in rows[1:]))
    config = tiny(plain, input__crop=8, regularisation__mixup=0.5, loss__terms={"fidelity": 1.0})
    data = open_data(config)
    feed = Feed(data.of("train"), config, compares=False)
    feed.set_epoch(0)
    assert len(set(feed.contents)) == len(feed.samples)
    cuts = {feed._prepare(np.arange(1600, dtype=np.uint16).astype(np.uint8).reshape(40, 40, 1), None, 0,
                          (0, content, 0))[0].tobytes() for content in feed.contents}  # fmt: skip
    assert len(cuts) > 3  # not all are cut alike
    loader = Loader(feed, shuffle=False, batch=8, workers=0, seed=0, chains=True)
    target = next(iter(loader)).target
    assert len(set(target.group.tolist())) == 8
    _, mixed = learning.mix(torch.rand(8, 3, 8, 8), target, 0.5)
    assert torch.equal(mixed.score, target.score)


def test_every_epoch_has_its_validation(table, tmp_path):
    """Chains fill batches unevenly, and Lightning counts the batches of the first epoch alone."""
    config = tiny(table, loss__terms={"mse": 1.0, "fidelity": 0.5}, run__batch=5, run__epochs=5, input__crops=3)
    data = open_data(config)
    loader = Loader(
        Feed(data.of("train"), config, compares=False), shuffle=True, batch=5, workers=0, seed=0, chains=True
    )
    counts = {len(loader.batches(epoch)) for epoch in range(5)}
    assert counts == {len(loader)}
    for epoch in range(5):
        assert {p for places in loader.batches(epoch) for p in places} == set(range(len(loader.feed)))
    _, figures = train_member(config, data, tmp_path, quiet=True)
    assert [f["epoch"] for f in figures] == [1, 2, 3, 4, 5]


def test_a_file_that_asks_for_code_is_not_obeyed(run, table, tmp_path):
    from beholder.models.files import load_model, save_model

    _, _, result = run
    header, state = load_model(result.model)
    header["architecture"] = "nima"
    asked = {"architecture": "nima", "settings": {}, "body": "os.getcwd", "body_settings": {}}
    header["config"]["model"] |= asked
    save_model(tmp_path / "hostile.safetensors", state, header)
    with pytest.raises(ModelError, match="trust=True"):
        load_network(tmp_path / "hostile.safetensors")
    config = tiny(table, model__architecture="nima", model__settings={})
    with pytest.raises(InputError, match="runs code"):
        fit(config.replace({"model.weights": str(tmp_path / "hostile.safetensors")}), tmp_path / "run", quiet=True)


def test_a_new_network_leaves_nothing_of_the_old_one(table, tmp_path):
    folder = tmp_path / "run"
    fit(tiny(table, run__epochs=1), folder, quiet=True)
    (folder / "model.int8.onnx").write_bytes(b"old")
    (folder / "model.test.json").write_text(json.dumps({"figures": {"srcc": 0.0303, "pictures": 3}, "intervals": {},
                                                        "data": {"name": "old"}}))  # fmt: skip
    fit(tiny(table, run__epochs=1, run__seed=7), folder, restart=True, quiet=True)
    assert not (folder / "model.int8.onnx").exists()
    assert "0.0303" not in (folder / "card.md").read_text()


def test_an_official_test_split_stays_out_where_the_rest_is_open(table, tmp_path):
    rows = table.read_text().splitlines()
    mixed = table.with_name("mixed.csv")

    def write(marks):
        lines = [f"{row},{mark}" for row, mark in zip(rows[1:], marks, strict=True)]
        mixed.write_text("\n".join([rows[0] + ",split", *lines]) + "\n")
        return open_data(tiny(mixed))

    found = write(["test"] * 10 + [""] * 30)
    assert [s.image.name for s in found.of("test")] == [f"p{i:03d}.png" for i in range(10)]
    assert found.splits == {"train": 15, "validation": 15, "test": 10} or found.splits["test"] == 10
    with pytest.raises(InputError, match="in no split and others are"):
        write(["test"] * 10 + ["train"] * 10 + [""] * 20)


@pytest.mark.parametrize(
    ("splits", "told"),
    [
        (["validation", "test"], "no picture of opinions is in the split 'train'.*'validation': 10, 'test': 10"),
        (["test", "test"], "no picture of opinions is in the split 'train'"),
        (["validation", ""], "10 pictures of opinions are in no split and others are"),
        (["train", ""], "10 pictures of opinions are in no split and others are"),
    ],
    ids=lambda v: "-".join(v) if isinstance(v, list) else "",
)
def test_declared_splits_are_never_drawn_anew(tmp_path, splits, told):
    table = make_table(tmp_path, 20)
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0] + ",split", *(f"{t},{splits[i % 2]}" for i, t in enumerate(lines[1:]))]))
    with pytest.raises(InputError, match=told):
        open_data(tiny(table))


def test_the_split_follows_the_configuration(table, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(InputError):
        fit(tiny(table, model__settings={"nonsense": 1}), folder, quiet=True)
    config = tiny(table, data__shares=[0.2, 0.8, 0], run__epochs=1)
    fit(config, folder, quiet=True)
    assert len(open_data(config, folder).of("train")) < 12


def test_files_of_the_user_are_not_overwritten(table, tmp_path):
    (tmp_path / "config.toml").write_text("# mine\n")
    with pytest.raises(InputError, match="would overwrite"):
        fit(tiny(table), tmp_path, quiet=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="run's folder"):
        fit(tiny(table), tmp_path / "file", quiet=True)
    assert (tmp_path / "config.toml").read_text() == "# mine\n"


def test_small_pictures_are_continued_in_training_too(tmp_path):
    table = make_table(tmp_path / "data", 24, side=24)
    result = fit(tiny(table, input__crop=0, run__epochs=1), tmp_path / "run", quiet=True)
    known = [s.mos for s in open_data(tiny(table), tmp_path / "run").of("validation")]
    assert len(known) == 12
    assert math.isfinite(result.figures["rmse"])


def test_figures_are_those_of_the_model_as_it_is_used(table, tmp_path):
    config = tiny(table, input__crop=32, input__test_crops=3, run__epochs=1)
    result = fit(config, tmp_path / "run", quiet=True)
    held = open_data(config, tmp_path / "run").of("validation")
    judge = Judge(result.model)
    said = [judge.judge(read_image(s.image).native.transpose(2, 0, 1), full_scale=255.0).value for s in held]
    found = agreement(np.array(said), np.array([s.mos for s in held]))
    assert result.figures["rmse"] == pytest.approx(found["rmse"], abs=1e-3)


# --- what else can be trained -----------------------------------------------------------------------------------------


def test_heads_and_synthesis_are_learned_together(table, tmp_path):
    """Scores of people, opinions, types, severities and maps of synthetic pictures in one training."""
    config = tiny(
        table,
        model__architecture="beholder",
        model__body="plain",
        model__settings={
            **GENERAL,
            "heads": ["score", "spread", "distribution", "map", "type", "severity"],
            "types": 3,
            "map_stride": 4,
        },
        loss__terms=dict.fromkeys(("gaussian", "emd", "ssim_map", "type", "severity", "fidelity"), 1.0),
        synthesis__photographs=str(table.parent),
        synthesis__count=8,
        synthesis__types=["gaussian_blur", "jpeg", "white_noise"],
        synthesis__map="gmsd",
        regularisation__label_noise=0.5,
        optimiser__average=0.9,
        run__batch=6,
    )
    result = fit(config, tmp_path / "all", quiet=True)
    verdict = Judge(result.model).judge(np.random.default_rng(0).random((3, 64, 48), dtype=np.float32))
    assert verdict.spread > 0
    assert verdict.map.min() >= 0
    assert 0 <= verdict.severity <= 1
    assert sum(verdict.type.values()) == pytest.approx(1, abs=1e-5)
    assert list(verdict.type) == ["gaussian_blur", "jpeg", "white_noise"]


def test_ladders_without_opinions_are_ordered(table, tmp_path):
    """Ranks alone teach which of two versions is better: the chains stay in one batch."""
    config = tiny(
        table, synthesis__photographs=str(table.parent), synthesis__count=8, synthesis__label="rank",
        synthesis__types=["white_noise"], loss__terms={"margin_rank": 1.0}, run__batch=8,
    )  # fmt: skip
    data = open_data(config)
    feed = Feed(data.of("train"), config, compares=False)
    loader = Loader(feed, shuffle=True, batch=8, workers=0, seed=0, chains=True)
    for epoch in (0, 1):
        loader.start(epoch, 0)
        for batch in loader:
            group = batch.target.group
            ladders = group[torch.isnan(batch.target.score)]
            assert all(int((group == g).sum()) == 4 for g in ladders.tolist())
    tmp_path.mkdir(exist_ok=True)
    _, curves = train_member(config, data, tmp_path, quiet=True)
    assert len(curves) == 2


def test_networks_that_compare(tmp_path):
    table = make_table(tmp_path / "pairs", 24, references=True)
    config = tiny(table, model__architecture="wadiqam_fr", model__settings={"width": 2}, run__epochs=1)
    result = fit(config, tmp_path / "pairs-run", quiet=True)
    row = bh.score(table.parent / "p000.png", table.parent / "r000.png", models=result.model)
    assert 0 <= row["pairs-run"].value <= 100
    with pytest.raises(InputError, match="compares with a reference"):
        bh.score(table.parent / "p000.png", models=result.model)
    judge = Judge(result.model)
    with pytest.raises(SizeError, match="pictures of one size"):
        judge.judge(np.zeros((3, 40, 40)), np.zeros((3, 40, 41)))
    alone = make_table(tmp_path / "alone", 8)
    with pytest.raises(InputError, match="not every row of the table has one"):
        fit(tiny(alone, model__architecture="wadiqam_fr"), tmp_path / "none", quiet=True)


def test_ensembles_state_their_spread(table, tmp_path):
    result = fit(tiny(table, run__epochs=1, model__members=2), tmp_path / "two", quiet=True)
    verdict = Judge(result.model).judge(np.random.default_rng(0).random((3, 40, 40), dtype=np.float32))
    assert verdict.spread > 0
    network, _ = load_network(result.model)
    members = [weights(m) for m in network.network.members]
    assert not equal(*members)


def test_members_of_one_file_differ(run, table, tmp_path):
    _, _, result = run
    ensemble = {"model__members": 2, "model__weights": str(result.model)}
    config = tiny(table, run__epochs=1, regularisation__dropout=0.0, **SAME, **ensemble)
    network, _ = load_network(fit(config, tmp_path / "two", quiet=True).model)
    assert not equal(*[weights(m) for m in network.network.members])


def test_training_goes_on_from_a_file(run, table, tmp_path):
    """`model.weights = FILE` begins with that file's weights, target included; one of another shape is told."""
    _, _, result = run
    config = tiny(table, run__epochs=1, optimiser__rate=0.0, **SAME, model__weights=str(result.model))
    network, _ = train_member(config, open_data(config), tmp_path, quiet=True)
    trained, _ = load_network(result.model)
    mine, theirs = dict(network.named_parameters()), dict(trained.network.named_parameters())
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[k], theirs[k]) for k in mine)
    assert torch.equal(network.points.target, trained.network.points.target)
    (tmp_path / "other").mkdir()
    other = tiny(table, model__weights=str(result.model), model__settings={"width": 9, "hidden": 13, "kernel": 5})
    with pytest.raises(ModelError, match="fits this architecture"):
        train_member(other, open_data(other), tmp_path / "other", quiet=True)


def test_early_stopping_and_time_limits(table, tmp_path):
    for name in ("patience", "minutes"):
        (tmp_path / name).mkdir()
    still = tiny(table, optimiser__rate=0.0, run__epochs=9, run__patience=2)
    assert len(train_member(still, open_data(still), tmp_path / "patience", quiet=True)[1]) == 3
    brief = tiny(table, run__epochs=4, run__minutes=1e-4)
    data = open_data(brief)
    assert len(train_member(brief, data, tmp_path / "minutes", quiet=True)[1]) == 1
    longer = brief.replace({"run.minutes": 0.0})  # the time is how, not what: it goes on
    assert len(train_member(longer, data, tmp_path / "minutes", quiet=True)[1]) == 4


def test_a_loss_that_diverges_is_told(table, tmp_path):
    config = tiny(table, optimiser__name="sgd", optimiser__rate=1e30, optimiser__warm_up=0.0)
    with pytest.raises(TrainingError, match=r"lower optimiser\.rate"):
        train_member(config, open_data(config), tmp_path, quiet=True)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "adagrad", "rmsprop"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "plateau", "step"])
def test_every_method_and_schedule_lowers_the_loss(name, schedule):
    torch.manual_seed(0)
    network = torch.nn.Linear(4, 1)
    part = Optimiser(
        name=name, schedule=schedule, rate=0.2 if name == "adagrad" else 0.03, nesterov=True, weight_decay=0.0
    )
    optimiser = make_optimiser(network, part)
    x = torch.randn(64, 4)
    y = x @ torch.tensor([[1.0], [-1.0], [0.5], [0.0]])
    losses = []
    for step in range(60):
        set_rates(optimiser, step, 60, part)
        loss = (network(x) - y).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


# --- rates, parts -----------------------------------------------------------------------------------------------------


def test_rates_follow_the_schedule():
    part = Optimiser(warm_up=0.1, schedule="cosine")
    assert [factor(s, 100, part) for s in (0, 4, 9, 10)] == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert factor(55, 100, part) == pytest.approx(0.01 + 0.99 * 0.5)
    assert factor(100, 100, part) == pytest.approx(0.01)
    steps = Optimiser(warm_up=0.0, schedule="step")
    assert [round(factor(s, 100, steps), 6) for s in (0, 49, 50, 75)] == [1, 1, 0.1, 0.01]
    plateau = Plateau(patience=1)
    for figure in (0.5, 0.6, 0.6, 0.6):
        plateau.see(figure)
    assert plateau.factor == pytest.approx(1 / 3)
    again = Plateau()
    again.load_state_dict(plateau.state_dict())
    assert again.state_dict() == plateau.state_dict()


def test_layers_have_rates_of_their_own():
    network = build("beholder", {"body": "plain", "weights": "none", **GENERAL})
    part = Optimiser(rate=1.0, body_rate=0.1, layer_decay=0.5, weight_decay=0.3, hold=0.5, warm_up=0.0,
                     schedule="constant")  # fmt: skip
    groups = parameter_groups(network, part)
    counted = sum(p.numel() for g in groups for p in g["params"])
    assert counted == sum(p.numel() for p in network.parameters())
    shares = sorted({g["share"] for g in groups if g["body"]})
    stages = len(network.body.stages)
    assert shares == pytest.approx(sorted(0.1 * 0.5**i for i in range(stages)))
    assert all((g["weight_decay"] == 0.3) == all(p.ndim > 1 for p in g["params"]) for g in groups)
    optimiser = make_optimiser(network, part)
    set_rates(optimiser, 10, 100, part)
    assert {g["lr"] for g in optimiser.param_groups if g["body"]} == {0.0}
    set_rates(optimiser, 50, 100, part)
    assert max(g["lr"] for g in optimiser.param_groups if g["body"]) == pytest.approx(0.1)


def test_frozen_stages_and_learned_statistics_stay(table, tmp_path):
    """What is frozen does not move, what is not does; `mixup` and crops change nothing of that."""
    config = tiny(
        table, model__architecture="beholder", model__body="plain", model__settings=GENERAL, model__frozen=1,
        run__epochs=1, optimiser__body_rate=1.0,
    )  # fmt: skip
    torch.manual_seed(config.run.seed)
    before = weights(build("beholder", {"body": "plain", "weights": "none", **GENERAL}))
    after = weights(train_member(config, open_data(config), tmp_path, quiet=True)[0])
    network = build("beholder", {"body": "plain", "weights": "none", **GENERAL})
    names = {id(p): n for n, p in network.named_parameters()}
    first, second = ([names[id(p)] for p in stage] for stage in network.body.stages[:2])
    assert all(torch.equal(before[n], after[n]) for n in first)
    assert any(not torch.equal(before[n], after[n]) for n in second)


LITE = {"model__architecture": "beholder", "model__settings": {"half": True, "hidden": [4], "dropout": 0.0},
        "input__crop": 0, "input__flip": False, "run__epochs": 2, "run__batch": 4, "model__weights": "imagenet",
        "optimiser__name": "sgd", "optimiser__momentum": 0.0, "optimiser__rate": 1e-5}  # fmt: skip


@pytest.mark.parametrize("frozen", [7, -1])
def test_frozen_stages_are_worked_out_once(tmp_path, monkeypatch, frozen):
    """Training on what they gave ends where training on pictures does, but for the 16 bits that are kept."""
    table = make_table(tmp_path / "t", 12, side=64)
    config = tiny(table, model__frozen=frozen, **LITE)
    data = open_data(config)
    found, curves = [], []
    for name in ("pictures", "kept", "again"):
        (tmp_path / name).mkdir()
        kept = {} if name == "pictures" else {"input.frozen_cache": str(tmp_path / "cache")}
        if name == "again":  # nothing is worked out a second time
            monkeypatch.setattr("beholder.models.assessors.general.General.begin", None)
        network, seen = train_member(config.replace(kept), data, tmp_path / name, quiet=True)
        found.append(torch.cat([p.detach().ravel() for p in network.parameters() if p.requires_grad]))
        curves.append([c["loss"] for c in seen])
    torch.manual_seed(0)
    network = make_network(config.to_dict()["model"])
    freeze(network, frozen)
    begin = torch.cat([p.detach().ravel() for p in network.parameters() if p.requires_grad])
    assert torch.equal(found[1], found[2])
    assert curves[1] == pytest.approx(curves[0], rel=0.03)  # 16 bits; kept in 32 it is 1e-4
    assert float((found[1] - found[0]).norm()) < 0.2 * float((found[0] - begin).norm())  # in 32: 0.002


def test_predictions_stand_beside_their_pictures(tmp_path):
    """Also where pictures of several sizes are taken size by size."""
    rows = []
    for side in (64, 80):
        table = make_table(tmp_path / str(side), 24, side=side)
        rows.append([f"{side}/{line}" for line in table.read_text().splitlines()[1:]])
    mixed = tmp_path / "mixed.csv"
    lines = [line.rsplit(",", 1)[0] for pair in zip(*rows, strict=True) for line in pair]
    mixed.write_text("image,mos,std\n" + "\n".join(lines) + "\n")
    config = tiny(mixed, model__frozen=2, input__frozen_cache=str(tmp_path / "cache"), **LITE)
    data = open_data(config)
    network = make_network(config.to_dict()["model"]).eval()
    freeze(network, 2)
    kept, features = predict(network, data, config, features=True)
    fresh, others = predict(network, data, config.replace({"input.frozen_cache": ""}), features=True)
    assert np.ptp(fresh) > 1e-3
    assert kept == pytest.approx(fresh, abs=0.02 * np.ptp(fresh))
    assert np.abs(features - others).mean() < 0.05 * np.abs(others).mean()


def test_what_cannot_be_kept_is_told(table, tmp_path):
    kept = {**LITE, "input__frozen_cache": str(tmp_path / "cache")}
    made = {"synthesis__photographs": str(table.parent), "synthesis__count": 2}
    for changes, told in (
        ({"model__frozen": 0}, "model.frozen above 0"),
        ({"model__frozen": 2, "input__crop": 32}, "set input.crop = 0"),
        ({"model__frozen": 2, "loss__terms": {"ssim_map": 1.0}, **made}, "leaves out the map head"),
        (
            {"model__frozen": 1, "model__body": "plain", "model__settings": GENERAL, "model__weights": "none"},
            "cannot be stopped after a stage",
        ),
    ):
        with pytest.raises(InputError, match=told):
            fit(tiny(table, **{**kept, **changes}), tmp_path / "run", quiet=True)


def test_mixup_stays_within_content():
    torch.manual_seed(0)
    image = torch.rand(5, 3, 4, 4)
    target = Target(torch.tensor([10.0, 90.0, 50.0, math.nan, 30.0]), group=torch.tensor([0, 0, 1, 0, -1]))
    mixed, known = learning.mix(image, target, 1.0)
    assert torch.equal(mixed[2:], image[2:])
    assert torch.equal(known.score[[2, 4]], target.score[[2, 4]])
    share = (known.score[0] - 90) / (10 - 90)
    torch.testing.assert_close(mixed[0], share * image[0] + (1 - share) * image[1])
    assert torch.isnan(known.score[3])


def test_batches_depend_on_seed_and_epoch_alone(table):
    config = tiny(table, input__crops=2)
    data = open_data(config).of("train")

    def images(epoch, first=0, seed=0, workers=0):
        loader = Loader(Feed(data, config, compares=False), shuffle=True, batch=8, workers=workers, seed=seed)
        loader.start(epoch, first)
        return [b.image for b in loader]

    once, again = images(1), images(1)
    assert len(once) == 5
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert torch.equal(images(1, first=3)[0], once[3])
    assert not torch.equal(images(2)[0], once[0])
    assert not torch.equal(images(1, seed=3)[0], once[0])


def test_processes_share_the_batches_out(table, monkeypatch):
    config = tiny(table)
    loader = Loader(Feed(open_data(config), config, compares=False), shuffle=True, batch=4, workers=0, seed=0)
    whole = loader.batches(0)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(loader, "_share", lambda rank=rank: (rank, 3))
        parts.append(loader.batches(0))
        assert len(loader) == len(parts[-1])
    assert [len(p) for p in parts] == [4] * 3
    assert [parts[i % 3][i // 3] for i in range(12)] == [*whole, *whole[:2]]  # all have as many: the first ones again


def test_pictures_of_several_sizes_need_a_crop(tmp_path, table):
    from PIL import Image

    Image.new("RGB", (50, 60)).save(tmp_path / "a.png")
    Image.new("RGB", (50, 61)).save(tmp_path / "b.png")
    (tmp_path / "t.csv").write_text("image,mos\na.png,1\nb.png,2\n")
    config = tiny(tmp_path / "t.csv", input__crop=0)
    feed = Feed(read_table(tmp_path / "t.csv", scale=(1, 5)), config, compares=False)
    with pytest.raises(InputError, match=r"one size, got 60x50, 61x50; set input\.crop"):
        list(Loader(feed, shuffle=False, batch=2, workers=0, seed=0))
    assert len(list(Loader(feed, shuffle=False, batch=1, workers=0, seed=0))) == 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data__table": ""}, "either data.name"),
        ({"data__scale": []}, "data.scale = \\[worst, best\\]"),
        ({"data__name": "biq2021", "data__table": ""}, "needs data.root"),
        ({"model__architecture": "cnniqua"}, "did you mean 'cnniqa'"),
        ({"model__settings": {"wide": 3}}, "cnniqa has no setting 'wide'"),
        ({"loss__terms": {"gaussian": 1.0}}, "states its spread"),
        ({"loss__terms": {"mse": 0.0}}, "at least one loss"),
        ({"input__augment": ["noise"]}, "does not keep the opinion"),
        ({"run__loggers": ["mlflow"]}, "pip install mlflow"),
        ({"synthesis__photographs": "nowhere", "synthesis__count": 3}, "nowhere"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_wrong_configurations_are_told(table, tmp_path, changes, told):
    with pytest.raises(InputError, match=told):
        fit(tiny(table, **changes), tmp_path / "run", quiet=True)


@pytest.mark.parametrize("references", [False, True])
def test_pictures_that_are_not_there_are_told_before_the_training(tmp_path, monkeypatch, references):
    """All of them in one error, with the lines of the table; those that nobody asks for are not missed."""
    table = make_table(tmp_path, 20, references=references)
    lines = table.read_text().splitlines()
    splits = ["train"] * 12 + ["validation"] * 4 + ["test"] * 4
    table.write_text("\n".join([lines[0] + ",split", *(f"{t},{s}" for t, s in zip(lines[1:], splits, strict=True))]))
    config = tiny(table, **({"model__architecture": "diqam_fr", "model__settings": {}} if references else {}))
    (tmp_path / "p019.png").unlink()
    (tmp_path / "c.toml").write_text(config.to_toml())
    monkeypatch.setattr(learning.Assessing, "training_step", None)
    run = [str(tmp_path / "c.toml"), "-o", str(tmp_path / "run"), "-q"]
    found = CliRunner().invoke(cli.app, ["train", *run, "--test"])
    assert isinstance(found.exception, ReadError)
    assert "opinions.csv, line 21: there is no file" in str(found.exception)
    for name in ("p003.png", "p013.png", *(["r002.png"] if references else [])):
        (tmp_path / name).unlink()
    with pytest.raises(ReadError, match=r"line 5: .*p003\.png.*line 15: .*p013\.png") as told:
        fit(config, tmp_path / "run", quiet=True)
    assert "p019" not in str(told.value)
    assert ("line 6: there is no file" in str(told.value)) == references
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("changes", "warned"), [({"input__crop": 90}, True), ({"input__crop": 64}, False)])
def test_crops_much_larger_than_the_pictures_are_told(table, capsys, changes, warned):
    config = tiny(table, **changes)
    tell_of_crop(open_data(config).of("train"), config)
    told = "input.crop = 90 is more than twice the pictures' shorter side (40): mirror images fill the rest"
    assert (told in capsys.readouterr().err) == warned


def test_official_test_pictures_stay_out(tmp_path):
    """A table with train and test: validation comes out of train, and the split is kept for the next time."""
    table = make_table(tmp_path / "official", 20)
    lines = table.read_text().splitlines()
    text = [lines[0] + ",split"] + [f"{line},{'test' if i >= 16 else 'train'}" for i, line in enumerate(lines[1:])]
    table.write_text("\n".join(text))
    data = open_data(tiny(table, data__shares=[0.5, 0.25, 0.25]))
    assert data.splits == {"train": 10, "validation": 6, "test": 4} or len(data.of("test")) == 4
    assert {s.image.name for s in data.of("test")} == {f"p{i:03d}.png" for i in range(16, 20)}
    groups = [{s.group for s in data.of(n)} for n in ("train", "validation")]
    assert not groups[0] & groups[1]


# --- what the numbers are worth ---------------------------------------------------------------------------------------


def test_intervals_hold_what_they_promise():
    """Errors that grow with the score: 90 % of new ones lie inside, in every part of the scale."""
    rng = np.random.default_rng(0)

    def draw(n):
        score = rng.uniform(0, 100, n)
        return score, score + rng.normal(0, 2 + score / 10)

    interval = conformal_interval(*draw(2000))
    score, opinion = draw(20000)
    assert coverage(score, opinion, interval) == pytest.approx(0.9, abs=0.015)
    for low in (0, 33, 66):
        part = (score >= low) & (score < low + 34)
        assert coverage(score[part], opinion[part], interval) == pytest.approx(0.9, abs=0.04)
    assert interval["half_widths"][0] < interval["half_widths"][-1]
    with pytest.raises(InputError, match="at least 20 pictures"):
        conformal_interval(score[:19], opinion[:19])


def test_intervals_are_valid_for_few_pictures():
    """The finite-sample promise: over many draws of 30 pictures the mean coverage is no less than the level."""
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(300):
        score = rng.uniform(0, 100, 60)
        opinion = score + rng.normal(0, 8, 60)
        interval = conformal_interval(score[:30], opinion[:30])
        covered.append(coverage(score[30:], opinion[30:], interval))
    assert np.mean(covered) > 0.88


def test_foreign_features_are_far():
    from beholder.models.assessors.domain import Domain

    rng = np.random.default_rng(0)
    mix = rng.normal(size=(6, 40))
    known = rng.normal(size=(500, 6)) @ mix + 0.1 * rng.normal(size=(500, 40))
    found = domain_of(known, components=6, quantile=0.95)
    domain = Domain(found)
    new = rng.normal(size=(500, 6)) @ mix + 0.1 * rng.normal(size=(500, 40))
    near = domain(torch.tensor(new, dtype=torch.float32))
    assert float((near <= 1).float().mean()) == pytest.approx(0.95, abs=0.03)
    off = new + 0.6 * rng.normal(size=(500, 40))  # off the plane, but not far out
    far = new + 4 * rng.normal(size=(1, 6)) @ mix  # in the plane, but far out
    for foreign in (off, far):
        assert float((domain(torch.tensor(foreign, dtype=torch.float32)) > 1).float().mean()) > 0.95


def test_what_is_shown_counts_beside_how():
    """Pictures that show none of the known things are far, though all else in them is usual."""
    from beholder.models.assessors.domain import Domain

    rng = np.random.default_rng(0)
    things = np.maximum(rng.normal(0, 2, size=(6, 30)), 0)

    def shown(count):
        return np.maximum(things[rng.integers(0, 6, count)] + rng.normal(0, 0.3, size=(count, 30)), 0)

    usual, deep = rng.normal(size=(400, 20)), shown(400)
    found = domain_of(np.column_stack([usual, deep]), (12, 8), deep=30, components=8, quantile=0.95)
    domain = Domain(found)
    new = rng.normal(size=(200, 20))
    known, empty = (np.column_stack([new, share * shown(200)]) for share in (1, 0.05))
    near, far = (domain(torch.tensor(x, dtype=torch.float32)) for x in (known, empty))
    assert float((near <= 1).float().mean()) > 0.85
    assert float((far > 1).float().mean()) > 0.9
    # a file without arrays for them does not look at them
    old = Domain(domain_of(usual, (12, 8), components=8))
    said = [old(torch.tensor(x, dtype=torch.float32)) for x in (known, empty)]
    assert torch.equal(*said)
    with pytest.raises(InputError, match="do not make up the 20"):
        domain_of(np.column_stack([usual, deep]), (12, 9), deep=30)


def test_agreement_of_predictions():
    found = agreement(np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4]))
    assert found == pytest.approx({"srcc": 0.8, "plcc": 0.8, "krcc": 2 / 3, "rmse": math.sqrt(0.5)})
    assert math.isnan(agreement(np.ones(3), np.arange(3.0))["srcc"])
    for wrong in (([], []), ([1.0], [1.0, 2]), ([math.nan, 1], [1.0, 2])):
        with pytest.raises(InputError):
            agreement(*map(np.array, wrong))


def test_resampling_contents_widens_the_interval():
    rng = np.random.default_rng(0)
    contents = np.repeat(rng.normal(size=20), 10)
    known = contents + 0.1 * rng.normal(size=200)
    said = contents + np.repeat(0.5 * rng.normal(size=20), 10)
    by_content = resample(said, known, [str(i // 10) for i in range(200)])["plcc"]
    by_picture = resample(said, known, [str(i) for i in range(200)])["plcc"]
    assert by_content[1] - by_content[0] > 1.5 * (by_picture[1] - by_picture[0])


@pytest.mark.slow
@pytest.mark.parametrize("card", list_architectures(), ids=lambda a: a.name)
def test_every_architecture_trains(card, tmp_path):
    """One epoch of each at its smallest, with a body from scratch where it takes one, and its ONNX file."""
    table = make_table(tmp_path / "t", 12, side=72, references=card.reference)
    settings = {k: v for k, v in {"width": 4, "hidden": 8, "widths": [4, 4, 4, 4, 4]}.items() if k in card.settings}
    if card.name == "beholder":
        settings = GENERAL
    bodies = {"model__body": "plain"} if card.bodies else {}
    terms = {"emd": 1.0} if card.name == "nima" else {"mse": 1.0}
    config = tiny(
        table, model__architecture=card.name, model__settings=settings, loss__terms=terms, run__epochs=1,
        input__crop=64, **bodies,
    )  # fmt: skip
    begun = time.monotonic()
    result = fit(config, tmp_path / "run", quiet=True)
    assert result.seconds <= time.monotonic() - begun
    assert result.model.is_file()
