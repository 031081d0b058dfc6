"""Splits in time: training before validation before test, at borders that all series share. Nothing is shuffled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gatework.data.grid import Times
from gatework.data.table import Series, Table
from gatework.data.times import parse_time
from gatework.data.written import show_time
from gatework.errors import FormatError, OptionError


@dataclass(frozen=True)
class Part:
    """A span of time: `start` belongs to it, `end` does not; None is open."""

    name: str
    start: Any
    end: Any

    def rows(self, series: Series) -> tuple[int, int]:
        """First row of `series` inside the part, and the row after its last one."""
        first = 0 if self.start is None else int(np.searchsorted(series.times, self.start))
        last = len(series) if self.end is None else int(np.searchsorted(series.times, self.end))
        return first, max(first, last)


@dataclass(frozen=True)
class Split:
    """A table and its three parts in time; a `Scaler` is fitted on a split, so that it sees training rows alone."""

    table: Table
    train: Part
    validation: Part
    test: Part


def split_table(table: Table, split: str) -> Split:
    """Splits a table in time.

    Args:
        table: what to split.
        split: three fractions of the time axis, "0.7,0.1,0.2"; three numbers of rows, "8640,2880,2880" (rows after
            them stay unused); or the two times at which validation and test begin, "1995-01-01,1998-01-01".

    Raises:
        OptionError: the text is none of these, fractions do not add up to 1, more rows than there are, times that are
            not in order, or a training part without rows.

    >>> from gatework.data import read_table
    >>> table = read_table({"t": list(range(10)), "y": list(range(10))}, time="t", target="y")
    >>> split = split_table(table, "0.7,0.1,0.2")
    >>> int(split.validation.start), int(split.test.start)
    (7, 8)
    """
    words = [word.strip() for word in split.split(",")]
    axis = np.unique(np.concatenate([series.times for series in table.series]))
    if len(words) == 3:
        numbers = _numbers(words, split)
        if all(word.isdigit() for word in words) and sum(numbers) > 1:
            borders, end = _by_rows([int(n) for n in numbers], axis)
        else:
            borders, end = _by_fractions(numbers, axis, split), None
    elif len(words) == 2:
        borders, end = _by_times(words, axis, split), None
    else:
        raise _unknown(split)
    validation, test = borders
    result = Split(
        table,
        Part("training", None, validation),
        Part("validation", validation, test),
        Part("test", test, end),
    )
    if not any(result.train.rows(series)[1] for series in table.series):
        raise OptionError(f"split={split!r} leaves no row for training")
    return result


def _unknown(split: str) -> OptionError:
    return OptionError(
        f"split={split!r} is none of: three fractions (0.7,0.1,0.2), three numbers of rows "
        "(8640,2880,2880), two times at which validation and test begin (1995-01-01,1998-01-01)"
    )


def _numbers(words: list[str], split: str) -> list[float]:
    try:
        numbers = [float(word) for word in words]
    except ValueError as error:
        raise _unknown(split) from error
    if not all(np.isfinite(numbers)) or min(numbers) < 0:
        raise _unknown(split)
    return numbers


def _by_fractions(fractions: list[float], axis: Times, split: str) -> tuple[Any, Any]:
    if abs(sum(fractions) - 1.0) > 1e-6:
        raise OptionError(f"split={split!r}: the fractions add up to {sum(fractions):g}, not to 1")
    first = round(fractions[0] * len(axis))
    second = round((fractions[0] + fractions[1]) * len(axis))
    return _time_at(axis, first), _time_at(axis, second)


def _by_rows(rows: list[int], axis: Times) -> tuple[tuple[Any, Any], Any]:
    if sum(rows) > len(axis):
        raise OptionError(
            f"split={','.join(map(str, rows))} asks for {sum(rows)} rows, the table has {len(axis)}"
        )
    first, second, third = np.cumsum(rows)
    end = None if third == len(axis) else axis[third]
    return (_time_at(axis, int(first)), _time_at(axis, int(second))), end


def _by_times(words: list[str], axis: Times, split: str) -> tuple[Any, Any]:
    try:
        first, second = (parse_time(word, axis.dtype) for word in words)
    except FormatError as error:
        raise OptionError(f"split={split!r}: {error}") from error
    if first > second:
        raise OptionError(
            f"split={split!r}: validation begins after the test does; exchange the two"
        )
    if first <= axis[0] or second > axis[-1]:
        raise OptionError(
            f"split={split!r} lies outside of the table, {show_time(axis[0])} to {show_time(axis[-1])}"
        )
    return first, second


def _time_at(axis: Times, row: int) -> Any:
    """Time of a row of the axis; for the row after the last one, a time that no row reaches."""
    if row < len(axis):
        return axis[row]
    return (
        axis[-1] + np.ones(1, "int64").astype("m8[ns]" if axis.dtype.kind == "M" else axis.dtype)[0]
    )
