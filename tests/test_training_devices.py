"""Training in several processes: what one alone would give of complete data, and that all stop and go on together."""

import multiprocessing
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from training import GENERAL, make_table, tiny

from beholder.errors import InputError, ReadError, StoppedError
from beholder.evaluation import agreement
from beholder.models.judging import Judge
from beholder.training import launching, learning, ranks
from beholder.training.devices import Devices, find_devices, parse_devices
from beholder.training.fitting import fit, open_data, predict, train_here, train_member
from beholder.training.learning import Assessing
from beholder.training.testing import judge_all

NORMED = {
    "model__architecture": "beholder",
    "model__body": "plain",
    "model__settings": {**GENERAL, "heads": ["score", "type"]},
    "optimiser__body_rate": 1.0,
}
"""A network with statistics of normalisations, and a head that nothing is learned from."""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return make_table(tmp_path_factory.mktemp("opinions"))


@pytest.fixture(scope="module")
def run(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "two"
    config = tiny(table, run__devices="cpu:2", run__epochs=5, run__batch=4, input__crops=5, **NORMED)
    return config, folder, fit(config, folder, quiet=True)


# --- what is asked for ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("auto", ("auto", 1)),
        ("1", ("auto", 1)),
        ("cpu", ("cpu", 1)),
        ("cpu:1", ("cpu", 1)),
        ("cpu:12", ("cpu", 12)),
        ("2", ("gpu", 2, (0, 1))),
        ("0,", ("gpu", 1, (0,))),
        ("3,1", ("gpu", 2, (3, 1))),
    ],
)
def test_devices_are_read(name, found):
    assert parse_devices(name) == Devices(*found)


@pytest.mark.parametrize("name", ["-1", "foo", "0", "", "auto ", "cuda:0", "cpu:0", "cpu:", "0,1,", "02", "cpu:1000"])
def test_what_names_no_device_is_told(table, name):
    with pytest.raises(InputError, match=r"run\.devices must be 'auto', .* such as 'cpu:2', got"):
        tiny(table, run__devices=name)


def test_devices_that_are_not_there_are_told(table):
    with pytest.raises(InputError, match=r"names a GPU twice"):
        tiny(table, run__devices="1,1")
    with pytest.raises(InputError, match=r"run\.devices = '99' asks for 99 GPUs, and there are \d+; .* 'cpu:99'"):
        find_devices("99")
    with pytest.raises(InputError, match=r"run\.devices = '0,999' asks for GPU 999, and there are \d+; count from 0"):
        find_devices("0,999")


# --- what it gives ----------------------------------------------------------------------------------------------------


def test_it_learns_and_tells_the_figures_of_all_pictures(run):
    """The figures of a run are those of its file, in the training as at the end."""
    config, folder, result = run
    losses = [c["loss"] for c in result.curves]
    assert losses[-1] < losses[0]
    data = open_data(config, folder).of("validation")
    known = np.array([s.mos for s in data])
    said = np.array([v.value for v in judge_all(result.model, data)])
    expected = agreement(said, known)
    best = result.curves[Judge(result.model).header["best_epoch"] - 1]
    for name, value in expected.items():
        assert result.figures[name] == pytest.approx(value, abs=1e-4)
        assert best[name] == pytest.approx(value, abs=1e-4)
    assert (folder / "member-1" / "figures.csv").read_text().count("\n") == 6
    assert (folder / "member-1" / "log" / "metrics.csv").read_text().count("validation_srcc") == 1
    assert not list(folder.glob("**/*.part"))


def test_a_finished_run_needs_no_processes_and_another_number_of_them_is_another_run(run, monkeypatch):
    config, folder, result = run
    with pytest.raises(InputError, match="another configuration"):
        fit(config.replace({"run.devices": "cpu"}), folder, quiet=True)
    monkeypatch.setattr("beholder.training.fitting.train_on", None)
    assert fit(config, folder, quiet=True).curves == result.curves


def _both(number, meeting, config, data, folder, stop):  # pragma: no cover  # in another process
    """One of two processes; at its step `stop` the second one is asked to end, and the first is not."""
    torch.set_num_threads(1)
    ranks.join(meeting, number, 2, None)
    count, end = [0], learning.Keeper.on_train_batch_end

    def counted(self, *arguments):
        count[0] += 1
        self.asked = self.asked or (number == 1 and count[0] == stop)
        end(self, *arguments)

    learning.Keeper.on_train_batch_end = counted
    try:
        network = train_here(config, data, folder, lambda figures: None, quiet=True)
        torch.save(network.state_dict(), folder / f"end-{number}.pt")
    except StoppedError:
        (folder / f"stopped-{number}").write_text(str(count[0]))
    ranks.part()


def _train_both(config, folder, meeting, stop=0):
    folder.mkdir(exist_ok=True)
    torch.multiprocessing.spawn(_both, (meeting, config, open_data(config), folder, stop), nprocs=2)


