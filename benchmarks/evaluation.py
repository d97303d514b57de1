"""Time and memory of `beholder evaluate`: 10,000 pictures, 20 columns, 1,000 rounds of bootstrap, all its files.

    python benchmarks/evaluation.py

The table is made: opinions of 200 references with spread and number, and predictions with more and more noise. Whole
processes, median of three. Writes results/evaluation.json.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import RESULTS, machine

PICTURES, COLUMNS, REFERENCES, ROUNDS = 10_000, 20, 200, 3
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def make(path: Path) -> None:
    """A table with references, types and levels."""
    rng = np.random.default_rng(0)
    opinions = rng.uniform(0, 100, PICTURES)
    spread = rng.uniform(8, 20, PICTURES)
    columns = [opinions + rng.normal(0, 5 + 3 * i, PICTURES) for i in range(COLUMNS)]
    each = PICTURES // REFERENCES
    with path.open("w") as file:
        file.write("image,mos,std,n,reference,type,level," + ",".join(f"m{i}" for i in range(COLUMNS)) + "\n")
        for j in range(PICTURES):
            said = ",".join(f"{c[j]:.5f}" for c in columns)
            facts = f"r{j // each},t{j // 5 % 10},{j % 5 + 1}"
            file.write(f"p{j}.png,{opinions[j]:.4f},{spread[j]:.3f},30,{facts},{said}\n")


def main() -> None:
    taken, peaks = [], []
    with tempfile.TemporaryDirectory() as name:
        table = Path(name) / "table.csv"
        make(table)
        columns = ",".join(f"m{i}" for i in range(COLUMNS))
        command = [sys.executable, "-m", "beholder", "evaluate", str(table), "--score", "mos", "--scale", "0,100"]
        command += ["--columns", columns, "--group", "reference", "-q"]
        command += [part for kind in ("json", "html", "md", "tex") for part in ("-o", f"{name}/out.{kind}")]
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", PEAK, *command], check=True, capture_output=True, text=True)
            taken.append(time.perf_counter() - begun)
            peaks.append(int(done.stdout) * 1024)
    found = {
        "machine": machine(),
        "pictures": PICTURES,
        "columns": COLUMNS,
        "rounds": 1000,
        "seconds": float(np.median(taken)),
        "peak_bytes": max(peaks),
    }
    (RESULTS / "evaluation.json").write_text(json.dumps(found, indent=1) + "\n")
    print(f"{found['seconds']:.1f} s, {found['peak_bytes'] / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
