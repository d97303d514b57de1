"""Smaller and quicker files of a trained network, written only where they agree with people as well as it does."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from beholder.datasets.tables import Dataset
from beholder.datasets.tiles import decode
from beholder.errors import InputError, ModelError
from beholder.evaluation import agreement
from beholder.models.files import FORMAT, KEY, parse_header
from beholder.models.judging import Judge, probe
from beholder.models.runtime import optimise_graph, quantise_graph
from beholder.progress import Counter, quieted
from beholder.training.testing import judge_all

Kind = Literal["int8", "float16", "bfloat16"]
MOST_LOSS = 0.003
"""SRCC that a variant may lose."""
FLOAT_LAYERS = 3
"""First convolutions that stay in floats for each size that is looked at: what they lose, nothing behind restores."""
FEWEST = 20
"""Pictures that a comparison needs at least."""


@dataclass(frozen=True)
class Variant:
    """A variant that was written: its file, its SRCC and that of the network it was made of, on the same pictures."""

    model: Path
    srcc: float
    original: float
    bytes: int


def make_variant(
    model: str | Path,
    kind: Kind,
    data: Dataset,
    *,
    most_loss: float = MOST_LOSS,
    calibration: int = 64,
    float_layers: int = FLOAT_LAYERS,
    quiet: bool = False,
) -> Variant:
    """Write a variant of a trained network beside it, as `model.int8.onnx`, unless it loses too much.

    model: the .safetensors or .onnx file of a training. kind: 'int8' (convolutions in eight bits, calibrated on
    training pictures), or weights kept in 16 bits as 'float16' or 'bfloat16', which saves space, not time. data: with
    its splits: calibrated on "train", compared on "validation". most_loss: of SRCC. float_layers: first convolutions
    that stay in floats, for each size that the network looks at. Raises InputError for too few pictures, ModelError
    where the variant loses more; then nothing is written. Source of the quantisation: Jacob et al. 2018,
    doi:10.1109/CVPR.2018.00286.
    """
    if kind not in get_args(Kind):
        raise InputError(f"a variant is one of {', '.join(get_args(Kind))}, got {kind!r}")
    held, learned = data.of("validation"), data.of("train")
    if len(held) < FEWEST:
        raise InputError(f"a variant is compared on at least {FEWEST} validation pictures, got {len(held)}")
    judge = Judge(model)
    if judge.compares:
        raise InputError("variants are made of networks without a reference")
    graph = judge.path.read_bytes()
    if kind == "int8":
        step = max(1, len(learned) // max(calibration, 1))
        some = replace(learned, samples=learned.samples[::step][:calibration])
        made = quantise(graph, _feeds(judge, some, quiet=quiet), float_layers)
    else:
        made = store_half(graph, kind)
    known = np.array([s.mos for s in held])
    whole = _srcc(judge.path, held, known, quiet=quiet)
    if not np.isfinite(whole):
        raise InputError(f"{judge.path} says the same of all validation pictures, so that nothing can be compared")
    target = judge.path.with_name(f"{judge.path.stem}.{kind}.onnx")
    part = target.with_name(f"{target.stem}.part.onnx")
    try:
        part.write_bytes(sign_graph(made, {**judge.header, "variant": {"kind": kind}}))
        found = _srcc(part, held, known, quiet=quiet)
        if whole - found > most_loss:
            raise ModelError(
                f"{kind} loses {whole - found:.4f} of SRCC on {len(held)} validation pictures ({found:.4f} against "
                f"{whole:.4f}), more than {most_loss}; not written. Leave more layers in floats, or keep the original"
            )
        figures: dict[str, Any] = {"kind": kind, "srcc": found, "original_srcc": whole, "pictures": len(held)}
        if kind == "int8":
            figures["probe"] = Judge(part).judge(probe(), full_scale=255.0).value
        target.write_bytes(sign_graph(made, {**judge.header, "variant": figures}))
    finally:
        part.unlink(missing_ok=True)
    return Variant(target, found, whole, target.stat().st_size)


def _srcc(path: Path, data: Dataset, known: NDArray[np.float64], *, quiet: bool) -> float:
    said = np.array([v.value for v in judge_all(path, data, quiet=quiet)])
    return agreement(said, known)["srcc"]


def _feeds(judge: Judge, data: Dataset, *, quiet: bool) -> Iterator[dict[str, Any]]:
    viewing = bool(judge.header["config"]["input"]["viewing"])
    counter = Counter("calibrating", len(data), quiet=quiet)
    for sample in data:
        yield {"image": judge.prepare(decode(sample.image, viewing=viewing).transpose(2, 0, 1), 255.0)}
        counter.step()


def sign_graph(graph: bytes, header: Mapping[str, Any]) -> bytes:
    """The graph with its header in the metadata."""
    import onnx

    model = onnx.load_model_from_string(graph)
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps({**header, "format": FORMAT}, sort_keys=True)
    parse_header(entry.value, "the variant")
    return bytes(model.SerializeToString())


def store_half(graph: bytes, kind: Literal["float16", "bfloat16"], least: int = 8) -> bytes:
    """ONNX bytes whose weights of `least` or more numbers are kept in 16 bits and widened when the file is loaded."""
    import ml_dtypes
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    narrow = np.dtype(np.float16 if kind == "float16" else ml_dtypes.bfloat16)
    model = onnx.load_model_from_string(graph)
    casts = []
    for tensor in list(model.graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < least:
            continue
        values = numpy_helper.to_array(tensor)
        if not np.isfinite(values.astype(narrow).astype(np.float32)).all():
            raise ModelError(f"the weight {tensor.name} does not fit into {kind}; take bfloat16 or keep the original")
        half = numpy_helper.from_array(values.astype(narrow), f"{tensor.name}_half")
        casts.append(helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(half)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)
    return bytes(model.SerializeToString())


def quantise(graph: bytes | Path, feeds: Iterator[dict[str, Any]], float_layers: int = FLOAT_LAYERS) -> bytes:
    """ONNX bytes whose convolutions run in eight bits: weights by channel, activations by their range over `feeds`.

    graph: bytes, or the path of a graph whose weights stand in another file. float_layers: first convolutions that stay
    in floats, of every input of the chain of convolutions.
    """
    import onnx

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), quieted("root"):
        warnings.simplefilter("ignore")
        source, folded, out = (Path(folder) / name for name in ("source.onnx", "folded.onnx", "int8.onnx"))
        if isinstance(graph, bytes):
            source.write_bytes(graph)
        else:
            source = graph
        optimise_graph(source, folded)
        quantise_graph(folded, out, feeds, _first(onnx.load(str(folded)), float_layers))
        return _merged(onnx.load(str(out)))


def _merged(model: Any) -> bytes:
    """The graph with equal tensors stored once: folding makes a copy of a layer's weights for each of its uses."""
    first: dict[bytes, str] = {}
    names: dict[str, str] = {}
    for tensor in list(model.graph.initializer):
        name = tensor.name
        tensor.name = ""
        known = first.setdefault(tensor.SerializeToString(), name)
        tensor.name = name
        if known != name:
            names[name] = known
            model.graph.initializer.remove(tensor)
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
    return bytes(model.SerializeToString())


def _first(model: Any, layers: int) -> list[str]:
    """Names of the convolutions that have fewer than `layers` convolutions before them."""
    before: dict[str, int] = {}  # of a tensor: convolutions on the longest way to it
    names = []
    for node in model.graph.node:
        depth = max((before.get(name, 0) for name in node.input), default=0)
        if node.op_type == "Conv":
            if depth < layers:
                names.append(node.name)
            depth += 1
        for name in node.output:
            before[name] = depth
    return names
