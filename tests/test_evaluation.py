"""Agreement with people: every statistic against another implementation, and what holds for any data."""

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from beholder.errors import InputError
from beholder.evaluation.calibration import judge_intervals
from beholder.evaluation.competing import duels
from beholder.evaluation.content_blind import noise_ceiling, predict_blind
from beholder.evaluation.crossing import align, cross
from beholder.evaluation.krasula import (
    Dyads,
    area,
    compare_areas,
    compare_decisions,
    decide,
    make_pairs,
    mirrored_area,
)
from beholder.evaluation.mapping import fit_mapping
from beholder.evaluation.protocol import evaluate
from beholder.evaluation.pwrc import weighted_ranks
from beholder.evaluation.ranks import Ranker, weighted_pearson, weighted_spearman
from beholder.evaluation.resampling import concord, make_units
from beholder.evaluation.results import to_dict, to_latex, to_markdown
from beholder.evaluation.significance import adjust, bias_corrected, compare_residuals, group_equals, meng, steiger
from beholder.evaluation.stimuli import Options, Stimuli


def made(seed=0, pictures=120, references=12, noise=(0.5, 0.8), ties=False):
    rng = np.random.default_rng(seed)
    y = rng.uniform(1, 5, pictures)
    if ties:
        y = np.round(y)
    refs = np.array([f"r{i % references:02d}" for i in range(pictures)])
    types = np.array([f"t{(i // references) % 3}" for i in range(pictures)])
    levels = np.array([(i // (3 * references)) % 5 for i in range(pictures)])
    stimuli = Stimuli(
        y,
        (1, 5),
        names=[f"p{i}.png" for i in range(pictures)],
        std=rng.uniform(0.3, 0.9, pictures),
        count=np.full(pictures, 25.0),
        references=refs,
        types=types,
        levels=levels,
    )
    return stimuli, {chr(97 + i): y + rng.normal(0, n, pictures) for i, n in enumerate(noise)}


# ----------------------------------------------------------------------------------------------- against other programs


@pytest.mark.parametrize("ties", [False, True])
def test_correlations_are_scipys(ties):
    stimuli, said = made(ties=ties)
    found = evaluate(stimuli, said, options=Options(rounds=100)).figures
    for name, x in said.items():
        assert found[name].values["srcc"] == pytest.approx(stats.spearmanr(x, stimuli.opinions)[0], abs=1e-12)
        assert found[name].values["krcc"] == pytest.approx(stats.kendalltau(x, stimuli.opinions)[0], abs=1e-12)
        assert found[name].values["plcc_raw"] == pytest.approx(stats.pearsonr(x, stimuli.opinions)[0], abs=1e-12)


def test_counts_are_copies():
    """A picture that counts three times is a picture that is there three times."""
    rng = np.random.default_rng(0)
    x, y = np.round(rng.normal(size=40), 1), np.round(rng.normal(size=40), 1)
    counts = rng.integers(0, 4, 40).astype(float)
    many = np.repeat(np.arange(40), counts.astype(int))
    assert weighted_spearman(Ranker(x), Ranker(y), counts) == pytest.approx(stats.spearmanr(x[many], y[many])[0])
    assert weighted_pearson(x, y, counts) == pytest.approx(stats.pearsonr(x[many], y[many])[0])
    units = make_units(None, 40)
    assert concord(x, y, units).tau(counts) == pytest.approx(stats.kendalltau(x[many], y[many])[0])


def test_kendall_by_references():
    rng = np.random.default_rng(1)
    x, y, refs = rng.normal(size=60), rng.normal(size=60), np.arange(60) % 7
    units = make_units(refs, 60)
    weights = rng.integers(0, 3, 7).astype(float)
    many = np.repeat(np.arange(60), weights[refs].astype(int))
    assert concord(x, y, units).tau(weights) == pytest.approx(stats.kendalltau(x[many], y[many])[0])


def test_the_logistic_is_scipys_curve_fit():
    from scipy.optimize import curve_fit

    rng = np.random.default_rng(2)
    x = rng.uniform(0, 10, 200)
    y = 1 + 4 / (1 + np.exp(-(x - 5) / 1.3)) + rng.normal(0, 0.2, 200)

    def form(x, top, bottom, middle, width):
        return bottom + (top - bottom) / (1 + np.exp(-(x - middle) / width))

    theirs, _ = curve_fit(form, x, y, p0=[5, 1, 5, 1])
    ours = fit_mapping(x, y)
    assert ours.kind == "logistic4"
    assert ours.rising
    assert ours.parameters == pytest.approx(tuple(theirs), rel=1e-4)
    assert ours(x) == pytest.approx(form(x, *theirs), abs=1e-5)


@pytest.mark.parametrize(
    ("first", "second", "between", "pictures", "by_steiger", "by_meng"),
    [
        (-0.1741, 0.2015, 0.3734, 646, -8.6124, -8.5080),
        (0.1724, 0.1795, 0.5387, 646, -0.1909, -0.1909),
        (0.8066, 0.2383, 0.2255, 177, 8.5460, 8.3907),
    ],
)
def test_dependent_correlations_as_in_r(first, second, between, pictures, by_steiger, by_meng):
    """What R's package cocor printed for published data, from correlations that are known to four digits."""
    near = 1.5 * 5e-5 * math.sqrt(pictures)  # a statistic's share of their rounding
    for found, z in ((steiger, by_steiger), (meng, by_meng)):
        tested = found(first, second, between, pictures)
        assert tested.statistic == pytest.approx(z, abs=near)
        assert tested.p == pytest.approx(2 * stats.norm.sf(abs(z)), rel=0.02)
        back = found(second, first, between, pictures)
        assert back == pytest.approx((-tested.statistic, tested.p))


def test_tests_hold_their_level():
    """Two equally good metrics differ significantly in about five of a hundred data sets."""
    rng = np.random.default_rng(0)
    hits = {"meng": 0, "steiger": 0, "variance": 0}
    total = 600
    for _ in range(total):
        y = rng.normal(size=80)
        a, b = (y + rng.normal(size=80) for _ in range(2))
        r = [np.corrcoef(v, y)[0, 1] for v in (a, b)] + [np.corrcoef(a, b)[0, 1]]
        hits["meng"] += meng(*r, 80).p < 0.05
        hits["steiger"] += steiger(*r, 80).p < 0.05
        hits["variance"] += compare_residuals(rng.normal(size=80), rng.normal(size=80), 0).p < 0.05
    for count in hits.values():
        assert 0.02 < count / total < 0.085


def test_adjusted_like_statsmodels_would():
    """Values of R's p.adjust(c(.01, .04, .03, .005), 'holm' and 'BH')."""
    p = [0.01, 0.04, 0.03, 0.005]
    assert adjust(p, "holm") == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjust(p, "bh") == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert math.isnan(adjust([0.01, math.nan], "holm")[1])
    assert adjust([0.01, math.nan], "holm")[0] == 0.01


def test_delong_by_brute_force():
    rng = np.random.default_rng(3)
    pos, neg = np.round(rng.normal(1, 1, 30), 1), np.round(rng.normal(0, 1, 40), 1)
    psi = (pos[:, None] > neg[None, :]) + 0.5 * (pos[:, None] == neg[None, :])
    found = area(pos, neg)
    assert found.value == pytest.approx(psi.mean())
    assert found.value == pytest.approx(stats.mannwhitneyu(pos, neg).statistic / (30 * 40))
    variance = psi.mean(axis=1).var(ddof=1) / 30 + psi.mean(axis=0).var(ddof=1) / 40
    assert found.variance == pytest.approx(variance)
    other = area(pos + rng.normal(0, 0.5, 30), neg + rng.normal(0, 0.5, 40))
    z, p = compare_areas(found, other)
    assert compare_areas(other, found)[0] == pytest.approx(-z)
    assert 0 <= p <= 1


@pytest.mark.parametrize("steps", [0, 3])
def test_the_area_of_mirrored_scores(steps):
    scores = np.random.default_rng(0).normal(0.5, 1, 301)
    scores = np.round(scores * steps) / steps if steps else scores
    ours, whole = mirrored_area(scores), area(scores, -scores)
    assert (ours.value, ours.variance) == pytest.approx((whole.value, whole.variance))
    assert ours.v10 == pytest.approx(whole.v10)
    assert ours.v01 == pytest.approx(whole.v01)


def test_bca_is_scipys():
    rng = np.random.default_rng(4)
    x = rng.lognormal(size=60)
    theirs = stats.bootstrap((x,), np.mean, n_resamples=4000, method="BCa", random_state=np.random.default_rng(0))
    draws = np.array([x[rng.integers(0, 60, 60)].mean() for _ in range(4000)])
    jackknife = np.array([np.delete(x, i).mean() for i in range(60)])
    low, high = bias_corrected(draws, float(x.mean()), jackknife)
    assert low == pytest.approx(theirs.confidence_interval.low, abs=0.06)
    assert high == pytest.approx(theirs.confidence_interval.high, abs=0.1)


def test_weighted_ranks_by_loops():
    rng = np.random.default_rng(5)
    n = 40
    y, std = rng.uniform(0, 100, n), rng.uniform(5, 15, n)
    x = y + rng.normal(0, 25, n)
    unit, spread = 100 * (y - y.min()) / np.ptp(y), 100 * std / np.ptp(y)
    grade, place = (np.unique(v, return_inverse=True)[1] for v in (unit, x))
    thresholds = np.linspace(2 * spread.min(), 2 * spread.max(), 801)
    above, below = np.zeros(801), 0.0
    for i, j in itertools.combinations(range(n), 2):
        astray = abs(grade[i] - place[i]) + abs(grade[j] - place[j])
        weight = math.exp(max(grade[i], grade[j]) / (n - 1) + astray / (2 * (n - 1)))
        sign = np.sign(x[i] - x[j]) * np.sign(unit[i] - unit[j])
        above += weight * sign / (1 + np.exp(-0.175 * (abs(unit[i] - unit[j]) - thresholds)))
        below += weight
    expected = np.trapezoid(above / below, thresholds) / np.ptp(thresholds)
    assert weighted_ranks({"x": x}, y, std)["x"] == pytest.approx(expected, abs=1e-6)


# ---------------------------------------------------------------------------------------------------------- properties


def test_what_monotone_and_affine_maps_change():
    stimuli, said = made()
    x = said["a"]
    options = Options(rounds=100)
    plain = evaluate(stimuli, {"m": x}, options=options).figures["m"]
    bent = evaluate(stimuli, {"m": np.exp(x)}, options=options).figures["m"]
    moved = evaluate(stimuli, {"m": 3 * x - 7}, options=options).figures["m"]
    turned = evaluate(stimuli, {"m": -x}, lower_better=["m"], options=options).figures["m"]
    for measure in ("srcc", "krcc", "pwrc", "weighted_srcc", "srcc_within_type", "srcc_within_reference"):
        for other in (bent, moved, turned):
            assert other.values[measure] == pytest.approx(plain.values[measure], abs=1e-12)
    assert bent.intervals["srcc"] == pytest.approx(plain.intervals["srcc"], abs=1e-12)
    for measure in ("plcc", "plcc_raw", "rmse", "mae", "outlier_ratio", "rmse_star"):
        for other in (moved, turned):
            assert other.values[measure] == pytest.approx(plain.values[measure], rel=1e-4)
    assert bent.values["plcc_raw"] != pytest.approx(plain.values["plcc_raw"], abs=1e-3)


def test_intervals_hold_the_truth_and_references_widen_them():
    inside, wider = 0, 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        refs = np.repeat(np.arange(30), 6)
        shift = rng.normal(0, 1, 30)[refs]
        y = rng.normal(size=180)
        x = y + shift + 0.3 * rng.normal(size=180)  # pictures of one content err alike
        known = Stimuli(y, (-4, 4), references=refs)
        alone = Stimuli(y, (-4, 4))
        truth = 1 / math.sqrt(1 + 1 + 0.09)
        ends = [
            evaluate(s, {"x": x}, options=Options(rounds=200, splits=0)).figures["x"].intervals["plcc_raw"]
            for s in (known, alone)
        ]
        inside += ends[0][0] <= truth <= ends[0][1]
        wider += ends[0][1] - ends[0][0] > ends[1][1] - ends[1][0]
    assert inside >= 34
    assert wider >= 30


def test_tests_between_metrics_are_antisymmetric():
    stimuli, said = made(noise=(0.3, 0.9))
    one = evaluate(stimuli, said, options=Options(rounds=200))
    other = evaluate(stimuli, dict(reversed(said.items())), options=Options(rounds=200))
    for test, pairs in one.tests.items():
        if test == "variance":
            continue
        assert other.tests[test]["b", "a"]["statistic"] == pytest.approx(-pairs["a", "b"]["statistic"], rel=1e-6)
        assert other.tests[test]["b", "a"]["p"] == pytest.approx(pairs["a", "b"]["p"], rel=1e-6)
    assert one.groups == [["a"], ["b"]]


def test_groups_of_equals():
    figures = {"a": 0.9, "b": 0.88, "c": 0.8}
    assert group_equals(figures, {("a", "c"): True}) == [["a", "b"], ["b", "c"]]
    assert group_equals(figures, {}) == [["a", "b", "c"]]


def test_the_same_seed_gives_the_same_numbers():
    stimuli, said = made()
    one, two = (to_dict(evaluate(stimuli, said, options=Options(rounds=100))) for _ in range(2))
    assert one == two


def test_everything_is_json_and_tables_are_whole():
    stimuli, said = made()
    said["flat_$&"] = np.ones(120)
    found = evaluate(stimuli, said, options=Options(rounds=100))
    text = json.dumps(to_dict(found), allow_nan=False)
    assert json.loads(text)["metrics"][2]["values"]["srcc"] is None
    assert "| flat_$&" in to_markdown(found)
    assert r"flat\_\$\&" in to_latex(found)
    assert to_latex(found).count(r"\\") == 4


# ------------------------------------------------------------------------------------------------------------ decisions


def test_decisions_of_equal_metrics_differ_as_often_as_told():
    rejected = {"different": 0, "better": 0}
    for seed in range(60):
        stimuli, said = made(seed, pictures=60, references=60, noise=(0.6, 0.6))
        pairs = make_pairs(stimuli.opinions, half_width=stimuli.error)
        dyads = Dyads(pairs, make_units(None, 60))
        a, b = (decide(x, pairs, dyads) for x in said.values())
        for which in rejected:
            rejected[which] += compare_decisions(a, b, which)[1] < 0.05
    assert all(count <= 9 for count in rejected.values()), rejected  # 3 of 60 are expected, 10 would be past 1 in 1,000


def test_the_variance_of_independent_pairs_is_delongs():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.5, 1, 400), rng.normal(0, 1, 400)
    pairs = make_pairs(np.arange(4.0), half_width=np.ones(4))
    first, second = np.arange(0, 1600, 2), np.arange(1, 1600, 2)
    pairs = replace(pairs, first=first, second=second, higher=np.repeat([1, 0], 400).astype(np.int8))
    found = area(x, y)
    moved = np.concatenate([(found.v10 - found.value) / 400, (found.v01 - found.value) / 400])
    variance = Dyads(pairs, make_units(None, 1600)).influence(moved).variance()
    assert variance == pytest.approx(found.variance, rel=0.01)


def test_decisions_of_a_perfect_and_a_blind_metric():
    stimuli, _ = made()
    pairs = make_pairs(stimuli.opinions, std=stimuli.std, count=stimuli.count)
    dyads = Dyads(pairs, make_units(stimuli.references, len(stimuli.opinions)))
    perfect = decide(stimuli.opinions, pairs, dyads)
    assert perfect.better.value == 1
    assert perfect.correct == 1
    assert perfect.different.value > 0.95
    blind = decide(np.random.default_rng(0).normal(size=120), pairs, dyads)
    assert blind.different.value == pytest.approx(0.5, abs=0.05)
    assert blind.correct == pytest.approx(0.5, abs=0.1)


# ---------------------------------------------------------------------------------------------------------- baselines


def test_the_table_that_sees_no_picture():
    y = np.array([1.0, 2, 3, 5])
    refs, types, levels = np.array(["a", "b", "c", "a"]), np.array(["t"] * 3 + ["u"]), np.ones(4)
    found = predict_blind(y, refs, types, levels)
    assert found[:3] == pytest.approx([2.5, 2, 1.5])
    assert math.isnan(found[3])
    with pytest.raises(InputError, match="at least two"):
        predict_blind(y, np.array(["a"] * 4), types, levels)


def test_the_ceiling_sinks_with_noise():
    y = np.linspace(0, 100, 200)
    low, high = (noise_ceiling(y, np.full(200, s))["srcc"][0] for s in (20.0, 2.0))
    assert low < high < 1


def test_predicted_intervals():
    rng = np.random.default_rng(0)
    value = rng.uniform(20, 80, 2000)
    y = value + rng.normal(0, 5, 2000)
    half = 5 * stats.norm.ppf(0.95)
    found = judge_intervals(y, value - half, value + half, value=value, groups=np.arange(2000) % 2)
    assert found["coverage"] == pytest.approx(0.9, abs=0.02)
    assert found["factor"] == pytest.approx(1, abs=0.06)
    assert found["mean_width"] == pytest.approx(2 * half)
    assert set(found["groups"]) == {"0", "1"}
    shares = [p["coverage"] for p in found["curve"]]
    assert shares == sorted(shares)
    theirs = stats.binomtest(round(found["coverage"] * 2000), 2000).proportion_ci(method="exact")
    assert found["coverage_interval"] == pytest.approx((theirs.low, theirs.high))
    with pytest.raises(InputError, match="swapped"):
        judge_intervals(y, value + half, value - half)


# ---------------------------------------------------------------------------------------------- duels, sets, bad input


def test_duels_find_where_metrics_part():
    rng = np.random.default_rng(0)
    a = rng.uniform(0, 1, 400)
    b = a + rng.normal(0, 0.3, 400)
    found = duels(a, b, ("a", "b"), opinions=a)
    assert {d.defender for d in found} == {"a", "b"}
    for d in found:
        assert d.gap > 0
        assert d.slack <= 2 * 0.02 * 1.0
    blind = [d for d in found if d.defender == "a"]
    assert np.mean([abs(d.opinion) for d in blind]) < 0.05  # people agree with a, so its pairs look alike
    with pytest.raises(InputError, match="cannot compete"):
        duels(np.ones(10), b[:10])


def test_a_mapping_from_another_set():
    one, said = made(seed=0)
    two, other = made(seed=1)
    found = {(c.metric, c.fitted_on, c.judged_on): c for c in cross({"one": (one, said), "two": (two, other)})}
    own, foreign = found["a", "two", "two"], found["a", "one", "two"]
    assert own.srcc == foreign.srcc
    assert own.rmse <= foreign.rmse + 1e-9
    with pytest.raises(InputError, match="at least two"):
        cross({"one": (one, said)})


def test_scales_are_brought_together():
    rng = np.random.default_rng(0)
    x = [rng.uniform(0, 10, 300), rng.uniform(2, 9, 300)]
    true = [10 * v for v in x]
    y = [true[0] + rng.normal(0, 1, 300), 1 + 0.04 * true[1] + rng.normal(0, 0.04, 300)]
    gain, offset = align({"one": (x[0], y[0]), "two": (x[1], y[1])})["two"]
    assert gain == pytest.approx(25, rel=0.1)
    assert offset == pytest.approx(-25, abs=6)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"opinions": np.arange(4.0)}, "at least 5"),
        ({"opinions": np.array([1.0, 2, 3, 4, math.nan])}, "not a finite number"),
        ({"opinions": np.ones(5)}, "all opinions are the same"),
        ({"opinions": np.arange(5.0), "names": ["a", "b", "a", "c", "d"]}, "a is there twice"),
        ({"opinions": np.arange(5.0), "std": np.ones(4)}, "std has 4 values"),
    ],
)
def test_bad_opinions(change, match):
    with pytest.raises(InputError, match=match):
        Stimuli(scale=(0, 5), **change)


