"""One run: what it has done so far, how it goes on by epochs and steps, and what of it a checkpoint holds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from gatework.errors import DivergedError
from gatework.train.batches import Batches
from gatework.train.checkpoint import delete_checkpoints, write_checkpoint
from gatework.train.history import EpochRow, History, write_history
from gatework.train.identity import surroundings, warn_of_other_bits
from gatework.train.interrupt import Interrupt
from gatework.train.lightning import Engine
from gatework.train.options import TrainOptions
from gatework.train.progress import Progress
from gatework.train.randomness import random_state, set_random_state
from gatework.train.schedule import Schedule
from gatework.train.stopping import Stopping
from gatework.train.tally import NotFinite, Tally

EPOCH_END_SECONDS = 1.0
"""An epoch that ends sooner than this after the last checkpoint gets none: little would be lost."""
WRITING_SHARE = 0.05
"""Checkpoints by the clock become rarer where writing them would take more of the time than this."""


class Run:
    """A training run at some moment; `go` takes it to its end.

    Attributes:
        epoch: the epoch it is in, counted from 1.
        step: steps done in that epoch.
        rows: the epochs that are finished.
        ended: why it is over ("max_epochs", "patience", "not_finite"), or "" while it is not.
    """

    def __init__(
        self,
        engine: Engine,
        train_batches: Batches,
        valid_batches: Batches | None,
        options: TrainOptions,
        folder: Path | None,
        identity: dict[str, str],
    ):
        self.engine = engine
        self.module = engine.unit.module
        self.train_batches = train_batches.to(engine.device)
        self.valid_batches = valid_batches.to(engine.device) if valid_batches else None
        self.options = options
        self.folder = folder
        self.identity = identity
        self.schedule = Schedule(options, len(train_batches))
        self.stopping = Stopping(options, self.module)
        self.tally = Tally()
        self.rows: list[EpochRow] = []
        self.epoch, self.step, self.ended = 1, 0, ""
        self._begun = self._saved = time.perf_counter()
        self._writing = 0.0

    @property
    def total_steps(self) -> int:
        """Steps done in the whole run."""
        return (self.epoch - 1) * len(self.train_batches) + self.step

    def go(self, interrupt: Interrupt, bar: Progress) -> str:
        """Train to the end, or to the first Ctrl-C; returns why it ended.

        Raises:
            DivergedError: a loss is not finite; the best weights are in the module.
        """
        try:
            while not self.ended:
                if not self._train_epoch(interrupt, bar) or not self._validate(interrupt, bar):
                    return "interrupted"
        except NotFinite as error:
            raise self._not_finite(error) from None
        return self.ended

    def save(self) -> None:
        """Write a checkpoint and the history, where there is a folder."""
        if self.folder is None:
            return
        begun = time.perf_counter()
        write_checkpoint(self.folder, self.total_steps, self.state_dict())
        write_history(self.rows, self.folder / "history.csv")
        self._saved = time.perf_counter()
        self._writing = self._saved - begun

    def history(self, stopped: str, resumed_at: int) -> History:
        """The course of the run as its caller sees it."""
        best = self.stopping
        return History(list(self.rows), best.best_epoch, best.best_loss, stopped, resumed_at)

    def _train_epoch(self, interrupt: Interrupt, bar: Progress) -> bool:
        """Take the steps that are left of this epoch; returns False when Ctrl-C came."""
        self.engine.unit.train()
        for batch in self.train_batches.epoch(self.epoch, self.step):
            loss = self.engine.step(batch, self.schedule.rate(self.total_steps))
            self.tally.add(loss, self.train_batches.size(self.step))
            self.step += 1
            bar.step(self.total_steps)
            if interrupt.asked:
                break
            if self._due():
                self.save()
        self.tally.settle()
        return not interrupt.asked

    def _validate(self, interrupt: Interrupt, bar: Progress) -> bool:
        """Evaluate and close this epoch; returns False when Ctrl-C came before that."""
        tally = Tally(where="validation")
        self.engine.unit.eval()
        if self.valid_batches:
            for number, batch in enumerate(self.valid_batches.epoch(self.epoch)):
                tally.add(self.engine.evaluate(batch), self.valid_batches.size(number))
                bar.step(self.total_steps, "validating")
                if interrupt.asked:
                    return False
        self._close_epoch(tally.mean() if self.valid_batches else None, bar)
        return True

    def _close_epoch(self, valid_loss: float | None, bar: Progress) -> None:
        train_loss, rate = self.tally.mean(), self.schedule.rate(self.total_steps - 1)
        seconds = round(time.perf_counter() - self._begun, 6)
        self.rows.append(EpochRow(self.epoch, train_loss, valid_loss, seconds, rate))
        improved = self.stopping.after_epoch(self.epoch, valid_loss, self.module)
        self.schedule.after_epoch(improved)
        bar.epoch(train_loss, valid_loss, self.stopping.best_loss)
        if self.stopping.exhausted(self.epoch):
            self.ended = "patience"
        elif self.epoch == self.options.max_epochs:
            self.ended = "max_epochs"
        self.epoch, self.step, self.tally = self.epoch + 1, 0, Tally()
        self._begun = time.perf_counter()
        if not self.ended and self._begun - self._saved >= EPOCH_END_SECONDS:
            self.save()

    def _due(self) -> bool:
        """Whether a checkpoint is due between two steps."""
        if self.folder is None:
            return False
        every = self.options.checkpoint_steps
        if every and self.total_steps % every == 0:
            return True
        seconds = self.options.checkpoint_seconds
        least = max(seconds, self._writing / WRITING_SHARE)
        return seconds > 0 and time.perf_counter() - self._saved >= least

    def _not_finite(self, error: NotFinite) -> DivergedError:
        """Put the best weights back, keep them where there is a folder, and make the error that says so."""
        self.module.load_state_dict(self.stopping.weights)
        self.ended = "not_finite"
        best = self.stopping.best_epoch
        if self.folder is not None and best:
            self.save()
        elif self.folder is not None:
            delete_checkpoints(self.folder)
        kept = (
            f"the weights of epoch {best} were kept" if best else "the first weights were put back"
        )
        if self.folder is not None and best:
            kept += " (resume takes them as the result)"
        return DivergedError(
            f"the {error.where} loss is {error.loss} in epoch {self.epoch}, batch {error.number} "
            f"(step {(self.epoch - 1) * len(self.train_batches) + error.number}); {kept}. "
            f"Try a lower learning_rate ({self.options.learning_rate:g}) or gradient_clip "
            f"({self.options.gradient_clip:g}), and look for nan or infinity in the examples"
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on."""
        return {
            "identity": self.identity,
            "surroundings": surroundings(),
            "epoch": self.epoch,
            "step": self.step,
            "ended": self.ended,
            "seconds": time.perf_counter() - self._begun,
            "rows": [tuple(row) for row in self.rows],
            "tally": self.tally.state_dict(),
            "module": self.module.state_dict(),
            "optimizer": self.engine.adamw.state_dict(),
            "schedule": self.schedule.state_dict(),
            "stopping": self.stopping.state_dict(),
            "random": random_state(self.engine.device),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        warn_of_other_bits(state["surroundings"])
        self.epoch, self.step, self.ended = state["epoch"], state["step"], state["ended"]
        self._begun = time.perf_counter() - state["seconds"]
        self.rows = [EpochRow(*row) for row in state["rows"]]
        self.tally = Tally(**state["tally"])
        self.module.load_state_dict(state["module"])
        self.engine.adamw.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.stopping.load_state_dict(state["stopping"])
        set_random_state(state["random"], self.engine.device)
