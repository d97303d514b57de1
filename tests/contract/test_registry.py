"""What every metric of the registry owes its users, checked the same way for each of its presets.

A new metric is covered by its card alone. Pictures are photographs and integer patterns (tests/patterns.py).
"""

import math
import pickle  # noqa: TID251  # what worker processes do with a metric

import numpy as np
import pytest
import torch
from backbones import made
from patterns import batch, degrade, jpeg, noise, photograph, stripes, terrain

import beholder as bh
from beholder.errors import (
    ChannelError,
    InputError,
    LayoutError,
    RangeError,
    SizeError,
    UnknownMetricError,
)
from beholder.metrics.registry import WORDS, Assessment

CARDS = bh.list_metrics()
EVERY = [f"{c.name}:{p}" if p else c.name for c in CARDS for p in ("", *c.presets)]
NAMES = [n for n in EVERY if bh.metric(n).card.needs != "set"]  # those have a contract of their own: test_sets.py
PAIRED = [n for n in NAMES if bh.metric(n).card.needs == "reference"]
SINGLE = [n for n in NAMES if bh.metric(n).card.needs == "image"]
SMOOTH = [n for n in NAMES if bh.metric(n).card.differentiable]
LADDERS = ("noise", "blur", "jpeg", "contrast")
JPEG = (75, 40, 15, 4)
DEFAULTS = [n for n in NAMES if ":" not in n]
every = pytest.mark.parametrize("name", NAMES)
every_default = pytest.mark.parametrize("name", DEFAULTS)  # for what the card settles: presets share the border
every_paired = pytest.mark.parametrize("name", PAIRED)
every_smooth = pytest.mark.parametrize("name", SMOOTH)


def least(m):
    """The smallest side that a preset can measure: a border that it leaves out counts."""
    return max(m.card.min_size, 2 * m.settings.get("crop", 0) + 1)


def side(m, extra=9):
    return max(least(m), 24) + extra


def rounds(m):
    """Whether the preset rounds luma to the steps of an integer type, so that the type of the input matters."""
    return m.settings.get("colour") in ("matlab", "opencv")


def bytes_pair(m, count=1, grey=False, height=None, width=None):
    """Different uint8 pictures and their references, (N, C, H, W); no best value, no flat part."""
    height, width = height or side(m), width or side(m, 14)
    images, references = [], []
    for i in range(count):
        reference = terrain(height + i, width, 3)[i:]
        if grey:
            reference = reference[..., :1]
        elif rounds(m):
            reference = np.repeat(reference[..., :1], 3, axis=2)  # grey as colour: luma is whole, rounding does nothing
        image = degrade(reference, ("blur", "contrast", "shift")[i % 3], 1 + i % 2)
        image = image.astype(np.int64) + noise(*image.shape[:2], 1, seed=i) % 5 - 2
        images.append(np.clip(image, 0, 255).astype(np.uint8))
        references.append(reference)
    return batch(*images), batch(*references)


def given(m, pair):
    """The arguments that the metric takes out of a pair."""
    return pair if m.card.needs == "reference" else pair[:1]


def arguments(m, kind=np.float64, **how):
    pair = bytes_pair(m, **how)
    return given(m, pair if kind == np.uint8 else [(a / 255).astype(kind) for a in pair])


def tensors(arrays, **how):
    return [torch.tensor(a, **how) for a in arrays]


def close(m, value, expected, relative=1e-5):
    """Equal to a relative tolerance, or for networks to the absolute one that their card states."""
    value, expected = (np.asarray(v.detach() if torch.is_tensor(v) else v, dtype=np.float64) for v in (value, expected))
    assert value.shape == expected.shape
    absolute = m.card.tolerance or 1e-9
    np.testing.assert_allclose(value, expected, rtol=0 if m.card.tolerance else relative, atol=absolute)


def best(m):
    return m.card.best


def quality(m, *pictures):
    """The value, negated where lower is better."""
    value = float(m(*pictures)[0])
    return value if m.card.better == "higher" else -value


@pytest.fixture(scope="module")
def photographs():
    """Two photographs, cut to 208 pixels."""
    return {"coffee": photograph("coffee")[100:308, 150:358], "astronaut": photograph("astronaut")[0:208, 120:328]}


