"""Variations of pictures: native crops, and proof that what is marked as keeping the opinion keeps it."""

from __future__ import annotations

import numpy as np
import pytest

import beholder as bh
from beholder.datasets.augmenting import (
    AUGMENTATIONS,
    augment,
    choose_augmentations,
    crop_centre,
    crop_grid,
    crop_random,
    grow,
    resize_shorter,
)
from beholder.errors import InputError, SizeError
from beholder.metrics import Measure

NAMES, KINDS = ("camera", "chelsea", "rocket"), ("degraded", "originals")
KEEPING = [c for c in AUGMENTATIONS.values() if c.keeps_label]
MOVED = 5.0
"""Points by which the shipped assessor may move on a picture that is as good as before; on average, 2."""


def pattern(height: int, width: int) -> np.ndarray:
    return np.arange(height * width * 3, dtype=np.uint32).reshape(height, width, 3)


def variants(card, pixels):
    """Every picture that a variation can give."""
    made = [card.function(pixels, np.random.default_rng(seed)) for seed in range(24)]
    return list({v.tobytes(): np.ascontiguousarray(v) for v in made}.values())


@pytest.mark.parametrize("card", KEEPING, ids=lambda c: c.name)
@pytest.mark.parametrize(("metric", "within"), [("psnr", 1e-5), ("ssim", 1e-5), ("vsi", 5e-4)])
def test_full_reference_scores_stay_when_both_are_varied_alike(card, metric, within, samples):
    """vsi's own saliency is worked out at 256x256, about a centre between pixels: it is no more symmetric than that."""
    measure = Measure(metric)
    for name in NAMES[1:]:
        pair = [bh.read_image(samples / kind / f"{name}.jpg").native[:256, :300] for kind in KINDS]
        before = measure.scores(*(p.transpose(2, 0, 1)[None] for p in pair))[0].value
        both = zip(*(variants(card, p) for p in pair), strict=True)
        values = [measure.scores(*(p.transpose(2, 0, 1)[None] for p in v))[0].value for v in both]
        assert len(values) >= 2, "the variation does something"
        assert values == pytest.approx([before] * len(values), abs=within)


def moves(function, paths) -> np.ndarray:
    """Points by which the shipped assessor moves on each picture."""
    found = []
    for path in paths:
        pixels = bh.read_image(path).native
        varied = np.ascontiguousarray(function(pixels))
        scores = [bh.score(p, layout="HWC")["beholder"].value for p in (pixels, varied)]
        found.append(abs(scores[1] - scores[0]))
    return np.array(found)


def test_what_is_marked_as_keeping_leaves_the_shipped_assessor_still_and_the_others_do_not(samples):
    assert [c.name for c in KEEPING] == ["flip"]
    mirrored = moves(lambda p: p[:, ::-1], [samples / k / f"{n}.jpg" for k in KINDS for n in NAMES])
    assert mirrored.max() < MOVED
    assert mirrored.mean() < 2
    upside_down = moves(lambda p: p[::-1], [samples / k / f"{n}.jpg" for k in KINDS for n in NAMES])
    assert upside_down.max() > MOVED
    assert not AUGMENTATIONS["flip_vertical"].keeps_label


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("noise", r"label model: use \[synthesis\] with white_noise"),
        ("blur", r"label model: use \[synthesis\] with gaussian_blur"),
        ("jpeg", r"\[synthesis\] with jpeg"),
        ("quarter_turn", "judged otherwise"),
        ("resize", "hides or makes distortions"),
        ("crop", r"input\.crop"),
        ("nosie", "no variation is called 'nosie'; those that keep the opinion: flip"),
    ],
)
def test_variations_that_change_the_opinion_are_refused(name, match):
    with pytest.raises(InputError, match=match):
        choose_augmentations([name])


def test_variations_are_taken_by_name_and_repeatable():
    cards = choose_augmentations([" Flip "])
    pixels = pattern(4, 6)
    made = [augment(pixels, cards, np.random.default_rng(s)) for s in range(20)]
    again = [augment(pixels, cards, np.random.default_rng(s)) for s in range(20)]
    assert all(np.array_equal(a, b) for a, b in zip(made, again, strict=True))
    assert 4 <= sum(np.array_equal(m, pixels) for m in made) <= 16
    assert all(np.array_equal(m, pixels) or np.array_equal(m, pixels[:, ::-1]) for m in made)
    assert augment(pixels, [], np.random.default_rng(0)) is pixels


def test_turns_give_all_four_quarters():
    turned = variants(AUGMENTATIONS["quarter_turn"], pattern(4, 6))
    assert sorted(t.shape for t in turned) == [(4, 6, 3)] * 2 + [(6, 4, 3)] * 2


def test_crops_are_pixel_for_pixel():
    pixels = pattern(20, 30)
    rng = np.random.default_rng(1)
    places = set()
    for _ in range(200):
        part = crop_random(pixels, (8, 10), rng)
        top, left = divmod(int(part[0, 0, 0]) // 3, 30)
        np.testing.assert_array_equal(part, pixels[top : top + 8, left : left + 10])
        places.add((top, left))
    assert {p[0] for p in places} == set(range(13)), "every place can be drawn"
    np.testing.assert_array_equal(crop_centre(pixels, 10), pixels[5:15, 10:20])


def test_small_pictures_are_continued_by_mirroring():
    pixels = pattern(3, 4)
    part = crop_centre(pixels, 6)
    assert part.shape == (6, 6, 3)
    np.testing.assert_array_equal(part[:3, :4], pixels)
    np.testing.assert_array_equal(part[3], part[2])
    assert grow(pixels, 2, 2) is pixels


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("shape", [(40, 64), (64, 40), (16, 64), (16, 16)])
def test_a_grid_of_crops_spreads_over_the_picture(count, shape):
    parts = crop_grid(pattern(*shape), 16, count)
    assert [p.shape for p in parts] == [(16, 16, 3)] * count
    corners = [divmod(int(p[0, 0, 0]) // 3, shape[1]) for p in parts]
    if shape != (16, 16):
        assert len(set(corners)) == count
    if count == 4 and shape == (40, 64):
        assert {c[1] for c in corners} >= {0, 48}
    if count == 1:
        assert corners == [((shape[0] - 16) // 2, (shape[1] - 16) // 2)]
    assert [p.tobytes() for p in crop_grid(pattern(*shape), 16, count)] == [p.tobytes() for p in parts]


def test_resizing_keeps_the_shape_and_wants_bytes():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    assert resize_shorter(pixels, 30).shape == (30, 45, 3)
    assert resize_shorter(pixels, 60) is pixels
    assert abs(float(resize_shorter(pixels, 30).mean()) - float(pixels.mean())) < 1
    with pytest.raises(InputError, match="uint8"):
        resize_shorter(pixels / 255, 30)
    for wrong in (lambda: resize_shorter(pixels, 0), lambda: crop_centre(pixels, 0)):
        with pytest.raises(SizeError):
            wrong()
    with pytest.raises(InputError, match="at least 1"):
        crop_grid(pixels, 16, 0)
