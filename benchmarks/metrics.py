"""Times and values of every metric at 1080p beside the peers, in one process: NumPy bytes in, and PyTorch tensors."""

import argparse
import os

THREADS = 2
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))  # before the libraries are loaded

import functools  # noqa: E402
import json  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
from arrays import pair_of_colours  # noqa: E402
from common import RESULTS, interleave, save, wait_for_quiet  # noqa: E402
from peers import load_piq  # noqa: E402
from PIL import Image  # noqa: E402

import beholder as bh  # noqa: E402

SIZE = (1920, 1080)
SMALL = (512, 384)
HUGE = (3840, 2160)
# What is asked for, of which picture ("y": luma, one plane; "rgb"), and the functions of the peers that compute it.
FIELD: dict[str, tuple[str, dict[str, str]]] = {
    "mae": ("rgb", {}),
    "mse": ("rgb", {}),
    "psnr": ("rgb", {"piq": "psnr", "frame-analytics": "psnr"}),
    "ssim": ("y", {"frame-analytics": "ssim"}),
    "ms_ssim": ("y", {"piq": "multi_scale_ssim", "frame-analytics": "ms_ssim"}),
    "vif_p": ("y", {"piq": "vif_p", "frame-analytics": "vifp"}),
    "fsim": ("rgb", {"frame-analytics": "fsim"}),
    "fsimc": ("rgb", {"piq": "fsim", "frame-analytics": "fsimc"}),
    "vsi": ("rgb", {"piq": "vsi", "frame-analytics": "vsi"}),
    "sr_sim": ("y", {"piq": "srsim", "frame-analytics": "srsim"}),
    "gmsd": ("y", {"piq": "gmsd", "frame-analytics": "gmsd"}),
    "ms_gmsd": ("y", {"piq": "multi_scale_gmsd", "frame-analytics": "ms_gmsd"}),
    "mdsi": ("rgb", {"piq": "mdsi", "frame-analytics": "mdsi"}),
    "haarpsi": ("rgb", {"piq": "haarpsi", "frame-analytics": "haarpsi"}),
    "dss": ("y", {"piq": "dss", "frame-analytics": "dss"}),
    "iw_ssim": ("y", {"piq": "information_weighted_ssim", "frame-analytics": "iw_ssim"}),
    "nlpd": ("y", {"frame-analytics": "nlpd"}),
    "psnr_hvs": ("y", {"frame-analytics": "psnr_hvs"}),
    "psnr_hvs_m": ("y", {"frame-analytics": "psnr_hvs_m"}),
    "ssimulacra2": ("rgb", {"frame-analytics": "ssimulacra2"}),
    "flip": ("rgb", {"frame-analytics": "flip"}),
    "ciede2000": ("rgb", {"frame-analytics": "ciede2000"}),
}
PROGRAM = "C++ ssimulacra2"
BROUGHT = ("dists", "lpips", "lpips:squeeze", "lpips:vgg")  # networks whose weights the user brings: here random ones
Batch = np.ndarray


def peers() -> dict[str, Callable[[str], Callable[..., Any]]]:
    """Library to (function's name to function of two tensors in [0, 1])."""
    import frame_analytics as fa

    piq = load_piq()
    return {
        "piq": lambda name: functools.partial(getattr(piq, name), data_range=1.0),
        "frame-analytics": lambda name: functools.partial(getattr(fa, name), data_range=1.0),
    }


def names() -> list[str]:
    """Those with peers first."""
    plain = [c.name for c in bh.list_metrics() if c.needs in ("reference", "image") and not c.backbones]
    return sorted((*plain, *BROUGHT), key=lambda n: (not FIELD.get(n, ("", {}))[1], n in BROUGHT, n))


def measure_of(name: str) -> Any:
    """The metric; with random weights where it wants them from the user."""
    if name not in BROUGHT:
        return bh.metric(name)
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from backbones import made

    return made(name)


def pictures(kind: str, size: tuple[int, int]) -> tuple[Batch, Batch]:
    """(1, C, H, W) uint8, the judged one first."""
    pair = pair_of_colours(*size)
    if kind == "y":
        pair = tuple(np.rint(a @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)[..., None] for a in pair)
    x, y = (np.ascontiguousarray(a).transpose(2, 0, 1)[None] for a in pair)
    return x, y


def arguments(measure: Any, pair: tuple[Any, Any]) -> tuple[Any, ...]:
    return pair if measure.card.needs == "reference" else pair[:1]


def forward_and_back(function: Callable[..., Any], x: Any, y: Any) -> Callable[[], Any]:
    def call() -> None:
        leaf = x.detach().requires_grad_()
        function(leaf, y).sum().backward()

    return call


def calls_of(name: str, kind: str, functions: dict[str, str], size: tuple[int, int]) -> dict[str, Callable[[], Any]]:
    """What is timed, by "library, way"."""
    import torch

    measure, field = measure_of(name), peers()
    pair = pictures(kind, size)
    calls: dict[str, Callable[[], Any]] = {
        "beholder, bytes": lambda: float(measure(*arguments(measure, pair), threads=THREADS)[0])
    }
    if not functions:
        return calls
    x, y = (torch.tensor(a.astype(np.float32) / 255) for a in pair)
    entries = {"beholder": lambda a, b: measure(*arguments(measure, (a, b)))}
    entries |= {library: field[library](function) for library, function in functions.items()}
    for library, function in entries.items():
        calls[f"{library}, tensors"] = lambda function=function: float(function(x, y))
    whole = [torch.from_numpy(np.ascontiguousarray(a)) for a in pair]
    calls["beholder, byte tensors"] = lambda: float(measure(*arguments(measure, (whole[0], whole[1]))))
    for library, function in functions.items():
        if library == "frame-analytics":  # it takes bytes as they are
            call = functools.partial(field[library](function), data_range=255.0)
            calls[f"{library}, byte tensors"] = lambda call=call: float(call(*whole))
    if measure.card.differentiable:
        for library, function in entries.items():
            calls[f"{library}, tensors, with gradient"] = forward_and_back(function, x, y)
    return calls