# --- the card ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("card", CARDS, ids=lambda c: c.name)
def test_card_is_complete(card):
    assert card.name == card.name.lower()
    assert card.better in ("higher", "lower")
    assert card.needs in ("reference", "image", "set")
    assert card.kind
    assert set(card.backbones) <= {"", *card.presets}
    assert 0 <= card.tolerance <= 1e-3 * (card.range[1] - card.range[0])
    assert card.min_size >= 1
    assert card.summary.endswith(".") or ";" in card.summary or "," in card.summary
    assert any(mark in card.paper for mark in ("doi:", "ITU-", "https://hal.science/hal-"))
    assert card.verified <= {"", *card.presets}
    assert set(card.ranges) <= set(card.presets)
    assert all(p == p.lower() and "_" not in p for p in card.presets)
    for low, high in (card.range, *card.ranges.values()):
        assert low < high
        assert low <= card.best <= high
    assert card.range_of is None or card.range_of() == card.range
    with pytest.raises(AttributeError):
        card.name = "other"
    with pytest.raises(TypeError):
        card.presets["new"] = {}


def test_names_and_aliases_are_unique():
    spoken = [n for c in CARDS for n in (c.name, *c.aliases)]
    assert len(spoken) == len(set(spoken))
    assert [c.name for c in CARDS] == sorted(c.name for c in CARDS)
    assert {c.name for c in bh.list_metrics(needs="reference")} == {bh.metric(n).card.name for n in PAIRED}
    assert {c.name for c in bh.list_metrics(needs="image")} == {bh.metric(n).card.name for n in SINGLE}


@every
def test_any_spelling_finds_the_metric(name):
    m = bh.metric(name)
    base, _, preset = name.partition(":")
    tail = f":{preset}" if preset else ""
    spellings = [name.upper(), f" {base.replace('_', '-')}{tail} ", base.title().replace("_", " ") + tail.upper()]
    for spelling in [*spellings, *(alias + tail for alias in m.card.aliases)]:
        found = bh.metric(spelling)
        assert (found.name, found.settings) == (name, m.settings), spelling


@every
def test_unknown_preset_lists_the_known(name):
    m = made(name)
    known = m.preset or (m.card.name if m.card.presets else "none")
    with pytest.raises(UnknownMetricError, match=f"no preset 'nonsense'; its presets: .*{known}"):
        bh.metric(f"{m.card.name}:nonsense")


@pytest.mark.parametrize("card", CARDS, ids=lambda c: c.name)
def test_misspelt_name_suggests_the_nearest(card):
    with pytest.raises(UnknownMetricError, match=f"did you mean '{card.name}'"):
        bh.metric(f"{card.name}x")


@every
def test_pickle_keeps_the_metric(name):
    m = made(name)
    again = pickle.loads(pickle.dumps(m))
    assert (again.name, again.settings, again.card) == (m.name, m.settings, m.card)
    assert np.array_equal(again(*arguments(m)), m(*arguments(m)))


# --- quality ----------------------------------------------------------------------------------------------------------


@every_paired
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, np.float64], ids=lambda k: k.__name__)
def test_equal_pictures_are_best(name, kind):
    m = made(name)
    n = side(m)
    scale = {np.uint8: 1, np.uint16: 257}.get(kind, 1 / 255)
    pictures = (terrain(n, n, 3), noise(n, n, 3), np.zeros((n, n, 3), np.uint8), np.full((n, n, 3), 255, np.uint8))
    x = (batch(*pictures) * np.array(scale, np.uint16 if kind == np.uint16 else np.float64)).astype(kind)
    tolerance = max(2e-6 if kind == np.float32 else 1e-9, m.card.tolerance)
    for value in (m(x, x.copy()), m(*tensors((x, x))).numpy()):
        np.testing.assert_allclose(value, best(m), rtol=0, atol=tolerance)


@every_paired
@pytest.mark.parametrize("ladder", LADDERS)
def test_worse_pictures_score_worse(name, ladder, photographs):
    m = made(name)
    for picture in photographs.values():
        steps = [jpeg(picture, q) if ladder == "jpeg" else degrade(picture, ladder, i + 1) for i, q in enumerate(JPEG)]
        found = [quality(m, batch(s), batch(picture)) for s in (picture, *steps)]
        assert found == sorted(found, reverse=True), found
        assert len(set(found)) == len(found), found


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("ladder", ["noise", "blur", "jpeg"])
def test_heavy_distortion_scores_worse_without_reference(name, ladder):
    """Contrast is left out: without a reference, a moderately flatter picture need not look worse."""
    m = made(name)
    span = m.range[1] - m.range[0]
    margin = 0.05 * span if math.isfinite(span) else 0
    for title in ("coffee", "astronaut"):
        picture = photograph(title)
        worst = jpeg(picture, 4) if ladder == "jpeg" else degrade(picture, ladder, 4)
        assert quality(m, batch(picture)) > quality(m, batch(worst)) + margin, title


