"""Forecasts that follow the measurements as they arrive: many series in one call, the last rows of each as the state.

The network reads a window of fixed length and starts anew in each, so what a stream must remember are the window's
rows, in the user's units. The answers are those of `predict` on the whole table.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.data import Table, read_table, to_frame
from gatework.data.grid import Step
from gatework.data.table import Series
from gatework.errors import FormatError, OptionError, ShapeError
from gatework.runtime.folder import array_texts, text_array
from gatework.runtime.forecast_answer import answer_columns, need_known
from gatework.runtime.forecast_model import AnsweringModel
from gatework.runtime.forecast_plan import reopen_table
from gatework.runtime.state import read_arrays
from gatework.weights.tensor_file import write_tensors

_KIND = "gatework.forecast-state"
_LONGEST = 1000  # steps of the grid for each row


def _nothing(_: str) -> None:
    """The id of an only series."""


_READ = {"s": str, "i": int, "n": _nothing}  # ids, by the letter that is stored


@dataclass(frozen=True)
class SeriesRows:
    """The last rows of one series: increasing times `[T]` and values `[T, C]`, NaN where missing."""

    times: NDArray[Any]
    values: NDArray[np.float64]

    def followed_by(self, later: SeriesRows) -> SeriesRows:
        """Both, in the order of time; where both have a time, the later row counts."""
        times = np.concatenate([self.times, later.times])
        values = np.concatenate([self.values, later.values])
        order = np.argsort(times, kind="stable")
        last = np.append(times[order][1:] != times[order][:-1], True)
        return SeriesRows(times[order][last], values[order][last])

    def last_rows(self, count: int, targets: int) -> SeriesRows:
        """The last `count` rows up to the last observed target, and what follows them."""
        there = np.flatnonzero(~np.isnan(self.values[:, :targets]).all(axis=1))
        end = int(there[-1]) + 1 if len(there) else len(self.times)
        return SeriesRows(self.times[max(0, end - count) :], self.values[max(0, end - count) :])


class ForecastState:
    """What a stream of forecasts remembers: the last rows of each series, by the series' name.

    Args:
        columns: names of the values, as the trained model has them.
        series: the rows by the id of the series; None is the name of an only one.
        step: of the regular times, once it is known.
    """

    def __init__(
        self, columns: Sequence[str], series: dict[Any, SeriesRows], step: Step | None = None
    ):
        self.columns, self.series, self.step = tuple(columns), dict(series), step

    @property
    def names(self) -> tuple[Any, ...]:
        """Ids of the series."""
        return tuple(self.series)

    def __len__(self) -> int:
        return len(self.series)

    def __repr__(self) -> str:
        return f"ForecastState({len(self)} series: {', '.join(self.columns)})"

    def __getitem__(self, which: Any) -> ForecastState:
        """Some series, by an id or a list of them.

        Raises:
            IndexError: there is no such series.
        """
        names = which if isinstance(which, list | tuple) else [which]
        absent = [name for name in names if name not in self.series]
        if absent:
            raise IndexError(f"there is no series {absent[0]!r} among {list(self.names)[:8]}")
        return ForecastState(self.columns, {name: self.series[name] for name in names}, self.step)

    @staticmethod
    def join(states: Iterable[ForecastState]) -> ForecastState:
        """The series of several states; where two have the same series, the later one counts.

        Raises:
            ShapeError: no state, or states of models with other columns.
        """
        parts = list(states)
        if len({part.columns for part in parts}) != 1:
            raise ShapeError("expected states of one model, which have the same columns")
        series = {name: rows for part in parts for name, rows in part.series.items()}
        known = [part.step for part in parts if part.step is not None]
        return ForecastState(parts[0].columns, series, known[0] if known else None)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the state into one safetensors file.

        Raises:
            OSError: the place cannot be written.
        """
        kinds = "".join(
            {str: "s", int: "i", type(None): "n"}.get(type(name), "?") for name in self.names
        )
        names = [str(name) for name in self.names]
        arrays = {"columns": text_array(list(self.columns)), "names": text_array(names)}
        for k, rows in enumerate(self.series.values()):
            arrays |= {f"times.{k}": _plain_times(rows.times), f"values.{k}": rows.values}
        dated = any(rows.times.dtype.kind == "M" for rows in self.series.values())
        step = None if self.step is None else asdict(self.step)
        words = {"kind": _KIND, "names": kinds, "dated": str(int(dated)), "step": json.dumps(step)}
        return write_tensors(path, arrays, words)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> ForecastState:
        """Read a state that `save` wrote.

        Raises:
            FormatError: no such file, damaged, or no state of forecasts.
        """
        arrays, words = read_arrays(Path(path))
        if words.get("kind") != _KIND:
            wanted = "expected one of ForecastState.save"
            raise FormatError(f"this file holds no state of forecasts; {wanted}", path=path)
        try:
            columns = array_texts(arrays["columns"])
            step = json.loads(words["step"])
            series = _series_of(arrays, words, len(columns))
            return ForecastState(columns, series, None if step is None else Step(**step))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise FormatError(f"the file is damaged: {error}", path=path) from error


