"""Networks whose weights the user brings: which file is meant, how it is read; nothing is ever downloaded."""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beholder.errors import InputError, MissingExtraError, ModelError


@dataclass(frozen=True, slots=True)
class Backbone:
    """A published network: the file that holds its weights, how that file's SHA-256 begins, and who keeps it where."""

    name: str
    file: str
    sha256: str
    home: str


TORCHVISION = "torchvision keeps it in ~/.cache/torch/hub/checkpoints"
BACKBONES = {
    b.name: b
    for b in (
        Backbone("alexnet", "alexnet-owt-7be5be79.pth", "7be5be79", TORCHVISION),
        Backbone("vgg16", "vgg16-397923af.pth", "397923af", TORCHVISION),
        Backbone("squeezenet1_1", "squeezenet1_1-b8a52dc0.pth", "b8a52dc0", TORCHVISION),
        Backbone(
            "inception_fid",
            "pt_inception-2015-12-05-6726825d.pth",
            "6726825d",
            "pytorch-fid's releases have it, and it keeps it in ~/.cache/torch/hub/checkpoints",
        ),
    )
}


def check_weights(path: Any, backbone: str, asker: str) -> Path:
    """The path of a backbone's weights; InputError that says which file is wanted where there is none."""
    b = BACKBONES[backbone]
    wanted = (
        f"the weights of {b.name}: {b.file}, whose SHA-256 begins with {b.sha256}, or the same as safetensors; {b.home}"
    )
    if path is None:
        raise InputError(f"{asker} needs weights=PATH (on the command line --weights {asker}=PATH), {wanted}")
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"{asker} takes weights as a path, got {type(path).__name__}; pass {wanted}")
    found = Path(path)
    if not found.is_file():
        raise InputError(f"{asker} finds no weights at {str(found)!r}; pass {wanted}")
    return found


def is_published(digest: str, backbone: str) -> bool:
    """Whether weights with this SHA-256, or its beginning, are the published file's; another format has another one."""
    return digest.startswith(BACKBONES[backbone].sha256)


def weights_digest(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, in hexadecimal; worked out once for each state of the file."""
    stat = Path(path).stat()
    return _digest(str(path), stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=32)
def _digest(path: str, _changed: int, _size: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_state(path: Path) -> dict[str, Any]:
    """Name to PyTorch tensor, out of a .pth file (no code in it is run) or a safetensors file.

    Raises ModelError for what is neither, MissingExtraError without PyTorch.
    """
    try:
        import torch
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingExtraError('reading weights needs PyTorch: pip install "beholder[train]"') from error
    try:
        if path.suffix == ".safetensors":
            state: Any = load_file(str(path))
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged file raises has no base class of its own
        # the libraries' own texts run over many lines, and advise to run whatever code the file holds
        told = "a damaged file or another kind, or Python objects in it, which are never loaded"
        if isinstance(error, OSError) and error.strerror:
            told = error.strerror.lower()
        raise ModelError(
            f"{path} cannot be read as weights: expected a table of tensors as PyTorch or safetensors writes it, "
            f"got {told}; get the file anew"
        ) from error
    if not isinstance(state, dict) or not all(torch.is_tensor(v) for v in state.values()):
        raise ModelError(f"{path} holds no table of tensors; pass a state dictionary as torchvision publishes it")
    return state