@every
def test_range_holds_on_extreme_pictures(name):
    m = made(name)
    n = side(m)
    black, white = np.zeros((n, n, 3), np.uint8), np.full((n, n, 3), 255, np.uint8)
    bars, grain = stripes(n, n, 3, 8), noise(n, n, 3)
    half = bars.copy()
    half[: n // 2] = 0
    pictures = [black, white, bars, grain, half, 255 - bars, 255 - grain, np.full_like(black, 128)]
    low, high = m.card.range
    for x in pictures:
        for y in pictures if m.card.needs == "reference" else [None]:
            pair = [batch(a) for a in (x, y) if a is not None]
            for value in (float(m(*pair)[0]), float(m(*pair, data_range=255)[0])):
                assert low - 1e-9 <= value <= high + 1e-9


@every
def test_range_is_that_of_the_settings(name):
    """However they are given: by a preset, by name, or in another process; the card of a measure has their range."""
    m = made(name)
    assert m.range == m.card.range == m.card.ranges.get(m.preset, bh.metric(m.card.name).range)
    assert bh.metric(m.card.name, **m.settings).card.range == m.range
    assert pickle.loads(pickle.dumps(m)).range == m.range
    assert pickle.loads(pickle.dumps(m.card)).range == m.range


# --- the same answer by every way -------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("kind", [np.uint8, np.float64], ids=lambda k: k.__name__)
def test_batch_equals_singles(name, kind):
    m = made(name)
    whole = arguments(m, kind, count=3)
    singles = [m(*(a[i : i + 1] for a in whole))[0] for i in range(3)]
    assert m(*whole).shape == (3,)
    np.testing.assert_allclose(m(*whole), singles, rtol=1e-12)
    assert len(set(singles)) == 3
    tensor = m(*tensors(whole))
    assert torch.is_tensor(tensor)
    close(m, tensor, np.asarray(singles), relative=1e-5)


@every
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, np.float64], ids=lambda k: k.__name__)
@pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])
def test_numpy_equals_pytorch(name, kind, grey):
    m = made(name)
    arrays = arguments(m, np.uint8, count=2, grey=grey)
    if kind == np.uint16:
        arrays = [a.astype(np.uint16) * 257 for a in arrays]
    elif kind != np.uint8:
        arrays = [(a / 255).astype(kind) for a in arrays]
    value = m(*tensors(arrays))
    close(m, value, m(*arrays))
    if kind in (np.float32, np.float64) and m.card.assess is None:
        assert value.dtype == getattr(torch, kind.__name__)
        assert m(*arrays).dtype == kind


@pytest.mark.parametrize("name", [n for n in NAMES if bh.metric(n).card.kernel is not None])
@pytest.mark.parametrize("shape", [(67, 131), (240, 333)], ids=["small", "large"])
@pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])
def test_kernel_equals_definition(name, shape, grey):
    m = made(name)
    height, width = (max(n, side(m)) for n in shape)
    picture = terrain(height, width, 3)  # rounding presets, too: uint8 with a data_range goes by the definition
    other = degrade(degrade(picture, "noise", 2), "blur", 1)
    x, y = batch(other), batch(picture)
    if grey:
        x, y = x[:, :1], y[:, :1]
    arrays = given(m, (x, y))
    np.testing.assert_allclose(m(*arrays), m(*arrays, data_range=255), rtol=m.card.precision, atol=1e-9)


@every
def test_every_depth_gives_the_same_value(name):
    m = made(name)
    arrays = bytes_pair(m)
    double = m(*given(m, [a / 255 for a in arrays]))
    deep = given(m, [a.astype(np.uint16) * 257 for a in arrays])
    close(m, m(*deep), double, relative=1e-9)
    close(m, m(*given(m, [(a / 255).astype(np.float32) for a in arrays])), double)
    close(m, m(*given(m, arrays)), double)
    half = [(a / 255).astype(np.float16) for a in arrays]
    close(m, m(*given(m, half)), m(*given(m, [a.astype(np.float32) for a in half])), relative=1e-6)


