"""Metrics of sets: what each of them owes, features of pictures, merging, files and the command."""

import json
import math
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from patterns import features, noise, photograph
from test_cli import COMMAND, run

import beholder as bh
from beholder.errors import InputError, LayoutError, OutputError, RangeError, ReadError
from beholder.metrics.sets import FeatureSet
from beholder.models.extractors import extractor

CARDS = bh.list_metrics(needs="set")
NAMES = [f"{c.name}:{p}" if p else c.name for c in CARDS for p in ("", *c.presets)]
every = pytest.mark.parametrize("name", [n for n in NAMES if n != "kid:subsets"])
A, B = "features:300x24/1", "features:200x24/2/30"


def quality(name, x, y):
    m = bh.metric(name)
    return m.compare(x, y) * (1 if m.card.better == "higher" else -1)


@every
def test_a_set_is_nearest_to_itself_and_farther_sets_are_worse(name):
    x = features(A)
    near, far = x + np.float32(0.01) * features("features:300x24/9"), x + np.float32(0.5)
    values = [quality(name, other, x) for other in (x, near, far)]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[2]
    if bh.metric(name).card.name != "kid":  # unbiased: a little under 0 for equal sets
        best = 1 if bh.metric(name).card.better == "higher" else 0
        assert values[0] == pytest.approx(best, abs=1e-6)
    low, high = bh.metric(name).range
    assert all(low <= abs(v) <= high or math.isinf(low) for v in values)


@every
def test_order_and_workers_do_not_matter(name):
    x, y = features(A), features(B)
    expected = bh.metric(name).compare(x, y)
    assert bh.metric(name).compare(x[::-1], y[::-1]) == pytest.approx(expected, rel=1e-9)
    parts = [FeatureSet.of(p) for p in np.array_split(x, 4)]
    merged = parts[2] + parts[0] + parts[3] + parts[1]
    assert merged.count == 300
    assert bh.metric(name).compare(merged, y) == pytest.approx(expected, rel=1e-9)


