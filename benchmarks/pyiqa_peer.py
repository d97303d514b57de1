"""How fast pyiqa scores JPEGs with random weights, on two threads: METRIC FOLDER COUNT, in an environment that has it.

Prints pictures a second and processor milliseconds for each, decoding (Pillow) included and start-up not.
"""

import contextlib
import json
import sys
import time
from pathlib import Path


def load(name: str) -> object:
    """A metric of pyiqa's that asks for no download."""
    import torch

    library = torch.library.Library("torchvision", "DEF")  # its import wants operators that a processor build lacks
    for operator in ("nms", "qnms"):
        with contextlib.suppress(RuntimeError):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    load.kept = library  # type: ignore[attr-defined]  # definitions end with their library
    import timm

    make = timm.create_model
    timm.create_model = lambda *a, **k: make(*a, **{**k, "pretrained": False})
    import pyiqa

    settings: dict[str, bool] = {"pretrained": False}
    if name == "cnniqa":
        import pyiqa.archs.cnniqa_arch as module

        module.load_pretrained_network = lambda *_, **__: None
        settings = {}
    return pyiqa.create_metric(name, device="cpu", **settings)


def main() -> None:
    import numpy as np
    import torch
    from PIL import Image

    name, folder, count = sys.argv[1:]
    torch.set_num_threads(2)
    metric = load(name)
    paths = sorted(Path(folder).iterdir())[: int(count)]
    begun, used = time.perf_counter(), time.process_time()
    with torch.no_grad():
        for path in paths:
            pixels = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
            metric(torch.from_numpy(pixels.transpose(2, 0, 1)[None]))  # type: ignore[operator]
    wall, cpu = time.perf_counter() - begun, time.process_time() - used
    print(json.dumps({"pictures_a_second": len(paths) / wall, "cpu_ms": cpu / len(paths) * 1e3}))


if __name__ == "__main__":
    main()
