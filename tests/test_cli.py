"""The command line, run as a user runs it."""

from __future__ import annotations

import csv
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Make = Callable[..., Path]
COMMAND = [sys.executable, "-m", "beholder"]


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `beholder` with these arguments; a traceback fails the test whatever it checks."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False, **options
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_pipe_gets_csv_in_natural_order(samples: Path) -> None:
    done = run("score", samples)
    rows = rows_of(done.stdout)
    assert done.returncode == 0
    assert [Path(r["image"]).stem for r in rows] == ["astronaut", "camera", "chelsea", "coffee", "rocket"] * 2
    assert list(rows[0]) == [
        *("image", "reference", "width", "height", "beholder", "beholder_low", "beholder_high", "beholder_word"),
        *("flags", "error"),
    ]
    assert all(float(r["beholder_low"]) <= float(r["beholder"]) <= float(r["beholder_high"]) for r in rows)


def test_the_table_is_for_people(samples: Path) -> None:
    done = run("score", samples / "originals", "--table")
    assert "10 pictures" not in done.stdout
    assert "5 pictures, 0 errors" in done.stdout


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("-o", "a.csv", "-o", "b.json"), "-o names one file, got a.csv, b.json"),
        (("-o", "a.csv", "--table"), "--table prints on standard output"),
        (("--engine", "openvino"), "--engine openvino runs --model alone"),
        (("--model", "beholder"), "choose it with -m beholder"),
        (("--model", "nowhere"), "expected a trained model at nowhere"),
    ],
)
def test_options_that_would_be_ignored_are_refused(samples: Path, tmp_path: Path, given: Any, told: str) -> None:
    done = run("score", samples / "originals" / "coffee.jpg", *given, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert not any(tmp_path.iterdir())


def test_a_flag_says_whose_it_is_where_several_metrics_may_flag(make_picture: Make) -> None:
    noise = make_picture("noise.png", size=(160, 160), seed=3)
    pixels = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    Image.fromarray(pixels).save(noise)
    (alone,) = rows_of(run("score", noise, "-m", "beholder").stdout)
    assert alone["flags"] == "out_of_domain"
    (both,) = rows_of(run("score", noise, "-m", "beholder,entropy", "--model", "beholder-int8").stdout)
    assert set(both["flags"].split(";")) == {"beholder:out_of_domain", "beholder-int8:out_of_domain"}


def test_pairs_thresholds_and_exit_statuses(samples: Path, tmp_path: Path) -> None:
    pairs = ("score", samples / "degraded", "-r", samples / "originals", "-m", "psnr,SSIM:Y")
    fine = run(*pairs, "--min", "psnr=20", "--max", "ssim:y=0.999")
    assert (fine.returncode, fine.stderr) == (0, "")
    assert list(rows_of(fine.stdout)[0])[4:6] == ["psnr", "SSIM:Y"]
    missed = run(*pairs, "--min", "psnr=27")
    assert missed.returncode == 1
    assert "4 of 5 pictures missed a threshold" in missed.stderr
    failed = run("score", samples / "originals" / "coffee.jpg", tmp_path / "gone.png", "--min", "beholder=99")
    assert failed.returncode == 3
    assert rows_of(failed.stdout)[1]["error"].startswith("ReadError: ")
    assert "1 of 2 inputs failed" in failed.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["score", ".", "-m", "snr"], "did you mean 'psnr'"),
        (["score", ".", "-m", "ssim:best"], "its presets: ssim:y"),
        (["score", ".", "-m", "ssim"], "compares with a reference"),
        (["score", ".", "--min", "beholder"], "NAME=VALUE"),
        (["score", ".", "--min", "beholder=much"], "NAME=VALUE"),
        (["score", ".", "--min", "ssim=1"], "not measured"),
        (["score", ".", "--min", "beholder=nan"], "nothing can miss"),
        (["score", "."], "no pictures in the folder"),
        (["score", "x.png", "-o", "out.xlsx"], "must end in"),
        (["score", "x.png", "-o", "no/such/out.csv"], "does not exist"),
        (["score", "x.png", "--workers", "0"], "--workers"),
        (["score"], "Missing argument"),
        (["metrics", "--needs", "nothing"], "'reference', 'image', 'set'"),
        (["nonsense"], "No such command"),
    ],
)
def test_wrong_usage_is_status_two_and_one_plain_message(arguments: list[str], told: str, tmp_path: Path) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stdout == ""


