"""The fused kernels against float64 definitions, the authors' own GMSD values, and hard surroundings."""

import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import correlate1d

from beholder import kernels
from beholder.errors import ChannelError, InputError, LayoutError, SizeError

FULL = np.array([0.299, 0.587, 0.114])
STUDIO = np.array([65.481, 128.553, 24.966]) / 255
TAPS = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
TAPS /= TAPS.sum()


def true_luma(picture, luma):
    if picture.ndim == 2:
        return picture.astype(float)
    if luma == "matlab":
        return np.floor(picture @ np.array([0.298936021293775, 0.587043074451121, 0.114020904255103]) + 0.5)
    return picture @ FULL


def true_ssim_terms(x, y):
    x, y = x.astype(float), y.astype(float)

    def smooth(a):
        return correlate1d(correlate1d(a, TAPS, axis=0), TAPS, axis=1)[5:-5, 5:-5]

    c1, c2 = 2.55**2, 7.65**2
    mx, my = smooth(x), smooth(y)
    cs = (2 * (smooth(x * y) - mx * my) + c2) / (smooth(x * x) - mx * mx + smooth(y * y) - my * my + c2)
    return float(np.mean((2 * mx * my + c1) / (mx * mx + my * my + c1) * cs)), float(np.mean(cs))


def true_ssim(x, y, luma=""):
    if x.ndim == 3 and luma == "":
        return float(np.mean([true_ssim(x[..., c], y[..., c]) for c in range(3)]))
    return true_ssim_terms(true_luma(x, luma), true_luma(y, luma))[0]


def true_gmsd(x, y, luma="full"):
    def squared_gradient(picture):
        grey = true_luma(picture, luma)
        grey = np.pad(grey, ((0, grey.shape[0] % 2), (0, grey.shape[1] % 2)))
        small = (grey[::2, ::2] + grey[1::2, ::2] + grey[::2, 1::2] + grey[1::2, 1::2]) / 4
        p = np.pad(small, 1)
        h, w = small.shape
        at = {(i, j): p[i : i + h, j : j + w] for i in range(3) for j in range(3)}
        gx = sum(at[i, 0] - at[i, 2] for i in range(3)) / 3
        gy = sum(at[0, j] - at[2, j] for j in range(3)) / 3
        return gx**2 + gy**2

    a, b = squared_gradient(x), squared_gradient(y)
    similarity = (2 * np.sqrt(a * b) + 170) / (a + b + 170)
    return float(similarity.std(ddof=1)) if similarity.size > 1 else 0.0


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def noisy(reference, sigma=12.0, seed=1):
    added = np.random.default_rng(seed).normal(0, sigma, reference.shape)
    return np.clip(reference + added, 0, 255).astype(np.uint8)


def smooth_scene(*shape):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    plane = 128 + 90 * np.sin(rows / 17) * np.cos(columns / 23)
    planes = plane if len(shape) == 2 else np.stack([plane, 255 - plane, plane / 2], axis=-1)
    return np.clip(planes, 0, 255).astype(np.uint8)


def step(height, width, low, high, column):
    picture = np.full((height, width), low, np.uint8)
    picture[:, column:] = high
    return picture


