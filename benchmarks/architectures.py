"""Every architecture on one small budget: train, test, time, and write docs/architectures.md.

    python benchmarks/architectures.py BIQ2021_SMALL PHOTOGRAPHS --work runs/architectures

BIQ2021_SMALL: a folder with mos.csv (image, mos 0-1, split) and the pictures; PHOTOGRAPHS: pristine ones, of which a
small set with references is made for the architectures that compare. Each is trained by one command, which is printed;
what is in the work folder already is not trained again. Run it with nothing else running: the times are compared.
"""

import argparse
import csv
import json
import random
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from common import HERE, RESULTS, machine

from beholder.datasets.opinions import opinion_of
from beholder.datasets.tables import read_table
from beholder.models.assessors.architectures import list_architectures
from beholder.models.assessors.costs import count_macs, count_parameters
from beholder.models.assessors.networks import load_network
from beholder.models.judging import Judge
from beholder.training.testing import examine

RECIPE = HERE.parent / "recipes" / "architectures.toml"
SMALLER = {"diqam": "192", "wadiqam": "192", "diqam_fr": "192", "wadiqam_fr": "192"}
PAGE = """# Every architecture on one small budget

Written by `benchmarks/architectures.py`; do not edit by hand. Each was trained with one command,
`beholder train recipes/architectures.toml --set model.architecture=NAME …`, on the same {train} pictures of BIQ2021
with {validation} for validation, {epochs} epochs of one crop each, loss MSE + 0.5 PLCC, the same method, seed {seed};
and judged on {test} pictures of the official test split. That is a small part of what the shipped models saw: the table
says what an architecture gives early, not what it can give. Bodies begin with ImageNet weights (`beholder`, `dbcnn`,
`hyperiqa`, `nima`), the others from nothing and with three times the rate. ms: whole picture of 512x384 through ONNX
Runtime, one thread, median. MACs: the same picture.

{machine}

| architecture | SRCC | PLCC | KRCC | RMSE | parameters | MACs | ms | training |
|---|---|---|---|---|---|---|---|---|
{rows}

Architectures with a reference, on {pairs} made pairs ({kinds} distortions at five levels, labels by KADID-10k's means),
split by photograph, tested on {tested}:

| architecture | SRCC | PLCC | KRCC | RMSE | parameters | MACs | ms | training |
|---|---|---|---|---|---|---|---|---|
{compared}
"""
KINDS = ("gaussian_blur", "jpeg", "white_noise", "contrast_change", "jpeg2000")


def small(root: Path, work: Path, train: int, test: int) -> Path:
    """A table of some pictures of the set, drawn with a seed."""
    rows = list(csv.DictReader((root / "mos.csv").open(newline="")))
    drawn = random.Random(0)
    chosen = []
    for split, count in (("train", train), ("test", test)):
        here = [r for r in rows if r["split"] == split]
        chosen += drawn.sample(here, min(count, len(here)))
    share = len([r for r in chosen if r["split"] == "train"]) // 5
    for row in chosen[:share]:
        row["split"] = "validation"
    path = work / "mos.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["image", "mos", "split"])
        writer.writeheader()
        writer.writerows({**r, "image": str((root / r["image"]).resolve())} for r in chosen)
    return path


def pairs(photographs: Path, work: Path, count: int) -> Path:
    """A made set with references and opinions."""
    chosen = work / "pristine"
    chosen.mkdir(exist_ok=True)
    for path in sorted(p for p in photographs.iterdir() if p.is_file())[:count]:
        (chosen / path.name).write_bytes(path.read_bytes())
    made = work / "made"
    names = ",".join(KINDS)
    run(["distort", str(chosen), "-o", str(made), "-d", names, "--levels", "1,2,3,4,5", "-q", "--resume"])
    rows = list(csv.DictReader((made / "labels.csv").open(newline="")))
    references = sorted({r["reference"] for r in rows})
    splits = dict(zip(references, ["train"] * (len(references) - 6) + ["validation"] * 2 + ["test"] * 4, strict=True))
    path = work / "pairs.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "mos", "reference", "split"])
        for r in rows:
            image, reference = ((made / r[k]).resolve() for k in ("image", "reference"))
            mos = opinion_of(r["type"], float(r["level"]))
            writer.writerow([image, round(mos, 2), reference, splits[r["reference"]]])
    return path


