"""`read_table`: opens a source, gives its columns their roles, and lays each series on the regular time grid."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gatework.data.csv_file import read_csv
from gatework.data.form import Form
from gatework.data.frame import read_frame, read_parquet
from gatework.data.layout import lay_out
from gatework.data.roles import choose_columns, find_time, read_numbers
from gatework.data.source import Raw, Source, as_texts
from gatework.data.table import Table
from gatework.data.times import to_nanoseconds
from gatework.errors import FormatError


def read_table(
    source: Any,
    *,
    time: str | None = None,
    target: str | Sequence[str] | None = None,
    known: Sequence[str] = (),
    past: Sequence[str] = (),
    id: str | None = None,
    name: str | None = None,
    blank: bool = False,
) -> Table:
    """Reads a table of measurements and lays it on its regular time grid.

    Args:
        source: path of a CSV or Parquet file, a pandas, polars or pyarrow table, or a dict of equally long arrays.
        time: the time column; None finds it by its name and content, or counts the rows where there is none.
        target: column or columns to forecast, "all" for every numeric column that has no other use, None for the only
            numeric column there is.
        known: covariates whose future values are known at forecast time.
        past: covariates known up to now only.
        id: the column that tells the series apart.
        name: what the data is called; by default the file's stem, else "data".
        blank: a column may be without any value, as few rows of a stream may.

    Returns:
        The `Table`; missing values and absent rows are NaN.

    Raises:
        FormatError: unreadable file, unknown column (the nearest name is offered), text or infinity in a number column
            (with its line), duplicate or unsorted times (with their lines), a column without any value.

    >>> table = read_table({"t": [1, 2, 4], "y": [1.0, 2.0, 4.0]}, time="t", target="y")
    >>> table.series[0].values[:, 0]
    array([ 1.,  2., nan,  4.])
    """
    if isinstance(source, Table):
        raise FormatError("this is a Table already; pass it on as it is")
    opened = open_source(source)
    time_name, times, form = find_time(opened, time, many=id is not None)
    ids = None if id is None else opened.column(id, "id")
    others = {column for column in (time_name, id) if column is not None}
    roles = choose_columns(opened, target, tuple(past), tuple(known), others)
    values = np.stack(
        [read_numbers(opened, column, blank) for column in roles.all], axis=1
    )  # [rows, C]
    series, step = lay_out(opened, times, values, ids, id)
    return Table(
        series=series,
        targets=roles.targets,
        past=roles.past,
        known=roles.known,
        time_name=time_name,
        id_name=id,
        step=step,
        name=name or opened.name,
        notes=tuple(opened.notes),
        form=replace(opened.form, times=form),
    )


def open_source(source: Any) -> Source:
    """Columns of a file, a data frame or a dict, before any role.

    Raises:
        FormatError: the source cannot be read as a table.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        suffix = path.suffix.lower()
        return read_parquet(path) if suffix in (".parquet", ".pq") else read_csv(path)
    if isinstance(source, Mapping):
        return _from_mapping(source)
    return read_frame(source)


def _from_mapping(source: Mapping[Any, Any]) -> Source:
    columns = {str(name): _raw(str(name), values) for name, values in source.items()}
    lengths = {name: len(values) for name, values in columns.items()}
    if not columns or len(set(lengths.values())) > 1:
        raise FormatError(f"the arrays of a dict must be equally long; received {lengths}")
    if not max(lengths.values()):
        raise FormatError("the table has no rows")
    return Source("data", Form("dict"), columns)


def _raw(name: str, values: Any) -> Raw:
    array = np.asarray(values)
    if array.ndim != 1:
        raise FormatError(f"column {name!r} has shape {array.shape}; expected one axis")
    if array.dtype.kind == "M":
        return to_nanoseconds(array, name)
    if array.dtype.kind in "biu":
        return array.astype(np.int64)
    if array.dtype.kind == "f":
        return array.astype(np.float64)
    return as_texts(array.tolist())
