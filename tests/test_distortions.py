"""Distortions: what their cards say, that they are seeded, and worse with every level."""

from __future__ import annotations

import colorsys
import copy
import csv
import io
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from patterns import pattern, photograph

import beholder as bh
from beholder.distortions import blur, noise, planes, spatial
from beholder.distortions.registry import find

CARDS = bh.list_distortions()
NAMES = [c.name for c in CARDS]
each = pytest.mark.parametrize("card", CARDS, ids=NAMES)
# By hand: sigma .1 and a line of 1 px are one tap, 1 is the factor that changes nothing, 0 is added.
UNTOUCHED = {("gaussian_blur", 1), ("motion_blur", 1), ("color_saturation_2", 1), ("mean_shift", 3)}
Picture = np.ndarray[Any, Any]


def photos() -> list[Picture]:
    crops = ((130, 100), (20, 100), (10, 60))
    return [
        np.ascontiguousarray(photograph(n)[y : y + 192, x : x + 256])
        for n, (y, x) in zip(("astronaut", "coffee", "chelsea"), crops, strict=True)
    ]


def sample(card: bh.Distortion, size: str = "72x56") -> Picture:
    grey = "" if 3 in card.channels else "/grey"
    return pattern(f"terrain/{size}{grey}")


def error(image: Picture, reference: Picture) -> float:
    return float(np.mean(np.square(image.astype(float) - reference)))


def test_the_published_sets_are_complete() -> None:
    assert [c.sets["kadid"] for c in bh.list_distortions("kadid")] == list(range(1, 26))
    assert [c.sets["tid"] for c in bh.list_distortions("tid")] == list(range(1, 25))
    assert find("KADID07").name == "color_saturation_1"
    assert find("colour shift") is find("color_shift")
    assert [c.name for c in bh.list_distortions("blur")] == ["gaussian_blur", "lens_blur", "motion_blur"]
    with pytest.raises(bh.InputError, match="known: blur"):
        bh.list_distortions("nonsense")
    for wrong, told in (
        ("gausian_blur", "did you mean 'gaussian_blur'"),
        ("gaussian_blur+jpeg", "got the chain 'gaussian_blur[+]jpeg'"),
        (3, "got int"),
    ):
        with pytest.raises(bh.UnknownDistortionError, match=told):
            find(wrong)


@each
def test_cards_are_complete(card: bh.Distortion) -> None:
    assert len(card.levels) == 5
    assert card.summary.endswith(".")
    assert "doi:" in card.paper or "this project" in card.paper
    assert [card.value(level) for level in (0, 1, 2, 3, 4, 5)] == [card.neutral, *card.levels]
    steps = np.diff([card.neutral, *card.levels][card.signed :])
    assert (steps >= 0).all() or (steps <= 0).all()
    assert copy.deepcopy(card) is find(card.name), "also what a worker is sent is the registered card"
    low, high = card.limits
    assert low <= min(card.neutral, *card.levels) < max(card.neutral, *card.levels) <= high
    for wrong in (-0.1, 5.1, float("nan"), True, "high", None):
        with pytest.raises(bh.RangeError, match="from 0"):
            card.value(wrong)
    for wrong in (low - 1, high * 1.01 + 1, float("nan"), float("inf"), True, "3", [3], np.ones((3, 3))):
        with pytest.raises(
            bh.RangeError, match=f"{card.name}: expected {card.parameter}, a [a-z ]*number from"
        ) as told:
            card.checked(wrong)
        assert "\n" not in str(told.value)
    if card.whole:
        with pytest.raises(bh.RangeError, match="a whole number"):
            card.checked(low + 0.5)


def test_values_between_levels() -> None:
    assert find("gaussian_blur").value(4.5) == pytest.approx(3.5)
    assert find("jpeg2000").value(1.5) == pytest.approx((16 * 32) ** 0.5)
    assert find("jpeg").value(2.5) == 30


