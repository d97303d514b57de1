"""Make the shipped files of `beholder` out of a training's run: needs beholder[train].

    beholder train recipes/beholder.toml -o runs/beholder --set data.root=BIQ2021 …
    beholder variant runs/beholder --kind int8
    python scripts/ship_beholder.py runs/beholder

Batch normalisation is worked into the convolutions, and all is rounded to 16 bits: the weights with their header go
into one file, and two graphs point into it. The first gives sums over a part of a picture, which may be added up over
tiles, the second turns sums into a score and its distance from the training pictures. The variant in eight bits is one
graph by itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from exporting import WEIGHTS, export, round_to_half, share
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from beholder.models.assessors.general import General
from beholder.models.assessors.heads import TINY
from beholder.models.assessors.networks import Deployed, fold_norms, load_network
from beholder.models.files import save_model
from beholder.models.judging import Judge
from beholder.models.runtime import CELL
from beholder.models.viewing import MIN_SIDE, VIEWING_AREA
from beholder.training.variants import sign_graph, store_half
from beholder.version import __version__

WHOLE = (0, 0, 1 << 24, 1 << 24)
"""The pooled part that is the whole picture."""
LARGE = 4096
"""Numbers in a matrix of the heads, at least, not in the scales of the eight-bit layers."""
RULE = {"viewing_area": VIEWING_AREA, "min_side": MIN_SIDE, "cell": CELL, "tile": 768, "margin": 256}


class Sums(nn.Module):
    """Picture to pooled sums: every channel's sum and sum of squares, of the pooled maps, at both sizes.

    forward takes (N, 3, H, W) sRGB in [0, 1], H and W at least 64, and `inner` int64 (top, left, bottom, right) in
    cells of 64 pixels: the part to pool over. Tiles with a margin give the same sums as the whole picture.
    """

    def __init__(self, network: General) -> None:
        super().__init__()
        self.body, self.taps = network.body, network.taps

    def forward(self, image: Tensor, inner: Tensor) -> tuple[Tensor, Tensor]:
        """Sums (N, 2 x features) and counts (maps,) over the inner part, at both sizes."""
        sums, counts = [], []
        for size, x in ((1, image), (2, F.avg_pool2d(image, 2))):
            maps = self.body(x)
            for i in self.taps:
                cells = CELL // self.body.strides[i] // size
                part = maps[i][:, :, inner[0] * cells : inner[2] * cells, inner[1] * cells : inner[3] * cells]
                sums += [part.sum(dim=(2, 3)), (part * part).sum(dim=(2, 3))]
                counts.append(torch.ones_like(part[0, 0]).sum())
        return torch.cat(sums, dim=1), torch.stack(counts)


class Verdict(nn.Module):
    """Pooled sums to score within 0-100 and distance from the training pictures."""

    def __init__(self, deployed: Deployed) -> None:
        super().__init__()
        network = deployed.network
        assert isinstance(network, General)
        assert deployed.domain is not None
        self.network, self.domain = network, deployed.domain
        self.channels = tuple(network.body.channels[i] for i in network.taps) * 2

    def forward(self, sums: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Both, (N,)."""
        found, start = [], 0
        for channels, count in zip(self.channels, counts.unbind(0), strict=True):
            mean = sums[:, start : start + channels] / count
            square = sums[:, start + channels : start + 2 * channels] / count
            found += [mean, torch.sqrt(F.relu(square - mean * mean) + TINY)]
            start += 2 * channels
        judged = self.network.judge(torch.cat(found, dim=1))
        assert judged.features is not None
        return judged.score.clamp(0, 100), self.domain(judged.features)


def graphs(deployed: Deployed) -> dict[str, bytes]:
    """ONNX bytes of both parts, by the ending of their files."""
    network: Any = deployed.network
    body, head = Sums(network).eval(), Verdict(deployed).eval()
    image, inner = torch.rand(2, 3, 192, 256), torch.tensor(WHOLE)
    with torch.no_grad():
        sums, counts = body(image, inner)
    dynamic = {"image": {0: "n", 2: "h", 3: "w"}, "inner": None, "sums": {0: "n"}, "counts": None}
    return {
        ".onnx": export(body, {"image": image, "inner": inner}, ["sums", "counts"], dynamic),
        ".head.onnx": export(head, {"sums": sums, "counts": counts}, ["score", "distance"], dynamic),
    }


def main() -> None:
    """Write the three files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a training that has ended")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="where the files go")
    options = parser.parse_args()
    deployed, header = load_network(options.run / "model.safetensors")
    if not deployed.network.both_sizes:
        raise SystemExit("the runtime pools maps at both sizes: train with half = true")
    fold_norms(deployed)
    round_to_half(deployed)
    header |= {"name": "beholder", "folded": True, "size_rule": RULE, "licence": "Apache-2.0"}
    header |= {"normalisation": "sRGB in [0, 1]; the network maps it to (255 x - 127) / 128 itself"}
    header |= {"exported_by": __version__}
    path = options.out / "beholder.safetensors"
    save_model(path, deployed.state_dict(), header)
    path.chmod(0o644)
    for ending, data in graphs(deployed).items():
        path.with_suffix(ending).write_bytes(share(data, path))
    small = Judge(options.run / "model.int8.onnx")
    told = {**header, "variant": small.header["variant"]}
    path.with_suffix(".int8.onnx").write_bytes(sign_graph(store_half(small.path.read_bytes(), "float16", LARGE), told))
    print(f"wrote {path} and its graphs")


if __name__ == "__main__":
    main()
