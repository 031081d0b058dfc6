"""Where in the day, the week and the year a time lies, as sine and cosine: covariates that are always known ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gatework.data.grid import DAY, Times
from gatework.data.table import Table

CYCLES = {"day": DAY, "week": 7 * DAY, "year": 365.2425 * DAY}


def add_calendar(table: Table, cycles: tuple[str, ...] | None = None) -> Table:
    """The table with sine and cosine of its place in the day, the week and the year appended to the known covariates.

    Args:
        table: extend it first where a forecast reaches beyond its end. A table without dates comes back unchanged.
        cycles: some of "day", "week", "year"; None chooses by `usual_cycles`. Give a trained model the cycles that it
            was trained with.

    >>> from gatework.data import read_table
    >>> add_calendar(read_table({"t": ["2020-01-01", "2020-01-02"], "y": [1, 2]}, time="t"), ("week",)).known
    ('week_sin', 'week_cos')
    """
    if table.series[0].times.dtype.kind != "M":
        return table
    chosen = usual_cycles(table) if cycles is None else cycles
    added = [
        np.concatenate([series.values, _angles(series.times, chosen)], axis=1)
        for series in table.series
    ]
    names = tuple(f"{cycle}_{wave}" for cycle in chosen for wave in ("sin", "cos"))
    return replace(table, known=table.known + names).with_values(added)


def usual_cycles(table: Table) -> tuple[str, ...]:
    """Cycles that the data can show: at least two steps long, and passed through at least twice."""
    if table.series[0].times.dtype.kind != "M":
        return ()
    span = max(int((s.times[-1] - s.times[0]).astype(np.int64)) for s in table.series)
    distances = np.concatenate([np.diff(s.times).astype(np.int64) for s in table.series])
    step = float(np.median(distances)) if len(distances) else float("inf")
    return tuple(name for name, length in CYCLES.items() if 2 * step <= length <= span / 2)


def _angles(times: Times, cycles: tuple[str, ...]) -> NDArray[np.float64]:
    """Sine and cosine of each cycle `[T, 2 * cycles]`; a week begins on Monday, a year on January 1."""
    since = times.astype(np.int64)
    year = times.astype("datetime64[Y]").astype(times.dtype).astype(np.int64)
    starts = {"day": 0, "week": 4 * DAY, "year": year}
    columns: list[NDArray[np.float64]] = []
    for name in cycles:
        angle = 2.0 * np.pi * ((since - starts[name]) / CYCLES[name])
        columns += [np.sin(angle), np.cos(angle)]
    return np.stack(columns, axis=1) if columns else np.empty((len(times), 0))
