"""`beholder metrics`, and the scale of files on the command line, run as a user runs them."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import beholder as bh

COMMAND = [sys.executable, "-m", "beholder"]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def on_terminal(*arguments: str, columns: int = 80) -> list[str]:
    """The lines that a terminal of so many columns is given."""
    ours, theirs = pty.openpty()
    names = {**os.environ, "COLUMNS": str(columns), "TERM": "dumb", "NO_COLOR": "1"}
    with subprocess.Popen([*COMMAND, *arguments], stdout=theirs, stderr=subprocess.DEVNULL, env=names) as process:
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the way a terminal ends
                break
            if not part:
                break
            parts.append(part)
        os.close(ours)
    assert process.returncode == 0
    return b"".join(parts).decode().splitlines()


def test_the_list_fits_a_terminal_of_80_columns() -> None:
    lines = on_terminal("metrics")
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["name", "kind", "better", "range", "verified"]
    names = [line.split()[0] for line in lines[1:] if line.strip()][:-1]
    assert names == [c.name for c in bh.list_metrics()]
    assert next(line for line in lines if line.startswith("vsi ")).split()[-3:] == ["3", "of", "4"]
    assert f"{len(names)} metrics" in lines[-1]


def test_a_pipe_gets_the_list_as_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(run("metrics", "--needs", "reference").stdout)))
    assert [r["name"] for r in rows] == [c.name for c in bh.list_metrics(needs="reference")]
    vsi = next(r for r in rows if r["name"] == "vsi")
    assert (vsi["low"], vsi["high"], vsi["better"]) == ("0.0", "1.0", "higher")
    assert vsi["presets"].split() == ["octave", "piq", "iqa-optimization"]
    assert vsi["verified"].split() == ["default", "piq", "iqa-optimization"]
    assert {r["kind"] for r in rows} == {"full reference"}


@pytest.mark.parametrize("card", bh.list_metrics(), ids=lambda c: c.name)
def test_settings_are_the_ones_that_a_measure_takes(card) -> None:
    from beholder.metrics.registry import settings_of

    settings = settings_of(card)
    assert not {"image", "reference", "levels"} & {s.name for s in settings}
    assert all(s.type for s in settings)
    bh.metric(card.name, **{s.name: s.default for s in settings})
    for preset in card.presets.values():
        assert set(preset) <= {s.name for s in settings}


def test_one_metric_is_shown_in_full() -> None:
    text = run("metrics", "ssim").stdout
    for told in ("full reference", "-1 to 1", "11x11 pixels", "doi:10.1109/TIP.2003.819861", "ssim:wang-downsampled"):
        assert told in text
    assert "window" in text
    assert "default 'gaussian'" in text
    assert "colour='matlab', downsample=True" in text
    assert max(map(len, text.splitlines())) <= 100
    assert max(map(len, on_terminal("metrics", "MS-SSIM:matlab", columns=60))) <= 60
    assert "0 to 65025" in run("metrics", "mse").stdout


def test_what_is_not_verified_is_told_with_its_reason() -> None:
    text = run("metrics", "mad").stdout
    assert "not verified\n  mad\n" in text
    assert "needs MATLAB" in text


def test_json_holds_the_settings() -> None:
    (card,) = json.loads(run("metrics", "vif_p", "--json").stdout)
    assert [(s["name"], s["type"], s["default"]) for s in card["settings"]] == [
        ("colour", "str", "luma"),
        ("noise", "float", 2.0),
    ]
    assert all(s["allowed"] for s in card["settings"])
    niqe = json.loads(run("metrics", "niqe", "--json").stdout)[0]
    assert {s["name"]: s["type"] for s in niqe["settings"]}["model"] == "file"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["sssim"], "did you mean 'ssim'?"),
        (["vsi:matlab"], "vsi has no preset 'matlab'; its presets: vsi:octave"),
        (["vsi", "--needs", "image"], "leave one of the two out"),
    ],
)
def test_wrong_usage_of_the_list_is_one_line(arguments: list[str], told: str) -> None:
    done = run("metrics", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_presets_that_round_are_told_and_do() -> None:
    """Of the same picture as bytes and as floats: another value by those, and by those alone."""
    from beholder.metrics.registry import rounding_presets

    generator = np.random.default_rng(4)
    y = generator.integers(0, 256, (1, 3, 64, 64), np.uint8)
    x = np.clip(y + generator.normal(0, 6, y.shape), 0, 255).astype(np.uint8)
    for name in ("ssim", "gmsd", "uqi", "vif_p", "laplacian_sharpness", "nlpd"):
        card = bh.metric(name).card
        rounded = rounding_presets(card)
        for preset in ("", *card.presets):
            measure = bh.metric(f"{name}:{preset}" if preset else name)
            given = (x, y) if card.needs == "reference" else (x,)
            bytes_, floats = float(measure(*given)[0]), float(measure(*(a / 255 for a in given))[0])
            assert (abs(bytes_ - floats) > 1e-5 * abs(floats)) == (preset in rounded), (name, preset)
    assert "rounding" in run("metrics", "brisque").stdout
    assert "rounding" not in run("metrics", "psnr").stdout
    assert rounding_presets(bh.metric("mad").card) == [""]


def test_twelve_bits_and_floats_are_scored_with_their_scale(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(0, 4096, (40, 48), dtype=np.uint16)
    Image.fromarray(samples).save(tmp_path / "twelve.png")
    Image.fromarray(samples.astype(np.float32)).save(tmp_path / "floats.tif")
    names = [tmp_path / "twelve.png", tmp_path / "floats.tif"]
    rows = list(csv.DictReader(io.StringIO(run("score", *names, "-m", "contrast_rms", "--data-range", 4095).stdout)))
    expected = (samples / 4095).std(ddof=1)
    assert [float(r["contrast_rms"]) for r in rows] == pytest.approx([expected] * 2, rel=1e-5)
    refused = run("score", names[1], "-m", "contrast_rms")
    assert refused.returncode == 3
    assert "RangeError" in refused.stdout
    assert run("score", names[0], "--data-range", 0).returncode != 0
