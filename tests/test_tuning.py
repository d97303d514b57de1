"""Search over a configuration: every method, pruning, interrupts, and what is written."""

import csv
import json
import os
import subprocess
import sys

import pytest
from training import make_table, tiny

from beholder import tuning
from beholder.errors import InputError, StoppedError
from beholder.training import learning
from beholder.training.config import Config
from beholder.tuning import Study, draw_study, tune

SPACE = {"optimiser.rate": {"low": 1e-3, "high": 1e-1, "log": True}, "model.settings.hidden": [8, 16]}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    table = make_table(tmp_path_factory.mktemp("opinions"), 24)
    return tiny(table, model__settings={"width": 4, "hidden": 8}, run__epochs=2)


def values(found):
    return [(row["state"], row["srcc"], row["optimiser.rate"], row["model.settings.hidden"]) for row in found.trials]


@pytest.fixture(scope="module")
def whole(base, tmp_path_factory):
    """An uninterrupted study and its folder."""
    folder = tmp_path_factory.mktemp("studies") / "whole"
    return folder, tune(Study(base=base, space=SPACE, trials=4, startup=2), folder, quiet=True)


def test_a_study_leaves_everything(whole):
    folder, found = whole
    assert {p.name for p in folder.iterdir()} >= {"study.db", "study.json", "trials.csv", "best.toml", "tuning.png"}
    with (folder / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert found.value == max(float(r["srcc"]) for r in rows)
    best = Config.read(folder / "best.toml")
    assert best == found.config
    assert any(float(r["optimiser.rate"]) == best.optimiser.rate for r in rows if float(r["srcc"]) == found.value)
    assert (folder / "tuning.png").read_bytes()[:4] == b"\x89PNG"
    assert json.loads((folder / "best.json").read_text())["srcc"] == found.value


def test_an_interrupted_study_ends_as_a_whole_one(base, whole, tmp_path, monkeypatch):
    """Stopped in the middle of trials and between them: the same trials, the same figures."""
    study = Study(base=base, space=SPACE, trials=4, startup=2)
    count, end = [0], learning.Keeper.on_train_batch_end

    def counted(self, *arguments):
        count[0] += 1
        self.asked = self.asked or count[0] in (1, 5, 9)
        end(self, *arguments)

    monkeypatch.setattr(learning.Keeper, "on_train_batch_end", counted)
    stopped = 0
    while True:
        try:
            found = tune(study, tmp_path / "parts", quiet=True)
            break
        except StoppedError:
            stopped += 1
    assert stopped == 3
    assert values(found) == values(whole[1])


def test_a_killed_study_goes_on(base, whole, tmp_path):
    """A trial that was under way when the machine went down is asked again, in its folder."""
    import optuna

    study = Study(base=base, space=SPACE, trials=4, startup=2)
    folder = tmp_path / "killed"
    folder.mkdir()
    kept = tuning._open(study, folder)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kept.sampler = tuning._sampler(study, 0)
    trial = kept.ask()
    tuning._suggest(trial, study)
    trial.set_user_attr("folder", "trial-0000")
    found = tune(study, folder, quiet=True)
    assert values(found) == values(whole[1])
    assert found.trials[0]["folder"] == "trial-0000"


def test_more_trials_can_be_asked_for(base, whole):
    folder, found = whole
    again = tune(Study(base=base, space=SPACE, trials=5, startup=2), folder, quiet=True)
    assert values(again)[:4] == values(found)
    assert len(again.trials) == 5
    with pytest.raises(InputError, match="holds another study"):
        tune(Study(base=base, space={"optimiser.rate": [0.1, 0.2]}, trials=4), folder, quiet=True)


def test_a_grid_is_searched_once_and_whole(base, tmp_path):
    """Every combination, also of values that are no plain numbers, and none twice."""
    space = {"optimiser.name": ["sgd", "adam"], "loss.terms": [{"mse": 1.0}, {"mae": 1.0, "plcc": 0.5}]}
    study = Study(base=base.replace({"run.epochs": 1}), space=space, method="grid", trials=50)
    found = tune(study, tmp_path / "grid", quiet=True)
    assert len(found.trials) == 4
    assert {(r["optimiser.name"], r["loss.terms"]) for r in found.trials} == {
        (name, json.dumps(terms)) for name in space["optimiser.name"] for terms in space["loss.terms"]
    }
    assert found.config.loss.terms in space["loss.terms"]


@pytest.mark.parametrize("method", ["random", "gp"])
def test_other_methods(base, tmp_path, method):
    study = Study(base=base.replace({"run.epochs": 1}), space=SPACE, method=method, trials=3, startup=2)
    found = tune(study, tmp_path / method, quiet=True)
    assert len({row["optimiser.rate"] for row in found.trials}) == 3
    assert all(1e-3 <= row["optimiser.rate"] <= 1e-1 for row in found.trials)


def test_poor_trials_are_pruned(base, tmp_path, monkeypatch):
    """Of nine trials whose figures are as good as their rate, those at the bottom end early."""
    trained = []

    def train(config, data, folder, *, watch, quiet):
        curves = []
        for epoch in range(9):
            curves.append({"epoch": epoch + 1, "srcc": config.optimiser.rate * (epoch + 1)})
            trained.append(folder.name)
            watch(curves)
        return None, curves

    monkeypatch.setattr("beholder.training.fitting.train_member", train)
    space = {"optimiser.rate": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]}
    study = Study(base=base, space=space, method="grid", trials=9, prune=True)
    found = tune(study, tmp_path / "pruned", quiet=True)
    states = {row["optimiser.rate"]: row["state"] for row in found.trials}
    assert states[0.9] == "complete"
    assert list(states.values()).count("pruned") >= 4
    assert len(trained) < 60
    assert found.importance["optimiser.rate"] == pytest.approx(1)


