"""Tables and emphasis on a terminal; plain text where the output is a file or a pipe. No package is needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO


def fancy(stream: TextIO | None = None) -> bool:
    """Whether `stream` (standard output by default) is a terminal that shows emphasis; NO_COLOR switches it off."""
    written = stream or sys.stdout
    return written.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def bold(text: str) -> str:
    """The text in bold, where that shows."""
    return f"\x1b[1m{text}\x1b[0m" if fancy() else text


def table(
    heading: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Iterable[int] = (),
    strong: Iterable[tuple[int, int]] = (),
) -> str:
    """Rows under a heading, columns aligned, two spaces apart.

    Args:
        heading: one word per column.
        rows: as many texts each.
        right: columns that stand to the right, as numbers do.
        strong: cells (row, column) in bold on a terminal.

    Returns:
        Lines without trailing spaces, joined.

    Example:
        >>> print(table(["name", "rows"], [["co2", "2284"]], right=[1]))
        name  rows
        co2   2284
    """
    lines = [list(heading), *(list(row) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(heading))]
    to_right, emphasised = set(right), {(row + 1, column) for row, column in strong}
    drawn: list[str] = []
    for number, line in enumerate(lines):
        cells: list[str] = []
        for place, text in enumerate(line):
            filled = text.rjust(widths[place]) if place in to_right else text.ljust(widths[place])
            emphasise = number == 0 or (number, place) in emphasised
            cells.append(filled.replace(text, bold(text)) if emphasise and text else filled)
        drawn.append("  ".join(cells).rstrip())
    return "\n".join(drawn)
