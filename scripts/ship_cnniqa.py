"""Make the shipped files of `cnniqa` out of a training's run: needs beholder[train].

python scripts/ship_cnniqa.py runs/cnniqa
"""

from __future__ import annotations

import argparse
from pathlib import Path

from exporting import WEIGHTS

from beholder.models.assessors.networks import load_network, save_network


def main() -> None:
    """Write both files, rounded to 16 bits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a training that has ended")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="where the files go")
    options = parser.parse_args()
    deployed, header = load_network(options.run / "model.safetensors")
    path = options.out / "cnniqa.safetensors"
    header |= {"name": "cnniqa", "licence": "Apache-2.0"}
    save_network(path, deployed.network, header, deployed.domain, half=True)
    path.chmod(0o644)
    print(f"wrote {path} and its twin")


if __name__ == "__main__":
    main()
