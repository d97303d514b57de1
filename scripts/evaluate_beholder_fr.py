"""Judge `beholder_fr` beside other metrics on photographs that it was not fitted to: needs beholder[train].

    python scripts/evaluate_beholder_fr.py HELD_OUT.txt TYPE_LEVEL.csv --metrics psnr,ssim,vsi

Distorts as scripts/train_beholder_fr.py does and prints the rank correlation of every metric with the mean opinions
by type and level: overall, mean within types, mean over photographs.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from train_beholder_fr import Config, agreement, crop, opinions, versions

import beholder as bh


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
    print(f"{len(values)} photographs")
    for i, m in enumerate(measures):
        sign = 1 if m.card.better == "lower" else -1
        print(m.name, agreement(sign * values[:, :, i], target, cells))


if __name__ == "__main__":
    main()