def pairs():
    """Named pictures that strain float32: flat, bright, black and white, steps, noise, tile borders, odd sizes."""
    flat = np.full((70, 90), 254, np.uint8)
    dotted = flat.copy()
    dotted[::7, ::5] = 255
    scene = smooth_scene(151, 203)
    yield "flat bright", flat, np.full_like(flat, 253)
    yield "bright with dots", dotted, flat
    yield "black and white", np.zeros_like(flat), np.full_like(flat, 255)
    yield "grey and lighter grey", np.full_like(flat, 60), np.full_like(flat, 200)
    yield "step moved by a pixel", step(64, 600, 0, 255, 300), step(64, 600, 0, 255, 301)
    yield "step against flat", step(64, 600, 0, 255, 300), np.full((64, 600), 128, np.uint8)
    yield "steps of other heights", step(64, 600, 20, 240, 300), step(64, 600, 120, 250, 300)
    yield "noise", noise(130, 140), noise(130, 140, seed=5)
    yield (
        "checkerboard against its inverse",
        *((((np.indices((40, 44)).sum(0) + odd) % 2) * 255).astype(np.uint8) for odd in (0, 1)),
    )
    yield "scene", noisy(scene), scene
    yield "smallest", noise(11, 11), noise(11, 11, seed=2)
    yield "one row of windows, many tiles", noisy(noise(11, 2100)), noise(11, 2100)
    yield "one column of windows", noisy(noise(700, 11)), noise(700, 11)
    for height, width in ((74, 522), (75, 523), (138, 534), (73, 521), (141, 1035)):
        yield f"{height}x{width}", noisy(noise(height, width)), noise(height, width)


PAIRS = [pytest.param(x, y, id=name) for name, x, y in pairs()]


@pytest.mark.parametrize(("x", "y"), PAIRS)
def test_grey_equals_the_float64_definitions(x, y):
    difference = x.astype(float) - y.astype(float)
    assert kernels.squared_error(x, y) == pytest.approx(np.mean(difference**2), rel=1e-14)
    assert kernels.absolute_error(x, y) == pytest.approx(np.mean(np.abs(difference)), rel=1e-14)
    assert kernels.ssim(x, y) == pytest.approx(true_ssim(x, y), abs=1e-6)
    assert kernels.ssim_terms(x, y) == pytest.approx(true_ssim_terms(x, y), abs=2e-6)
    assert kernels.gmsd(x, y) == pytest.approx(true_gmsd(x, y), abs=1e-6)


@pytest.mark.parametrize("shape", [(11, 11, 3), (75, 181, 3), (41, 523, 3), (140, 77, 3)])
@pytest.mark.parametrize("make", [smooth_scene, noise])
def test_colour_equals_the_float64_definitions(shape, make):
    y = make(*shape)
    x = noisy(y)
    for luma in ("", "full", "matlab"):
        assert kernels.ssim(x, y, luma=luma) == pytest.approx(true_ssim(x, y, luma), abs=1e-6), luma
    for luma in ("full", "matlab"):
        assert kernels.gmsd(x, y, luma=luma) == pytest.approx(true_gmsd(x, y, luma), abs=1e-6), luma
    difference = x.astype(float) - y
    assert kernels.squared_error(x, y) == pytest.approx(np.mean(difference**2), rel=1e-14)
    assert kernels.absolute_error(x, y) == pytest.approx(np.mean(np.abs(difference)), rel=1e-14)
    for luma, weights in (("full", FULL), ("studio", STUDIO)):
        assert kernels.squared_error(x, y, luma=luma) == pytest.approx(np.mean((difference @ weights) ** 2), rel=1e-6)


def test_saturated_colours_side_by_side_stay_exact():
    y = np.zeros((40, 200, 3), np.uint8)
    y[:, :100], y[:, 100:] = (250, 5, 5), (5, 5, 250)
    x = np.roll(y, 2, axis=1)
    assert kernels.ssim(x, y) == pytest.approx(true_ssim(x, y), abs=1e-6)


@pytest.mark.parametrize("sigma", [0, 3])
def test_flat_areas_far_apart_stay_exact(sigma):
    """Float32 alone is wrong by up to 6e-5 here: such tiles go through float64."""
    random = np.random.default_rng(0)
    for _ in range(40):
        a, b, c, d, p, q = (int(v) for v in random.integers([0, 0, 0, 0, 50, 50], [256, 256, 256, 256, 350, 350]))
        x, y = step(64, 400, a, b, p), step(64, 400, c, d, q)
        x = noisy(x, sigma) if sigma else x
        assert kernels.ssim(x, y, 2) == pytest.approx(true_ssim(x, y), abs=3e-6), (a, b, c, d, p, q)
        planes = (x.astype(np.float32), y.astype(np.float32))
        assert kernels.ssim_terms(*planes) == pytest.approx(true_ssim_terms(x, y), abs=5e-6), (a, b, c, d, p, q)


