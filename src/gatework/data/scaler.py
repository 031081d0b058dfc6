"""Standard scores per column: z = (x - mean) / scale, mean and scale from training rows only, by construction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatework.data.table import Table
from gatework.errors import FormatError, OptionError

if TYPE_CHECKING:
    from gatework.data.split import Split

_FARTHEST = 1e18  # in deviations
KINDS = ("standard", "none")


@dataclass(frozen=True)
class Scaler:
    """Mean and scale `[C]` of the columns named; scale is 1 for a constant column, never 0 or NaN."""

    columns: tuple[str, ...]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, split: Split, kind: str = "standard") -> Scaler:
        """Measures the training rows of `split`, missing values left out.

        Raises:
            OptionError: `kind` is unknown.
            FormatError: a column has no value at all in the training rows, or values beyond 1e150.
        """
        table = split.table
        if kind not in KINDS:
            raise OptionError(f"scaler kind is {kind!r}; known kinds: {', '.join(KINDS)}")
        count = len(table.columns)
        if kind == "none":
            return cls(table.columns, np.zeros(count), np.ones(count))
        spans = [(s, split.train.rows(s)) for s in table.series]
        rows = np.concatenate([s.values[first:last] for s, (first, last) in spans])  # [rows, C]
        there = ~np.isnan(rows)
        _refuse_empty(table.columns, there)
        n = there.sum(axis=0)
        mean = np.where(there, rows, 0.0).sum(axis=0) / n
        scale = np.sqrt(np.where(there, (rows - mean) ** 2, 0.0).sum(axis=0) / n)
        if not np.isfinite(scale).all():
            raise FormatError(
                "the training values are too large for a standard deviation in float64"
            )
        constant = scale <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
        return cls(table.columns, mean, np.where(constant, 1.0, scale))

    def transform(self, table: Table) -> Table:
        """The table with every column scaled; NaN stays NaN.

        Raises:
            FormatError: the table has other columns than the one the scaler was fitted on, or values so far from its
                mean that float32 cannot hold their squares.
        """
        if table.columns != self.columns:
            raise FormatError(
                f"the table has the columns {list(table.columns)}, "
                f"the scaler was fitted on {list(self.columns)}; name the same columns in the same roles"
            )
        scaled = [(s.values - self.mean) / self.scale for s in table.series]
        for values in scaled:
            far = np.argwhere(np.abs(values) > _FARTHEST)  # NaN is not
            if len(far):
                row, column = far[0]
                raise FormatError(
                    f"row {row + 1} of column {self.columns[column]!r} lies {abs(values[row, column]):.3g} deviations "
                    "from the mean of the training rows, which single precision cannot hold; correct or leave out"
                )
        return table.with_values(scaled)

    def inverse(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Back to the user's units: the last axis of `values` holds the first columns (the targets, say)."""
        m = values.shape[-1]
        return np.asarray(values, np.float64) * self.scale[:m] + self.mean[:m]

    def save(self) -> dict[str, NDArray[Any]]:
        """Plain arrays: `mean` and `scale` float64 `[C]`, `columns` the names as a JSON list in UTF-8 bytes."""
        names = np.frombuffer(json.dumps(self.columns).encode(), np.uint8)
        return {"mean": self.mean.copy(), "scale": self.scale.copy(), "columns": names.copy()}

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray[Any]]) -> Scaler:
        """The scaler that `save` wrote.

        Raises:
            FormatError: an array is absent, of another length, not finite, or a scale is not positive.
        """
        absent = [name for name in ("mean", "scale", "columns") if name not in arrays]
        if absent:
            raise FormatError(f"the scaler lacks {absent}; it holds {sorted(arrays)}")
        try:
            columns = tuple(json.loads(bytes(arrays["columns"].astype(np.uint8)).decode()))
        except ValueError as error:
            raise FormatError("the names of the scaler's columns are damaged") from error
        mean = np.asarray(arrays["mean"], np.float64)
        scale = np.asarray(arrays["scale"], np.float64)
        if mean.shape != (len(columns),) or scale.shape != mean.shape:
            raise FormatError(
                f"the scaler has {len(columns)} columns, but mean {mean.shape} and scale {scale.shape}"
            )
        if not (np.isfinite(mean).all() and np.isfinite(scale).all() and (scale > 0).all()):
            raise FormatError(
                "the scaler holds a mean or a scale that is no positive finite number"
            )
        return cls(columns, mean, scale)


def _refuse_empty(columns: tuple[str, ...], there: NDArray[np.bool_]) -> None:
    empty = [
        name
        for name, some in zip(columns, np.atleast_1d(there.any(axis=0)), strict=True)
        if not some
    ]
    if empty:
        raise FormatError(
            f"no value of {', '.join(map(repr, empty))} lies in the training rows; "
            "leave the column out or move the split"
        )
