"""Trained quality networks as files: safetensors with the header, and the ONNX twin that scoring runs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from beholder.errors import ModelError
from beholder.models.assessors.architectures import Judgement, build, find_architecture
from beholder.models.assessors.domain import Domain
from beholder.models.assessors.efficientnet import SameConv
from beholder.models.assessors.ensembles import Ensemble
from beholder.models.files import FORMAT, KEY, load_model, save_model
from beholder.progress import quieted

OUTPUTS = ("score", "spread", "map", "type", "severity")
"""What an ONNX twin gives of a judgement, in this order, and behind them the distance."""


class Deployed(nn.Module):
    """A network as it is used: score within 0-100, probabilities of types, distance from the training pictures.

    Called as the network, it gives a tuple of tensors in the order of `outputs`.
    """

    def __init__(self, network: nn.Module, domain: Domain | None) -> None:
        super().__init__()
        self.network, self.domain = network, domain
        self.outputs: tuple[str, ...] = ()

    def forward(self, image: Tensor, reference: Tensor | None = None) -> tuple[Tensor, ...]:
        """The parts of the judgement that there are, and the distance where the domain is known."""
        judged: Judgement = self.network(image) if reference is None else self.network(image, reference)
        parts = judged.parts()
        parts["score"] = parts["score"].clamp(0, 100)
        if "type" in parts:
            parts["type"] = parts["type"].softmax(dim=1)
        found = {name: parts[name] for name in OUTPUTS if name in parts}
        if self.domain is not None and judged.features is not None:
            found["distance"] = self.domain(judged.features)
        self.outputs = tuple(found)
        return tuple(found.values())


def make_network(model: Mapping[str, Any], dropout: float = -1.0, stochastic_depth: float = 0.0) -> nn.Module:
    """The network of a configuration's section [model], weights fresh (a body's are ImageNet's where it says so)."""
    card = find_architecture(model["architecture"])
    settings = dict(model["settings"])
    asked = {"dropout": None if dropout < 0 else dropout, "stochastic_depth": stochastic_depth or None}
    settings |= {name: value for name, value in asked.items() if value is not None and name in card.settings}
    if card.bodies:
        if model["body"]:
            settings["body"] = model["body"]
        if model["body_settings"]:
            settings["body_settings"] = dict(model["body_settings"])
        settings["weights"] = model["weights"] if model["weights"] in ("imagenet", "none") else "none"
    return build(card.name, settings)


def fold_norms(network: nn.Module) -> None:
    """Work the batch normalisations of EfficientNet bodies into their convolutions: fewer numbers, the same values."""
    for module in network.modules():
        if isinstance(module, SameConv):
            module.fold()


def is_folded(network: nn.Module) -> bool:
    """Whether `fold_norms` has been at it."""
    return any(isinstance(m, SameConv) and isinstance(m.bn, nn.Identity) for m in network.modules())


def save_network(
    path: Path, network: nn.Module, header: Mapping[str, Any], domain: Domain | None = None, *, half: bool = False
) -> None:
    """Write `path`.safetensors and its ONNX twin `path`.onnx.

    header: JSON-able, at least `name`, `config` and `reference`; half: store floats as 16-bit, after rounding the
    network itself, so that both files mean the same numbers.
    """
    deployed = Deployed(network.eval().cpu(), domain).eval()
    if half:
        with torch.no_grad():
            for tensor in [*deployed.parameters(), *deployed.buffers()]:
                if tensor.is_floating_point():
                    tensor.copy_(tensor.half().float())
    header = {**header, "folded": is_folded(network)}
    save_model(path.with_suffix(".safetensors"), deployed.state_dict(), header, half=half)
    path.with_suffix(".onnx").write_bytes(export_network(deployed, header))


OPSET = 18
"""Of ONNX: ONNX Runtime has no quick code for AveragePool of version 19, several times slower."""


def export_network(deployed: Deployed, header: Mapping[str, Any]) -> bytes:
    """ONNX bytes of a deployed network: any number and size of pictures; the header stands in its metadata."""
    height = max(int(header["min_size"]), 64)
    pictures = torch.rand(2, 2, 3, height, height + 32)
    given = tuple(pictures) if header["reference"] else (pictures[0],)
    deployed(*given)  # to know what it gives
    free = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    with quieted("torch.onnx"), warnings.catch_warnings():  # of packages that an export does not need, and of itself
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            deployed,
            given,
            input_names=["image", "reference"][: len(given)],
            output_names=list(deployed.outputs),
            dynamic_shapes=tuple(free for _ in given),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise ModelError("the network cannot be written as ONNX: the exporter gave nothing")
    model = program.model_proto
    for node in model.graph.node:  # the exporter's notes on source lines say nothing to a user
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:], model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps({**header, "format": FORMAT}, sort_keys=True)
    return bytes(model.SerializeToString())


def is_code(body: str) -> bool:
    """Whether a body's name is that of a callable, which may do anything, and not of a feature extractor of ours."""
    return "." in body


def load_network(path: str | Path, *, trust: bool = False) -> tuple[Deployed, dict[str, Any]]:
    """A trained network for PyTorch, as it is used, and its header.

    trust: whether a body by dotted name, which the file names and which is code to be called, may be. Raises ModelError
    where the file does not fit, or where it asks for such a body and is not trusted.
    """
    header, state = load_model(path)
    if "config" not in header:
        raise ModelError(f"{path} was not written by `beholder train`; its header has no configuration")
    section = {**header["config"]["model"], "weights": "none"}
    if is_code(section["body"]) and not trust:
        raise ModelError(
            f"{path} asks to call {section['body']!r} with {section['body_settings']} for its body, which runs code; "
            "pass trust=True if you trust the file"
        )
    members = [make_network(section) for _ in range(section["members"])]
    network = members[0] if len(members) == 1 else Ensemble(members)
    if header.get("folded"):
        fold_norms(network)
    domain = None
    kept = {k.removeprefix("domain."): v for k, v in state.items() if k.startswith("domain.")}
    if kept:
        domain = Domain(kept)
    deployed = Deployed(network, domain)
    try:
        deployed.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"the weights in {path} do not fit its architecture {section['architecture']}") from error
    return deployed.eval().requires_grad_(False), header
