"""The exceptions that Beholder raises: each message says what was expected, what came, and what to do.

BeholderError
 ├── InputError (ValueError)       something given to Beholder cannot be used
 │    ├── ReadError                no picture could be read: missing, empty, truncated, not an image
 │    ├── LayoutError              the axes of an array are not stated, or do not fit what was stated
 │    ├── RangeError               values outside the stated range, NaN or infinity
 │    ├── SizeError                too small, too large, or sizes that differ
 │    ├── ChannelError             channel counts that differ or are not supported
 │    ├── PairError                an image without its reference, or a reference claimed twice
 │    ├── UnknownMetricError       no such metric or preset; the nearest names are suggested
 │    └── UnknownDistortionError   no such distortion; the nearest name is suggested
 ├── OutputError (OSError)         a result could not be written
 ├── ModelError (ValueError)       a model file is damaged, foreign or of another version
 ├── TrainingError (ArithmeticError)   a training cannot go on: its loss is no number any more
 ├── StoppedError                  a training was interrupted; its state is kept, and it can go on
 └── MissingExtraError (ImportError)   an optional dependency is not installed
"""

from __future__ import annotations

__all__ = [
    "BeholderError",
    "ChannelError",
    "InputError",
    "LayoutError",
    "MissingExtraError",
    "ModelError",
    "OutputError",
    "PairError",
    "RangeError",
    "ReadError",
    "SizeError",
    "StoppedError",
    "TrainingError",
    "UnknownDistortionError",
    "UnknownMetricError",
]


class BeholderError(Exception):
    """Base of all exceptions that Beholder raises on purpose."""


class InputError(BeholderError, ValueError):
    """Something given to Beholder cannot be used."""


class ReadError(InputError):
    """No picture could be read from the source."""


class LayoutError(InputError):
    """The axes of an array are not stated, or do not fit what was stated."""


class RangeError(InputError):
    """Values outside the stated range, NaN or infinity."""


class SizeError(InputError):
    """A picture is too small or too large, or two sizes differ."""


class ChannelError(InputError):
    """Channel counts differ or are not supported."""


class PairError(InputError):
    """An image has no reference, or a reference is claimed twice."""


class UnknownMetricError(InputError):
    """No such metric or preset."""


class UnknownDistortionError(InputError):
    """No such distortion."""


class OutputError(BeholderError, OSError):
    """A result could not be written."""


class ModelError(BeholderError, ValueError):
    """A model file is damaged, foreign or of another version."""


class TrainingError(BeholderError, ArithmeticError):
    """A training cannot go on: its loss is no number any more."""


class StoppedError(BeholderError):
    """A training was interrupted; its state is kept, and the same call goes on with it."""


class MissingExtraError(BeholderError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""
