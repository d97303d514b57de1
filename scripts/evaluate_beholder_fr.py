"""Judge `beholder_fr` beside other metrics on photographs that it was not fitted to: needs beholder[train].

    python scripts/evaluate_beholder_fr.py HELD_OUT.txt TYPE_LEVEL.csv --metrics psnr,ssim,vsi

Distorts as scripts/train_beholder_fr.py does and prints the rank correlation of every metric with the mean opinions
by type and level: overall, mean within types, mean over photographs; and writes the model card.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from train_beholder_fr import Config, agreement, crop, opinions, versions

import beholder as bh
from beholder.models.files import read_header, shipped
from beholder.models.runtime import weights_hash

CARD = Path(__file__).parents[1] / "src" / "beholder" / "models" / "weights" / "CARD_FR.md"


def card(header: dict[str, Any], found: dict[str, dict[str, float]], photographs: int) -> str:
    """The model card as Markdown."""
    training, config = header["training"], header["config"]
    out, side, held = training["out_of_fold"], config["side"], len(training["held_out"])
    rows = "\n".join(
        f"| {name} | {f['srcc']:.3f} | {f['within_type']:.3f} | {f['over_photographs']:.3f} |"
        for name, f in found.items()
    )
    return f"""# Model card: `beholder_fr`

What it is: {header["architecture"]}.
Files: `beholder_fr.safetensors` (weights and header) and `beholder_fr.onnx` (the graph for ONNX Runtime, which points
into the backbone's weights in `lite0.safetensors`). Weights hash `{weights_hash("beholder_fr")}`, code version
{header["code_version"]}, licence {header["licence"]}. Made by `scripts/train_beholder_fr.py`, judged by
`scripts/evaluate_beholder_fr.py`.

## Use
A picture and its reference in, a distance out: 0 for equal pictures, near 1 as bad as can be; it follows the share of
opinion that is lost. Input: {header["normalisation"]}. Up to one megapixel pictures are seen at 100 %; larger ones are
reduced to that first, as on a screen. `beholder_fr:native` sees them at 100 %, in tiles whose sums are merged.

## How it works
Twelve stages are compared: luma and chroma at three sizes, the gradient magnitude of luma at three sizes, and the maps
of six blocks of the network. Of every channel four terms are taken: texture (the means), structure (variances and
covariance), and the mean and the spread of the squared difference place by place, each against what is usual in
photographs. They are pooled with fitted weights, raised to a fitted power and added; the distance is 1 - exp(-sum).

## Training
- Opinions: {training["data"]}; table SHA-256 `{training["table_sha256"][:16]}...`.
- Photographs: {len(training["photographs"])} of CID22 (CC BY-SA 4.0) and CLIC 2025 (Unsplash licence),
  {side}x{side} pixels each; their names stand in the header, as do those of the {held} held out. No picture of
  Kodak, TID or KADID was used.
- Four-fold cross-validation over photographs: SRCC {out["srcc"]:.3f}, within types {out["within_type"]:.3f}, mean over
  photographs {out["over_photographs"]:.3f}. The decay of the weights was chosen on these and on types left out.
- Settings: `{json.dumps(config)}`.

## Figures
{photographs} photographs that were never used for fitting or choice, 125 versions each, looked at once: SRCC with the
mean opinions by type and level.

| metric | overall | within types | mean over photographs |
|---|---|---|---|
{rows}

## Limits
- The opinions are means over KADID-10k's pictures, so what a picture's content changes is not in them; and the types
  are those of one data set. Types that it was not fitted to are judged less well.
- It judges how alike two pictures look, not which is better: a restoration that mends its reference is a difference.
"""


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("held_out", type=Path, help="list of photographs")
    parser.add_argument("table", type=Path, help="mean opinions by type and level")
    parser.add_argument("--metrics", default="psnr,ssim,ms_ssim,vsi,haarpsi,mdsi", help="beside beholder_fr")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    measures = [bh.metric(name) for name in ("beholder_fr", *options.metrics.split(","))]
    cells = np.zeros((125, 2), int)

    def one(path: str) -> np.ndarray:
        reference = crop(Path(path)).transpose(2, 0, 1)[None]
        found = []
        for i, (kind, level, pixels) in enumerate(versions(Path(path))):
            cells[i] = kind, level
            image = pixels.transpose(2, 0, 1)[None]
            found.append([float(m(image, reference, threads=1)[0]) for m in measures])
        return np.nan_to_num(np.array(found), posinf=1000)

    with ThreadPoolExecutor(options.workers) as pool:
        values = np.stack(list(pool.map(one, options.held_out.read_text().split())))
    target = opinions(options.table, cells, Config())
    signs = [1 if m.card.better == "lower" else -1 for m in measures]
    found = {
        m.name: agreement(s * values[:, :, i], target, cells)
        for i, (m, s) in enumerate(zip(measures, signs, strict=True))
    }
    print(f"{len(values)} photographs", *(f"{name}: {f}" for name, f in found.items()), sep="\n")
    CARD.write_text(card(read_header(shipped("beholder_fr.safetensors")), found, len(values)))


if __name__ == "__main__":
    main()
