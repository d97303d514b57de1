"""`beholder evaluate`: tables in, figures out; what is wrong with a table is said."""

import csv
import json
import math
import re

import numpy as np
import pytest
from PIL import Image
from scipy import stats
from typer.testing import CliRunner

from beholder.cli import app
from beholder.errors import InputError
from beholder.evaluation.choices import judge_choices, read_choices
from beholder.evaluation.scored import read_scored

RUNNER = CliRunner()


def run(*words, status=0):
    done = RUNNER.invoke(app, ["evaluate", *map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == status, done.output
    return done


def write(path, columns):
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        rows.writerows(zip(*columns.values(), strict=True))
    return path


def made(folder, pictures=60, *, name="scores.csv", **more):
    rng = np.random.default_rng(0)
    mos = np.round(rng.uniform(1, 5, pictures), 3)
    good = mos + rng.normal(0, 0.4, pictures)
    columns = {
        "image": [f"p{i}.png" for i in range(pictures)],
        "mos": mos,
        "std": np.round(rng.uniform(0.4, 0.8, pictures), 3),
        "n": [20] * pictures,
        "reference": [f"r{i % 12}.png" for i in range(pictures)],
        "good": good,
        "good_low": good - 0.7,
        "good_high": good + 0.7,
        "bad": 10 - mos + rng.normal(0, 1.5, pictures),
    }
    return write(folder / name, columns | more)


def test_a_table_is_judged_and_written_in_four_forms(tmp_path):
    table = made(tmp_path)
    outputs = [tmp_path / f"out{e}" for e in (".json", ".html", ".md", ".tex")]
    words = [w for path in outputs for w in ("-o", path)]
    done = run(table, "--scale", "1,5", "-c", "good,bad:lower", "--rounds", 100, *words)
    assert re.search(r"^good +0\.9\d\d \[", done.stdout, re.M)
    found = json.loads(outputs[0].read_text())
    with table.open() as file:
        rows = list(csv.DictReader(file))
    mos = [float(r["mos"]) for r in rows]
    for metric, sign in (("good", 1), ("bad", -1)):
        (values,) = (m["values"] for m in found["metrics"] if m["name"] == metric)
        assert values["srcc"] == pytest.approx(sign * stats.spearmanr([float(r[metric]) for r in rows], mos)[0])
    assert found["data"]["drawn_over"] == "reference"
    assert found["calibration"]["good"]["coverage"] == pytest.approx(
        np.mean([float(r["good_low"]) <= m <= float(r["good_high"]) for r, m in zip(rows, mos, strict=True)])
    )
    assert "default-src 'none'" in outputs[1].read_text()
    assert outputs[2].read_text().startswith("| metric | SRCC |")
    assert r"\toprule" in outputs[3].read_text()


def test_difference_scores_are_turned_with_their_intervals(tmp_path):
    table = made(tmp_path)
    mirrored = tmp_path / "mirrored.csv"
    with table.open() as file:
        rows = list(csv.DictReader(file))
    turned = {k: [r[k] for r in rows] for k in rows[0]}
    for key, source in (("mos", "mos"), ("good", "good"), ("good_low", "good_high"), ("good_high", "good_low")):
        turned[key] = [6 - float(r[source]) for r in rows]
    write(mirrored, turned)
    plain = read_scored(table, "mos", scale=(1, 5), columns=["good"])
    other = read_scored(mirrored, "mos", lower_better=True, scale=(5, 1), columns=["good:lower"])
    np.testing.assert_allclose(plain.stimuli.opinions, other.stimuli.opinions)
    for a, b in zip(plain.intervals["good"], other.intervals["good"], strict=True):
        np.testing.assert_allclose(a, b)
    left = read_scored(mirrored, "mos", lower_better=True, scale=(5, 1), columns=["good"])
    assert not left.intervals
    assert "not on one scale" in left.warnings[0]


def test_metrics_are_computed_and_an_interrupt_goes_on(tmp_path):
    rng = np.random.default_rng(1)
    (tmp_path / "ref.png").parent.mkdir(exist_ok=True)
    base = rng.integers(60, 190, (48, 48, 3), dtype=np.uint8)
    Image.fromarray(base).save(tmp_path / "ref.png")
    names, noise = [], np.linspace(0, 40, 8)
    for i, amount in enumerate(noise):
        noisy = np.clip(base + rng.normal(0, amount + 1e-6, base.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(tmp_path / f"p{i}.png")
        names.append(f"p{i}.png")
    table = write(tmp_path / "t.csv", {"image": names, "mos": 5 - noise / 10, "reference": ["ref.png"] * 8})
    out = tmp_path / "out.json"
    run(table, "--scale", "1,5", "-m", "psnr,noise_sigma,cnniqa", "--rounds", 100, "-o", out)
    found = json.loads(out.read_text())
    values = {m["name"]: m["values"] for m in found["metrics"]}
    assert values["psnr"]["srcc"] == pytest.approx(1)
    assert values["noise_sigma"]["srcc"] > 0.9
    assert found["calibration"]["cnniqa"]["pictures"] == 8
    assert any("one reference" in w for w in found["warnings"])
    before = (tmp_path / "out.t.csv").read_bytes()
    run(table, "--scale", "1,5", "-m", "psnr,noise_sigma,cnniqa", "--rounds", 100, "-o", out)
    assert (tmp_path / "out.t.csv").read_bytes() == before
    run(table, "-m", "psnr,noise_sigma", "--rounds", 100, "--duel", "psnr,noise_sigma", "-o", tmp_path / "endless.json")
    whole = (tmp_path / "p3.png").read_bytes()
    (tmp_path / "p3.png").write_bytes(b"no picture")
    words = [table, "-m", "blur_effect", "--rounds", 100, "-o", tmp_path / "again.json"]
    with pytest.raises(InputError, match=r"p3\.png.*leave that picture out"):
        run(*words)
    (tmp_path / "p3.png").write_bytes(whole)
    run(*words)


def test_values_of_other_pictures_are_not_gone_on_with(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(6):
            grey = np.full((24, 24), 40 * i if name == "a" else 200 - 40 * i, np.uint8)
            Image.fromarray(grey).save(tmp_path / name / f"{i}.png")
    table = write(tmp_path / "t.csv", {"image": [f"{i}.png" for i in range(6)], "mos": range(6)})
    found = []
    for name in ("a", "b"):
        run(table, "-m", "exposure", "--root", tmp_path / name, "--rounds", 100, "-o", tmp_path / f"{name}.json")
        (tmp_path / f"{name}.t.csv").rename(tmp_path / "kept")
        (tmp_path / "kept").rename(tmp_path / "b.t.csv")
        found.append(json.loads((tmp_path / f"{name}.json").read_text())["metrics"][0]["mapped"])
    assert found[0] != found[1]


def test_several_tables_are_crossed(tmp_path):
    first, second = made(tmp_path), made(tmp_path, name="more.csv")
    done = run(first, second, "--scale", "1,5", "-c", "good", "--rounds", 100, "--cross", "-o", tmp_path / "x.json")
    assert len(re.findall(r"^good +(scores|more)\.csv +(scores|more)\.csv", done.stdout, re.M)) == 4
    assert (tmp_path / "x-scores.json").is_file()
    assert (tmp_path / "x-more.json").is_file()


def test_tables_of_equal_names_are_kept_apart(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = made(tmp_path / "a"), made(tmp_path / "b", pictures=40)
    done = run(first, second, "--scale", "1,5", "-c", "good", "--rounds", 100, "--cross", "-o", tmp_path / "x.json")
    assert len(re.findall(r"^good +\S+\.csv +\S+\.csv +0\.", done.stdout, re.M)) == 4
    written = sorted(p.name for p in tmp_path.glob("x-*scores.json"))
    assert len(written) == 2
    assert len(json.loads((tmp_path / "x-cross.json").read_text())) == 4
    assert {len(json.loads((tmp_path / n).read_text())["data"]["names"]) for n in written} == {60, 40}


def test_tables_that_differ_in_their_ending_are_kept_apart(tmp_path):
    first = made(tmp_path)
    second = tmp_path / "scores.tsv"
    second.write_text(first.read_text().replace(",", "\t"), encoding="utf-8")
    run(first, second, "-c", "good", "--rounds", 100, "-o", tmp_path / "x.json")
    assert sorted(p.name for p in tmp_path.glob("x-*.json")) == ["x-scores-csv.json", "x-scores-tsv.json"]
    with pytest.raises(InputError, match="named twice"):
        run(first, first, "-c", "good")


def test_contents_are_another_thing_than_references(tmp_path):
    table = made(tmp_path, content=[f"c{i % 6}" for i in range(60)])
    read = read_scored(table, "mos", columns=["good"], names={"group": "content", "ci_low": "good_low", "n": "n"})
    assert len(set(read.stimuli.references)) == 6
    assert read.references[0].name == "r0.png"


def test_duels_are_between_judged_metrics(tmp_path):
    done = run(made(tmp_path), "-c", "good,bad:lower", "--rounds", 100, "--duel", "good,bad")
    assert "calls equal" in done.stdout
    with pytest.raises(InputError, match="good, bad"):
        run(made(tmp_path), "-c", "good,bad:lower", "--rounds", 100, "--duel", "good,psnr")


def test_choices_against_a_count_by_hand(tmp_path):
    path = write(
        tmp_path / "choices.csv",
        {"first": ["a", "b", "a", "c"], "second": ["b", "c", "c", "b"], "share": [0.9, 0.2, 0.5, 0.75]},
    )
    choices = read_choices(path, ["a", "b", "c"])
    found = judge_choices(np.array([3.0, 1.0, 1.0]), choices, rounds=200)
    # a over b: right, .9 agree; b and c alike: half; a over c: split evenly
    assert found.accuracy == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert found.score == pytest.approx((0.9 + 0.5 + 0.5 + 0.5) / 4)
    assert found.ceiling == pytest.approx((0.9 + 0.8 + 0.5 + 0.75) / 4)
    low, high = found.score_interval
    assert low <= found.score <= high
    assert judge_choices(np.array([3.0, math.inf, math.inf]), choices).score == pytest.approx(
        (0.1 + 0.5 + 0.5 + 0.5) / 4
    )
    for wrong, why in (
        ({"first": ["a"], "second": ["z"], "share": [1]}, "not in the table"),
        ({"first": ["a"], "second": ["a"], "share": [1]}, "one twice"),
        ({"first": ["a"], "second": ["b"], "share": [1.5]}, "0 to 1"),
        ({"first": ["a"], "second": ["b"]}, "no column 'share'"),
    ):
        with pytest.raises(InputError, match=why):
            read_choices(write(tmp_path / "wrong.csv", wrong), ["a", "b"])


def test_the_command_judges_choices(tmp_path):
    table = made(tmp_path)
    path = write(
        tmp_path / "c.csv", {"first": ["p0.png", "p2.png"], "second": ["p1.png", "p3.png"], "share": [0.8, 0.1]}
    )
    out = tmp_path / "out.json"
    done = run(table, "-c", "good", "--rounds", 100, "--choices", path, "-o", out)
    assert "2AFC score" in done.stdout
    assert json.loads(out.read_text())["choices"]["good"]["pairs"] == 2


@pytest.mark.parametrize(
    ("change", "words", "why"),
    [
        ({"good": [1.0] * 59 + [math.nan]}, ["-c", "good"], "line 61"),
        ({}, ["-c", "other"], "no column 'other'"),
        ({}, [], "nothing to judge"),
        ({}, ["-c", "good", "--score", "dmos"], "no column 'dmos'"),
        ({}, ["-c", "good", "--scale", "1,4"], "outside the scale"),
        ({}, ["-c", "good", "--scale", "one"], "worst and the best"),
        ({}, ["-c", "good", "--lower-better", "--scale", "1,5"], "name the worst first"),
        ({"mos": [3] * 60}, ["-c", "good"], "opinions are the same"),
        ({"image": ["p.png"] * 60}, ["-c", "good"], "twice"),
        ({}, ["-c", "good", "--mapping", "spline"], "a mapping is one of"),
        ({}, ["-c", "good", "--cross"], "at least two tables"),
        ({"std": [-1.0] * 60}, ["-c", "good"], "std of opinions is negative"),
        ({"n": [0] * 60}, ["-c", "good"], "count of opinions is 0 or less"),
        ({"reference": [""] * 60}, ["-c", "good"], "60 rows are empty"),
        ({"good_low": [9.0] * 60}, ["-c", "good"], "ends before it begins"),
        ({"good": [1e200] * 60}, ["-c", "good"], "beyond 1e"),
        ({}, ["-c", "good,good:lower"], "named twice"),
        ({}, ["-c", "good,bad", "--duel", "good,good"], "--duel takes two"),
        ({}, ["-c", "good", "--bench", "x.toml"], "leave tables and their options out"),
        ({}, ["-c", "good", "--names", "colour=good"], "no column is called 'colour'"),
        ({}, ["-c", "good", "--split", "test"], "no column split"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, change, words, why):
    with pytest.raises(InputError, match=why):
        run(made(tmp_path, **change), "--rounds", 100, *words)


def test_the_wrong_direction_and_constants_are_told(tmp_path):
    table = made(tmp_path, flat=[2.0] * 60)
    out = tmp_path / "out.json"
    run(table, "-c", "bad,flat", "--rounds", 100, "-o", out)
    bad, flat = json.loads(out.read_text())["metrics"]
    assert "fall where the opinions rise" in " ".join(bad["warnings"])
    assert flat["values"]["srcc"] is None
    assert "same of all pictures" in " ".join(flat["warnings"])


def test_four_pictures_are_too_few(tmp_path):
    with pytest.raises(InputError, match="at least 5"):
        run(made(tmp_path, pictures=4), "-c", "good")


def test_a_leaderboard_of_a_distorted_set(tmp_path):
    made_sets = tmp_path / "set"
    rng = np.random.default_rng(2)
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(2):
        small = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC).save(photos / f"{i}.png")
    done = RUNNER.invoke(app, ["distort", str(photos), "-o", str(made_sets), "-d", "kadid", "-q"])
    assert done.exit_code == 0, done.output
    table = next(made_sets.glob("*.csv"))
    bench = tmp_path / "bench.toml"
    bench.write_text(
        f'title = "Mine"\n[[set]]\nname = "Made"\ntable = "{table}"\nmetrics = "psnr,ssim"\n', encoding="utf-8"
    )
    page = tmp_path / "board.md"
    run("--bench", bench, "--rounds", 100, "-o", page, "-o", tmp_path / "board.json", "-q")
    text = page.read_text()
    assert text.startswith("# Mine")
    assert re.search(r"^\| ssim \|", text, re.M)
    assert "looks at no picture" in text
    whole = json.loads((tmp_path / "board.json").read_text())
    assert {m["name"] for m in whole["sets"][0]["metrics"]} == {"psnr", "ssim"}
