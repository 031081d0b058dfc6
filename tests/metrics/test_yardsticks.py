"""Yardsticks against plain loops, with gaps; the linear one recovers a linear process and ignores a shift of level."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatework import metrics
from gatework.errors import ShapeError


def loop_seasonal(window: np.ndarray, horizon: int, period: int) -> list[float]:
    """The last observed value of the phase, else the last observed value, else NaN; one channel."""
    result = []
    for step in range(horizon):
        row = len(window) + step - period
        while row >= len(window):
            row -= period
        while row >= 0 and math.isnan(window[row]):
            row -= period
        seen = window[~np.isnan(window)]
        last = seen[-1] if len(seen) else math.nan
        result.append(window[row] if row >= 0 else last)
    return result


@given(
    st.integers(1, 20),
    st.integers(1, 8),
    st.integers(1, 9),
    st.sampled_from([0.0, 0.4, 1.0]),
    st.integers(0, 99),
)
def test_seasonal_naive_and_repeat_last_against_loops(
    length, period, horizon, missing, seed
) -> None:
    random = np.random.default_rng(seed)
    past = random.normal(size=(3, length, 2))
    mask = random.random(past.shape) >= missing
    if period > length:
        with pytest.raises(ShapeError, match="season"):
            metrics.seasonal_naive(past, horizon, period, mask)
        return
    answer = metrics.seasonal_naive(past, horizon, period, mask)
    last = metrics.repeat_last(past, horizon, mask)
    holes = np.where(mask, past, np.nan)
    for n in range(3):
        for c in range(2):
            np.testing.assert_array_equal(
                answer[n, :, c], loop_seasonal(holes[n, :, c], horizon, period)
            )
            np.testing.assert_array_equal(
                last[n, :, c], loop_seasonal(holes[n, :, c], 1, 1) * horizon
            )


def waves(n: int, length: int) -> np.ndarray:
    """Windows of two channels of sums of waves with a level of their own, exactly linear in their past."""
    random = np.random.default_rng(0)
    t = np.arange(length)[None, :, None]
    phase = random.uniform(0, 6, size=(n, 1, 2))
    return np.sin(t / 3 + phase) + 0.5 * np.cos(t / 5 + phase) + random.normal(size=(n, 1, 2)) * 9


@pytest.mark.parametrize("per_channel", [False, True])
def test_linear_recovers_a_linear_process_whatever_its_level(per_channel: bool) -> None:
    windows = waves(200, 30)
    fitted = metrics.linear_fit(
        windows[:, :20], windows[:, 20:], ridge=1e-10, per_channel=per_channel
    )
    assert fitted.weights.shape == (2 if per_channel else 1, 20, 10)
    fresh = waves(250, 30)[200:] + 1000.0
    np.testing.assert_allclose(
        metrics.linear_predict(fitted, fresh[:, :20]), fresh[:, 20:], atol=1e-3
    )


def test_linear_equals_ridge_regression_by_stacked_rows() -> None:
    random = np.random.default_rng(1)
    past, future = random.normal(size=(40, 5, 1)), random.normal(size=(40, 3, 1))
    fitted = metrics.linear_fit(past, future, ridge=0.3)
    inputs, outputs = past[..., 0] - past[:, -1], future[..., 0] - past[:, -1]
    weight = 0.3 * (inputs**2).sum() / 5
    rows = np.concatenate([inputs, np.sqrt(weight) * np.eye(5)])
    rows = np.concatenate([rows, np.r_[np.ones(40), np.zeros(5)][:, None]], axis=1)
    wanted = np.linalg.lstsq(rows, np.concatenate([outputs, np.zeros((5, 3))]), rcond=None)[0]
    np.testing.assert_allclose(fitted.weights[0], wanted[:5], atol=1e-8)
    np.testing.assert_allclose(fitted.offsets[0], wanted[5], atol=1e-8)


def test_linear_with_gaps() -> None:
    windows = waves(300, 30)
    past, future = windows[:, :20].copy(), windows[:, 20:].copy()
    past[::7, 3] = np.nan
    future[::5, 2, 0] = np.nan
    fitted = metrics.linear_fit(past, future)
    assert np.isfinite(metrics.linear_predict(fitted, past)).all()
    whole = np.delete(np.arange(300), np.arange(0, 300, 5))
    alone = metrics.linear_fit(past[whole][..., :1], future[whole][..., :1])
    same = metrics.linear_fit(past[..., :1], future[..., :1])
    np.testing.assert_allclose(alone.weights, same.weights)
    spoiled = np.where(np.isnan(future), 1e9, future)
    masked = metrics.linear_fit(past, spoiled, None, ~np.isnan(future))
    np.testing.assert_array_equal(masked.weights, fitted.weights)
    assert np.isnan(metrics.linear_predict(fitted, np.full((1, 20, 2), np.nan))).all()


def test_constant_windows_are_legal() -> None:
    ones = np.ones((10, 8, 1))
    fitted = metrics.linear_fit(ones[:, :5], ones[:, 5:])
    np.testing.assert_allclose(metrics.linear_predict(fitted, ones[:, :5]), ones[:, 5:])


def test_what_does_not_fit_is_refused() -> None:
    past, future = np.ones((4, 5, 2)), np.ones((4, 3, 2))
    with pytest.raises(ShapeError, match="n and M"):
        metrics.linear_fit(past, future[:3])
    with pytest.raises(ShapeError, match="without gaps"):
        metrics.linear_fit(past, np.full_like(future, np.nan))
    fitted = metrics.linear_fit(past, future, per_channel=True)
    with pytest.raises(ShapeError, match="5 steps and 2 channels"):
        metrics.linear_predict(fitted, past[..., :1])
    with pytest.raises(ShapeError, match="mask"):
        metrics.repeat_last(past, 2, np.ones((4, 5), bool))
    with pytest.raises(ShapeError, match="expected"):
        metrics.repeat_last(past[0], 2)
