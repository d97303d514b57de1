"""Scoring with any trained file of ours: `Judge` runs the ONNX twin with the header that it carries."""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import InputError, MissingExtraError, ModelError, SizeError
from beholder.models.files import KEY, parse_header, shipped
from beholder.models.runtime import ASSESSORS, mirror_to, open_graph, reduce_to_view
from beholder.models.viewing import LEAST, min_side_of

Samples = NDArray[Any]
ENGINES = ("onnxruntime", "openvino")
SHIPPED = {"beholder-int8": "beholder.int8.onnx"}
"""Model files that come with the package, by the name that may stand for their path."""
MOST_APART = 1.0
"""Points by which a processor may judge `probe` otherwise than that on which an int8 file was made."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a trained network says of one picture.

    value: 0-100; low, high: the conformal interval, None where the file has none; spread: the standard deviation that
    the network states, in points; distance: from the training pictures, above 1 is foreign; map: local quality 0-100,
    (h, w); type: probabilities by distortion; severity: 0-1. None where the network has no such head.
    """

    value: float
    low: float | None
    high: float | None
    spread: float | None = None
    distance: float | None = None
    map: NDArray[np.float32] | None = None
    type: dict[str, float] | None = None
    severity: float | None = None

    @property
    def in_domain(self) -> bool:
        """Whether the picture is like those that the network has learned from."""
        return self.distance is None or self.distance <= 1


class Judge:
    """A trained network, run without PyTorch; thread-safe.

    path: the .onnx file, the .safetensors file beside it, the folder of a run, or a name in `SHIPPED`. engine:
    "onnxruntime", or "openvino" where that is installed. threads: how many one picture may use. Raises ModelError for
    missing or damaged files, and where this processor's eight-bit arithmetic gives other scores than an int8 file was
    tested with; MissingExtraError, InputError for another engine.
    """

    def __init__(self, path: str | Path, *, threads: int = 1, engine: str = "onnxruntime") -> None:
        self.path = _graph_of(Path(path))
        if engine not in ENGINES:
            raise InputError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
        session = open_graph(self.path, threads)
        self.header = parse_header(session.get_modelmeta().custom_metadata_map.get(KEY), str(self.path))
        self.outputs = [o.name for o in session.get_outputs()]
        self._run = _by_openvino(self.path, threads) if engine == "openvino" else functools.partial(_run, session)
        self.compares: bool = self.header["reference"]
        self.least = LEAST if "size_rule" in self.header else 1
        variant = self.header.get("variant", {})
        kind = variant.get("kind")
        self.name: str = re.sub(r"[^\w.-]+", "_", self.header["name"]) + (f"-{kind}" if kind else "")
        if "probe" in variant:
            self._compare(float(variant["probe"]))

    @property
    def weights(self) -> str:
        """The first twelve hexadecimal digits of the SHA-256 of the file."""
        return _digest(self.path, self.path.stat().st_mtime_ns)

    def _compare(self, told: float) -> None:
        """Some processors cut off sums of eight-bit products, which nothing but the scores shows."""
        found = self.judge(probe(), full_scale=255.0).value
        if abs(found - told) > MOST_APART:
            raise ModelError(
                f"{self.path.name} gives {found:.2f} for its test picture here, and {told:.2f} where it was made: this "
                "processor adds eight-bit products otherwise; use the model in floats"
            )

    def judge(self, image: Samples, reference: Samples | None = None, *, full_scale: float = 1.0) -> Verdict:
        """Judge one picture.

        image, reference: (C, H, W) sRGB, C 1 or 3, in [0, full_scale]; a reference of the same size only for networks
        that compare. Prepared as the network's configuration says. Raises InputError, SizeError.
        """
        if (reference is not None) != self.compares:
            wants = "an image and its reference" if self.compares else "an image alone"
            raise InputError(f"{self.name} takes {wants}")
        if reference is not None and reference.shape != image.shape:
            raise SizeError(f"{self.name} compares pictures of one size, got {image.shape} and {reference.shape}")
        given = {"image": self.prepare(image, full_scale)}
        if reference is not None:
            given["reference"] = self.prepare(reference, full_scale)
        return self._verdict(dict(zip(self.outputs, self._run(given), strict=True)))

    def prepare(self, image: Samples, full_scale: float) -> Samples:
        """A picture (C, H, W) in [0, full_scale] as the graph takes it: (1, 3, h, w) in [0, 1]."""
        part = self.header["config"]["input"]
        if min(image.shape[1:]) < self.least:
            size = f"{image.shape[1]}x{image.shape[2]}"
            raise SizeError(f"{self.name} needs at least {self.least}x{self.least} pixels, got {size}")
        if part["viewing"]:
            seen = reduce_to_view(image, full_scale)
        else:
            seen = np.divide(image, full_scale, dtype=np.float32, casting="unsafe")
        if part["resize"]:
            seen = _shorter_to(seen, part["resize"])
        seen = mirror_to(seen, min_side_of(self.header))
        return np.ascontiguousarray(np.broadcast_to(seen, (3, *seen.shape[1:]))[None])

    def _verdict(self, found: dict[str, Any]) -> Verdict:
        value = float(np.clip(found["score"][0], 0, 100))
        interval = self.header.get("interval")
        half = float(np.interp(value, interval["knots"], interval["half_widths"])) if interval else None
        kinds = self.header.get("types") or []
        return Verdict(
            value,
            None if half is None else max(value - half, 0.0),
            None if half is None else min(value + half, 100.0),
            spread=float(found["spread"][0]) if "spread" in found else None,
            distance=float(found["distance"][0]) if "distance" in found else None,
            map=found["map"][0, 0] if "map" in found else None,
            type=dict(zip(kinds, map(float, found["type"][0]), strict=True)) if "type" in found and kinds else None,
            severity=float(found["severity"][0]) if "severity" in found else None,
        )


