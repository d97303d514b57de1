"""Fused kernels under PyTorch: values and gradients of float32 tensors on the CPU, as an autograd function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.arrays import Array, is_torch

TensorKernel = Callable[..., float | None]
"""``kernel(image, reference, gradients, *, threads, **settings)``: one pair of C-contiguous float32 arrays (C, H, W) in
[0, 1]; gradients: two float32 arrays of the same shape to be filled with the derivative of the value by each picture,
None for those that are not wanted. Returns the value, None for settings that it does not know. One whose card says
`any_order` gets the arrays, gradients among them, in the order of memory that the tensors have."""
Definition = Callable[[Array, Array], Array]


def by_kernel(
    kernel: TensorKernel, definition: Definition, image: Array, reference: Array, threads: int | None,
    *, any_order: bool = False, **settings: Any,
) -> Array | None:  # fmt: skip
    """The values (N,) of float32 tensors, differentiable, by a fused kernel; None where the kernel cannot serve.

    definition: what the kernel stands for; it takes over where gradients of gradients are asked for. any_order: as the
    card says.
    """
    if not (plain(image) and plain(reference)):
        return None
    import torch

    if not any_order:
        kernel = functools.partial(in_order, kernel)
    if not (torch.is_grad_enabled() and (image.requires_grad or reference.requires_grad)):
        threads = threads or torch.get_num_threads()
        found = _run(kernel, (image, reference), (False, False), threads, settings)
        return None if found is None else found[0]
    values: Array | None = _function().apply(
        image, reference, (kernel, definition, threads or torch.get_num_threads(), settings)
    )
    return values


def plain(array: Array) -> bool:
    """Whether this is an ordinary float32 tensor in memory, not one that stands for others or is being recorded."""
    if not is_torch(array):
        return False
    import torch
    from torch.autograd import forward_ad

    if array.dtype != torch.float32 or array.device.type != "cpu" or array.layout != torch.strided:
        return False
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined,no-untyped-call,unused-ignore]
        return False
    if forward_ad.unpack_dual(array).tangent is not None:  # type: ignore[no-untyped-call,unused-ignore]
        return False
    try:
        array.detach().numpy()
    except (RuntimeError, TypeError):  # under vmap, or a subclass without memory of its own
        return False
    return True


def _run(
    kernel: TensorKernel, pair: tuple[Array, Array], wants: tuple[bool, bool], threads: int, settings: dict[str, Any]
) -> tuple[Array, list[Array | None]] | None:
    """Values and the gradients that are wanted, None where the kernel does not know the settings."""
    import torch

    pictures = [a.detach() for a in pair]
    gradients = [torch.empty_like(a) if wanted else None for a, wanted in zip(pictures, wants, strict=True)]
    arrays, slopes = [a.numpy() for a in pictures], [None if g is None else g.numpy() for g in gradients]
    values = np.empty(len(arrays[0]), np.float32)
    for i, (x, y) in enumerate(zip(*arrays, strict=True)):
        value = kernel(x, y, tuple(None if g is None else g[i] for g in slopes), threads=threads, **settings)
        if value is None:
            return None
        values[i] = value
    return torch.from_numpy(values), gradients


def in_order(
    kernel: TensorKernel, image: Any, reference: Any, gradients: Any, *, threads: int, **settings: Any
) -> float | None:
    """What a kernel for C-contiguous arrays makes of arrays in any order of memory."""
    slopes = tuple(g if g is None or g.flags.c_contiguous else np.empty(g.shape, np.float32) for g in gradients)
    pair = (_contiguous(a, threads) for a in (image, reference))
    value = kernel(*pair, slopes, threads=threads, **settings)
    for gradient, slope in zip(gradients, slopes, strict=True):
        if slope is not gradient:
            _copy(slope, gradient, threads)
    return value


def _interleaved(array: Any) -> bool:
    """Whether the three values of a pixel lie side by side in a picture (C, H, W)."""
    return len(array) == 3 and bool(array.transpose(1, 2, 0).flags.c_contiguous)


def _contiguous(array: Any, threads: int) -> Any:
    if array.flags.c_contiguous or not _interleaved(array):
        return np.ascontiguousarray(array)
    from beholder.kernels import planes

    return planes.separate(array.transpose(1, 2, 0), threads=threads)


def _copy(source: Any, target: Any, threads: int) -> None:
    if not _interleaved(target):
        target[...] = source
        return
    from beholder.kernels import planes

    planes.interleave(source, target.transpose(1, 2, 0), threads=threads)


@functools.cache
def _function() -> Any:
    import torch

    class Kernel(torch.autograd.Function):  # type: ignore[misc,unused-ignore]
        @staticmethod
        def forward(ctx: Any, image: Array, reference: Array, job: Any) -> Array | None:
            kernel, _, threads, settings = ctx.job = job
            ctx.save_for_backward(image, reference)
            found = _run(kernel, (image, reference), ctx.needs_input_grad[:2], threads, settings)
            if found is None:
                return None
            ctx.gradients = found[1]
            return found[0]

        @staticmethod
        def backward(ctx: Any, outer: Array) -> tuple[Array | None, Array | None, None]:
            kernel, definition, threads, settings = ctx.job
            pair, wants = ctx.saved_tensors, ctx.needs_input_grad[:2]
            if torch.is_grad_enabled():  # with create_graph=True
                wanted = [a for a, w in zip(pair, wants, strict=True) if w]
                found = iter(torch.autograd.grad(definition(*pair), wanted, outer, create_graph=True))
                image, reference = (next(found) if w else None for w in wants)
                return image, reference, None
            gradients, ctx.gradients = ctx.gradients, None  # the second time they are worked out again
            if gradients is None:
                gradients = _run(kernel, pair, wants, threads, settings)[1]  # type: ignore[index]
            if not bool((outer == 1).all()):
                for gradient in gradients:
                    if gradient is not None:
                        gradient.mul_(outer.reshape(-1, 1, 1, 1))
            return *gradients, None

    return Kernel