@each
def test_every_level_is_worse(card: bh.Distortion) -> None:
    """The mean squared error over three photographs; within one, shifts and overlaps may help by chance."""
    errors = np.zeros(6)
    for photo in photos():
        for level in range(1, 6):
            out = bh.distort(photo, card.name, level)
            assert out.dtype == np.uint8
            assert out.shape == photo.shape
            assert np.array_equal(out, photo) == ((card.name, level) in UNTOUCHED)
            errors[level] += error(out, photo)
    if card.signed:
        middle = errors[1:].tolist()
        assert middle[0] > middle[1] > middle[2] <= middle[3] < middle[4]
        return
    start = 1 if (card.name, 1) in UNTOUCHED else 0
    assert (np.diff(errors[start:]) > 0).all(), errors


@each
def test_levels_between_lie_between(card: bh.Distortion) -> None:
    photo = photos()[0]
    low, middle, high = (error(bh.distort(photo, card.name, v), photo) for v in (3, 3.5, 4))
    assert card.signed or min(low, high) * 0.98 <= middle <= max(low, high) * 1.02
    assert np.array_equal(bh.distort(photo, card.name, 0), photo)


@each
def test_kinds_of_pictures(card: bh.Distortion) -> None:
    picture = sample(card)
    kept = picture.copy()
    out = bh.distort(picture, card.name, 4, seed=7)
    assert np.array_equal(picture, kept), "the input is left alone"
    assert not np.array_equal(out, picture)
    whole = (picture / np.float32(255)).astype(np.float32)
    for kind in (np.float32, np.float64):
        other = bh.distort(whole.astype(kind), card.name, 4, seed=7)
        assert other.dtype == kind
        assert other.shape == picture.shape
        assert np.abs(other * 255 - out).max() <= 0.502
        assert other.min() >= 0
        assert other.max() <= 1
    deep = bh.distort(picture.astype(np.uint16) * np.uint16(257), card.name, 4, seed=7)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - out.astype(float)).max() <= 0.51
    view = bh.distort(np.asfortranarray(picture)[::-1, ::-1][::-1, ::-1], card.name, 4, seed=7)
    assert np.array_equal(view, out)


@each
def test_grey_and_small_pictures(card: bh.Distortion) -> None:
    grey = pattern("terrain/40x36/grey")
    if 1 not in card.channels:
        with pytest.raises(bh.ChannelError, match="needs RGB"):
            bh.distort(grey, card.name, 4)
    else:
        flat = bh.distort(grey[..., 0], card.name, 4)
        assert flat.shape == (36, 40)
        assert np.array_equal(bh.distort(grey, card.name, 4)[..., 0], flat)
    side = card.min_size
    for height, width in ((side, side), (side, side + 13), (side + 14, side)):
        small = pattern(f"terrain/{width}x{height}")
        assert bh.distort(small, card.name, 5).shape == small.shape
        assert bh.distort(np.full_like(small, 255), card.name, 5).shape == small.shape
    if side > 1:
        with pytest.raises(bh.SizeError, match=f"at least {side}x{side}"):
            bh.distort(small[: side - 1], card.name, 4)