def test_bad_predictions():
    stimuli, said = made()
    options = Options(rounds=100)
    broken = said["a"].copy()
    broken[7] = math.nan
    with pytest.raises(InputError, match=r"1 predictions .* of p7\.png"):
        evaluate(stimuli, {"a": broken}, options=options)
    with pytest.raises(InputError, match="3 predictions, there are 120"):
        evaluate(stimuli, {"a": np.ones(3)}, options=options)
    with pytest.raises(InputError, match="not there"):
        evaluate(stimuli, said, lower_better=["c"], options=options)
    with pytest.raises(InputError, match="at least one metric"):
        evaluate(stimuli, {}, options=options)
    for wrong in ({"rounds": 3}, {"level": 1.0}, {"mapping": "spline"}, {"adjust": "bonferroni"}, {"held": 0.0}):
        with pytest.raises(InputError):
            Options(**wrong)


def test_what_is_odd_is_said():
    stimuli, said = made()
    found = evaluate(stimuli, {"wrong": -said["a"], "flat": np.ones(120)}, options=Options(rounds=100))
    assert any("SRCC is -0." in w and "higher really better" in w for w in found.figures["wrong"].warnings)
    assert found.figures["wrong"].mapping.kind == "linear"
    assert found.figures["wrong"].mapping.parameters[1] == 0
    assert any("same of all pictures" in w for w in found.figures["flat"].warnings)
    assert math.isnan(found.figures["flat"].values["srcc"])
    one = Stimuli(stimuli.opinions, (1, 5), references=np.array(["r"] * 120))
    told = evaluate(one, said, options=Options(rounds=100)).warnings
    assert any("one reference" in w for w in told)
    assert any("no spread" in w for w in told)


def test_a_logistic_that_fails_is_told():
    x = np.array([0.0, 0, 0, 0, 1, 1, 1, 1, 1])
    y = np.array([1.0, 2, 1, 2, 4, 5, 4, 5, 4])
    found = fit_mapping(x, y)
    assert found.kind in ("logistic4", "linear")
    assert found(np.array([0.0, 1.0])) == pytest.approx([1.5, 4.4], abs=0.05)
    with pytest.raises(InputError, match="needs more pictures"):
        fit_mapping(x[:4], y[:4])
    with pytest.raises(InputError, match="one of"):
        fit_mapping(x, y, "spline")
