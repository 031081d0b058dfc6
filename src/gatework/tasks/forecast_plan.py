"""From options and data to decisions: the parts of a table, and every length that was left open.

The `Plan` that holds what was decided, and the tables with their roles, are `runtime/forecast_plan.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from gatework.data import (
    Part,
    Scaler,
    Split,
    Table,
    Windows,
    split_table,
)
from gatework.data.calendar import usual_cycles
from gatework.data.grid import DAY
from gatework.data.times import parse_time
from gatework.errors import FormatError, OptionError
from gatework.runtime.forecast_plan import USUAL_SPLIT, Plan, with_calendar
from gatework.tasks.forecast_options import ForecastOptions

_STEPS = 48  # a longer window gets a convolution in front
_LONGEST = 1000  # steps of a window that is chosen for its seasons


@dataclass(frozen=True)
class Prepared:
    """Data ready for training: the raw table, its parts, the scaler, and the windows of each part."""

    table: Table
    split: Split
    scaler: Scaler
    train: Windows
    validation: Windows
    scored: Windows


def prepare(
    table: Table, validation: Table | None, options: ForecastOptions
) -> tuple[Plan, Prepared]:
    """Decide what was left open, fit the scaler on the training part, and cut the windows.

    Args:
        table: what `open_table` returned.
        validation: a table of its own for validation and scores; then all of `table` is training.
        options: those that `open_table` returned.
    """
    plan = Plan(
        targets=table.targets,
        past=table.past,
        known=table.known,
        time=table.time_name,
        id=table.id_name,
        cycles=usual_cycles(table) if options.calendar else (),
        step=None if table.step is None else str(table.step),
        season=options.season or (table.step.season if table.step else 1),
        split=options.split or USUAL_SPLIT,
    )
    full = with_calendar(table, plan)
    split = split_table(full, plan.split) if validation is None else _all_training(full)
    plan = replace(plan, **_lengths(split, plan.season, options))
    scaler = Scaler.fit(split, options.scaler)
    scaled = scaler.transform(full)

    def windows(of: Table, part: Part | None, stride: int = 1) -> Windows:
        return Windows(
            of,
            part,
            input_length=plan.input_length,
            horizon=options.horizon,
            stride=stride,
            relative=options.relative,
        )

    train = windows(scaled, split.train, options.stride)
    if validation is not None:
        _same_columns(validation, table)
        other = windows(scaler.transform(with_calendar(validation, plan)), None)
        return replace(plan, scored="validation"), Prepared(
            table, split, scaler, train, other, other
        )
    checked = windows(scaled, split.validation)
    if not any(_rows(split.test, series) for series in full.series):
        plan = replace(plan, scored="validation", **_border(split.validation))
        return plan, Prepared(table, split, scaler, train, checked, checked)
    plan = replace(plan, **_border(split.test))
    return plan, Prepared(table, split, scaler, train, checked, windows(scaled, split.test))


def scored_part(table: Table, plan: Plan) -> Part | None:
    """The rows of a table that no weight was chosen by; None for all, where a validation table of its own was given.

    Raises:
        FormatError: the table ends before them, or its times are of another kind.
    """
    if plan.scored_from is None:
        return None
    kind = table.series[0].times.dtype
    start = parse_time(plan.scored_from, kind)
    end = None if plan.scored_until is None else parse_time(plan.scored_until, kind)
    for part in (Part(plan.scored, start, end), Part(plan.scored, start, None)):
        if any(_rows(part, series) for series in table.series):
            return part
    raise FormatError(
        f"the table ends before {plan.scored_from}, and the weights were fitted to rows before that; "
        "add later rows, or ask for everything=True (--everything)"
    )


def _rows(part: Part, series: Any) -> int:
    first, last = part.rows(series)
    return last - first


def _all_training(table: Table) -> Split:
    nothing = Part("none", table.end, table.end)
    return Split(table, Part("training", None, None), nothing, nothing)


def _same_columns(validation: Table, table: Table) -> None:
    if validation.columns != table.columns:
        raise FormatError(
            f"the validation table has the columns {list(validation.columns)}, "
            f"the training table {list(table.columns)}; give both the same columns in the same roles"
        )


def _border(part: Part) -> dict[str, str | None]:
    return {
        "scored_from": None if part.start is None else str(part.start),
        "scored_until": None if part.end is None else str(part.end),
    }


def _lengths(split: Split, season: int, options: ForecastOptions) -> dict[str, int]:
    """Input length and convolution: as given, else from season and horizon, as far as the training part allows."""
    length = options.input_length
    if length is None:
        length = _usual_length(split, season, options.horizon)
    kernel = _usual_kernel(length, season) if options.conv_kernel is None else options.conv_kernel
    if kernel > length:
        raise OptionError(
            f"conv_kernel={kernel} is longer than the window of {length} steps; "
            "lower it or raise input_length"
        )
    stride = options.conv_stride or max(kernel, 1)
    return {"input_length": length, "conv_kernel": kernel, "conv_stride": stride}


def _usual_length(split: Split, season: int, horizon: int) -> int:
    """Seasons or horizons, as far as half of the training rows allows; a short series pulls it down to 2 horizons."""
    series = split.table.series
    rows = int(median(_rows(split.train, each) for each in series))
    wanted = max(2 * horizon, _seasons(split.table, season) * season, 4)
    length = max(1, min(wanted, rows // 2 - horizon))
    shortest = min(len(each) for each in series) - horizon
    return min(length, max(shortest, 2 * horizon))


def _seasons(table: Table, season: int) -> int:
    """Seasons in a usual window: a week of days below daily data, else 3; fewer where that were very long."""
    daily = table.step is not None and table.step.unit == "ns" and table.step.size < DAY
    return max(1, min(7 if daily else 3, _LONGEST // season))


def _usual_kernel(length: int, season: int) -> int:
    """A season where that leaves 4 to 32 steps for the LSTM, else what leaves about 24; 0 for a short window."""
    if length <= _STEPS:
        return 0
    return season if length / 32 <= season <= length / 4 else round(length / 24)
