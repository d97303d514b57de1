"""Pictures and what is known of them, in batches that depend on seed, epoch and place alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from beholder.datasets.augmenting import augment, choose_augmentations, crop_grid, crop_random, grow, resize_shorter
from beholder.datasets.maps import local_similarity
from beholder.datasets.splits import group_contents
from beholder.datasets.synthesis import RUNGS, Job, draw, find_photographs
from beholder.datasets.tables import Dataset, Sample
from beholder.datasets.tiles import TileCache, decode
from beholder.errors import InputError
from beholder.losses.opinions import Target
from beholder.training import ranks
from beholder.training.config import Config

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


class Batch(NamedTuple):
    """Pictures (N, 3, H, W) in [0, 1], their references where the network compares, and what is known of them.

    In place of pictures it may hold what a body's frozen stages gave (`beholder.training.caching`).
    """

    image: Tensor | list[Tensor]
    reference: Tensor | None
    target: Target


class Known(NamedTuple):
    """One picture, ready: pixels (H, W, 3) and the numbers of its target; NaN and -1 for what is not known."""

    image: Pixels
    reference: Pixels | None
    score: float
    std: float
    type: int
    severity: float
    group: int
    order: float
    weight: float
    map: np.ndarray[Any, np.dtype[np.float32]] | None


@dataclass(frozen=True)
class Item:
    """One picture of an epoch: a sample (and which crop of it) or a job of the synthesis."""

    sample: int = -1
    crop: int = 0
    job: Job | None = None


def generator(*numbers: int) -> np.random.Generator:
    """Random numbers that depend on these numbers alone."""
    return np.random.default_rng([n % 2**32 for n in numbers])


class Feed(torch.utils.data.Dataset[Known]):
    """The pictures of an epoch, by place; `set_epoch` says which epoch.

    compares: whether the network wants references; maps: the local quality that it learns ("ssim", "gmsd"), or none;
    training: with crops at random, variations and synthesis; else every picture as it is scored, or
    `input.test_crops` of it. least: the network's smallest side, to which smaller pictures are mirrored.
    """

    def __init__(
        self,
        data: Dataset,
        config: Config,
        *,
        compares: bool,
        maps: str = "",
        training: bool = True,
        least: int = 1,
    ) -> None:
        self.least = least
        self.config, self.samples, self.compares, self.maps = config, data.samples, compares, maps
        self.training = training
        part = config.input
        self.cache = TileCache(part.cache) if part.cache else None
        self.variations = choose_augmentations([*(["flip"] if part.flip else []), *part.augment]) if training else []
        contents = group_contents(data, distance=None)
        numbers = {name: i for i, name in enumerate(sorted(set(contents)))}
        self.contents = [numbers[name] for name in contents]  # of every sample; alone where the table says nothing
        self.photographs: tuple[Path, ...] = ()
        if training and config.synthesis.photographs and config.synthesis.count:
            self.photographs = find_photographs(config.synthesis.photographs)
        self.items: list[Item] = []
        self.epoch = -1
        if compares and not all(s.reference for s in data.samples):
            raise InputError(
                "the network compares with references, but not every row of the table has one; "
                "add the column reference, or train a no-reference network"
            )

    def set_epoch(self, epoch: int) -> None:
        """Draw the items of an epoch."""
        if epoch == self.epoch:
            return
        self.epoch = epoch
        config = self.config
        crops = config.input.crops if self.training else max(config.input.test_crops, 1)
        self.items = [Item(i, c) for i in range(len(self.samples)) for c in range(crops)]
        if self.photographs:
            part, seed = config.synthesis, config.run.seed
            jobs = draw(self.photographs, part.count, epoch, seed, types=part.types, label=part.label)
            self.items += [Item(job=job) for job in jobs]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, place: int) -> Known:
        item = self.items[place]
        return self._sample(item) if item.job is None else self._synthetic(item.job)

    def _read(self, path: Path) -> Pixels:
        viewing = self.config.input.viewing
        return decode(path, viewing=viewing) if self.cache is None else self.cache.get(path, viewing=viewing)

    def _sample(self, item: Item) -> Known:
        sample: Sample = self.samples[item.sample]
        group = self.contents[item.sample]
        image, reference = self._read(sample.image), None
        if self.compares and sample.reference is not None:
            reference = self._read(sample.reference)
            if image.shape != reference.shape:
                raise InputError(f"{sample.image} and its reference differ in size: {image.shape}, {reference.shape}")
        # Pictures of one content are cropped alike, so that they can be mixed.
        image, reference = self._prepare(image, reference, item.crop, (self.epoch, group, item.crop))
        return self.known_of(sample, image, reference, item, epoch=self.epoch)

    def known_of(self, sample: Sample, image: Pixels, reference: Pixels | None, item: Item, *, epoch: int) -> Known:
        """A sample's pixels with its numbers, the opinion redrawn where the regularisation says so."""
        score, std = sample.mos, math.nan if sample.std is None else sample.std
        noise = self.config.regularisation.label_noise
        if noise and self.training and sample.std is not None:
            own = generator(self.config.run.seed, epoch, item.sample, item.crop, 1)
            score += float(own.normal(0, noise * sample.std))
        group = self.contents[item.sample]
        return Known(image, reference, score, std, -1, math.nan, group, math.nan, 1.0, self._map(image, None))

    def _synthetic(self, job: Job) -> Known:
        made, original, label = job.make_pair()
        group = len(self.contents) + label.rank_group
        image, reference = self._prepare(made, original, 0, (self.epoch, group))
        score = math.nan if label.score is None else label.score
        weight = self.config.synthesis.weight
        known = (score, math.nan, label.type, label.severity, group, -label.severity, weight)
        return Known(image, reference if self.compares else None, *known, self._map(image, reference))

    def _prepare(
        self, image: Pixels, reference: Pixels | None, crop: int, numbers: tuple[int, ...]
    ) -> tuple[Pixels, Pixels | None]:
        """Resized, cropped and varied, both alike."""
        return (
            self._shape(image, crop, generator(self.config.run.seed, *numbers)),
            None if reference is None else self._shape(reference, crop, generator(self.config.run.seed, *numbers)),
        )

    def _shape(self, pixels: Pixels, crop: int, rng: np.random.Generator) -> Pixels:
        part = self.config.input
        if part.resize:
            pixels = resize_shorter(pixels, part.resize)
        if not self.training:
            side = part.crop or min(pixels.shape[:2])
            least = self.least
            return crop_grid(pixels, side, part.test_crops)[crop] if part.test_crops else grow(pixels, least, least)
        pixels = crop_random(pixels, part.crop, rng) if part.crop else grow(pixels, self.least, self.least)
        return augment(pixels, self.variations, rng)

    def _map(self, image: Pixels, reference: Pixels | None) -> np.ndarray[Any, np.dtype[np.float32]] | None:
        if not self.maps:
            return None
        if reference is None:
            return np.full(image.shape[:2], np.nan, np.float32)
        return local_similarity(image, reference, self.maps)


