"""The pipe: rows in order, errors as rows, flat memory, pairs."""

from __future__ import annotations

import gc
import io
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import beholder as bh
from beholder.metrics import Measure
from beholder.scoring import choose, columns_of

Make = Callable[..., Path]


def test_a_picture_alone_gets_the_default_score(samples: Path) -> None:
    row = bh.score(samples / "originals" / "coffee.jpg")
    score = row["beholder"]
    assert score.low < score.value < score.high
    assert score.word in ("bad", "poor", "fair", "good", "excellent")
    assert (row["width"], row["height"]) == (600, 400)
    assert (score.metric, score.better, len(score.weights)) == ("beholder", "higher", 12)
    assert list(row) == ["image", "reference", "width", "height", "beholder", "flags", "error"]
    assert row.flat().keys() == set(columns_of(choose(None, paired=False)))


def test_a_pair_gets_psnr_and_ssim(samples: Path) -> None:
    row = bh.score(samples / "degraded" / "coffee.jpg", samples / "originals" / "coffee.jpg")
    assert list(row.scores) == ["psnr", "ssim"]
    assert row["reference"].endswith("originals/coffee.jpg")
    assert 20 < row["psnr"].value < 30
    assert row["ssim"].low is None


def test_every_degraded_sample_scores_below_its_original(samples: Path) -> None:
    for original in sorted((samples / "originals").iterdir()):
        better, worse = (bh.score(p)["beholder"].value for p in (original, samples / "degraded" / original.name))
        assert worse < better - 5, original.name


@pytest.mark.parametrize("kind", ["path", "bytes", "file", "pil", "array", "tensor"])
def test_all_sources_of_one_picture_score_alike(samples: Path, kind: str) -> None:
    path = samples / "originals" / "chelsea.jpg"
    with Image.open(path) as opened:
        picture = opened.copy()
    array = np.asarray(picture)
    import torch

    sources: dict[str, Any] = {
        "path": str(path),
        "bytes": path.read_bytes(),
        "file": io.BytesIO(path.read_bytes()),
        "pil": picture,
        "array": array,
        "tensor": torch.from_numpy(array.copy()),
    }
    layout = "HWC" if kind in ("array", "tensor") else None
    value = bh.score(sources[kind], layout=layout)["beholder"].value
    assert value == bh.score(path)["beholder"].value


def test_a_wrong_source_raises_its_typed_error(tmp_path: Path, samples: Path) -> None:
    with pytest.raises(bh.ReadError, match=r"no such file|does not exist"):
        bh.score(tmp_path / "none.png")
    with pytest.raises(bh.SizeError, match="400x600"):
        bh.score(samples / "originals" / "coffee.jpg", samples / "originals" / "chelsea.jpg")
    with pytest.raises(bh.ChannelError, match="grey or RGB"):
        bh.score(np.zeros((400, 600), np.uint8), samples / "originals" / "coffee.jpg", layout="HW")


@pytest.mark.parametrize(
    ("metrics", "error"),
    [
        ("psnr", bh.InputError),
        ("nope", bh.UnknownMetricError),
        ("", bh.InputError),
        (["ssim:no"], bh.UnknownMetricError),
    ],
)
def test_wrong_metrics_raise_before_any_work(metrics: Any, error: type[Exception]) -> None:
    def images() -> Iterator[str]:
        raise AssertionError("the inputs were touched")
        yield ""

    with pytest.raises(error):
        bh.score_many(images(), metrics=metrics)


def test_wrong_use_of_the_api_is_told(samples: Path) -> None:
    path = str(samples / "originals" / "coffee.jpg")
    for call in (
        lambda: bh.score_many(path),
        lambda: bh.score_many([path], workers=0),
        lambda: bh.score(path, threads=-1),
        lambda: bh.score(path, metrics=[3]),
        lambda: bh.score(None),
        lambda: bh.metric(None),
        lambda: bh.list_metrics("x"),
    ):
        with pytest.raises(bh.InputError):
            call()


