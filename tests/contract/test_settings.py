"""What every setting of every metric owes its users: values that it cannot take are refused when the metric is made."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from patterns import batch, degrade, terrain

import beholder as bh
from beholder.errors import InputError
from beholder.metrics.registry import settings_of
from beholder.metrics.settings import Above, AtLeast, AtMost, choices_of, hints_of, limits_of

CARDS = bh.list_metrics()
ALL = [(c.name, s.name) for c in CARDS for s in settings_of(c)]
every_setting = pytest.mark.parametrize(("name", "setting"), ALL)


def hint_of(name, setting):
    return hints_of(bh.metric(name).card.function)[setting]


def kind_of(name, setting):
    return next(s.type for s in settings_of(bh.metric(name).card) if s.name == setting)


NUMBERS = [pair for pair in ALL if limits_of(hint_of(*pair))]
WORDS = [pair for pair in ALL if choices_of(hint_of(*pair))]


@every_setting
def test_hint_says_what_a_setting_may_be(name, setting):
    """A number has limits, a string its words; only files are left to the metric."""
    card, hint, kind = bh.metric(name).card, hint_of(name, setting), kind_of(name, setting)
    assert (hint is Any) == (setting == card.file_setting) == (kind == "file")
    if kind == "str":
        assert len(choices_of(hint)) > 1
    elif kind != "file":
        assert kind == "bool" or limits_of(hint)
        assert set(kind.split(" | ")) <= {"bool", "int", "float", "None"}


@pytest.mark.parametrize("card", CARDS, ids=lambda c: c.name)
def test_every_preset_and_default_passes(card):
    usual = {s.name: s.default for s in settings_of(card)}
    assert bh.metric(card.name, **usual).settings == usual
    for preset, settings in card.presets.items():
        assert bh.metric(f"{card.name}:{preset}").settings == settings
        assert bh.metric(card.name, **settings).settings == settings


@pytest.mark.parametrize(("name", "setting"), NUMBERS)
def test_number_beyond_a_limit_is_refused(name, setting):
    whole = "int" in kind_of(name, setting)
    for limit in limits_of(hint_of(name, setting)):
        step = 1 if whole else 1e-3 * max(abs(limit.bound), 1e-13)
        inside, outside = {
            Above: (limit.bound + step, limit.bound),
            AtLeast: (limit.bound, limit.bound - step),
            AtMost: (limit.bound, limit.bound + step),
        }[type(limit)]
        assert bh.metric(name, **{setting: inside}).settings == {setting: inside}
        told = rf"^{name}: {setting} must be a .*number .*{limit.bound:g}.*, got .*; leave it out for "
        with pytest.raises(InputError, match=told):
            bh.metric(name, **{setting: outside})


@pytest.mark.parametrize(("name", "setting"), [p for p in NUMBERS if bh.metric(p[0]).card.needs != "set"])
def test_values_at_the_limits_measure(name, setting):
    """Bytes, doubles and single precision, of pictures that differ and of flat ones; a border that is cut fits."""
    card = bh.metric(name).card
    n = max(card.min_size, 24) + 9
    y = batch(terrain(n, n + 3, 3))
    x = batch(degrade(degrade(terrain(n, n + 3, 3), "noise", 2), "blur", 1))
    flat = np.full_like(y, 90)
    whole = "int" in kind_of(name, setting)
    for limit in limits_of(hint_of(name, setting)):
        m = bh.metric(name, **{setting: limit.bound + (1 if whole else 1e-3) * isinstance(limit, Above)})
        for pair in ((x, y), (flat, flat), (flat, y), (flat, flat // 2)):
            given = pair if card.needs == "reference" else pair[:1]
            single = [torch.tensor(a / 255, dtype=torch.float32) for a in given]
            for arrays in (given, [a / 255 for a in given], single):
                assert not math.isnan(float(m(*arrays)[0])), (limit, m)


@pytest.mark.parametrize(("name", "setting"), NUMBERS)
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, True, "3", [3]], ids=repr)
def test_no_number_is_refused(name, setting, wrong):
    with pytest.raises(InputError, match=f"^{name}: {setting} must be a .*number"):
        bh.metric(name, **{setting: wrong})


@pytest.mark.parametrize(("name", "setting"), [pair for pair in ALL if kind_of(*pair) == "int"])
def test_half_a_number_is_no_whole_one(name, setting):
    with pytest.raises(InputError, match=f"{setting} must be a whole number .*got 3.5"):
        bh.metric(name, **{setting: 3.5})
    found = bh.metric(name, **{setting: np.int32(3)}).settings[setting]
    assert (found, type(found)) == (3, int)


@pytest.mark.parametrize(("name", "setting"), [pair for pair in ALL if "float" in kind_of(*pair)])
def test_whole_numbers_count_as_numbers(name, setting):
    for value in (2, np.float32(2), np.int64(2)):
        found = bh.metric(name, **{setting: value}).settings[setting]
        assert (found, type(found)) == (2.0, float)


@pytest.mark.parametrize(("name", "setting"), WORDS)
@pytest.mark.parametrize("wrong", ["nonsense", "", 0, None, ["x"]], ids=repr)
def test_wrong_word_is_refused(name, setting, wrong):
    known = choices_of(hint_of(name, setting))
    with pytest.raises(InputError) as told:
        bh.metric(name, **{setting: wrong})
    assert str(told.value).startswith(f"{name}: {setting} must be {known[0]!r}")
    assert all(repr(word) in str(told.value) for word in known)
    assert f"got {wrong!r}" in str(told.value)
    assert [bh.metric(name, **{setting: word}).settings for word in known] == [{setting: word} for word in known]


@pytest.mark.parametrize(("name", "setting"), [pair for pair in ALL if kind_of(*pair) == "bool"])
@pytest.mark.parametrize("wrong", ["no", 0, 1, None, 1.0], ids=repr)
def test_only_true_and_false_are_truth_values(name, setting, wrong):
    with pytest.raises(InputError, match=f"^{name}: {setting} must be True or False, got {wrong!r}; leave it out"):
        bh.metric(name, **{setting: wrong})
    assert bh.metric(name, **{setting: np.bool_(True)}).settings[setting] is True


@pytest.mark.parametrize("card", CARDS, ids=lambda c: c.name)
def test_what_pictures_are_called_is_no_setting(card):
    for name in ("image", "reference", "images", "references", "levels", "nonsense"):
        with pytest.raises(InputError, match=f"^{card.name} has no setting '{name}'; its settings: "):
            bh.metric(card.name, **{name: 1})


def test_message_names_the_default_of_the_preset():
    with pytest.raises(
        InputError, match=r"^psnr: crop must be a whole number of at least 0, got -4; leave it out for 0$"
    ):
        bh.metric("psnr", crop=-4)
    with pytest.raises(InputError, match=r"leave it out for 4$"):
        bh.metric("psnr:sr-y-crop4", crop=-4)
    with pytest.raises(InputError, match="a number of at least 1 and at most 300 or None, got nan"):
        bh.metric("ciede2000", ppd=math.nan)


def test_long_values_are_told_in_short():
    with pytest.raises(InputError) as told:
        bh.metric("ssim", window="x" * 10_000)
    assert len(str(told.value)) < 200
