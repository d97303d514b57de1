"""Training of quality networks: `Config` says everything, `fit` does it."""

from typing import TYPE_CHECKING, Any

from beholder.training.config import Config

if TYPE_CHECKING:
    from beholder.training.fitting import Result, fit
    from beholder.training.opening import open_data

__all__ = ["Config", "Result", "fit", "open_data"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'beholder.training' has no attribute {name!r}")
    try:
        from beholder.training import fitting  # PyTorch and Lightning
    except ImportError as error:
        from beholder.errors import MissingExtraError

        raise MissingExtraError('training needs: pip install "beholder[train]"') from error
    return getattr(fitting, name)
