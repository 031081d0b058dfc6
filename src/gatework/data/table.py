"""A table of measurements on its time grid: one or many series, missing values kept as NaN.

`read_table` (read.py) makes it. Nothing is ever filled: a value that is not there is NaN, a row that the file leaves
out is a row of NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.data.form import Form
from gatework.data.grid import Step, Times, later_times
from gatework.errors import FormatError


@dataclass(frozen=True)
class Series:
    """One series: its id, its strictly increasing times `[T]` and its values `[T, C]`, NaN where missing."""

    id: Any
    times: Times
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class Table:
    """Series that share their columns: targets first, then covariates known up to now, then known ahead.

    Attributes:
        series: one `Series` per id, in the order of first appearance; a table without id column has one, with id None.
        targets, past, known: names of the columns `[0, M)`, `[M, M + P)` and `[M + P, C)` of the values.
        time_name, id_name: names in the source; time_name is None where rows are merely counted.
        step: the regular step, or None where the times have none and rows are taken as neighbours.
        name: what the data is called in titles and messages.
        notes: sentences about what was found and decided while reading, for the report.
        form: how the source looked, so that answers go back in the same form.
    """

    series: tuple[Series, ...]
    targets: tuple[str, ...]
    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    time_name: str | None = None
    id_name: str | None = None
    step: Step | None = None
    name: str = "data"
    notes: tuple[str, ...] = ()
    form: Form = Form()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the value columns, in their order."""
        return self.targets + self.past + self.known

    @property
    def rows(self) -> int:
        """Rows on the grid, all series together."""
        return sum(len(series) for series in self.series)

    @property
    def missing(self) -> int:
        """Missing values on the grid, all columns together."""
        return sum(int(np.isnan(series.values).sum()) for series in self.series)

    @property
    def start(self) -> Any:
        """The earliest time of all series."""
        return min(series.times[0] for series in self.series)

    @property
    def end(self) -> Any:
        """The latest time of all series."""
        return max(series.times[-1] for series in self.series)

    def with_values(self, values: Sequence[NDArray[np.float64]]) -> Table:
        """The same table with other values, one array `[T, C]` per series."""
        pairs = zip(self.series, values, strict=True)
        return replace(self, series=tuple(replace(s, values=v) for s, v in pairs))

    def extended(self, count: int) -> Table:
        """The same table with `count` rows of NaN appended to every series, at the times that follow.

        Raises:
            FormatError: a series has one row only and the table no step, so the next time is unknown.

        >>> from gatework.data import read_table
        >>> read_table({"t": [1, 2], "y": [5.0, 6.0]}, time="t", target="y").extended(2).series[0].times
        array([1, 2, 3, 4])
        """
        return replace(self, series=tuple(self._extend(s, count) for s in self.series))

    def _extend(self, series: Series, count: int) -> Series:
        if self.step is None and len(series) < 2:
            raise FormatError(
                f"series {series.id!r} has one row only, so the time of its next row is unknown; "
                "give it a second row"
            )
        times = np.concatenate([series.times, later_times(series.times, self.step, count)])
        blank = np.full((count, series.values.shape[1]), np.nan)
        return replace(series, times=times, values=np.concatenate([series.values, blank]))
