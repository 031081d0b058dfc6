"""The learning rate at each step.

Cosine: Loshchilov & Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017, equation 5 with one period.
"""

from __future__ import annotations

import math

from gatework.train.options import TrainOptions

WAIT_WITHOUT_PATIENCE = 3
"""Epochs without a better validation loss before `plateau` halves, where there is no patience to take a third of."""


class Schedule:
    """Gives the learning rate; only `plateau` remembers anything, the others follow from the step number.

    Args:
        options: learning_rate, schedule, warmup_steps, max_epochs and patience are read.
        steps_per_epoch: batches in one pass.
    """

    def __init__(self, options: TrainOptions, steps_per_epoch: int):
        self.options = options
        self.total = options.max_epochs * steps_per_epoch
        self.wait = max(1, options.patience // 3) if options.patience else WAIT_WITHOUT_PATIENCE
        self.factor = 1.0
        self.since = 0

    def rate(self, step: int) -> float:
        """The learning rate of step `step`, counted from 0 over the whole run."""
        rate = self.options.learning_rate * self.factor
        if self.options.schedule == "cosine":
            rate *= 0.5 * (1.0 + math.cos(math.pi * step / self.total))
        if step < self.options.warmup_steps:
            rate *= (step + 1) / self.options.warmup_steps
        return rate

    def after_epoch(self, improved: bool) -> None:
        """Halve the rate where the schedule is `plateau` and nothing has improved for long enough."""
        self.since = 0 if improved else self.since + 1
        if self.options.schedule == "plateau" and self.since >= self.wait:
            self.factor, self.since = self.factor * 0.5, 0

    def state_dict(self) -> dict[str, float]:
        """What must be remembered to go on."""
        return {"factor": self.factor, "since": self.since}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from what `state_dict` gave."""
        self.factor, self.since = state["factor"], int(state["since"])
