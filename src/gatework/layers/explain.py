"""`gatework.explain_path`: which path a call takes and why, in a sentence."""

from __future__ import annotations

from typing import Any, Protocol

from gatework.errors import OptionError
from gatework.ops.path import Path, sentence


class Explained(Protocol):
    """A layer that can say which path a call of it takes."""

    def path_of(self, *args: Any, **kwargs: Any) -> Path:
        """Takes what `forward` takes."""
        ...


def explain_path(module: Explained, *args: Any, **kwargs: Any) -> str:
    """Says in a sentence which path `module(*args, **kwargs)` takes, without computing it.

    Args:
        module: a gatework layer.
        args, kwargs: what the call would get.

    Returns:
        "native (...)", "cudnn (...)" or "composed (...)" with the reason and what would change it. Under autocast to
        bfloat16 the native path multiplies in bfloat16; the composed path computes in the dtype of the weights.

    Raises:
        OptionError: `module` is not a gatework layer. ShapeError: the call would raise it.

    Example:
        >>> import torch, gatework
        >>> gatework.explain_path(gatework.LSTM(3, 5), torch.randn(7, 2, 3)).startswith("native")
        True
    """
    if not hasattr(module, "path_of"):
        raise OptionError(
            f"explain_path takes a gatework layer such as gatework.LSTM, got {type(module).__name__}"
        )
    return sentence(module.path_of(*args, **kwargs))