def test_moments_are_those_of_numpy():
    x = features(A).astype(np.float64)
    s = FeatureSet.of(features(A)[:100]) + FeatureSet.of(features(A)[100:])
    np.testing.assert_allclose(s.mean, x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(s.covariance, np.cov(x, rowvar=False), rtol=1e-9, atol=1e-12)


def test_fid_of_two_normal_distributions_is_the_formula():
    """Diagonal covariances: the distance is the sum of (m1 - m2)^2 + (s1 - s2)^2."""
    base = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    x, y = base * [2, 3] + [1, 0], base * [1, 5] + [4, 2]
    factor = 4 / 3  # four points, divided by three
    expected = 9 + 4 + factor * ((2 - 1) ** 2 + (3 - 5) ** 2)
    assert bh.metric("fid").compare(x, y) == pytest.approx(expected, rel=1e-12)


def test_kid_over_subsets_of_everything_is_kid():
    x, y = features("features:60x8/1"), features("features:60x8/2/20")
    whole = bh.metric("kid").compare(x, y)
    assert bh.metric("kid", subsets=3, size=60).compare(x, y) == pytest.approx(whole, rel=1e-9)
    some = bh.metric("kid", subsets=4000, size=20).compare(x, y)
    assert some == pytest.approx(whole, rel=0.1)
    with pytest.raises(InputError, match="kid needs at least 1000 pictures in both sets, got 60 and 60"):
        bh.metric("kid:subsets").compare(x, y)


def test_precision_and_recall_by_hand():
    """On a line: of the images 0, 1, 2, 3 and 100 all but the last lie within three steps of a reference."""
    x = np.array([[0], [1], [2], [3], [100.0]])
    y = np.array([[0], [1], [2], [3], [4.0]])
    assert bh.metric("precision_recall:precision").compare(x, y) == pytest.approx(4 / 5)
    assert bh.metric("precision_recall:recall").compare(x, y) == 1
    assert bh.metric("precision_recall").compare(x, y) == pytest.approx(2 * 0.8 / 1.8)
    apart = bh.metric("precision_recall")
    assert apart.compare(x[:4], y[:4] + 1000) == 0


def test_wrong_use_is_told(tmp_path):
    x = features(A)
    with pytest.raises(InputError, match="compares two sets"):
        bh.metric("fid")(np.zeros((1, 3, 64, 64)), np.zeros((1, 3, 64, 64)))
    with pytest.raises(InputError, match="compares two sets"):
        bh.score(np.zeros((64, 64), np.uint8), metrics="fid")
    with pytest.raises(InputError, match="compares no sets"):
        bh.metric("ssim").compare(x, x)
    with pytest.raises(InputError, match="compares no sets"):
        bh.compare_sets([], [], "ssim")
    with pytest.raises(InputError, match="features of one network, got 24 of an array and 23"):
        bh.metric("fid").compare(x, x[:, 1:])
    with pytest.raises(InputError, match="fid needs at least 2 pictures in both sets, got 1 and 300"):
        bh.metric("fid").compare(x[:1], x)
    with pytest.raises(LayoutError, match=r"\(N, 24\)"):
        FeatureSet(24).add(x[0])
    with pytest.raises(RangeError, match="finite"):
        FeatureSet.of(np.full((3, 2), np.nan))
    with pytest.raises(InputError, match="keep=True"):
        FeatureSet(24, keep=False).features  # noqa: B018
    with pytest.raises(InputError, match="no network is called"):
        bh.collect_features([], "vgg")
    with pytest.raises(InputError, match=r"inception needs weights=PATH.*6726825d"):
        bh.collect_features([], "inception")
    with pytest.raises(InputError, match="brings its weights"):
        bh.collect_features([], weights="some.pth")
    (tmp_path / "x.npz").write_bytes(b"no features")
    with pytest.raises(InputError, match=r"no set of features, or is damaged; pass a file that FeatureSet\.save"):
        FeatureSet.load(tmp_path / "x.npz")
    with pytest.raises(ReadError, match=r"gone\.npz: no such file or directory; pass"):
        FeatureSet.load(tmp_path / "gone.npz")
    np.savez(tmp_path / "y.npz", total=np.zeros(3), outer=np.zeros((2, 3)), count=1, name="net")
    with pytest.raises(InputError, match="damaged"):
        FeatureSet.load(tmp_path / "y.npz")
    with pytest.raises(OutputError, match="cannot write"):
        FeatureSet.of(x).save(tmp_path / "nowhere" / "x.npz")
    with pytest.raises(OutputError, match=r"end it in \.npz"):
        FeatureSet.of(x).save(tmp_path / "x.bin")
    with pytest.raises(InputError, match="merged with another one, got int"):
        FeatureSet.of(x) + 3
    for text in ("photos", b"photos"):
        with pytest.raises(InputError, match=r"a set is many pictures, got b?'photos' alone"):
            bh.collect_features(text)
    with pytest.raises(InputError, match="a set is many pictures, got int"):
        bh.compare_sets(3, [])


def test_two_sets_of_features_are_never_taken_for_those_of_another_network():
    x = FeatureSet.of(features(A), "beholder 0123456789ab")
    other = FeatureSet.of(features(A), "inception 0123456789ab")
    assert bh.compare_sets(x, x, "kid", features="beholder")["flags"] == ()
    with pytest.raises(
        InputError, match=r"holds features of beholder 0123456789ab, and those of 'inception' are asked"
    ):
        bh.compare_sets(x, x, "kid", features="inception")
    with pytest.raises(InputError, match="of an array, and those of 'beholder' are asked"):
        bh.compare_sets(x, FeatureSet.of(features(A)), "kid", features="beholder")
    with pytest.raises(InputError, match="weights are for pictures"):
        bh.compare_sets(x, x, "kid", weights="w.pth")
    with pytest.raises(InputError, match="collect both with the same network"):
        bh.compare_sets(x, [np.zeros((64, 64), np.uint8)], "kid")
    with pytest.raises(InputError, match=r"inception needs weights=PATH"):
        bh.compare_sets(other, [np.zeros((64, 64), np.uint8)], "kid")


def test_flags_tell_what_a_value_stands_on():
    """A covariance of 24 features needs more than 24 pictures; weights of Inception have one published checksum."""
    x = features(A)
    flags = {n: bh.compare_sets(FeatureSet.of(x[:n]), FeatureSet.of(x), "fid,kid")["flags"] for n in (24, 25)}
    assert flags == {24: ("small_set",), 25: ()}
    row = bh.compare_sets(FeatureSet.of(x[:24]), FeatureSet.of(x), "fid,kid")
    assert (row["fid"].flags, row["kid"].flags) == (("small_set",), ())  # kid has no bias on small sets
    unknown, known = (FeatureSet.of(x, f"inception {digest}") for digest in ("0123456789ab", "6726825d0af5"))
    assert bh.compare_sets(unknown, unknown, "kid")["flags"] == ("unknown_weights",)
    assert bh.compare_sets(known, known, "kid")["flags"] == ()


def test_settings_of_ones_own_reach_set_metrics():
    x = FeatureSet.of(features(A))
    row = bh.compare_sets(x, x, [bh.metric("kid", subsets=3, size=20), "fid"])
    assert list(row.scores) == ["kid", "fid"]
    assert row["kid"].value == bh.metric("kid", subsets=3, size=20).compare(x, x)


def test_why_a_set_is_empty_is_told(folders, tmp_path):
    clean = sorted((folders / "clean").iterdir())
    with pytest.raises(InputError, match=r"none of the 1 pictures of <references> could be read.*nope\.png"):
        bh.compare_sets(clean, [tmp_path / "nope.png"], "kid")
    with pytest.raises(InputError, match=r"at least 2 pictures.*got 1 and 6; pass more; 1 could not be .*nope\.png"):
        bh.compare_sets([clean[0], tmp_path / "nope.png"], clean, "kid")
    batch = np.zeros((4, 3, 64, 64), np.uint8)
    with pytest.raises(LayoutError, match="layout"):
        bh.compare_sets(batch, clean, "kid")
    with pytest.raises(LayoutError, match="layout"):
        bh.compare_sets([np.zeros((64, 64, 5), np.uint8)] * 3, clean, "kid")
    with pytest.raises(LayoutError, match=r"four axes, got shape \(3, 64, 64\)"):
        bh.compare_sets(batch[0], clean, "kid")
    assert bh.compare_sets(batch, batch, "kid", layout="CHW").counts == (4, 4)


def test_a_saved_set_is_the_same(tmp_path):
    for keep in (True, False):
        s = FeatureSet(24, "net", keep)
        s.add(features(A))
        s.save(tmp_path / "set.npz")
        again = FeatureSet.load(tmp_path / "set.npz")
        assert (again.size, again.name, again.keep, again.count) == (24, "net", keep, 300)
        assert np.array_equal(again.outer, s.outer)
        assert np.array_equal(again.total, s.total)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two sets of small pictures: pieces of photographs, and the same with noise; one file is no picture."""
    from PIL import Image

    root = tmp_path_factory.mktemp("sets")
    for kind in ("clean", "noisy"):
        (root / kind).mkdir()
        for name in ("astronaut", "coffee"):
            for i in range(3):
                piece = photograph(name)[40 * i : 40 * i + 128, 60 * i : 60 * i + 128].astype(np.int64)
                if kind == "noisy":
                    piece = piece + noise(128, 128, 3, seed=i + 1).astype(np.int64) % 81 - 40
                Image.fromarray(np.clip(piece, 0, 255).astype(np.uint8)).save(root / kind / f"{name}{i}.png")
    return root


def test_features_of_pictures(folders):
    paths = sorted((folders / "clean").iterdir())
    s = bh.collect_features(paths, workers=2)
    network = extractor()
    assert (s.size, s.count) == (1280, 6)
    one = network.extract(bh.read_image(paths[0]).pixels)
    np.testing.assert_allclose(s.features[0], one, rtol=1e-5, atol=1e-6)
    assert (one >= 0).all()
    assert one.std() > 0.01


def test_compare_sets_of_pictures(folders, tmp_path):
    clean, noisy = (sorted((folders / kind).iterdir()) for kind in ("clean", "noisy"))
    row = bh.compare_sets(noisy, clean, ["fid", "kid", "precision_recall:recall"], workers=1)
    assert row.counts == (6, 6)
    assert row["fid"].value > 10 * bh.compare_sets(clean, clean, "fid")["fid"].value + 1
    assert len(row["fid"].weights) == 12
    halves = bh.collect_features(noisy[:3]) + bh.collect_features(noisy[3:])
    assert bh.compare_sets(halves, clean, "fid")["fid"].value == pytest.approx(row["fid"].value, rel=1e-6)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    left = bh.compare_sets([*noisy, broken], clean, "fid")
    assert left["fid"].value == pytest.approx(row["fid"].value, rel=1e-6)
    assert left["flags"] == ("incomplete", "small_set")
    assert left.failed[0][0] == str(broken)
    assert (left["images"], left["references"], left.flat()["images"]) == (6, 6, 6)
    assert list(left)[4:6] == ["images", "references"]
    assert set(left.flat()) == set(left)
    assert len(left) == len(list(left))
    with pytest.raises(bh.ReadError):
        bh.collect_features([broken])


def test_the_command_compares_folders(folders, tmp_path):
    target = tmp_path / "out.json"
    done = run("compare", folders / "noisy", folders / "clean", "-m", "fid,kid", "-o", target)
    assert done.returncode == 0, done.stderr
    written = json.loads(target.read_text())
    assert written["rows"][0]["fid"] > 0
    assert written["meta"]["settings"]["pictures"] == [6, 6]
    assert written["meta"]["settings"]["features"].startswith("beholder ")
    assert (written["rows"][0]["images"], written["rows"][0]["references"]) == (6, 6)
    assert done.stderr.splitlines()[-1] == "6 of 6"
    done = run("compare", folders / "noisy", folders / "clean", "-m", "ssim")
    assert (done.returncode, "compares no sets" in done.stderr) == (2, True)


def test_the_command_saves_features_that_are_looked_at_once(folders, tmp_path):
    broken = tmp_path / "some"
    shutil.copytree(folders / "noisy", broken)
    (broken / "broken.png").write_bytes(b"no picture")
    saved = tmp_path / "noisy.npz"
    done = run("features", broken, "-o", saved, "-q")
    assert done.returncode == 3
    assert "broken.png: ReadError" in done.stderr
    stored = FeatureSet.load(saved)
    assert (stored.count, stored.size) == (6, 1280)
    done = run("compare", saved, folders / "clean", "-m", "fid", "-q", "--table")
    assert (done.returncode, done.stderr) == (0, "")
    expected = bh.compare_sets(stored, sorted((folders / "clean").iterdir()), "fid")["fid"].value
    assert f"{expected:.2f}" in done.stdout
    assert "6 pictures compared with 6, 0 errors" in done.stdout
    for wrong, told in (
        (("compare", saved, saved, "--features", "inception"), "those of 'inception' are asked for"),
        (("compare", tmp_path / "nodir", saved), "nodir' does not exist; pass a folder"),
        (("compare", tmp_path / "no.npz", saved), "no such file"),
        (("features", saved, "-o", tmp_path / "b.npz"), "holds features already"),
        (("features", broken, "-o", tmp_path / "b.csv"), ".npz file"),
    ):
        done = run(*wrong)
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a single process there")
def test_an_interrupted_comparison_says_so(folders, tmp_path):
    many = tmp_path / "many.txt"
    many.write_text("".join(f"{p}\n" for p in sorted((folders / "clean").iterdir())) * 3000)
    with subprocess.Popen([*COMMAND, "compare", many, many], stderr=subprocess.PIPE, text=True) as process:
        process.stderr.readline()  # it is under way
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "interrupted; nothing was compared" in told
    assert "Traceback" not in told
