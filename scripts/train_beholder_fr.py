"""Fit and export the shipped full-reference model `beholder_fr`: needs beholder[train].

    python scripts/train_beholder_fr.py TRAIN.txt HELD_OUT.txt TYPE_LEVEL.csv --work runs/beholder_fr

The two lists name pristine photographs, one path a line; none of the second is used here, they are for
scripts/evaluate_beholder_fr.py. From each photograph the middle 384x384 pixels are taken (after a reduction of large
ones until they just cover 512x384), and the 125 distorted versions of KADID-10k are made of it. The table says what
people thought of each type and level on average (columns type, level, mean_dmos; 1 to 5, higher is better). The
backbone is the shipped `lite0` as it is; fitted are weights of the channels, and a power and a gain of every stage and
term. Moments are cached in the work folder, so that a second run, or one after an interrupt, goes on from there.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import logging
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from exporting import export, share
from PIL import Image
from scipy.stats import spearmanr
from torch import Tensor

from beholder.distortions import distort, list_distortions
from beholder.models.assessors.pair import PairBody, load_pair_body
from beholder.models.comparison import EPSILON, KAPPA, STAGES, TERMS, WHOLE, Weights, distance, moments, terms
from beholder.models.files import save_model
from beholder.version import __version__

log = logging.getLogger("train")
CHANNELS = np.concatenate([[i] * c for i, (_, c, _) in enumerate(STAGES)])
"""The stage of every channel."""


@dataclass(frozen=True)
class Config:
    """All that decides the result."""

    seed: int = 0
    folds: int = 4
    side: int = 384
    steps: int = 150
    rate: float = 0.1
    channel_decay: float = 0.1
    power_decay: float = 0.01
    best: float = 4.6122
    worst: float = 1.0


def crop(path: Path, side: int = 384) -> np.ndarray:
    """The middle of a photograph, (side, side, 3) uint8; a large one is reduced first until it just covers 512x384."""
    picture = Image.open(path).convert("RGB")
    width, height = picture.size
    if max(width, height) > 640:
        factor = max(512 / max(width, height), 384 / min(width, height))
        picture = picture.resize((round(width * factor), round(height * factor)), Image.Resampling.LANCZOS)
        width, height = picture.size
    left, top = (width - side) // 2, (height - side) // 2
    return np.ascontiguousarray(np.asarray(picture.crop((left, top, left + side, top + side))))


def versions(path: Path, side: int = 384) -> Any:
    """(type, level, pixels) of the 125 distorted versions of a photograph, the same in every run."""
    reference, seed = crop(path, side), zlib.crc32(path.stem.encode())
    for position, card in enumerate(list_distortions("kadid")):
        for level in range(1, 6):
            yield card.sets["kadid"], level, distort(reference, card.name, level, seed=seed + 100 * level + position)


def planes(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) bytes as (1, 3, H, W) in [0, 1]."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None]).astype(np.float32) / np.float32(255)


def session(body: PairBody) -> Any:
    """The body as it will be shipped, in ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(export_body(body), options, providers=["CPUExecutionProvider"])


def export_body(body: PairBody) -> bytes:
    """ONNX bytes of the body: any batch and picture size."""
    names = [name for name, _, _ in STAGES]
    return export(body, {"image": torch.rand(2, 3, 192, 256)}, names, {"image": {0: "n", 2: "h", 3: "w"}})


def run(model: Any, image: np.ndarray, reference: list[np.ndarray], scale: tuple[np.ndarray, ...]) -> np.ndarray:
    """The seven moments of every channel, (7, channels), of a picture and the maps of its reference."""
    sums, counts = moments(model.run(None, {"image": image}), reference, *scale, WHOLE)
    return sums[0] / np.array(counts)[CHANNELS]


def scales(model: Any, paths: list[Path], work: Path, side: int) -> tuple[np.ndarray, ...]:
    """Centre and spread: the medians over the photographs of every channel's mean and variance, rounded to 16 bits."""
    target = work / "scale.npz"
    if not target.is_file():
        neutral = (np.zeros(len(CHANNELS), np.float32), np.ones(len(CHANNELS), np.float32))
        found = []
        for path in paths:
            picture = planes(crop(path, side))
            m = run(model, picture, model.run(None, {"image": picture}), neutral)
            found.append((m[0], m[2] - m[0] ** 2))
        centre, spread = np.median(np.array(found), axis=0)
        gradients = np.isin(CHANNELS, [i for i, (name, _, _) in enumerate(STAGES) if name.startswith("gradient")])
        spread = np.where(gradients, spread + centre**2, spread)  # magnitudes are compared with nothing, not the mean
        np.savez(target, centre=np.where(gradients, 0, centre), spread=np.maximum(spread, 1e-4))
    with np.load(target) as stored:
        return tuple(stored[k].astype(np.float16).astype(np.float32) for k in ("centre", "spread"))


