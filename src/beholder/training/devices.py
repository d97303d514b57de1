"""What `run.devices` asks for: on which processors, and how many processes, a training runs."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from beholder.errors import InputError

FORM = re.compile(r"auto|cpu(:[1-9]\d?)?|[1-9]\d?|\d{1,4},|\d{1,4}(,\d{1,4})+", re.ASCII)


class Devices(NamedTuple):
    """kind: "auto" is a GPU or else the CPU; size: how many processes; numbers: of their GPUs."""

    kind: Literal["auto", "cpu", "gpu"]
    size: int
    numbers: tuple[int, ...] = ()


def parse_devices(name: str) -> Devices:
    """The devices that `run.devices` names; InputError for what names none."""
    if not FORM.fullmatch(name):
        raise InputError(
            "run.devices must be 'auto', 'cpu', a number of GPUs such as '1' or '2', GPUs' numbers such as '0,' or "
            f"'0,1', or processes on the CPU such as 'cpu:2', got {name!r}"
        )
    if name == "auto" or name == "1":
        return Devices("auto", 1)
    if name.startswith("cpu"):
        return Devices("cpu", int(name.partition(":")[2] or 1))
    if "," not in name:
        return Devices("gpu", int(name), tuple(range(int(name))))
    numbers = tuple(int(number) for number in name.split(",") if number)
    if len(set(numbers)) < len(numbers):
        raise InputError(f"run.devices = {name!r} names a GPU twice; each takes one process")
    return Devices("gpu", len(numbers), numbers)


def find_devices(name: str) -> Devices:
    """As `parse_devices`; InputError also for GPUs that are not there."""
    found = parse_devices(name)
    if not found.numbers:
        return found
    import torch

    there = torch.cuda.device_count()
    if max(found.numbers) < there:
        return found
    if "," not in name:
        raise InputError(
            f"run.devices = {name!r} asks for {found.size} GPUs, and there are {there}; ask for fewer, or for "
            f"processes on the CPU: 'cpu:{name}'"
        )
    raise InputError(
        f"run.devices = {name!r} asks for GPU {max(found.numbers)}, and there are {there}; count from 0, or 'auto'"
    )
