"""What is said where windows do not fit: series that are too short or blank, parts without a window."""

from __future__ import annotations

from typing import Any

from gatework.data.split import Part
from gatework.data.table import Table
from gatework.errors import FormatError


def refuse_blank(table: Table, origins: list[int]) -> None:
    """Raises a FormatError that names the series whose forecast would start at row 0."""
    blank = [s.id for s, origin in zip(table.series, origins, strict=True) if origin == 0]
    if blank:
        raise FormatError(
            f"no observed target {_in_series(blank, table)}, so there is nothing to go on"
        )


def refuse_short(table: Table, needed: int, total: str) -> None:
    """Raises a FormatError that names the series with fewer than `needed` rows."""
    short = [series.id for series in table.series if len(series) < needed]
    if short:
        raise FormatError(too_short(short, table, f"{needed} rows ({total}) for one window"))


def too_short(ids: list[Any], table: Table, needed: str) -> str:
    """The message for series with too few rows."""
    lengths = [len(s) for s in table.series if s.id in ids]
    return (
        f"too few rows {_in_series(ids, table)} ({min(lengths)} to {max(lengths)}): {needed} are needed; "
        "reduce input_length or horizon, or leave the series out"
    )


def _in_series(ids: list[Any], table: Table) -> str:
    if table.id_name is None:
        return "in the table"
    shown = ", ".join(map(repr, ids[:20])) + (f" and {len(ids) - 20} more" if len(ids) > 20 else "")
    return f"in the series {shown}"


def no_window(table: Table, part: Part, input_length: int, horizon: int) -> str:
    """The message for a part that is shorter than a horizon or has no input before it."""
    rows = max(last - first for first, last in (part.rows(s) for s in table.series))
    needs = f"a horizon of {horizon} rows after an input of {input_length}"
    return (
        f"no window fits into the {part.name} part: it has {rows} rows, a window needs {needs}; "
        "reduce input_length or horizon, or move the split"
    )