def extract(
    model: Any, scale: tuple[np.ndarray, ...], paths: list[Path], work: Path, config: Config, workers: int
) -> tuple[np.ndarray, ...]:
    """Moments (pictures, 125, 7, channels) and (125, 2) types and levels; cached by photograph."""
    key = hashlib.sha256(b"".join(s.tobytes() for s in scale)).hexdigest()[:12]
    folder, start = work / f"moments-{key}-{config.side}", time.monotonic()
    folder.mkdir(exist_ok=True)

    def one(path: Path) -> tuple[np.ndarray, np.ndarray]:
        target = folder / f"{path.stem}.npz"
        if not target.is_file():
            reference = model.run(None, {"image": planes(crop(path, config.side))})
            made = [(k, level, run(model, planes(x), reference, scale)) for k, level, x in versions(path, config.side)]
            part = target.with_suffix(".part.npz")
            np.savez(part, cells=[m[:2] for m in made], moments=np.array([m[2] for m in made], np.float32))
            part.rename(target)
            log.info("moments of %s, %.0f s", path.stem, time.monotonic() - start)
        with np.load(target) as stored:
            return stored["moments"], stored["cells"]

    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(one, paths))
    return np.stack([m for m, _ in found]), found[0][1]


def opinions(table: Path, cells: np.ndarray, config: Config) -> np.ndarray:
    """How bad people found each type and level on average: 0 as good as the reference, 1 bad."""
    with table.open(newline="") as file:
        means = {(int(r["type"]), int(r["level"])): float(r["mean_dmos"]) for r in csv.DictReader(file)}
    marks = np.array([means[int(kind), int(level)] for kind, level in cells])
    return np.clip((config.best - marks) / (config.best - config.worst), 0, 1)


