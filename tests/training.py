"""Small data sets and configurations for the tests of training and tuning."""

import csv

import numpy as np
from PIL import Image

from beholder.training.config import Config


def make_table(folder, count=40, *, side=40, references=False, name="opinions.csv"):
    """Grey noise, the stronger the worse: opinions from 1 to 5 with a spread, every two pictures of one content."""
    rng = np.random.default_rng(5)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(count):
        share = (i * 7 % count) / (count - 1)
        content = np.random.default_rng(1000 + i // 2).integers(60, 190, (side // 8, side // 8 + 1, 3))
        clean = np.kron(content, np.ones((8, 8, 1)))
        noisy = np.clip(clean + rng.normal(0, 60 * (1 - share), clean.shape), 0, 255)
        Image.fromarray(noisy.astype(np.uint8)).save(folder / f"p{i:03d}.png")
        row = {"image": f"p{i:03d}.png", "mos": round(1 + 4 * share, 3), "std": 0.5, "group": f"c{i // 2}"}
        if references:
            Image.fromarray(clean.astype(np.uint8)).save(folder / f"r{i // 2:03d}.png")
            row["reference"] = f"r{i // 2:03d}.png"
        rows.append(row)
    with (folder / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / name


def tiny(table, **changes):
    """A configuration that trains in a second; changes by dotted key, with __ for the dots."""
    base = Config.of(
        {
            "data": {"table": str(table), "scale": [1, 5], "shares": [0.5, 0.5, 0]},
            "input": {"crop": 32},
            "model": {"architecture": "cnniqa", "settings": {"width": 6, "hidden": 12}, "weights": "none"},
            "optimiser": {"rate": 0.01, "warm_up": 0.1},
            "run": {"epochs": 2, "batch": 8, "threads": 1, "devices": "cpu"},
        }
    )
    return base.replace({key.replace("__", "."): value for key, value in changes.items()})


GENERAL = {"half": False, "hidden": [8], "body_settings": {"width": 4, "depth": 2}}
"""Settings of a `beholder` that is as small as can be, with the body 'plain'."""
