"""Fitted parameters of metrics as files: safetensors with a JSON header, read and written with NumPy alone."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from beholder.errors import ModelError, OutputError
from beholder.models.files import FORMAT, KEY, read_header
from beholder.version import __version__

PARTS: Mapping[str, tuple[Mapping[str, tuple[int, ...]], tuple[str, ...]]] = {
    "niqe": ({"mean": (36,), "covariance": (36, 36)}, ("block",)),
    "brisque": ({"low": (36,), "high": (36,), "vectors": (-1, 36), "coefficients": (-1,)}, ("gamma", "rho")),
    "ilniqe": ({"centre": (468,), "vectors": (468, -1), "mean": (-1,)}, ()),
}
"""What a file holds by the metric that its header names: arrays with their shapes (-1 for any length), and facts."""
KINDS = {"F32": "<f4", "F64": "<f8"}
"""Element types of a parameter file, in the words of safetensors and of NumPy."""


@dataclass(frozen=True, eq=False)
class Parameters:
    """What a metric learnt: arrays by name, and a header that says from what, and how.

    header: ``metric`` (its name), ``source``, ``licence``, and what the metric needs to know; JSON-able. arrays: name
    to NumPy array.
    """

    header: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray[Any, Any]] = field(repr=False)

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        return self.arrays[name]

    @functools.cached_property
    def digest(self) -> str:
        """The SHA-256 of the arrays, in hexadecimal."""
        found = hashlib.sha256()
        for name in sorted(self.arrays):
            found.update(name.encode() + np.ascontiguousarray(self.arrays[name], "<f8").tobytes())
        return found.hexdigest()

    def save(self, path: str | Path) -> None:
        """Write a safetensors file, which `model=` of the metric takes; OutputError where it cannot be written."""
        if Path(path).suffix.lower() != ".safetensors":
            raise OutputError(
                f"a fitted model is a safetensors file, got the name {str(path)!r}; end it in .safetensors"
            )
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
        try:
            Path(path).write_bytes(len(head).to_bytes(8, "little") + head + b"".join(parts))
        except OSError as error:
            raise OutputError(f"cannot write {str(path)!r}: {error.strerror}; choose another place") from error


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
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is damaged ({error}); get the file anew") from error
    if not all(np.isfinite(a).all() for a in arrays.values()):
        raise ModelError(f"{path} holds values that are not finite; fit the model anew")
    found = Parameters(header, arrays)
    _check_parts(found, metric, str(path))
    return found


def _check_parts(found: Parameters, metric: str, source: str) -> None:
    """Raise ModelError where something is missing or of another shape."""
    arrays, facts = PARTS.get(metric, ({}, ()))
    wrong = [name for name in facts if name not in found.header]
    for name, shape in arrays.items():
        have = found.arrays[name].shape if name in found.arrays else ()
        if len(have) != len(shape) or any(n not in (-1, m) for n, m in zip(shape, have, strict=True)):
            wrong.append(name)
    if wrong:
        raise ModelError(f"{source} is no model for {metric}: {wrong[0]} is missing or of another shape; fit one anew")


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
    if not (path.endswith(".mat") and metric in ("niqe", "ilniqe")):
        return load_parameters(path, metric)
    found = read_mat(path, metric)
    _check_parts(found, metric, path)
    return found


def prepare_model(metric: str, *, model: Any = None, **_: Any) -> None:
    """Load what a metric's `model=` names, so that a file that does not fit is told before the first picture."""
    if model is not None:
        parameters_of(model, metric)


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
        raise ModelError(
            f"{metric}: the model file {model} cannot be read: {error.strerror}; check the path"
        ) from error
    return _kept(str(model), changed, metric)
