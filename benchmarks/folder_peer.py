"""psnr and ssim over a folder, as a user of a peer would write it: LIBRARY DECODER METRICS POOL FOLDER COUNT."""

import csv
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

CPUS = 2
Reader = Callable[[Path], np.ndarray]
Compare = Callable[[np.ndarray, np.ndarray], tuple[float, float]]


def reader(decoder: str) -> Reader:
    """The function from a path to (H, W, 3), RGB."""
    if decoder == "pillow":
        from PIL import Image

        return lambda path: np.asarray(Image.open(path))
    if decoder == "simplejpeg":
        from simplejpeg import decode_jpeg

        return lambda path: decode_jpeg(path.read_bytes(), "RGB")
    import cv2

    cv2.setNumThreads(1)
    return lambda path: cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)


def to_luma(picture: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)  # BT.601, rounded


def compare_fast_ssim(luma: bool, _: str) -> Compare:
    import fast_ssim

    def compare(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        psnr = fast_ssim.psnr(x, y, data_range=255)
        return psnr, fast_ssim.ssim(*(to_luma(a) if luma else a for a in (x, y)), data_range=255)

    return compare


def compare_skimage(luma: bool, _: str) -> Compare:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    def compare(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        psnr = peak_signal_noise_ratio(y, x, data_range=255)
        u, v = (to_luma(a) if luma else a for a in (x, y))
        ssim = structural_similarity(
            v, u, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
            channel_axis=None if luma else 2,
        )  # fmt: skip
        return psnr, ssim

    return compare


def compare_torch(library: str) -> Callable[[bool, str], Compare]:
    def build(luma: bool, pool: str) -> Compare:
        import torch

        torch.set_num_threads(CPUS if pool == "loop" else 1)
        measures = torch_measures(library)

        def compare(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
            a, b = (torch.from_numpy(np.ascontiguousarray(p.transpose(2, 0, 1)))[None] for p in (x, y))
            psnr = measures[0](a, b)
            if luma:
                a, b = (torch.from_numpy(to_luma(p))[None, None] for p in (x, y))
            return float(psnr), float(measures[1](a, b))

        return compare

    return build


def torch_measures(library: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    if library == "frame-analytics":
        import frame_analytics as fa
        import frame_analytics.backend  # it is loaded at the first call otherwise, which two threads cannot do at once

        return lambda a, b: fa.psnr(a, b, data_range=255.0), lambda a, b: fa.ssim(a, b, data_range=255.0)
    if library == "piq":
        from peers import load_piq

        piq = load_piq()
        return (
            lambda a, b: piq.psnr(a, b, data_range=255),
            lambda a, b: piq.ssim(a, b, data_range=255, downsample=False),
        )
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    return (
        lambda a, b: peak_signal_noise_ratio(a.float(), b.float(), data_range=255.0),
        lambda a, b: structural_similarity_index_measure(a.float(), b.float(), data_range=255.0),
    )


def chosen(library: str) -> Callable[[bool, str], Compare]:
    return {"fast-ssim": compare_fast_ssim, "scikit-image": compare_skimage}.get(library) or compare_torch(library)


def one(task: tuple[str, str, bool, str, Path, Path]) -> tuple[float, float]:
    """One pair in a worker process."""
    library, decoder, luma, pool, image, reference = task
    read = reader(decoder)
    return chosen(library)(luma, pool)(read(image), read(reference))


def main() -> None:
    library, decoder, metrics, pool, place, count = sys.argv[1:]
    folder, luma = Path(place), metrics.endswith(":y")
    paths = sorted((folder / "dist").iterdir())[: int(count)]
    pairs = [(path, folder / "ref" / path.name) for path in paths]
    if pool == "processes":
        with ProcessPoolExecutor(CPUS) as workers:
            tasks = [(library, decoder, luma, pool, *pair) for pair in pairs]
            values = list(workers.map(one, tasks, chunksize=5))
    else:
        read, compare = reader(decoder), chosen(library)(luma, pool)

        def work(pair: tuple[Path, Path]) -> tuple[float, float]:
            return compare(read(pair[0]), read(pair[1]))

        if pool == "threads":
            with ThreadPoolExecutor(CPUS) as threads:
                values = list(threads.map(work, pairs))
        else:
            values = [work(pair) for pair in pairs]
    with (folder / f"{library}.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "psnr", "ssim"])
        writer.writerows([path.name, *value] for (path, _), value in zip(pairs, values, strict=True))


if __name__ == "__main__":
    main()
