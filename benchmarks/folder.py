"""Pairs per second over a folder of one-megapixel JPEG pairs: the command line beside scripts over the peers.

Every figure is the wall time of a whole process, start-up included, in interleaved rounds.
"""

import argparse
import functools
import io
import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from common import HERE, interleave, photograph, run, save, wait_for_quiet
from PIL import Image

SIDE = 1024
CPUS = 2
QUALITIES = (12, 20, 30, 40, 50, 60, 70, 80, 88)


FEW = 20  # pairs for peers that take a second or so for one
WAYS = (  # the plain loop of the peers' own examples, and the fastest of what was tried
    ("pillow", "loop"),
    ("simplejpeg", "loop"),
    ("opencv", "threads"),
    ("simplejpeg", "threads"),
)


@dataclass(frozen=True)
class Entrant:
    """Something that goes through a number of pairs when it is called."""

    group: str
    name: str
    pairs: int
    call: Callable[[], object]


def make(folder: Path, count: int) -> dict[str, float]:
    """References at quality 95, and the same pictures decoded and encoded again at lower ones; bytes per pixel."""
    for name in ("ref", "dist"):
        (folder / name).mkdir()
    for number in range(count):
        picture = photograph(number, SIDE, SIDE, scale=(0.8, 1.0, 1.25, 1.6, 2.0)[number % 5])
        name = f"{number:04d}.jpg"
        Image.fromarray(picture).save(folder / "ref" / name, "JPEG", quality=95)
        decoded = Image.open(io.BytesIO((folder / "ref" / name).read_bytes()))
        decoded.save(folder / "dist" / name, "JPEG", quality=QUALITIES[number % len(QUALITIES)])
    return {
        name: sum(f.stat().st_size for f in (folder / name).iterdir()) / count / SIDE**2 for name in ("ref", "dist")
    }


def beholder(folder: Path, metrics: str) -> Callable[[], object]:
    out = folder / "out.csv"
    command = [str(Path(sys.executable).parent / "beholder"), "score", str(folder / "dist"), "-r", str(folder / "ref")]
    return functools.partial(run, [*command, "-m", metrics, "-o", str(out), "--quiet"])


def cnn(folder: Path, count: int) -> Callable[[], object]:
    pictures = [str(path) for path in sorted((folder / "dist").iterdir())[:count]]
    program = str(Path(sys.executable).parent / "beholder")
    return functools.partial(run, [program, "score", *pictures, "-o", str(folder / "cnn.csv"), "--quiet"])


def peer(folder: Path, library: str, decoder: str, metrics: str, pool: str, count: int) -> Callable[[], object]:
    script = [sys.executable, str(HERE / "folder_peer.py"), library, decoder, metrics, pool, str(folder), str(count)]
    return functools.partial(run, script)


def ffmpeg(folder: Path) -> Callable[[], object]:
    graph = "[0:v]split[a][b];[1:v]split[c][d];[a][c]psnr[p];[b][d]ssim[s]"
    command = [
        shutil.which("ffmpeg") or "ffmpeg", "-hide_banner", "-loglevel", "error",
        "-threads", str(CPUS), "-i", str(folder / "dist" / "%04d.jpg"),
        "-threads", str(CPUS), "-i", str(folder / "ref" / "%04d.jpg"),
        "-filter_complex_threads", str(CPUS), "-filter_complex", graph,
        "-map", "[p]", "-f", "null", "-", "-map", "[s]", "-f", "null", "-",
    ]  # fmt: skip
    return functools.partial(run, command)


def decode_only(folder: Path, decoder: str) -> Callable[[], object]:
    """All files read and decoded by a pool of two threads, in this process: what no program can be faster than."""

    def pillow(path: Path) -> None:
        Image.open(path).load()

    def simplejpeg(path: Path) -> None:
        from simplejpeg import decode_jpeg

        decode_jpeg(path.read_bytes(), "RGB")

    paths = sorted(folder.glob("*/*.jpg"))
    work = pillow if decoder == "pillow" else simplejpeg

    def call() -> None:
        with ThreadPoolExecutor(CPUS) as pool:
            list(pool.map(work, paths))

    return call


def entrants(folder: Path, count: int) -> list[Entrant]:
    """Everything that is timed. The names say library, decoder and how the two cores are used."""
    found = [Entrant("decode only", f"{d}, 2 threads", count, decode_only(folder, d)) for d in ("simplejpeg", "pillow")]
    few = min(count, FEW)
    for metrics in ("psnr,ssim:y", "psnr,ssim"):

        def add(name: str, pairs: int, call: Callable[[], object], group: str = metrics) -> None:
            found.append(Entrant(group, name, pairs, call))

        add("beholder", count, beholder(folder, metrics))
        for library in ("fast-ssim", "frame-analytics"):
            for decoder, pool in WAYS:
                add(f"{library}, {decoder}, {pool}", count, peer(folder, library, decoder, metrics, pool, count))
        if metrics == "psnr,ssim:y" and shutil.which("ffmpeg"):
            add("ffmpeg, its psnr and ssim filters", count, ffmpeg(folder))
    return [*found, Entrant("CNN (pictures, not pairs)", "beholder", few, cnn(folder, few))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--patience", type=float, default=30.0, help="seconds to wait for other work before each call")
    parser.add_argument("--only", default="", help="only what has this in its group or name; nothing is saved")
    settings = parser.parse_args()
    quiet = functools.partial(wait_for_quiet, longest=settings.patience)
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="pairs-") as name:
        folder = Path(name)
        density = make(folder, settings.count)
        chosen = [e for e in entrants(folder, settings.count) if settings.only in f"{e.group}: {e.name}"]
        for group in dict.fromkeys(e.group for e in chosen):
            field = {e.name: e for e in chosen if e.group == group}
            calls = {name: e.call for name, e in field.items()}
            for name, took in interleave(calls, settings.rounds, slow=20.0, before=quiet).items():
                rate = field[name].pairs / took["median"]
                rows.append({"group": group, "name": name, "pairs": field[name].pairs, "seconds": took, "rate": rate})
                print(
                    f"{group:26s} {name:38s} {took['median']:7.2f} s ({took['low']:.2f}-{took['high']:.2f}) "
                    f"{rate:7.1f}/s, cpu {took['cpu']:.2f} s"
                )
    if not settings.only:
        save("folder", {"side": SIDE, "count": settings.count, "bytes_per_pixel": density, "rows": rows})


if __name__ == "__main__":
    main()
