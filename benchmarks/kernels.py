"""Times of the CPU kernels on arrays in memory: medians of 15 calls, in milliseconds."""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from beholder import kernels


def median_ms(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times), min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    settings = parser.parse_args()
    random = np.random.default_rng(0)

    def pair(*shape: int) -> tuple[np.ndarray, np.ndarray]:
        reference = random.integers(0, 256, shape, dtype=np.uint8)
        noisy = reference + random.normal(0, 9, shape).astype(np.float32)
        return np.clip(noisy, 0, 255).astype(np.uint8), reference

    grey, colour, small, hd, tiny = (
        pair(2160, 3840),
        pair(2160, 3840, 3),
        pair(1024, 1024, 3),
        pair(1080, 1920),
        pair(16, 16),
    )
    many = settings.threads
    cases: list[tuple[str, int, Callable[[int], object]]] = [
        ("ssim 4K grey", many, lambda n: kernels.ssim(*grey, n)),
        ("ssim 4K grey", 1, lambda n: kernels.ssim(*grey, n)),
        ("ssim 4K RGB", many, lambda n: kernels.ssim(*colour, n)),
        ("ssim 4K RGB luma=full", many, lambda n: kernels.ssim(*colour, n, luma="full")),
        ("ssim_terms 4K grey", many, lambda n: kernels.ssim_terms(*grey, n)),
        ("squared_error 4K grey", many, lambda n: kernels.squared_error(*grey, n)),
        ("squared_error 4K grey", 1, lambda n: kernels.squared_error(*grey, n)),
        ("absolute_error 4K grey", many, lambda n: kernels.absolute_error(*grey, n)),
        ("gmsd 1080p grey", many, lambda n: kernels.gmsd(*hd, n)),
        ("gmsd 1080p grey", 1, lambda n: kernels.gmsd(*hd, n)),
        ("ssim 1080p grey", many, lambda n: kernels.ssim(*hd, n)),
        ("ssim 1024x1024 RGB luma=full", 1, lambda n: kernels.ssim(*small, n, luma="full")),
        ("ssim 1024x1024 RGB luma=matlab", 1, lambda n: kernels.ssim(*small, n, luma="matlab")),
        ("ssim 1024x1024 RGB", 1, lambda n: kernels.ssim(*small, n)),
        ("squared_error 1024x1024 RGB", 1, lambda n: kernels.squared_error(*small, n)),
        ("squared_error 1024x1024 RGB luma=studio", 1, lambda n: kernels.squared_error(*small, n, luma="studio")),
        ("gmsd 1024x1024 RGB luma=full", 1, lambda n: kernels.gmsd(*small, n)),
        ("squared_error 16x16 (overhead)", many, lambda n: kernels.squared_error(*tiny, n)),
        ("ssim 16x16 (overhead)", many, lambda n: kernels.ssim(*tiny, n)),
        ("gmsd 16x16 (overhead)", many, lambda n: kernels.gmsd(*tiny, n)),
    ]
    for name, threads, call in cases:
        middle, best = median_ms(lambda call=call, threads=threads: call(threads), settings.repeats)
        print(f"{name:42s} threads {threads}  median {middle:8.3f}  best {best:8.3f}")


if __name__ == "__main__":
    main()
