"""Fitted parameters of metrics as files: safetensors with a JSON header, read and written with NumPy alone."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from beholder.errors import ModelError
from beholder.models.files import FORMAT, KEY, read_header
from beholder.version import __version__

KINDS = {"F32": "<f4", "F64": "<f8"}
"""Element types of a parameter file, in the words of safetensors and of NumPy."""


@dataclass(frozen=True)
class Parameters:
    """What a metric learnt: arrays by name, and a header that says from what, and how.

    header: ``metric`` (its name), ``source``, ``licence``, and what the metric needs to know; JSON-able. arrays: name
    to NumPy array.
    """

    header: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray[Any, Any]] = field(repr=False)

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        return self.arrays[name]

    def save(self, path: str | Path) -> None:
        """Write a safetensors file, which `model=` of the metric takes; OSError where it cannot be written."""
        table: dict[str, Any] = {
            "__metadata__": {KEY: json.dumps({**self.header, "format": FORMAT, "version": __version__}, sort_keys=True)}
        }
        parts, place = [], 0
        for name in sorted(self.arrays):
            array = np.ascontiguousarray(self.arrays[name])
            kind = next((k for k, v in KINDS.items() if array.dtype == np.dtype(v)), "F64")
            data = array.astype(KINDS[kind]).tobytes()
            table[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [place, place + len(data)]}
            parts.append(data)
            place += len(data)
        head = json.dumps(table, sort_keys=True).encode()
        head += b" " * (-len(head) % 8)
        Path(path).write_bytes(len(head).to_bytes(8, "little") + head + b"".join(parts))


def load_parameters(path: str | Path, metric: str) -> Parameters:
    """The parameters of a metric out of a file that `Parameters.save` wrote, in double precision.

    Raises ModelError for a file that cannot be read, is damaged, or belongs to another metric.
    """
    header = read_header(path)
    if header.get("metric") != metric:
        raise ModelError(f"{path} holds a model for {header.get('metric')!r}, {metric} needs one of its own; fit one")
    content = Path(path).read_bytes()
    size = int.from_bytes(content[:8], "little")
    arrays = {}
    try:
        for name, entry in json.loads(content[8 : 8 + size]).items():
            if name == "__metadata__":
                continue
            first, last = (8 + size + offset for offset in entry["data_offsets"])
            values = np.frombuffer(content[first:last], KINDS[entry["dtype"]])
            arrays[name] = values.reshape(entry["shape"]).astype(np.float64)
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path} is damaged ({error}); get the file anew") from error
    if not all(np.isfinite(a).all() for a in arrays.values()):
        raise ModelError(f"{path} holds values that are not finite; fit the model anew")
    return Parameters(header, arrays)


def _shipped(name: str) -> Path:
    return Path(str(resources.files("beholder.metrics") / "parameters" / f"{name}.safetensors"))


@functools.lru_cache(maxsize=32)
def shipped_parameters(name: str, metric: str) -> Parameters:
    """Parameters that come with the package, for example ``live`` for ``niqe``."""
    return load_parameters(_shipped(f"{metric}-{name}"), metric)


def read_mat(path: str, metric: str) -> Parameters:
    """The parameters out of a MATLAB file of the authors: modelparameters.mat of NIQE, templateModel.mat of IL-NIQE.

    Raises ModelError for a file without them.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(path)
        if metric == "niqe":
            mean, covariance = content["mu_prisparam"].ravel(), content["cov_prisparam"]
            return Parameters({"metric": metric, "block": 96}, {"mean": mean, "covariance": covariance})
        mean, covariance, centre, vectors = content["templateModel"][0]
    except (KeyError, ValueError, TypeError, NotImplementedError, MatReadError) as error:
        raise ModelError(
            f"{path} holds no model for {metric} ({error}); pass the file that its authors gave"
        ) from error
    arrays = {"mean": mean.ravel(), "covariance": covariance, "centre": centre.ravel(), "vectors": vectors}
    return Parameters({"metric": metric}, arrays)


@functools.lru_cache(maxsize=32)
def _kept(path: str, _changed: int, metric: str) -> Parameters:
    mat = path.endswith(".mat") and metric in ("niqe", "ilniqe")
    return read_mat(path, metric) if mat else load_parameters(path, metric)


def parameters_of(model: Any, metric: str) -> Parameters:
    """The parameters that a metric's `model=` means: shipped ones by name, a file by its path, or `Parameters`.

    Raises ModelError for anything else, and as `load_parameters`.
    """
    if isinstance(model, Parameters):
        if model.header.get("metric") != metric:
            raise ModelError(f"{metric} got parameters for {model.header.get('metric')!r}; fit some for {metric}")
        return model
    if isinstance(model, str) and model.isidentifier():
        if not _shipped(f"{metric}-{model}").is_file():
            raise ModelError(f"{metric} knows no model {model!r}; pass the path of a .safetensors file, or fit one")
        return shipped_parameters(model, metric)
    if not isinstance(model, str | Path):
        raise ModelError(f"{metric} takes a model as a path or as fitted parameters, got {type(model).__name__}")
    try:
        changed = Path(model).stat().st_mtime_ns
    except OSError as error:
        raise ModelError(f"{metric}: the model file {model} cannot be read: {error}") from error
    return _kept(str(model), changed, metric)
