"""What happened in a training run, epoch by epoch, and its file `history.csv`. No torch here."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gatework.errors import FormatError


class EpochRow(NamedTuple):
    """One finished epoch, counted from 1; losses are means over the examples, seconds exclude interruptions."""

    epoch: int
    train_loss: float
    valid_loss: float | None
    seconds: float
    learning_rate: float


@dataclass
class History:
    """The course of one run: a row per finished epoch, and how it ended.

    Attributes:
        rows: one `EpochRow` per finished epoch, in order.
        best_epoch: the epoch whose weights were kept, counted from 1; 0 when none was finished.
        best_loss: its validation loss; None when there was no validation.
        stopped: why it ended: "max_epochs", "patience" or "interrupted".
        resumed_at: steps that were already done when this process took over; 0 for a fresh run.

    Example:
        >>> from gatework.train import EpochRow, History
        >>> History([EpochRow(1, 0.5, 0.6, 2.0, 1e-3)], best_epoch=1, best_loss=0.6).as_dicts()[0]["epoch"]
        1
    """

    rows: list[EpochRow] = field(default_factory=list[EpochRow])
    best_epoch: int = 0
    best_loss: float | None = None
    stopped: str = "max_epochs"
    resumed_at: int = 0

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the run early; the best weights so far were kept."""
        return self.stopped == "interrupted"

    def as_dicts(self) -> list[dict[str, int | float | None]]:
        """The rows as dictionaries, as `report.json` holds them."""
        return [row._asdict() for row in self.rows]


def write_history(rows: Iterable[EpochRow], path: str | Path) -> None:
    """Write rows as CSV, whole or not at all; an absent validation loss is an empty cell.

    Example:
        >>> from gatework.train.history import EpochRow, write_history
        >>> write_history([EpochRow(1, 0.5, None, 2.0, 1e-3)], "history.csv")  # doctest: +SKIP
    """
    beside = Path(f"{path}.tmp")
    with beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(EpochRow._fields)
        writer.writerows(rows)
    os.replace(beside, path)


def read_history(path: str | Path) -> list[EpochRow]:
    """Read what `write_history` wrote, every number with all its digits.

    Raises:
        FormatError: the file is missing, not text, or its header or a row is not that of a history; the line is named.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}", path=path) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"the file is damaged: {error}", path=path) from error
    if not lines or tuple(lines[0]) != EpochRow._fields:
        raise FormatError(
            f"a history begins with {','.join(EpochRow._fields)}, this file with "
            f"{','.join(lines[0]) if lines else 'nothing'}",
            path=path,
            line=1,
        )
    return [_row(cells, path, number) for number, cells in enumerate(lines[1:], start=2)]


def _row(cells: list[str], path: str | Path, line: int) -> EpochRow:
    try:
        epoch, train_loss, valid_loss, seconds, learning_rate = cells
        valid = float(valid_loss) if valid_loss else None
        return EpochRow(int(epoch), float(train_loss), valid, float(seconds), float(learning_rate))
    except ValueError as error:
        raise FormatError(
            f"expected five numbers, got {','.join(cells)!r}", path=path, line=line
        ) from error
