"""Scoring with ONNX Runtime: any picture size, tiles with exact merging, interval and domain check."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import ModelError
from beholder.models.files import read_header, shipped
from beholder.models.viewing import MIN_SIDE, viewing_size

FloatArray = NDArray[np.float32]
Samples = NDArray[Any]

CELL = 64
"""Tiles lie on a grid of this many pixels, the deepest cell of the network at half size."""
FILES = (".onnx", ".head.onnx", ".safetensors")
"""What a shipped model consists of: two graphs, and the weights that they point into, with the header."""
BESIDE = (".onnx", ".safetensors")
MODELS = {
    "beholder": tuple(f"beholder{ending}" for ending in FILES),
    "beholder_fr": (*(f"beholder_fr{ending}" for ending in BESIDE), "lite0.safetensors"),
    "cnniqa": tuple(f"cnniqa{ending}" for ending in BESIDE),
    "lite0": tuple(f"lite0{ending}" for ending in BESIDE),
}
"""The files of every shipped model, by its name."""
ASSESSORS = ("beholder", "cnniqa")
"""Those that judge a picture alone: metrics by name, and what a training may go on from."""
_EVERYTHING = np.array([0, 0, 1 << 24, 1 << 24], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the network says of one picture: score 0-100, 90 % interval, and distance from the training pictures.

    A distance above 1 is foreign.
    """

    value: float
    low: float
    high: float
    distance: float

    @property
    def in_domain(self) -> bool:
        """Whether the picture is like those that the network has learned from."""
        return self.distance <= 1


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a picture with its margin, and the inner cells that count (relative to the tile)."""

    rows: slice
    columns: slice
    inner: NDArray[np.int64]


class Assessor:
    """A quality model run by ONNX Runtime; thread-safe.

    name: a shipped model; threads: how many one picture may use. Raises ModelError for damaged files.
    """

    def __init__(self, name: str = "beholder", threads: int = 1) -> None:
        self.header = read_header(shipped(f"{name}.safetensors"))
        self._body = open_graph(shipped(f"{name}.onnx"), threads)
        self._head = open_graph(shipped(f"{name}.head.onnx"), 1)
        self.weights = weights_hash(name)

    def assess(
        self, image: Samples, *, full_scale: float = 1.0, native: bool = False, tile: int = 768, margin: int = 256
    ) -> Opinion:
        """Judge one picture.

        image: (C, H, W) sRGB, C 1 or 3, in [0, full_scale]. native: at 100 % by tiles of `tile` pixels (a multiple of
        64) with `margin` pixels around each; else as a viewer sees it, reduced to about one megapixel where it is
        larger. Raises SizeError for a picture that is too thin to be seen.
        """
        if not native:
            image, full_scale = reduce_to_view(image, full_scale), 1.0
        image = mirror_to(image, MIN_SIDE)
        sums = counts = 0.0
        for part in tiles(image.shape[1:], tile, margin) if native else (whole(image),):
            crop = np.empty((1, 3, *image[0, part.rows, part.columns].shape), np.float32)
            np.divide(image[:, part.rows, part.columns], full_scale, out=crop[0], casting="unsafe")
            tile_sums, tile_counts = self._body.run(None, {"image": crop, "inner": part.inner})
            sums, counts = sums + tile_sums.astype(np.float64), counts + tile_counts.astype(np.float64)
        score, distance = self._head.run(
            None, {"sums": np.asarray(sums, np.float32), "counts": np.asarray(counts, np.float32)}
        )
        return self._opinion(float(score[0]), float(distance[0]))

    def _opinion(self, score: float, distance: float) -> Opinion:
        value = min(max(score, 0.0), 100.0)
        interval = self.header["interval"]
        half = float(np.interp(value, interval["knots"], interval["half_widths"]))
        return Opinion(
            value=value,
            low=max(value - half, 0.0),
            high=min(value + half, 100.0),
            distance=distance,
        )


class Backbone:
    """The shipped ImageNet network, run by ONNX Runtime; thread-safe. Raises ModelError for damaged files."""

    def __init__(self, threads: int = 1) -> None:
        self._graph = open_graph(shipped("lite0.onnx"), threads)

    def features(self, image: Samples) -> FloatArray:
        """Mean of each of the deepest stage's 1280 channels; image: (C, H, W) sRGB in [0, 1], seen as by `Assessor`."""
        image = mirror_to(reduce_to_view(image), MIN_SIDE)
        crop = np.empty((1, 3, *image.shape[1:]), np.float32)
        crop[0] = image
        found: FloatArray = self._graph.run(None, {"image": crop})[0][0]
        return found