def test_every_bad_file_is_a_row_and_none_a_traceback(make_picture: Make, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    make_picture("in/good one.png")
    whole = make_picture("in/cut.jpg", (300, 200)).read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("hello")
    make_picture("in/one.png", (1, 1))
    (folder / "folder.png").mkdir()
    make_picture("in/folder.png/fine.png")
    (folder / "ein Bild – größer.png").write_bytes((folder / "good one.png").read_bytes())
    (folder / "link.png").symlink_to(folder / "nowhere.png")
    done = run("score", folder)
    rows = {Path(r["image"]).name: r["error"].partition(":")[0] for r in rows_of(done.stdout)}
    assert rows == {
        "cut.jpg": "ReadError",
        "ein Bild – größer.png": "",
        "empty.png": "ReadError",
        "fine.png": "",
        "good one.png": "",
        "link.png": "ReadError",
        "one.png": "SizeError",
        "text.png": "ReadError",
    }
    assert done.returncode == 3


def test_pairs_that_do_not_fit_are_rows(make_picture: Make, tmp_path: Path) -> None:
    for folder in ("in", "ref"):
        make_picture(f"{folder}/same.png")
    make_picture("in/size.png", (50, 50))
    make_picture("ref/size.png", (51, 50))
    make_picture("in/grey.png", mode="L")
    make_picture("ref/grey.png")
    make_picture("in/alone.png")
    make_picture("in/twice.png")
    make_picture("ref/a/twice.png")
    make_picture("ref/b/twice.jpg")
    done = run("score", tmp_path / "in", "-r", tmp_path / "ref")
    errors = {Path(r["image"]).stem: r["error"].partition(":")[0] for r in rows_of(done.stdout)}
    assert errors == {
        "alone": "PairError",
        "grey": "ChannelError",
        "same": "",
        "size": "SizeError",
        "twice": "PairError",
    }


@pytest.mark.parametrize("ending", ["csv", "json", "parquet", "html"])
def test_all_outputs(samples: Path, tmp_path: Path, ending: str) -> None:
    output = tmp_path / f"rows.{ending}"
    done = run("score", samples / "degraded", "-o", output)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert [p.name for p in tmp_path.iterdir()] == [output.name]
    if ending != "html":
        from beholder.reporting import read_rows

        meta, rows = read_rows(output)
        assert len(rows) == 5
        assert ending == "csv" or meta["weights"].keys() == {"beholder"}
    else:
        assert "astronaut" in output.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a single process there")
def test_an_interrupted_run_is_resumed_without_a_lost_or_doubled_row(make_picture: Make, tmp_path: Path) -> None:
    source = make_picture("in/0.png", (400, 400))
    for i in range(1, 200):
        (tmp_path / "in" / f"{i}.png").write_bytes(source.read_bytes())
    (tmp_path / "in" / "17.png").write_bytes(b"")
    output, journal = tmp_path / "out.json", tmp_path / "out.json.partial.jsonl"
    command = [*COMMAND, "score", str(tmp_path / "in"), "-o", str(output)]
    for stop in (signal.SIGINT, signal.SIGKILL):
        before = journal.read_bytes().count(b"\n") if journal.exists() else 0
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and process.poll() is None:
                if journal.exists() and journal.read_bytes().count(b"\n") > before + 20:
                    process.send_signal(stop)
                    break
                time.sleep(0.01)
            _, told = process.communicate(timeout=60)
        assert "Traceback" not in told
        assert process.returncode == (130 if stop == signal.SIGINT else -9)
        assert stop != signal.SIGINT or "run the same command again" in told
        assert not output.exists()
    other = run("score", tmp_path / "in", "-o", output, "-m", "beholder:native")
    assert other.returncode == 2
    assert "--restart" in other.stderr
    done = run(*command[3:])
    assert done.returncode == 3
    assert "resuming: " in done.stderr
    rows = json.loads(output.read_text())["rows"]
    assert [Path(r["image"]).stem for r in rows] == [str(i) for i in range(200)]
    assert [Path(r["image"]).stem for r in rows if r["error"]] == ["17"]
    assert not journal.exists()


def test_a_changed_folder_is_not_resumed_silently(make_picture: Make, tmp_path: Path) -> None:
    make_picture("in/b.png")
    rows = tmp_path / "out.csv"
    columns = run("score", tmp_path / "in", "-m", "beholder").stdout.splitlines()[0].split(",")
    from beholder.models.runtime import weights_hash
    from beholder.reporting import RowFile
    from beholder.version import __version__

    settings = {"metrics": ["beholder"], "reference": None, "data_range": None, "min": {}, "max": {}}
    meta = {"version": __version__, "settings": settings, "weights": {"beholder": weights_hash("beholder")}}
    with RowFile(rows, columns, meta) as file:
        file.append({"image": "a.png", "error": ""})
    done = run("score", tmp_path / "in", "-o", rows)
    assert done.returncode == 2
    assert "'a.png' as picture 1" in done.stderr
    assert run("score", tmp_path / "in", "-o", rows, "--restart").returncode == 0


def test_an_output_that_cannot_be_written_is_said_at_once(samples: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    output.touch(mode=0o444)
    done = run("score", samples, "-o", output)
    assert (done.returncode, done.stdout) == (2, "")
    assert "read-only" in done.stderr


def test_a_reader_that_leaves_is_no_failure(samples: Path) -> None:
    shell = f"({sys.executable} -m beholder score {samples}; echo $? >&2) | head -1"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("image,")
    assert done.stderr == "0\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("options", [[], ["--table"]])
def test_a_full_standard_output_is_told(samples: Path, options: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [*COMMAND, "score", str(samples / "originals" / "camera.jpg"), *options]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


def test_the_stricter_of_two_thresholds_counts(samples: Path) -> None:
    picture = samples / "originals" / "coffee.jpg"
    assert run("score", picture, "--min", "beholder=95", "--min", "beholder=5").returncode == 1


def test_a_picture_is_never_written_over(samples: Path, tmp_path: Path) -> None:
    picture = tmp_path / "a.csv"
    picture.write_bytes((samples / "originals" / "coffee.jpg").read_bytes())
    for arguments in ([picture], [samples / "originals" / "coffee.jpg", "-r", picture]):
        done = run("score", *arguments, "-o", picture)
        assert done.returncode == 2
        assert "is one of the pictures" in done.stderr
    assert picture.stat().st_size > 10_000


def test_the_cards_are_listed(tmp_path: Path) -> None:
    from beholder.metrics import list_metrics

    table, data = run("metrics").stdout, json.loads(run("metrics", "--json").stdout)
    assert [c["name"] for c in data] == [c.name for c in list_metrics()]
    assert all(c.name in table and c.better in table for c in list_metrics())
    assert {c["name"]: c["range"][1] for c in data}["psnr"] == float("inf")
    assert [c["name"] for c in json.loads(run("metrics", "--json", "--needs", "image").stdout)] == [
        c.name for c in list_metrics(needs="image")
    ]


def test_version_and_help() -> None:
    from beholder import __version__

    assert run("--version").stdout == f"beholder {__version__}\n"
    assert "--reference" in run("score", "--help").stdout
    assert run().returncode == 2


def test_a_failed_metric_is_told_beside_the_values_of_the_others(make_picture: Make, tmp_path: Path) -> None:
    make_picture("in/a.png", (300, 200))
    make_picture("in/wide.png", (300, 40))
    output = tmp_path / "rows.json"
    done = run("score", tmp_path / "in", "-m", "entropy,niqe", "-q", "-o", output)
    assert done.returncode == 3
    fine, wide = json.loads(output.read_text())["rows"]
    assert fine["error"] == ""
    assert fine["niqe"] > 0
    assert (wide["width"], wide["height"], wide["niqe"]) == (300, 40, None)
    assert wide["entropy"] > 0
    assert wide["error"].startswith("SizeError: niqe needs at least 192x192")
    done = run("score", tmp_path / "in", "-m", "entropy,niqe", "--table", "--max", "niqe=0", "--min", "entropy=99")
    assert done.returncode == 3
    assert "1 of 2 inputs failed; 2 of 2 pictures missed a threshold" in done.stderr
    (line,) = [t for t in done.stdout.splitlines() if "wide.png" in t]
    assert format(wide["entropy"], ".4f") in line
    assert "SizeError: niqe" in line


@pytest.mark.parametrize("missing", [{}, {"niqe": None}], ids=["fresh", "from a journal"])
def test_thresholds_hold_for_what_a_row_has(missing: dict[str, None]) -> None:
    from beholder.cli import _Tally

    tally = _Tally({"min": {"niqe": 0.0, "entropy": 99.0}, "max": {}})
    tally.add({"entropy": 7.0, **missing, "error": "SizeError: niqe needs more"})
    assert (tally.count, tally.errors, tally.missed) == (1, 1, 1)
    tally.add({"entropy": 100.0, **missing, "error": "SizeError: niqe needs more"})
    assert (tally.count, tally.errors, tally.missed) == (2, 2, 1)
    tally.add({"entropy": 100.0, "niqe": None, "error": ""})  # no number: it reaches nothing
    assert (tally.count, tally.errors, tally.missed) == (3, 2, 2)


def test_fitted_models_are_scored_with(samples: Path, tmp_path: Path) -> None:
    import beholder as bh

    photographs = sorted((samples / "originals").iterdir())
    own = tmp_path / "own.safetensors"
    bh.fit_niqe(photographs, sharpness=0, source="the samples").save(own)
    done = run("score", photographs[0], "-m", "niqe", "--weights", f"niqe={own}", "-q", "-o", tmp_path / "rows.json")
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "rows.json").read_text())
    expected = bh.score(photographs[0], metrics="niqe", weights={"niqe": own})["niqe"]
    assert written["rows"][0]["niqe"] == expected.value
    assert written["meta"]["weights"] == {"niqe": expected.weights}


@pytest.mark.parametrize(
    ("metric", "file", "told"),
    [
        ("lpips", "evil.pth", "cannot be read as weights"),
        ("niqe", "evil.pth", "no safetensors file"),
        ("niqe", "gone.safetensors", "No such file"),
        ("psnr", "evil.pth", "psnr takes no file"),
    ],
)
def test_bad_files_of_weights_are_one_line_before_scoring(
    samples: Path, tmp_path: Path, metric: str, file: str, told: str
) -> None:
    import torch

    torch.save({"features.0.weight": Path("x")}, tmp_path / "evil.pth")
    pair = ("score", samples / "degraded", "-r", samples / "originals")
    done = run(*pair, "-m", metric, "--weights", f"{metric}={tmp_path / file}")
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "\x1b" not in done.stderr
    assert "weights_only" not in done.stderr


def test_a_person_is_told_of_the_first_compilation(samples: Path, tmp_path: Path) -> None:
    """Once, on a terminal, and on none with -q; in a pipe nothing is said."""
    if sys.platform == "win32":
        pytest.skip("no pseudo-terminals there")
    import os
    import pty

    command = [*COMMAND, "score", str(samples / "originals" / "coffee.jpg"), "-r", str(samples / "originals")]
    for options, terminal, times in (([], True, 1), ([], True, 0), (["-q"], True, 0), ([], False, 0)):
        if options or not terminal:
            shutil.rmtree(tmp_path / "cache")
        ours, theirs = pty.openpty()
        place = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        stderr = theirs if terminal else subprocess.PIPE
        done = subprocess.run(
            [*command, *options, "-m", "psnr"],
            env=place,
            stdout=subprocess.PIPE,
            stderr=stderr,
            timeout=300,
            check=True,
        )
        os.set_blocking(ours, False)
        try:
            told = os.read(ours, 10_000).decode() if terminal else done.stderr.decode()
        except BlockingIOError:
            told = ""
        finally:
            os.close(ours)
            os.close(theirs)
        assert told.count("compiling kernels for this processor") == times, (options, terminal, told)


def test_settings_of_metrics_can_be_changed(samples: Path, tmp_path: Path) -> None:
    import beholder as bh

    image, reference = (samples / kind / "coffee.jpg" for kind in ("degraded", "originals"))
    pair, output = ("score", image, "-r", reference), tmp_path / "rows.json"
    done = run(*pair, "-m", "psnr,psnr_y,flip", "--set", "FLIP.ppd=40", "--set", "psnr_y.crop=4", "-q", "-o", output)
    assert done.returncode == 0, done.stderr
    written = json.loads(output.read_text())
    made = {n: bh.metric(n, **s) for n, s in {"psnr": {}, "psnr_y": {"crop": 4}, "flip": {"ppd": 40}}.items()}
    expected = bh.score(image, reference, made)
    assert {n: written["rows"][0][n] for n in made} == {n: s.value for n, s in expected.scores.items()}
    assert written["rows"][0]["flip"] != bh.score(image, reference, "flip")["flip"].value
    assert written["meta"]["settings"]["set"] == {"FLIP.ppd": 40, "psnr_y.crop": 4}
    done = run("compare", samples / "degraded", samples / "originals", "-m", "kid:subsets", "-q")
    assert "needs at least 1000 pictures" in done.stderr
    fewer = ("--set", "kid:subsets.size=4", "--set", "kid:subsets.subsets=5")
    assert run("compare", samples / "degraded", samples / "originals", "-m", "kid:subsets", "-q", *fewer).stdout
    for wrong, told in (
        (("-m", "flip", "--set", "psnr.crop=4"), "of no metric that is measured"),
        (("-m", "flip", "--set", "ppd=4"), "of no metric that is measured"),
        (("-m", "flip", "--set", "flip.nope=4"), "flip has no setting 'nope'"),
        (("--set", "flip.ppd=4"), "name them, too"),
        (("-m", "flip", "--set", "flip"), "KEY=VALUE such as flip.ppd=40"),
    ):
        done = run(*pair, *wrong)
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr
