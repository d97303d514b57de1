"""`beholder data`: list, check and split."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from beholder import cli_data
from beholder.errors import InputError


@pytest.fixture
def run():
    runner = CliRunner()

    def call(*words, status=0):
        done = runner.invoke(cli_data.app, [str(w) for w in words])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == status, done.output
        return done.stdout

    return call


@pytest.fixture
def table(tmp_path):
    lines = ["file,mos,scene"]
    for i in range(12):
        small = np.random.default_rng(i).integers(0, 256, (6, 6, 3), np.uint8)
        Image.fromarray(small).resize((48, 40), Image.Resampling.BICUBIC).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{1 + i % 5},s{i // 2}")
    path = tmp_path / "own.csv"
    path.write_text("\n".join(lines))
    return path


OWN = ("--scale", "1,5", "--columns", "image=file,group=scene")


def test_known_sets_are_listed(run):
    shown = run("list")
    assert "koniq10k" in shown
    assert "100 to 0" in shown
    cards = json.loads(run("list", "--json"))
    assert [c["name"] for c in cards] == sorted(c["name"] for c in cards)
    assert {c["better"] for c in cards} == {"higher", "lower"}


def test_a_sound_table_has_no_findings(run, table, tmp_path):
    assert list(csv.reader(io.StringIO(run("check", table, *OWN, "-q")))) == [["what", "picture", "why"]]
    run("check", table, *OWN, "-q", "-o", tmp_path / "report.html")
    assert "own: 12 pictures" in (tmp_path / "report.html").read_text()
    run("check", table, *OWN, "-o", tmp_path / "report.png")
    with Image.open(tmp_path / "report.png") as drawn:
        assert drawn.format == "PNG"


def test_missing_and_broken_pictures_end_with_status_3(run, table):
    (table.parent / "3.png").unlink()
    (table.parent / "4.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    rows = list(csv.DictReader(io.StringIO(run("check", table, *OWN, "-q", status=3))))
    assert [(r["what"], r["picture"]) for r in rows] == [("missing", "3.png"), ("broken", "4.png")]


def test_a_terminal_gets_summary_histogram_and_table(table, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    (table.parent / "3.png").unlink()
    with pytest.raises(SystemExit) as ended:
        cli_data.app(["check", str(table), *OWN, "-q"], standalone_mode=True)
    assert ended.value.code == 3
    shown = capsys.readouterr().out
    assert "own: 12 pictures (no split 12)" in shown
    assert "█" in shown
    assert "3.png" in shown
    assert "1 findings" in shown


def test_a_split_is_drawn_written_and_checked(run, table, tmp_path):
    target = tmp_path / "split.json"
    told = run("split", table, *OWN, "-o", target, "--seed", 3, "--shares", "0.5,0.25,0.25")
    document = json.loads(target.read_text())
    assert f"digest {document['digest']}" in told
    assert (document["seed"], document["shares"]) == (3, [0.5, 0.25, 0.25])
    images = document["images"]
    assert all(images[f"{i}.png"] == images[f"{i + 1}.png"] for i in range(0, 12, 2))
    before = target.read_text()
    run("split", table, *OWN, "-o", target, "--seed", 3, "--shares", "0.5,0.25,0.25")
    assert target.read_text() == before
    run("check", table, *OWN, "--split", target, "-q")
    run("split", table, "--scale", "1,5", "--columns", "image=file", "--no-look", "-o", target)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ((), "needs its scale"),
        (("--scale", "1;5"), "scale: expected numbers"),
        (("--scale", "1,5"), "no column 'image'"),
        (("--scale", "1,5", "--columns", "image"), "OURS=THEIRS"),
    ],
)
def test_wrong_words_are_told(run, table, words, match):
    with pytest.raises(InputError, match=match):
        run("check", table, *words)
    with pytest.raises(InputError, match="name the folder"):
        run("check", "live")
