"""What 200 own pictures bring: fine-tune the shipped `beholder` to another domain, and compare on pictures held out.

    python benchmarks/own_data.py BIQ2021 SPLIT.json --work runs/own

The domain is made: pictures of BIQ2021 that the shipped model has not learned from (SPLIT.json is that of its run) as
a poor camera would take them, by distortions of `beholder.distortions` that are the same for all. Their opinions are
those of the originals, brought to 1-5: what differs between the pictures still differs. 200 are learned from, by the
five lines of the README, 200 others are held out.
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from common import RESULTS
from PIL import Image

import beholder as bh
from beholder.datasets.known import open_dataset
from beholder.datasets.splits import read_split
from beholder.datasets.tables import read_table
from beholder.evaluation import agreement

CAMERA = (("vignetting", 4), ("color_saturation_1", 3), ("white_noise", 3), ("jpeg", 3))
"""Distortions and levels of the poor camera."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("split", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/own"))
    parser.add_argument("--own", type=int, default=200)
    parser.add_argument("--held-out", type=int, default=200)
    options = parser.parse_args()
    data = read_split(options.split, open_dataset("biq2021", options.root)).of("validation")
    order = np.random.default_rng(0).permutation(len(data))[: options.own + options.held_out]
    options.work.mkdir(parents=True, exist_ok=True)
    table = options.work / "mine.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "mos", "split"])
        for i, place in enumerate(order):
            sample = data.samples[place]
            path = options.work / f"{i:04d}.png"
            if not path.is_file():
                picture = np.asarray(Image.open(sample.image).convert("RGB"))
                for name, level in CAMERA:
                    picture = bh.distort(picture, name, level, seed=i)
                Image.fromarray(picture).save(path)
            split = "test" if i >= options.own else "validation" if i % 5 == 0 else "train"
            writer.writerow([path.name, round(1 + 4 * sample.mos / 100, 4), split])
    toml = options.work / "mine.toml"
    data = f'[data]\ntable = "{table}"\nscale = [1, 5]\n'
    toml.write_text(data + '[model]\nweights = "beholder"\nfrozen = -1\n[optimiser]\nrate = 3e-4\n')
    begun = time.monotonic()
    command = ["train", str(toml), "-o", str(options.work / "run"), "--restart", "--test", "-q"]
    subprocess.run([sys.executable, "-m", "beholder", *command], check=True)
    minutes = (time.monotonic() - begun) / 60
    held = read_table(table, scale=(1, 5)).of("test")
    rows = list(
        bh.score_many([s.image for s in held], metrics="beholder", models=[options.work / "run" / "model.onnx"])
    )
    known = np.array([s.mos for s in held])
    found = {"own": options.own, "held out": len(held), "minutes": round(minutes, 1), "camera": CAMERA}
    for name in ("beholder", "run"):
        said = np.array([r[name].value for r in rows])
        inside = np.mean([r[name].low <= k <= r[name].high for r, k in zip(rows, known, strict=True)])
        found[name] = {k: round(v, 4) for k, v in agreement(said, known).items()} | {"coverage": round(inside, 3)}
    (RESULTS / "own_data.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
