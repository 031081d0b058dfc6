"""Data frames in and out through narwhals (pandas, polars, pyarrow), and Parquet files through pyarrow.

Zoned times become UTC, or stay local where all of them are midnights (daily data); they go back into their zone.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.data.form import Form
from gatework.data.source import Raw, Source, as_texts
from gatework.data.times import to_nanoseconds
from gatework.errors import FormatError, MissingExtraError

_DAY = 86_400 * 10**9


def read_parquet(path: Path) -> Source:
    """Columns of a Parquet file."""
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "train") from error
    import pyarrow

    try:
        table: Any = parquet.read_table(path)
    except FileNotFoundError as error:
        raise FormatError("there is no such file", path=path) from error
    except (pyarrow.ArrowException, OSError) as error:
        raise FormatError(f"not a readable Parquet file: {error}", path=path) from error
    source = read_frame(table)
    source.name, source.path = path.stem, str(path)
    return source


def read_frame(data: Any) -> Source:
    """Columns of a pandas, polars or pyarrow table; a named or dated pandas index counts as a column.

    Raises:
        FormatError: the object is no table, has no rows, or columns without text names.
    """
    narwhals = _narwhals()
    _refuse_odd_names(data)
    native = _with_index(data)
    try:
        frame: Any = narwhals.from_native(native, eager_only=True)
    except TypeError as error:
        raise FormatError(
            f"received {type(data).__name__}; expected a path, a pandas, polars or pyarrow table, "
            "or a dict of arrays (collect a lazy frame first)"
        ) from error
    kind = frame.implementation.name.lower()
    form = Form(kind if kind in ("pandas", "polars", "pyarrow") else "dict")
    if not len(frame):
        raise FormatError("the table has no rows")
    zones: dict[str, str] = {}
    columns = {str(name): _column(frame[name], str(name), zones) for name in frame.columns}
    return Source("data", form, columns, zones=zones)


def _refuse_odd_names(data: Any) -> None:
    """Column names that are no texts, or that occur twice, before anything is asked by name."""
    names: list[Any] = list(getattr(data, "columns", ()))
    if hasattr(data, "reset_index"):  # pandas; the others have texts only, each once
        odd = [name for name in names if not isinstance(name, str)]
        if odd:
            raise FormatError(f"column names must be texts, got {odd[0]!r}; rename the columns")
        index = [name for name in getattr(data.index, "names", ()) if name in names]
        twice = [name for name in names if names.count(name) > 1] + index
        if twice:
            raise FormatError(f"two columns are named {twice[0]!r} (the index counts); rename one")


def _narwhals() -> Any:
    try:
        import narwhals
    except ImportError as error:
        raise MissingExtraError("narwhals", "train") from error
    return narwhals


def _with_index(data: Any) -> Any:
    """A pandas table whose index holds dates or has a name, with that index as its first column(s)."""
    index: Any = getattr(data, "index", None)
    names: Any = getattr(index, "names", None)
    if index is None or names is None or not hasattr(data, "reset_index"):
        return data
    if hasattr(index, "to_timestamp"):
        data = data.set_axis(index.to_timestamp())
        index = data.index
    dated = getattr(getattr(index, "dtype", None), "kind", "") == "M"
    return data.reset_index() if dated or any(name is not None for name in names) else data


def _column(series: Any, name: str, zones: dict[str, str]) -> Raw:
    narwhals = _narwhals()
    dtype = series.dtype
    if isinstance(dtype, narwhals.Datetime):
        return _datetimes(series, name, zones)
    if dtype == narwhals.Date:
        return to_nanoseconds(series.cast(narwhals.Datetime("us")).to_numpy(), name)
    if dtype.is_integer() and not series.is_null().any():
        return np.asarray(series.to_numpy()).astype(np.int64)
    if dtype.is_numeric() or dtype == narwhals.Boolean:
        return np.asarray(series.cast(narwhals.Float64).to_numpy(), np.float64)
    return as_texts(series.to_list())


def _datetimes(series: Any, name: str, zones: dict[str, str]) -> NDArray[Any]:
    zone = series.dtype.time_zone
    if zone is None:
        return to_nanoseconds(series.to_numpy(), name)
    local = to_nanoseconds(series.dt.replace_time_zone(None).to_numpy(), name)
    utc = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy()
    midnights = not (local.astype(np.int64) % _DAY).any()
    zones[name] = f"{'local' if midnights else 'utc'} {zone}"
    return local if midnights else to_nanoseconds(utc, name)


def make_frame(columns: Mapping[str, Any], form: Form, time_zone: str = "") -> Any:
    """Columns as a table of the kind that `form` names; datetime columns in `time_zone` as `read_frame` noted it."""
    narwhals = _narwhals()
    frame: Any = narwhals.from_dict(dict(columns), backend=form.kind)
    if time_zone:
        how, zone = time_zone.split(" ", 1)
        for name in columns:
            if isinstance(frame[name].dtype, narwhals.Datetime):
                start = narwhals.col(name).dt.replace_time_zone("UTC" if how == "utc" else zone)
                frame = frame.with_columns(start.dt.convert_time_zone(zone))
    return frame.to_native()


def write_parquet(columns: Mapping[str, Any], path: Path) -> None:
    """Writes columns of equal length; the file appears whole or not at all."""
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "train") from error
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        beside = Path(folder) / path.name
        parquet.write_table(pyarrow.table(dict(columns)), beside)
        os.replace(beside, path)
