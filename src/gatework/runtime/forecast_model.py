"""How a trained forecaster answers, whatever computes its network: windows, outputs, quantile shifts, user's units."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from gatework.data import Part, Scaler, Table, Windows, to_frame, write_table
from gatework.runtime.forecast_answer import Answers, answer_columns, need_known
from gatework.runtime.forecast_options import AnswerOptions
from gatework.runtime.forecast_plan import Plan, reopen_table, with_calendar

INPUTS = ("past", "past_mask", "known", "known_mask")
_BATCH = 256  # windows answered at once

Arrays = Mapping[str, NDArray[Any]]
Float = NDArray[np.float64]
O = TypeVar("O", bound=AnswerOptions)  # noqa: E741


class Outputs(NamedTuple):
    """Uncalibrated outputs `[n, Hh, M, 1 + Q]` and truth `[n, Hh, M]`, scaled, relative to the level `[n, 1, M]`."""

    values: Float
    truth: Float
    level: Float


@dataclass
class AnsweringModel(ABC, Generic[O]):
    """What answers: see the fields; a subclass brings the network.

    Attributes:
        options: those of the training run.
        plan: what was decided from its data.
        scaler: fitted on its training part.
        shifts: added to the scaled quantiles `[Hh, M, Q]`.
    """

    options: O
    plan: Plan
    scaler: Scaler
    shifts: Float

    @abstractmethod
    def answer(self, batch: Arrays) -> NDArray[np.float32]:
        """Outputs of the network for arrays of windows `[n, Hh, M, 1 + Q]`."""

    def windows(self, table: Table, part: Part | None) -> Windows:
        """All windows of a table in the user's units."""
        return Windows(self.scaler.transform(with_calendar(table, self.plan)), part, **self._cut())

    def latest(self, table: Table) -> Windows:
        """The windows that end with each series' last observed value."""
        longer = with_calendar(table.extended(self.options.horizon), self.plan)
        return Windows.latest(self.scaler.transform(longer), **self._cut())

    def outputs(self, windows: Windows, index: NDArray[np.int64]) -> Outputs:
        """Outputs, truth and level of the windows `index`."""
        parts = np.array_split(index, max(1, -(-len(index) // _BATCH)))
        found = [self._part(windows, part) for part in parts]
        return Outputs(
            *(np.concatenate(each).astype(np.float64) for each in zip(*found, strict=True))
        )

    def answers(self, windows: Windows, index: NDArray[np.int64]) -> Answers:
        """Calibrated answers in the user's units."""
        values, truth, level = self.outputs(windows, index)
        quantiles = np.sort(values[..., 1:] + self.shifts, axis=-1) + level[..., None]
        back = self.scaler.inverse
        restored = np.moveaxis(back(np.moveaxis(quantiles, -1, 0)), 0, -1)  # [n, Hh, M, Q]
        return Answers(index, back(truth + level), back(values[..., 0] + level), restored)

    def predict(self, data: Any, *, out: str | os.PathLike[str] | None = None) -> Any:
        """The steps that follow the last observed value of each series, in the form that `data` has.

        Args:
            data: a table with the columns of the training data; known covariates go on over the horizon.
            out: also write the answer to this CSV or Parquet file.

        Raises:
            FormatError: a column is missing, a series is shorter than the window, or a known covariate does not go on.
        """
        table = reopen_table(data, self.plan)
        windows = self.latest(table)
        need_known(windows, self.plan, table)
        answers = self.answers(windows, np.arange(len(windows)))
        columns = answer_columns(windows, answers, table, self.options)
        if out is not None:
            write_table(columns, Path(out), like=table)
        return to_frame(columns, like=table)

    def _cut(self) -> dict[str, Any]:
        options = self.options
        lengths = {"input_length": self.plan.input_length, "horizon": options.horizon}
        return {**lengths, "relative": options.relative}

    def _part(self, windows: Windows, part: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        batch = windows.batch(part)
        truth = np.where(batch["future_mask"], batch["future"], np.nan)
        return self.answer(batch), truth, batch["level"][:, None]
