"""Search over a configuration: every method, pruning, interrupts, and what is written."""

import csv
import json
import math
import os
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training import make_table, tiny

from beholder import tuning
from beholder.errors import InputError, ModelError, OutputError, StoppedError
from beholder.locks import locked
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


@pytest.fixture
def pretend(monkeypatch):
    """Replaces the training: `judge` says an epoch's figure, of the configuration and the epoch's number from 1 on."""

    def begin(judge, epochs=3):
        begun = []

        def train(config, data, folder, *, watch, quiet):
            begun.append(folder.name)
            curves = []
            for epoch in range(1, epochs + 1):
                curves.append({"epoch": epoch, "srcc": judge(config, epoch)})
                watch(curves)
            return None, curves

        monkeypatch.setattr("beholder.training.fitting.train_member", train)
        return begun

    return begin


def rates(*values, **more):
    return {"space": {"optimiser.rate": list(values)}, "method": "grid", "trials": len(values), **more}


def rate(config, epoch):
    return config.optimiser.rate


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
        ({"space": {"run.epochs": [1, "many"]}}, "run.epochs must be of type int"),
        ({"space": {"optimiser.momentum": {"low": 0.5, "high": 2.0}}}, "optimiser.momentum must be 0 to 1, got 2.0"),
        ({"space": {"run.epochs": {"low": 1, "high": 2.5}}}, "run.epochs must be of type int, got 2.5"),
        ({"space": {"run.epochs": {"low": 1, "high": 4, "step": 0.5}}}, "step must be one, got 0.5"),
        ({"space": [1]}, r"must name what to search.*got \[1\]"),
        ({"space": {"optimiser.rate": {"low": "a", "high": 1.0}}}, "low must be a number, got 'a'"),
        ({"space": {"optimiser.rate": {"low": 0.1, "high": math.inf}}}, "high must be a number, got inf"),
        ({"space": {"optimiser.rate": {"low": 0.0, "high": 1.0, "log": True}}}, "low must be above 0, got 0.0"),
        ({"space": {"optimiser.rate": {"low": 0.1, "high": 1.0, "log": 1}}}, "log must be true or false, got 1"),
        ({"space": {"optimiser.rate": {"low": 0.1, "high": 1.0, "log": True, "step": 0.1}}}, "both log and step"),
        ({"space": {"optimiser.rate": {"low": 0.1, "high": 1.0, "step": 0}}}, "step must be above 0, got 0"),
        ({"space": {"optimiser.rate": [0.1, 0.2, 0.1]}}, "has the value 0.1 twice"),
        ({"space": {"model.settings.hidden": [math.nan]}}, "cannot be kept with the value nan"),
        ({"space": {"optimiser": {"rate": [0.1]}}}, "write section.key, in quotes"),
        ({"space": {"data.seed": [1, 2]}}, r"has no effect: the data are opened once.*set it in \[data\]"),
        ({"space": {"run.workers": [0, 1]}}, r"has no effect: it says how a trial runs.*set it in \[run\]"),
        ({"space": {"run.threads": [1, 2]}}, "has no effect"),
        ({"space": {"run.devices": ["cpu", "1"]}}, "has no effect"),
        ({"space": {"run.loggers": [["csv"], []]}}, "has no effect"),
        ({"space": {"run.checkpoint_minutes": [1.0]}}, "has no effect"),
        ({"space": {"run.minutes": [1.0, 2.0]}}, "search run.epochs"),
        ({"space": {"model.members": [1, 2]}}, r"a trial trains one network; set it in \[model\]"),
        ({"space": SPACE, "trials": "5"}, "tune.trials must be of type int, got '5'"),
        ({"space": SPACE, "startup": 2.5}, "tune.startup must be of type int"),
        ({"space": SPACE, "seed": True}, "tune.seed must be of type int"),
        ({"space": SPACE, "seed": -1}, "tune.seed must be at least 0"),
        ({"space": SPACE, "prune": "yes"}, "tune.prune must be of type bool"),
        ({"space": SPACE, "figure": ["srcc"]}, "tune.figure must be one of"),
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
    path.write_text(text, encoding="utf-8-sig")  # with the mark that editors on Windows put in front
    assert Study.read(path) == study
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


