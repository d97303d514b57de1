"""The processes of one training: which one this is, and what they tell each other.

In a training of one process all of this is at hand, and does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

PATIENCE = timedelta(days=2)
"""How long one process waits for another: one that has ended is noticed at once, by the one that began them."""
_talk: Any = None
"""The group in which processes talk, on the CPU: gradients have the other one for themselves."""


def rank() -> int:
    """Which process of the training this is; 0 is the one that writes."""
    return distributed.get_rank() if _several() else 0


def size() -> int:
    """Processes of the training."""
    return distributed.get_world_size() if _several() else 1


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def join(meeting: Path, number: int, count: int, gpu: int | None) -> None:
    """Become one of several processes, which meet at a file; gpu: the number of this one's, None for the CPU."""
    global _talk  # a process is in one training
    store = distributed.FileStore(str(meeting), count)  # type: ignore[attr-defined]  # where it is built in
    how: dict[str, Any] = {} if gpu is None else {"device_id": torch.device("cuda", gpu)}
    backend = "gloo" if gpu is None else "nccl"
    distributed.init_process_group(backend, store=store, rank=number, world_size=count, timeout=PATIENCE, **how)
    _talk = distributed.new_group(backend="gloo", timeout=PATIENCE)


def part() -> None:
    """Be a process of its own again."""
    global _talk
    _talk = None
    if _several():
        distributed.destroy_process_group()


def any_of(*here: bool) -> tuple[bool, ...]:
    """For each question, whether any process says yes: all take the same way from here."""
    if not _several():
        return here
    said = torch.tensor(here, dtype=torch.int32)
    distributed.all_reduce(said, distributed.ReduceOp.MAX, group=_talk)
    return tuple(bool(answer) for answer in said)


def gather(value: Any) -> list[Any]:
    """What every process has, in their order, in all of them."""
    if not _several():
        return [value]
    found: list[Any] = [None] * size()
    distributed.all_gather_object(found, value, group=_talk)
    return found


def spread(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors with those of the first process."""
    if not _several():
        return
    kinds: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault(tensor.dtype, []).append(tensor)
    for each in kinds.values():  # a message for all of a kind
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in each])
        distributed.broadcast(flat, 0)
        for tensor, values in zip(each, torch.split(flat, [tensor.numel() for tensor in each]), strict=True):
            tensor.detach().copy_(values.view_as(tensor))


def wait() -> None:
    """Wait until all processes are here."""
    if _several():
        distributed.barrier(group=_talk)