def fit(found: Tensor, target: Tensor, scale: tuple[np.ndarray, ...], config: Config) -> Weights:
    """Fit weights, powers and gains: found (pairs, 4, channels) terms, target (pairs,) in [0, 1]."""
    torch.manual_seed(config.seed)
    stage = torch.from_numpy(CHANNELS)
    share_of = torch.zeros(len(stage), len(STAGES)).scatter_(1, stage[:, None], 1.0)
    size = found.mean(0) + 1e-3  # no weight may leave the range of 16 bits
    base = 1 / size / share_of.sum(0)[stage]
    bend = torch.zeros_like(base, requires_grad=True)
    power = torch.zeros(TERMS, len(STAGES), requires_grad=True)
    gain = torch.full((TERMS, len(STAGES)), -float(np.log(TERMS * len(STAGES))), requires_grad=True)
    optimiser = torch.optim.Adam([bend, power, gain], lr=config.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2 * config.rate, total_steps=config.steps)
    for step in range(config.steps):
        pooled = (found * (base * bend.exp())) @ share_of
        powers = power.exp()
        total = (((pooled + EPSILON) ** powers - EPSILON**powers) * gain.exp()).sum((1, 2))
        loss = ((1 - torch.exp(-total) - target) ** 2).mean()
        loss = loss + config.channel_decay * (bend**2).mean() + config.power_decay * (power**2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 25 == 0:
            log.info("fit: step %d of %d, loss %.5f", step, config.steps, float(loss.detach()))
    with torch.no_grad():
        fresh = [t.numpy() for t in (base * bend.exp(), power.exp(), gain.exp())]
    return Weights(*(np.asarray(w, np.float16).astype(np.float64) for w in (*scale, *fresh)))


def agreement(found: np.ndarray, target: np.ndarray, cells: np.ndarray) -> dict[str, float]:
    """SRCC of distances (pictures, 125) with the opinions: overall, mean within types, mean over photographs."""
    types, wide = cells[:, 0], np.broadcast_to(target, found.shape)
    within = [spearmanr(found[:, types == t].ravel(), wide[:, types == t].ravel())[0] for t in np.unique(types)]
    return {
        "srcc": round(float(spearmanr(found.ravel(), wide.ravel())[0]), 4),
        "within_type": round(float(np.mean(within)), 4),
        "over_photographs": round(float(np.mean([spearmanr(row, target)[0] for row in found])), 4),
    }


def predict(found: np.ndarray, weights: Weights) -> np.ndarray:
    """Distances of moments (pictures, 125, 7, channels), by the very function that is shipped."""
    return np.stack([distance(m.astype(np.float64), [1.0] * len(STAGES), weights) for m in found])


def cross_validate(
    every: np.ndarray,
    found: Tensor,
    target: np.ndarray,
    cells: np.ndarray,
    scale: tuple[np.ndarray, ...],
    config: Config,
) -> dict[str, float]:
    """Agreement on photographs that the fit never saw."""
    order = np.random.default_rng(config.seed).permutation(len(every))
    distances = np.zeros(every.shape[:2])
    wide = torch.from_numpy(np.tile(target, (len(every), 1))).float()
    for held in np.array_split(order, config.folds):
        rest = np.setdiff1d(order, held)
        weights = fit(found[rest].flatten(0, 1), wide[rest].flatten(), scale, config)
        distances[held] = predict(every[held], weights)
    return agreement(distances, target, cells)


def save(body: PairBody, weights: Weights, header: dict[str, Any], out: Path) -> None:
    """Write the weights with their header, and the graph, which points into the weights of `lite0`."""
    path = out / "beholder_fr.safetensors"
    save_model(path, {k: torch.from_numpy(v) for k, v in weights._asdict().items()}, header)
    path.chmod(0o644)
    (out / "beholder_fr.onnx").write_bytes(share(export_body(body), out / "lite0.safetensors"))


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, help="list of photographs to fit to")
    parser.add_argument("held_out", type=Path, help="list of photographs that stay unseen; must not overlap")
    parser.add_argument("table", type=Path, help="mean opinions by type and level")
    parser.add_argument("--work", type=Path, default=Path("runs/beholder_fr"), help="cache and log")
    parser.add_argument("--out", type=Path, default=Path("src/beholder/models/weights"), help="where the files go")
    parser.add_argument("--photographs", type=int, default=40, help="how many of the list to use")
    parser.add_argument("--workers", type=int, default=2, help="photographs distorted at once")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(format="%(asctime)s %(message)s")
    log.setLevel(logging.INFO)
    log.addHandler(logging.FileHandler(options.work / "log.txt"))
    config = Config()
    train, held = (p.read_text().split() for p in (options.train, options.held_out))
    if {Path(p).stem for p in train} & {Path(p).stem for p in held}:
        raise SystemExit("a photograph stands in both lists")
    paths = [Path(p) for p in train][: options.photographs]
    body = load_pair_body()
    model = session(body)
    scale = scales(model, paths, options.work, config.side)
    every, cells = extract(model, scale, paths, options.work, config, options.workers)
    target = opinions(options.table, cells, config)
    ones, spread = torch.ones(len(CHANNELS)), torch.from_numpy(scale[1])
    found = torch.stack([terms(torch.from_numpy(m), ones, spread) for m in every])
    validation = cross_validate(every, found, target, cells, scale, config)
    log.info("%d photographs, out of fold: %s", len(paths), validation)
    wide = torch.from_numpy(np.tile(target, len(paths))).float()
    weights = fit(found.flatten(0, 1), wide, scale, config)
    header = {
        "name": "beholder_fr",
        "architecture": "EfficientNet-Lite0 of lite0.safetensors, frozen; moments of twelve stages; weighted terms",
        "config": {**asdict(config), "kappa": KAPPA, "epsilon": EPSILON},
        "stages": STAGES,
        "normalisation": "sRGB in [0, 1]; the network maps it to (255 x - 127) / 128 itself",
        "size_rule": {"viewing_area": 1 << 20, "min_side": 128, "cell": 64, "tile": 512, "margin": 128},
        "scale": {"low": 0, "high": 1, "better": "lower"},
        "training": {
            "data": "mean opinions of KADID-10k by type and level (Lin et al. 2019, doi:10.1109/QoMEX.2019.8743252), "
            "on its 125 distortions made by beholder.distortions",
            "photographs": [p.stem for p in paths],
            "held_out": [Path(p).stem for p in held],
            "table_sha256": hashlib.sha256(options.table.read_bytes()).hexdigest(),
            "out_of_fold": validation,
            "versions": {p: metadata.version(p) for p in ("torch", "onnx", "onnxruntime", "numpy")},
        },
        "licence": "Apache-2.0",
        "code_version": __version__,
    }
    save(body, weights, json.loads(json.dumps(header)), options.out)
    log.info("wrote %s", options.out)


if __name__ == "__main__":
    main()