def test_mean_over_channels_is_the_mean_of_the_planes():
    x, y = noise(90, 101, 3), noise(90, 101, 3, seed=3)
    planes = [[np.ascontiguousarray(a[..., c]) for c in range(3)] for a in (x, y)]
    for function in (kernels.ssim, kernels.squared_error, kernels.absolute_error):
        apart = np.mean([function(a, b) for a, b in zip(*planes, strict=True)])
        assert function(x, y) == pytest.approx(apart, rel=1e-6)


def test_grey_as_studio_luma_counts_as_equal_channels():
    x, y = noise(30, 31), noise(30, 31, seed=4)
    colour = [np.repeat(a[..., None], 3, axis=-1) for a in (x, y)]
    expected = np.mean(((x.astype(float) - y) * 219 / 255) ** 2)
    assert kernels.squared_error(x, y, luma="studio") == pytest.approx(expected, rel=1e-12)
    assert kernels.squared_error(*colour, luma="studio") == pytest.approx(expected, rel=1e-6)


def test_float_planes_give_the_terms_of_the_definition():
    random = np.random.default_rng(0)
    y = random.uniform(0, 255, (97, 130)).astype(np.float32)
    x = (0.8 * y + random.uniform(0, 40, y.shape)).astype(np.float32)
    assert kernels.ssim_terms(x, y) == pytest.approx(true_ssim_terms(x, y), abs=1e-6)
    whole = noise(60, 61)
    assert kernels.ssim_terms(whole.astype(np.float32), np.zeros((60, 61), np.float32)) == pytest.approx(
        kernels.ssim_terms(whole, np.zeros_like(whole)), abs=1e-6
    )


@pytest.mark.parametrize(
    "shape", [(2, 2), (2, 3), (3, 2), (3, 3), (5, 4), (2, 301), (301, 2), (37, 41), (2, 2, 3), (5, 7, 3)]
)
def test_gmsd_of_small_and_odd_sizes(shape):
    x, y = noise(*shape), noise(*shape, seed=9)
    assert kernels.gmsd(x, y) == pytest.approx(true_gmsd(x, y), abs=1e-6)


def test_gmsd_of_constant_dissimilarity_does_not_cancel():
    ramp = np.tile(np.arange(0, 250, 1, dtype=np.uint8), (2000, 1))
    flat = np.full_like(ramp, 90)
    assert kernels.gmsd(ramp, flat) == pytest.approx(true_gmsd(ramp, flat), abs=1e-6)


@pytest.mark.data
@pytest.mark.skipif(not os.environ.get("BEHOLDER_DATA"), reason="BEHOLDER_DATA names no data folder")
@pytest.mark.parametrize(("name", "expected"), [("I03", 0.220347639470143), ("I08", 0.134631933046914)])
def test_gmsd_equals_the_authors_program(name, expected):
    from PIL import Image

    truth = Path(os.environ["BEHOLDER_DATA"]) / "truth"
    distorted = next(path for path in (truth / "dist_dir").iterdir() if path.name.upper() == f"{name}.BMP")
    reference = next(path for path in (truth / "ref_dir").iterdir() if path.name.upper() == f"{name}.BMP")
    x, y = (np.array(Image.open(path).convert("RGB")) for path in (distorted, reference))
    assert kernels.gmsd(x, y, luma="matlab") == pytest.approx(expected, abs=1e-6)
    assert kernels.gmsd(x, y, luma="matlab") == pytest.approx(true_gmsd(x, y, "matlab"), abs=1e-6)


pictures = st.tuples(st.integers(11, 40), st.integers(11, 40), st.sampled_from([(), (3,)])).flatmap(
    lambda s: st.tuples(*[arrays(np.uint8, (s[0], s[1], *s[2])) for _ in range(2)])
)


