"""The shipped model: its files, its size rule, tiles, interval and domain."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import beholder as bh
from beholder.errors import ModelError
from beholder.models import files, runtime, viewing
from beholder.models.judging import Judge
from beholder.models.runtime import Assessor, assessor, mirror_to, reduce_to_view, tiles
from beholder.training.variants import sign_graph

OTHER_TILING = 0.5
"""Points on 0-100 by which two tilings of one picture may differ; stated in the documentation."""


def picture(samples: Path, name: str = "coffee") -> Any:
    return bh.read_image(samples / "originals" / f"{name}.jpg").pixels


def enlarged(samples: Path, factor: int, name: str = "coffee") -> Any:
    from scipy.ndimage import zoom

    return np.clip(zoom(picture(samples, name), (1, factor, factor), order=3), 0, 1).astype(np.float32)


def test_the_header_says_what_the_model_is() -> None:
    header = files.read_header(files.shipped("beholder.safetensors"))
    assert assessor().header == header
    assert header["scale"] == "0-100, higher is better"
    assert header["data"]["pictures"] == {"train": 9_000, "validation": 1_000, "test": 2_000}
    assert header["parameters"] < 6_000_000
    assert header["config"]["model"]["architecture"] == "beholder"
    assert header["interval"]["level"] == 0.9
    rule = header["size_rule"]
    assert (rule["viewing_area"], rule["min_side"], rule["cell"]) == (
        viewing.VIEWING_AREA,
        viewing.MIN_SIDE,
        runtime.CELL,
    )


def test_the_tiny_model_is_tiny() -> None:
    assert sum(files.shipped(f"cnniqa{ending}").stat().st_size for ending in runtime.BESIDE) < 1_000_000
    assert files.read_header(files.shipped("cnniqa.safetensors"))["data"]["pictures"]["train"] == 9_000


def test_the_shipped_files_are_small_and_hold_the_weights_once() -> None:
    sizes = [files.shipped(f"beholder{ending}").stat().st_size for ending in runtime.FILES]
    assert sum(sizes) < 12_000_000
    assert sizes[0] + sizes[1] < 500_000


def test_the_quick_form_says_nearly_the_same(samples: Path) -> None:
    quick = files.shipped("beholder.int8.onnx")
    assert quick.stat().st_size < 12_000_000
    variant = Judge("beholder-int8").header["variant"]
    assert 0 <= variant["original_srcc"] - variant["srcc"] < 0.003
    for name in ("coffee", "astronaut", "camera"):
        path = samples / "originals" / f"{name}.jpg"
        row = bh.score(path, metrics=["beholder"], models="beholder-int8")
        near, exact = row["beholder-int8"], row["beholder"]
        assert near.value == pytest.approx(exact.value, abs=4)
        assert near.low < exact.value < near.high
        assert near.flags == exact.flags
        assert near.weights != exact.weights


def test_other_arithmetic_in_eight_bits_is_told(tmp_path: Path) -> None:
    """As on a processor that cuts sums off: the file's test picture has another score."""
    path = files.shipped("beholder.int8.onnx")
    header = Judge(path).header
    header["variant"]["probe"] += 5
    (tmp_path / "other.onnx").write_bytes(sign_graph(path.read_bytes(), header))
    with pytest.raises(ModelError, match="adds eight-bit products otherwise; use the model in floats"):
        Judge(tmp_path / "other.onnx")


