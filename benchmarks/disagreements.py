"""One pair, every program: which values carry the same name, and which preset of Beholder each one is.

Writes results/disagreements.json; report_metrics.py makes a page of it.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import save
from metrics import FIELD, peers

import beholder as bh

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from patterns import load

IMAGE, REFERENCE = "photo:astronaut/noise2", "photo:astronaut"
SAME = 2e-5  # relative: single precision and another order of summation
MORE = {  # further functions of the same libraries, by what they are called with
    "vif_p": {"piq": "vif_p"},
    "tv": {"piq": "total_variation"},
}


def scikit_image() -> dict[str, Callable[[np.ndarray, np.ndarray], float]]:
    import skimage.measure as measure
    import skimage.metrics as sk
    from skimage.restoration import estimate_sigma

    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return {
        "ssim": lambda x, y: sk.structural_similarity(y, x, channel_axis=2, data_range=255),
        "ssim, gaussian_weights": lambda x, y: sk.structural_similarity(
            y, x, channel_axis=2, data_range=255, **gaussian
        ),
        "psnr": lambda x, y: sk.peak_signal_noise_ratio(y, x, data_range=255),
        "nrmse": lambda x, y: sk.normalized_root_mse(y, x),
        "nrmse, min-max": lambda x, y: sk.normalized_root_mse(y, x, normalization="min-max"),
        "nmi": lambda x, y: sk.normalized_mutual_information(y, x),
        "blur_effect": lambda x, _: measure.blur_effect(x, channel_axis=2),
        "noise_sigma": lambda x, _: estimate_sigma(x / 255, channel_axis=2, average_sigmas=True),
        "entropy": lambda x, _: measure.shannon_entropy(x),
    }


def torchmetrics() -> dict[str, Callable[[Any, Any], Any]]:
    import torchmetrics.functional.image as tm

    return {
        "ssim": lambda x, y: tm.structural_similarity_index_measure(x, y, data_range=1.0),
        "ms_ssim": lambda x, y: tm.multiscale_structural_similarity_index_measure(x, y, data_range=1.0),
        "uqi": lambda x, y: tm.universal_image_quality_index(x, y),
        "vif_p": lambda x, y: tm.visual_information_fidelity(x * 255, y * 255),
        "sam": lambda x, y: tm.spectral_angle_mapper(x, y),
        "ergas": lambda x, y: tm.error_relative_global_dimensionless_synthesis(x, y),
        "scc": lambda x, y: tm.spatial_correlation_coefficient(x, y),
        "tv": lambda x, _: tm.total_variation(x),
    }


def others(x: np.ndarray, y: np.ndarray) -> list[tuple[str, str, float]]:
    """(metric, program, value) of every peer that has a function for it."""
    import torch

    a, b = (torch.tensor(p.transpose(2, 0, 1)[None].astype(np.float32) / 255) for p in (x, y))
    found = []

    def add(metric: str, program: str, call: Callable[[], Any]) -> None:
        try:
            found.append((metric, program, float(call())))
        except Exception as error:
            print(f"{metric}, {program}: {type(error).__name__}: {error}", file=sys.stderr)

    further = torchmetrics()  # before piq, whose stand-in for torchvision it cannot bear
    libraries = peers()
    for metric in dict.fromkeys([*FIELD, *MORE]):
        for library, function in {**FIELD.get(metric, ("", {}))[1], **MORE.get(metric, {})}.items():
            call = libraries[library](function)
            if metric == "tv":
                call = call.func
            single = metric == "tv"
            add(metric, f"{library} {function}", lambda c=call, s=single: c(a) if s else c(a, b))
    for name, call in further.items():
        add(name, f"torchmetrics {name}", lambda c=call: c(a, b))
    for name, call in scikit_image().items():
        add(name.partition(",")[0], f"scikit-image {name}", lambda c=call: c(x, y))
    return found


def own(x: np.ndarray, y: np.ndarray, metric: str) -> dict[str, float]:
    """The values of all presets of a metric."""
    card = bh.metric(metric).card
    pair = [np.ascontiguousarray(p.transpose(2, 0, 1))[None] for p in (x, y)]
    values = {}
    for name in (card.name, *(f"{card.name}:{p}" for p in card.presets)):
        given = pair if card.needs == "reference" else pair[:1]
        values[name] = float(bh.metric(name)(*given)[0])
    return values


def main() -> None:
    warnings.simplefilter("ignore")
    x, y = load(IMAGE), load(REFERENCE)
    rows = []
    for metric, program, value in sorted(others(x, y), key=lambda f: f[0]):
        presets = own(x, y, metric)
        same = [n for n, v in presets.items() if abs(v - value) <= SAME * max(abs(v), abs(value))]
        rows.append({"metric": metric, "program": program, "value": value, "same": same, "presets": presets})
        print(f"{metric:12s} {program:42s} {value:14.7g}  {', '.join(same) or presets}")
    save("disagreements", {"image": IMAGE, "reference": REFERENCE, "rows": rows})


if __name__ == "__main__":
    main()