def collate(known: Sequence[Known]) -> Batch:
    """A batch of pictures of one size; InputError where they differ."""
    shapes = {k.image.shape for k in known}
    if len(shapes) > 1:
        sizes = ", ".join(sorted(f"{h}x{w}" for h, w, _ in shapes))
        raise InputError(f"a batch needs pictures of one size, got {sizes}; set input.crop, or run.batch = 1")

    def stack(arrays: Sequence[Any]) -> Tensor:
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float().div_(255)

    references = [k.reference for k in known]
    compared = None if any(r is None for r in references) else stack(references)
    return Batch(stack([k.image for k in known]), compared, target_of(known))


def target_of(known: Sequence[Known]) -> Target:
    """The numbers of several pictures as one target."""

    def column(name: str, kind: torch.dtype = torch.float32) -> Tensor:
        return torch.tensor([getattr(k, name) for k in known], dtype=kind)

    maps = [k.map for k in known if k.map is not None]
    return Target(
        score=column("score"),
        std=column("std"),
        type=column("type", torch.int64),
        severity=column("severity"),
        group=column("group", torch.int64),
        order=column("order"),
        weight=column("weight"),
        map=torch.from_numpy(np.stack(maps)[:, None]) if len(maps) == len(known) else None,
    )


class Loader:
    """Batches of a feed, shuffled by (seed, epoch); goes on from any batch of any epoch.

    Pictures that are to be ordered or mixed (`chains`) stay in one batch. sizes: by place, where only pictures of one
    size fit into a batch. join: what makes a batch of them. Several processes of one training share the batches out,
    in turn; where these do not come out even, the first ones are taken again at the end. Every epoch has as many
    batches as the longest, the last ones of a shorter one being its first ones again: Lightning counts them once.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        shuffle: bool,
        batch: int,
        workers: int,
        seed: int,
        chains: bool = False,
        join: Callable[..., Any] = collate,
        sizes: Sequence[Any] = (),
    ) -> None:
        self.feed, self.shuffle, self.batch, self.seed, self.chains = feed, shuffle, batch, seed, chains
        self.workers, self.join, self.sizes = workers, join, sizes
        self.epoch, self.first = 0, 0
        epochs = feed.config.run.epochs if chains else 1  # without chains all epochs are alike
        self.count = max(len(self._packed(epoch)) for epoch in reversed(range(epochs)))

    def start(self, epoch: int, first: int) -> None:
        """Where the next iteration begins."""
        self.epoch, self.first = epoch, first

    def state_dict(self) -> dict[str, int]:
        """Nothing: `start` says where to go on; there for Lightning to know that it can."""
        return {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """See state_dict."""

    def _share(self) -> tuple[int, int]:
        return ranks.rank(), ranks.size()

    def batches(self, epoch: int) -> list[list[int]]:
        """Places of an epoch's pictures, batch by batch; some may be smaller."""
        found = self._packed(epoch)
        found += found[: self.count - len(found)]
        rank, world = self._share()
        again = itertools.islice(itertools.cycle(found), -len(found) % world)  # all processes need as many
        return [*found, *again][rank::world]

    def _packed(self, epoch: int) -> list[list[int]]:
        self.feed.set_epoch(epoch)
        units = [[i] for i in range(len(self.feed))]
        if self.chains:
            units = _chained(self.feed)
        if self.shuffle:
            order = generator(self.seed, epoch, 7).permutation(len(units))
            units = [units[i] for i in order]
        full: list[list[int]] = []
        open_batches: dict[Any, list[int]] = {}
        for unit in units:
            size = self.sizes[unit[0]] if self.sizes else None
            waiting = open_batches.setdefault(size, [])
            if waiting and len(waiting) + len(unit) > self.batch:
                full.append(waiting)
                waiting = open_batches[size] = []
            waiting += unit
        return [*full, *(waiting for waiting in open_batches.values() if waiting)]

    def __len__(self) -> int:
        world = self._share()[1]
        return math.ceil(self.count / world)

    def __iter__(self) -> Iterator[Batch]:
        places = self.batches(self.epoch)[self.first :]  # read at the first step, not when Lightning asks for it
        self.first = 0
        yield from DataLoader(self.feed, batch_sampler=places, num_workers=self.workers, collate_fn=self.join)


def _chained(feed: Feed) -> list[list[int]]:
    """Places whose pictures belong together: the versions of a photograph, and twos of one content."""
    chains: dict[tuple[int, int], list[int]] = {}
    for place, item in enumerate(feed.items):
        of_sample = 0, feed.contents[item.sample] if item.job is None else -1
        key = of_sample if item.job is None else (1, item.job.rank_group)
        chains.setdefault(key, []).append(place)
    return [chain[i : i + RUNGS] for chain in chains.values() for i in range(0, len(chain), RUNGS)]
