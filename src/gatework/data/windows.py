"""Windows over a table: an input of L steps and the H steps that follow, cut by array indexing, gaps masked.

A window belongs to the part in which its whole horizon lies; its input may reach back into the part before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.data.split import Part
from gatework.data.table import Series, Table
from gatework.data.window_faults import no_window, refuse_blank, refuse_short, too_short
from gatework.errors import FormatError, OptionError

_CHUNK = 2048  # windows gathered at once in float64
Ints = NDArray[np.int64]


class Windows:
    """All windows of one part of a (scaled) table.

    Args:
        table: usually what `Scaler.transform` returned.
        part: `split.train`, `split.validation` or `split.test`; None for the whole table.
        input_length: L, steps that the network sees.
        horizon: Hh, steps to forecast.
        stride: distance of neighbouring windows of a series, in rows.
        relative: "last" subtracts each target's last observed input value from input and future; "none" does not.

    Windows without a single observed target in their input, or in their future, are left out; `dropped` counts them.

    Raises:
        OptionError: a length or the stride is below 1, or `relative` is unknown.
        FormatError: a series is shorter than one window (all such ids are listed), or no window fits into the part.

    >>> from gatework.data import read_table
    >>> table = read_table({"t": list(range(10)), "y": list(range(10))}, time="t", target="y")
    >>> windows = Windows(table, input_length=3, horizon=2)
    >>> len(windows), windows.batch([0])["future"][0, :, 0], windows.batch([0])["level"]
    (6, array([1., 2.], dtype=float32), array([[2.]], dtype=float32))
    """

    def __init__(
        self,
        table: Table,
        part: Part | None = None,
        *,
        input_length: int,
        horizon: int,
        stride: int = 1,
        relative: str = "last",
    ) -> None:
        self._lay_out(table, input_length, horizon, stride, relative)
        part = Part("whole table", None, None) if part is None else part
        refuse_short(table, input_length + horizon, f"{input_length} + {horizon}")
        starts = [_starts(s, part, input_length, horizon, stride) for s in table.series]
        self._place(starts)
        if not len(self):
            raise FormatError(no_window(table, part, input_length, horizon))
        self._drop(self._observed(self._positions - self.input_length, self.input_length))
        self._drop(self._observed(self._positions, self.horizon))
        if not len(self):
            raise FormatError(
                f"all {self.dropped} windows of the {part.name} part have an input or a future "
                "without any observed target"
            )

    @classmethod
    def latest(
        cls, table: Table, *, input_length: int, horizon: int, relative: str = "last"
    ) -> Windows:
        """One window per series, whose forecast starts after the last observed target; nothing of its future is used.

        The table is extended where it ends before the horizon does. Known covariates of the horizon are read from the
        rows that the table has there; `known_mask` says where there are none.

        Raises:
            FormatError: a series has fewer than `input_length` rows before its forecast, or no observed target.
        """
        origins = [_after_last_target(s, len(table.targets)) for s in table.series]
        refuse_blank(table, origins)
        ahead = zip(origins, table.series, strict=True)
        absent = max(origin + horizon - len(series) for origin, series in ahead)
        short = [s.id for s, o in zip(table.series, origins, strict=True) if o < input_length]
        if short:
            raise FormatError(too_short(short, table, f"{input_length} rows before the forecast"))
        windows = cls.__new__(cls)
        longer = table.extended(absent) if absent > 0 else table
        windows._lay_out(longer, input_length, horizon, 1, relative)
        windows._place([np.array([origin]) for origin in origins])
        return windows

    def __len__(self) -> int:
        return len(self._positions)

    def batch(self, index: Any = None) -> dict[str, NDArray[Any]]:
        """The windows at `index` (integers, slice or mask; None for all) as arrays.

        Returns:
            past `[n, L, C]` (0 where missing), past_mask `[n, L, C]`, known `[n, Hh, K]` (0 where missing), known_mask
            `[n, Hh, K]`, future `[n, Hh, M]` (0 where missing), future_mask `[n, Hh, M]`, level `[n, M]` (to be added
            to a forecast; 0 when relative="none"), series `[n]` (number of the series in `table.series`), position
            `[n]` (row of the first forecast step in that series). Values float32, masks bool, numbers int64.
        """
        chosen = self._chosen(index)
        c, m, k = len(self.table.columns), len(self.table.targets), len(self.table.known)
        result = _blank(len(chosen), self.input_length, self.horizon, c, m, k)
        for first in range(0, len(chosen), _CHUNK):
            rows = slice(first, first + _CHUNK)
            self._fill(result, rows, self._positions[chosen[rows]])
        result["series"] = self._series[chosen]
        result["position"] = self._positions[chosen] - self._offsets[self._series[chosen]]
        return result

    def history(self, index: Any, length: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Targets `[n, length, M]` before the forecast, in the frame of `batch`, and their mask.

        For yardsticks that look further back than the network does. The mask is False before a series begins.
        """
        chosen = self._chosen(index)
        m = len(self.table.targets)
        values = np.zeros((len(chosen), length, m), np.float32)
        mask = np.zeros((len(chosen), length, m), np.bool_)
        begins = self._offsets[self._series[chosen]]
        for first in range(0, len(chosen), _CHUNK):
            rows = slice(first, first + _CHUNK)
            at = self._positions[chosen[rows]]
            reach = at[:, None] + np.arange(-length, 0)  # [n, length]
            inside = reach >= begins[rows, None]
            gathered = self._values[np.where(inside, reach, 0), :m]  # [n, length, M]
            gathered -= self._levels(at)[:, None]
            mask[rows] = ~np.isnan(gathered) & inside[:, :, None]
            values[rows] = np.where(mask[rows], gathered, 0.0)
        return values, mask

    def times(self, index: Any = None) -> NDArray[Any]:
        """Times of the forecast steps `[n, Hh]`."""
        return self._times[self._positions[self._chosen(index)][:, None] + np.arange(self.horizon)]

    def past_times(self, index: Any = None) -> NDArray[Any]:
        """Times of the input steps `[n, L]`."""
        reach = np.arange(-self.input_length, 0)
        return self._times[self._positions[self._chosen(index)][:, None] + reach]

    def ids(self, index: Any = None) -> list[Any]:
        """Ids of the series of the windows."""
        return [self.table.series[n].id for n in self._series[self._chosen(index)]]

    def _lay_out(
        self, table: Table, input_length: int, horizon: int, stride: int, relative: str
    ) -> None:
        """All series end to end, and for every row the latest row at or before it that holds a value."""
        lengths = {"input_length": input_length, "horizon": horizon, "stride": stride}
        wrong = [f"{name}={value}" for name, value in lengths.items() if value < 1]
        if wrong:
            raise OptionError(f"{', '.join(wrong)}: each counts rows and starts at 1")
        if relative not in ("last", "none"):
            raise OptionError(f"relative={relative!r}; known: 'last', 'none'")
        self.table, self.relative = table, relative
        self.input_length, self.horizon, self.stride = input_length, horizon, stride
        self.dropped = 0
        self._offsets = np.cumsum([0] + [len(s) for s in table.series])
        self._values = np.concatenate([s.values for s in table.series])  # [rows, C]
        self._times = np.concatenate([s.times for s in table.series])  # [rows]
        there = ~np.isnan(self._values[:, : len(table.targets)])
        rows = np.where(there, np.arange(len(there))[:, None], -1)
        self._latest = np.maximum.accumulate(rows, axis=0)  # [rows, M], of any series
        self._seen = np.concatenate([[0], np.cumsum(there.any(axis=1))])  # [rows + 1]

    def _place(self, starts: list[Ints]) -> None:
        """`starts` are rows of the first forecast step, one array per series."""
        counts = [len(rows) for rows in starts]
        self._series = np.repeat(np.arange(len(starts)), counts)
        self._positions = np.concatenate(starts).astype(np.int64) + self._offsets[self._series]

    def _observed(self, first: Ints, count: int) -> NDArray[np.bool_]:
        return self._seen[first + count] > self._seen[first]

    def _drop(self, keep: NDArray[np.bool_]) -> None:
        self.dropped += int((~keep).sum())
        self._positions, self._series = self._positions[keep], self._series[keep]

    def _chosen(self, index: Any) -> Ints:
        everything = np.arange(len(self))
        return everything if index is None else np.atleast_1d(everything[index])

    def _levels(self, at: Ints) -> NDArray[np.float64]:
        """The last observed value of each target in the input, 0 where there is none `[n, M]`."""
        m = len(self.table.targets)
        if self.relative == "none":
            return np.zeros((len(at), m))
        rows = self._latest[at - 1]  # [n, M]
        inside = rows >= (at - self.input_length)[:, None]
        return np.where(inside, self._values[np.where(inside, rows, 0), np.arange(m)], 0.0)

    def _fill(self, result: dict[str, NDArray[Any]], rows: slice, at: Ints) -> None:
        m, k = len(self.table.targets), len(self.table.known)
        level = self._levels(at)
        past = self._values[at[:, None] + np.arange(-self.input_length, 0)]  # [n, L, C]
        past[..., :m] -= level[:, None]
        ahead = self._values[at[:, None] + np.arange(self.horizon)]  # [n, Hh, C]
        result["level"][rows] = level
        _split_missing(past, result["past"][rows], result["past_mask"][rows])
        future = ahead[..., :m] - level[:, None]
        _split_missing(future, result["future"][rows], result["future_mask"][rows])
        known = ahead[..., ahead.shape[-1] - k :]
        _split_missing(known, result["known"][rows], result["known_mask"][rows])


def _blank(n: int, past: int, ahead: int, c: int, m: int, k: int) -> dict[str, NDArray[Any]]:
    shapes = {"past": (n, past, c), "known": (n, ahead, k), "future": (n, ahead, m)}
    result: dict[str, NDArray[Any]] = {}
    for name, shape in shapes.items():
        result[name] = np.empty(shape, np.float32)
        result[f"{name}_mask"] = np.empty(shape, np.bool_)
    result["level"] = np.empty((n, m), np.float32)
    return result


def _split_missing(source: NDArray[Any], values: NDArray[Any], mask: NDArray[Any]) -> None:
    np.isnan(source, out=mask)
    np.logical_not(mask, out=mask)
    values[...] = np.where(mask, source, 0.0)


def _starts(series: Series, part: Part, input_length: int, horizon: int, stride: int) -> Ints:
    first, last = part.rows(series)
    return np.arange(max(first, input_length), last - horizon + 1, stride)


def _after_last_target(series: Series, targets: int) -> int:
    there = ~np.isnan(series.values[:, :targets]).all(axis=1)
    return int(np.flatnonzero(there)[-1]) + 1 if there.any() else 0
