"""Answers back in the user's own form: the same kind of table, times written in the same way; or a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gatework.data.csv_file import write_csv
from gatework.data.form import TimeForm
from gatework.data.frame import make_frame, write_parquet
from gatework.data.table import Table
from gatework.data.written import format_times
from gatework.errors import OptionError


def to_frame(columns: Mapping[str, Any], like: Table) -> Any:
    """Columns as the kind of table that `like` was read from.

    Args:
        columns: equally long arrays by name; the one called like the time column of `like` holds times as `like` does.
        like: a pandas, polars or pyarrow source gives back the same kind; a CSV file or a dict gives a dict of arrays.

    >>> from gatework.data import read_table
    >>> to_frame({"y": [1.5]}, read_table({"t": [1, 2], "y": [1.0, 2.0]}, time="t"))
    {'y': array([1.5])}
    """
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    if like.form.kind in ("csv", "dict"):
        return arrays if like.form.times.style == "datetime" else _written(arrays, like)
    times = like.form.times
    if times.style != "datetime":
        return make_frame(_written(arrays, like), like.form)
    return make_frame(arrays, like.form, times.zone)


def write_table(columns: Mapping[str, Any], path: str | Path, like: Table | None = None) -> Path:
    """Writes columns as CSV or Parquet, by the ending of `path`; the file appears whole or not at all.

    Args:
        columns: equally long arrays by name.
        path: ends in .csv, .tsv, .txt, .parquet or .pq.
        like: the table whose way of writing times (and whose delimiter) is kept in a CSV file.

    Raises:
        OptionError: another ending, or a folder that does not exist.

    >>> write_table({"step": [1, 2], "forecast": [0.5, 0.25]}, "answer.csv").read_text().split()
    ['step,forecast', '1,0.5', '2,0.25']
    """
    target = Path(path)
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    if not target.parent.is_dir():
        raise OptionError(f"cannot write {target}: there is no folder {target.parent}")
    if target.suffix.lower() in (".parquet", ".pq"):
        write_parquet(arrays, target)
    elif target.suffix.lower() in (".csv", ".tsv", ".txt"):
        delimiter = (
            "\t" if target.suffix.lower() == ".tsv" else like.form.delimiter if like else ","
        )
        write_csv(_written(arrays, like), target, delimiter)
    else:
        raise OptionError(f"{target}: the ending must be .csv, .tsv, .txt, .parquet or .pq")
    return target


def _written(arrays: Mapping[str, Any], like: Table | None) -> dict[str, Any]:
    """The arrays with the time column written as in the source (other date columns as ISO)."""
    result: dict[str, Any] = {}
    for name, values in arrays.items():
        own = like is not None and name == like.time_name
        if own or values.dtype.kind == "M":
            form = like.form.times if own and like is not None else TimeForm("iso")
            written = format_times(values, form)
            result[name] = np.asarray(written)
        else:
            result[name] = values
    return result
