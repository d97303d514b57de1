"""Model files: safetensors with a JSON header that says everything; ONNX graphs point into the same weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import MissingExtraError, ModelError

FORMAT = 1
DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8"}
"""NumPy's names of the types in safetensors files that Beholder writes."""
KEY = "beholder"
"""Where the header stands in the metadata of a file."""


def shipped(name: str) -> Path:
    """Path of a file that comes with the package, for example ``beholder.onnx``; ModelError when there is none."""
    path = Path(str(resources.files("beholder.models") / "weights" / name))
    if not path.is_file():
        raise ModelError(f"expected the shipped model file {name}, found none at {path}; reinstall beholder")
    return path


def parse_header(text: str | None, source: str) -> dict[str, Any]:
    """The header out of a file's metadata; ModelError when it is missing, damaged or of another format version."""
    if text is None:
        raise ModelError(f"{source} has no Beholder header; pass a model file that Beholder wrote")
    try:
        header = json.loads(text)
    except (ValueError, TypeError) as error:  # TypeError: metadata that is no text
        raise ModelError(f"the header of {source} is damaged ({error}); get the file anew") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        found = header.get("format") if isinstance(header, dict) else type(header).__name__
        raise ModelError(f"{source} has header format {found!r}, expected {FORMAT}; it was made by another version")
    return header


def read_header(path: str | Path) -> dict[str, Any]:
    """The JSON header of a safetensors model file, without reading its weights."""
    try:
        with Path(path).open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if not 2 <= size <= 100_000_000:
                raise ModelError(f"{path} is no safetensors file: its header claims {size} bytes")
            text = json.loads(file.read(size)).get("__metadata__", {}).get(KEY)
    except (OSError, ValueError, AttributeError) as error:  # AttributeError: JSON, but no table
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{path} cannot be read as a safetensors model file: {error}") from error
    return parse_header(text, str(path))


def save_model(path: str | Path, state: Mapping[str, Any], header: Mapping[str, Any], *, half: bool = True) -> None:
    """Write PyTorch tensors and their header into a safetensors file, floats as 16-bit unless `half` is False.

    state: name to tensor; header: JSON-able, gets ``format`` added. Source: safetensors 0.5, no pickle involved.
    """
    import torch
    from safetensors.torch import save

    kept = {
        k: v.detach().to(torch.float16 if half and v.is_floating_point() else v.dtype).clone().contiguous()
        for k, v in state.items()
    }
    # its own way of writing files leaves them to their owner alone, whatever the umask
    Path(path).write_bytes(save(kept, metadata={KEY: json.dumps({**header, "format": FORMAT}, sort_keys=True)}))


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """All tensors of a safetensors file as NumPy arrays, without PyTorch; ModelError for a damaged file."""
    try:
        raw = Path(path).read_bytes()
        start = 8 + int.from_bytes(raw[:8], "little")
        layout = json.loads(raw[8:start])
        layout.pop("__metadata__", None)
        return {
            name: np.frombuffer(
                raw[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]], DTYPES[entry["dtype"]]
            ).reshape(entry["shape"])
            for name, entry in layout.items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:  # AttributeError: no table
        raise ModelError(f"{path} cannot be read as a safetensors model file: {error}") from error


def load_model(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(header, state) of a safetensors model file; the state's floats are PyTorch float32 tensors.

    Raises ModelError for a damaged file, MissingExtraError without PyTorch.
    """
    header = read_header(path)
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingExtraError('loading weights into PyTorch needs: pip install "beholder[train]"') from error
    try:
        found = load_file(str(path))
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"the weights in {path} are damaged or cut off ({error}); get the file anew") from error
    return header, {k: v.float() if v.is_floating_point() else v for k, v in found.items()}
