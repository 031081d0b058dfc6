"""Which column is the time, which are targets and covariates; and numbers out of texts, mistakes named by line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from gatework.data.form import TimeForm
from gatework.data.grid import Times
from gatework.data.source import Raw, Source
from gatework.data.times import TimeError, looks_like_dates, parse_times

MISSING = frozenset(
    ("", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "missing")
)
_TIME_NAMES = ("date", "datetime", "timestamp", "time", "ds")
_RISING_NAMES = ("t", "day", "week", "month", "year", "index", "")  # times only where they rise
_COMMA = re.compile(r"[+-]?\d+,\d+")


@dataclass(frozen=True)
class Roles:
    """Names of the targets, of the covariates known up to now, and of those known ahead."""

    targets: tuple[str, ...]
    past: tuple[str, ...]
    known: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """All of them, in the order of a table's columns."""
        return self.targets + self.past + self.known


def find_time(
    source: Source, name: str | None, *, many: bool
) -> tuple[str | None, Times, TimeForm]:
    """The time column: its name, its times, and how they were written; counted rows where there is none.

    `many` says that there are several series, so that times need not rise throughout.

    Raises:
        FormatError: the named column does not exist, or a value in it is no time.
    """
    if name is None:
        name = _time_name(source, many)
    if name is None:
        source.notes.append("No time column was found, so rows count as equally spaced.")
        return None, np.arange(source.rows), TimeForm()
    try:
        times, form = parse_times(source.column(name, "time"))
    except TimeError as error:
        raise source.error(f"column {name!r}: {error}", error.row) from error
    if name in source.zones:
        form = TimeForm("datetime", zone=source.zones[name])
    elif form.zone not in ("", "Z"):
        source.notes.append(f"Times of column {name!r} were converted from {form.zone} to UTC.")
    if form.style in ("epoch", "compact", "day first", "month first"):
        source.notes.append(f"Column {name!r} was read as times of the kind {form.style!r}.")
    return name, times, form


def _time_name(source: Source, many: bool) -> str | None:
    """The column with a usual name whose values are times, else the first column of dates."""
    lower = {column.lower().strip(): column for column in reversed(source.columns)}
    for usual in _TIME_NAMES + _RISING_NAMES:
        raw = source.columns.get(lower.get(usual, usual))
        if raw is not None and _is_time(raw) and (usual in _TIME_NAMES or many or _rises(raw)):
            return lower[usual]
    dated = [column for column, raw in source.columns.items() if looks_like_dates(raw)]
    return dated[0] if dated else None


def _is_time(raw: Raw) -> bool:
    try:
        parse_times(raw[:100])
    except TimeError:
        return looks_like_dates(raw[:1])
    return True


def _rises(raw: Raw) -> bool:
    try:
        times, _ = parse_times(raw)
    except TimeError:
        return False
    return bool((times[1:] > times[:-1]).all())


def choose_columns(
    source: Source,
    target: str | Sequence[str] | None,
    past: tuple[str, ...],
    known: tuple[str, ...],
    others: set[str],
) -> Roles:
    """Roles of the columns; see `read_table`.

    Raises:
        FormatError: a column is unknown, has two roles, or the target is not given and not plain.
    """
    for name in past:
        source.column(name, "past")
    for name in known:
        source.column(name, "known")
    taken = [*others, *past, *known]
    if target is None or target == "all":
        free = [name for name in source.columns if name not in taken]
        targets = tuple(name for name in free if is_numeric(source.columns[name]))
        texts = [name for name in free if name not in targets]
        if target is None and len(targets) != 1:
            found = ", ".join(map(repr, targets)) or "none"
            raise source.error(
                f"which column is the target? Numeric columns: {found}; name one, several, or 'all'"
            )
        if not targets:
            raise source.error("no column holds numbers, so there is no target")
        if texts:
            source.notes.append(f"Columns of text were left out: {', '.join(texts)}.")
    else:
        targets = (target,) if isinstance(target, str) else tuple(target)
        for name in targets:
            source.column(name, "target")
    roles = Roles(targets, past, known)
    everything = [*roles.all, *others]
    doubled = sorted({name for name in everything if everything.count(name) > 1})
    if doubled or not targets:
        what = f"{doubled} have two roles" if doubled else "no target is given"
        raise source.error(f"{what}; a column is target, known, past, time or id")
    return roles


def is_numeric(raw: Raw) -> bool:
    """Whether more than half of the first thousand values that are there are numbers (or none is there)."""
    if not isinstance(raw, list):
        return raw.dtype.kind in "if"
    there = [*islice((text for text in raw if text.strip().lower() not in MISSING), 1000)]
    good = sum(1 for text in there if _number(text) is not None or _COMMA.fullmatch(text.strip()))
    return good * 2 > len(there) or not there


def read_numbers(source: Source, name: str, blank: bool = False) -> NDArray[np.float64]:
    """A column as float64, NaN where missing.

    Raises:
        FormatError: text or an infinity (the line is named), or no value at all, unless it may be blank.
    """
    raw = source.columns[name]
    if isinstance(raw, list):
        values = _from_texts(source, name, raw)
    elif raw.dtype.kind in "if":
        values = raw.astype(np.float64)
    else:
        raise source.error(f"column {name!r} holds times; expected numbers")
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise source.error(
            f"column {name!r} holds an infinity ({len(infinite)} in all); "
            "leave the cell empty where the value is missing",
            int(infinite[0]),
        )
    if np.isnan(values).all() and not blank:
        raise source.error(f"column {name!r} has no value at all; leave the column out")
    return values


def _from_texts(source: Source, name: str, raw: list[str]) -> NDArray[np.float64]:
    try:
        if not any("_" in text for text in raw):  # Python reads 1_000 as a number
            return np.array([float(text) if text else np.nan for text in raw])
    except ValueError:
        pass  # the careful way below names the cell or knows it as missing
    texts = [text.strip() for text in raw]
    if source.form.delimiter != "," and _decimal_commas(texts):
        source.notes.append(f"Column {name!r} was read with decimal commas.")
        texts = [text.replace(",", ".") for text in texts]
    values = np.empty(len(texts))
    for row, text in enumerate(texts):
        value = np.nan if text.lower() in MISSING else _number(text)
        if value is None:
            raise source.error(
                f"column {name!r} holds {raw[row]!r}; expected a number, or an empty cell "
                "where the value is missing",
                row,
            )
        values[row] = value
    return values


def _decimal_commas(texts: list[str]) -> bool:
    return any(map(_COMMA.fullmatch, texts)) and not any("." in text for text in texts)


def _number(text: str) -> float | None:
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None