def test_trials_that_diverge_do_not_end_the_study(base, tmp_path):
    space = {"optimiser.rate": [1e30, 0.01]}
    study = Study(base=base.replace({"optimiser.name": "sgd"}), space=space, method="grid", trials=2)
    found = tune(study, tmp_path / "diverges", quiet=True)
    states = {row["optimiser.rate"]: row for row in found.trials}
    assert states[1e30]["state"] == "pruned"
    assert "lower optimiser.rate" in states[1e30]["error"]
    assert found.config.optimiser.rate == 0.01


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"space": {}}, "must name what to search"),
        ({"space": SPACE, "method": "annealing"}, "tune.method must be one of"),
        ({"space": SPACE, "method": "grid"}, "a grid needs a list"),
        ({"space": SPACE, "figure": "r2"}, "tune.figure must be one of"),
        ({"space": SPACE, "trials": 0}, "at least 1"),
        ({"space": {"optimiser.rate": {"low": 1, "high": 0.1}}}, "needs low < high"),
        ({"space": {"optimiser.rate": {"low": 0.1, "high": 1, "logarithmic": True}}}, "needs low < high"),
        ({"space": {"optimiser.rate": 0.1}}, "must be a list of values or a range"),
        ({"space": {"optimiser.speed": [0.1]}}, "unknown key optimiser.speed"),
        ({"space": {"run.epochs": ["many"]}}, "run.epochs must be of type int"),
    ],
)
def test_wrong_studies_are_told(base, how, told):
    with pytest.raises(InputError, match=told):
        Study(base=base, **how)


def test_studies_are_read_from_toml(base, tmp_path):
    path = tmp_path / "study.toml"
    text = base.to_toml() + '\n[tune]\nmethod = "random"\ntrials = 7\n[tune.space]\n"run.seed" = [1, 2]\n'
    path.write_text(text)
    study = Study.read(path)
    assert (study.base, study.method, study.trials, study.space) == (base, "random", 7, {"run.seed": [1, 2]})
    for broken, told in (
        (text.replace("trials", "tries"), "unknown key tune.tries"),
        (base.to_toml(), r"no section \[tune\]"),
        ("[tune", "is not TOML"),
    ):
        path.write_text(broken)
        with pytest.raises(InputError, match=told):
            Study.read(path)
    with pytest.raises(InputError, match="cannot be read"):
        Study.read(tmp_path / "none.toml")


def test_pictures_of_a_study(tmp_path):
    rows = [{"state": "complete", "srcc": 0.1 * i, "a": 10.0**-i, "b": "x" if i % 2 else "y"} for i in range(4)]
    draw_study(rows, ["a", "b"], "srcc", {"a": 0.7, "b": 0.3}, tmp_path / "s.png")
    assert (tmp_path / "s.png").stat().st_size > 5000


@pytest.mark.slow
def test_the_command_searches_in_two_processes(base, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(
        base.to_toml() + '\n[tune]\nmethod = "random"\ntrials = 4\n[tune.space]\n"run.seed" = [1, 2, 3, 4]\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "beholder", "tune", str(path), "-o", str(tmp_path / "s"), "--workers", "2", "--refit"],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "best of 4 trials" in done.stdout
    assert (tmp_path / "s" / "refit" / "model.onnx").is_file()
    assert done.stderr.count("trial ") >= 4
