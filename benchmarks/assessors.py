"""Pictures a second of `beholder score` on a folder of JPEGs, and the share of it that is decoding.

    python benchmarks/assessors.py PICTURES [--model mine=runs/mine/model.onnx] [--pyiqa ENVIRONMENT/bin/python]

1,000 pictures of 512x384 are cut out of PICTURES (a folder of larger ones) and saved as JPEG, quality 90. Whole
processes, medians of three, in turn; processor time is that of all their threads. pyiqa's CNNIQA and TOPIQ, with random
weights, go over 100 of the pictures in every round, without their start-up. Writes results/assessor_speed.json.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import HERE, RESULTS, machine, spread
from PIL import Image

PEERS = {"pyiqa cnniqa": "cnniqa", "pyiqa topiq_nr": "topiq_nr"}
FEW = 100
"""Pictures for the peers in each round: they are slow."""
DECODE = """
import sys
from pathlib import Path
from beholder.image import read_image
from beholder.strips import stream
for _ in stream(lambda p: read_image(p).native.shape, ((p,) for p in sorted(Path(sys.argv[1]).iterdir())), 2, "decode"):
    pass
"""


def measure(command: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ask(python: str, metric: str, folder: Path) -> tuple[float, float]:
    """Pictures a second and processor milliseconds of a peer."""
    script = [python, str(HERE / "pyiqa_peer.py"), metric, str(folder), str(FEW)]
    done = subprocess.run(script, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return found["pictures_a_second"], found["cpu_ms"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--pyiqa", default="", metavar="PYTHON", help="an interpreter that has pyiqa")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pictures"
        folder.mkdir()
        sources = sorted(p for p in options.pictures.iterdir() if p.suffix.lower() in (".jpg", ".png"))
        for i in range(options.count):
            with Image.open(sources[i % len(sources)]) as picture:
                picture.convert("RGB").resize((512, 512)).crop((0, 64, 512, 448)).save(
                    folder / f"{i:04d}.jpg", quality=90
                )
        score = [sys.executable, "-m", "beholder", "score", str(folder), "-q", "--restart", "-o"]
        commands = {
            "start": [*score[:-4], str(next(folder.iterdir())), "-q", "--restart", "-o", f"{name}/start.csv"],
            "decoding": [sys.executable, "-c", DECODE, str(folder)],
            "beholder": [*score, f"{name}/beholder.csv", "-m", "beholder"],
            "beholder-int8": [*score, f"{name}/int8.csv", "--model", "beholder-int8"],
            "cnniqa": [*score, f"{name}/cnniqa.csv", "-m", "cnniqa"],
        }
        for pair in options.model:
            title, _, file = pair.partition("=")
            commands[title] = [*score, f"{name}/{title}.csv", "--model", str(Path(file).resolve())]
        times: dict[str, list[tuple[float, float]]] = {title: [] for title in commands}
        peers: dict[str, list[tuple[float, float]]] = {title: [] for title in PEERS if options.pyiqa}
        for _ in range(options.rounds):
            for title, command in commands.items():
                times[title].append(measure(command))
            for title in peers:
                peers[title].append(ask(options.pyiqa, PEERS[title], folder))
    found = {"machine": machine(), "pictures": options.count, "load": os.getloadavg()[0], "rows": {}}
    for title, values in times.items():
        wall = spread([w for w, _ in values])
        cpu = sorted(c for _, c in values)[len(values) // 2]
        found["rows"][title] = {"wall": wall, "cpu": cpu, "pictures_a_second": options.count / wall["median"],
                                "cpu_ms": cpu / options.count * 1e3}  # fmt: skip
    if options.pyiqa:
        ask_version = "from importlib.metadata import version; print(version('pyiqa'))"
        told = subprocess.run([options.pyiqa, "-c", ask_version], check=True, capture_output=True, text=True)
        found["pyiqa"] = told.stdout.strip()
    for title, values in peers.items():
        rate, cpu = (sorted(v)[len(v) // 2] for v in zip(*values, strict=True))
        found["rows"][title] = {"pictures_a_second": rate, "cpu_ms": cpu}
    (RESULTS / "assessor_speed.json").write_text(json.dumps(found, indent=1) + "\n")
    for title, row in found["rows"].items():
        print(f"{title}: {row['pictures_a_second']:.1f} pictures/s, {row['cpu_ms']:.1f} CPU-ms a picture")


if __name__ == "__main__":
    main()
