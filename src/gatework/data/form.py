"""How a source looked: its kind and the way its times are written, so that answers go back in the same form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["csv", "pandas", "polars", "pyarrow", "dict"]


@dataclass(frozen=True)
class TimeForm:
    """How times are written: `style`, the text between date and clock, decimals of a second, zone.

    Styles: "iso" (2016-07-01), "slash" (2016/07/01), "compact" (20160701), "day first", "month first", "month"
    (2016-07), "epoch" (a count of `unit` since 1970), "datetime" (a real time type) and "number".
    """

    style: str = "number"
    separator: str = " "
    clock: int = 0  # characters of the clock: 0 none, 5 HH:MM, 8 HH:MM:SS, more: fractions
    zone: str = ""
    joint: str = "-"  # between the parts of a date
    unit: str = "s"


@dataclass(frozen=True)
class Form:
    """The kind of source, the delimiter of a CSV file, and the form of its times."""

    kind: Kind = "dict"
    delimiter: str = ","
    times: TimeForm = TimeForm()
    backend: Any = None  # the data frame package that made the source


def zone_minutes(zone: str) -> int:
    """Minutes by which a zone is ahead of UTC.

    >>> zone_minutes("Z"), zone_minutes("-02:30")
    (0, -150)
    """
    if zone == "Z":
        return 0
    digits = zone.strip().replace(":", "")
    return (-1 if digits[0] == "-" else 1) * (int(digits[1:3]) * 60 + int(digits[3:5]))
