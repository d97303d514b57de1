"""A metric with its preset, ready to be called: checks once at the border, then kernel or definition."""

from __future__ import annotations

import functools
import math
import os
from typing import Any

import numpy as np

from beholder.arrays import Array, is_torch, namespace
from beholder.errors import ChannelError, InputError, LayoutError, RangeError, SizeError
from beholder.metrics.registry import Metric, Score, find
from beholder.metrics.settings import check_all
from beholder.metrics.tensors import by_kernel, plain
from beholder.metrics.values import check_values, native

FULL_SCALE = {"uint8": 255, "uint16": 65535}
LARGE = 1 << 16
"""Values that are worth a kernel where a few lines of NumPy would do."""


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Measure:
    """A metric with a preset: call it with pictures, get one value for each.

    name: a metric's name, with a preset behind a colon or without. settings: the metric's own, which go before the
    preset's; numbers beyond their limits and unknown words are refused here. card: the metric's, with the range that
    these settings give. Raises UnknownMetricError, and InputError for settings that the metric does not have or take.
    """

    def __init__(self, name: str, **settings: Any) -> None:
        card, self.preset = find(name)
        preset = card.presets.get(self.preset, {})
        self.settings: dict[str, Any] = check_all(card.name, card.function, preset, settings)
        self.card = card.having(**self.settings)
        self._given = settings

    @property
    def name(self) -> str:
        """Metric and preset, in canonical spelling."""
        return f"{self.card.name}:{self.preset}" if self.preset else self.card.name

    @property
    def weights(self) -> str:
        """The first twelve hexadecimal digits of the SHA-256 of the weights, empty where the metric has none."""
        if self.card.model:
            from beholder.models.runtime import weights_hash

            return weights_hash(self.card.model)
        given = self.settings.get(self.card.file_setting)
        shipped = isinstance(given, str) and given.isidentifier() and not self.card.backbones
        if not shipped and isinstance(given, (str, os.PathLike)):
            from beholder.models.backbones import weights_digest

            return weights_digest(given)[:12]
        return str(getattr(given, "digest", "")[:12])

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest value that can occur with these settings."""
        return self.card.range

    def __repr__(self) -> str:
        return f"Measure({self.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(Measure, **self._given), (self.name,)

    def __call__(
        self,
        image: Array,
        reference: Array | None = None,
        *,
        data_range: float | None = None,
        threads: int | None = None,
    ) -> Array:
        """Measure pictures, one value each.

        image, reference: (N, C, H, W), the judged picture first; uint8 or uint16 at full scale, floats in [0, 1], or
        bool, NumPy or PyTorch; a reference only for full-reference metrics. data_range: full scale of the values
        where it is another. threads: how many a kernel may use, default all processors. Returns (N,) of the same
        library; integers are measured in double precision.
        Presets that round colour to whole grey levels (`ssim:matlab`, `niqe:live`…) do so for integers, at their own
        steps, and never for floats. Raises LayoutError, SizeError, ChannelError, RangeError.
        """
        self.check(image, reference)
        image, reference = (a if a is None else native(a, data_range) for a in (image, reference))
        if data_range is None and self.card.kernel is not None:
            values = self._by_kernel(image, reference, threads or processors())
            if values is not None:
                return values
        settings = dict(self.settings)
        if "levels" in _keywords(self.card):
            settings["levels"] = _levels(image, data_range)
        definition = functools.partial(self.card.function, **settings)
        if data_range is None and self.card.guards:
            values = self._by_tensor_kernel(definition, image, reference, threads)
            if values is not None:
                return values
        pictures = [to_unit(a, data_range, self.card.name, threads) for a in (image, reference) if a is not None]
        if len(pictures) == 2:
            x, y = pictures = _same_precision(*pictures)
            values = self._by_tensor_kernel(definition, x, y, threads)
            if values is not None:
                return values
        return definition(*pictures)

    def scores(self, image: Array, reference: Array | None = None, *, threads: int | None = None) -> list[Score]:
        """As calling it, but each value as a `Score`, with interval, word and flags where the metric has them."""
        fixed: dict[str, Any] = {"unit": self.card.unit, "better": self.card.better}
        name, preset = self.card.name, self.preset
        if self.card.assess is None:
            values = self(image, reference, threads=threads)
            fixed.update(weights=self.weights, flags=self._doubts())
            return [Score(name, float(v), preset, **fixed) for v in values]
        self.check(image, reference)
        image = native(image)
        full_scale = FULL_SCALE.get(dtype_name(image), 1)
        if full_scale == 1:  # integers are converted by parts, to save memory
            image = to_unit(image, None, name)
        more = {"full_scale": full_scale, "threads": threads or processors()}
        found = self.card.assess(image, **more, **self.settings)
        return [
            Score(name, a.value, preset, low=a.low, high=a.high, word=a.word, weights=a.weights, flags=a.flags, **fixed)
            for a in found
        ]

    def compare(self, images: Any, references: Any) -> float:
        """The value of a set metric for two sets: `FeatureSet`s, or arrays of features (N, size).

        Raises InputError for a metric of pictures, and for sets that are too small or not of one network.
        """
        if self.card.needs != "set":
            raise InputError(f"{self.card.name} is a {self.card.kind} metric and compares no sets; pass it pictures")
        from beholder.metrics.sets import FeatureSet

        pair = [s if isinstance(s, FeatureSet) else FeatureSet.of(s) for s in (images, references)]
        return float(self.card.function(*pair, **self.settings))

    def check(self, image: Array, reference: Array | None) -> None:
        """Raise a typed error unless the pictures are of a kind, shape and size that the metric can measure."""
        name = self.card.name
        if self.card.needs == "set":
            raise InputError(f"{name} compares two sets of pictures; use beholder.compare_sets or `beholder compare`")
        self.check_weights()
        if (reference is None) == (self.card.needs == "reference"):
            wants = "an image and its reference" if reference is None else "an image alone"
            raise InputError(f"{name} is a {self.card.kind} metric: it takes {wants}")
        for role, array in (("image", image), ("reference", reference)):
            if array is not None:
                _check_array(array, name, role, self.card.channels)
        if reference is not None:
            _check_pair(image, reference, name)
        height, width = image.shape[-2:]
        if min(height, width) < self.card.min_size:
            least = f"{self.card.min_size}x{self.card.min_size}"
            raise SizeError(f"{name} needs at least {least} pixels, got {height}x{width}; pass larger pictures")

    def check_weights(self) -> None:
        """Raise InputError where the user has to bring a network's weights and has not; it says which file."""
        backbone = self.card.backbones.get(self.preset)
        if backbone is not None:
            from beholder.models.backbones import check_weights

            check_weights(self.settings.get("weights"), backbone, self.name)

    def having(self, **settings: Any) -> Measure:
        """The same with further settings, which go before those that it has."""
        name = f"{self.card.name}:{self.preset}" if self.preset else self.card.name
        return Measure(name, **{**self._given, **settings})

    def prepare(self) -> None:
        """Look at the files that the settings name once, before pictures come.

        Raises InputError for one that is wanted and not given, ModelError for one that does not fit.
        """
        self.check_weights()
        if self.card.prepare is not None:
            self.card.prepare(**self.settings)

    def _doubts(self) -> tuple[str, ...]:
        """The flag of weights that are not the published file's."""
        backbone = self.card.backbones.get(self.preset)
        if backbone is None:
            return ()
        from beholder.models.backbones import is_published

        return () if is_published(self.weights, backbone) else ("unknown_weights",)

    def _by_kernel(self, image: Array, reference: Array | None, threads: int) -> Array | None:
        """The values by the fused kernel, None where there is none for these settings or this kind of array."""
        given = [a if a is None else _bytes_of(a) for a in (image, reference)]
        if self.card.kernel is None or given[0] is None or (reference is not None and given[1] is None):
            return None
        pictures = [a for a in given if a is not None]
        values = np.empty(len(image))
        for i, pair in enumerate(zip(*pictures, strict=True)):
            value = None
            if self.card.planar_kernel is not None and all(map(_planar, pair)):
                value = self.card.planar_kernel(*pair, threads=threads, **self.settings)
            if value is None:
                interleaved = [_interleaved(a, threads) for a in pair]
                value = self.card.kernel(*interleaved, threads=threads, **self.settings)
            if value is None:
                return None
            values[i] = value
        return values if isinstance(image, np.ndarray) else namespace(image).asarray(values)

    def _by_tensor_kernel(
        self, definition: functools.partial[Array], image: Array, reference: Array, threads: int | None
    ) -> Array | None:
        """The values by the kernel for float32 tensors, None where there is none or it cannot serve."""
        kernel = self.card.tensor_kernel
        if kernel is None or definition.keywords.get("levels") is not None:
            return None
        return by_kernel(kernel, definition, image, reference, threads, any_order=self.card.any_order, **self.settings)