def test_rows_come_in_order_with_errors_as_rows(make_picture: Make, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.jpg").touch()
    good = [make_picture(f"{i}.png", (40 + i, 50)) for i in range(10)]
    images = [good[0], tmp_path / "text.png", *good[1:5], tmp_path / "gone.png", *good[5:], tmp_path / "empty.jpg"]
    rows = list(bh.score_many(images, workers=3))
    assert [r["image"] for r in rows] == [str(p) for p in images]
    assert [r["error"].partition(":")[0] for r in rows if r["error"]] == ["ReadError"] * 3
    assert [r["width"] for r in rows if not r["error"]] == list(range(40, 50))
    assert all(set(r.flat()) <= set(columns_of(choose(None, paired=False))) for r in rows)


def test_workers_do_not_change_the_values(make_picture: Make) -> None:
    images = [make_picture(f"{i}.png", (200 + 7 * i, 180), seed=i) for i in range(6)]
    others = [make_picture(f"r/{i}.png", (200 + 7 * i, 180), seed=i + 50) for i in range(6)]
    names = ["psnr", "ssim", "ssim:y", "gmsd", "ms_ssim", "beholder"]
    one, three = (list(bh.score_many(images, others, names, workers=w)) for w in (1, 3))
    for a, b in zip(one, three, strict=True):
        assert a["error"] == b["error"] == ""
        for name in names:
            assert a[name].value == pytest.approx(b[name].value, rel=1e-6)


def test_references_may_be_a_function_whose_error_is_a_row(make_picture: Make) -> None:
    images = [make_picture("a.png"), make_picture("b.png")]

    def find(image: Path) -> Path:
        if image.stem == "b":
            raise bh.PairError("no reference for b")
        return image

    rows = list(bh.score_many(images, find, "psnr"))
    assert rows[0]["psnr"].value == float("inf")
    assert rows[1]["error"] == "PairError: no reference for b"


@pytest.mark.parametrize("count", [1, 3])
def test_a_list_of_references_of_another_length_is_an_error(make_picture: Make, count: int) -> None:
    images = [make_picture("a.png"), make_picture("b.png")]
    with pytest.raises(bh.InputError, match=r"more (images|references) than"):
        list(bh.score_many(images, [images[0]] * count, "psnr"))


def test_an_unforeseen_failure_is_a_row_too(make_picture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import beholder.scoring

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(beholder.scoring, "_measure", fail)
    assert [r["error"] for r in bh.score_many([make_picture("a.png")])] == ["ZeroDivisionError: a bug"]


def test_inputs_are_taken_as_needed_and_left_when_the_reader_leaves(make_picture: Make) -> None:
    path, taken = make_picture("a.png"), 0

    def images() -> Iterator[Path]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield path

    rows = bh.score_many(images(), metrics="beholder", workers=2)
    next(rows)
    rows.close()  # type: ignore[attr-defined]
    assert taken <= 16
    assert not [t for t in threading.enumerate() if t.name.startswith("beholder-score")]


def test_memory_does_not_grow_with_the_number_of_pictures(make_picture: Make) -> None:
    path = make_picture("a.png", (256, 256))

    def peak(count: int) -> int:
        gc.collect()
        tracemalloc.start()
        for _ in bh.score_many((path for _ in range(count)), lambda image: image, "psnr,ssim", workers=2):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(20)
    assert peak(300) < 1.3 * peak(30) + 200_000


def test_one_reference_of_many_images_is_read_once(make_picture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import beholder.scoring as scoring

    reads: list[str] = []
    true_read = scoring.read_image

    def counting(source: Any, **options: Any) -> Any:
        reads.append(str(source))
        return true_read(source, **options)

    monkeypatch.setattr(scoring, "read_image", counting)
    reference = make_picture("r.png")
    rows = list(
        bh.score_many([make_picture(f"{i}.png") for i in range(8)], lambda _: str(reference), "psnr", workers=1)
    )
    assert len(rows) == 8
    assert reads.count(str(reference)) == 1


def test_sixteen_bit_pairs_are_compared_at_full_depth(tmp_path: Path) -> None:
    base = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    Image.fromarray(base).save(tmp_path / "a.png")
    Image.fromarray(base + 1).save(tmp_path / "b.png")
    row = bh.score(tmp_path / "b.png", tmp_path / "a.png", "psnr,ssim")
    assert row["psnr"].value == pytest.approx(20 * np.log10(65535), abs=1e-9)


def test_a_metric_that_fails_leaves_the_others_alone(make_picture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_picture("wide.png", (300, 40))
    names = ["entropy", "niqe", "niqe:live", "brisque"]
    (row,) = bh.score_many([path], metrics=names)
    assert (row["width"], row["height"], list(row.scores)) == (300, 40, ["entropy", "brisque"])
    assert row["entropy"].value == bh.score(path, metrics="entropy")["entropy"].value
    assert row["error"] == (
        "SizeError: niqe needs at least 192x192 pixels, got 40x300; pass larger pictures (likewise niqe:live)"
    )
    with pytest.raises(bh.SizeError):
        bh.score(path, metrics=names)

    def fail(self: Measure, *_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Measure, "scores", fail)
    (row,) = bh.score_many([path], metrics=["entropy", "brisque"])
    assert row["error"] == "ZeroDivisionError: entropy: a bug (likewise brisque)"


def test_fitted_models_and_settings_of_ones_own_reach_the_score(make_picture: Make, tmp_path: Path) -> None:
    from patterns import batch, photograph

    photographs = [photograph("coffee")[:384, :480], photograph("astronaut")[100:388, :384]]
    model = bh.fit_niqe([batch(p)[0] for p in photographs], block=48, sharpness=0)
    file = tmp_path / "own.safetensors"
    model.save(file)
    picture = tmp_path / "a.png"
    Image.fromarray(photograph("chelsea")[:288, :384]).save(picture)
    expected = bh.metric("niqe", model=model).scores(batch(photograph("chelsea")[:288, :384]))[0]
    assert len(expected.weights) == 12
    usual = bh.score(picture, metrics="niqe")["niqe"].value
    for given in ({"niqe": file}, {"niqe": str(file)}, {"NIQE": model}):
        score = bh.score(picture, metrics="entropy,niqe", weights=given)["niqe"]
        assert score.value == pytest.approx(expected.value, rel=1e-9)
        assert score.value != pytest.approx(usual, rel=1e-3)
        assert len(score.weights) == 12
    (row,) = bh.score_many([picture], metrics=["niqe:live"], weights={"niqe": file})  # by the metric's name
    assert row["niqe:live"].value != pytest.approx(bh.score(picture, metrics="niqe:live")["niqe:live"].value, rel=1e-3)
    row = bh.score(picture, metrics=[bh.metric("niqe", model=file), "entropy"])
    assert list(row.scores) == ["niqe", "entropy"]
    assert row["niqe"].value == pytest.approx(expected.value, rel=1e-9)
    flip = bh.metric("flip", ppd=30.0)
    assert bh.score(picture, picture, flip)["flip"].value == 0
    with pytest.raises(bh.InputError, match="two metrics with different settings are called flip"):
        choose([flip, "flip"], paired=True)
    row = bh.score(picture, picture, {"near": flip, "usual": "flip"})
    assert {name: score.metric for name, score in row.scores.items()} == {"near": "flip", "usual": "flip"}
    with pytest.raises(bh.InputError, match="cannot be called 'flags'"):
        choose({"flags": flip}, paired=True)


def test_files_that_do_not_fit_are_told_before_any_picture(tmp_path: Path) -> None:
    from patterns import photograph

    def images() -> Iterator[str]:
        raise AssertionError("the inputs were touched")
        yield ""

    text = tmp_path / "text.safetensors"
    text.write_bytes(b"these are no parameters")
    model = bh.fit_niqe([photograph("coffee")[:384, :480].transpose(2, 0, 1)], block=48, sharpness=0)
    niqe, torn = tmp_path / "niqe.safetensors", tmp_path / "torn.safetensors"
    model.save(niqe)
    type(model)(model.header, {"mean": model["mean"][:7], "covariance": model["covariance"]}).save(torn)
    for name, given, error, told in (
        ("niqe", text, bh.ModelError, "no safetensors file"),
        ("niqe", torn, bh.ModelError, "no model for niqe: mean is missing or of another shape"),
        ("niqe", tmp_path / "gone.safetensors", bh.ModelError, "cannot be read: No such file"),
        ("brisque", niqe, bh.ModelError, "holds a model for 'niqe'"),
        ("brisque", 3, bh.ModelError, "takes a model as a path"),
        ("entropy", niqe, bh.InputError, "entropy takes no file"),
    ):
        with pytest.raises(error, match=told):
            bh.score_many(images(), metrics=name, weights={name: given})
    with pytest.raises(bh.InputError, match=r"weights are files by metric such as .* got 'alex.pth'"):
        bh.score("a.png", metrics="niqe", weights="alex.pth")  # type: ignore[arg-type]
    with pytest.raises(bh.InputError, match="which is not measured"):
        bh.score_many(images(), metrics="entropy", weights={"niqe": niqe})
