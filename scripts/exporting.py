"""What the scripts that make the shipped models share: ONNX graphs whose weights stand in a safetensors file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto
from torch import Tensor

from beholder.models.assessors.networks import OPSET
from beholder.training.variants import store_half

WEIGHTS = Path("src/beholder/models/weights")
"""Where the shipped files are."""


def round_to_half(module: torch.nn.Module) -> None:
    """Round all floats to what 16 bits hold, so that the weights and the graph mean the same numbers."""
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(tensor.half().float())


def export(module: torch.nn.Module, inputs: dict[str, Tensor], outputs: list[str], dynamic: dict[str, Any]) -> bytes:
    """ONNX bytes of a module, weights stored as 16-bit floats and widened when the file is loaded."""
    program = torch.onnx.export(
        module.eval(),
        tuple(inputs.values()),
        input_names=list(inputs),
        output_names=outputs,
        dynamic_shapes=tuple(dynamic[k] for k in inputs),
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    if program is None:
        raise SystemExit("the exporter gave no graph")
    model = onnx.load_model_from_string(store_half(program.model_proto.SerializeToString(), "float16"))
    for node in model.graph.node:  # the exporter's notes on source lines say nothing to a user and double the file
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:], model.metadata_props[:]
    found: bytes = model.SerializeToString()
    return found


def share(data: bytes, weights: Path) -> bytes:
    """Let a graph's tensors point into the safetensors file that holds the same bytes, so that they are stored once."""
    model = onnx.load_model_from_string(data)
    raw = weights.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    layout = json.loads(raw[8:start])
    places = {}
    for name, entry in layout.items():
        if name != "__metadata__":
            first, last = (start + offset for offset in entry["data_offsets"])
            places[raw[first:last]] = (first, last - first)
    for tensor in model.graph.initializer:
        place = places.get(tensor.raw_data)
        if place is None or len(tensor.raw_data) < 64:
            continue
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in zip(("location", "offset", "length"), (weights.name, *place), strict=True):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, str(value)
    found: bytes = model.SerializeToString()
    return found