@settings(max_examples=40, deadline=None)
@given(pictures)
def test_identity_symmetry_and_agreement(pair):
    x, y = pair
    assert kernels.squared_error(x, x) == 0
    assert kernels.absolute_error(x, x) == 0
    assert kernels.ssim(x, x) == 1
    assert kernels.gmsd(x, x) == 0
    for function in (kernels.squared_error, kernels.absolute_error, kernels.ssim, kernels.gmsd):
        assert function(x, y) == pytest.approx(function(y, x), abs=1e-6)
    assert kernels.ssim(x, y) == pytest.approx(true_ssim(x, y), abs=5e-6)
    assert kernels.gmsd(x, y) == pytest.approx(true_gmsd(x, y), abs=5e-6)


@pytest.mark.parametrize("threads", [2, 3, 7, 64])
def test_the_value_does_not_depend_on_threads(threads):
    y = smooth_scene(601, 703, 3)
    x = noisy(y)
    gx, gy = (np.ascontiguousarray(a[..., 1]) for a in (x, y))
    for one, many in (
        (kernels.squared_error(x, y), kernels.squared_error(x, y, threads)),
        (kernels.squared_error(x, y, luma="full"), kernels.squared_error(x, y, threads, "full")),
        (kernels.absolute_error(x, y), kernels.absolute_error(x, y, threads)),
        (kernels.ssim(x, y), kernels.ssim(x, y, threads)),
        (kernels.ssim(x, y, luma="full"), kernels.ssim(x, y, threads, "full")),
        (kernels.gmsd(x, y), kernels.gmsd(x, y, threads)),
        *zip(kernels.ssim_terms(gx, gy), kernels.ssim_terms(gx, gy, threads), strict=True),
    ):
        assert many == pytest.approx(one, rel=1e-9, abs=1e-9)


def test_read_only_arrays_are_read_and_writable_ones_stay_writable():
    x, y = noise(40, 40), noise(40, 40, seed=1)
    before = kernels.ssim(x, y)
    assert x.flags.writeable
    assert y.flags.writeable
    frozen = np.frombuffer(x.tobytes(), np.uint8).reshape(x.shape)
    assert kernels.ssim(frozen, y) == before


@pytest.mark.parametrize("function", [kernels.squared_error, kernels.absolute_error, kernels.ssim, kernels.gmsd])
def test_bad_input_is_a_typed_error(function):
    good = noise(24, 26)
    for bad, error, words in (
        (good[:, ::2], LayoutError, "C-contiguous"),
        (np.asfortranarray(good), LayoutError, "ascontiguousarray"),
        (good.astype(np.float32), LayoutError, "uint8"),
        (good.tolist(), LayoutError, "list"),
        (noise(24, 26, 4), ChannelError, "(24, 26, 4)"),
        (noise(24), ChannelError, "(24,)"),
        (noise(24, 25), SizeError, "(24, 25)"),
        (noise(24, 26, 3), SizeError, "one shape"),
    ):
        with pytest.raises(error) as caught:
            function(bad, good)
        assert words in str(caught.value)
    with pytest.raises(InputError, match="threads"):
        function(good, good, 0)
    empty = np.zeros((0, 5), np.uint8)
    with pytest.raises(SizeError, match="at least"):
        function(empty, empty)


def test_too_small_pictures_unknown_luma_and_colour_planes_are_typed_errors():
    with pytest.raises(SizeError, match="11x11"):
        kernels.ssim(noise(10, 40), noise(10, 40))
    with pytest.raises(SizeError, match="2x2"):
        kernels.gmsd(noise(1, 40), noise(1, 40))
    for function, luma in ((kernels.ssim, "studio"), (kernels.squared_error, "matlab"), (kernels.gmsd, "")):
        with pytest.raises(InputError, match="luma"):
            function(noise(20, 20), noise(20, 20), luma=luma)
    with pytest.raises(ChannelError, match="plane"):
        kernels.ssim_terms(noise(20, 20, 3), noise(20, 20, 3))
    with pytest.raises(SizeError, match="type"):
        kernels.ssim_terms(noise(20, 20), noise(20, 20).astype(np.float32))