def test_processes_end_with_equal_weights_and_stop_together(table, tmp_path):
    """One that is asked in the middle of an epoch stops both; they go on to the same end, to the last bit."""
    config = tiny(table, run__devices="cpu:2", run__batch=3, optimiser__average=0.9, optimiser__rate=1e-3, **NORMED)
    _train_both(config, tmp_path / "whole", tmp_path / "1")
    ends = [torch.load(tmp_path / "whole" / f"end-{n}.pt", weights_only=True) for n in (0, 1)]
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]), name
    _train_both(config, tmp_path / "parts", tmp_path / "2", stop=6)
    assert [(tmp_path / "parts" / f"stopped-{n}").read_text() for n in (0, 1)] == ["6", "6"]
    _train_both(config, tmp_path / "parts", tmp_path / "3")
    for name in ("end-0.pt", "end-1.pt", "best.pt"):
        found, expected = (torch.load(tmp_path / f / name, weights_only=True) for f in ("parts", "whole"))
        assert all(torch.equal(found[key], value) for key, value in expected.items())
    assert (tmp_path / "parts" / "figures.json").read_text() == (tmp_path / "whole" / "figures.json").read_text()


def test_another_number_of_processes_does_not_go_on(table):
    assessing = Assessing(torch.nn.Linear(1, 1), tiny(table), 1, 0)
    state = {"plateau": assessing.plateau.state_dict(), "figures": [], "averaged": {}, "losses": [[1.0], [2.0]]}
    with pytest.raises(InputError, match=r"ran in 2 processes, and run\.devices asks for 1"):
        assessing.on_load_checkpoint({"beholder": state})
    assessing.on_load_checkpoint({"beholder": {**state, "losses": [1.0, 2.0]}})  # as before there were several


def test_frozen_stages_are_worked_out_by_all(tmp_path):
    """Each process does its share: what is kept is what one alone keeps."""
    table = make_table(tmp_path / "data", 12)
    kept = []
    for name in ("cpu", "cpu:2"):
        cache = tmp_path / f"cache-{len(kept)}"
        changes = {"model__frozen": 2, "input__crop": 0, "input__frozen_cache": str(cache), "run__epochs": 1}
        config = tiny(
            table, run__devices=name, model__architecture="beholder", model__settings={"hidden": [4]}, **changes
        )
        folder = tmp_path / f"run-{len(kept)}"
        folder.mkdir()
        train_member(config, open_data(config), folder, quiet=True)
        kept.append({p.relative_to(cache): p.read_bytes() for p in cache.glob("**/*") if p.is_file()})
    assert kept[0] == kept[1]
    assert len(kept[0]) == 18  # six to learn from with their mirror images, and six for validation


# --- how it ends ------------------------------------------------------------------------------------------------------


def test_an_interrupted_run_ends_as_a_whole_one(table, tmp_path):
    """To the last bit on one thread: two terms have one sum in either order."""
    config = tiny(table, run__devices="cpu:2")
    data = open_data(config)
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    expected, curves = train_member(config, data, tmp_path / "whole", quiet=True)
    shown = []

    def watch(figures):
        shown.append(len(figures))
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(StoppedError, match="the same command goes on"):
        train_member(config, data, tmp_path / "parts", watch=watch, quiet=True)
    assert shown == [1]
    assert multiprocessing.active_children() == []
    found, seen = train_member(config, data, tmp_path / "parts", quiet=True)
    assert seen == curves
    assert all(torch.equal(v, expected.state_dict()[k]) for k, v in found.state_dict().items())
    said, _ = predict(found, data.of("validation"), config)
    assert agreement(said, np.array([s.mos for s in data.of("validation")]))["srcc"] == pytest.approx(
        max(c["srcc"] for c in curves), abs=1e-6
    )


def test_processes_end_with_an_error(tmp_path):
    """What one of them raises is raised, and none is left."""
    table = make_table(tmp_path / "data", 12)
    config = tiny(table, run__devices="cpu:2", run__batch=2)
    sample = open_data(config).of("train").samples[3]
    sample.image.write_bytes(b"no picture")
    with pytest.raises(ReadError, match=sample.image.name):
        fit(config, tmp_path / "run", quiet=True)
    assert multiprocessing.active_children() == []


def test_a_process_that_was_killed_is_told(table, tmp_path):
    def watch(figures):
        max(multiprocessing.active_children(), key=lambda p: p.pid).kill()

    config = tiny(table, run__devices="cpu:2")
    with pytest.raises(StoppedError, match=r"was ended from outside \(status -9\)"):
        train_member(config, open_data(config), tmp_path, watch=watch, quiet=True)
    assert multiprocessing.active_children() == []


def test_errors_travel():
    error = launching._portable(InputError("wrong"))
    assert isinstance(error, InputError)
    assert "Odd" in str(launching._portable(type("Odd", (Exception,), {})("wrong")))


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a group there")
def test_one_interrupt_to_all_stops_the_command(table, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text(tiny(table, run__epochs=3, run__devices="cpu:2", input__crops=2).to_toml())
    command = [sys.executable, "-m", "beholder", "train", str(config), "-o", str(tmp_path / "run")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        for line in process.stderr:
            if line.startswith("epoch 1 "):
                os.killpg(process.pid, signal.SIGINT)
                break
        said = process.stderr.read()
        assert process.wait(timeout=60) == 130
    assert "the same command goes on" in said
    assert "Traceback" not in said
    again = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "epoch 1 " not in again.stderr
    assert "epoch 3 " in again.stderr
    assert "validation of" in again.stdout