def _levels(array: Array, data_range: float | None) -> float | None:
    """Steps of an integer type between black and white; None for floats, which are not rounded."""
    kind = dtype_name(array)
    return None if "float" in kind else data_range or FULL_SCALE.get(kind)


def _keywords(card: Metric) -> tuple[str, ...]:
    code = card.function.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _check_array(array: Array, name: str, role: str, channels: tuple[int, ...] | None) -> None:
    if not isinstance(array, np.ndarray) and not is_torch(array):
        kind = type(array).__name__
        raise LayoutError(f"{name} takes NumPy arrays or PyTorch tensors (N, C, H, W), got {kind} as {role}")
    check_values(array, name, role)
    if array.ndim != 4:
        shape = tuple(array.shape)
        raise LayoutError(f"{name} takes (N, C, H, W), got {role} of shape {shape}; add or name the missing axes")
    if array.shape[0] == 0:
        raise LayoutError(f"{name} takes at least one picture, got {role} of shape {tuple(array.shape)}; pass some")
    if channels is not None and array.shape[1] not in channels:
        wanted = " or ".join(map(str, channels))
        raise ChannelError(f"{name} takes {wanted} channels at axis 1, got {role} of shape {tuple(array.shape)}")


def _check_pair(image: Array, reference: Array, name: str) -> None:
    if is_torch(image) != is_torch(reference):
        raise LayoutError(f"{name} got one NumPy array and one PyTorch tensor; convert one of them")
    if image.shape[-2:] != reference.shape[-2:]:
        sizes = " and ".join(f"{a.shape[-2]}x{a.shape[-1]}" for a in (image, reference))
        raise SizeError(f"{name} compares pictures of one size, got {sizes} (height x width); resize or crop one first")
    if image.shape[1] != reference.shape[1]:
        counts = " and ".join(str(a.shape[1]) for a in (image, reference))
        raise ChannelError(f"{name} compares pictures of one kind, got {counts} channels; convert both to grey or RGB")
    if image.shape[0] != reference.shape[0]:
        raise LayoutError(f"{name} got {image.shape[0]} images and {reference.shape[0]} references; pass one for each")