class ForecastStream:
    """Forecasts of a trained model that go on with every new row; `ForecastRuntime.stream` makes it.

    Args:
        model: what answers.
        state: to go on from; none of any series when absent.

    Attributes:
        state: the last rows of each series; may be replaced, by one with fewer series say.

    Raises:
        ShapeError: the state is of a model with other columns.
    """

    def __init__(self, model: AnsweringModel[Any], state: ForecastState | None = None):
        columns = (*model.plan.targets, *model.plan.past, *model.plan.known)
        if state is not None and not isinstance(state, ForecastState):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OptionError(
                f"state is {type(state).__name__}; expected a ForecastState, or its load(path)"
            )
        if state is not None and state.columns != columns:
            raise ShapeError(f"the state has the columns {state.columns}; this model has {columns}")
        self._model = model
        self.state = ForecastState(columns, {}) if state is None else state

    def step(self, data: Any) -> Any:
        """Takes new rows, and forecasts every series that they are of and whose window is full.

        Args:
            data: a table with the columns of the training data, one or more rows of one or more series; a row at a time
                that is known already replaces it. Rows with the target empty bring known covariates.

        Returns:
            What `predict` returns, for those series; None where no window is full yet.

        Raises:
            FormatError: the table cannot be read, or a known covariate does not go on over the horizon.
        """
        table = reopen_table(data, self._model.plan, blank=True)
        arrived = {
            one.id: SeriesRows(*self._rows(one.id, one.times, one.values, table))
            for one in table.series
        }
        series = self.state.series | {
            name: self._after(name, rows) for name, rows in arrived.items()
        }
        found = self._forecast({name: series[name] for name in arrived}, table)
        self.state = ForecastState(self.state.columns, series, self.state.step)
        return found

    def _rows(self, name: Any, times: NDArray[Any], values: Any, table: Table) -> tuple[Any, Any]:
        """Rows on their times; where the table has none, they are counted on."""
        known = self.state.series.get(name)
        if table.time_name is None and known is not None:
            times = times + known.times[-1] + 1
        return times, values

    def _after(self, name: Any, rows: SeriesRows) -> SeriesRows:
        known = self.state.series.get(name)
        longer = rows if known is None else known.followed_by(rows)
        return longer.last_rows(self._model.plan.input_length, len(self._model.plan.targets))

    def _forecast(self, series: dict[Any, SeriesRows], table: Table) -> Any:
        model, m = self._model, len(self._model.plan.targets)
        whole = self._regular(series, table)
        full = tuple(
            one for one in whole.series if _past_rows(one.values, m) >= model.plan.input_length
        )
        if not full:
            return None
        ready = replace(whole, series=full)
        windows = model.latest(ready)
        need_known(windows, model.plan, ready)
        answers = model.answers(windows, np.arange(len(windows)))
        return to_frame(answer_columns(windows, answers, ready, model.options), like=table)

    def _regular(self, series: dict[Any, SeriesRows], table: Table) -> Table:
        """The rows on their regular grid, in the roles of `table`: that of the training data once it is known.

        Raises:
            FormatError: a time lies beside the grid, or a gap is too long.
        """
        if self.state.step is None:
            found = _laid_out(series, self.state.columns, table)
            if str(found.step) == str(self._model.plan.step):
                self.state.step = found.step
            return found
        step = self.state.step
        named = tuple(_on_grid(name, rows, step) for name, rows in series.items())
        return replace(table, series=named, step=step, notes=())


def _past_rows(values: NDArray[np.float64], targets: int) -> int:
    there = np.flatnonzero(~np.isnan(values[:, :targets]).all(axis=1))
    return int(there[-1]) + 1 if len(there) else 0


def _laid_out(series: dict[Any, SeriesRows], columns: Sequence[str], like: Table) -> Table:
    """The rows on the grid that they seem to lie on, in the roles of `like`."""
    counts = [len(rows.times) for rows in series.values()]
    source: dict[str, Any] = {"time": np.concatenate([rows.times for rows in series.values()])}
    values = np.concatenate([rows.values for rows in series.values()])
    wanted = [f"value {k}" for k in range(len(columns))]
    source |= {"series": np.repeat(np.arange(len(series)), counts)}
    source |= {name: values[:, k] for k, name in enumerate(wanted)}
    found = read_table(source, time="time", target=wanted, id="series", blank=True)
    names = list(series)
    named = tuple(replace(one, id=names[one.id]) for one in found.series)
    return replace(like, series=named, step=found.step, notes=())


def _on_grid(name: Any, rows: SeriesRows, step: Step) -> Series:
    positions = step.positions(rows.times)
    series = "" if name is None else f" of series {name!r}"
    if positions is None:
        raise FormatError(
            f"a time{series} from {rows.times[0]} to {rows.times[-1]} lies beside the grid of the data so far, {step}"
        )
    count = int(positions[-1]) + 1
    if count > _LONGEST * len(rows.times):
        raise FormatError(
            f"between {rows.times[0]} and {rows.times[-1]}{series} there are {count} steps of {step} and "
            f"{len(rows.times)} rows; leave the old rows out of the state"
        )
    values = np.full((count, rows.values.shape[1]), np.nan)
    values[positions] = rows.values
    return Series(name, step.grid(rows.times[:1], count), values)


def _plain_times(times: NDArray[Any]) -> NDArray[Any]:
    return times.astype(np.int64) if times.dtype.kind == "M" else times


def _series_of(
    arrays: dict[str, NDArray[Any]], words: dict[str, str], width: int
) -> dict[Any, SeriesRows]:
    """The rows by id, in the order in which they were written."""
    names = [
        _READ[kind](name)
        for kind, name in zip(words["names"], array_texts(arrays["names"]), strict=True)
    ]
    found: dict[Any, SeriesRows] = {}
    for k, name in enumerate(names):
        times, values = arrays[f"times.{k}"], np.asarray(arrays[f"values.{k}"], np.float64)
        if times.ndim != 1 or values.shape != (len(times), width) or (np.diff(times) <= 0).any():
            raise ValueError(f"times {times.shape} and values {values.shape} do not fit")
        found[name] = SeriesRows(times.view("M8[ns]") if words["dated"] == "1" else times, values)
    return found