@every
def test_data_range_means_full_scale(name):
    m = made(name)
    arrays = given(m, bytes_pair(m))
    double = m(*(a / 255 for a in arrays))
    close(m, m(*(a.astype(np.float64) for a in arrays), data_range=255), double, relative=1e-9)
    close(m, m(*(a.astype(np.int64) for a in arrays), data_range=255.0), double, relative=1e-9)
    twelve = [(a.astype(np.uint16) * 16 + 15) for a in arrays]
    close(m, m(*twelve, data_range=4095), m(*(a / 4095 for a in twelve)), relative=1e-9)
    close(m, m(*tensors(twelve), data_range=4095), m(*(a / 4095 for a in twelve)))


@every
@pytest.mark.parametrize("kind", [np.uint8, np.float64], ids=lambda k: k.__name__)
def test_memory_layout_does_not_matter(name, kind):
    m = made(name)
    arrays = arguments(m, kind, count=2)
    expected = m(*arrays)

    def flipped(a):
        return np.ascontiguousarray(a[..., ::-1])[..., ::-1]

    def spaced(a):
        big = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
        big[..., ::2] = a
        return big[..., ::2]

    def interleaved(a):
        return np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)

    def frozen(a):
        a = a.copy()
        a.flags.writeable = False
        return a

    for change in (flipped, spaced, interleaved, np.asfortranarray, frozen):
        changed = [change(a) for a in arrays]
        np.testing.assert_allclose(m(*changed), expected, rtol=1e-9, err_msg=change.__name__)
    for change in (flipped, spaced, interleaved, frozen):
        kept = [change(a) for a in arrays]
        before = [a.copy() for a in kept]
        m(*kept)
        assert all(np.array_equal(a, b) for a, b in zip(kept, before, strict=True)), "the input was changed"
    close(m, m(*(t.permute(0, 3, 2, 1).contiguous().permute(0, 3, 2, 1) for t in tensors(arrays))), expected)


@every
def test_threads_do_not_change_the_value(name):
    m = made(name)
    arrays = arguments(m, np.uint8, height=max(300, side(m)), width=max(400, side(m)))
    one, two = m.scores(*arrays, threads=1)[0].value, m.scores(*arrays, threads=2)[0].value
    assert one == pytest.approx(two, abs=m.card.tolerance or 1e-12)
    close(m, m(*arrays, threads=1), m(*arrays, threads=2), relative=1e-12)


