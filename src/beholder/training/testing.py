"""The final figure: a trained file judged on pictures that had no part in it, as it is used."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.datasets.splits import group_contents
from beholder.datasets.tables import Dataset
from beholder.datasets.tiles import decode
from beholder.errors import InputError
from beholder.evaluation import agreement
from beholder.models.cards import card_of
from beholder.models.judging import Judge, Verdict
from beholder.progress import Counter
from beholder.strips import stream

ROUNDS = 1000


@dataclass(frozen=True)
class Tested:
    """Figures on a test split, with 95 % intervals of SRCC and PLCC by resampling contents, and what was said."""

    figures: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    said: NDArray[np.float64]
    known: NDArray[np.float64]


def judge_all(model: str | Path, data: Dataset, *, workers: int = 2, quiet: bool = True) -> list[Verdict]:
    """What a trained file says of every picture of a data set, in order, by ONNX Runtime."""
    judge = Judge(model)
    viewing = bool(judge.header["config"]["input"]["viewing"])

    def one(sample: Any) -> Verdict:
        given = [sample.image] if not judge.compares else [sample.image, sample.reference]
        if None in given:
            raise InputError(f"{judge.name} compares with references, and {sample.image} has none")
        pictures = [decode(path, viewing=viewing).transpose(2, 0, 1) for path in given]
        return judge.judge(*pictures, full_scale=255.0)

    found: list[Verdict] = []
    counter = Counter("testing", len(data), quiet=quiet)
    for verdict in stream(one, ((s,) for s in data), workers, "beholder-test"):
        found.append(verdict)
        counter.step()
    return found


def examine(model: str | Path, data: Dataset, *, seed: int = 0, workers: int = 2, quiet: bool = True) -> Tested:
    """Agreement of a trained file with the opinions of a data set, usually its test split.

    The figures are written beside the file as .test.json, and into its card. Raises InputError for an empty data set,
    ModelError for a file that is none.
    """
    if not len(data):
        raise InputError("there is no picture to test on; the data set needs a test split")
    verdicts = judge_all(model, data, workers=workers, quiet=quiet)
    said, known = np.array([v.value for v in verdicts]), np.array([s.mos for s in data])
    figures = {**agreement(said, known), "pictures": float(len(known))}
    if verdicts[0].low is not None:
        inside = [v.low <= k <= v.high for v, k in zip(verdicts, known, strict=True)]
        figures["coverage"] = float(np.mean(inside))
    if verdicts[0].distance is not None:
        figures["out_of_domain"] = float(np.mean([not v.in_domain for v in verdicts]))
    intervals = resample(said, known, group_contents(data, distance=None), seed)
    found = Tested(figures, intervals, said, known)
    told = {"data": {"name": data.name, "digest": data.digest}, "figures": figures, "intervals": intervals}
    Path(model).with_suffix(".test.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    weights = Path(model).with_suffix(".safetensors")
    if weights.is_file():
        weights.with_name("card.md").write_text(card_of(weights), encoding="utf-8")
    return found


def resample(
    said: NDArray[Any], known: NDArray[Any], groups: list[str], seed: int = 0
) -> dict[str, tuple[float, float]]:
    """95 % percentile intervals of SRCC and PLCC over 1,000 draws of contents with replacement."""
    rng = np.random.default_rng(seed)
    places: dict[str, list[int]] = {}
    for i, group in enumerate(groups):
        places.setdefault(group, []).append(i)
    contents = [np.array(p) for p in places.values()]
    found: dict[str, list[float]] = {"srcc": [], "plcc": []}
    for _ in range(ROUNDS if len(contents) > 2 else 0):
        drawn = np.concatenate([contents[i] for i in rng.integers(len(contents), size=len(contents))])
        figures = agreement(said[drawn], known[drawn], ranks=False)
        for name, values in found.items():
            values.append(figures[name])
    return {name: (float(np.nanpercentile(v, 2.5)), float(np.nanpercentile(v, 97.5))) for name, v in found.items() if v}
