"""Agreement with people against other programs' values, and on published human scores where they are at hand."""

import csv
import itertools

import numpy as np
import pytest
from scipy import stats

from beholder.evaluation.content_blind import predict_blind
from beholder.evaluation.krasula import area, compare_areas
from beholder.evaluation.mapping import fit_mapping
from beholder.evaluation.parts import correlate, mean_within, within
from beholder.evaluation.protocol import evaluate
from beholder.evaluation.scored import read_scored
from beholder.evaluation.significance import adjust
from beholder.evaluation.stimuli import Options

AIC4 = ["PSNR-Y", "SSIM", "MS-SSIM", "IW-SSIM", "VMAF-neg", "SSIMULACRA2", "HDR-VDP-2 Q", "HDR-VDP-3 Q", "CVVDP"]


def test_areas_are_those_of_proc():
    """R 4's pROC: auc, var, roc.test(method="delong", paired=TRUE) on these numbers."""
    k = np.arange(40)
    different = k * 7 % 11 < 5
    first = np.round(np.sin(k * 1.3) + different * 0.9, 3)
    second = np.round(np.cos(k * 2.1) * 1.2 + different * 0.5, 3)
    a, b = (area(x[different], x[~different]) for x in (first, second))
    assert (a.value, b.value) == pytest.approx((0.7803030303030303, 0.7575757575757576), abs=1e-14)
    assert (a.variance, b.variance) == pytest.approx((0.005306617086177396, 0.006625974540413042), abs=1e-14)
    assert compare_areas(a, b) == pytest.approx((0.2104898326974939, 0.8332853862495494), abs=1e-12)


def test_adjusted_like_r():
    """R's p.adjust."""
    p = [0.01, 0.04, 0.03, 0.2, 0.005]
    np.testing.assert_allclose(adjust(p, "holm"), [0.04, 0.09, 0.09, 0.2, 0.025], atol=1e-15)
    np.testing.assert_allclose(adjust(p, "bh"), [0.025, 0.05, 0.05, 0.2, 0.025], atol=1e-15)


@pytest.mark.parametrize(
    ("table", "score", "overall", "inside"),
    [("TID2013", "mos", 0.919, 0.776), ("KADID10k", "dmos", 0.938, 0.719), ("CSIQ", "dmos", 0.934, 0.855)],
)
def test_the_table_that_sees_no_picture_on_published_scores(data, table, score, overall, inside):
    with (data / "mos" / f"{table}.csv").open() as file:
        rows = list(csv.DictReader(file))
    opinions = np.array([float(r[score]) for r in rows])
    cut = "." if table == "CSIQ" else "_"
    parts = [r["dist_name"].split(cut) for r in rows]
    types, levels = (np.array([p[i] for p in parts]) for i in (1, 2))
    blind = predict_blind(opinions, np.array([r["ref_name"] for r in rows]), types, levels)
    assert correlate(blind, opinions) == pytest.approx(overall, abs=0.0005)
    assert mean_within(within(blind, opinions, types)) == pytest.approx(inside, abs=0.0005)


def joined(folder, path):
    """The two files of JPEG AIC-4 as one table."""
    with (folder / "JPEG-AIC_metric_scores.csv").open() as file:
        said = {r["img_distorted"]: r for r in csv.DictReader(file)}
    with (folder / "JPEG_AIC_reconstructed_jnd_scores.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["img_distorted"] in said]
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["image", "jnd", "ci_low", "ci_high", "reference", "type", "level", *AIC4, "CVVDP mapped"])
        for r in rows:
            known = [r[k] for k in ("img_distorted", "distortion", "CI_min", "CI_max", "img_source", "codec", "dlevel")]
            out.writerow(known + [said[r["img_distorted"]][m] for m in (*AIC4, "CVVDP mapped")])
    return path


def test_jpeg_aic4(data, tmp_path):
    path = joined(data / "mos" / "aic4", tmp_path / "aic4.csv")
    read = read_scored(path, "jnd", lower_better=True, columns=AIC4)
    found = evaluate(read.stimuli, read.predictions, options=Options(rounds=400))
    srcc = {name: f.values["srcc"] for name, f in found.figures.items()}
    for name, x in read.predictions.items():
        assert srcc[name] == pytest.approx(stats.spearmanr(x, read.stimuli.opinions)[0], abs=1e-12)
    assert max(srcc, key=srcc.get) == "CVVDP"
    assert srcc["CVVDP"] == pytest.approx(0.961, abs=0.001)
    assert srcc["PSNR-Y"] == pytest.approx(0.816, abs=0.001)
    better = {
        pair[1]
        for pair, t in found.tests["srcc"].items()
        if pair[0] == "PSNR-Y" and t["adjusted"] < 0.05 and t["statistic"] < 0
    }
    assert better == {"CVVDP", "IW-SSIM", "MS-SSIM", "SSIMULACRA2", "HDR-VDP-2 Q"}
    assert found.groups[0][0] == "CVVDP"
    for name, f in found.figures.items():
        low, high = f.intervals["srcc"]
        assert low < srcc[name] < high
    assert len(found.tests["srcc"]) == len(list(itertools.combinations(AIC4, 2)))


def test_the_mapping_of_jpeg_aic4_is_the_published_one(data, tmp_path):
    """The column "CVVDP mapped" is a four-parameter logistic of the values, in JND, and ours fits no worse."""
    path = joined(data / "mos" / "aic4", tmp_path / "aic4.csv")
    read = read_scored(path, "jnd", lower_better=True, columns=["CVVDP", "CVVDP mapped:lower"])
    mapped = fit_mapping(read.predictions["CVVDP"], read.stimuli.opinions)(read.predictions["CVVDP"])
    worst, best = read.stimuli.scale
    people, ours = (worst + best - v for v in (read.stimuli.opinions, mapped))
    theirs = read.predictions["CVVDP mapped"]
    np.testing.assert_allclose(ours, theirs, atol=0.02)
    assert np.mean((ours - people) ** 2) <= np.mean((theirs - people) ** 2)