def test_keys_of_a_study_change_beside_those_of_its_base(base):
    study = Study(base=base, space={"run.seed": [1, 2]}, trials=7)
    changed = study.changed({"tune.trials": 1, "run.epochs": 9, "tune.space.optimiser.rate": [0.1, 0.2]})
    assert (changed.trials, changed.base.run.epochs) == (1, 9)
    assert changed.space == {"run.seed": [1, 2], "optimiser.rate": [0.1, 0.2]}
    assert study.changed({"tune.space": {"run.seed": [3]}}).space == {"run.seed": [3]}
    for key, told in (("tune.tries", "unknown key tune.tries"), ("tune.base", r"unknown key tune\.base")):
        with pytest.raises(InputError, match=told):
            study.changed({key: 1})
    with pytest.raises(InputError, match=r"tune\.trials must be at least 1"):
        study.changed({"tune.trials": 0})


def test_losses_without_a_target_end_a_study(base, tmp_path, pretend):
    begun = pretend(rate)
    with pytest.raises(InputError, match="learns from synthetic pictures alone"):
        tune(Study(base=base.replace({"loss.terms": {"map": 1}}), **rates(0.1)), tmp_path / "a", quiet=True)
    space = {"loss.terms": [{"map": 1.0}]}
    with pytest.raises(InputError, match="learns from synthetic pictures alone"):
        tune(Study(base=base, space=space, method="grid", trials=1), tmp_path / "b", quiet=True)
    assert not begun


def test_the_best_configuration_holds_no_settings_of_other_losses(base, tmp_path, pretend):
    """What a trial found is trained as it stands: settings of losses that only other trials have are left out."""
    pretend(lambda config, epoch: 0.5 + ("huber" in config.loss.settings) * 0.1 * ("mae" in config.loss.terms))
    space = {"loss.terms": [{"mae": 1.0}, {"huber": 1.0}]}
    study = Study(base=base.replace({"loss.settings": {"huber": {"delta": 5}}}), space=space, method="grid", trials=2)
    found = tune(study, tmp_path / "s", quiet=True)
    assert [row["srcc"] for row in found.trials] == [0.5, 0.5]
    for values in study.space["loss.terms"]:
        config = tuning._changed(study, {"loss.terms": values})
        config.check()
        assert set(config.loss.settings) == {"huber"} & set(values)


def test_a_pruned_trial_without_a_figure_says_so(base, tmp_path, pretend):
    pretend(lambda config, epoch: math.nan if config.optimiser.rate > 0.1 else 0.5)
    study = Study(base=base, **rates(0.1, 0.2, prune=True))
    rows = {row["optimiser.rate"]: row for row in tune(study, tmp_path / "s", quiet=True).trials}
    assert (rows[0.2]["state"], rows[0.2]["error"]) == ("pruned", "srcc was no number in epoch 2")
    assert rows[0.1]["error"] == ""


