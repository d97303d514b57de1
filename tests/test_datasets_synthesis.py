"""Distorted pictures on the fly: labels after human means, ranks and metrics, and exactness of the draw."""

from __future__ import annotations

import csv
import pickle  # noqa: TID251  # as PyTorch's loaders hand jobs to their processes
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from beholder.datasets.opinions import (
    MEANS,
    PRISTINE,
    fall,
    neutral_level,
    opinion_curve,
    opinion_of,
    severity_of,
)
from beholder.datasets.synthesis import RUNGS, SIZE, Synthesiser, draw, prepare
from beholder.distortions import distort, find, list_distortions
from beholder.errors import InputError, RangeError, ReadError

KADID = list_distortions("kadid")


@pytest.fixture
def photos(tmp_path):
    for i in range(5):
        small = np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(small).resize((96, 72), Image.Resampling.BICUBIC).save(tmp_path / f"{i}.png")
    return tmp_path


# ------------------------------------------------------------------------------------------------ human means


def test_published_levels_give_the_published_means():
    for card in KADID:
        means = MEANS[card.sets["kadid"]]
        for level, mean in enumerate(means, 1):
            if (card.name, level) not in {("color_shift", 4), ("color_shift", 5)}:
                assert opinion_of(card.name, level) == pytest.approx(25 * (mean - 1)), card.name
    assert (
        opinion_of("color_shift", 4) == opinion_of("color_shift", 5) == pytest.approx(25 * ((1.8537 + 1.8638) / 2 - 1))
    )


@pytest.mark.parametrize("card", KADID, ids=lambda c: c.name)
def test_scores_fall_from_the_untouched_level_to_both_sides(card):
    curve = opinion_curve(card.name)
    levels = np.linspace(curve.levels[0], curve.levels[-1], 301)
    scores = np.array([curve(v) for v in levels])
    assert (np.diff(scores[levels >= curve.best]) <= 1e-9).all()
    assert (np.diff(scores[levels <= curve.best]) >= -1e-9).all()
    assert curve(curve.best) == pytest.approx(PRISTINE, abs=0.3)
    assert scores.max() <= PRISTINE
    strong = [severity_of(card, v) for v in levels]
    assert severity_of(card, curve.best) == pytest.approx(0)
    assert max(strong) == pytest.approx(1)
    assert (np.diff(np.array(strong)[levels >= curve.best]) >= -1e-9).all()


def test_the_untouched_level_is_where_pictures_are_untouched():
    pixels = np.random.default_rng(0).integers(60, 200, (32, 32, 3), np.uint8)
    for card in KADID:
        same = distort(pixels, card.name, neutral_level(card))
        np.testing.assert_array_equal(same, pixels, err_msg=card.name)
    assert neutral_level(find("mean_shift")) == 3
    assert neutral_level(find("contrast_change")) == pytest.approx(3.5)
    assert not np.array_equal(distort(pixels, "contrast_change", 3), pixels)


def test_values_are_pooled_until_they_fall():
    assert fall([3, 2, 1]) == [3, 2, 1]
    assert fall([1, 2, 3]) == [2, 2, 2]
    assert fall([5, 1, 2, 0]) == [5, 1.5, 1.5, 0]
    assert fall([1, 4], [3, 1]) == [1.75, 1.75]


def test_levels_beyond_the_curve_and_types_without_means_are_errors():
    with pytest.raises(RangeError, match="from 1 to 5"):
        opinion_of("mean_shift", 0.5)
    with pytest.raises(InputError, match="no human means"):
        opinion_of("jpeg2000_transmission_errors", 2)


@pytest.mark.data
def test_the_means_are_those_of_the_published_scores(data):
    sums: dict[tuple[int, int], list[float]] = {}
    with (data / "mos" / "KADID10k.csv").open(newline="") as rows:
        for row in csv.DictReader(rows):
            _, kind, level = row["dist_name"].removesuffix(".png").split("_")
            sums.setdefault((int(kind), int(level)), []).append(float(row["dmos"]))
    assert len(sums) == 125
    for (kind, level), scores in sums.items():
        assert len(scores) == 81
        assert MEANS[kind][level - 1] == pytest.approx(np.mean(scores), abs=6e-5)


