"""Labelled sets of distorted pictures, made as a user makes them."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import beholder as bh
from beholder.distorting import COLUMNS, choose_distortions, plan, write

Make = Callable[..., Path]


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
    assert "ReadError" in done.stderr
    assert "color_shift: ChannelError" in done.stderr
    assert [r["image"] for r in table(out)][4:] == ["c/grey_jpeg_2.png"]
    assert pixels(out / "c/grey_jpeg_2.png").ndim == 2


def test_deep_pictures_are_written_with_eight_bits(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 40 * 40).astype(np.uint16).reshape(40, 40)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    chosen = plan([str(tmp_path / "deep.png")], tmp_path / "out", ["darken"], [5], format="TIFF")
    (label,) = write(chosen)
    out = pixels(tmp_path / "out" / label.image)
    assert (label.image, out.dtype) == ("deep_darken_5.tiff", np.uint8)
    assert np.abs(out - bh.distort(ramp, "darken", 5) / 257).max() <= 0.51


def test_wrong_usage(originals: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for arguments, told in (
        (("-d", "jpg2001"), "did you mean"),
        (("-d", ","), "no distortion is named"),
        (("--levels", "1,x"), "levels are numbers"),
        (("--levels", "7"), "expected a level from 0"),
        (("--format", "jpeg"), "without loss"),
    ):
        done = run(originals, "-o", out, *arguments)
        assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert not out.exists()
    both = [str(originals / "a/one.png"), str(originals / "b/one.png")]
    with pytest.raises(bh.InputError, match="folder above"):
        plan(both, out, ["jpeg"])
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
