"""Peers that need help to be loaded."""

import sys
from types import ModuleType
from typing import Any
from unittest import mock


def load_piq() -> Any:
    """Import piq without torchvision: a stand-in takes its place, and nothing here uses the networks it is for."""
    for name in ("torchvision", "torchvision.models", "torchvision.models.utils", "torchvision.transforms"):
        stand_in: ModuleType | mock.MagicMock = mock.MagicMock(name=name)
        sys.modules.setdefault(name, stand_in)  # type: ignore[arg-type]
    import piq

    return piq