def test_a_trial_without_figures_counts_as_a_poor_one(base, tmp_path, pretend):
    """NaN in every epoch: finished, passed over, and told; the study ends, and draws other values."""
    pretend(lambda config, epoch: config.optimiser.rate if config.optimiser.rate < 0.01 else math.nan)
    study = Study(base=base, space={"optimiser.rate": SPACE["optimiser.rate"]}, method="random", trials=6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = tune(study, tmp_path / "nan", quiet=True)
    with (tmp_path / "nan" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len({row["optimiser.rate"] for row in rows}) == 6
    poor = [row for row in rows if float(row["optimiser.rate"]) >= 0.01]
    assert 0 < len(poor) < 6
    assert all(row["state"] == "pruned" and row["srcc"] == "" for row in poor)
    assert all("srcc was no number in any of 3 epochs" in row["error"] for row in poor)
    assert found.value == max(float(row["srcc"]) for row in rows if row not in poor)


def test_the_best_epoch_is_one_with_a_figure(base, tmp_path, pretend):
    pretend(lambda config, epoch: [math.nan, 0.5, 0.7, 0.6, math.nan][epoch - 1], epochs=5)
    assert tune(Study(base=base, **rates(0.1)), tmp_path / "s", quiet=True).value == 0.7


def test_a_study_in_which_nothing_went_well_says_so(base, tmp_path, pretend):
    pretend(lambda config, epoch: math.nan)
    with pytest.raises(InputError, match=r"none of 2 trials .* \(srcc was no number"):
        tune(Study(base=base, **rates(0.1, 0.2)), tmp_path / "s", quiet=True)
    assert (tmp_path / "s" / "trials.csv").read_text().count("pruned") == 2


def test_other_data_are_another_study(base, tmp_path, pretend):
    pretend(rate)
    table = make_table(tmp_path / "own", 24)
    study = Study(base=base.replace({"data.table": str(table)}), **rates(0.1))
    tune(study, tmp_path / "s", quiet=True)
    table.write_text(table.read_text().replace("p001.png,", "p001.png,0"))
    assert tune(study, tmp_path / "s", quiet=True)  # the same opinions, written in another way
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-2]) + "\n")
    with pytest.raises(InputError, match=r"holds another study \(other data\)"):
        tune(study, tmp_path / "s", quiet=True)


def test_how_a_study_runs_may_change(base, tmp_path, pretend):
    pretend(rate)
    tune(Study(base=base, **rates(0.1)), tmp_path / "s", quiet=True)
    how = {"run.workers": 1, "run.threads": 2, "run.devices": "auto", "run.loggers": [], "run.checkpoint_minutes": 1.0}
    assert tune(Study(base=base.replace(how), **rates(0.1)), tmp_path / "s", quiet=True).value == 0.1
    with pytest.raises(InputError, match=r"holds another study \(other base\)"):
        tune(Study(base=base.replace({"run.minutes": 3.0}), **rates(0.1)), tmp_path / "s", quiet=True)


def test_threads_are_those_of_the_base(base, tmp_path, pretend):
    before, seen = torch.get_num_threads(), []
    pretend(lambda config, epoch: seen.append(torch.get_num_threads()) or 0.5)
    tune(Study(base=base.replace({"run.threads": before + 1}), **rates(0.1)), tmp_path / "s", quiet=True)
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before


def test_ranges_are_of_the_type_of_their_key(base, tmp_path, pretend):
    """Ends that are whole numbers search a float field in floats; a free setting as its value in the base is."""
    pretend(lambda config, epoch: 0.5)
    span = {"low": 0, "high": 1}
    space = {"optimiser.momentum": span, "loss.terms.plcc": span, "run.epochs": {"low": 1, "high": 3}}
    space |= {"model.settings.hidden": {"low": 4, "high": 8}, "loss.settings.huber.delta": span}
    study = Study(base=base.replace({"loss.settings.huber.delta": 0.5}), space=space, method="random", trials=2)
    for row in tune(study, tmp_path / "s", quiet=True).trials:
        assert row["run.epochs"] in (1, 2, 3)
        assert isinstance(row["model.settings.hidden"], int)
        for key in ("optimiser.momentum", "loss.terms.plcc", "loss.settings.huber.delta"):
            assert isinstance(row[key], float)
            assert 0 < row[key] < 1


def test_every_architecture_has_to_be_known(base, tmp_path):
    study = Study(base=base, space={"model.architecture": ["cnniqa", "cnniqb"]}, method="grid", trials=2)
    with pytest.raises(InputError, match="did you mean 'cnniqa'"):
        tune(study, tmp_path / "s", quiet=True)
    assert not (tmp_path / "s").exists()


