"""Values from outside the project: tests/truth/*.json, one file for a metric.

A row names its pictures (tests/patterns.py), the preset, the value, its tolerance and its source; `definition` is the
tolerance for the float64 definition, where that is tighter than the kernel's. A preset counts as verified where such
a row stands, or, for a model of opinion, an `agreement` with human scores; a `pinned` value guards against change and
verifies nothing.
"""

import csv
from pathlib import Path

import numpy as np
import pytest
from backbones import made
from patterns import DATA, NEEDS_DATA, TRUTH, batch, features, load, truths

import beholder as bh
from beholder.models.runtime import weights_hash

CARDS = {c.name: c for c in bh.list_metrics()}
ROWS = [(t["metric"], row) for t in truths() for row in t["rows"]]
AGREEMENTS = [(t["metric"], a) for t in truths() for a in t.get("agreement", [])]
PINNED = [(t["metric"], t["pinned"], row) for t in truths() if "pinned" in t for row in t["pinned"]["rows"]]


def marks(row):
    return [pytest.mark.data] if row["image"].startswith("data:") else []


def title(metric, row):
    return f"{metric}:{row['preset']}-{row['image']}"


@pytest.mark.parametrize(("metric", "row"), [pytest.param(m, r, id=title(m, r), marks=marks(r)) for m, r in ROWS])
def test_value_is_the_outside_value(metric, row):
    measure = made(f"{metric}:{row['preset']}" if row["preset"] else metric)
    if measure.card.needs == "set":
        value = measure.compare(*(features(row[key]) for key in ("image", "reference")))
        assert value == pytest.approx(row["value"], rel=0, abs=row["tolerance"])
        return
    pictures = [batch(load(row[key])) for key in ("image", "reference") if row[key] is not None]
    assert float(measure(*pictures)[0]) == pytest.approx(row["value"], rel=0, abs=row["tolerance"])
    by_definition = float(measure(*pictures, data_range=255)[0])  # a stated range keeps kernels out
    assert by_definition == pytest.approx(row["value"], rel=0, abs=row["definition"])


def test_every_file_is_of_a_metric_and_well_formed():
    assert {p.stem for p in TRUTH.glob("*.json")} <= set(CARDS)
    for truth in truths():
        assert set(truth) <= {"metric", "rows", "agreement", "pinned", "exceptions"}
        assert all(len(reason) > 30 for reason in truth.get("exceptions", {}).values()), "say why"
    keys = {"image", "reference", "preset", "value", "tolerance", "definition", "source"}
    for metric, row in ROWS:
        assert set(row) == keys, (metric, row)
        assert len(row["source"]) > 20, "name program and version, table, or the arithmetic"
        assert 0 < row["definition"] <= row["tolerance"] or row["image"].startswith("data:"), (metric, row)
        assert row["image"] != row["reference"], "equal pictures prove no definition"


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda c: c.name)
def test_verified_presets_are_exactly_those_with_outside_truth(card):
    told = {row["preset"] for metric, row in (*ROWS, *AGREEMENTS) if metric == card.name}
    assert card.verified == told


@pytest.mark.parametrize("card", [c for c in CARDS.values() if c.needs == "reference"], ids=lambda c: c.name)
def test_verified_presets_have_truth_without_the_data_sets(card):
    at_hand = {r["preset"] for m, r in ROWS if m == card.name and not r["image"].startswith("data:")}
    assert card.verified == at_hand


@pytest.mark.parametrize(("metric", "pinned", "row"), [pytest.param(m, p, r, id=title(m, r)) for m, p, r in PINNED])
def test_model_still_says_what_it_said(metric, pinned, row):
    """No outside truth: a change of reading, size rule, tiling or weights shows here; new weights need new values."""
    measure = bh.metric(f"{metric}:{row['preset']}" if row["preset"] else metric)
    value = float(measure(*(batch(load(row[key])) for key in ("image", "reference") if row.get(key)))[0])
    hint = f"weights {weights_hash(metric)}: if they are new, renew `pinned` in tests/truth/{metric}.json"
    assert value == pytest.approx(row["value"], abs=pinned["tolerance"]), hint


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(("metric", "agreement"), AGREEMENTS, ids=[m for m, _ in AGREEMENTS])
def test_model_agrees_with_people(metric, agreement):
    if DATA is None:
        pytest.skip(NEEDS_DATA)
    from scipy.stats import spearmanr

    folder = Path(DATA) / agreement["pictures"]
    with (Path(DATA) / agreement["opinions"]).open(newline="") as file:
        opinions = {Path(row["image"]).name: float(row["mos"]) for row in csv.DictReader(file)}
    pictures = sorted(p for p in folder.iterdir() if p.name in opinions)
    assert len(pictures) == agreement["count"]
    rows = list(bh.score_many(pictures, metrics=[metric]))
    assert not [row.error for row in rows if row.error]
    values = np.array([row[metric].value for row in rows])
    theirs = np.array([opinions[p.name] for p in pictures])
    assert spearmanr(values, theirs).statistic >= agreement["srcc"]
    within = [row[metric].low <= 100 * mos <= row[metric].high for row, mos in zip(rows, theirs, strict=True)]
    assert 0.84 <= np.mean(within) <= 0.96  # 90 %, with four standard errors of 400 pictures
