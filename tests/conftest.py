"""What all tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SAMPLES = Path(__file__).parents[1] / "samples"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Small pictures gain nothing from PyTorch's threads, and lose minutes to them where the processors are busy."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell starts what runs in its background deaf to SIGINT, and children inherit that: tests interrupt some."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def samples() -> Path:
    """The folder of sample pictures."""
    return SAMPLES


@pytest.fixture
def data() -> Path:
    """The folder of data sets; skipped where BEHOLDER_DATA does not name one."""
    root = os.environ.get("BEHOLDER_DATA")
    if not root:
        pytest.skip("BEHOLDER_DATA names no folder of data sets")
    return Path(root)


@pytest.fixture
def make_picture(tmp_path: Path) -> Callable[..., Path]:
    """Write a picture with a seeded pattern; options go to Pillow's save."""

    def make(name: str, size: tuple[int, int] = (48, 40), seed: int = 0, mode: str = "RGB", **options: Any) -> Path:
        rng = np.random.default_rng(seed)
        small = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).convert(mode)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, **options)
        return path

    return make
