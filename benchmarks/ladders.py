"""Does the mean score of ten photographs fall with every level of every distortion? Writes results/ladders.json.

Every metric of one picture or a pair, every distortion, levels 0 to 5; a signed distortion is two ladders. Goes on
where it was interrupted. PHOTOGRAPHS is a folder, of which the first ten pictures by name are taken.
"""

import argparse
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import itertools

import numpy as np
from common import RESULTS, save
from PIL import Image

import beholder as bh

SIDE, COUNT, LEVELS = 320, 10, (1, 2, 3, 4, 5)


def metrics() -> list[str]:
    """What needs no file of weights from the user, and no set of pictures."""
    return [c.name for c in bh.list_metrics() if c.needs in ("image", "reference") and not c.backbones]


def batch(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture.transpose(2, 0, 1))[None]


def values(picture: np.ndarray, reference: np.ndarray, names: list[str]) -> dict[str, float]:
    found = {}
    for name in names:
        measure = bh.metric(name)
        pair = (batch(picture), batch(reference)) if measure.card.needs == "reference" else (batch(picture),)
        found[name] = measure.scores(*pair, threads=1)[0].value
    return found


def task(path: Path, distortion: str, names: list[str]) -> dict[str, Any]:
    """The values of these metrics at all levels, for one photograph and distortion ("" for none)."""
    with Image.open(path) as opened:
        whole = np.asarray(opened.convert("RGB"))
    top, left = ((n - SIDE) // 2 for n in whole.shape[:2])
    reference = np.ascontiguousarray(whole[top : top + SIDE, left : left + SIDE])
    versions = [reference] if not distortion else [bh.distort(reference, distortion, level=n, seed=n) for n in LEVELS]
    return {
        "photograph": path.name,
        "distortion": distortion,
        "values": [values(v, reference, names) for v in versions],
    }


def gather(paths: list[Path], journal: Path, wanted: list[str]) -> list[dict[str, Any]]:
    """What is known of these photographs; what an earlier run wrote down is not worked out again."""
    lines = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    done: dict[tuple[str, str], dict[str, Any]] = {}
    for found in lines:
        _merge(done, found)
    todo = []
    for distortion in ("", *(c.name for c in bh.list_distortions())):
        for path in paths:
            there = done.get((path.name, distortion), {"values": [{}]})["values"][0]
            if missing := [n for n in wanted if n not in there]:
                todo.append((path, distortion, missing))
    with ProcessPoolExecutor(2) as pool, journal.open("a") as file:
        for number, found in enumerate(pool.map(task, *zip(*todo, strict=True)) if todo else (), 1):
            file.write(json.dumps(found) + "\n")
            file.flush()
            _merge(done, found)
            print(f"\r{number} of {len(todo)}", end="", file=sys.stderr, flush=True)
    here = {path.name for path in paths}
    return [found for (name, _), found in done.items() if name in here]


def _merge(done: dict[tuple[str, str], dict[str, Any]], found: dict[str, Any]) -> None:
    kept = done.setdefault((found["photograph"], found["distortion"]), found)
    for old, new in zip(kept["values"], found["values"], strict=True):
        old.update(new)


def sides(distortion: Any) -> dict[str, list[int]]:
    """The ladders of a distortion: its levels in order of strength, those above the neutral value and those below."""
    if not distortion.signed:
        return {"": list(LEVELS)}
    steps = {n: distortion.value(n) - distortion.neutral for n in LEVELS}
    up = sorted((n for n in LEVELS if steps[n] > 0), key=lambda n: steps[n])
    down = sorted((n for n in LEVELS if steps[n] < 0), key=lambda n: -steps[n])
    return {"up": up, "down": down}


def judge(done: list[dict[str, Any]], wanted: list[str]) -> list[dict[str, Any]]:
    """One row for each metric and ladder: the mean at each step, and whether it falls (in the sense of quality)."""
    table: dict[str, list[list[dict[str, float]]]] = {}
    for d in done:
        table.setdefault(d["distortion"], []).append(d["values"])
    rows = []
    for card in (bh.metric(n).card for n in wanted):
        sign = 1 if card.better == "higher" else -1
        best = card.range[1] if card.better == "higher" else card.range[0]
        start = float(np.mean([v[0][card.name] for v in table[""]])) if card.needs == "image" else best
        for distortion in bh.list_distortions():
            means = np.mean([[step[card.name] for step in v] for v in table[distortion.name]], axis=0)
            for side, levels in sides(distortion).items():
                steps = [start, *(float(means[n - 1]) for n in levels)]
                falls = all(sign * a >= sign * b for a, b in itertools.pairwise(steps))
                noticed = sign * (steps[0] - steps[-1]) > 0
                rows.append(
                    {"metric": card.name, "needs": card.needs, "distortion": distortion.name, "side": side,
                     "group": distortion.group, "steps": steps, "monotone": bool(falls and noticed)}
                )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--journal", type=Path, default=RESULTS / "ladders.journal")
    settings = parser.parse_args()
    wanted = metrics()
    paths = sorted(p for p in settings.photographs.iterdir() if p.suffix.lower() in (".jpg", ".png"))[:COUNT]
    done = gather(paths, settings.journal, wanted)
    rows = judge(done, wanted)
    save("ladders", {"photographs": [p.name for p in paths], "side": SIDE, "rows": rows})
    print(f"{sum(r['monotone'] for r in rows)} of {len(rows)} ladders fall")


if __name__ == "__main__":
    main()
