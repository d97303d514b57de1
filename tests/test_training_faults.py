"""Faults in configurations, splits, model files and caches: every one is a typed error that says what to do."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from training import make_table, tiny
from typer.testing import CliRunner

from beholder import cli_data
from beholder.datasets.splits import read_split, split, write_split
from beholder.datasets.tables import read_table
from beholder.errors import InputError, ModelError, OutputError, ReadError
from beholder.losses.opinions import LOSSES, Objective, Target
from beholder.models import files
from beholder.models.assessors import architectures, bodies
from beholder.models.assessors.architectures import Judgement, build, check_model
from beholder.training import caching
from beholder.training.config import LARGEST, Config
from beholder.training.feeding import Feed, Loader
from beholder.training.fitting import find_weights, fit
from beholder.training.optimisers import make_optimiser

SYNTHESIS = {"synthesis.photographs": "folder", "synthesis.count": 3}

# --- configurations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("optimiser.betas", [1.0, 0.999], r"betas\[0\] must be at least 0 and below 1, got 1\.0"),
        ("optimiser.betas", [0.9, -0.1], r"betas\[1\]"),
        ("run.seed", 10**16, rf"run\.seed must be .* at most {LARGEST}"),
        ("data.seed", 10**16, r"data\.seed"),
        ("run.level", math.nan, r"run\.level must be a finite number, got nan"),
        ("run.minutes", math.inf, r"run\.minutes must be a finite number, got inf"),
        ("optimiser.rate", 10**400, "finite number, got one of 401 digits"),
        ("data.scale", [1, math.inf], r"data\.scale\[1\]"),
        ("model.settings.dropout", math.nan, r"model\.settings\.dropout must be a finite number"),
        ("data.shares", [0.9, 0.2, -0.1], r"data\.shares\[2\] must be at least 0"),
        ("data.shares", [0, 0, 0], "first two above 0"),
        ("data.shares", [0, 0, 1], "first two above 0"),
        ("data.shares", [1, 0, 0], "first two above 0"),
        ("loss.terms.mse", -1, r"loss\.terms\.mse must be at least 0"),
        ("input.crop", -5, r"input\.crop must be at least 0"),
    ],
)
def test_numbers_out_of_range_are_told(key, value, told):
    with pytest.raises(InputError, match=told):
        Config().replace({key: value})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"loss.terms": {"mse": 1, "map": 1}}, "'map', which learns from synthetic pictures alone"),
        ({"loss.terms": {"ssim_map": 1}}, "'ssim_map', which learns from synthetic pictures alone"),
        ({"loss.terms": {"type": 1}}, "synthesis.photographs and synthesis.count"),
        ({"loss.terms": {"severity": 1}}, "or leave that loss out"),
        ({"loss.terms": {"plcc": 1}, "run.batch": 2}, "run.batch of at least 3, got 2"),
        ({"loss.terms": {"margin_rank": 1}, "run.batch": 1}, "run.batch of at least 2, got 1"),
        ({"loss.settings": {"huber": {"delta": 5}}}, r"settings of 'huber', which is not among loss.terms \(mse\)"),
        ({**SYNTHESIS, "synthesis.label": "rank"}, r"without a score, from which none of the losses \(mse\) learns"),
    ],
)
def test_what_nothing_is_learned_from_is_told(changes, told):
    with pytest.raises(InputError, match=told):
        Config().replace(changes).check()


@pytest.mark.parametrize(
    "changes",
    [
        {**SYNTHESIS, "loss.terms": {"mse": 1, "map": 1, "type": 1, "severity": 1}},
        {**SYNTHESIS, "synthesis.label": "rank", "loss.terms": {"mse": 1, "margin_rank": 1}},
        {"loss.terms": {"mse": 1, "map": 0}},
        {"loss.terms": {"huber": 1}, "loss.settings": {"huber": {"delta": 5}}},
    ],
)
def test_what_is_learned_from_is_taken(changes):
    Config().replace(changes).check()


def test_a_device_that_is_not_there_is_told(tmp_path):
    table = make_table(tmp_path, 8)
    with pytest.raises(InputError, match=r"run\.devices = '999,' asks for GPU 999, and there are \d+; count from 0"):
        fit(tiny(table, run__devices="999,"), tmp_path / "run", quiet=True)


@pytest.mark.parametrize(("key", "kind"), [("data.scale", "list"), ("loss.terms", "table")])
def test_types_are_called_as_in_toml(key, kind):
    with pytest.raises(InputError, match=f"{key} must be of type {kind}, got 3"):
        Config().replace({key: 3})


def test_other_types_are_told(tmp_path):
    for given in ({}, "c.toml", None):
        with pytest.raises(InputError, match=r"fit takes a Config, got .*Config\.read opens a file"):
            fit(given, tmp_path / "run")
    for part in ({"epochs": 3}, None, Config().data):
        with pytest.raises(InputError, match=r"run must be of type Run, got .*Config\.of makes"):
            Config(run=part)


def test_numbers_at_the_ends_of_their_range_are_taken():
    for shares in ([0.9, 0.1, 0], [0.6, 0.4, 0], [0.5, 0.25, 0.25]):
        assert Config().replace({"data.shares": shares}).data.shares == tuple(shares)
    config = Config().replace({"run.seed": LARGEST, "optimiser.betas": [0, 0.99], "loss.terms.plcc": 0})
    torch.manual_seed(config.run.seed * 1_000_003)
    assert make_optimiser(torch.nn.Linear(2, 1), config.optimiser).defaults["betas"] == (0.0, 0.99)


def test_configurations_in_other_encodings(tmp_path):
    text = Config().replace({"data.table": "Übung.csv"}).to_toml()
    (tmp_path / "bom.toml").write_text(text, encoding="utf-8-sig")
    assert Config.read(tmp_path / "bom.toml").data.table == "Übung.csv"
    for encoding in ("latin-1", "utf-16"):
        (tmp_path / "other.toml").write_text(text, encoding=encoding, errors="replace")
        with pytest.raises(InputError, match="is not in UTF-8"):
            Config.read(tmp_path / "other.toml")


def test_half_of_a_synthesis_is_told():
    Config().check()
    Config().replace({"synthesis.count": 3, "synthesis.photographs": "folder"}).check()
    recipe = Config().replace({"synthesis.count": 3})  # the photographs may be named by --set
    with pytest.raises(InputError, match=r"needs synthesis\.photographs"):
        recipe.check()
    with pytest.raises(InputError, match=r"needs synthesis\.count"):
        Config().replace({"synthesis.photographs": "folder"}).check()


# --- networks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("cnniqa", {"width": -1}, r"cnniqa cannot be built with the settings \{'width': -1\}: .*negative"),
        ("cnniqa", {"width": "x"}, "cnniqa's setting width must be a whole number, got 'x'"),
        ("cnniqa", {"width": 8.5}, "whole number, got 8.5"),
        ("cnniqa", {"width": True}, "whole number, got True"),
        ("cnniqa", {"dropout": 2.0}, "cannot be built .*dropout"),
        ("cnniqa", {"dropout": "much"}, "dropout must be a number"),
        ("cnniqa", {"colour": "False"}, "colour must be true or false, got 'False'"),
        ("cnniqa", {"patch": 5}, "kernel <= patch"),
        ("cnniqa", {"hidden": 0}, "has no weights"),
        ("cnniqa", {"width": 0}, "has no weights"),
        ("beholder", {"hidden": 256, "weights": "none"}, "hidden must be a list, got 256"),
        ("beholder", {"hidden": ["x"], "weights": "none", "body": "plain"}, "beholder cannot be built"),
        ("nima", {"body": "plain", "weights": "none", "body_settings": {"width": -1}}, "body 'plain' cannot be made"),
    ],
)
def test_settings_that_make_no_network_are_told(name, settings, told):
    with pytest.raises(InputError, match=told):
        build(name, settings)


def test_settings_of_a_near_type_are_taken():
    build("cnniqa", {"width": 2, "hidden": 3, "dropout": 0})
    build("nima", {"body": "plain", "weights": "none", "body_settings": {"width": 2, "depth": 1}, "dropout": 0})


def section(architecture="cnniqa", **parts):
    return Config().replace({"model.architecture": architecture, **parts}).to_dict()["model"]


def test_options_that_a_network_ignores_are_told():
    check_model(section())
    check_model(section("beholder", **{"model.body": "plain", "model.body_settings.width": 2}), 0.5, 0.1)
    check_model(section("beholder", **{"model.settings.body_settings": {"width": 2}}))
    with pytest.raises(InputError, match=r"model\.body = 'plain': cnniqa takes no body; .*beholder, dbcnn"):
        check_model(section(**{"model.body": "plain"}))
    with pytest.raises(InputError, match=r"model\.body_settings"):
        check_model(section(**{"model.body_settings.width": 2}))
    with pytest.raises(InputError, match="are both given"):
        check_model(section("nima", **{"model.body": "plain", "model.settings.body": "efficientnet_lite0"}))
    with pytest.raises(InputError, match=r"set model\.weights"):
        check_model(section("nima", **{"model.settings.weights": "none"}))
    with pytest.raises(InputError, match=r"cnniqa has no stochastic_depth; .*beholder"):
        check_model(section(), stochastic_depth=0.1)


def test_a_module_of_ones_own_must_be_importable(tmp_path, monkeypatch):
    (tmp_path / "mybody.py").write_text("make = dict\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [p for p in __import__("sys").path if p])
    with pytest.raises(InputError, match=r"own must be importable: .*PYTHONPATH=\."):
        bodies.find_callable("mybody.make")
    with pytest.raises(InputError, match="cannot be imported"):
        bodies.find_callable("..mybody.make")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert bodies.find_callable("mybody.make") is dict


# --- losses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "settings", "told"),
    [
        ({"huber": 1}, {"huber": {"delta": "x"}}, "setting delta of the loss huber must be a number, above 0, got 'x'"),
        ({"huber": 1}, {"huber": {"delta": -1}}, "above 0, got -1"),
        ({"huber": 1}, {"huber": {"delta": math.inf}}, "got inf"),
        ({"soft_rank": 1}, {"soft_rank": {"temperature": 0}}, "temperature of the loss soft_rank .*above 0, got 0"),
        ({"margin_rank": 1}, {"margin_rank": {"margin": -1}}, "0 or more"),
        ({"type": 1}, {"type": {"smoothing": 2}}, "0 to 1"),
        ({"mse": -1}, {}, "weight of the loss mse must be a number, 0 or more, got -1"),
        ({"mse": "x"}, {}, "got 'x'"),
        ({"mse": math.nan}, {}, "got nan"),
    ],
)
def test_wrong_numbers_of_losses_are_told(terms, settings, told):
    with pytest.raises(InputError, match=told):
        Objective(terms, settings)


@pytest.mark.parametrize("name", ["gaussian", "emd", "map", "type", "severity"])
def test_advice_for_a_missing_head_is_true(name):
    """Every architecture that is named gives the part, and the settings that are named are its own."""
    part = {"gaussian": "spread", "emd": "distribution"}.get(name, name)
    score = torch.ones(3)
    with pytest.raises(InputError, match=f"the .*{name}.* loss needs a network") as raised:
        LOSSES[name](Judgement(score), Target(score, map=torch.ones(3, 1, 4, 4), type=torch.zeros(3)))
    told = str(raised.value)
    giving = [a for a in architectures.list_architectures() if part in a.gives]
    assert all(a.name in told for a in giving)
    assert f"beholder with {part!r} among model.settings.heads" in told
    assert ("cnniqa" in told) == (part == "map")
    assert "model.settings.spread" not in told
    if name == "type":
        assert "dbcnn with model.settings.types" in told


# --- files ------------------------------------------------------------------------------------------------------------


def test_weights_that_are_cut_off_are_told(tmp_path):
    path = tmp_path / "model.safetensors"
    files.save_model(path, {"a": torch.ones(500)}, {"name": "own"}, half=False)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    for read in (files.load_model, files.read_arrays):
        with pytest.raises(ModelError, match=str(path)):
            read(path)
    for text in (b"[]", b"3", b'{"a": []}', b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": []}}'):
        path.write_bytes(len(text).to_bytes(8, "little") + text)
        with pytest.raises(ModelError):
            files.read_arrays(path)
    for text in (b'{"__metadata__": []}', b'{"__metadata__": {"beholder": 3}}'):
        path.write_bytes(len(text).to_bytes(8, "little") + text)
        with pytest.raises(ModelError):
            files.read_header(path)


@pytest.fixture
def dataset(tmp_path):
    return read_table(make_table(tmp_path / "data", 8), scale=(1, 5))


def test_damaged_splits_are_told(dataset, tmp_path):
    path = tmp_path / "split.json"
    whole = split(dataset, (0.5, 0.5, 0), distance=None)
    write_split(whole, path)
    assert read_split(path, dataset).digest == whole.digest
    document = json.loads(path.read_text())
    bare = {"format": document["format"]}
    cases = [bare, {**bare, "images": {}}, {**document, "images": []}, {**document, "digest": 3}]
    for case, told in zip(cases, ("'name' is missing", "'name' is", "'images' is of", "'digest' is of"), strict=True):
        path.write_text(json.dumps(case))
        with pytest.raises(ReadError, match=told):
            read_split(path, dataset)
    path.write_text(json.dumps({**document, "images": {}}))
    with pytest.raises(InputError, match="does not know"):
        read_split(path, dataset)


def test_a_split_never_takes_a_tables_place(tmp_path):
    table = make_table(tmp_path / "data", 8)
    before = table.read_bytes()

    def call(*words):
        done = CliRunner().invoke(cli_data.app, ["split", *map(str, words), "--scale", "1,5"])
        if isinstance(done.exception, Exception):
            raise done.exception

    with pytest.raises(InputError, match=r"let its name end in \.json"):
        call(table, "-o", table)
    with pytest.raises(InputError, match=r"end in \.json"):
        call(table, "-o", tmp_path / "other.csv")
    odd = table.rename(table.with_suffix(".json"))
    with pytest.raises(InputError, match="is the table itself"):
        call(odd, "-o", odd.parent / ".." / "data" / odd.name)
    assert odd.read_bytes() == before


# --- what frozen stages gave ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = build("beholder", {"weights": "none", "half": False, "hidden": [4]})
    bodies.freeze(made, 2)
    return made.eval()


@pytest.fixture
def kept(tmp_path):
    """A configuration with a cache, for pictures of two sizes: each content has both."""
    table = make_table(tmp_path / "data", 8, side=40)
    for i in (1, 3, 5, 7):
        Image.open(table.parent / f"p{i:03d}.png").resize((64, 40)).save(table.parent / f"p{i:03d}.png")
    cache = str(tmp_path / "cache")
    return tiny(table, input__crop=0, input__frozen_cache=cache, model__frozen=2, input__flip=False, run__batch=4)


def begun(config, network, **changes):
    changed = config.replace({k.replace("__", "."): v for k, v in changes.items()})
    data = read_table(changed.data.table, scale=(1, 5))
    feed = caching.BegunFeed(Feed(data, changed, compares=False), network)
    feed.fill(quiet=True)
    return feed


def same(one, other):
    return all(
        torch.equal(a, b) for i in range(len(one)) for a, b in zip(one[i].tensors, other[i].tensors, strict=True)
    )


def test_damaged_entries_are_made_anew(kept, network, monkeypatch):
    first = begun(kept, network)
    whole = [first[i] for i in range(len(first))]
    paths = [first._path(i, mirrored=False) for i in range(len(first))]
    before = [p.read_bytes() for p in paths]
    for path, damaged in zip(paths[:4], (before[0][:-7], before[1][:100], b"", b"{}" + before[3][2:]), strict=True):
        path.write_bytes(damaged)
    paths[4].unlink()
    again = begun(kept, network)
    assert [p.read_bytes() for p in paths] == before
    assert same(whole, again)
    assert not list(first.folder.rglob("*.part"))
    monkeypatch.setattr(caching.BegunFeed, "_make", None)
    begun(kept, network)  # nothing is left to do


def test_pictures_of_one_content_and_several_sizes_stay_apart(kept, network):
    feed = begun(kept, network, loss__terms={"fidelity": 1.0, "margin_rank": 1.0})
    loader = Loader(
        feed, shuffle=True, batch=4, workers=0, seed=0, join=caching.collate_begun, sizes=feed.sizes(), chains=True
    )
    assert sum(len(batch.target.score) for batch in loader) == 8
    assert len(set(feed.contents)) == 8
    with pytest.raises(InputError, match="pictures of one size, got 2 sizes"):
        caching.collate_begun([feed[0], feed[1]])


def test_labels_follow_the_configuration(kept, network):
    """A cache that was filled for opinions is of use for ranks, too, and a metric's label is made where it is lost."""
    parts = {"synthesis__photographs": str(kept.data.table).rsplit("/", 1)[0], "synthesis__count": 2,
             "synthesis__types": ["white_noise"]}  # fmt: skip
    feed = begun(kept, network, **parts)
    assert math.isfinite(feed[8].known.score)
    assert math.isnan(begun(kept, network, **parts, synthesis__label="rank")[8].known.score)
    scored = begun(kept, network, **parts, synthesis__label="psnr")
    score = scored[8].known.score
    assert math.isfinite(score)
    for damage in ("", '{"score": '):
        scored._label(8).write_text(damage)
        assert begun(kept, network, **parts, synthesis__label="psnr")[8].known.score == score