def test_seeds_decide_in_every_process() -> None:
    code = (
        "import sys, zlib; sys.path.insert(0, sys.argv[1]); import beholder as bh; from patterns import pattern; "
        "p = pattern('terrain/72x56'); "
        "print(*(zlib.crc32(bh.distort(p, c.name, 3.5, seed=5).tobytes()) for c in bh.list_distortions()))"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    there = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.split()
    picture = pattern("terrain/72x56")
    here = [zlib.crc32(bh.distort(picture, n, 3.5, seed=5).tobytes()) for n in NAMES]
    assert [int(t) for t in there] == here
    other = [zlib.crc32(bh.distort(picture, n, 3.5, seed=6).tobytes()) for n in NAMES]
    same = {n for n, a, b in zip(NAMES, here, other, strict=True) if a == b}
    seeded = {"white_noise", "motion_blur", "jitter", "color_block", "packet_loss", "camera_shake", "moire"}
    assert not same & seeded
    assert {"jpeg", "gaussian_blur", "darken", "vignetting"} <= same


def test_chains() -> None:
    picture = photos()[0][:96, :96]
    one = bh.distort(picture, "white_noise", 2, seed=3)
    assert np.array_equal(bh.distort(picture, ["white_noise"], [2], seed=3), one)
    both = bh.distort(picture, ["gaussian_blur", "jpeg"], [4, 2], seed=3)
    assert np.array_equal(bh.distort(picture, "gaussian_blur+jpeg", [4, 2], seed=3), both)
    assert not np.array_equal(bh.distort(picture, "jpeg+gaussian_blur", [2, 4], seed=3), both)
    assert np.array_equal(bh.distort(picture, "jpeg+gaussian_blur", 0), picture)
    twice = bh.distort(picture, "white_noise+white_noise", 2, seed=3)
    assert error(twice, picture) == pytest.approx(2 * error(one, picture), rel=0.1), "two grains, not one doubled"
    with pytest.raises(bh.InputError, match="each of 2"):
        bh.distort(picture, "jpeg+webp", [1, 2, 3])
    with pytest.raises(bh.InputError, match="single"):
        bh.distort(picture, "jpeg+webp", psnr=30)


def test_random_chains() -> None:
    chains = [bh.draw_chain(s) for s in range(300)]
    assert chains == [bh.draw_chain(s) for s in range(300)]
    assert {len(c) for c in chains} == {1, 2, 3, 4}
    assert all(len({find(n).group for n, _ in c}) == len(c) for c in chains)
    levels = [v for c in chains for _, v in c]
    assert min(levels) >= 0
    assert max(levels) <= 5
    assert np.median(levels) < 2.5
    assert {n for c in chains for n, _ in c} == set(NAMES)
    assert {n for s in range(30) for n, _ in bh.draw_chain(s, ["jpeg", "white_noise"])} == {"jpeg", "white_noise"}
    for wrong in ({"longest": 0}, {"longest": 1.5}, {"spread": 0}, {"spread": "wide"}, {"spread": float("nan")}):
        with pytest.raises(bh.RangeError):
            bh.draw_chain(1, **wrong)
    with pytest.raises(bh.InputError):
        bh.draw_chain(1, [])


def test_chains_for_grey_pictures() -> None:
    drawn = {n for s in range(300) for n, _ in bh.draw_chain(s, channels=1)}
    assert drawn == {c.name for c in CARDS if 1 in c.channels}
    assert bh.draw_chain(7, channels=3) == bh.draw_chain(7)
    with pytest.raises(bh.ChannelError, match="none of the distortions named"):
        bh.draw_chain(1, ["color_shift", "demosaicking"], channels=1)


@each
def test_values_at_the_limits(card: bh.Distortion) -> None:
    """Whatever may be asked for gives a picture: finite, in range, in a moment."""
    picture = sample(card, "40x36").astype(np.float32) / np.float32(255)
    for value in card.limits:
        out = bh.distort(picture, card.name, value=value)
        assert out.shape == picture.shape
        assert np.isfinite(out).all()
        assert 0 <= out.min() <= out.max() <= 1


@each
def test_pictures_that_are_long_and_thin(card: bh.Distortion) -> None:
    """Codecs have a largest side; a picture beyond it is refused by the size, one within it is not."""
    sides = (70_000,) if card.max_side is None else (card.max_side, card.max_side + 1)
    for side in sides:
        for shape in ((card.min_size, side), (side, card.min_size)):
            long = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
            if card.max_side is None or side == card.max_side:
                assert bh.distort(long, card.name, 4).shape == long.shape
                continue
            told = f"{card.name} takes at most {card.max_side} pixels a side, got {shape[1]}x{shape[0]}"
            with pytest.raises(bh.SizeError, match=told):
                bh.distort(long, card.name, 4)


def test_what_a_codec_refuses_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("Failed to encode image:\nOut of everything")

    monkeypatch.setattr(Image.Image, "save", refuse)
    told = "^AVIF cannot code a picture of 72x56 pixels: Failed to encode image: Out of everything; pass"
    with pytest.raises(bh.InputError, match=told):
        bh.distort(pattern("terrain/72x56"), "avif", 3)


def test_codecs_do_not_heed_pillows_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    picture = pattern("terrain/72x56")
    names = ("jpeg", "jpeg2000", "avif", "jpeg_transmission_errors", "jpeg2000_transmission_errors")
    expected = [bh.distort(picture, n, 3) for n in names]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for name, out in zip(names, expected, strict=True):
        assert np.array_equal(bh.distort(picture, name, 3), out)
    with pytest.raises(bh.InputError, match=r"WEBP cannot code a picture of 72x56 pixels: .* exceeds limit of 200"):
        bh.distort(picture, "webp", 3)


@pytest.mark.parametrize("name", ["jpeg", "jpeg2000", "webp", "avif", "gaussian_blur", "white_noise"])
def test_target_psnr(name: str) -> None:
    photo = photos()[0]
    measure = bh.metric("psnr")
    out = bh.distort(photo, name, psnr=31.0)
    batch = [np.ascontiguousarray(p.transpose(2, 0, 1)[None]) for p in (out, photo)]
    assert float(measure(*batch)[0]) == pytest.approx(31, abs=0.5)


def test_values_and_wrong_wishes() -> None:
    photo = photos()[0]
    store = io.BytesIO()
    from PIL import Image

    Image.fromarray(photo).save(store, "JPEG", quality=24)
    assert np.array_equal(bh.distort(photo, "jpeg", value=24), np.asarray(Image.open(store)))
    assert np.array_equal(bh.distort(photo, "jpeg", 3), np.asarray(Image.open(store)))
    for wrong, raised in (
        ({"value": 500}, bh.RangeError),
        ({"value": 0}, bh.RangeError),
        ({"value": 30.5}, bh.RangeError),
        ({"level": "high"}, bh.RangeError),
        ({"level": [None]}, bh.RangeError),
        ({"level": True}, bh.RangeError),
        ({"level": []}, bh.InputError),
        ({"psnr": "high"}, bh.RangeError),
        ({"value": 3, "psnr": 30}, bh.InputError),
        ({"psnr": -1}, bh.RangeError),
        ({"psnr": float("nan")}, bh.RangeError),
        ({"seed": -1}, bh.RangeError),
        ({"seed": 1.5}, bh.RangeError),
        ({"level": 6}, bh.RangeError),
    ):
        with pytest.raises(raised):
            bh.distort(photo, "jpeg", **wrong)
    for names, raised, told in (
        ([], bh.InputError, "no distortion is named"),
        (3, bh.UnknownDistortionError, "got int"),
        (None, bh.UnknownDistortionError, "got NoneType"),
        (b"jpeg", bh.UnknownDistortionError, "got bytes"),
        ([3], bh.UnknownDistortionError, "got int"),
        ("jpeg+", bh.UnknownDistortionError, "'jpeg[+]' has no distortion beside a [+]"),
        ("+", bh.UnknownDistortionError, "beside a [+]"),
    ):
        with pytest.raises(raised, match=told):
            bh.distort(photo, names)
    assert np.array_equal(bh.distort(photo, "jpeg", np.array(2)), bh.distort(photo, "jpeg", np.float32(2)))
    with pytest.raises(bh.InputError, match="no order by PSNR"):
        bh.distort(photo, "mean_shift", psnr=30)
    for image, raised in (
        (photo.tolist(), bh.LayoutError),
        (photo[None], bh.LayoutError),
        (photo.transpose(2, 0, 1), bh.ChannelError),
        (photo.astype(np.int32), bh.RangeError),
        (photo.astype(np.float32), bh.RangeError),
        (np.full((4, 4), np.nan), bh.RangeError),
        (photo[:0], bh.SizeError),
    ):
        with pytest.raises(raised):
            bh.distort(image, "jpeg")


# ------------------------------------------------------------------------------------------------ outside truth


def test_kernels_are_matlabs() -> None:
    """The values of fspecial("disk", 1) and fspecial("motion", 10, 0), as MATLAB's documentation defines them."""
    disk = [[0.0251, 0.1453, 0.0251], [0.1453, 0.3183, 0.1453], [0.0251, 0.1453, 0.0251]]
    assert np.abs(blur.disk(1) - disk).max() < 6e-5
    assert blur.disk(5).shape == (11, 11)
    assert blur.disk(5)[5, 5] == pytest.approx(1 / (np.pi * 25), rel=1e-3)
    assert np.allclose(blur.line(10, 0), np.r_[0.05, np.full(9, 0.1), 0.05][None])
    assert np.allclose(blur.line(9, np.pi / 2), np.full((9, 1), 1 / 9))


def test_filters_are_scipys() -> None:
    from scipy import ndimage

    x = photos()[0].astype(np.float32) / 255
    for sigma in (0.5, 2.0, 5.0):
        radius = int(np.ceil(2 * sigma))
        expected = ndimage.gaussian_filter(x, (sigma, sigma, 0), mode="nearest", radius=(radius, radius, 0))
        assert np.abs(planes.gaussian(x, sigma) - expected).max() < 2e-6
    kernel = np.random.default_rng(0).random((5, 9))
    expected = np.stack([ndimage.convolve(x[..., c], kernel, mode="nearest") for c in range(3)], axis=2)
    assert np.abs(planes.convolve(x, kernel) - expected).max() < 2e-5
    rows, columns = np.random.default_rng(1).uniform(-3, 200, (2, *x.shape[:2])).astype(np.float32)
    expected = ndimage.map_coordinates(x[..., 0], [rows, columns], order=1, mode="nearest")
    assert np.abs(planes.warp(x, rows, columns)[..., 0] - expected).max() < 1e-4


def test_colours_are_those_of_scikit_image() -> None:
    from skimage import color

    x = photos()[0].astype(np.float32) / 255
    assert np.abs(planes.rgb_to_lab(x) - color.rgb2lab(x)).max() < 0.02
    assert np.abs(planes.lab_to_rgb(planes.rgb_to_lab(x)) - x).max() < 1e-4
    assert np.abs(planes.rgb_to_ycbcr(x) * 255 - color.rgb2ycbcr(x)).max() < 0.01
    assert np.abs(planes.ycbcr_to_rgb(planes.rgb_to_ycbcr(x)) - x).max() < 1e-5
    assert np.abs(planes.from_light(planes.to_light(x)) - x).max() < 1e-4
    hue, saturation, brightness = colorsys.rgb_to_hsv(0.8, 0.3, 0.5)
    expected = colorsys.hsv_to_rgb(hue, saturation * 0.4, brightness)
    got = bh.distort(np.array([[[0.8, 0.3, 0.5]]]), "color_saturation_1", 1)[0, 0]
    assert got == pytest.approx(expected, abs=1e-6)


def test_thresholds_are_otsus() -> None:
    from skimage.filters import threshold_multiotsu

    values = photograph("camera")[..., 0] // 8 * 8
    histogram = np.bincount(values.ravel(), minlength=256)
    for classes in (2, 3, 4):
        assert spatial.otsu(histogram, classes - 1).tolist() == threshold_multiotsu(values, classes).tolist()


def test_tone_curves_by_hand() -> None:
    grey = np.array([[0.0, 0.25, 0.5, 1.0]])
    # Parabolas through (0, 0), (.5, .5 ± amount / 2), (1, 1): x + 4 d x (1 - x).
    assert bh.distort(grey, "brighten", value=0.2)[0] == pytest.approx([0, 0.325, 0.6, 1], abs=1e-5)
    assert bh.distort(grey, "darken", value=0.2)[0] == pytest.approx([0, 0.175, 0.4, 1], abs=1e-5)
    assert bh.distort(np.array([[0.3, 0.7]]), "contrast_change", 5)[0] == pytest.approx([0.4, 0.6], abs=1e-5)


def test_noise_has_the_power_it_says() -> None:
    grey = np.full((256, 256, 3), 0.5)
    for name in ("white_noise", "spatially_correlated_noise", "masked_noise", "high_frequency_noise"):
        out = bh.distort(grey, name, 3)
        assert error(out, grey) == pytest.approx(find(name).levels[2], rel=0.03)
    out = bh.distort(np.full((256, 256, 3), 0.8), "multiplicative_noise", 3)
    assert error(out, 0.8) == pytest.approx(0.64 * 0.01, rel=0.02)
    salted = bh.distort(grey, "impulse_noise", 5)
    assert [float(np.mean(salted == v)) for v in (0, 1)] == pytest.approx([0.015, 0.015], abs=0.001)


def test_denoising_removes_noise_and_detail() -> None:
    x = photos()[0].astype(np.float32) / 255
    noisy = x + np.random.default_rng(0).standard_normal(x.shape).astype(np.float32) * 0.1
    assert error(noise.shrink_noise(noisy, 0.1), x) < 0.35 * error(noisy, x)


def test_jpeg2000_keeps_to_its_ratio() -> None:
    from beholder.distortions.compression import encode, jpeg2000_options

    x = photos()[0].astype(np.float32) / 255
    size = len(encode(x, "JPEG2000", quality_mode="rates", quality_layers=[32.0], **jpeg2000_options(x)))
    assert 0.85 * photos()[0].size / 32 < size < 1.1 * photos()[0].size / 32


def documented(card: bh.Distortion) -> str:
    """The row of a distortion in the table of the documentation."""
    numbers = " ".join(f"{s.upper()} {n}" for s, n in card.sets.items()) or "–"
    unit = f" ({card.unit})" if card.unit else ""
    levels = ", ".join(f"{v:.3g}" for v in card.levels)
    colour = "" if 1 in card.channels else " RGB only."
    limits = f"{card.limits[0]:g} to {card.limits[1]:g}"
    return f"| `{card.name}` | {numbers} | {card.summary}{colour} | {card.parameter}{unit} | {levels} | {limits} |"


def test_the_documentation_lists_them_all() -> None:
    page = (Path(__file__).parents[1] / "docs/howto/distort.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    groups = sorted({c.group for c in CARDS})
    assert rows == [documented(c) for g in groups for c in bh.list_distortions(g)]


# ------------------------------------------------------------------------------------------------ people


def people(data: Path) -> dict[tuple[int, int], float]:
    """Mean opinion of each type and level of KADID-10k; its column dmos runs from 1 to 5, higher is better."""
    with (data / "mos" / "kadid10k_type_level.csv").open() as file:
        return {(int(r["type"]), int(r["level"])): float(r["mean_dmos"]) for r in csv.DictReader(file)}


def test_numbers_and_levels_are_those_that_people_saw(data: Path) -> None:
    seen = people(data)
    for card in bh.list_distortions("kadid"):
        opinion = np.array([seen[card.sets["kadid"], level] for level in range(1, 6)])
        for level in range(1, 6):
            if (card.name, level) in UNTOUCHED:
                assert opinion[level - 1] > 4.5, "an untouched picture looks like one"
        if card.signed:
            assert opinion.argmax() == 2
        else:
            assert (np.diff(opinion) < 0.02).all(), card.name  # people saw no difference between color_shift 4 and 5
    # In the published order of signs: what is added first brightens, and contrast is first raised.
    assert find("mean_shift").levels[0] > 0 > find("mean_shift").levels[4]
    assert find("contrast_change").levels[0] > 0 > find("contrast_change").levels[4]
    # Amount 0 still adds contrast, so level 3 is no untouched picture, and people saw that.
    assert seen[25, 3] < 4.4
