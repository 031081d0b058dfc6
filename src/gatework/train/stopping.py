"""Which weights were the best, and when to stop because nothing gets better (Prechelt, Early Stopping, 1998)."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from gatework.train.options import TrainOptions


def copy_weights(module: nn.Module) -> dict[str, Any]:
    """A copy of a module's parameters and buffers that later steps do not touch."""
    return {
        name: value.detach().clone() if isinstance(value, Tensor) else copy.deepcopy(value)
        for name, value in module.state_dict().items()
    }


class Stopping:
    """Keeps the weights of the epoch with the lowest validation loss; without validation, those of the last epoch.

    Attributes:
        weights: the kept weights; before the first epoch has ended, the initial ones.
        best_epoch: the epoch they are from, counted from 1; 0 before the first has ended.
        best_loss: its validation loss; None when there is none.
        since: epochs that have passed without a better one.
    """

    def __init__(self, options: TrainOptions, module: nn.Module):
        self.options = options
        self.weights = copy_weights(module)
        self.best_epoch = 0
        self.best_loss: float | None = None
        self.since = 0

    def after_epoch(self, epoch: int, valid_loss: float | None, module: nn.Module) -> bool:
        """Take note of an epoch's validation loss; returns whether it is the best so far."""
        improved = valid_loss is None or self.best_loss is None or valid_loss < self.best_loss
        self.since = 0 if improved else self.since + 1
        if improved:
            self.best_epoch, self.best_loss = epoch, valid_loss
            self.weights = copy_weights(module)
        return improved

    def exhausted(self, epoch: int) -> bool:
        """Whether the run should end after `epoch` because the patience is used up."""
        patience = self.options.patience
        return 0 < patience <= self.since and epoch >= self.options.min_epochs

    def state_dict(self) -> dict[str, Any]:
        """What must be remembered to go on, the best weights included."""
        names = ("weights", "best_epoch", "best_loss", "since")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for name, value in state.items():
            setattr(self, name, value)