def program(path: str) -> dict[str, Callable[[], Any]]:
    """The author's ssimulacra2 as a process on two PNG files, and on two of unequal size: those it only decodes."""
    folder = tempfile.TemporaryDirectory()  # goes with the calls
    image, reference = (a[0].transpose(1, 2, 0) for a in pictures("rgb", SIZE))
    for name, picture in {"image": image, "reference": reference, "cut": reference[:-1]}.items():
        Image.fromarray(picture).save(Path(folder.name, f"{name}.png"), compress_level=1)

    def call(first: str) -> float | None:
        files = [str(Path(folder.name, f"{name}.png")) for name in (first, "image")]
        done = subprocess.run([path, *files], capture_output=True, text=True, timeout=60, check=first != "cut")
        return None if first == "cut" else float(done.stdout)

    names = {"whole process with decoding": "reference", "decoding alone": "cut"}
    return {f"{PROGRAM}, {what}": functools.partial(call, first) for what, first in names.items()}


def subtract_decoding(times: dict[str, dict[str, float]], values: dict[str, Any]) -> None:
    """The program's time less the median of that for decoding, in place of the latter."""
    decoding = times.pop(f"{PROGRAM}, decoding alone")
    values.pop(f"{PROGRAM}, decoding alone")
    whole, name = f"{PROGRAM}, whole process with decoding", f"{PROGRAM}, process less decoding"
    less = {"rounds": 0, "cpu": decoding["cpu"]}
    times[name] = {k: v - less.get(k, decoding["median"]) for k, v in times[whole].items()}
    values[name] = values[whole]


def usable(calls: dict[str, Callable[[], Any]]) -> tuple[dict[str, Callable[[], Any]], dict[str, str]]:
    """Those that do not fail, and what the others say."""
    good, bad = {}, {}
    for name, call in calls.items():
        try:
            call()
            good[name] = call
        except Exception as error:
            bad[name] = f"{type(error).__name__}: {error}"[:200]
    return good, bad


def kept(chosen: list[str]) -> list[dict[str, Any]]:
    """The rows of other metrics out of the last run: a row holds all that is compared with each other."""
    path = RESULTS / "metrics.json"
    rows = json.loads(path.read_text())["rows"] if path.is_file() else []
    return [row for row in rows if row["metric"] not in chosen]


def peak(name: str) -> float:
    """Megabytes that measuring a 4K picture adds to a process of its own that has measured a small one."""
    done = subprocess.run(
        [sys.executable, __file__, "--peak", name], capture_output=True, text=True, timeout=1800, check=False
    )
    return float(done.stdout.split()[-1]) if done.returncode == 0 else float("nan")


def most_memory() -> int:
    """The most that this process held, in kB (Linux); ru_maxrss would count what its parent held, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def print_peak(name: str) -> None:
    measure = measure_of(name)
    measure(*arguments(measure, pictures("rgb", SMALL)), threads=THREADS)
    before = most_memory()
    count, rows, columns = 2 if measure.card.needs == "reference" else 1, HUGE[1] // 8, HUGE[0] // 8
    whole = np.empty((count, rows, 8, columns, 8, 3), np.uint8)  # blocks of 8x8: nothing is made on the way
    whole[...] = np.random.default_rng(0).integers(0, 256, (2, rows, 1, columns, 1, 3), np.uint8)[:count]
    measure(*(a.reshape(HUGE[1], HUGE[0], 3).transpose(2, 0, 1)[None] for a in whole), threads=THREADS)
    print((most_memory() - before) / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="only these metrics, with commas between")
    parser.add_argument("--patience", type=float, default=3.0, help="seconds to wait for other work before a metric")
    parser.add_argument("--ssimulacra2", default="", metavar="PATH", help="the author's program, to measure it, too")
    parser.add_argument("--peak", default="", help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.peak:
        print_peak(settings.peak)
        return
    chosen = settings.only.split(",") if settings.only else names()
    rows = kept(chosen) if settings.only else []
    for name in chosen:
        kind, functions = FIELD.get(name, ("rgb", {}))
        calls, failed = usable(calls_of(name, kind, functions, SIZE))
        small = measure_of(name)
        at_small = arguments(small, pictures(kind, SMALL))
        calls["beholder, bytes, 512x384"] = lambda small=small, given=at_small: float(small(*given, threads=THREADS)[0])
        if name == "ssimulacra2" and settings.ssimulacra2:
            calls |= program(settings.ssimulacra2)
        wait_for_quiet(longest=settings.patience)
        times = interleave(calls, settings.rounds, slow=1.5)
        values = {n: call() for n, call in calls.items()}
        if f"{PROGRAM}, decoding alone" in times:
            subtract_decoding(times, values)
        memory = peak(name)
        rows.append(
            {"metric": name, "picture": kind, "seconds": times, "values": values, "failed": failed, "peak_mb": memory}
        )
        for n, took in times.items():
            print(f"{name:20s} {n:44s} {took['median'] * 1e3:9.2f} ms  {values[n]}", flush=True)
        print(f"{name:20s} 4K peak {memory:.0f} MB {failed or ''}", flush=True)
        save("metrics", {"threads": THREADS, "size": SIZE, "rows": rows})


if __name__ == "__main__":
    main()
