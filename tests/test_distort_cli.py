"""Labelled sets of distorted pictures, made as a user makes them."""

from __future__ import annotations

import csv
import io
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import beholder as bh
from beholder.distorting import COLUMNS, choose_distortions, plan, write
from beholder.encoding import encode

Make = Callable[..., Path]
CODECS = ("avif", "webp", "jpeg")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "beholder", "distort", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.fixture
def originals(make_picture: Make, tmp_path: Path) -> Path:
    make_picture("in/a/one.png", seed=1)
    make_picture("in/b/one.png", seed=2)
    return tmp_path / "in"


def test_a_set_and_its_labels(originals: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(originals, "-o", out, "-d", "gaussian_blur,jpeg,gaussian_blur+white-noise", "--levels", "1,2.5")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith("12 of 12\n")
    rows = table(out)
    assert list(rows[0]) == list(COLUMNS)
    assert [r["image"] for r in rows[:3]] == [
        "a/one_gaussian_blur_1.png",
        "a/one_gaussian_blur_2.5.png",
        "a/one_jpeg_1.png",
    ]
    assert [r["parameters"] for r in rows[:3]] == ["sigma=0.1", "sigma=0.75", "quality=43"]
    assert (rows[5]["type"], rows[5]["level"]) == ("gaussian_blur+white_noise", "2.5+2.5")
    assert rows[0]["seed"] != rows[6]["seed"]
    for row in rows:
        reference = pixels(out / row["reference"])
        levels = [float(v) for v in row["level"].split("+")]
        made = bh.distort(reference, row["type"], levels, seed=int(row["seed"]))
        assert np.array_equal(pixels(out / row["image"]), made), "a label makes its picture again"
    assert {p.name for p in out.rglob("*") if p.is_file()} == {
        *("labels.csv", "labels.json"),
        *(Path(r["image"]).name for r in rows),
    }


def test_seeds_places_and_workers_decide_nothing_else(originals: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    originals.rename(tmp_path / "moved")
    sets = []
    for name, source, workers in (("x", tmp_path / "moved", 1), ("y", tmp_path / "moved", 4)):
        chosen = plan([str(source)], tmp_path / name, ["white_noise", "jitter"], [2])
        sets.append([(label.image, label.seed) for label in write(chosen, workers=workers)])
    assert sets[0] == sets[1]
    for name, _ in sets[0]:
        assert (tmp_path / "x" / name).read_bytes() == (tmp_path / "y" / name).read_bytes()
    other = plan([str(tmp_path / "moved")], moved, ["white_noise"], [2], seed=1)
    assert {s for _, s in sets[0]}.isdisjoint(label.seed for label in other.labels)
    assert (tmp_path / "x/labels.csv").read_bytes() == (tmp_path / "y/labels.csv").read_bytes()


def test_chains(originals: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(originals, "-o", out, "-d", "all", "--chains", 4, "--format", "bmp", "--seed", 3, "-q")
    assert (done.returncode, done.stderr) == (0, "")
    rows = table(out)
    assert len(rows) == 8
    assert len({r["seed"] for r in rows}) == 8
    assert rows[0]["image"] == "a/one_chain001.bmp"
    for row in rows:
        names, levels = row["type"].split("+"), [float(v) for v in row["level"].split("+")]
        made = bh.distort(pixels(out / row["reference"]), names, levels, seed=int(row["seed"]))
        assert np.array_equal(pixels(out / row["image"]), made)


def test_an_interrupted_run_goes_on(originals: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = (originals, "-o", out, "-d", "jpeg,pixelate", "--levels", "2,3,4", "-q")
    chosen = plan([str(originals)], out, ["jpeg", "pixelate"], [2, 3, 4])
    stream = write(chosen, workers=1)
    for _ in range(3):
        next(stream)
    stream.close()
    assert not (out / "labels.csv").exists()
    there = {p: p.stat().st_mtime_ns for p in out.rglob("*.png")}
    assert 3 <= len(there) < 12
    refused = run(*arguments)
    assert (refused.returncode, "pass --resume" in refused.stderr) == (2, True)
    assert run(*arguments, "--resume").returncode == 0
    assert len(table(out)) == len(list(out.rglob("*.png"))) == 12
    assert {p: p.stat().st_mtime_ns for p in there} == there
    other = run(*arguments, "--resume", "--seed", "1")
    assert (other.returncode, "other settings" in other.stderr) == (2, True)


def test_what_fails_is_told_and_not_in_the_table(originals: Path, make_picture: Make, tmp_path: Path) -> None:
    make_picture("in/c/grey.png", mode="L")
    (originals / "c/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    out = tmp_path / "out"
    done = run(originals, "-o", out, "-d", "color_shift,jpeg", "--levels", "2")
    assert done.returncode == 3
    assert done.stderr.count("ReadError") == 1, "a picture that cannot be read is told once, not for each of its copies"
    assert f"beholder: ReadError: {originals / 'c/broken.png'}: " in done.stderr
    assert f"{originals / 'c/grey.png'}, color_shift: ChannelError" in done.stderr
    assert done.stderr.endswith("3 of 8 pictures could not be made\n")
    assert [r["image"] for r in table(out)][4:] == ["c/grey_jpeg_2.png"]
    assert pixels(out / "c/grey_jpeg_2.png").ndim == 2


def test_one_picture_that_a_codec_cannot_take_costs_no_other(make_picture: Make, tmp_path: Path) -> None:
    tall, fine = make_picture("tall.png", (1, 33_000)), make_picture("fine.png")
    arguments = (tall, fine, "-o", tmp_path / "out", "-d", "avif,webp,jpeg", "--levels", "1,2", "-q")
    for more in ((), ("--resume",)):
        done = run(*arguments, *more)
        assert done.returncode == 3
        assert [line.split(": ")[1:3] for line in done.stderr.splitlines()] == [
            [f"{tall}, avif", "SizeError"],
            [f"{tall}, webp", "SizeError"],
        ]
        made = [r["image"] for r in table(tmp_path / "out")]
        assert made == ["tall_jpeg_1.png", "tall_jpeg_2.png"] + [f"fine_{c}_{v}.png" for c in CODECS for v in (1, 2)]


def test_an_unforeseen_failure_costs_one_picture(
    originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(picture: np.ndarray, name: str, *rest: object, **more: object) -> np.ndarray:
        if name == "jpeg":
            raise ZeroDivisionError("of a kind\nthat nobody thought of")
        return bh.distort(picture, name, *rest, **more)

    monkeypatch.setattr("beholder.distorting.distort", fail)
    labels = list(write(plan([str(originals)], tmp_path / "out", ["jpeg", "darken"], [2])))
    assert [label.error for label in labels] == ["ZeroDivisionError: of a kind that nobody thought of", ""] * 2
    assert [r["type"] for r in table(tmp_path / "out")] == ["darken", "darken"]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a single process there")
def test_an_interruption_tells_how_to_go_on(make_picture: Make, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = [str(make_picture("a.png", (200, 160))), "-o", str(out), "-d", "all", "--workers", "1"]
    command = [sys.executable, "-m", "beholder", "distort", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not list(out.glob("*.png")) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.endswith(f"interrupted; the same command with --resume goes on with {str(out)!r}\n")
    assert not (out / "labels.csv").exists()


@pytest.mark.parametrize("ending", ["png", "tiff"])
@pytest.mark.parametrize("kind", ["grey", "RGB", "floats"])
def test_deep_pictures_keep_their_depth(tmp_path: Path, ending: str, kind: str) -> None:
    ramp = np.linspace(0, 65535, 40 * 60).astype(np.uint16).reshape(40, 60)
    deep = np.stack([ramp, ramp[::-1], 65535 - ramp], axis=2) if kind != "grey" else ramp
    if kind == "floats":
        deep = (deep / np.float32(65535)).astype(np.float32)
    tifffile.imwrite(tmp_path / "deep.tiff", deep, photometric="minisblack" if kind == "grey" else "rgb")
    chosen = plan([str(tmp_path / "deep.tiff")], tmp_path / "out", ["darken", "white_noise"], [1], format=ending)
    for label in write(chosen):
        assert not label.error
        out = bh.read_image(tmp_path / "out" / label.image)
        expected = bh.distort(deep, label.type, label.levels, seed=label.seed)
        if (kind, ending) == ("floats", "png"):
            expected = np.rint(expected * np.float64(65535)).astype(np.uint16)
        assert out.native.dtype == expected.dtype
        assert np.array_equal(out.native.reshape(deep.shape), expected), "to the last bit"
        if out.format == "PNG" and kind == "grey":
            assert np.array_equal(pixels(tmp_path / "out" / label.image), expected), "as Pillow alone reads it, too"


def test_bmp_has_no_place_for_deep_pictures(tmp_path: Path) -> None:
    Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)).save(tmp_path / "deep.png")
    done = run(tmp_path / "deep.png", "-o", tmp_path / "out", "-d", "darken", "--format", "bmp", "-q")
    assert done.returncode == 3
    assert "InputError: BMP holds 8 bits a sample and the picture has 16; write png or tiff" in done.stderr
    assert table(tmp_path / "out") == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (3, 50), (2, 3, 3), (31, 1, 3), (24, 40, 1)])
def test_deep_png_is_png(shape: tuple[int, ...]) -> None:
    """Both filters, all edges, as Pillow decodes them."""
    slope = np.indices(shape)[-1 if len(shape) == 2 else 1] * 300
    for picture in (np.random.default_rng(0).integers(0, 65536, shape), slope, np.full(shape, 1234)):
        deep = picture.astype(np.uint16)
        data = encode(deep, "png")
        assert np.array_equal(bh.read_image(data).native.reshape(shape), deep)
        if len(shape) == 2 or shape[2] == 1:
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), deep.reshape(shape[:2]))


def test_chains_of_grey_pictures_leave_colour_alone(make_picture: Make, tmp_path: Path) -> None:
    for number in range(3):
        make_picture(f"in/grey{number}.png", mode="L", seed=number)
    make_picture("in/hue.png", seed=9)
    out = tmp_path / "out"
    arguments = (tmp_path / "in", "-o", out, "-d", "color_shift,color_diffusion,jpeg,moire", "--chains", 6, "-q")
    assert run(*arguments).returncode == 0
    rows = table(out)
    assert len(rows) == 24
    assert {t for r in rows[:18] for t in r["type"].split("+")} == {"jpeg", "moire"}
    assert any("color" in r["type"] for r in rows[18:])
    for row in rows:
        names, levels = row["type"].split("+"), [float(v) for v in row["level"].split("+")]
        made = bh.distort(pixels(out / row["reference"]), names, levels, seed=int(row["seed"]))
        assert np.array_equal(pixels(out / row["image"]), made)
    assert run(*arguments, "--resume").returncode == 0
    assert table(out) == rows
    only = run(tmp_path / "in/grey0.png", "-o", tmp_path / "none", "-d", "color_shift", "--chains", 2, "-q")
    assert (only.returncode, only.stderr.count("ChannelError: none of the distortions named")) == (3, 1)


def test_what_is_named_twice_is_made_once(originals: Path, tmp_path: Path) -> None:
    picture = originals / "a/one.png"
    done = run(picture, picture, "-o", tmp_path / "out", "-d", "jpeg,jpg", "--levels", "1,1.0,1.00000001,2", "-q")
    assert done.returncode == 0
    assert [r["image"] for r in table(tmp_path / "out")] == ["one_jpeg_1.png", "one_jpeg_2.png"]


def test_wrong_usage(originals: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for arguments, told in (
        (("-d", "jpg2001"), "did you mean"),
        (("-d", ","), "no distortion is named"),
        (("-d", "jpeg+"), "'jpeg+' has no distortion beside a +"),
        (("-d", "gaussian_blur+jpeg", "--chains", "2"), "expected a single distortion"),
        (("--levels", "1,x"), "levels are numbers"),
        (("--levels", ""), "no level is named"),
        (("--levels", "nan"), "expected a level from 0"),
        (("--levels", "7"), "expected a level from 0"),
        (("--format", "jpeg"), "without loss"),
    ):
        done = run(originals, "-o", out, *arguments)
        assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert not out.exists()
    both = [str(originals / "a/one.png"), str(originals / "b/one.png")]
    with pytest.raises(bh.InputError, match="rename one of them, or pass the folder above both"):
        plan(both, out, ["jpeg"])
    Image.open(both[0]).save(originals / "a/one.jpg")
    with pytest.raises(bh.InputError, match=r"one_jpeg_1\.png'; rename one of them$"):
        plan([str(originals)], out, ["jpeg"])
    (originals / "a/one.jpg").unlink()
    (tmp_path / "file").write_text("")
    done = run(originals, "-o", tmp_path / "file")
    assert (done.returncode, "cannot make the folder" in done.stderr) == (2, True), done.stderr
    with pytest.raises(bh.InputError, match="at least 1"):
        next(write(plan([both[0]], out, ["jpeg"]), workers=0))


def test_names_of_many() -> None:
    assert choose_distortions("kadid") == [c.name for c in bh.list_distortions("kadid")]
    assert len(choose_distortions("tid")) == 24
    assert choose_distortions("all") == [c.name for c in bh.list_distortions()]
    assert choose_distortions("jpg, KADID10,Gaussian Blur") == ["jpeg", "gaussian_blur"]