@every
def test_score_says_everything(name):
    m = made(name)
    arrays = arguments(m, np.uint8, count=2)
    scores = m.scores(*arrays)
    close(m, np.array([s.value for s in scores]), m(*arrays), relative=1e-12)
    for s in scores:
        assert (s.metric, s.preset, s.unit, s.better) == (m.card.name, m.preset, m.card.unit, m.card.better)
        assert s.version == bh.__version__
        assert float(s) == s.value
        assert isinstance(s.value, float)
        assert len(s.weights) == (12 if m.card.model or m.card.backbones else 0)
        assert set(s.weights) <= set("0123456789abcdef")
        if m.card.assess is None:
            assert (s.low, s.high, s.word) == (None, None, "")
            assert s.flags == (("unknown_weights",) if m.card.backbones else ())  # these tests make their own
            continue
        assert m.range[0] <= s.low <= s.value <= s.high <= m.range[1]
        assert s.low < s.high
        assert s.word == WORDS[min(int(s.value // 20), 4)]
        assert isinstance(m.card.assess(arrays[0] / 255)[0], Assessment)


# --- gradients --------------------------------------------------------------------------------------------------------


@every_smooth
@pytest.mark.parametrize("kind", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("case", ["different", "equal", "black", "black and white", "flat"])
def test_gradients_are_finite(name, kind, case):
    m = made(name)
    pair = [torch.tensor(a / 255, dtype=kind) for a in bytes_pair(m)]
    black = torch.zeros_like(pair[0])
    pair = {
        "different": pair,
        "equal": [pair[0], pair[0].clone()],
        "black": [black, black.clone()],
        "black and white": [black, black + 1],
        "flat": [black + 0.5, black + 0.25],
    }[case]
    arrays = [a.requires_grad_() for a in given(m, pair)]
    value = m(*arrays)
    if m.card.needs == "reference" and case in ("equal", "black") and math.isinf(best(m)):
        assert torch.isinf(value).all()  # no gradient is owed where the value is infinite
        return
    value.sum().backward()
    for a in arrays:
        assert torch.isfinite(a.grad).all()
    if case == "different":
        assert all(float(a.grad.abs().max()) > 0 for a in arrays)


def doubles(m, grey=False):
    """Pictures in [0.2, 0.8] that never touch a kink: their difference is nowhere near 0."""
    n = least(m) + 2
    rng = np.random.default_rng(5)
    reference = rng.uniform(0.3, 0.7, (1, 1 if grey else 3, n, n + 1))
    image = reference + rng.uniform(0.02, 0.1, reference.shape) * rng.choice([-1, 1], reference.shape)
    return [torch.tensor(a).requires_grad_() for a in given(m, (image, reference))]


@pytest.mark.parametrize("name", [n for n in SMOOTH if not bh.metric(n).card.tolerance])
@pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])
def test_gradients_match_finite_differences(name, grey):
    m = made(name)
    arrays = doubles(m, grey)
    if arrays[0].numel() <= 1000:
        assert torch.autograd.gradcheck(lambda *a: m(*a), arrays, eps=1e-6, atol=1e-6, rtol=1e-4, fast_mode=True)
    gradients = torch.autograd.grad(m(*arrays).sum(), arrays)
    generator = torch.Generator().manual_seed(3)
    for _ in range(3):
        ways = [torch.randn(a.shape, generator=generator, dtype=a.dtype) for a in arrays]
        h = 1e-5
        up, down = (m(*(a.detach() + s * w for a, w in zip(arrays, ways, strict=True))).sum() for s in (h, -h))
        told = sum((g * w).sum() for g, w in zip(gradients, ways, strict=True))
        assert float((up - down) / (2 * h)) == pytest.approx(float(told), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", [n for n in SMOOTH if bh.metric(n).card.tolerance])
def test_network_gradients_point_uphill(name):
    """Coarse, as single precision and piecewise linear layers are: the step along the gradient gains what it says."""
    m = made(name)
    picture = photograph("astronaut")[40:200, 140:300]
    pictures = picture, degrade(picture, "blur", 2)
    pair = [torch.tensor(batch(p) / 255, dtype=torch.float32) * 0.8 + 0.1 for p in pictures]
    arrays = given(m, [pair[0].requires_grad_(), pair[1]])
    (gradient,) = torch.autograd.grad(m(*arrays).sum(), arrays[:1])
    way = gradient / gradient.norm()
    h = 0.002
    up, down = (float(m((arrays[0] + s * way).detach(), *arrays[1:])[0]) for s in (h, -h))
    assert (up - down) / (2 * h) == pytest.approx(float(gradient.norm()), rel=0.05)


# --- wrong input ------------------------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("kind", [np.uint8, np.float64], ids=lambda k: k.__name__)
def test_minimum_size(name, kind):
    m = made(name)
    n = least(m)
    for height, width in ((n, n), (n, n + 3), (n + 3, n)):
        for arrays in (arguments(m, kind, height=height, width=width),):
            assert np.isfinite(m(*arrays)).all()
            assert torch.isfinite(m(*tensors(arrays))).all()
    for height, width in ((n - 1, n), (n, n - 1), (0, 0)):
        small = [np.zeros((1, 3, height, width), kind)] * len(given(m, (0, 0)))
        with pytest.raises(SizeError, match=rf"{m.card.name} needs .*got {height}x{width}"):
            m(*small)
        with pytest.raises(SizeError):
            m(*tensors(small))


def ones(*shape, kind=np.float64):
    return np.full(shape, 0.5 if np.dtype(kind).kind == "f" else 100, kind)


def spoiled(shape, value):
    a = ones(*shape)
    a[0, 0, 3, 5] = value
    return a


BAD = {
    "three axes": (lambda n: ones(3, n, n), LayoutError, r"takes \(N, C, H, W\), got image of shape"),
    "five axes": (lambda n: ones(1, 1, 3, n, n), LayoutError, r"takes \(N, C, H, W\)"),
    "channels last": (lambda n: ones(1, n, n, 3), ChannelError, "1 or 3 channels at axis 1"),
    "two channels": (lambda n: ones(1, 2, n, n), ChannelError, "1 or 3 channels"),
    "four channels": (lambda n: ones(1, 4, n, n), ChannelError, "1 or 3 channels"),
    "no picture": (lambda n: ones(0, 3, n, n), LayoutError, "at least one picture"),
    "a list": (lambda n: ones(1, 3, n, n).tolist(), LayoutError, "got list as image"),
    "a path": (lambda n: "photo.jpg", LayoutError, "got str as image"),
    "NaN": (lambda n: spoiled((1, 3, n, n), np.nan), RangeError, "1 values that are NaN or infinite"),
    "infinity": (lambda n: spoiled((1, 3, n, n), -np.inf), RangeError, "1 values that are NaN or infinite"),
    "too bright": (lambda n: spoiled((1, 3, n, n), 1.5), RangeError, r"\[0, 1\], got 0.5 to 1.5.*data_range"),
    "negative": (lambda n: spoiled((1, 3, n, n), -0.25), RangeError, r"\[0, 1\], got -0.25 to 0.5"),
    "bytes as floats": (lambda n: ones(1, 3, n, n) * 255, RangeError, "pass data_range"),
    "int64": (lambda n: ones(1, 3, n, n, kind=np.int64), RangeError, "int64 .*pass data_range"),
    "complex": (
        lambda n: ones(1, 3, n, n).astype(complex),
        RangeError,
        "bool, integer or float values, got complex128",
    ),
    "objects": (lambda n: ones(1, 3, n, n).astype(object), RangeError, "bool, integer or float values, got object"),
}


COUNTS = ("channels last", "two channels", "four channels")
FAULTS = [(n, case) for n in DEFAULTS for case in BAD if bh.metric(n).card.channels is not None or case not in COUNTS]


@pytest.mark.parametrize(("name", "case"), FAULTS)
def test_bad_input_is_told(name, case):
    m = made(name)
    make, error, words = BAD[case]
    n = side(m)
    bad = make(n)
    with pytest.raises(error, match=rf"(?s){m.card.name} .*{words}"):
        m(*given(m, (bad, bad)))
    if m.card.needs == "reference" and case not in ("channels last",):
        with pytest.raises(InputError, match=m.card.name):
            m(ones(1, 3, n, n), bad)
    if isinstance(bad, np.ndarray) and bad.dtype != object:
        with pytest.raises(error, match=rf"(?s){m.card.name} .*{words}"):
            m(*tensors(given(m, (bad, bad))))


@every_default
@pytest.mark.parametrize("wrong", [0, -1.0, math.nan, math.inf])
def test_data_range_must_be_positive(name, wrong):
    m = made(name)
    with pytest.raises(RangeError, match="data_range must be a positive number"):
        m(*arguments(m), data_range=wrong)


@every_default
def test_values_outside_the_data_range_are_told(name):
    m = made(name)
    with pytest.raises(RangeError, match="after division by data_range=100"):
        m(*(a.astype(np.uint16) + 50 for a in arguments(m, np.uint8)), data_range=100)


@every_default
def test_number_of_pictures_is_told(name):
    m = made(name)
    x, y = bytes_pair(m)
    if m.card.needs == "reference":
        with pytest.raises(InputError, match=f"{m.card.name} is a full reference metric: it takes an image and its"):
            m(x)
    else:
        with pytest.raises(InputError, match=f"{m.card.name} is a no reference metric: it takes an image alone"):
            m(x, y)


@pytest.mark.parametrize("name", [n for n in DEFAULTS if n in PAIRED])
def test_pairs_that_do_not_fit_are_told(name):
    m = made(name)
    x, y = bytes_pair(m)
    with pytest.raises(LayoutError, match="one NumPy array and one PyTorch tensor"):
        m(x, torch.tensor(y))
    with pytest.raises(LayoutError, match="one NumPy array and one PyTorch tensor"):
        m(torch.tensor(x), y)
    with pytest.raises(SizeError, match=f"got {x.shape[2]}x{x.shape[3]} and {x.shape[2]}x{x.shape[3] - 1}"):
        m(x, y[..., :-1])
    with pytest.raises(ChannelError, match="got 3 and 1 channels"):
        m(x, y[:, :1])
    with pytest.raises(LayoutError, match="got 1 images and 2 references"):
        m(x, np.concatenate([y, y]))