def test_a_trial_that_fails_twice_is_passed_over(base, tmp_path, pretend):
    """The first time the cause may lie outside: the study ends, and the trial is asked again."""
    broken = [0.1, 0.2]

    def judge(config, epoch):
        if config.optimiser.rate in broken:
            raise ValueError("no such width")
        return config.optimiser.rate

    begun, study, folder = pretend(judge), Study(base=base, **rates(0.1, 0.2, 0.3)), tmp_path / "s"
    for _ in range(2):
        with pytest.raises(ValueError, match="no such width"):
            tune(study, folder, quiet=True)
    broken.remove(0.2)
    states = {row["optimiser.rate"]: row for row in tune(study, folder, quiet=True).trials}
    assert (states[0.1]["state"], states[0.1]["error"]) == ("pruned", "ValueError: no such width")
    assert (states[0.2]["state"], states[0.3]["state"]) == ("complete", "complete")
    assert sorted(set(begun)) == ["trial-0000", "trial-0001", "trial-0002"]


@pytest.mark.parametrize(("good_first", "ends"), [(True, False), (False, True)])
def test_a_wrong_trial_beside_good_ones_does_not_end_the_study(base, tmp_path, pretend, good_first, ends):
    calls = []

    def judge(config, epoch):
        calls.append(epoch)
        if (len(calls) > 1) == good_first:
            raise ModelError("no weight fits")
        return 0.5

    pretend(judge, epochs=1)
    study = Study(base=base, **rates(0.1, 0.2))
    if ends:
        with pytest.raises(ModelError, match="no weight fits"):
            tune(study, tmp_path / "s", quiet=True)
    else:
        found = tune(study, tmp_path / "s", quiet=True)
        assert sorted(row["error"] for row in found.trials) == ["", "ModelError: no weight fits"]


def test_what_is_no_fault_of_a_trial_never_counts(base, tmp_path, pretend):
    full = [True]

    def judge(config, epoch):
        if full[0]:
            raise OSError("no space left")
        return 0.5

    pretend(judge)
    for _ in range(3):
        with pytest.raises(OSError, match="no space left"):
            tune(Study(base=base, **rates(0.1)), tmp_path / "s", quiet=True)
    full[0] = False
    assert [row["state"] for row in tune(Study(base=base, **rates(0.1)), tmp_path / "s", quiet=True).trials] == [
        "complete"
    ]


def test_folders_of_any_name(base, tmp_path, pretend):
    pretend(rate)
    folder = tmp_path / "is it? #1 50%41 {x}"
    tune(Study(base=base, **rates(0.1)), folder, quiet=True)
    assert (folder / "study.db").is_file()
    assert [p.name for p in tmp_path.iterdir()] == [folder.name]
    assert len(tune(Study(base=base, **rates(0.1)), folder, quiet=True).trials) == 1


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"base": 3}', '{"base": {"run": 3}}'])
def test_a_damaged_description_is_told(base, tmp_path, text):
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(InputError, match=r"study.json does not describe a study .* remove that file"):
        tune(Study(base=base, **rates(0.1)), tmp_path, quiet=True)


def test_a_folder_is_one_studys_at_a_time(base, tmp_path, pretend):
    """The study's, and each trial's; a trial that is under way elsewhere is not counted as failed."""
    pretend(rate)
    study = Study(base=base, **rates(0.1))
    with (
        locked(tmp_path / "s", "a study"),
        pytest.raises(OutputError, match="s is a study's folder, in which another process is at work"),
    ):
        tune(study, tmp_path / "s", quiet=True)
    for _ in range(3):
        with (
            locked(tmp_path / "s" / "trial-0000", "a trial"),
            pytest.raises(OutputError, match="trial-0000 is a trial's"),
        ):
            tune(study, tmp_path / "s", quiet=True)
    assert [row["state"] for row in tune(study, tmp_path / "s", quiet=True).trials] == ["complete"]


