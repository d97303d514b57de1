"""How Lightning works in several processes that were begun, and have met, without it."""

from __future__ import annotations

from typing import Any

from beholder.training import ranks


def make_strategy() -> Any:
    """Gradients are averaged over all processes at every step.

    Heads may stand aside (a loss of weight 0, a batch without a target). Statistics of features go another way:
    `Assessing` gives every process the first one's before each step, so that a step depends on nothing else.
    """
    from pytorch_lightning.strategies import DDPStrategy

    return DDPStrategy(find_unused_parameters=True, broadcast_buffers=False, timeout=ranks.PATIENCE)


def make_environment() -> Any:
    """What Lightning is told of the processes: all there, on one machine, in touch with each other."""
    from pytorch_lightning.plugins.environments import LightningEnvironment  # type: ignore[attr-defined]

    class Met(LightningEnvironment):
        @property
        def creates_processes_externally(self) -> bool:
            return True

        def local_rank(self) -> int:
            return ranks.rank()

        def global_rank(self) -> int:
            return ranks.rank()

        def world_size(self) -> int:
            return ranks.size()

    return Met()
