"""Agreement of quality models with people."""

from beholder.evaluation.agreement import agreement
from beholder.evaluation.protocol import Evaluation, evaluate
from beholder.evaluation.scored import Scored, read_scored
from beholder.evaluation.stimuli import Options, Stimuli

__all__ = ["Evaluation", "Options", "Scored", "Stimuli", "agreement", "evaluate", "read_scored"]
