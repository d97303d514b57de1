"""Smaller files of a trained network, models to go on from, and model cards."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from training import GENERAL, make_table, tiny

import beholder as bh
from beholder.errors import InputError, MissingExtraError, ModelError, SizeError
from beholder.image import read_image
from beholder.models.assessors.networks import OPSET, fold_norms, is_folded, load_network, make_network, save_network
from beholder.models.cards import card_of, write_card
from beholder.models.files import read_header, shipped
from beholder.models.judging import Judge
from beholder.training.config import Config
from beholder.training.fitting import begun_from, fit, open_data
from beholder.training.testing import examine
from beholder.training.variants import make_variant


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("variants")
    config = tiny(make_table(folder / "data"), run__epochs=8)
    fit(config, folder / "run", quiet=True)
    return folder / "run", config


@pytest.mark.parametrize(("kind", "most"), [("float16", 0.1), ("bfloat16", 1.0), ("int8", 5.0)])
def test_variants_say_nearly_the_same(run, kind, most):
    folder, config = run
    data = open_data(config, folder)
    made = make_variant(folder / "model.onnx", kind, data, most_loss=0.05, float_layers=1, quiet=True)
    assert made.model.name == f"model.{kind}.onnx"
    assert made.original - made.srcc < 0.05
    assert made.bytes == made.model.stat().st_size
    whole, small = Judge(folder / "model.onnx"), Judge(made.model)
    assert small.header["variant"]["kind"] == kind
    assert small.header["config"] == whole.header["config"]
    for sample in list(data.of("validation"))[:5]:
        picture = read_image(sample.image).native.transpose(2, 0, 1)
        values = [j.judge(picture, full_scale=255.0).value for j in (whole, small)]
        assert values[0] == pytest.approx(values[1], abs=most)
    stored = onnx.load(str(made.model)).graph.initializer
    large = [t.raw_data for t in stored if len(t.raw_data) > 64]
    assert kind != "int8" or len(large) == len(set(large)), "both sizes share their weights"
    kinds = {t.data_type for t in stored}
    wanted = {"float16": "FLOAT16", "bfloat16": "BFLOAT16", "int8": "INT8"}[kind]
    assert getattr(onnx.TensorProto, wanted) in kinds


@pytest.mark.parametrize("size", [(48, 90), (100, 130)])
def test_the_shipped_quick_form_sees_small_pictures_as_the_whole_one_does(size):
    picture = np.random.default_rng(1).integers(60, 200, (*size, 3), np.uint8)
    row = bh.score(picture, layout="HWC", metrics=["beholder"], models="beholder-int8")
    assert row["beholder-int8"].value == pytest.approx(row["beholder"].value, abs=4)
    with pytest.raises(SizeError, match="at least 32x32"):
        bh.score(picture[:31], layout="HWC", models="beholder-int8")


def test_the_folder_of_a_run_stands_for_its_model(run):
    folder, _ = run
    assert Judge(folder).path == folder / "model.onnx"


def test_graphs_are_of_the_version_whose_pooling_is_quick():
    for name in ("beholder.onnx", "beholder.int8.onnx", "cnniqa.onnx", "beholder_fr.onnx", "lite0.onnx"):
        versions = {o.domain: o.version for o in onnx.load(str(shipped(name)), load_external_data=False).opset_import}
        assert versions[""] == OPSET


def test_a_variant_that_loses_too_much_is_not_written(run):
    folder, config = run
    data = open_data(config, folder)
    before = set(folder.iterdir())
    with pytest.raises(ModelError, match="not written"):
        make_variant(folder / "model.onnx", "float16", data, most_loss=-1, quiet=True)
    assert set(folder.iterdir()) == before
    with pytest.raises(InputError, match="one of int8"):
        make_variant(folder / "model.onnx", "int4", data, quiet=True)
    with pytest.raises(InputError, match="at least 20"):
        make_variant(folder / "model.onnx", "int8", data.of("test"), quiet=True)


def test_the_command_writes_a_variant(run):
    folder, _ = run
    done = subprocess.run(
        [sys.executable, "-m", "beholder", "variant", str(folder), "--kind", "float16", "--most-loss", "0.1", "-q"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "model.float16.onnx: SRCC" in done.stdout


def test_folding_keeps_the_values_and_is_known_to_the_file(tmp_path):
    torch.manual_seed(0)
    config = tiny("unused.csv", model__architecture="nima", model__settings={})
    network = make_network(config.to_dict()["model"]).eval()
    for module in network.modules():  # statistics as after a training
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = network(picture).score
        count = sum(p.numel() for p in network.parameters())
        assert not is_folded(network)
        fold_norms(network)
        assert is_folded(network)
        assert float(network(picture).score) == pytest.approx(float(before), abs=1e-3)
    assert sum(p.numel() for p in network.parameters()) < count
    header = {"name": "n", "config": config.to_dict(), "reference": False, "min_size": 64}
    save_network(tmp_path / "folded", network, header)
    loaded, found = load_network(tmp_path / "folded.safetensors")
    assert found["folded"] is True
    with torch.no_grad():
        assert float(loaded(picture)[0]) == pytest.approx(float(before.clamp(0, 100)), abs=1e-3)


def test_a_file_brings_its_architecture(run):
    folder, config = run
    path = str(folder / "model.safetensors")
    mine = begun_from(config.replace({"model.weights": path, "model.settings": {}}))
    assert mine.model.settings == config.model.settings
    own = config.replace({"model.weights": path, "model.settings": {"width": 8, "hidden": 12}})
    assert begun_from(own) == own
    alone = Config().replace({"model.weights": str(folder / "model.onnx")})  # the twin stands for the weights
    assert begun_from(alone).model.architecture == "cnniqa"
    with pytest.raises(ModelError):
        begun_from(config.replace({"model.weights": str(folder / "none.safetensors")}))


@pytest.mark.parametrize("name", ["beholder", "cnniqa"])
def test_training_goes_on_from_a_shipped_model(name, tmp_path):
    header = read_header(shipped(f"{name}.safetensors"))
    table = make_table(tmp_path / "data", 16, side=128)
    config = tiny(
        table,
        model__architecture=name,
        model__settings={},
        model__weights=name,
        input__crop=128,
        run__epochs=1,
        optimiser__rate=1e-9,
    )
    fit(config, tmp_path / "run", quiet=True)
    mine = read_header(tmp_path / "run" / "model.safetensors")
    assert mine["config"]["model"]["settings"] == header["config"]["model"]["settings"]
    assert mine["folded"] == header["folded"]
    picture = np.random.default_rng(0).integers(0, 256, (3, 160, 160), dtype=np.uint8)
    begun, _ = load_network(shipped(f"{name}.safetensors"))
    with torch.no_grad():
        before = float(begun(torch.from_numpy(picture)[None].float() / 255)[0])
    after = Judge(tmp_path / "run" / "model.onnx").judge(picture, full_scale=255.0).value
    assert after == pytest.approx(before, abs=0.5)  # such a small rate changes next to nothing


def test_cards_say_what_the_header_says(run):
    folder, config = run
    text = (folder / "card.md").read_text(encoding="utf-8")
    assert text == card_of(folder / "model.safetensors")
    for told in (
        "`run`",
        "cnniqa",
        "Kang",
        "opinions",
        "adamw",
        "1 mse",
        "Seed 0",
        "SRCC",
        "validation",
        "90% interval",
    ):
        assert told in text, told
    assert "| measure | validation |\n" in text
    examine(folder / "model.safetensors", open_data(config, folder).of("validation"))
    assert "20 pictures of" in (folder / "card.md").read_text(encoding="utf-8")
    more = write_card(read_header(folder / "model.safetensors"), sections={"Made again": "So."}, weights="abc")
    assert more.index("## Made again") < more.index("## Limits")
    assert "weights `abc`" in more


def test_general_bodies_are_quantised(tmp_path):
    table = make_table(tmp_path / "data", side=64)
    config = tiny(
        table,
        model__architecture="beholder",
        model__body="plain",
        model__settings={k: v for k, v in GENERAL.items() if k != "body_settings"},
        model__body_settings=GENERAL["body_settings"],
        optimiser__rate=1e-3,
        run__epochs=8,
    )
    fit(config, tmp_path / "run", quiet=True)
    data = open_data(config, tmp_path / "run")
    made = make_variant(tmp_path / "run" / "model.onnx", "int8", data, most_loss=0.2, float_layers=1, quiet=True)
    nodes = [n.op_type for n in onnx.load(str(made.model)).graph.node]
    assert nodes.count("QuantizeLinear") > 2


def test_openvino_says_the_same(run):
    pytest.importorskip("openvino")
    from beholder.metrics.trained import Trained

    folder, _ = run
    picture = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    values = [
        bh.score(picture, layout="HWC", models=[Trained(folder / "model.onnx", engine)])["run"].value
        for engine in ("onnxruntime", "openvino")
    ]
    assert values[0] == pytest.approx(values[1], abs=1e-3)


def test_engines_are_told_apart(run, monkeypatch):
    folder, _ = run
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match="pip install openvino"):
        Judge(folder / "model.onnx", engine="openvino")
    with pytest.raises(InputError, match="one of onnxruntime, openvino"):
        Judge(folder / "model.onnx", engine="tensorrt")
