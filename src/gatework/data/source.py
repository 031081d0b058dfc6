"""Columns as a source gives them, before any role: texts or arrays by name, and where each row stands for messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from gatework.data.form import Form
from gatework.errors import FormatError

Raw = list[str] | NDArray[Any]  # texts; or float64, int64, datetime64[ns]


def as_texts(values: Iterable[Any]) -> list[str]:
    """Objects as texts, missing ones (None, NaN, NaT, NA) as the empty text."""
    return ["" if _is_missing(value) else str(value) for value in values]


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


@dataclass
class Source:
    """Named columns of equal length; `lines` holds the line of each row where the source is a text file."""

    name: str
    form: Form
    columns: dict[str, Raw]
    path: str | None = None
    lines: list[int] | None = None
    zones: dict[str, str] = field(default_factory=dict[str, str])  # zone of a real time column
    notes: list[str] = field(default_factory=list[str])

    @property
    def rows(self) -> int:
        """Rows of every column."""
        return len(next(iter(self.columns.values()), ()))

    def place(self, row: int) -> str:
        """Where a row stands, in words."""
        return f"row {row}" if self.lines is None else f"line {self.lines[row]}"

    def error(self, message: str, row: int | None = None) -> FormatError:
        """A FormatError that names the file and the line (or, of a data frame, the row)."""
        if row is None:
            return FormatError(message, path=self.path)
        if self.lines is None:
            return FormatError(f"{self.place(row)} (the first is 0): {message}", path=self.path)
        return FormatError(message, path=self.path, line=self.lines[row])

    def column(self, name: str, role: str) -> Raw:
        """The column called `name`.

        Raises:
            FormatError: there is none; the nearest name is offered.
        """
        if name in self.columns:
            return self.columns[name]
        near = difflib.get_close_matches(name.lower(), [c.lower() for c in self.columns], 1, 0.5)
        offered = [c for c in self.columns if near and c.lower() == near[0]]
        hint = f"did you mean {offered[0]!r}? " if offered else ""
        raise self.error(
            f"{role} is {name!r}, but there is no such column; {hint}"
            f"columns: {', '.join(map(repr, self.columns))}"
        )