# ------------------------------------------------------------------------------------------------ drawing


def test_a_job_depends_on_seed_epoch_and_index_alone(photos):
    maker = Synthesiser(photos)
    jobs = maker.draw(60, epoch=3, seed=7)
    assert Synthesiser(photos).draw(60, 3, 7) == jobs
    assert maker.draw(25, 3, 7) == jobs[:25], "resuming within an epoch"
    assert draw(photos, 60, 3, 7) == jobs
    assert maker.draw(60, 4, 7)[0] != jobs[0]
    assert maker.draw(60, 3, 8)[0] != jobs[0]
    assert maker.draw(0) == []


def test_photographs_and_types_take_turns(photos):
    jobs = draw(photos, 50, 0, 0)
    assert sorted(j.name for j in jobs[:25]) == sorted(c.name for c in KADID)
    assert {j.photograph.name for j in jobs[:5]} == {f"{i}.png" for i in range(5)}
    assert [j.name for j in jobs[:25]] != [j.name for j in jobs[25:]]
    assert len({j.level for j in jobs}) == 50, "levels between the published ones"
    assert all((1 if find(j.name).signed else 0.5) <= j.level <= 5 for j in jobs)
    assert all(j.type == [c.name for c in KADID].index(j.name) for j in jobs)


def test_labels_are_the_human_means_between_levels(photos):
    for job in draw(photos, 50, 1, 1):
        pixels, label = job.make()
        assert (pixels.dtype, pixels.shape) == (np.uint8, (72, 96, 3))
        assert label.score == opinion_of(job.name, job.level)
        assert 0 <= label.score <= 100
        assert 0 < label.severity <= 1
        assert label.level == job.level


def test_pictures_with_one_group_can_be_compared_by_severity(photos):
    jobs = draw(photos, 600, 0, 0)
    groups: dict[int, list] = {}
    for job in jobs:
        groups.setdefault(job.rank_group, []).append(job)
    pairs = [(a, b) for g in groups.values() for a in g for b in g if a.severity < b.severity]
    assert len(pairs) > 300
    assert all(a.photograph == b.photograph and a.name == b.name for a, b in pairs)
    assert all(a.score >= b.score for a, b in pairs)


MAKE = """
import hashlib, sys
from beholder.datasets.synthesis import draw
for job in draw(sys.argv[1], 30, 2, 5):
    print(hashlib.sha256(job.make()[0].tobytes()).hexdigest())
"""


