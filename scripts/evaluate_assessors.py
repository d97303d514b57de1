"""Judge the shipped assessors `beholder` and `cnniqa` and write what their cards say: needs beholder[train].

    python scripts/evaluate_assessors.py opinions BIQ2021
    python scripts/evaluate_assessors.py synthetic HELD_OUT.txt TYPE_LEVEL.csv
    python scripts/evaluate_assessors.py domain BIQ2021 --kind xray=FOLDER --kind histology=FOLDER

opinions: BIQ2021's official test split, which serves the final figures only. synthetic: the 125 distortions of
KADID-10k on photographs (one path a line) that no model has seen, against the human means of type and level, beside
three measures of natural scenes. domain: how well pictures that are no photographs are told from the test split, by
the distance from the training pictures; noise, flat colours, pages of text and line drawings are made here. Each part
is written into benchmarks/results/assessors.json, and the cards are made of all of it and of the files' headers.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.stats import spearmanr
from train_beholder_fr import versions

import beholder as bh
from beholder.datasets.hashing import hash_pictures, near_pairs
from beholder.datasets.known import open_dataset
from beholder.evaluation import agreement
from beholder.evaluation.krasula import area
from beholder.models.files import shipped
from beholder.models.judging import judge_of
from beholder.models.runtime import assessor, weights_hash
from beholder.progress import Counter
from beholder.strips import stream
from beholder.training.testing import resample

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "assessors.json"
MODELS = ("beholder", "cnniqa")
BESIDE = ("brisque", "niqe", "piqe")


def opinions(root: Path) -> dict[str, Any]:
    """Agreement on the test split: all, by subset, and without pictures that look like one of the training split."""
    data = open_dataset("biq2021", root)
    test, train = data.of("test"), data.of("train")
    hashes = [int(h) for h in hash_pictures([s.image for s in (*test, *train)])]  # type: ignore[arg-type]
    twins = {a for a, b, _ in near_pairs(hashes) if a < len(test) <= b}
    known = np.array([s.mos for s in test])
    subset = np.array([s.image.name[:4].lower() for s in test])
    alone = np.array([i not in twins for i in range(len(test))])
    parts = {"all": np.ones(len(test), bool), "without look-alikes": alone}
    parts |= {name: subset == name for name in sorted(set(subset))}
    found: dict[str, Any] = {"pictures": {name: int(p.sum()) for name, p in parts.items()}}
    rows = list(bh.score_many([s.image for s in test], metrics=list(MODELS)))
    broken = [r["error"] for r in rows if r["error"]]
    if broken:
        raise SystemExit(f"{len(broken)} pictures could not be scored, the first: {broken[0]}")
    groups = np.array([s.group or str(s.image) for s in test])
    for model in MODELS:
        said, low, high = (np.array([getattr(r[model], k) for r in rows]) for k in ("value", "low", "high"))
        inside = (low <= known) & (known <= high)
        found[model] = {}
        for name, part in parts.items():
            figures = agreement(said[part], known[part])
            ends = resample(said[part], known[part], list(groups[part]))
            found[model][name] = {k: round(v, 4) for k, v in figures.items()}
            found[model][name] |= {"coverage": round(float(inside[part].mean()), 4)}
            found[model][name] |= {f"{k}_interval": [round(e, 4) for e in v] for k, v in ends.items()}
        found[model]["mean width"] = round(float(np.mean(high - low)), 2)
        found[model]["flagged"] = sum(bool(r[model].flags) for r in rows)
    return found


def synthetic(held_out: Path, table: Path) -> dict[str, Any]:
    """SRCC with the human means of type and level: overall, mean within types, mean over photographs."""
    paths = [Path(p) for p in held_out.read_text().split()]
    with table.open(newline="") as file:
        means = {(int(r["type"]), int(r["level"])): float(r["mean_dmos"]) for r in csv.DictReader(file)}
    names = (*MODELS, *BESIDE)
    said: dict[str, list[list[float]]] = {name: [] for name in names}
    cells: list[tuple[int, int]] = []
    counter = Counter("photographs", len(paths))
    for path in paths:
        made = [(kind, level, pixels) for kind, level, pixels in versions(path)]
        cells = [(kind, level) for kind, level, _ in made]
        rows = list(
            stream(lambda p: bh.score(p, layout="HWC", metrics=list(names)), ((m[2],) for m in made), 2, "made")
        )
        for name in names:
            said[name].append([r[name].value for r in rows])
        counter.step()
    target = np.array([means[cell] for cell in cells])
    types = np.array([kind for kind, _ in cells])
    found: dict[str, Any] = {"photographs": len(paths), "pictures": len(paths) * len(cells)}
    for name in names:
        scores = np.array(said[name]) * (1 if bh.metric(name).card.better == "higher" else -1)
        wide = np.broadcast_to(target, scores.shape)
        within = [spearmanr(scores[:, types == t].ravel(), wide[:, types == t].ravel())[0] for t in np.unique(types)]
        found[name] = {
            "srcc": round(float(spearmanr(scores.ravel(), wide.ravel())[0]), 4),
            "within type": round(float(np.mean(within)), 4),
            "over photographs": round(float(np.mean([spearmanr(row, target)[0] for row in scores])), 4),
        }
    return found


def foreign(kinds: dict[str, Path]) -> Iterator[tuple[str, np.ndarray]]:
    """(kind, pixels (H, W, 3)) of pictures that are no photographs."""
    rng = np.random.default_rng(0)
    for i in range(40):
        size = int(rng.integers(200, 640)), int(rng.integers(200, 640))
        coloured = (3,) if i % 2 else (1,)
        if i % 4 < 2:
            noise = rng.integers(0, 256, (*size, *coloured), dtype=np.uint8)
        else:
            noise = np.clip(np.round(rng.normal(128, rng.uniform(15, 60), (*size, *coloured))), 0, 255).astype(np.uint8)
        yield "white noise", np.broadcast_to(noise, (*size, 3)).copy()
        yield "flat colour", np.broadcast_to(rng.integers(0, 256, 3, dtype=np.uint8), (*size, 3)).copy()
        yield "text page", page(rng)
        yield "line drawing", drawing(rng)
    for kind, folder in kinds.items():
        for path in sorted(p for p in folder.iterdir() if p.is_file()):
            yield kind, np.asarray(Image.open(path).convert("RGB"))


def page(rng: np.random.Generator) -> np.ndarray:
    """A page of random words, black on white or dark on a light colour."""
    width, height = int(rng.integers(500, 900)), int(rng.integers(600, 1100))
    ground = tuple(int(c) for c in rng.integers(235, 256, 3))
    picture = Image.new("RGB", (width, height), ground)
    pen, size = ImageDraw.Draw(picture), int(rng.integers(11, 22))
    font = ImageFont.load_default(size)
    letters = np.array(list("eeeetttaaoinshrdlucmwfgypbvk"))
    y = 40
    while y < height - 40:
        words = ["".join(rng.choice(letters, rng.integers(2, 10))) for _ in range(14)]
        line = " ".join(words)[: int((width - 80) / (size * 0.55))]
        if rng.random() < 0.9:
            pen.text((40, y), line, fill=(20, 20, 20), font=font)
        y += int(size * 1.5)
    return np.asarray(picture)


def drawing(rng: np.random.Generator) -> np.ndarray:
    """Lines, arcs and shapes in ink on paper."""
    width, height = int(rng.integers(300, 800)), int(rng.integers(300, 800))
    picture = Image.new("RGB", (width, height), (255, 255, 255))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(8, 40))):
        a = rng.uniform(0, 1, 4) * (width, height, width, height)
        box = [min(a[0], a[2]), min(a[1], a[3]), max(a[0], a[2]) + 1, max(a[1], a[3]) + 1]
        stroke = int(rng.integers(1, 5))
        choice = int(rng.integers(4))
        if choice == 0:
            pen.line(list(a), fill=0, width=stroke)
        elif choice == 1:
            pen.ellipse(box, outline=0, width=stroke)
        elif choice == 2:
            pen.arc(box, float(rng.uniform(0, 180)), float(rng.uniform(180, 360)), fill=0, width=stroke)
        else:
            corners = [tuple(p) for p in (rng.uniform(0, 1, (int(rng.integers(3, 7)), 2)) * (width, height)).tolist()]
            pen.polygon(corners, outline=0)
    return np.asarray(picture)


def distances(pixels: np.ndarray) -> dict[str, float]:
    """How far a picture is from each model's training pictures."""
    planes = pixels.transpose(2, 0, 1)
    tiny = judge_of(shipped("cnniqa.onnx")).judge(planes, full_scale=255.0)
    return {"beholder": assessor().assess(planes, full_scale=255.0).distance, "cnniqa": float(tiny.distance or 0)}


