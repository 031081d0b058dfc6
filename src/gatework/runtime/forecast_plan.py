"""What was decided about a forecast from its training data, and tables read in the roles that follow from it.

A `Plan` is written into the trained folder, so that later data is read in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from gatework.data import Table, add_calendar, catalogue, read_table
from gatework.options import option
from gatework.runtime.forecast_options import TableOptions

USUAL_SPLIT = "0.7,0.1,0.2"
O = TypeVar("O", bound=TableOptions)  # noqa: E741


@dataclass(frozen=True)
class Plan:
    """What was decided about one training run, from its options and its data."""

    targets: tuple[str, ...] = option((), "Columns that are forecast.")
    past: tuple[str, ...] = option((), "Covariates known up to now.")
    known: tuple[str, ...] = option((), "Covariates known ahead, without the calendar.")
    time: str | None = option(None, "Time column.")
    id: str | None = option(None, "Id column.")
    cycles: tuple[str, ...] = option((), "Calendar cycles that were added.")
    step: str | None = option(None, "Time step of the training data.")
    season: int = option(1, "Steps of a season.")
    input_length: int = option(1, "Steps that the network sees.")
    conv_kernel: int = option(0, "Steps that the convolution joins.")
    conv_stride: int = option(1, "Steps between two kernels.")
    split: str = option(USUAL_SPLIT, "Training, validation and test.")
    scored: str = option("test", "The part that the scores are of.")
    scored_from: str | None = option(None, "Time at which that part starts.")
    scored_until: str | None = option(
        None, "Time at which it ends, where rows after it were left out."
    )


def open_table(data: Any, options: O, *, blank: bool = False) -> tuple[Table, O]:
    """The table with the roles that the options give it; a name of the catalogue brings its own defaults.

    blank: a column may be without any value.

    Returns:
        The table, and the options with the defaults of the named set filled in where they were left open.

    Raises:
        FormatError, OptionError: what `read_table` or `catalogue.get` objects to.
    """
    entry = catalogue.find(data) if isinstance(data, str) and not Path(data).is_file() else None
    if isinstance(data, Table):
        return data, options
    name = None
    if entry is not None:
        name, data = data, catalogue.get(entry.name)
        options = replace(
            options,
            time=options.time or entry.time or None,
            target=options.target or entry.target or None,
            split=options.split or entry.split or None,
            season=options.season or entry.period or None,
        )
    elif isinstance(data, str) and not Path(data).suffix and not Path(data).is_file():
        catalogue.get(data)
    table = read_table(
        data,
        time=options.time,
        target="all" if options.target in ("all", ("all",)) else options.target,
        known=options.known,
        past=options.past,
        id=options.id,
        name=name,
        blank=blank,
    )
    return table, options


def reopen_table(data: Any, plan: Plan, *, blank: bool = False) -> Table:
    """A table of later data with the roles that the training data had; blank: a column may be without any value."""
    if isinstance(data, Table):
        return data
    options = TableOptions(
        target=plan.targets, past=plan.past, known=plan.known, time=plan.time, id=plan.id
    )
    return open_table(data, options, blank=blank)[0]


def with_calendar(table: Table, plan: Plan) -> Table:
    """The table with the calendar columns of the training run."""
    return add_calendar(table, plan.cycles) if plan.cycles else table
