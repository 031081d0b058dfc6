"""The mean over what counts: shared by all metrics, with their check that truth, forecast and mask fit together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.errors import ShapeError

Float = NDArray[np.float64]


def same_shape(
    truth: ArrayLike, forecast: ArrayLike, mask: ArrayLike | None
) -> tuple[Float, Float, NDArray[np.bool_]]:
    """Truth, forecast (float64) and what counts: where the mask is True and the truth is not NaN.

    Raises:
        ShapeError: the shapes differ, or the mask is not boolean.
    """
    y, p = np.asarray(truth, np.float64), np.asarray(forecast, np.float64)
    if y.shape != p.shape:
        raise ShapeError(f"truth has shape {y.shape}, forecast {p.shape}; they must be equal")
    there = ~np.isnan(y)
    if mask is None:
        return y, p, there
    given = np.asarray(mask)
    if given.dtype != np.bool_:
        raise ShapeError(
            f"mask has dtype {given.dtype}; it must be boolean, True where an entry counts"
        )
    if given.shape != y.shape:
        raise ShapeError(f"mask has shape {given.shape}, truth {y.shape}; they must be equal")
    return y, p, there & given


def masked_mean(values: Float, there: NDArray[np.bool_], axis: int | tuple[int, ...] | None) -> Any:
    """Mean of `values` where `there`, NaN where nothing counts; a float for axis None, else float64."""
    total = np.sum(np.where(there, values, 0.0), axis=axis)
    count = np.sum(there, axis=axis)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return float(mean) if axis is None else mean
