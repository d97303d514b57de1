"""Agreement of quality models with people."""

from beholder.evaluation.agreement import agreement

__all__ = ["agreement"]
