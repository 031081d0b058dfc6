"""The regular step of a time column, and the grid it spans: months and weekdays count as regular.

A grid position is an integer; rows that the file leaves out are positions that no row takes. Here are no values and no
files, only times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gatework.errors import FormatError

Times = NDArray[Any]  # datetime64[ns], int64 or float64
DAY = np.timedelta64(1, "D").astype("timedelta64[ns]").astype(np.int64)
_UNITS = ((604_800, "week"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_MINIMUM_SHARE = 0.5  # of the neighbours that must be exactly one step apart


@dataclass(frozen=True)
class Step:
    """The distance of neighbouring rows: `size` times `unit`.

    Unit "ns" is a fixed span of time in nanoseconds, "month" a calendar month, "weekday" the days Monday to Friday, and
    "number" the distance of plain numbers. `at_end`: months counted from last day to last day.

    >>> str(Step(3_600_000_000_000, "ns")), str(Step(3, "month")), Step(1, "number").season
    ('1 hour', '3 months', 1)
    """

    size: int | float
    unit: Literal["ns", "month", "weekday", "number"]
    at_end: bool = False

    def __str__(self) -> str:
        if self.unit == "number":
            return f"{self.size:g}"
        if self.unit != "ns":
            return _counted(int(self.size), self.unit)
        for seconds, name in _UNITS:
            if self.size % (seconds * 10**9) == 0:
                return _counted(int(self.size) // (seconds * 10**9), name)
        return f"{self.size / 1e9:g} seconds"

    @property
    def season(self) -> int:
        """Steps in the usual season: a day below daily data, a week for days, a year for weeks and months; else 1."""
        if self.unit == "month":
            return 12 // int(self.size) if 12 % self.size == 0 else 1
        if self.unit == "weekday":
            return 5
        if self.unit == "number":
            return 1
        days = self.size / DAY
        if days < 1:
            return int(DAY // int(self.size)) if DAY % int(self.size) == 0 else 1
        return {1: 7, 7: 52}.get(days, 1)

    def positions(self, times: Times) -> NDArray[np.int64] | None:
        """Grid positions of `times`, the first being 0, or None where a time lies beside the grid."""
        if self.unit == "number":
            exact = (times - times[0]) / self.size
            rounded = np.rint(exact)
            return rounded.astype(np.int64) if np.all(np.abs(exact - rounded) < 1e-3) else None
        if self.unit == "month":
            exact = _months(times) - _months(times[:1])
        elif self.unit == "weekday":
            days = times.astype("datetime64[D]")
            exact = np.busday_count(days[0], days)
        else:
            exact = times.astype(np.int64) - times[:1].astype(np.int64)
        steps, rest = np.divmod(exact.astype(np.int64), int(self.size))
        return None if rest.any() else steps

    def grid(self, first: Times, count: int, *, offset: int = 0) -> Times:
        """Times at grid positions `offset ... offset + count - 1`, where `first` (one element) has position 0."""
        k = np.arange(offset, offset + count)
        if self.unit == "number":
            return (first + k * self.size).astype(first.dtype)
        if self.unit == "ns":
            return first + (k * int(self.size)).astype("timedelta64[ns]")
        day = first.astype("datetime64[D]")
        clock = first - day.astype(first.dtype)
        if self.unit == "weekday":
            return (
                np.busday_offset(day, k * int(self.size), roll="forward").astype(first.dtype)
                + clock
            )
        months = first.astype("datetime64[M]") + (k * int(self.size)).astype("timedelta64[M]")
        last = (months + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
        if self.at_end:
            return last.astype(first.dtype) + clock
        within = day - day.astype("datetime64[M]").astype("datetime64[D]")
        same_day = np.minimum(months.astype("datetime64[D]") + within, last)  # no 30th of February
        return same_day.astype(first.dtype) + clock


def find_step(series: Sequence[Times]) -> Step | None:
    """The regular step that all series share, or None where there is none.

    A step is regular when every distance of neighbouring rows is a multiple of it and at least half of them equal it.

    Args:
        series: strictly increasing times, one array per series.

    >>> str(find_step([np.array(["2020-01-31", "2020-02-29", "2020-03-31"], "datetime64[ns]")]))
    '1 month'
    """
    long = [times for times in series if len(times) > 1]
    if not long:
        return None
    for candidate in _candidates(long):
        if all(candidate.positions(times) is not None for times in long):
            return candidate
    return None


def _candidates(series: Sequence[Times]) -> list[Step]:
    """Steps worth trying, the most specific first."""
    differences = np.concatenate([np.diff(times) for times in series])
    if differences.dtype.kind != "m":
        share, size = _most_common(differences)
        if share < _MINIMUM_SHARE:
            return []
        return [Step(int(size) if differences.dtype.kind == "i" else float(size), "number")]
    everything = np.concatenate(list(series))
    found: list[Step] = []
    share, size = _most_common(differences.astype(np.int64))
    if share >= _MINIMUM_SHARE:
        found.append(Step(int(size), "ns"))
        if size == DAY and _only_weekdays(everything):
            return [Step(1, "weekday")]
    if differences.astype(np.int64).min() >= 28 * DAY and _monthly(everything):
        share, months = _most_common(np.concatenate([np.diff(_months(t)) for t in series]))
        if share >= _MINIMUM_SHARE:
            found.insert(0, Step(int(months), "month", bool(_month_ends(everything).all())))
    return found


def _most_common(values: NDArray[Any]) -> tuple[float, float]:
    """Share and value of the most common difference; for floats, differences within 1e-6 of it count as equal."""
    if values.dtype.kind == "f":
        middle = float(np.median(values))
        return float(np.mean(np.abs(values - middle) <= 1e-6 * abs(middle))), middle
    kinds, counts = np.unique(values, return_counts=True)
    best = int(np.argmax(counts))
    return counts[best] / len(values), kinds[best]


def _months(times: Times) -> NDArray[np.int64]:
    return times.astype("datetime64[M]").astype(np.int64)


def _clock(times: Times) -> NDArray[Any]:
    return times - times.astype("datetime64[D]").astype(times.dtype)


def _month_ends(times: Times) -> NDArray[np.bool_]:
    days = times.astype("datetime64[D]")
    return (days + 1).astype("datetime64[M]") != days.astype("datetime64[M]")


def _monthly(times: Times) -> bool:
    """Same day of the month (or always its last day) and the same time of day."""
    if len(np.unique(_clock(times))) > 1:
        return False
    days = times.astype("datetime64[D]")
    within = days - days.astype("datetime64[M]").astype("datetime64[D]")
    return len(np.unique(within)) == 1 or bool(_month_ends(times).all())


def _only_weekdays(times: Times) -> bool:
    days = times.astype("datetime64[D]")
    return (
        len(times) >= 10
        and len(np.unique(_clock(times))) == 1
        and bool(np.is_busday(days).all())
        and int((days.max() - days.min()).astype(np.int64)) >= 13
    )


def _counted(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def later_times(times: Times, step: Step | None, count: int) -> Times:
    """The `count` times that follow `times`: on the grid of `step`, or at the median distance where there is none.

    >>> later_times(np.array([0, 10]), Step(10, "number"), 2)
    array([20, 30])
    """
    if step is not None:
        return step.grid(times[-1:], count, offset=1)
    if len(times) < 2:
        raise FormatError("one time alone says nothing about the next; give at least two rows")
    distances = np.diff(times)
    if distances.dtype.kind == "m":
        middle = np.timedelta64(math.floor(np.median(distances.astype(np.int64))), "ns")
    else:
        middle = np.median(distances).astype(distances.dtype)
    return times[-1] + np.arange(1, count + 1) * middle