@pytest.mark.parametrize("place", ["file", "file/folder"])
def test_folders_that_cannot_be_made_are_told(base, tmp_path, pretend, place):
    pretend(rate)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot be made a study's folder: .*; choose another one"):
        tune(Study(base=base, **rates(0.1)), tmp_path / place, quiet=True)


FAMILY = """
import multiprocessing, os, sys, time
from beholder.locks import end_with_parent

def work():
    end_with_parent()
    print(os.getpid(), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=work)
    child.start()
    child.join()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a process is killed by a signal")
def test_processes_of_a_study_end_with_the_one_that_made_them(tmp_path):
    (tmp_path / "family.py").write_text(FAMILY)
    with subprocess.Popen([sys.executable, str(tmp_path / "family.py")], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
        assert parent.stdout.read() == ""  # both have closed it, which the child does by its end
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and _lives(child):
        time.sleep(0.05)
    assert not _lives(child)


def _lives(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")  # one that has ended, and that nobody has asked for, is no life
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_damaged_database_is_told(base, tmp_path):
    (tmp_path / "study.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(InputError, match=r"study.db cannot be opened as a study's database .* restore or remove"):
        tune(Study(base=base, **rates(0.1)), tmp_path, quiet=True)


def test_those_who_work_beside_each_other_draw_different_values(base, tmp_path):
    study = Study(base=base, space=SPACE, method="random", trials=4, startup=2)
    with tuning._calm():
        kept = tuning._open(study, tmp_path)
        drawn = []
        for running in range(3):
            kept.sampler = tuning._sampler(study, running)
            drawn.append(tuning._suggest(kept.ask(), study)["optimiser.rate"])
    assert len(set(drawn)) == 3


def test_the_best_of_a_longer_study_is_trained_in_a_folder_of_its_own(base, tmp_path, pretend, monkeypatch):
    """`--refit` again after more trials: a folder for each best trial, and the same one where it stays."""
    from beholder import cli_train
    from beholder.training.fitting import Result

    fitted = []

    def fit(config, folder, *, quiet):
        fitted.append((config.optimiser.rate, folder.name))
        return Result(folder / "model.safetensors", {"srcc": 0.5}, 1, 0.0)

    pretend(rate)
    monkeypatch.setattr("beholder.training.fitting.fit", fit)
    monkeypatch.setattr(Study, "read", classmethod(lambda cls, path: replace(plan, trials=asked.pop(0))))
    asked = [1, 1, 12]
    plan = Study(base=base, space={"optimiser.rate": SPACE["optimiser.rate"]}, method="random", trials=1)
    while asked:
        cli_train.tune(tmp_path / "study.toml", tmp_path / "s", refit=True, quiet=True)
    assert fitted[0] == fitted[1] == (fitted[0][0], "refit-0")
    assert fitted[2][0] > fitted[0][0]
    best = json.loads((tmp_path / "s" / "best.json").read_text())["trial"]
    assert fitted[2][1] == f"refit-{best}" != "refit-0"


def test_pictures_of_a_study(tmp_path):
    rows = [{"state": "complete", "srcc": 0.1 * i, "a": 10.0**-i, "b": "x" if i % 2 else "y"} for i in range(4)]
    draw_study(rows, ["a", "b"], "srcc", {"a": 0.7, "b": 0.3}, tmp_path / "s.png")
    assert (tmp_path / "s.png").stat().st_size > 5000
    odd = [{"state": "pruned", "srcc": math.nan, "a": 1}, {"state": "pruned", "srcc": 0.1, "a": "x"}]
    odd += [{"state": "complete", "srcc": 0.2, "a": 1}, {"state": "pruned", "srcc": None, "a": 2}]
    draw_study(odd, ["a"], "srcc", {}, tmp_path / "odd.png")
    assert (tmp_path / "odd.png").stat().st_size > 3000


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
    assert len(list((tmp_path / "s").glob("refit-*/model.onnx"))) == 1
    assert done.stderr.count("trial ") >= 4
