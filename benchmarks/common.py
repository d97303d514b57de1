"""What the benchmarks share: pictures out of scikit-image's package, interleaved timing, results as JSON."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "retina.jpg", "rocket.jpg")
PEERS = (
    "beholder", "numpy", "numba", "simplejpeg", "pillow", "scikit-image", "torch", "piq", "torchmetrics",
    "frame-analytics", "fast-ssim", "blazediff-ssim", "opencv-python-headless",
)  # fmt: skip
QUICK = 0.01  # seconds


def photograph(number: int, width: int, height: int, scale: float = 1.0) -> np.ndarray:
    """A photograph, rescaled, continued by its mirror image to the size, with a little grain: (H, W, 3) uint8."""
    import skimage

    path = Path(skimage.__file__).parent / "data" / PHOTOGRAPHS[number % len(PHOTOGRAPHS)]
    with Image.open(path) as opened:
        size = (round(opened.width * scale), round(opened.height * scale))
        tile = np.asarray(opened.convert("RGB").resize(size, Image.Resampling.LANCZOS))
    random = np.random.default_rng(number)
    top, left = random.integers(0, tile.shape[0]), random.integers(0, tile.shape[1])
    tile = np.roll(np.block([[[tile], [tile[:, ::-1]]], [[tile[::-1]], [tile[::-1, ::-1]]]]), (top, left), (0, 1))
    repeats = (-(-height // tile.shape[0]), -(-width // tile.shape[1]), 1)
    grain = random.normal(0, 1.5, (height, width, 1)).astype(np.float32)
    return np.clip(np.rint(np.tile(tile, repeats)[:height, :width] + grain), 0, 255).astype(np.uint8)


def luma(rgb: np.ndarray) -> np.ndarray:
    """ITU-R BT.601 luma, rounded: (H, W) uint8."""
    return np.rint(rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.uint8)


def spread(times: list[float]) -> dict[str, float]:
    """Median, quartiles and least of some times."""
    quartiles = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else [times[0]] * 3
    return {"median": quartiles[1], "low": quartiles[0], "high": quartiles[2], "best": min(times), "rounds": len(times)}


def interleave(
    calls: Mapping[str, Callable[[], Any]],
    rounds: int,
    slow: float = 0.5,
    before: Callable[[], object] = lambda: None,
) -> dict[str, dict[str, float]]:
    """Time calls in turn, round by round, so that whatever disturbs the machine disturbs all; seconds.

    Each is called before the first round, and what then takes more than `slow` seconds takes part in three rounds
    only. A quick call is timed right after an untimed one, so that none finds in the cache what another has left there,
    and another does not. before: called before each of the timed calls. Of each, `cpu` is the median of the processor
    time of all threads and child processes: unlike the wall time, it hardly depends on what else the machine does.
    """
    turns, quick = dict.fromkeys(calls, rounds), set()
    for name, call in calls.items():
        for _ in range(2):
            start = time.perf_counter()
            call()
            took = time.perf_counter() - start
            if took > 10 * slow:
                break
        if took > slow:
            turns[name] = min(3, rounds)
        if took < QUICK:
            quick.add(name)
    times: dict[str, list[float]] = {name: [] for name in calls}
    busy: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds):
        for name, call in calls.items():
            if turn < turns[name]:
                if name in quick:
                    call()
                before()
                start, used = time.perf_counter(), sum(os.times()[:4])
                call()
                times[name].append(time.perf_counter() - start)
                busy[name].append(sum(os.times()[:4]) - used)
    return {name: {**spread(values), "cpu": statistics.median(busy[name])} for name, values in times.items()}


def _busy() -> tuple[float, float]:
    fields = [float(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def wait_for_quiet(share: float = 0.15, longest: float = 30.0) -> None:
    """Wait until other work takes less than that share of the processors, or for that many seconds (Linux only)."""
    end = time.monotonic() + longest
    while Path("/proc/stat").exists() and time.monotonic() < end:
        before = _busy()
        time.sleep(0.3)
        after = _busy()
        if after[0] - before[0] < share * max(after[1] - before[1], 1):
            return


def machine() -> dict[str, Any]:
    """The circumstances: processor, cores, versions."""
    versions = {}
    for name in PEERS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [x.partition(":")[2].strip() for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = models[0] if models else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    flags = cpuinfo.read_text() if cpuinfo.exists() else ""
    wide = "avx512f" if "avx512f" in flags else "avx2" if "avx2" in flags else ""
    return {
        "processor": " ".join(x for x in (model, wide) if x),
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
    }


def save(name: str, found: Mapping[str, Any]) -> None:
    """Write a part of the results, with the circumstances."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")
    print(f"{name}: written to {RESULTS.name}/{name}.json", file=sys.stderr)


def run(command: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a command; what it said is shown when it fails. Python keeps its compiled modules, as it does for users."""
    environment = {k: v for k, v in more.pop("env", os.environ).items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, **more)
    if done.returncode:
        raise SystemExit(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        )
    return done
