"""Objectives: metrics as losses for pictures (`Loss`), and losses on opinions for quality networks (`Objective`)."""

from beholder.losses.metrics import Loss

__all__ = ["Loss"]
