"""The progress bar of a run: epoch, rate, losses and time left; plain lines where nobody watches. No torch here."""

from __future__ import annotations

import sys
import time
from typing import TextIO

QUIET_SECONDS = 2.0
REDRAW_SECONDS = 0.1
LINE_SECONDS = 10.0
BAR_WIDTH = 20


class Progress:
    """Draws on a terminal ten times a second at most, elsewhere one line in ten seconds, and nothing in the first two.

    Args:
        steps_per_epoch: batches in one pass.
        max_epochs: passes at most; the time left is an upper bound because early stopping may end the run.
        done: steps that an earlier process has already done.
        enabled: False draws nothing at all.
        stream: where to write; standard error when None.
    """

    def __init__(
        self,
        steps_per_epoch: int,
        max_epochs: int,
        *,
        done: int = 0,
        enabled: bool = True,
        stream: TextIO | None = None,
    ):
        self.steps_per_epoch = steps_per_epoch
        self.max_epochs = max_epochs
        self.stream = sys.stderr if stream is None else stream
        self.drawing = enabled and self.stream.isatty()
        self.scores = ""
        self._begun = time.perf_counter()
        self._first = done
        self._next = self._begun + QUIET_SECONDS if enabled else float("inf")
        self._width = 0

    def step(self, done: int, phase: str = "") -> None:
        """Say that `done` steps of the whole run are done; `phase` names what else is going on."""
        now = time.perf_counter()
        if now >= self._next:
            self._next = now + (REDRAW_SECONDS if self.drawing else LINE_SECONDS)
            self._show(self._line(done, now - self._begun, phase))

    def epoch(self, train_loss: float, valid_loss: float | None, best_loss: float | None) -> None:
        """Take the losses of a finished epoch into the line."""
        valid = "" if valid_loss is None else f", validation {valid_loss:.4g}"
        best = "" if best_loss is None else f" (best {best_loss:.4g})"
        self.scores = f"train {train_loss:.4g}{valid}{best}"

    def close(self, summary: str) -> None:
        """End the bar; the summary is written when the run took long enough for a bar."""
        if time.perf_counter() - self._begun >= QUIET_SECONDS and self._next != float("inf"):
            self._show(summary)
        if self._width:
            self.stream.write("\n")
            self._width = 0
        self.stream.flush()

    def _line(self, done: int, seconds: float, phase: str) -> str:
        total = self.max_epochs * self.steps_per_epoch
        rate = (done - self._first) / seconds
        epoch = min(self.max_epochs, done // self.steps_per_epoch + 1)
        filled = BAR_WIDTH * done // total
        bar = f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] " if self.drawing else ""
        left = f"{clock((total - done) / rate)} left at most" if rate else "time left unknown"
        parts = [
            f"epoch {epoch}/{self.max_epochs} {bar}{done}/{total} steps",
            f"{rate:.3g}/s",
            left,
        ]
        return ", ".join(part for part in [*parts, self.scores, phase] if part)

    def _show(self, line: str) -> None:
        if self.drawing:
            self.stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self.stream.write(line + "\n")
        self.stream.flush()


def clock(seconds: float) -> str:
    """Seconds as 0:09, 12:34 or 1:02:03.

    Example:
        >>> clock(3723)
        '1:02:03'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
