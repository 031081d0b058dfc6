"""Numbers that judge quantiles and intervals: coverage, width, pinball loss, interval score.

truth, forecast, lower and upper have one shape; mask and axis are those of `metrics.point`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gatework.errors import OptionError
from gatework.metrics.masked import masked_mean, same_shape
from gatework.metrics.point import Axis


def coverage(
    truth: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    axis: Axis = None,
) -> Any:
    """Share of true values inside [lower, upper], both ends included; to be compared with the interval's level.

    >>> coverage([1.0, 2.0, 3.0, 9.0], [0.0, 0.0, 0.0, 0.0], [4.0, 4.0, 4.0, 4.0])
    0.75
    """
    y, low, there = same_shape(truth, lower, mask)
    _, high, _ = same_shape(truth, upper, mask)
    inside = np.where(np.isnan(low) | np.isnan(high), np.nan, (low <= y) & (y <= high))
    return masked_mean(inside, there, axis)


def width(
    truth: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    axis: Axis = None,
) -> Any:
    """Mean of upper - lower where the truth is known, in the unit of y: what the coverage costs.

    >>> width([1.0, 2.0], [0.0, 1.0], [2.0, 5.0])
    3.0
    """
    _, low, there = same_shape(truth, lower, mask)
    _, high, _ = same_shape(truth, upper, mask)
    return masked_mean(high - low, there, axis)


def pinball(
    truth: ArrayLike,
    forecast: ArrayLike,
    level: float,
    mask: ArrayLike | None = None,
    *,
    axis: Axis = None,
) -> Any:
    """Pinball loss of a quantile, mean of max(q e, (q - 1) e) with e = y - ŷ; least for the true quantile.

    Args:
        level: q, strictly between 0 and 1.

    Source: R. Koenker, G. Bassett, Regression quantiles, 1978, equation 3.1.

    >>> pinball([2.0, 0.0], [1.0, 1.0], level=0.75)
    0.5
    """
    _check_level(level)
    y, p, there = same_shape(truth, forecast, mask)
    error = y - p
    return masked_mean(np.maximum(level * error, (level - 1.0) * error), there, axis)


def interval_score(
    truth: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    level: float,
    mask: ArrayLike | None = None,
    *,
    axis: Axis = None,
) -> Any:
    """Interval score: width plus 2/(1 - level) times the distance by which the truth lies outside; smaller is better.

    Args:
        level: coverage that the interval claims, 0.8 say.

    Source: T. Gneiting, A. E. Raftery, Strictly proper scoring rules, prediction, and estimation, 2007, equation 43.

    >>> interval_score([1.0, 4.0], [0.0, 0.0], [2.0, 2.0], level=0.5)
    6.0
    """
    _check_level(level)
    y, low, there = same_shape(truth, lower, mask)
    _, high, _ = same_shape(truth, upper, mask)
    outside = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
    return masked_mean(high - low + 2.0 / (1.0 - level) * outside, there, axis)


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise OptionError(f"level is {level}; it lies strictly between 0 and 1")