@functools.lru_cache(maxsize=4)
def backbone(threads: int = 1) -> Backbone:
    """The backbone for a thread count, loaded once per process."""
    return Backbone(threads)


@functools.cache
def weights_hash(name: str) -> str:
    """The first twelve hexadecimal digits of the SHA-256 over a shipped model's files."""
    digest = hashlib.sha256()
    for file in MODELS[name]:
        digest.update(shipped(file).read_bytes())
    return digest.hexdigest()[:12]


@functools.lru_cache(maxsize=4)
def assessor(name: str = "beholder", threads: int = 1) -> Assessor:
    """The assessor of that name and thread count, loaded once per process."""
    return Assessor(name, threads)


def reduce_to_view(image: Samples, full_scale: float = 1.0) -> FloatArray:
    """A picture at its viewing size, reduced by an antialiased bicubic filter, plane by plane to save memory.

    image: (C, H, W) in [0, full_scale]. Returns float32 in [0, 1]. Raises SizeError for too thin a picture.
    """
    height, width = viewing_size(*image.shape[1:])
    seen = np.empty((image.shape[0], height, width), np.float32)
    for plane, target in zip(image, seen, strict=True):
        unit = np.divide(plane, full_scale, dtype=np.float32, casting="unsafe")
        if unit.shape != target.shape:
            from PIL import Image

            unit = np.asarray(Image.fromarray(unit).resize((width, height), Image.Resampling.BICUBIC))
            unit = np.clip(unit, 0, 1)
        target[:] = unit
    return seen


def mirror_to(image: Samples, side: int) -> Samples:
    """Continue a picture by mirroring to at least `side` pixels in both directions; (C, H, W)."""
    _, height, width = image.shape
    if height >= side and width >= side:
        return image
    return np.pad(image, ((0, 0), (0, max(0, side - height)), (0, max(0, side - width))), mode="symmetric")


def tiles(shape: tuple[int, int], tile: int, margin: int) -> Iterator[Tile]:
    """Parts of a picture of shape (H, W) whose inner cells cover it once."""
    for top, rows, inner_rows in _spans(shape[0], tile, margin):
        for left, columns, inner_columns in _spans(shape[1], tile, margin):
            inner = np.array([top, left, inner_rows, inner_columns], dtype=np.int64)
            yield Tile(rows, columns, inner)


def _spans(length: int, tile: int, margin: int) -> Iterator[tuple[int, slice, int]]:
    """(first inner cell, pixels, end of inner cells) along one axis; the last span takes what is left."""
    starts = list(range(0, max(length - CELL + 1, 1), tile))
    for start in starts:
        last = start == starts[-1]
        begin = max(start - margin, 0)
        end = length if last else min(start + tile + margin, length)
        first = (start - begin) // CELL
        yield first, slice(begin, end), (1 << 24) if last else first + tile // CELL


def whole(image: Samples) -> Tile:
    """The picture as one tile."""
    return Tile(slice(0, image.shape[1]), slice(0, image.shape[2]), _EVERYTHING)


def optimise_graph(source: Path, target: Path) -> None:
    """Let ONNX Runtime work constants and normalisations into the convolutions of a graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def quantise_graph(source: Path, target: Path, feeds: Iterator[Mapping[str, Any]], kept: Sequence[str]) -> None:
    """An int8 version of a graph, its ranges by these feeds, the nodes named in `kept` left as they are."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    class Reader:
        def get_next(self) -> Mapping[str, Any] | None:
            return next(feeds, None)

    quantize_static(
        str(source),
        str(target),
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Clip", "Relu"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=list(kept),
        calibrate_method=CalibrationMethod.MinMax,
    )


def open_graph(path: Path, threads: int, *, arena: bool = True) -> Any:
    """An ONNX graph in ONNX Runtime, on the processor; ModelError for a damaged file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena  # without, memory goes back at once: less is held, a little more time taken
    options.enable_mem_pattern = False  # pictures differ in size
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
        raise ModelError(f"{path.name} cannot be loaded ({error}); reinstall beholder or get the file anew") from error