def test_maps_that_are_pooled_have_a_cache_of_their_own(kept, network):
    torch.manual_seed(0)
    other = build("beholder", {"weights": "none", "half": False, "hidden": [4], "taps": [1]})
    bodies.freeze(other, 2)
    assert begun(kept, other.eval()).folder != begun(kept, network).folder


def test_a_file_in_place_of_the_cache_is_told(kept, network, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    caching.check_cache(network, kept)
    with pytest.raises(InputError, match="is a file; name a folder"):
        caching.check_cache(network, kept.replace({"input.frozen_cache": str(tmp_path / "file")}))
    for place in ("file", "file/below"):
        with pytest.raises(InputError, match="cannot be made"):
            begun(kept, network, input__frozen_cache=str(tmp_path / place))
    feed = begun(kept, network)
    (feed.folder / "zz").write_text("")
    with pytest.raises(OutputError, match="choose another"):
        caching._write(feed.folder / "zz" / "entry.npy", b"")
    monkeypatch.setattr(caching.Path, "stat", lambda *a, **k: (_ for _ in ()).throw(FileNotFoundError(2, "gone")))
    with pytest.raises(ReadError, match="gone"):
        feed._key(feed.items[0])


def test_model_files_are_for_all_whom_the_umask_lets(tmp_path):
    files.save_model(tmp_path / "m.safetensors", {"a": torch.ones(3)}, {})
    (tmp_path / "other").write_bytes(b"")
    assert (tmp_path / "m.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_graph_without_its_weights_is_told(tmp_path):
    (tmp_path / "alone.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=r"alone\.onnx' is for scoring; .*beside it, and .*alone\.safetensors is not"):
        find_weights(str(tmp_path / "alone.onnx"))


def test_arrays_of_a_sound_file_are_read(tmp_path):
    files.save_model(tmp_path / "own", {"a": torch.arange(6.0).reshape(2, 3)}, {"name": "own"})
    np.testing.assert_array_equal(files.read_arrays(tmp_path / "own")["a"], [[0, 1, 2], [3, 4, 5]])