def test_pixels_are_the_same_in_every_process(photos):
    import hashlib

    jobs = pickle.loads(pickle.dumps(draw(photos, 30, 2, 5)))
    ours = [hashlib.sha256(j.make()[0].tobytes()).hexdigest() for j in jobs]
    done = subprocess.run([sys.executable, "-c", MAKE, str(photos)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ours
    assert len(set(ours)) >= 29


def test_the_reference_of_a_pair_is_the_untouched_crop(photos):
    job = draw(photos, 1, 0, 0, types=["gaussian_blur"])[0]
    pixels, reference, label = job.make_pair()
    np.testing.assert_array_equal(distort(reference, "gaussian_blur", job.level, seed=job.seed), pixels)
    given = np.zeros((50, 60, 3), np.uint8)
    assert job.make(lambda _: given)[0].shape == (50, 60, 3)
    assert label.type == 0


@pytest.mark.parametrize(
    ("shape", "made"),
    [((1000, 1500), SIZE), ((1500, 1000), SIZE[::-1]), ((200, 900), (200, 512)), ((60, 50), (60, 50))],
)
def test_photographs_become_pictures_of_the_size_that_opinions_are_of(shape, made):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    first, second = (prepare(pixels, np.random.default_rng(s)) for s in (1, 2))
    assert first.shape[:2] == made
    assert np.array_equal(first, second) is (shape == made)
    assert np.array_equal(first, prepare(pixels, np.random.default_rng(1)))


# ------------------------------------------------------------------------------------------------ ranks and metrics


def test_ladders_are_of_one_crop_and_differ_in_strength(photos):
    jobs = draw(photos, 8 * RUNGS, 0, 3, label="rank", types=["white_noise", "mean_shift"])
    for place in range(0, len(jobs), RUNGS):
        ladder = jobs[place : place + RUNGS]
        assert len({(j.photograph, j.name, j.seed, j.rank_group) for j in ladder}) == 1
        assert all(j.score is None for j in ladder)
        strengths = sorted(j.severity for j in ladder)
        assert min(np.diff(strengths)) > 0.05
        made = [(j.severity, *j.make_pair()) for j in ladder]
        assert all(np.array_equal(m[2], made[0][2]) for m in made)
        errors = [float(np.square(m[1].astype(float) - m[2]).mean()) for m in sorted(made, key=lambda m: m[0])]
        assert errors == sorted(errors)
    assert len({j.rank_group for j in jobs}) == 8
    assert draw(photos, 3, 0, 3, label="rank", types=["white_noise", "mean_shift"]) == jobs[:3]


def test_a_metric_orders_pictures_within_a_type_and_people_place_them(photos):
    from beholder.metrics import Measure

    types = ["white_noise", "gaussian_blur", "mean_shift"]
    maker = Synthesiser(photos, types, "ssim")
    ssim = Measure("ssim")
    made: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for job in maker.draw(60, 0, 1):
        pixels, reference, label = job.make_pair()
        value = ssim.scores(*(a.transpose(2, 0, 1)[None] for a in (pixels, reference)))[0].value
        made.setdefault((job.name, job.rank_group % 2), []).append((float(value), label.score))
    for points in made.values():
        values, scores = zip(*sorted(points), strict=True)
        assert list(scores) == sorted(scores)
        assert 0 <= min(values) <= max(values) <= 1
        assert 0 <= min(scores) <= max(scores) <= PRISTINE + 1e-9
    plain = {j.make()[1].level: j.score for j in Synthesiser(photos, ["white_noise"]).draw(20)}
    measured = {j.level: j.make()[1].score for j in Synthesiser(photos, ["white_noise"], "ssim").draw(20)}
    assert np.corrcoef([plain[v] for v in plain], [measured[v] for v in plain])[0, 1] > 0.7


def test_lower_is_better_and_infinite_metrics_are_read_right(photos):
    for name in ("gmsd", "psnr"):
        (scale,) = {s for branches in Synthesiser(photos, ["white_noise"], name).scales for s in branches}
        assert list(scale.values) == sorted(scale.values)
        assert list(scale.scores) == sorted(scale.scores, reverse=name == "gmsd")
        assert np.isfinite(scale.values).all()


def test_wrong_wishes_are_told(photos, tmp_path):
    with pytest.raises(InputError, match="no human means"):
        Synthesiser(photos, ["jpeg2000_transmission_errors"])
    assert Synthesiser(photos, ["jpeg2000_transmission_errors"], "rank").draw(1)[0].score is None
    with pytest.raises(InputError, match="full-reference"):
        Synthesiser(photos, label="niqe")
    with pytest.raises(InputError, match="no metric"):
        Synthesiser(photos, label="opinions")
    with pytest.raises(InputError, match="no photographs"):
        Synthesiser([])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no pictures"):
        draw(tmp_path / "empty", 1)
    with pytest.raises(InputError, match="0 or more"):
        draw(photos, 1, epoch=-1)
    job = draw(photos, 1)[0]
    job.photograph.unlink()
    with pytest.raises(ReadError):
        job.make()
