"""Distances between two sets of pictures, over a network's features: `fid`, `kid`, `precision_recall`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from beholder.errors import InputError, LayoutError, OutputError, RangeError, ReadError
from beholder.metrics.registry import metric
from beholder.metrics.settings import AtLeast, Count

Floats = NDArray[np.float64]
BLOCK = 2048
"""Features that are compared with others at once: 32 MB of products."""


@dataclass
class FeatureSet:
    """What is kept of a set of pictures: how many, the sum and the outer products of their features, in double.

    name: of the network whose features they are, empty for other arrays; size: features of one picture; keep: whether
    the features themselves are kept, too, as kid and precision_recall need them. Sets of the same network are merged
    by ``+``: what several workers collected is then what one would have, but for the order of the sums.
    """

    size: int
    name: str = ""
    keep: bool = True
    count: int = 0
    total: Floats = field(init=False, repr=False)
    outer: Floats = field(init=False, repr=False)
    parts: list[NDArray[np.float32]] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.total = np.zeros(self.size)
        self.outer = np.zeros((self.size, self.size))

    def add(self, features: Any) -> None:
        """Count the features of some pictures, (N, size); LayoutError for another shape, RangeError for NaN."""
        array = np.asarray(features)
        if array.ndim != 2 or array.shape[1] != self.size:
            raise LayoutError(f"a set of {self.size} features takes arrays (N, {self.size}), got shape {array.shape}")
        wide = array.astype(np.float64)
        if not np.isfinite(wide).all():
            raise RangeError("features are finite numbers, got NaN or infinity; mend or leave out those pictures")
        self.count += len(wide)
        self.total += wide.sum(0)
        self.outer += wide.T @ wide
        if self.keep:
            self.parts.append(array.astype(np.float32))

    def __add__(self, other: FeatureSet) -> FeatureSet:
        """Both sets as one; InputError where they are not of one network."""
        if not isinstance(other, FeatureSet):
            raise InputError(
                f"a FeatureSet is merged with another one, got {type(other).__name__}; collect its features"
            )
        _check_kin(self, other)
        merged = FeatureSet(self.size, self.name, self.keep and other.keep)
        merged.count = self.count + other.count
        merged.total = self.total + other.total
        merged.outer = self.outer + other.outer
        merged.parts = [*self.parts, *other.parts] if merged.keep else []
        return merged

    @property
    def mean(self) -> Floats:
        """Mean of every feature."""
        return self.total / self.count

    @property
    def covariance(self) -> Floats:
        """Covariance of the features, divided by count - 1."""
        mean = self.mean
        return (self.outer - self.count * np.outer(mean, mean)) / (self.count - 1)

    @property
    def features(self) -> NDArray[np.float32]:
        """All features, (count, size); InputError where they were not kept."""
        if not self.keep:
            raise InputError("this set has sums only; collect it with keep=True for kid and precision_recall")
        return np.concatenate([np.zeros((0, self.size), np.float32), *self.parts])

    def save(self, path: str | Path) -> None:
        """Write it as .npz, to be read by `load` in another process; OutputError where it cannot be written."""
        if Path(path).suffix.lower() != ".npz":
            raise OutputError(f"a set of features is a .npz file, got the name {str(path)!r}; end it in .npz")
        arrays: dict[str, Any] = {
            "total": self.total,
            "outer": self.outer,
            "count": np.int64(self.count),
            "name": np.str_(self.name),
        }
        if self.keep:
            arrays["features"] = self.features
        try:
            with Path(path).open("wb") as file:
                np.savez(file, **arrays)
        except OSError as error:
            raise OutputError(f"cannot write {str(path)!r}: {error.strerror}; choose another place") from error

    @classmethod
    def load(cls, path: str | Path) -> FeatureSet:
        """Read what `save` wrote; InputError for another file, ReadError for none."""
        wanted = "pass a file that FeatureSet.save or `beholder features` wrote"
        try:
            with np.load(path, allow_pickle=False) as stored:
                found = cls(len(stored["total"]), str(stored["name"]), "features" in stored)
                found.count, found.total, found.outer = int(stored["count"]), stored["total"], stored["outer"]
                found.parts = [stored["features"]] if found.keep else []
                found._check_shapes()
        except OSError as error:
            raise ReadError(f"{path}: {(error.strerror or 'it cannot be read').lower()}; {wanted}") from error
        except (KeyError, ValueError, TypeError, IndexError, EOFError, BadZipFile) as error:
            # NumPy's own text advises to run whatever code the file holds
            raise InputError(f"{path} holds no set of features, or is damaged; {wanted}") from error
        return found

    def _check_shapes(self) -> None:
        """Raise ValueError where what was read does not fit together."""
        fits = self.total.shape == (self.size,) and self.outer.shape == (self.size, self.size)
        if not fits or (self.keep and self.features.shape != (self.count, self.size)):
            raise ValueError("shapes that do not fit together")

    @classmethod
    def of(cls, features: Any, name: str = "") -> FeatureSet:
        """The set of an array of features, (N, size)."""
        array = np.asarray(features)
        if array.ndim != 2:
            raise LayoutError(f"features are an array (N, size), got shape {array.shape}")
        found = cls(array.shape[1], name)
        found.add(array)
        return found


def _check_kin(a: FeatureSet, b: FeatureSet) -> None:
    if (a.size, a.name) != (b.size, b.name):
        told = " and ".join(f"{s.size} of {s.name or 'an array'}" for s in (a, b))
        raise InputError(f"two sets have features of one network, got {told}; collect both with the same one")


def _check(name: str, least: int, images: FeatureSet, references: FeatureSet) -> None:
    _check_kin(images, references)
    if min(images.count, references.count) < least:
        counts = f"{images.count} and {references.count}"
        raise InputError(f"{name} needs at least {least} pictures in both sets, got {counts}; pass more")


@metric(
    "fid",
    better="lower",
    range=(0.0, math.inf),
    unit="",
    needs="set",
    min_size=32,
    paper="Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium, "
    "doi:10.48550/arXiv.1706.08500",
    verified=("",),
    aliases=("frechet_inception_distance",),
    differentiable=False,
)
def fid(images: FeatureSet, references: FeatureSet) -> float:
    """Fréchet distance between the normal distributions of both sets' features; 0 for equal ones.

    Depends on the number of pictures and on the network: compare only values with the same of both.
    """
    _check("fid", 2, images, references)
    a, b = images.covariance, references.covariance
    values, vectors = np.linalg.eigh(a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ b @ root).clip(0)  # those of a b, but symmetric: no complex root
    apart = images.mean - references.mean
    return max(0.0, float(apart @ apart + np.trace(a) + np.trace(b) - 2 * np.sqrt(cross).sum()))


@metric(
    "kid",
    better="lower",
    range=(-math.inf, math.inf),
    unit="",
    needs="set",
    min_size=32,
    paper="Bińkowski et al. 2018, Demystifying MMD GANs, doi:10.48550/arXiv.1801.01401",
    presets={"subsets": {"subsets": 100, "size": 1000}},
    verified=("",),
    unverified="the subsets are drawn at random; with all pictures in each it equals the default, which a test says",
    aliases=("kernel_inception_distance",),
    differentiable=False,
    keeps=True,
)
def kid(
    images: FeatureSet,
    references: FeatureSet,
    *,
    subsets: Count = 0,
    size: Annotated[int, AtLeast(2)] = 1000,
    seed: Count = 0,
) -> float:
    """Squared maximum mean discrepancy of both sets' features with a cubic kernel, unbiased: about 0 for equal ones.

    Over all pairs, which is the expectation over subsets; ``subsets``: the mean over 100 random subsets of 1000, as
    published.
    """
    least = size if subsets else 2
    _check("kid", least, images, references)
    x, y = images.features, references.features
    if not subsets:
        return _discrepancy(x, y)
    rng = np.random.default_rng(seed)
    draws = [[rng.choice(len(a), size, replace=False) for a in (x, y)] for _ in range(subsets)]
    return math.fsum(_discrepancy(x[i], y[j]) for i, j in draws) / subsets


def _discrepancy(x: NDArray[np.float32], y: NDArray[np.float32]) -> float:
    n, m = len(x), len(y)
    within = (_kernel_sum(x, x, own=True) / (n * (n - 1))) + (_kernel_sum(y, y, own=True) / (m * (m - 1)))
    return within - 2 * _kernel_sum(x, y) / (n * m)


def _kernel_sum(x: NDArray[np.float32], y: NDArray[np.float32], *, own: bool = False) -> float:
    """Sum of (x . y / size + 1)**3 over all pairs; own: without each with itself."""
    sums = []
    for first, products in _products(x, y):
        values = (products / x.shape[1] + 1) ** 3
        if own:
            values[np.arange(len(values)), np.arange(first, first + len(values))] = 0
        sums.append(float(values.sum()))
    return math.fsum(sums)


def _products(x: NDArray[np.float32], y: NDArray[np.float32]) -> Iterator[tuple[int, Floats]]:
    wide = y.astype(np.float64).T
    for first in range(0, len(x), BLOCK):
        yield first, x[first : first + BLOCK].astype(np.float64) @ wide


@metric(
    "precision_recall",
    better="higher",
    range=(0.0, 1.0),
    unit="",
    needs="set",
    min_size=32,
    paper="Kynkäänniemi et al. 2019, Improved Precision and Recall Metric for Assessing Generative Models, "
    "doi:10.48550/arXiv.1904.06991",
    presets={"precision": {"share": "precision"}, "recall": {"share": "recall"}},
    verified=("", "precision", "recall"),
    differentiable=False,
    keeps=True,
)
def precision_recall(
    images: FeatureSet,
    references: FeatureSet,
    *,
    share: Literal["both", "precision", "recall"] = "both",
    neighbours: Annotated[int, AtLeast(1)] = 3,
) -> float:
    """How much of each set lies within the other, as the harmonic mean of both shares; 1 for equal sets.

    ``precision``: share of the images that lie within the references' neighbourhoods (fidelity); ``recall``: share of
    the references within the images' (variety). A neighbourhood reaches to a picture's third nearest of its own set.
    """
    _check("precision_recall", neighbours + 1, images, references)
    x, y = images.features, references.features
    found = []
    if share != "recall":
        found.append(_covered(x, y, neighbours))
    if share != "precision":
        found.append(_covered(y, x, neighbours))
    return len(found) / sum(1 / s for s in found) if all(found) else 0.0


def _covered(x: NDArray[np.float32], y: NDArray[np.float32], neighbours: int) -> float:
    """Share of x that lies within the neighbourhood of some y."""
    reach = np.concatenate([np.partition(d, neighbours, axis=1)[:, neighbours] for d in _distances(y, y)])
    return float(np.concatenate([(d <= reach).any(1) for d in _distances(x, y)]).mean())


def _distances(x: NDArray[np.float32], y: NDArray[np.float32]) -> Iterator[Floats]:
    """Squared distances of a block of x from all y; rounding of equal ones is removed."""
    squares = [(a.astype(np.float64) ** 2).sum(1) for a in (x, y)]
    for first, products in _products(x, y):
        both = squares[0][first : first + len(products), None] + squares[1]
        apart = both - 2 * products
        yield np.where(apart > 1e-12 * both, apart, 0)
