"""Times and values of ssim, psnr and gmsd on uint8 luma planes in memory, beside the peers, in one process."""

import argparse
import os

THREADS = 2
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))  # before the libraries are loaded

import functools  # noqa: E402
import io  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
from common import interleave, luma, photograph, save, wait_for_quiet  # noqa: E402
from peers import load_piq  # noqa: E402
from PIL import Image  # noqa: E402

import beholder as bh  # noqa: E402

SIZES = ((512, 384), (1920, 1080), (3840, 2160))
Plane = np.ndarray


@dataclass(frozen=True)
class Contestant:
    """A way to compute a metric: `call(dist, ref)`, after `prepare` (not timed) has made its kind of array."""

    metric: str
    library: str
    definition: str  # the preset of Beholder whose float64 definition it is held against
    note: str
    prepare: Callable[[Plane], Any]
    call: Callable[[Any, Any], Any]


def contestants() -> list[Contestant]:
    import blazediff_ssim
    import fast_ssim
    import frame_analytics as fa
    import skimage.metrics as sk
    import torch
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    torch.set_num_threads(THREADS)
    piq = load_piq()

    def batch(a: Plane) -> Plane:
        return a[None, None]

    def tensor(a: Plane) -> Any:
        return torch.from_numpy(a)[None, None]

    def rgba(a: Plane) -> tuple[bytes, int, int]:
        return np.dstack([a, a, a, np.full_like(a, 255)]).tobytes(), a.shape[1], a.shape[0]

    own = {name: bh.metric(name) for name in ("ssim", "psnr", "gmsd")}

    def mine(name: str) -> Callable[[Any, Any], Any]:
        return lambda x, y: own[name](x, y, threads=THREADS)[0]

    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    same = "Gaussian 11x11, the same definition"
    return [
        Contestant("ssim", "beholder", "ssim", "Gaussian 11x11, valid windows (Wang et al. 2004)", batch, mine("ssim")),
        Contestant(
            "ssim", "scikit-image", "ssim", f"{same}; data set to match", lambda a: a,
            lambda x, y: sk.structural_similarity(y, x, **gaussian),
        ),
        Contestant(
            "ssim", "piq", "ssim", f"{same}; float32, downsample off", tensor,
            lambda x, y: piq.ssim(x, y, data_range=255, downsample=False),
        ),
        Contestant(
            "ssim", "torchmetrics", "ssim", "Gaussian 11x11, but the mean takes in a reflected border; float32", tensor,
            lambda x, y: structural_similarity_index_measure(x.float(), y.float(), data_range=255.0),
        ),
        Contestant("ssim", "frame-analytics", "ssim", same, tensor, lambda x, y: fa.ssim(x, y, data_range=255.0)),
        Contestant(
            "ssim", "fast-ssim", "ssim:skimage", "another one: uniform 7x7 window, sample covariance", lambda a: a,
            lambda x, y: fast_ssim.ssim(x, y, data_range=255),
        ),
        Contestant(
            "ssim", "blazediff-ssim", "ssim:wang-downsampled",
            "another one: reduced to about 256 rows first; one thread; takes RGBA", rgba,
            lambda x, y: blazediff_ssim.compare_rgba(y[0], x[0], x[1], x[2]).score,
        ),
        Contestant("psnr", "beholder", "psnr", "", batch, mine("psnr")),
        Contestant(
            "psnr", "scikit-image", "psnr", "", lambda a: a,
            lambda x, y: sk.peak_signal_noise_ratio(y, x, data_range=255),
        ),
        Contestant("psnr", "piq", "psnr", "float32", tensor, lambda x, y: piq.psnr(x, y, data_range=255)),
        Contestant(
            "psnr", "torchmetrics", "psnr", "float32", tensor,
            lambda x, y: peak_signal_noise_ratio(x.float(), y.float(), data_range=255.0),
        ),
        Contestant("psnr", "frame-analytics", "psnr", "", tensor, lambda x, y: fa.psnr(x, y, data_range=255.0)),
        Contestant("psnr", "fast-ssim", "psnr", "", lambda a: a, lambda x, y: fast_ssim.psnr(x, y, data_range=255)),
        Contestant("psnr", "opencv", "psnr", "", lambda a: a, _opencv_psnr),
        Contestant("gmsd", "beholder", "gmsd", "as the authors' program", batch, mine("gmsd")),
        Contestant("gmsd", "piq", "gmsd", "float32; other border", tensor, lambda x, y: piq.gmsd(x, y, data_range=255)),
        Contestant(
            "gmsd", "frame-analytics", "gmsd", "other border", tensor, lambda x, y: fa.gmsd(x, y, data_range=255.0)
        ),
    ]  # fmt: skip


def _opencv_psnr(x: Plane, y: Plane) -> float:
    import cv2

    cv2.setNumThreads(THREADS)
    return cv2.PSNR(x, y)


def pair_of_colours(width: int, height: int) -> tuple[Plane, Plane]:
    """A photograph with seeded noise and then JPEG at quality 60, and the photograph; (H, W, 3)."""
    reference = photograph(1, width, height)
    noise = np.random.default_rng(7).normal(0, 4, reference.shape)
    file = io.BytesIO()
    Image.fromarray(np.clip(np.rint(reference + noise), 0, 255).astype(np.uint8)).save(file, "JPEG", quality=60)
    return np.asarray(Image.open(file)), reference


def pair(width: int, height: int) -> tuple[Plane, Plane]:
    """The luma of the two."""
    image, reference = pair_of_colours(width, height)
    return luma(image), luma(reference)


def truth(definition: str, x: Plane, y: Plane) -> float:
    """Beholder's definition in float64, without the fast kernel."""
    measure = bh.metric(definition)
    return float(measure.card.function(x[None, None] / 255.0, y[None, None] / 255.0, **measure.settings)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--sizes", type=int, default=len(SIZES), help="how many of the sizes, smallest first")
    settings = parser.parse_args()
    rows = []
    for width, height in SIZES[: settings.sizes]:
        x, y = pair(width, height)
        truths = {d: truth(d, x, y) for d in {c.definition for c in contestants()}}
        for metric in ("ssim", "psnr", "gmsd"):
            field = [c for c in contestants() if c.metric == metric]
            calls = {c.library: functools.partial(c.call, c.prepare(x), c.prepare(y)) for c in field}
            wait_for_quiet()
            times = interleave(calls, settings.rounds)
            for c in field:
                value, took = float(calls[c.library]()), times[c.library]
                rows.append(
                    {
                        "metric": metric, "width": width, "height": height, "library": c.library, "note": c.note,
                        "seconds": took, "ratio": took["median"] / times["beholder"]["median"], "value": value,
                        "definition": c.definition, "difference": value - truths[c.definition],
                    }
                )  # fmt: skip
                print(
                    f"{metric} {width}x{height} {c.library:16s} {took['median'] * 1e3:9.3f} ms "
                    f"({took['low'] * 1e3:.3f}-{took['high'] * 1e3:.3f}) x{rows[-1]['ratio']:7.2f}  {value:.8f} "
                    f"{rows[-1]['difference']:+.1e}"
                )
    save("arrays", {"threads": THREADS, "rows": rows})


if __name__ == "__main__":
    main()
