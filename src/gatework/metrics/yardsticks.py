"""Naive forecasts that every model is printed beside: repeat the last value, repeat the last season, a linear map.

All of them read windows, past `[n, L, M]`, with missing entries NaN or False in mask, and answer `[n, Hh, M]`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.errors import ShapeError

Float = NDArray[np.float64]
_CHUNK = 8192  # windows summed at once


def repeat_last(past: ArrayLike, horizon: int, mask: ArrayLike | None = None) -> Float:
    """Every forecast step is the last observed value; NaN where a window has none.

    >>> repeat_last([[[1.0], [3.0]]], horizon=2)[0, :, 0]
    array([3., 3.])
    """
    x = _read(past, mask)
    return np.repeat(_forward_filled(x)[:, -1:], horizon, axis=1)  # [n, Hh, M]


def seasonal_naive(
    past: ArrayLike, horizon: int, period: int, mask: ArrayLike | None = None
) -> Float:
    """Each forecast step is the last observed value of its phase, ŷ_(t+h) = y_(t+h-km) with the least k that fits.

    A phase that was never observed in the window falls back on the last observed value, NaN where a window has none.

    Args:
        past: `[n, L, M]`, L at least `period`.
        horizon: Hh, steps to forecast.
        period: m, the season in steps.
        mask: `[n, L, M]`, True where observed; None: everything that is not NaN.

    Raises:
        ShapeError: the window is shorter than one period.

    >>> seasonal_naive([[[1.0], [2.0], [3.0]]], horizon=3, period=2)[0, :, 0]
    array([2., 3., 2.])
    """
    x = _read(past, mask)
    n, length, channels = x.shape
    if not 1 <= period <= length:
        raise ShapeError(
            f"the window has {length} steps, the season {period}; give at least one whole season"
        )
    head = np.full((n, -length % period, channels), np.nan)
    recent = np.concatenate([head, x], axis=1).reshape(n, -1, period, channels)
    latest = _forward_filled(recent)[:, -1]  # [n, period, M]
    phases = np.take(latest, np.arange(horizon) % period, axis=1)  # [n, Hh, M]
    return np.where(np.isnan(phases), repeat_last(x, horizon), phases)


@dataclass(frozen=True)
class Linear:
    """Weights `[1 or M, L, Hh]` and offsets `[1 or M, Hh]` of `linear_fit`; 1 where the channels share them."""

    weights: Float
    offsets: Float


def linear_fit(
    past: ArrayLike,
    future: ArrayLike,
    past_mask: ArrayLike | None = None,
    future_mask: ArrayLike | None = None,
    *,
    ridge: float = 1e-4,
    per_channel: bool = False,
) -> Linear:
    """NLinear by least squares: future - last = (past - last) W + b, solved in float64 with a small ridge.

    Missing inputs repeat the value observed before them (before the first one: that first one); windows whose
    future has gaps are left out, channel by channel.

    Args:
        past: training windows `[n, L, M]`.
        future: their continuation `[n, Hh, M]`.
        past_mask: `[n, L, M]`, True where observed; None: everything that is not NaN.
        future_mask: `[n, Hh, M]`, likewise.
        ridge: weight of |W|² relative to the mean square of the inputs times their number.
        per_channel: one map per channel instead of one for all.

    Raises:
        ShapeError: past and future do not fit together, or no window has a gapless future.

    Source: A. Zeng, M. Chen, L. Zhang, Q. Xu, Are transformers effective for time series forecasting?, 2023, section 4.

    >>> windows = np.cumsum(np.ones((8, 5, 1)), axis=1) * np.arange(1, 9)[:, None, None]
    >>> fitted = linear_fit(windows[:, :3], windows[:, 3:], ridge=1e-9)
    >>> np.round(linear_predict(fitted, windows[:1, :3])[0, :, 0], 3)
    array([4., 5.])
    """
    x, y = _read(past, past_mask), _read(future, future_mask)
    if x.shape[0] != y.shape[0] or x.shape[2] != y.shape[2]:
        raise ShapeError(f"past has shape {x.shape}, future {y.shape}; n and M must be equal")
    channels = range(x.shape[2])
    sums = [_moments(x[..., c], y[..., c]) for c in channels]
    if not per_channel:
        grams, crosses, counts = zip(*sums, strict=True)
        sums = [(np.sum(grams, axis=0), np.sum(crosses, axis=0), sum(counts))]
    if any(count == 0 for _, _, count in sums):
        raise ShapeError("no window has a future without gaps, so nothing can be fitted")
    solved = [_solve(gram, cross, ridge) for gram, cross, _ in sums]
    both = np.stack(solved)  # [1 or M, L + 1, Hh]
    return Linear(both[:, :-1], both[:, -1])


def linear_predict(linear: Linear, past: ArrayLike, mask: ArrayLike | None = None) -> Float:
    """The forecast `[n, Hh, M]` of `linear_fit`'s weights for windows `[n, L, M]`; NaN where nothing was observed.

    >>> linear = Linear(np.ones((1, 2, 1)), np.zeros((1, 1)))  # the sum of both inputs, each relative to the last one
    >>> linear_predict(linear, [[[1.0], [3.0]]])
    array([[[1.]]])
    """
    x = _read(past, mask)
    length, maps = linear.weights.shape[1], len(linear.weights)
    if x.shape[1] != length or maps not in (1, x.shape[2]):
        raise ShapeError(
            f"past has shape {x.shape}; the linear model was fitted on {length} steps"
            + ("" if maps == 1 else f" and {maps} channels")
        )
    forecast = np.empty((x.shape[0], linear.weights.shape[2], x.shape[2]))
    for c in range(x.shape[2]):
        inputs, last = _relative(x[..., c])
        w = c if maps > 1 else 0
        forecast[..., c] = inputs @ linear.weights[w] + linear.offsets[w] + last
    return forecast


def _read(values: ArrayLike, mask: ArrayLike | None) -> Float:
    """Windows `[n, T, M]` in float64, NaN where the mask is False."""
    x = np.asarray(values, np.float64)
    if x.ndim != 3 or x.shape[1] == 0:
        raise ShapeError(f"windows have shape {x.shape}; expected [n, steps, channels] with steps")
    if mask is None:
        return x
    there = np.asarray(mask)
    if there.dtype != np.bool_ or there.shape != x.shape:
        raise ShapeError(
            f"mask is {there.dtype} of shape {there.shape}; expected bool of shape {x.shape}"
        )
    return np.where(there, x, np.nan)


def _forward_filled(x: Float) -> Float:
    """Axis 1 filled forwards: every entry is the last observed one up to it, NaN before the first."""
    there = ~np.isnan(x)
    if there.all():
        return x
    steps = np.arange(x.shape[1]).reshape((1, -1) + (1,) * (x.ndim - 2))
    latest = np.maximum.accumulate(np.where(there, steps, 0), axis=1)
    return np.take_along_axis(x, latest, axis=1)


def _relative(x: Float) -> tuple[Float, Float]:
    """One channel's windows `[n, L]` minus their last observed value `[n, 1]`, gaps filled from their neighbours."""
    filled = _forward_filled(x)
    last = filled[:, -1:]
    head = np.isnan(filled)
    if head.any():
        firsts = np.take_along_axis(x, np.argmax(~np.isnan(x), axis=1)[:, None], axis=1)
        filled = np.where(head, firsts, filled)
    return filled - last, last