ONE_CALL = """
import sys
import numpy as np
from beholder import kernels
x = np.arange(900, dtype=np.uint8).reshape(30, 30)
print(repr(kernels.absolute_error(x, x[::-1].copy())), *kernels.machine.compiled, *{"numba"} & set(sys.modules))
"""


def start(folder, code=ONE_CALL):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder), "PYTHONWARNINGS": "error"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(kernels.__file__).parents[2]), *sys.path]))
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert err == ""
    return out.split()


@pytest.fixture
def expected():
    x = np.arange(900, dtype=np.uint8).reshape(30, 30).astype(float)
    return repr(float(np.mean(np.abs(x - x[::-1]))))


def test_a_cache_folder_that_cannot_exist_is_no_failure(tmp_path, expected):
    file = tmp_path / "file"
    file.write_text("not a folder")
    assert finish(start(file / "below")) == [expected, "absolute", "numba"]
    assert file.read_text() == "not a folder"


def test_a_second_process_compiles_nothing_and_a_damaged_cache_is_no_failure(tmp_path, expected):
    compiling = [expected, "absolute", "numba"]
    assert finish(start(tmp_path)) == compiling
    assert finish(start(tmp_path)) == [expected]
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    whole = file.read_bytes()
    for damaged in (b"", whole[:-1] + bytes([whole[-1] ^ 1])):
        file.write_bytes(damaged)
        assert finish(start(tmp_path)) == compiling
    assert finish(start(tmp_path)) == [expected]


def test_two_processes_may_compile_at_once(tmp_path, expected):
    running = [start(tmp_path) for _ in range(2)]
    assert [finish(process)[0] for process in running] == [expected, expected]
    assert finish(start(tmp_path)) == [expected]
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_code_that_needs_what_other_processes_lack_is_run_by_the_compiler_itself(monkeypatch, tmp_path):
    """As under a Numba whose code calls helpers of its own: linking it later would end the process."""
    from beholder.kernels import code

    numbers = ", ".join(["i64"] * 14)
    foreign = f"declare i32 @helper()\ndefine i32 @f({numbers}) {{\n %1 = call i32 @helper()\n ret i32 %1\n}}\n"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(kernels.machine, "_kernels", {})
    monkeypatch.setattr(code, "compile_to_ir", lambda name: foreign)
    x, y = noise(40, 50), noise(40, 50, seed=1)
    assert kernels.absolute_error(x, y) == np.mean(np.abs(x.astype(float) - y))
    assert not list(tmp_path.rglob("*"))


def test_threads_may_make_the_first_call_at_once(monkeypatch):
    monkeypatch.setattr(kernels.machine, "_kernels", {})
    x, y = noise(30, 31), noise(30, 31, seed=1)
    results, gate = [], threading.Barrier(4)

    def call():
        gate.wait()
        results.append(kernels.absolute_error(x, y))

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert results == [np.mean(np.abs(x.astype(float) - y))] * 4
    assert list(kernels.machine._kernels) == ["absolute"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
def test_a_forked_child_can_use_threads():
    code = """
import os, warnings
import numpy as np
from beholder import kernels
warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what is tested
x = np.zeros((600, 600), np.uint8)
kernels.absolute_error(x, x, 2)
child = os.fork()
if child == 0:
    os._exit(int(kernels.absolute_error(x, x + 7, 2)))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    folder = os.environ.get("NUMBA_CACHE_DIR") or str(kernels.machine.cache_root())
    assert finish(start(folder, code)) == ["7"]


def test_results_are_plain_floats():
    x = noise(20, 20)
    values = [kernels.ssim(x, x), kernels.gmsd(x, x), kernels.squared_error(x, x), *kernels.ssim_terms(x, x)]
    assert {type(value) for value in values} == {float}
    assert all(math.isfinite(value) for value in values)