@pytest.mark.parametrize("name", ["beholder", "cnniqa"])
@pytest.mark.parametrize("shape", [(32, 32), (33, 200), (128, 130), (300, 451), (1100, 1000)])
def test_onnx_and_pytorch_are_twins(shape: tuple[int, int], name: str) -> None:
    import torch

    rng = np.random.default_rng(1)
    smooth = np.kron(rng.random((1, 3, *(-(-s // 16) for s in shape))), np.ones((16, 16)))
    image = smooth[..., : shape[0], : shape[1]].astype(np.float32)
    metric = bh.metric(name)
    assert float(metric(torch.from_numpy(image))[0]) == pytest.approx(float(metric(image)[0]), abs=0.05)


def test_grey_counts_as_equal_channels(samples: Path) -> None:
    grey = picture(samples, "camera")
    assert grey.shape[0] == 1
    assert assessor().assess(grey) == assessor().assess(np.repeat(grey, 3, axis=0))


@pytest.mark.parametrize("size", [(32, 32), (32, 500), (47, 33), (127, 129)])
def test_small_pictures_have_a_score(samples: Path, size: tuple[int, int]) -> None:
    crop = picture(samples)[:, 100 : 100 + size[0], 50 : 50 + size[1]]
    row = bh.score(np.ascontiguousarray(crop), layout="CHW")
    assert 0 <= row["beholder"].value <= 100


def test_pictures_under_32_pixels_are_refused() -> None:
    with pytest.raises(bh.SizeError, match="at least 32x32"):
        bh.score(np.zeros((31, 64), np.uint8))


def test_mirroring_keeps_what_is_there() -> None:
    image = np.arange(3 * 5 * 7, dtype=np.float32).reshape(3, 5, 7)
    grown = mirror_to(image, 12)
    assert grown.shape == (3, 12, 12)
    assert (grown[:, :5, :7] == image).all()
    assert (grown[:, 5, :7] == image[:, 4]).all()
    assert mirror_to(image, 5) is image


def test_the_viewing_size_keeps_shape_and_content() -> None:
    rows = np.linspace(0, 1, 3000, dtype=np.float32)[None, :, None]
    seen = reduce_to_view(np.broadcast_to(rows, (3, 3000, 1500)).copy())
    assert seen.shape[1] * seen.shape[2] <= viewing.VIEWING_AREA
    assert seen.shape[1] / seen.shape[2] == pytest.approx(2, rel=0.01)
    assert np.abs(seen[0, :, 0] - np.linspace(0, 1, seen.shape[1])).max() < 0.002
    small = np.random.default_rng(0).random((3, 1024, 1024), dtype=np.float32)
    assert (reduce_to_view(small) == small).all()


def test_a_thin_picture_costs_no_more_than_others() -> None:
    assert viewing.viewing_size(32, 5000) == (32, 5000)
    height, width = viewing.viewing_size(40, 10_000)
    assert (height, width) == (32, 8192)
    for thin in ((32, 600_000), (9000, 32)):
        with pytest.raises(bh.SizeError, match="cut it into pieces"):
            viewing.viewing_size(*thin)
    assert bh.score(np.zeros((32, 9000), np.uint8), metrics="beholder:native")["beholder:native"].value >= 0


def test_integers_and_floats_score_alike(samples: Path) -> None:
    native = bh.read_image(samples / "originals" / "coffee.jpg").native
    values = [
        bh.score(picture, layout="HWC", metrics=["beholder", "beholder:native"])
        for picture in (native, native.astype(np.uint16) * 257, native.astype(np.float32) / 255)
    ]
    for name in ("beholder", "beholder:native"):
        assert [v[name].value for v in values] == pytest.approx([values[0][name].value] * 3, abs=1e-3)


@pytest.mark.parametrize(
    ("shape", "tile", "margin"), [((1000, 2000), 768, 256), ((64, 64), 64, 0), ((831, 65), 128, 64)]
)
def test_tiles_cover_every_cell_once(shape: tuple[int, int], tile: int, margin: int) -> None:
    cells = np.zeros((shape[0] // 64, shape[1] // 64), int)
    for part in tiles(shape, tile, margin):
        top, left, bottom, right = part.inner
        first = part.rows.start // 64 + top, part.columns.start // 64 + left
        height = min(bottom, (part.rows.stop - part.rows.start) // 64) - top
        width = min(right, (part.columns.stop - part.columns.start) // 64) - left
        assert part.rows.start % 64 == part.columns.start % 64 == 0
        assert part.rows.stop <= shape[0]
        assert part.columns.stop <= shape[1]
        cells[first[0] : first[0] + height, first[1] : first[1] + width] += 1
    assert (cells == 1).all()


def test_native_is_independent_of_the_tiling(samples: Path) -> None:
    image = enlarged(samples, 3)
    model = Assessor("beholder", threads=2)
    whole = model.assess(image, native=True, tile=1 << 20, margin=0).value
    for tile in (512, 768):
        assert model.assess(image, native=True, tile=tile).value == pytest.approx(whole, abs=OTHER_TILING)
    assert abs(model.assess(image).value - whole) > 2 * OTHER_TILING  # 100 % and viewing size are two questions


def test_native_equals_the_default_up_to_a_megapixel(samples: Path) -> None:
    image = samples / "originals" / "coffee.jpg"
    row = bh.score(image, metrics=["beholder", "beholder:native"])
    assert row["beholder:native"].value == pytest.approx(row["beholder"].value, abs=1e-4)
    assert (row["beholder:native"].preset, row["beholder"].preset) == ("native", "")


@pytest.mark.parametrize(
    ("value", "word"), [(0, "bad"), (19.9, "bad"), (20, "poor"), (59, "fair"), (80, "excellent"), (100, "excellent")]
)
def test_words_of_the_scale(value: float, word: str) -> None:
    from beholder.metrics.deep import word_of

    assert word_of(value) == word


def test_noise_is_flagged_and_photographs_are_not(samples: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    row = bh.score(noise, layout="HWC")
    assert row["flags"] == ("out_of_domain",)
    assert bh.score(samples / "originals" / "coffee.jpg")["flags"] == ()


def test_a_tensor_gets_a_finite_gradient(samples: Path) -> None:
    import torch

    image = torch.from_numpy(picture(samples)[None, :, :96, :96]).requires_grad_()
    bh.Loss("beholder")(image).backward()
    assert image.grad is not None
    assert bool(torch.isfinite(image.grad).all())
    assert float(image.grad.abs().sum()) > 0


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "gone"])
@pytest.mark.parametrize("ending", runtime.FILES)
def test_damaged_model_files_are_typed_errors(
    ending: str, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in runtime.FILES:
        shutil.copy(files.shipped(f"beholder{part}"), tmp_path)
    broken = tmp_path / f"beholder{ending}"
    data = broken.read_bytes()
    broken.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "text": b"not a model", "gone": b""}[damage])
    if damage == "gone":
        broken.unlink()
    monkeypatch.setattr(files.resources, "files", lambda _: tmp_path.parent)
    (tmp_path.parent / "weights").unlink(missing_ok=True)
    (tmp_path.parent / "weights").symlink_to(tmp_path)
    with pytest.raises(ModelError):
        Assessor("beholder")


def test_safetensors_headers_are_checked(tmp_path: Path) -> None:
    good = files.shipped("beholder.safetensors").read_bytes()
    cases = {"empty": b"", "text": b"hello world, this is text", "huge": b"\xff" * 8 + good[8:100], "cut": good[:100]}
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError):
            files.read_header(tmp_path / name)
    import torch

    files.save_model(tmp_path / "own", {"a": torch.ones(3), "n": torch.arange(2)}, {"name": "own"})
    header, state = files.load_model(tmp_path / "own")
    assert header == {"name": "own", "format": files.FORMAT}
    assert state["a"].dtype == torch.float32
    assert state["n"].tolist() == [0, 1]
    with pytest.raises(ModelError, match="header format"):
        files.parse_header('{"format": 99}', "x")
    with pytest.raises(ModelError, match="no Beholder header"):
        files.parse_header(None, "x")
