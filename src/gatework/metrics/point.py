"""Numbers that judge one forecast value against one true value: MAE, MSE, RMSE, bias, MASE.

Every function takes truth and forecast of one shape and an optional mask (True counts). NaN in the truth never
counts; NaN in a forecast that counts makes the number NaN. `axis` as in `numpy.mean`; None gives one float.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.errors import OptionError
from gatework.metrics.masked import masked_mean, same_shape

Axis = int | tuple[int, ...] | None


def mae(
    truth: ArrayLike, forecast: ArrayLike, mask: ArrayLike | None = None, *, axis: Axis = None
) -> Any:
    """Mean absolute error, mean of |y - ŷ|, in the unit of y.

    >>> mae([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
    1.0
    """
    y, p, there = same_shape(truth, forecast, mask)
    return masked_mean(np.abs(y - p), there, axis)


def mse(
    truth: ArrayLike, forecast: ArrayLike, mask: ArrayLike | None = None, *, axis: Axis = None
) -> Any:
    """Mean squared error, mean of (y - ŷ)², in the squared unit of y.

    >>> mse([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    y, p, there = same_shape(truth, forecast, mask)
    return masked_mean((y - p) ** 2, there, axis)


def rmse(
    truth: ArrayLike, forecast: ArrayLike, mask: ArrayLike | None = None, *, axis: Axis = None
) -> Any:
    """Root of the mean squared error, in the unit of y.

    >>> rmse([1.0, 2.0], [1.0, 2.0])
    0.0
    """
    root = np.sqrt(mse(truth, forecast, mask, axis=axis))
    return float(root) if axis is None else root


def bias(
    truth: ArrayLike, forecast: ArrayLike, mask: ArrayLike | None = None, *, axis: Axis = None
) -> Any:
    """Mean of ŷ - y, in the unit of y: positive where the forecast is too high.

    >>> bias([1.0, 2.0], [2.0, 2.0])
    0.5
    """
    y, p, there = same_shape(truth, forecast, mask)
    return masked_mean(p - y, there, axis)


def seasonal_error(series: ArrayLike, period: int = 1) -> NDArray[np.float64]:
    """Mean |y_t - y_(t-period)| of the training rows, per column: the scale of MASE.

    Args:
        series: training values `[T, M]` or `[T]`, NaN where missing; pairs with a missing value are left out.
        period: m, the season in steps.

    Returns:
        `[M]` (or a 0-d array); NaN where no pair is observed.

    Source: R. J. Hyndman, A. B. Koehler, Another look at measures of forecast accuracy, 2006, section 3.

    >>> seasonal_error([1.0, 2.0, 4.0])
    array(1.5)
    """
    y = np.asarray(series, np.float64)
    if period < 1:
        raise OptionError(f"period is {period}; it counts steps and starts at 1")
    distance = np.abs(y[period:] - y[:-period])
    return np.asarray(masked_mean(distance, ~np.isnan(distance), 0))


def mase(
    truth: ArrayLike,
    forecast: ArrayLike,
    scale: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    axis: Axis = None,
) -> Any:
    """Mean absolute scaled error, mean of |y - ŷ| / scale: below 1 is better than the seasonal naive in training.

    Args:
        truth, forecast: `[..., M]`.
        scale: `seasonal_error` of the training rows, broadcast against truth (`[M]`, or `[n, 1, M]` per window).
            Entries whose scale is 0 or NaN (constant training series) have no scaled error and do not count.
        mask: True where an entry counts.

    Source: R. J. Hyndman, A. B. Koehler, Another look at measures of forecast accuracy, 2006, section 3.

    >>> mase([1.0, 3.0], [2.0, 3.0], scale=0.5)
    1.0
    """
    y, p, there = same_shape(truth, forecast, mask)
    q = np.broadcast_to(np.asarray(scale, np.float64), y.shape)
    usable = q > 0
    return masked_mean(np.abs(y - p) / np.where(usable, q, 1.0), there & usable, axis)
