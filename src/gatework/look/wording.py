"""Numbers, times and options in the words of the page: few digits, no noise, the same
everywhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def number(value: Any, digits: int = 3) -> str:
    """A number with `digits` significant digits and without an exponent where one can be avoided.

    >>> number(0.41873), number(1234.5), number(None)
    ('0.419', '1,234', '–')
    """
    if value is None or isinstance(value, bool) or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size and (size < 1e-4 or size >= 1e7):
        return f"{value:.{digits - 1}e}".replace("-", "−")
    after = max(0, digits - 1 - (math.floor(math.log10(size)) if size else 0))
    return f"{value:,.{after}f}".replace("-", "−")


def column_numbers(values: list[float | None], digits: int = 3) -> list[str]:
    """A column of numbers with as many decimals as the smallest of them needs, so that they align.

    >>> column_numbers([0.4187, 12.5, None])
    ['0.419', '12.500', '–']
    """
    there = [abs(v) for v in values if v is not None and math.isfinite(v) and v]
    if not there or min(there) < 1e-4 or max(there) >= 1e6:
        return [number(value, digits) for value in values]
    after = min(max(0, digits - 1 - math.floor(math.log10(min(there)))), 4)
    return [
        "–" if v is None or not math.isfinite(v) else f"{v:,.{after}f}".replace("-", "−")
        for v in values
    ]


def count(value: int, what: str) -> str:
    """A count with its noun.

    >>> count(1, "row"), count(17420, "row"), count(2, "series")
    ('1 row', '17,420 rows', '2 series')
    """
    plural = what if value == 1 or what.endswith("s") else what + "s"
    return f"{value:,} {plural}"


def moment(value: Any) -> str:
    """A time stamp without the parts that are zero, or a plain number.

    >>> moment(np.datetime64("1998-01-03T00:00:00.000000000"))
    '1998-01-03'
    """
    if isinstance(value, np.datetime64):
        if np.isnat(value):
            return "–"
        text = str(value.astype("datetime64[ns]")).replace("T", " ")
        text = text[:19] if text.endswith(".000000000") else text.rstrip("0")
        return text.removesuffix(":00").removesuffix(" 00:00")
    return f"{float(value):.10g}"


def plain(value: Any) -> str:
    """An option's value as one would type it.

    >>> plain(None), plain(True), plain([1, 2]), plain(0.001)
    ('none', 'yes', '1, 2', '0.001')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        parts: list[Any] = list(value)
        return ", ".join(plain(part) for part in parts) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """A length of time in the two units that matter.

    >>> duration(0.42), duration(75), duration(7300)
    ('0.4 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
