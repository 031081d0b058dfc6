"""Training: from a torch module, a loss and batches to the best weights, restartable bit for bit.

`train` is the one entry. Lightning works underneath and no other room knows it; tasks are not known here.
The names are loaded when they are touched, so that reading the options needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatework.train.batches import Batches, Source
    from gatework.train.checkpoint import delete_checkpoints, has_checkpoints
    from gatework.train.history import EpochRow, History
    from gatework.train.loop import train
    from gatework.train.options import TrainOptions

_HOME = {
    "Batches": "batches",
    "EpochRow": "history",
    "History": "history",
    "Source": "batches",
    "TrainOptions": "options",
    "delete_checkpoints": "checkpoint",
    "has_checkpoints": "checkpoint",
    "train": "loop",
}

__all__ = [
    "Batches",
    "EpochRow",
    "History",
    "Source",
    "TrainOptions",
    "delete_checkpoints",
    "has_checkpoints",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
