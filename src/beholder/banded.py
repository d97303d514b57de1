"""Separable correlation of PyTorch tensors on the CPU, by products with banded matrices.

PyTorch's own convolution of single planes is several times slower there, forward and backward. Blocks of a row are
multiplied with a matrix that holds the taps once in every column; the gradient is a correlation, too.
"""

from __future__ import annotations

import functools
from typing import Any, cast

Tensor = Any
BLOCK = 64  # values of a row that one product makes: large enough for the library to be fast, little wasted on zeros


@functools.lru_cache(maxsize=64)
def _band(taps: tuple[float, ...], dtype: Any) -> Tensor:
    """The matrix (BLOCK + len(taps) - 1, BLOCK) that correlates rows of that length with the taps."""
    import torch

    band = torch.zeros(BLOCK + len(taps) - 1, BLOCK, dtype=torch.float64)
    for j in range(BLOCK):
        band[j : j + len(taps), j] = torch.tensor(taps, dtype=torch.float64)
    return band.to(dtype)


def _along(x: Tensor, taps: tuple[float, ...]) -> Tensor:
    """(P, H, W) to (P, H, W - len(taps) + 1)."""
    from torch.nn.functional import pad

    if len(taps) == 1:
        return x * taps[0]
    planes, height, width = x.shape
    wanted = width - len(taps) + 1
    blocks = -(-wanted // BLOCK)
    x = pad(x, (0, blocks * BLOCK + len(taps) - 1 - width))
    found = x.unfold(-1, BLOCK + len(taps) - 1, BLOCK) @ _band(taps, x.dtype)
    return found.reshape(planes, height, blocks * BLOCK)[..., :wanted]


def _down(x: Tensor, taps: tuple[float, ...]) -> Tensor:
    """(P, H, W) to (P, H - len(taps) + 1, W)."""
    from torch.nn.functional import pad

    if len(taps) == 1:
        return x * taps[0]
    planes, height, width = x.shape
    wanted = height - len(taps) + 1
    blocks = -(-wanted // BLOCK)
    x = pad(x, (0, 0, 0, blocks * BLOCK + len(taps) - 1 - height))
    found = _band(taps, x.dtype).T @ x.unfold(-2, BLOCK + len(taps) - 1, BLOCK).transpose(-1, -2)
    return found.reshape(planes, blocks * BLOCK, width)[:, :wanted]


@functools.cache
def _function() -> Any:
    import torch

    class Separable(torch.autograd.Function):  # type: ignore[misc,unused-ignore]
        """The correlation and its gradient, which is the correlation of the padded gradient with the taps reversed."""

        @staticmethod
        def forward(context: Any, x: Tensor, rows: tuple[float, ...], columns: tuple[float, ...]) -> Tensor:
            context.taps = rows, columns
            return _along(_down(x, rows), columns)

        @staticmethod
        def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
            rows, columns = context.taps
            down, along = len(rows) - 1, len(columns) - 1
            padded = torch.nn.functional.pad(gradients[0], (along, along, down, down))
            return cast("Any", Separable).apply(padded, rows[::-1], columns[::-1]), None, None

    return Separable


def correlate(x: Tensor, rows: tuple[float, ...], columns: tuple[float, ...]) -> Tensor:
    """Correlation of planes (P, H, W) where the window fits; rows: taps down, columns: taps along."""
    return _function().apply(x, rows, columns)