def dtype_name(array: Array) -> str:
    """Name of an array's element type, without its library and order of bytes."""
    return str(getattr(array.dtype, "name", array.dtype)).rpartition(".")[2]


def to_unit(array: Array, data_range: float | None, name: str, threads: int | None = None) -> Array:
    """Pictures as floats in [0, 1]: integers become double precision, floats stay as they are.

    data_range: what 1.0 stands for, default 255 and 65535 for uint8 and uint16, 1 for floats; threads: how many may
    look at the values, default all processors. Raises RangeError for values outside, NaN, infinity, and other integer
    types without a data_range.
    """
    array = native(array, data_range)
    kind = dtype_name(array)
    is_float = kind in ("float16", "bfloat16", "float32", "float64")
    if data_range is not None and not (data_range > 0 and np.isfinite(data_range)):
        raise RangeError(f"data_range must be a positive number, got {data_range!r}")
    if not is_float:
        if data_range is None and kind not in FULL_SCALE:
            raise RangeError(f"{name} got {kind} values, whose full scale is unknown; pass data_range")
        array = namespace(array).astype(array, _double(array)) / (data_range or FULL_SCALE[kind])
    elif kind in ("float16", "bfloat16"):
        array = namespace(array).astype(array, namespace(array).float32)
    if is_float and data_range is not None:
        array = array / data_range
    if (is_float or data_range is not None) and not _within_unit(array, threads):
        _check_range(array, data_range, name)
    return array


def _within_unit(array: Array, threads: int | None) -> bool:
    """Whether a large float32 array in memory surely lies in [0, 1]: several times as fast as the full check."""
    if dtype_name(array) != "float32" or math.prod(array.shape) < LARGE:
        return False
    if not isinstance(array, np.ndarray):
        if not plain(array):
            return False
        array = array.detach().numpy()
    values = array if array.flags.c_contiguous else array.transpose(0, 2, 3, 1)  # planes, or pixels one after another
    if not values.flags.c_contiguous:
        return False
    from beholder.kernels.pixel import within_unit

    return within_unit(values, threads or processors())


def _check_range(array: Array, data_range: float | None, name: str) -> None:
    xp = namespace(array)
    values = array.detach() if is_torch(array) else array
    low, high = map(float, values.aminmax() if is_torch(array) else (xp.min(values), xp.max(values)))
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = int(xp.sum(xp.astype(~xp.isfinite(values), xp.int64)))
        raise RangeError(f"{name} got {bad} values that are NaN or infinite; mend or mask them first")
    if low < 0 or high > 1:
        told = f"after division by data_range={data_range:g} " if data_range else ""
        raise RangeError(
            f"{name} takes floats in [0, 1], got {low:.6g} to {high:.6g} {told}; "
            "pass data_range, the value that stands for white, or clip"
        )


def _double(array: Array) -> Any:
    xp = namespace(array)
    return xp.float32 if is_torch(array) and array.device.type == "mps" else xp.float64


def _same_precision(image: Array, reference: Array) -> list[Array]:
    xp = namespace(image, reference)
    kind = xp.result_type(image, reference)
    return [xp.astype(a, kind, copy=False) for a in (image, reference)]


def _bytes_of(array: Array) -> np.ndarray[Any, Any] | None:
    """The array or tensor as a NumPy array that shares its memory, where it holds bytes within a kernel's reach."""
    if dtype_name(array) != "uint8":
        return None
    if not is_torch(array):
        return np.asarray(array)
    return np.asarray(array.numpy()) if array.device.type == "cpu" else None


def _planar(array: np.ndarray[Any, Any]) -> bool:
    """Whether the three planes of a picture (C, H, W) lie one after the other in memory."""
    return array.shape[0] == 3 and bool(array.flags.c_contiguous)


def _interleaved(array: np.ndarray[Any, Any], threads: int) -> np.ndarray[Any, Any]:
    """(C, H, W) as contiguous (H, W) or (H, W, C), without a copy where the memory lies so already."""
    if array.size >= LARGE and _planar(array):
        from beholder.kernels.planes import interleave

        return np.asarray(interleave(array, threads=threads))
    return np.ascontiguousarray(array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0))