def _moments(x: Float, y: Float) -> tuple[Float, Float, int]:
    """Sums A'A `[L + 1, L + 1]` and A'Y `[L + 1, Hh]` over the windows with gapless future; A has a column of ones."""
    length, horizon = x.shape[1], y.shape[1]
    gram, cross, count = np.zeros((length + 1, length + 1)), np.zeros((length + 1, horizon)), 0
    usable = np.flatnonzero(~np.isnan(y).any(axis=1) & ~np.isnan(x).all(axis=1))
    for first in range(0, len(usable), _CHUNK):
        rows = usable[first : first + _CHUNK]
        inputs, last = _relative(x[rows])
        a = np.concatenate([inputs, np.ones((len(rows), 1))], axis=1)  # [n, L + 1]
        gram += a.T @ a
        cross += a.T @ (y[rows] - last)
        count += len(rows)
    return gram, cross, count


def _solve(gram: Float, cross: Float, ridge: float) -> Float:
    """Least squares with a ridge on the weights, none on the offset."""
    length = len(gram) - 1
    size = np.trace(gram[:-1, :-1]) / length
    penalty = np.full(length + 1, ridge * max(size, 1e-12))
    penalty[-1] = 1e-12 * gram[-1, -1]
    return np.asarray(np.linalg.solve(gram + np.diag(penalty), cross), np.float64)
