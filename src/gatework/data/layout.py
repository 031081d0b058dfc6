"""Rows into series, series onto the regular grid: unsorted times refused, absent rows made rows of NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.data.grid import Step, Times, find_step
from gatework.data.source import Raw, Source
from gatework.data.table import Series
from gatework.data.written import show_time

_GROWTH = 20  # a grid may have this many times the rows of the source
Rows = NDArray[np.int64]


def lay_out(
    source: Source, times: Times, values: NDArray[np.float64], ids: Raw | None, id_name: str | None
) -> tuple[tuple[Series, ...], Step | None]:
    """One series per id on the common grid, and the step; None where the times have no step.

    Raises:
        FormatError: times that repeat or go back within a series, an empty id, or gaps so long that the grid would have
            more than 20 times the rows.
    """
    groups = _groups(source, ids, id_name)
    for _, rows in groups:
        _check_order(source, times, rows, id_name)
    step = find_step([times[rows] for _, rows in groups])
    if step is None and max(len(rows) for _, rows in groups) > 1:
        source.notes.append("The times have no common step, so rows are taken as neighbours.")
    series = tuple(_grid(source, key, times[rows], values[rows], step) for key, rows in groups)
    absent = sum(map(len, series)) - len(times)
    if absent:
        rows = "1 row" if absent == 1 else f"{absent} rows"
        source.notes.append(
            f"At a step of {step}, {rows} of the source are absent; they are masked."
        )
    return series, step


def _groups(source: Source, ids: Raw | None, id_name: str | None) -> list[tuple[Any, Rows]]:
    """Rows of each series in file order, series in order of first appearance."""
    if ids is None:
        return [(None, np.arange(source.rows))]
    keys = np.asarray(ids)
    empty = np.flatnonzero(keys == "") if isinstance(ids, list) else np.flatnonzero(keys != keys)
    if len(empty):
        raise source.error(f"the id in column {id_name!r} is missing", int(empty[0]))
    kinds, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(inverse))[:-1])
    return [(kinds[n].item(), parts[n]) for n in np.argsort(first)]


def _check_order(source: Source, times: Times, rows: Rows, id_name: str | None) -> None:
    back = np.flatnonzero(np.diff(times[rows]) <= np.zeros(1, np.diff(times[:1]).dtype))
    if not len(back):
        return
    before, after = int(rows[back[0]]), int(rows[back[0] + 1])
    more = f" ({len(back)} such rows in all)" if len(back) > 1 else ""
    if times[before] == times[after]:
        cure = (
            "keep one row per time" if id_name else "keep one row per time, or name the id column"
        )
        what = f"repeats the time of {source.place(before)}"
    else:
        cure, what = "sort the rows by time", f"is earlier than {source.place(before)}"
        if id_name is None:
            cure += ", or name the id column where there are several series"
    raise source.error(f"the time {show_time(times[after])} {what}{more}; {cure}", after)


def _grid(
    source: Source, key: Any, times: Times, values: NDArray[np.float64], step: Step | None
) -> Series:
    positions = None if step is None else step.positions(times)
    if step is None or positions is None or positions[-1] + 1 == len(times):
        return Series(key, times, values)
    count = int(positions[-1]) + 1
    if count > _GROWTH * len(times) + 1000:
        raise source.error(
            f"at a step of {step} there would be {count} rows, the source has {len(times)}; "
            "cut it at its long gaps and tell the pieces apart by an id column"
        )
    filled = np.full((count, values.shape[1]), np.nan)
    filled[positions] = values
    return Series(key, step.grid(times[:1], count), filled)
