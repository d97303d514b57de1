"""What waiting costs: importing, the first call ever, the first call of a later process, one photograph, disk space."""

import argparse
import functools
import os
import sys
import tempfile
import time
import venv
from pathlib import Path

from common import HERE, interleave, photograph, run, save, spread, wait_for_quiet
from PIL import Image

PATIENCE = 10.0
FIRST = """
import time
start = time.perf_counter()
import numpy as np
import beholder
x = np.random.default_rng(0).integers(0, 256, (1, 1, 1080, 1920), dtype=np.uint8)
begun = time.perf_counter()
beholder.metric({name!r})(x, x ^ 1)
print(time.perf_counter() - begun, time.perf_counter() - start)
"""
IMPORT = "import time; t = time.perf_counter(); import beholder; print(time.perf_counter() - t, 0)"


def child(code: str, cache: Path) -> tuple[float, float, float]:
    """What the code printed (two numbers), and the wall time of its process."""
    start = time.perf_counter()
    done = run([sys.executable, "-c", code], env={**os.environ, "NUMBA_CACHE_DIR": str(cache)})
    first, second = map(float, done.stdout.split())
    return first, second, time.perf_counter() - start


def several(code: str, rounds: int, cache: Path | None) -> dict[str, dict[str, float]]:
    """`child` over some rounds: in one cache folder, or in a new one each time."""
    found = []
    with tempfile.TemporaryDirectory(prefix="cache-") as name:
        for number in range(rounds):
            wait_for_quiet(longest=PATIENCE)
            found.append(child(code, cache or Path(name) / str(number)))
    call, imports, process = zip(*found, strict=True)
    return {"call": spread(list(call)), "import_and_call": spread(list(imports)), "process": spread(list(process))}


def first_calls(rounds: int) -> dict[str, object]:
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="cache-") as name:
        for metric in ("ssim", "psnr", "gmsd"):
            code = FIRST.format(name=metric)
            found[f"{metric}, first call ever"] = several(code, min(rounds, 3), None)
            child(code, Path(name))
            found[f"{metric}, first call of a later process"] = several(code, rounds, Path(name))
        found["import beholder"] = several(IMPORT, rounds, Path(name))
    return found


def one_photograph(rounds: int) -> dict[str, dict[str, float]]:
    """Whole processes of the command line."""
    program = str(Path(sys.executable).parent / "beholder")
    with tempfile.TemporaryDirectory(prefix="photo-") as name:
        photo, other = Path(name) / "photo.jpg", Path(name) / "other.jpg"
        Image.fromarray(photograph(0, 1024, 1024)).save(photo, "JPEG", quality=95)
        Image.fromarray(photograph(0, 1024, 1024)).save(other, "JPEG", quality=40)
        calls = {
            "beholder score photo.jpg": [program, "score", str(photo)],
            "beholder score other.jpg -r photo.jpg": [program, "score", str(other), "-r", str(photo)],
            "beholder --version": [program, "--version"],
        }
        return interleave(
            {k: functools.partial(run, c) for k, c in calls.items()},
            rounds,
            60,
            before=functools.partial(wait_for_quiet, longest=PATIENCE),
        )


def installed() -> dict[str, float]:
    """Megabytes (10^6 bytes) of a fresh environment with the core, and seconds that installing took."""
    with tempfile.TemporaryDirectory(prefix="core-") as name:
        folder = Path(name) / "env"
        start = time.perf_counter()
        venv.create(folder, with_pip=True)
        python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
        run([str(python), "-m", "pip", "install", "--quiet", "--no-cache-dir", str(HERE.parent)])
        took = time.perf_counter() - start
        places = list((folder / "lib").glob("python*/site-packages/*"))
        sizes = {p.name: sum(f.stat().st_size for f in p.rglob("*") if f.is_file()) / 1e6 for p in places if p.is_dir()}
        total = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and not f.is_symlink()) / 1e6
        largest = dict(sorted(sizes.items(), key=lambda item: -item[1])[:10])
        return {"total": total, "seconds": took, **{f"of it {k}": v for k, v in largest.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--no-size", action="store_true", help="do not build an environment to measure its size")
    settings = parser.parse_args()
    calls = first_calls(settings.rounds)
    photo = one_photograph(settings.rounds)
    size = {} if settings.no_size else installed()
    for name, took in calls.items():
        print(name, {k: round(v["median"], 3) for k, v in took.items()})  # type: ignore[attr-defined]
    for name, process in photo.items():
        print(name, round(process["median"], 3))
    print("installed", {k: round(v, 1) for k, v in size.items()})
    save("cold", {"first_calls": calls, "photograph": photo, "installed": size})


if __name__ == "__main__":
    main()
