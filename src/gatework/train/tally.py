"""The mean loss of an epoch, and the watch for losses that are not finite."""

from __future__ import annotations

import math

import torch
from torch import Tensor

WAITING = 64
"""Losses an accelerator may keep before they are fetched: fetching one makes the processor wait for it."""


class NotFinite(Exception):
    """A loss is nan or infinite; never leaves this room."""

    def __init__(self, loss: float, where: str, number: int):
        super().__init__(loss, where, number)
        self.loss = loss
        self.where = where
        self.number = number


class Tally:
    """Sums losses, each weighted by its number of examples, in the order in which they came.

    Args:
        total: the sum so far.
        examples: examples in that sum.
        losses: losses in that sum.
        where: "training" or "validation", for the message.
    """

    def __init__(
        self, total: float = 0.0, examples: int = 0, losses: int = 0, *, where: str = "training"
    ):
        self.where = where
        self.total = total
        self.examples = examples
        self.losses = losses
        self._waiting: list[tuple[Tensor, int]] = []

    def add(self, loss: Tensor, examples: int) -> None:
        """Take the mean loss of a batch of `examples`.

        Raises:
            NotFinite: this loss, or one that was waiting, is nan or infinite; its number is counted from 1.
        """
        self._waiting.append((loss, examples))
        if loss.device.type == "cpu" or len(self._waiting) >= WAITING:
            self.settle()

    def settle(self) -> None:
        """Fetch the losses that are waiting."""
        if not self._waiting:
            return
        values: list[float] = torch.stack([loss for loss, _ in self._waiting]).tolist()
        sizes = [examples for _, examples in self._waiting]
        self._waiting.clear()
        for value, examples in zip(values, sizes, strict=True):
            self.losses += 1
            if not math.isfinite(value):
                raise NotFinite(value, self.where, self.losses)
            self.total += value * examples
            self.examples += examples

    def mean(self) -> float:
        """Mean loss over the examples."""
        self.settle()
        return self.total / self.examples

    def state_dict(self) -> dict[str, float]:
        """What must be remembered to go on."""
        self.settle()
        return {"total": self.total, "examples": self.examples, "losses": self.losses}
