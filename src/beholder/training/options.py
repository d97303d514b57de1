"""Options of a configuration that would be ignored without a word, beside the others of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beholder.errors import InputError

if TYPE_CHECKING:
    from beholder.training.config import Config

SYNTHETIC = ("map", "ssim_map", "type", "severity")
"""Losses whose targets synthetic pictures alone have."""
UNSCORED = ("margin_rank", *SYNTHETIC)
"""Losses that learn from pictures without a score."""
LEAST_BATCH = {"plcc": 3, "soft_rank": 3, "margin_rank": 2, "fidelity": 2}
"""Pictures that a loss compares, at the least."""


def check_options(config: Config) -> None:
    """Raise InputError for what has no effect: half of a synthesis, losses without a target, settings of no loss."""
    part = config.synthesis
    if part.count and not part.photographs:
        raise InputError(
            f"synthesis.count = {part.count} needs synthesis.photographs, a folder of pristine photographs; "
            "name it, or set synthesis.count = 0"
        )
    if part.photographs and not part.count:
        raise InputError(
            f"synthesis.photographs = {part.photographs!r} needs synthesis.count, the distorted pictures in an "
            "epoch; set it above 0, or leave the photographs out"
        )
    terms = [name for name, weight in config.loss.terms.items() if weight]
    for name in terms:
        if name in SYNTHETIC and not part.count:
            raise InputError(
                f"loss.terms names {name!r}, which learns from synthetic pictures alone, and there are none; "
                "set synthesis.photographs and synthesis.count, or leave that loss out"
            )
        least = LEAST_BATCH.get(name, 1)
        if config.run.batch < least:
            raise InputError(
                f"loss.terms names {name!r}, which compares pictures of one batch: it needs run.batch of at least "
                f"{least}, got {config.run.batch}"
            )
    if part.count and part.label == "rank" and not set(UNSCORED) & set(terms):
        raise InputError(
            f"synthesis.label = 'rank' gives pictures without a score, from which none of the losses "
            f"({', '.join(terms)}) learns; add margin_rank to loss.terms, or choose another label"
        )
    for name in config.loss.settings:
        if name not in config.loss.terms:
            raise InputError(
                f"loss.settings holds settings of {name!r}, which is not among loss.terms "
                f"({', '.join(config.loss.terms)}); add it there, or leave its settings out"
            )
