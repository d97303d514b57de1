"""What a body's frozen stages give, kept on disk: they see every picture once, not once in an epoch."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from beholder.errors import InputError, OutputError, ReadError
from beholder.progress import Counter
from beholder.training import ranks
from beholder.training.config import Config
from beholder.training.feeding import Batch, Feed, Item, Known, target_of

HEAD = 256
"""Bytes at the beginning of a file that tell the shapes in it."""


class Begun(NamedTuple):
    """One picture of a `BegunFeed`: what the frozen stages gave, and the numbers of its target."""

    tensors: list[Tensor]
    known: Known


def check_cache(network: nn.Module, config: Config) -> None:
    """Raise InputError unless the network and the configuration allow the frozen stages to be kept."""
    part = config.input
    if Path(part.frozen_cache).exists() and not Path(part.frozen_cache).is_dir():
        raise InputError(f"input.frozen_cache = {part.frozen_cache!r} is a file; name a folder, which may be a new one")
    body: Any = getattr(network, "body", None)
    if not hasattr(network, "begin") or body is None or not body.frozen:
        raise InputError("input.frozen_cache needs model.architecture = 'beholder' and model.frozen above 0, or -1")
    if not hasattr(body, "begin"):
        raise InputError("this body cannot be stopped after a stage; take efficientnet_lite0, or no input.frozen_cache")
    if part.crop or part.test_crops or part.augment or config.regularisation.mixup:
        raise InputError(
            "input.frozen_cache keeps whole pictures and their mirror images: set input.crop = 0, "
            "input.test_crops = 0, input.augment = [] and regularisation.mixup = 0"
        )
    if {"map", "ssim_map"} & {name for name, weight in config.loss.terms.items() if weight}:
        raise InputError("input.frozen_cache leaves out the map head; train maps without it")


class BegunFeed(Feed):
    """A feed of what the frozen stages gave; `fill` sees to it that all of it is on disk.

    Pictures are whole, also as mirror images where `input.flip` says so; the synthesis is that of the first epoch.
    """

    def __init__(self, feed: Feed, network: nn.Module) -> None:
        self.__dict__.update(feed.__dict__)
        self.network = network
        self.flips = self.training and self.config.input.flip
        self.variations = []
        super().set_epoch(0)
        self.folder = Path(self.config.input.frozen_cache) / _digest(network, self.config)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            given = self.config.input.frozen_cache
            raise InputError(
                f"input.frozen_cache = {given!r} cannot be made: {error.strerror}; name a folder that can be written"
            ) from error
        self.now = 0
        self.keys = [self._key(item) for item in self.items]

    def set_epoch(self, epoch: int) -> None:
        """Which mirror images are shown: they are drawn for every epoch."""
        self.now = epoch

    def _key(self, item: Item) -> str:
        """The name of a picture's file, without the mirror's mark."""
        if item.job is not None:
            job = item.job
            facts: tuple[Any, ...] = (job.photograph.name, job.photograph.stat().st_size, job.name, job.level, job.seed)
        else:
            path = self.samples[item.sample].image
            try:
                found = path.stat()
            except OSError as error:
                raise ReadError(f"{str(path)!r} cannot be read: {error.strerror}; check the path") from error
            facts = (str(path), found.st_size, found.st_mtime_ns)
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:24]

    def fill(self, *, quiet: bool) -> None:
        """Work out what is not on disk yet, or is damaged there; processes of one training share that out by files."""
        missing = [
            (place, mirrored)
            for place in range(len(self.items))
            for mirrored in ((False, True) if self.flips else (False,))
            if int(self.keys[place][:8], 16) % ranks.size() == ranks.rank()
            and not self._is_whole(place, mirrored=mirrored)
        ]
        counter = Counter("frozen stages", len(missing), quiet=quiet)
        mode = self.network.training
        self.network.eval()
        for place, mirrored in missing:
            self._make(place, mirrored=mirrored)
            counter.step()
        self.network.train(mode)
        ranks.wait()
        self._part_contents()

    def _part_contents(self) -> None:
        """Pictures of one content and several sizes count as several: they would not fit into one batch."""
        shapes = self.sizes()
        seen = {
            i.sample: (self.contents[i.sample], s) for i, s in zip(self.items, shapes, strict=True) if i.sample >= 0
        }
        if len(set(seen.values())) == len({content for content, _ in seen.values()}):
            return
        numbers = {mark: number for number, mark in enumerate(sorted(set(seen.values())))}
        self.contents = [numbers[seen[sample]] for sample in range(len(self.samples))]

    def _is_whole(self, place: int, *, mirrored: bool) -> bool:
        """Whether a picture's file is as long as its head says, and its label, where it has one, can be read."""
        path = self._path(place, mirrored=mirrored)
        try:
            numbers = sum(math.prod(shape) for shape in self._shapes(path))
            self._score(place)
            return path.stat().st_size == HEAD + numbers * np.dtype(np.float16).itemsize
        except (OSError, ValueError, TypeError, LookupError):
            return False

    def _score(self, place: int) -> float:
        """The label of a synthetic picture, NaN for none; a metric's is kept on disk."""
        job = self.items[place].job
        if job is None or job.scale is None:
            return math.nan if job is None or job.score is None else job.score
        score = json.loads(self._label(place).read_text(encoding="utf-8"))["score"]
        return math.nan if score is None else float(score)

    def _label(self, place: int) -> Path:
        """The file of a label that a metric gives, named by the metric's scale, which depends on all photographs."""
        job = self.items[place].job
        scale = hashlib.sha256(repr(None if job is None else job.scale).encode()).hexdigest()[:8]
        return self._path(place, mirrored=False).with_suffix(f".{scale}.json")

    def sizes(self) -> list[tuple[tuple[int, ...], ...]]:
        """The shapes of every picture's activations: those of one batch are to be alike."""
        return [tuple(self._shapes(self._path(place, mirrored=False))) for place in range(len(self.items))]

    @staticmethod
    def _shapes(path: Path) -> list[tuple[int, ...]]:
        with path.open("rb") as file:
            return [tuple(shape) for shape in json.loads(file.read(HEAD))]

    def __getitem__(self, place: int) -> Begun:  # type: ignore[override]
        flips = np.random.default_rng([self.config.run.seed, self.now, place, 11])
        path = self._path(place, mirrored=bool(self.flips and flips.random() < 0.5))
        shapes, values = self._open(path)
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        parts = np.split(values, ends[:-1])
        tensors = [torch.from_numpy(p.reshape(shape)) for p, shape in zip(parts, shapes, strict=True)]
        return Begun(tensors, self._facts(place))

    def _facts(self, place: int) -> Known:
        """The target of a picture, without its pixels."""
        item, nothing = self.items[place], np.zeros((1, 1, 3), np.uint8)
        if item.job is None:
            return self.known_of(self.samples[item.sample], nothing, None, item, epoch=self.now)
        job = item.job
        group = len(self.contents) + job.rank_group
        numbers = (
            self._score(place),
            float("nan"),
            job.type,
            job.severity,
            group,
            -job.severity,
            self.config.synthesis.weight,
        )
        return Known(nothing, None, *numbers, None)

    def _path(self, place: int, *, mirrored: bool) -> Path:
        key = self.keys[place]
        return self.folder / key[:2] / f"{key}{'-mirrored' if mirrored else ''}.npy"

    def _make(self, place: int, *, mirrored: bool) -> None:
        known = super().__getitem__(place)
        pixels = known.image[:, ::-1] if mirrored else known.image
        image = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float().div_(255)
        with torch.inference_mode():
            network: Any = self.network
            begun = network.begin(image.contiguous(memory_format=torch.channels_last))
        path = self._path(place, mirrored=mirrored)
        job = self.items[place].job
        if not mirrored and job is not None and job.scale is not None:
            score = None if np.isnan(known.score) else known.score
            _write(self._label(place), json.dumps({"score": score}).encode())
        shapes = [list(t.shape[1:]) for t in begun]
        head = json.dumps(shapes).encode().ljust(HEAD)
        values = np.concatenate([t[0].contiguous().numpy().ravel() for t in begun]).astype(np.float16)
        _write(path, head + values.tobytes())

    def _open(self, path: Path) -> tuple[list[tuple[int, ...]], np.ndarray[Any, np.dtype[np.float16]]]:
        raw = path.read_bytes()
        return [tuple(s) for s in json.loads(raw[:HEAD])], np.frombuffer(raw, np.float16, offset=HEAD).copy()


