"""Beholder judges images as people do: quality scores, metrics, and what follows from them.

The names below are loaded when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from beholder.version import __version__

if TYPE_CHECKING:
    from beholder.distortions import Distortion, distort, draw_chain, list_distortions
    from beholder.errors import (
        BeholderError,
        ChannelError,
        InputError,
        LayoutError,
        MissingExtraError,
        ModelError,
        OutputError,
        PairError,
        RangeError,
        ReadError,
        SizeError,
        StoppedError,
        TrainingError,
        UnknownDistortionError,
        UnknownMetricError,
    )
    from beholder.evaluation import Evaluation, Options, Stimuli, evaluate, read_scored
    from beholder.image import Image, read_image
    from beholder.losses import Loss
    from beholder.metrics import Metric, Score, list_metrics, metric
    from beholder.metrics.fitting import fit_brisque, fit_ilniqe, fit_niqe
    from beholder.metrics.sets import FeatureSet
    from beholder.scoring import Row, score, score_many
    from beholder.sets import collect_features, compare_sets
    from beholder.training import Config, fit

__all__ = [
    "BeholderError",
    "ChannelError",
    "Config",
    "Distortion",
    "Evaluation",
    "FeatureSet",
    "Image",
    "InputError",
    "LayoutError",
    "Loss",
    "Metric",
    "MissingExtraError",
    "ModelError",
    "Options",
    "OutputError",
    "PairError",
    "RangeError",
    "ReadError",
    "Row",
    "Score",
    "SizeError",
    "Stimuli",
    "StoppedError",
    "TrainingError",
    "UnknownDistortionError",
    "UnknownMetricError",
    "__version__",
    "collect_features",
    "compare_sets",
    "distort",
    "draw_chain",
    "evaluate",
    "fit",
    "fit_brisque",
    "fit_ilniqe",
    "fit_niqe",
    "list_distortions",
    "list_metrics",
    "metric",
    "read_image",
    "read_scored",
    "score",
    "score_many",
]

_HOMES = {
    "distortions": ("Distortion", "distort", "draw_chain", "list_distortions"),
    "evaluation": ("Evaluation", "Options", "Stimuli", "evaluate", "read_scored"),
    "image": ("Image", "read_image"),
    "losses": ("Loss",),
    "metrics": ("Metric", "Score", "list_metrics", "metric"),
    "metrics.fitting": ("fit_brisque", "fit_ilniqe", "fit_niqe"),
    "metrics.sets": ("FeatureSet",),
    "scoring": ("Row", "score", "score_many"),
    "sets": ("collect_features", "compare_sets"),
    "training": ("Config", "fit"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'beholder' has no attribute {name!r}")
    value = getattr(import_module(f"beholder.{_HOME_OF.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