def domain(root: Path, kinds: dict[str, Path]) -> dict[str, Any]:
    """AUC of the distance between each kind and the test split, and the share that is flagged."""
    test = open_dataset("biq2021", root).of("test")
    known = [distances(np.asarray(Image.open(s.image).convert("RGB"))) for s in test]
    found: dict[str, Any] = {model: {} for model in MODELS}
    others: dict[str, list[dict[str, float]]] = {}
    for kind, pixels in foreign(kinds):
        others.setdefault(kind, []).append(distances(pixels))
    for model in MODELS:
        inside = [d[model] for d in known]
        every = []
        for kind, values in others.items():
            outside = [d[model] for d in values]
            every += outside
            share = float(np.mean(np.array(outside) > 1))
            found[model][kind] = {"pictures": len(outside), "auc": auc(outside, inside), "flagged": round(share, 4)}
        found[model]["all"] = {"pictures": len(every), "auc": auc(every, inside)}
        found[model]["photographs flagged"] = round(float(np.mean(np.array(inside) > 1)), 4)
    return found


def auc(outside: list[float], inside: list[float]) -> float:
    """Share of pairs in which the foreign picture is farther away."""
    return round(area(np.array(outside), np.array(inside)).value, 4)


def main() -> None:
    """Run one part and write the cards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    first = parts.add_parser("opinions")
    first.add_argument("root", type=Path)
    second = parts.add_parser("synthetic")
    second.add_argument("held_out", type=Path)
    second.add_argument("table", type=Path)
    third = parts.add_parser("domain")
    third.add_argument("root", type=Path)
    third.add_argument("--kind", action="append", default=[], metavar="NAME=FOLDER")
    options = parser.parse_args()
    if options.part == "opinions":
        found = opinions(options.root)
    elif options.part == "synthetic":
        found = synthetic(options.held_out, options.table)
    else:
        found = domain(options.root, {k: Path(v) for k, v in (pair.split("=", 1) for pair in options.kind)})
    found["weights"] = {model: weights_hash(model) for model in MODELS}
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    results[options.part] = found
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
