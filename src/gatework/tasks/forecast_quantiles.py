"""Conformal calibration: shift each quantile so that it held on windows that the weights were not fitted to.

Source: Y. Romano, E. Patterson, E. J. Candès, Conformalized quantile regression, 2019, equation 6 (one shift per side).
Its guarantee is for exchangeable examples. Neighbouring windows share most of their steps, so n windows count as
n / overlap examples, which widens the intervals; where that leaves too few, training windows join with their errors
made larger (`with_training`). The coverage on the scored part is measured and printed all the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

INDEPENDENT = 20  # windows without overlap below which the validation part alone says too little about the tails
_FEWEST = 40  # observed windows below which the steps of the horizon share one shift


def quantile_shifts(
    truth: ArrayLike, forecast: ArrayLike, quantiles: tuple[float, ...], overlap: float = 1.0
) -> NDArray[np.float64]:
    """The shift per step, target and quantile that makes each quantile hold.

    Args:
        truth: `[n, Hh, M]`, NaN where nothing was observed.
        forecast: quantiles `[n, Hh, M, Q]`.
        quantiles: their levels, Q of them.
        overlap: how many neighbouring windows count as one example.

    Returns:
        `[Hh, M, Q]`, to be added to the forecast quantiles; 0 where nothing was observed.

    Example:
        >>> truth = np.arange(99.0).reshape(99, 1, 1)
        >>> quantile_shifts(truth, np.zeros((99, 1, 1, 1)), (0.9,)).item()
        89.0
    """
    y, q = np.asarray(truth, np.float64), np.asarray(forecast, np.float64)
    errors = y[..., None] - q  # [n, Hh, M, Q]
    if len(errors) and (~np.isnan(y)).sum(axis=0).min() >= _FEWEST:
        return _order_statistic(errors, quantiles, overlap)
    n, steps, m, count = errors.shape
    pooled = _order_statistic(
        errors.reshape(n * steps, 1, m, count), quantiles, max(overlap, 1.0) * steps
    )
    return np.repeat(pooled, steps, axis=0)


def with_training(
    truth: NDArray[np.float64],
    outputs: NDArray[np.float64],
    train_truth: NDArray[np.float64],
    train_outputs: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Validation and training windows together, the errors of the latter made as large as the former's on average.

    Args:
        truth, train_truth: `[n, Hh, M]`, NaN where nothing was observed.
        outputs, train_outputs: point forecast and quantiles `[n, Hh, M, 1 + Q]`.

    Returns:
        Truth and quantiles of both, as `quantile_shifts` takes them. Errors are never made smaller.
    """
    error, train_error = truth - outputs[..., 0], train_truth - train_outputs[..., 0]
    ratio = float(np.nanmean(np.abs(error)) / max(float(np.nanmean(np.abs(train_error))), 1e-300))
    larger = train_outputs[..., 0] + max(ratio, 1.0) * train_error
    quantiles = np.concatenate([train_outputs[..., 1:], outputs[..., 1:]])
    return np.concatenate([larger, truth]), quantiles


def _order_statistic(
    errors: NDArray[np.float64], quantiles: tuple[float, ...], overlap: float
) -> NDArray[np.float64]:
    """The error at level q (n + 1) / n of n independent examples, mirrored for lower quantiles; at most the extreme."""
    ordered = np.sort(errors, axis=0)  # NaN at the end
    count = (~np.isnan(errors)).sum(axis=0)  # [Hh, M, Q]
    independent = np.maximum(count / max(overlap, 1.0), 1.0)
    q = np.asarray(quantiles)
    upper = np.minimum(np.maximum(q, 1.0 - q) * (independent + 1.0) / independent, 1.0)
    rank = np.ceil(
        np.round(upper * count, 6)
    )  # from below for upper quantiles, from above for lower ones
    rank = np.where(q >= 0.5, rank, count + 1 - rank)
    at = np.clip(rank, 1, np.maximum(count, 1)).astype(np.int64) - 1
    found = np.take_along_axis(ordered, at[None], axis=0)[0]
    return np.where(count > 0, found, 0.0)
