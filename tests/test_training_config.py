"""The configuration: typed, documented, round trips, and errors that name the key."""

import dataclasses
import pickle  # noqa: TID251  # what worker processes do with it
import tomllib

import pytest

from beholder.errors import InputError
from beholder.training.config import SECTIONS, Config, Data, Optimiser, Run, documentation


def test_every_field_is_documented():
    """The documentation names every field of every section, each with a sentence of its own."""
    told = documentation()
    keys = [key for key, _, _ in told]
    assert keys == [f"{name}.{f.name}" for name, kind in SECTIONS.items() for f in dataclasses.fields(kind)]
    assert all(len(about) > 8 for _, _, about in told)
    assert [f.name for f in dataclasses.fields(Config)] == list(SECTIONS)


def test_toml_and_pickle_keep_everything():
    config = Config.of(
        {
            "data": {"table": 'a "quoted" \\ path.csv', "scale": [5, 1]},
            "loss": {"terms": {"mae": 1, "plcc": 0.5}, "settings": {"huber": {"delta": 5}}},
            "model": {"settings": {"heads": ["score", "map"], "half": False}},
            "run": {"loggers": ["csv", "tensorboard"]},
        }
    )
    assert Config.of(tomllib.loads(config.to_toml())) == config
    assert pickle.loads(pickle.dumps(config)) == config
    assert Config.of(config.to_dict()) == config
    assert config.data.scale == (5.0, 1.0)


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"training": {}}, r"unknown section \[training\]"),
        ({"run": {"epoch": 3}}, r"unknown key run\.epoch .*epochs"),
        ({"run": {"epochs": "3"}}, r"run\.epochs must be of type int, got '3'"),
        ({"run": {"epochs": True}}, r"run\.epochs must be of type int, got True"),
        ({"run": {"epochs": 0}}, r"run\.epochs must be at least 1, got 0"),
        ({"regularisation": {"dropout": 0.99}}, r"dropout must be -1 to 0\.95"),
        ({"optimiser": {"name": "lion"}}, r"optimiser\.name must be one of 'sgd', .*'lion'"),
        ({"optimiser": {"betas": [0.9]}}, r"optimiser\.betas must hold 2 values"),
        ({"loss": {"terms": {"mse": "much"}}}, r"loss\.terms\.mse must be of type float"),
        ({"run": 3}, r"\[run\] must be a section"),
    ],
)
def test_mistakes_are_named(sections, told):
    with pytest.raises(InputError, match=told):
        Config.of(sections)


def test_mistakes_by_keyword_are_named():
    with pytest.raises(InputError, match=r"run\.batch must be at least 1"):
        Config(run=Run(batch=0))
    assert Config(optimiser=Optimiser(rate=1)).optimiser.rate == 1.0


def test_fields_change_by_dotted_keys():
    config = Config().replace(
        {"optimiser.rate": 0.5, "loss.terms.plcc": 2, "model.settings.hidden": [8], "data.seed": 3}
    )
    assert (config.optimiser.rate, config.data.seed) == (0.5, 3)
    assert config.loss.terms == {"mse": 1.0, "plcc": 2.0}
    assert config.model.settings == {"hidden": [8]}
    assert Config().optimiser.rate == 3e-4
    for wrong in ("optimizer.rate", "rate", "run.epoch"):
        with pytest.raises(InputError, match=wrong.replace(".", r"\.")):
            Config().replace({wrong: 1})


def test_files_that_cannot_be_read_are_told(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        Config.read(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[run\nepochs = 1")
    with pytest.raises(InputError, match="is not TOML"):
        Config.read(tmp_path / "bad.toml")
    (tmp_path / "good.toml").write_text(Config(data=Data(seed=4)).to_toml())
    assert Config.read(tmp_path / "good.toml").data.seed == 4