def run(arguments: list[str]) -> None:
    """A command of Beholder's."""
    subprocess.run([sys.executable, "-m", "beholder", *arguments], check=True)


def one(name: str, table: Path, scale: str, work: Path) -> dict[str, object]:
    """Train, test and time one architecture."""
    folder = work / name
    done = folder / "row.json"
    if done.is_file():
        return json.loads(done.read_text())
    command = ["train", str(RECIPE), "-o", str(folder), "-q"]
    command += ["--set", f"model.architecture={name}", "--set", f"data.table={table}", "--set", f"data.scale={scale}"]
    command += ["--set", f"input.crop={SMALLER.get(name, '224')}"]
    if name in SMALLER or name == "cnniqa":
        command += ["--set", "model.weights=none", "--set", "optimiser.rate=1e-3"]
    print("beholder " + shlex.join(command), file=sys.stderr)
    start = time.monotonic()
    run(command)
    taken = time.monotonic() - start
    low, high = json.loads(scale)
    data = read_table(table, scale=(low, high))
    tested = examine(folder / "model.safetensors", data.of("test"))
    network, _ = load_network(folder / "model.safetensors")
    judge = Judge(folder / "model.onnx", threads=1)
    picture = np.random.default_rng(0).integers(0, 256, (3, 384, 512), dtype=np.uint8)
    given = [picture, picture] if judge.compares else [picture]
    judge.judge(*given, full_scale=255.0)
    times = []
    for _ in range(9):
        begin = time.perf_counter()
        judge.judge(*given, full_scale=255.0)
        times.append(time.perf_counter() - begin)
    row = {
        "name": name,
        **{k: tested.figures[k] for k in ("srcc", "plcc", "krcc", "rmse", "pictures")},
        "interval": tested.intervals["srcc"],
        "parameters": count_parameters(network.network),
        "macs": count_macs(network.network, 384, 512, reference=judge.compares),
        "ms": float(np.median(times)) * 1e3,
        "seconds": taken,
    }
    done.write_text(json.dumps(row))
    return row


def line(r: dict[str, object]) -> str:
    low, high = r["interval"]
    return (
        f"| {r['name']} | {r['srcc']:.3f} ({low:.3f} to {high:.3f}) | {r['plcc']:.3f} | {r['krcc']:.3f} "
        f"| {r['rmse']:.1f} | {r['parameters'] / 1e6:.2f} M | {r['macs'] / 1e9:.2f} G | {r['ms']:.0f} "
        f"| {r['seconds'] / 60:.1f} min |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/architectures"))
    parser.add_argument("--train", type=int, default=300)
    parser.add_argument("--test", type=int, default=150)
    parser.add_argument("--references", type=int, default=12)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    table = small(options.root, options.work, options.train, options.test)
    made = pairs(options.photographs, options.work, options.references)
    rows, compared = [], []
    for card in list_architectures():
        where, into = (made, compared) if card.reference else (table, rows)
        into.append(one(card.name, where, "[0, 100]" if card.reference else "[0, 1]", options.work))
        (RESULTS / "architectures.json").write_text(json.dumps({"alone": rows, "compared": compared}, indent=1) + "\n")
    splits = {s: len(read_table(table, scale=(0, 1)).of(s)) for s in ("train", "validation", "test")}
    text = PAGE.format(
        **splits,
        epochs=2,
        seed=0,
        machine=f"{machine()['processor']}, {machine()['cores']} cores.",
        rows="\n".join(line(r) for r in sorted(rows, key=lambda r: -r["srcc"])),
        compared="\n".join(line(r) for r in sorted(compared, key=lambda r: -r["srcc"])),
        pairs=options.references * 25,
        kinds=len(KINDS),
        tested=int(compared[0]["pictures"]) if compared else 0,
    )
    (HERE.parent / "docs" / "architectures.md").write_text(text)


if __name__ == "__main__":
    main()