def probe() -> NDArray[np.uint8]:
    """The picture (3, 192, 256) that an int8 file is tested with when it is loaded: ramps, waves of any size, noise."""
    y, x = np.mgrid[:192, :256].astype(np.float64)
    waves = 60 * np.sin(x * y / 400) + 0.2 * x
    noise = np.random.Generator(np.random.PCG64(0)).integers(-20, 21, (3, 192, 256))
    return np.asarray(np.clip(np.stack([90 + waves, 0.5 * y + waves, 150 - waves]) + noise, 0, 255), np.uint8)


def _run(session: Any, given: dict[str, Samples]) -> list[Any]:
    found: list[Any] = session.run(None, given)
    return found


def _by_openvino(path: Path, threads: int) -> Any:
    try:
        import openvino  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise MissingExtraError("engine='openvino' needs: pip install openvino") from error
    core = openvino.Core()
    compiled = core.compile_model(
        str(path), "CPU", {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    )

    def run(given: dict[str, Samples]) -> list[Any]:
        found = compiled.create_infer_request().infer(given)
        return [found[output] for output in compiled.outputs]

    return run


def _shorter_to(image: Samples, side: int) -> Samples:
    """Resized, antialiased bicubic, so that the shorter side has so many pixels; (C, H, W)."""
    from PIL import Image

    height, width = image.shape[1:]
    share = side / min(height, width)
    size = max(round(width * share), side), max(round(height * share), side)
    planes = [np.asarray(Image.fromarray(p).resize(size, Image.Resampling.BICUBIC)) for p in image]
    return np.asarray(np.clip(np.stack(planes), 0, 1))


def _graph_of(path: Path) -> Path:
    if str(path) in SHIPPED and not path.is_file():
        return shipped(SHIPPED[str(path)])
    if path.is_dir():  # of a run
        path = path / "model.onnx"
    graph = path.with_suffix(".onnx") if path.suffix == ".safetensors" else path
    if str(path) in ASSESSORS and not graph.is_file():
        raise ModelError(f"{path} is a metric that is always there: choose it with -m {path} (metrics), not as a model")
    if not graph.is_file():
        raise ModelError(
            f"expected a trained model at {graph}, found none; `beholder train` writes a .safetensors file and beside "
            "it an .onnx file of the same name, which scoring needs"
        )
    return graph


@functools.lru_cache(maxsize=16)
def _digest(path: Path, changed: int) -> str:  # noqa: ARG001  # so that a rewritten file is read again
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@functools.lru_cache(maxsize=4)
def judge_of(path: Path, threads: int = 1, engine: str = "onnxruntime") -> Judge:
    """The judge of that file, thread count and engine, loaded once per process."""
    return Judge(path, threads=threads, engine=engine)
