"""A trained model file as a metric: what `beholder score --model` measures with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from beholder.arrays import Array, is_torch
from beholder.errors import InputError
from beholder.metrics.deep import word_of
from beholder.metrics.measure import FULL_SCALE, Measure, dtype_name, processors, to_unit
from beholder.metrics.registry import Metric, Score
from beholder.models.judging import Judge, judge_of


class Trained(Measure):
    """A model that `beholder train` wrote, called as any metric: (N, C, H, W) in, (N,) on 0-100 out, NumPy only.

    path: its .safetensors or .onnx file, or the folder of the run. engine: what runs it, "onnxruntime", or "openvino"
    where that is installed.
    Raises ModelError for missing or damaged files, InputError and MissingExtraError for the engine.
    """

    def __init__(self, path: str | Path, engine: str = "onnxruntime") -> None:
        self.path, self.engine = Path(path), engine
        judge = judge_of(self.path, 1, engine)
        header = judge.header
        self.card = Metric(
            name=judge.name,
            better="higher",
            range=(0.0, 100.0),
            unit="",
            needs="reference" if judge.compares else "image",
            min_size=judge.least,
            paper=header.get("paper", ""),
            summary=f"{header['architecture']} trained on {header['data']['name']}",
            function=self.__call__,
            unverified="trained by the user",
            differentiable=False,
            assess=self._no_reference if header.get("interval") else None,
        )
        self.preset, self.settings, self._given = "", {}, {}

    @property
    def weights(self) -> str:
        """The first twelve hexadecimal digits of the SHA-256 of the file."""
        return judge_of(self.path, 1, self.engine).weights

    def __reduce__(self) -> tuple[Any, ...]:
        return Trained, (self.path, self.engine)

    def _no_reference(self, *_: Any, **__: Any) -> Any:
        raise InputError(f"{self.card.name} is a model file: use its scores")

    def check_weights(self) -> None:
        """The file has been looked at when this was made."""

    def __call__(self, image: Array, reference: Array | None = None, **how: Any) -> Array:
        """The scores alone; arguments as for every metric."""
        return np.array([score.value for score in self.scores(image, reference, threads=how.get("threads"))])

    def scores(self, image: Array, reference: Array | None = None, *, threads: int | None = None) -> list[Score]:
        """Every picture's score, with interval, word and flags."""
        if is_torch(image):
            raise InputError(
                f"{self.card.name} is run by ONNX Runtime and takes NumPy arrays; for tensors and gradients use "
                "beholder.models.assessors.networks.load_network"
            )
        self.check(image, reference)
        judge = judge_of(self.path, threads or processors(), self.engine)
        pair = [a for a in (image, reference) if a is not None]
        full_scale = FULL_SCALE.get(dtype_name(image), 1)
        if full_scale == 1:
            pair = [to_unit(a, None, self.card.name) for a in pair]
        return [self._score(judge, pictures, full_scale) for pictures in zip(*pair, strict=True)]

    def _score(self, judge: Judge, pictures: tuple[Array, ...], full_scale: float) -> Score:
        verdict = judge.judge(*pictures, full_scale=full_scale)
        return Score(
            self.card.name,
            verdict.value,
            low=verdict.low,
            high=verdict.high,
            word=word_of(verdict.value),
            weights=judge.weights,
            flags=() if verdict.in_domain else ("out_of_domain",),
        )
