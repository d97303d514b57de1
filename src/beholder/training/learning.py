"""`Assessing`: the LightningModule that trains a quality network on opinions, and what watches over it."""

from __future__ import annotations

import csv
import math
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from beholder.errors import InputError, StoppedError, TrainingError
from beholder.evaluation import agreement
from beholder.losses.opinions import Objective, Target
from beholder.models.assessors.architectures import Judgement
from beholder.training import ranks
from beholder.training.config import Config
from beholder.training.feeding import Batch, Loader
from beholder.training.folders import BEST, LAST
from beholder.training.launching import Line
from beholder.training.optimisers import Plateau, make_optimiser, set_rates


class Assessing(lightning.LightningModule):
    """A quality network, its objective, and the figures of every epoch.

    network: called with pictures (and references) it gives a `Judgement`; steps: of the whole training. All that is
    random in a step depends on seed and step alone, so that an interrupted run ends as an uninterrupted one.
    """

    def __init__(self, network: nn.Module, config: Config, steps: int, seed: int) -> None:
        super().__init__()
        self.network, self.config, self.steps, self.seed = network, config, steps, seed
        self.objective = Objective(config.loss.terms, config.loss.settings)
        self.plateau = Plateau()
        self.figures: list[dict[str, float]] = []
        self.averaged: dict[str, Tensor] = {}
        self._own: dict[str, Tensor] = {}
        self._losses: list[float] = []
        self._judged: list[tuple[Tensor, Tensor]] = []

    def forward(self, image: Tensor | list[Tensor], reference: Tensor | None = None) -> Judgement:
        """What the network says of a batch; in place of pictures, of what its frozen stages gave."""
        if isinstance(image, list):
            network: Any = self.network
            begun: Judgement = network.finish(image)
            return begun
        found: Judgement = self.network(image) if reference is None else self.network(image, reference)
        return found

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The method; its rates are set at every step."""
        return make_optimiser(self.network, self.config.optimiser)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the rates, and the random numbers, of this step; statistics of features are the first process's."""
        ranks.spread(self.network.buffers())
        part = self.config.optimiser
        set_rates(self.trainer.optimizers[0], self.global_step, self.steps, part, self.plateau.factor)
        own = ranks.rank() << 52  # each process draws its own, and the first what one alone would
        torch.manual_seed(own + self.seed * 1_000_003 + self.current_epoch * 100_003 + batch_idx)

    def on_train_start(self) -> None:
        """Bring the moving average of a checkpoint to the network's device."""
        self.averaged = {name: value.to(self.device) for name, value in self.averaged.items()}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of a batch."""
        image, target = batch.image, batch.target
        if self.config.regularisation.mixup and not isinstance(image, list):
            image, target = mix(image, target, self.config.regularisation.mixup)
        judged = self(image, batch.reference)
        total, parts = self.objective(judged, target)
        if not bool(torch.isfinite(total)):
            raise TrainingError(
                f"the loss of epoch {self.current_epoch + 1}, batch {batch_idx + 1} is {float(total.detach())} "
                f"({', '.join(f'{n} {float(p.detach()):.3g}' for n, p in parts.items())}); "
                "lower optimiser.rate, or set optimiser.clip = 1"
            )
        self._losses.append(float(total.detach()))
        self.log("loss", total.detach(), prog_bar=True, batch_size=len(target.score), sync_dist=ranks.size() > 1)
        return total

    def optimizer_step(self, *arguments: Any, **settings: Any) -> None:
        """A step of the method, and of the weights' moving average, which follows faster at the beginning."""
        super().optimizer_step(*arguments, **settings)
        if not self.config.optimiser.average:
            return
        state = {k: v.detach() for k, v in self.network.state_dict().items() if v.is_floating_point()}
        if not self.averaged:
            self.averaged = {k: v.clone() for k, v in state.items()}
        keep = min(self.config.optimiser.average, (1 + self.global_step) / (10 + self.global_step))
        for name, value in state.items():
            self.averaged[name].lerp_(value, 1 - keep)

    def on_validation_epoch_start(self) -> None:
        """Look at the averaged weights, where there are any; statistics of features are the first process's."""
        buffers = dict(self.network.named_buffers())
        ranks.spread(buffers.values())
        ranks.spread(value for name, value in self.averaged.items() if name in buffers)
        if self.averaged and not self.trainer.sanity_checking:
            self._own = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
            self.network.load_state_dict({**self._own, **self.averaged})

    def on_validation_end(self) -> None:
        """Train on with the weights themselves."""
        if self._own:
            self.network.load_state_dict(self._own)
            self._own = {}

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """A batch on the network's device, in the memory layout that convolutions are quickest with."""

        def move(x: Tensor) -> Tensor:
            return x.to(device=device, memory_format=torch.channels_last) if x.ndim == 4 else x.to(device)

        if isinstance(batch.image, list):
            return Batch([move(x) for x in batch.image], None, batch.target.to(device))
        reference = None if batch.reference is None else move(batch.reference)
        return Batch(move(batch.image), reference, batch.target.to(device))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep what is said and what is known."""
        judged = self(batch.image, batch.reference)
        self._judged.append((judged.score.detach().float().cpu(), batch.target.score.cpu()))

    def on_validation_epoch_end(self) -> None:
        """The figures of an epoch: loss, SRCC, PLCC, KRCC, RMSE."""
        judged, self._judged = self._judged, []
        if self.trainer.sanity_checking or not judged:
            return
        loader: Any = self.trainer.val_dataloaders
        said, known = (_whole(torch.cat(part).double().numpy(), loader.count) for part in zip(*judged, strict=True))
        per = max(self.config.input.test_crops, 1)
        said, known = (a.reshape(-1, per).mean(axis=1) for a in (said, known))
        found = agreement(np.clip(said, 0, 100), known)
        losses, self._losses = [loss for part in ranks.gather(self._losses) for loss in part], []
        figures = {"epoch": self.current_epoch + 1, "loss": float(np.mean(losses)) if losses else math.nan, **found}
        self.figures.append(figures)
        for name, value in found.items():
            self.log(f"validation_{name}", value, prog_bar=name == "srcc", sync_dist=ranks.size() > 1)
        if self.config.optimiser.schedule == "plateau":
            self.plateau.see(found["srcc"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What is not in the weights and the optimiser."""
        checkpoint["beholder"] = {
            "plateau": self.plateau.state_dict(),
            "figures": self.figures,
            "losses": ranks.gather(self._losses),  # of every process
            "averaged": self.averaged,
            "config": self.config.to_dict(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on where a checkpoint was made."""
        state = checkpoint["beholder"]
        self.plateau.load_state_dict(state["plateau"])
        self.figures, self.averaged = state["figures"], state["averaged"]
        losses = state["losses"]
        if not losses or not isinstance(losses[0], list):  # of a version that knew one process alone
            losses = [losses]
        if len(losses) != ranks.size():
            raise InputError(
                f"the training to go on from ran in {len(losses)} processes, and run.devices asks for {ranks.size()}; "
                "ask for as many, or begin anew with --restart (restart=True)"
            )
        self._losses = losses[ranks.rank()]


def _whole(shared: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Numbers (count,) of all pictures, of those that every process has of its share: see `Loader`."""
    return np.asarray(np.stack(ranks.gather(shared), axis=1).reshape(-1)[:count])


def mix(image: Tensor, target: Target, strength: float) -> tuple[Tensor, Target]:
    """Every picture mixed with the next of its content, and so its opinion (mixup within content).

    The share is drawn from Beta(strength, strength); a picture that is alone stays as it is. Source: Zhang et al. 2018,
    doi:10.48550/arXiv.1710.09412.
    """
    partner = torch.arange(len(image))
    groups = [-1] * len(image) if target.group is None else target.group.tolist()
    for group in {g for g in groups if g >= 0}:
        places = [i for i, g in enumerate(groups) if g == group and bool(torch.isfinite(target.score[i]))]
        for here, there in zip(places, places[1:] + places[:1], strict=True):
            partner[here] = there
    shares = torch.distributions.Beta(strength, strength).sample((len(image),)).to(image.device)
    partner = partner.to(image.device)
    score = torch.lerp(target.score[partner], target.score, shares)
    score = torch.where(torch.isfinite(target.score), score, target.score)
    mixed = torch.lerp(image[partner], image, shares[:, None, None, None])
    return mixed, Target(**{**vars(target), "score": score, "distribution": None})


class Keeper(Callback):
    """Sets the loader going at the right batch, keeps the state now and then, and stops when asked to.

    An interrupt (Ctrl-C, SIGTERM) takes effect at the end of a step, after the state is kept; a second one at once.
    line: to the process that began this one and its likes, which all stop at the same step.
    """

    def __init__(self, loader: Loader, folder: Path, every: float, minutes: float, line: Line | None = None) -> None:
        self.line = line
        self.loader, self.path, self.every = loader, folder / LAST, every * 60
        self.limit, self.asked = minutes * 60, False
        self.done = 0  # batches of this epoch
        self.before = 0.0  # seconds of a run that was interrupted
        self.limited = False  # whether the time ended it
        self.begun = self.kept = time.monotonic()
        self._before: dict[int, Any] = {}

    @property
    def seconds(self) -> float:
        """Time that the training has taken, without pauses."""
        return self.before + time.monotonic() - self.begun

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Listen for interrupts, after Lightning has begun to; go on at the batch where an interrupted run ended."""
        if self.done:  # Lightning begins such an epoch without saying so
            self.loader.start(trainer.current_epoch, self.done)
        if self.line:
            self.line.begun()
        elif threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Listen no longer."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """An epoch from its first batch on."""
        self.done = 0
        self.loader.start(trainer.current_epoch, 0)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Keep the state when it is due, stop when asked."""
        self.done = batch_idx + 1
        over, due = bool(self.limit) and self.seconds > self.limit, time.monotonic() - self.kept > self.every
        self.asked, over, due = ranks.any_of(self._is_asked(), over, due)
        if over:
            trainer.should_stop = self.limited = True
        if self.done == trainer.num_training_batches:
            return  # the epoch's end is next, with its validation
        if self.done % trainer.accumulate_grad_batches:
            return  # gradients that wait for a step are in no state
        if self.asked or due:
            self._keep(trainer)
        self._stop()

    def _is_asked(self) -> bool:
        return self.asked or (self.line is not None and self.line.asked())

    def _stop(self) -> None:
        if self.asked:
            raise StoppedError(
                f"the training was interrupted; its state is kept in {self.path}: the same command goes on"
            )

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Keep the state of every epoch's end."""
        self.done = 0
        self._keep(trainer)
        (self.asked,) = ranks.any_of(self._is_asked())
        self._stop()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"done": self.done, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.done, self.before = state_dict["done"], state_dict["seconds"]

    def _keep(self, trainer: Any) -> None:
        part = self.path.with_suffix(".part")
        trainer.save_checkpoint(part)  # by the first process, for which all wait
        if ranks.rank() == 0:
            part.replace(self.path)
        for logger in trainer.loggers:  # what has been logged so far is in no state
            logger.save()
        ranks.wait()  # none stops before all is kept
        self.kept = time.monotonic()


class Best(Callback):
    """Keeps the weights of the epoch with the best validation SRCC, and shows the figures of all epochs so far."""

    def __init__(self, folder: Path, watch: Callable[[list[dict[str, float]]], None]) -> None:
        self.folder, self.watch = folder, watch
        self.best, self.epoch = -math.inf, 0

    @property
    def path(self) -> Path:
        """The file with the best weights."""
        return self.folder / BEST

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Compare this epoch with the best one."""
        if trainer.sanity_checking or not pl_module.figures:
            return
        figures = pl_module.figures[-1]
        better = figures["srcc"] > self.best or not self.epoch or math.isnan(self.best)  # NaN beats nothing alone
        if better and not (self.epoch and math.isnan(figures["srcc"])):
            self.best, self.epoch = figures["srcc"], int(figures["epoch"])
            if ranks.rank() == 0:
                torch.save(pl_module.network.state_dict(), self.path.with_suffix(".part"))
                self.path.with_suffix(".part").replace(self.path)
        if ranks.rank():
            return
        with (self.folder / "figures.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(figures))
            writer.writeheader()
            writer.writerows(pl_module.figures)
        self.watch(pl_module.figures)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"best": self.best, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.best, self.epoch = state_dict["best"], state_dict["epoch"]
