"""Times out of text and numbers; written.py puts them back into the same way of writing.

Known: ISO 8601 with or without clock and zone, 2012/01/31, 20160701, 31.01.2012, 31/01/2012 and 01/31/2012 where one
value tells them apart, 2016-07, counts of seconds to nanoseconds since 1970, and plain numbers. A zone becomes UTC.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.data.form import TimeForm, zone_minutes
from gatework.data.grid import Times
from gatework.errors import FormatError

_CLOCK = r"(?:(?P<sep>[ T])(?P<clock>\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(?P<zone>Z| ?[+-]\d{2}:?\d{2})?)?"
_PATTERNS = {
    "iso": re.compile(r"(?P<y>\d{4})(?P<joint>-)(?P<m>\d{2})-(?P<d>\d{2})" + _CLOCK),
    "slash": re.compile(r"(?P<y>\d{4})(?P<joint>/)(?P<m>\d{1,2})/(?P<d>\d{1,2})" + _CLOCK),
    "month": re.compile(
        r"(?P<y>\d{4})(?P<joint>[-/])(?P<m>\d{2})(?P<d>)(?P<sep>)(?P<clock>)(?P<zone>)"
    ),
    "day first": re.compile(
        r"(?P<d>\d{1,2})(?P<joint>[./])(?P<m>\d{1,2})[./](?P<y>\d{4})" + _CLOCK
    ),
    "month first": re.compile(r"(?P<m>\d{1,2})(?P<joint>[/])(?P<d>\d{1,2})/(?P<y>\d{4})" + _CLOCK),
}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_EPOCHS = (("s", 1e9, 4.2e9), ("ms", 1e12, 4.2e12), ("us", 1e15, 4.2e15), ("ns", 1e18, 4.2e18))
YEARS = (1678, 2261)  # what datetime64[ns] can hold
EXPECTED = (
    "a date such as 2016-07-01, 2016-07-01 12:00:00, 2016/07/01, 20160701, 2016-07, or a number"
)


class TimeError(FormatError):
    """A value of a time column is no time; `row` says which."""

    def __init__(self, message: str, row: int):
        super().__init__(message)
        self.row = row


def parse_times(raw: list[str] | NDArray[Any]) -> tuple[Times, TimeForm]:
    """Times of a whole column and how they were written.

    Raises:
        TimeError: a value is missing or written in another way than the rest.

    >>> parse_times(["20160701", "20160702"])[0].astype("datetime64[D]").astype(str).tolist()
    ['2016-07-01', '2016-07-02']
    """
    if isinstance(raw, list):
        texts = [text.strip() for text in raw]
        if all(map(_NUMBER.fullmatch, texts)):
            return _from_numbers(_as_numbers(texts))
        return _from_texts(texts)
    if raw.dtype.kind == "M":
        absent = np.flatnonzero(np.isnat(raw))
        if len(absent):
            raise TimeError("the time is missing", int(absent[0]))
        return raw.astype("datetime64[ns]"), TimeForm("datetime")
    if raw.dtype.kind == "f":
        wrong = np.flatnonzero(~np.isfinite(raw))
        if len(wrong):
            raise TimeError(f"the time is {raw[wrong[0]]}", int(wrong[0]))
        whole = raw.astype(np.int64)
        raw = whole if np.abs(raw).max(initial=0) < 2**53 and (whole == raw).all() else raw
    return _from_numbers(raw)


def to_nanoseconds(values: Any, name: str) -> NDArray[Any]:
    """Times of a real time type as datetime64[ns].

    Raises:
        FormatError: a year that datetime64[ns] cannot hold.
    """
    times = np.asarray(values)
    years = times[~np.isnat(times)].astype("datetime64[Y]").astype(np.int64) + 1970
    if len(years) and not (YEARS[0] <= years.min() and years.max() <= YEARS[1]):
        raise FormatError(
            f"column {name!r} holds the years {years.min()} to {years.max()}; "
            f"times run from {YEARS[0]} to {YEARS[1]}"
        )
    return times.astype("datetime64[ns]")


def parse_time(text: str, dtype: np.dtype[Any]) -> Any:
    """One time in any of the known ways of writing, of the kind of times that `dtype` stands for.

    Raises:
        FormatError: the text is no such time.
    """
    times, form = parse_times([text])
    if dtype.kind == "M" and times.dtype.kind != "M" and re.fullmatch(r"\d{4}", text.strip()):
        times = np.array([text.strip()], "datetime64[Y]").astype("datetime64[ns]")
    elif dtype.kind != "M" and times.dtype.kind == "M" and form.style in ("compact", "epoch"):
        times = np.array([float(text)])
    if (times.dtype.kind == "M") != (dtype.kind == "M"):
        wanted = "a date" if dtype.kind == "M" else "a number"
        raise FormatError(f"{text!r} is not {wanted}, as the times of the table are")
    return times[0]


def looks_like_dates(raw: list[str] | NDArray[Any]) -> bool:
    """Whether a column holds dates (not plain numbers), judged by its first hundred values."""
    try:
        times, form = parse_times(raw[:100])
    except TimeError:
        return False
    return len(times) > 0 and times.dtype.kind == "M" and form.style != "epoch"


def _as_numbers(texts: list[str]) -> NDArray[Any]:
    try:
        return np.array([int(text) for text in texts], np.int64)
    except (ValueError, OverflowError):
        return np.array([float(text) for text in texts])


def _from_numbers(numbers: NDArray[Any]) -> tuple[Times, TimeForm]:
    if numbers.dtype.kind not in "iu" or not len(numbers):
        return numbers.astype(np.float64), TimeForm()
    numbers = numbers.astype(np.int64)
    low, high = numbers.min(), numbers.max()
    if low >= 1678_01_01 and high <= 2261_12_31:
        dates = _from_compact(numbers)
        if dates is not None:
            return dates, TimeForm("compact")
    for unit, least, most in _EPOCHS:
        if least <= low and high < most:
            return numbers.astype(f"datetime64[{unit}]").astype("datetime64[ns]"), TimeForm(
                "epoch", unit=unit
            )
    return numbers, TimeForm()


def _from_compact(numbers: NDArray[np.int64]) -> Times | None:
    """20160701 as a date; None where one of the numbers is none."""
    years, months, days = numbers // 10_000, numbers // 100 % 100, numbers % 100
    if not (((months >= 1) & (months <= 12) & (days >= 1) & (days <= 31)).all()):
        return None
    first = (years - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (months - 1)
    dates = first.astype("datetime64[D]") + (days - 1)
    return (
        dates.astype("datetime64[ns]") if (dates.astype("datetime64[M]") == first).all() else None
    )


def _from_texts(texts: list[str]) -> tuple[Times, TimeForm]:
    style = _style(texts)
    pattern = _PATTERNS[style]
    matches = [pattern.fullmatch(text) for text in texts]
    if not all(matches):
        row = matches.index(None)
        what = f"{texts[row]!r} is not written like the times before it" if row else "is no time"
        raise TimeError(_missing_or(texts[row], what if row else f"{texts[row]!r} is no time"), row)
    found = [m.group("y", "m", "d", "clock", "zone") for m in matches if m]
    iso = [f"{y}-{m:0>2}-{d or '01':0>2}T{clock or '00:00'}" for y, m, d, clock, _ in found]
    form = TimeForm(style, clock=max(len(f[3] or "") for f in found))
    first = next((m for m in matches if m and m["clock"]), matches[0])
    if first:
        form = replace(form, separator=first["sep"] or " ", joint=first["joint"])
    return _shift([f[4] or "" for f in found], _convert(iso, texts), form)


def _missing_or(text: str, otherwise: str) -> str:
    return (
        f"the time is missing; expected {EXPECTED}"
        if not text
        else f"{otherwise}; expected {EXPECTED}"
    )


def _style(texts: list[str]) -> str:
    """The style of the first value; which of day and month comes first, the first unambiguous value tells."""
    first = texts[0] if texts else ""
    for style in ("iso", "slash", "month"):
        if _PATTERNS[style].fullmatch(first):
            return style
    if not _PATTERNS["day first"].fullmatch(first):
        raise TimeError(_missing_or(first, f"{first!r} is no time"), 0)
    if "." in first[:3]:
        return "day first"
    pairs = [text.split("/")[:2] for text in texts]
    for pair in pairs:
        if len(pair) == 2 and pair[0].isdigit() and pair[1].isdigit():
            if int(pair[0]) > 12:
                return "day first"
            if int(pair[1]) > 12:
                return "month first"
    raise TimeError(f"{first!r} may be day/month or month/day; write times as 2016-07-31", 0)


def _convert(iso: list[str], texts: list[str]) -> Times:
    for row, text in enumerate(iso):
        if not YEARS[0] <= int(text[:4]) <= YEARS[1]:
            raise TimeError(f"{texts[row]!r}: years run from {YEARS[0]} to {YEARS[1]}", row)
    try:
        return np.array(iso, "datetime64[ns]")
    except ValueError:
        for row, text in enumerate(iso):
            try:
                np.datetime64(text, "ns")
            except ValueError as error:
                raise TimeError(f"{texts[row]!r} is no time of the calendar", row) from error
        raise


def _shift(zones: list[str], times: Times, form: TimeForm) -> tuple[Times, TimeForm]:
    """Times of a zone as UTC; a mixture of times with and without a zone is refused."""
    kinds = set(zones)
    if kinds == {""}:
        return times, form
    if "" in kinds:
        row = zones.index("") if zones[0] else next(n for n, z in enumerate(zones) if z)
        raise TimeError("some times have a zone and some have none; give all of them one", row)
    minutes = np.array([zone_minutes(zone) for zone in zones]).astype("timedelta64[m]")
    zone = zones[0] if len(kinds) == 1 else "+00:00"
    return times - minutes.astype("timedelta64[ns]"), replace(form, zone=zone)