def _write(path: Path, data: bytes) -> None:
    """Write a file as a whole, under a name first that no other process, on whatever machine, takes."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # there may be no folder to remove it from
            part.unlink()
        raise OutputError(
            f"cannot write {str(path)!r}: {error.strerror}; make room, or choose another input.frozen_cache"
        ) from error


def _digest(network: Any, config: Config) -> str:
    """What `begin` depends on beside the picture: weights, how many stages, which maps, and its preparation."""
    body = network.body
    facts: tuple[Any, ...] = (body.frozen, config.input.resize, config.input.viewing)
    maps = getattr(network, "taps", ()), getattr(network, "both_sizes", True)
    if maps != (tuple(range(len(body.channels))), True):  # the usual ones are not named: they were not always
        facts += maps
    digest = hashlib.sha256(repr(facts).encode())
    for part in body.parts()[: body.frozen]:
        for module in part:
            for name, value in sorted(module.state_dict().items()):
                digest.update(name.encode() + value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def collate_begun(pictures: Sequence[Begun]) -> Batch:
    """A batch of pictures whose activations have one shape; InputError where they differ."""
    shapes = {tuple(tuple(t.shape) for t in p.tensors) for p in pictures}
    if len(shapes) > 1:
        raise InputError(
            f"a batch needs pictures of one size, got {len(shapes)} sizes out of input.frozen_cache; "
            "set run.batch = 1, or leave input.frozen_cache empty and set input.crop"
        )
    tensors = [torch.stack(parts).float() for parts in zip(*(p.tensors for p in pictures), strict=True)]
    return Batch(tensors, None, target_of([p.known for p in pictures]))
