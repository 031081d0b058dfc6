"""Point metrics against the same numbers by plain loops, masks, and what happens where nothing counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatework import metrics
from gatework.errors import ShapeError

POINT = [metrics.mae, metrics.mse, metrics.rmse, metrics.bias]


def entries(seed: int, shape: tuple[int, ...] = (4, 3, 2)):
    random = np.random.default_rng(seed)
    truth, forecast = random.normal(size=shape), random.normal(size=shape)
    truth[random.random(shape) < 0.2] = np.nan
    return truth, forecast, random.random(shape) < 0.7


def listed(truth, forecast, mask) -> list[tuple[float, float]]:
    triples = zip(truth.ravel(), forecast.ravel(), mask.ravel(), strict=True)
    return [(y, p) for y, p, m in triples if m and not math.isnan(y)]


@given(st.integers(0, 1000))
def test_against_loops(seed: int) -> None:
    truth, forecast, mask = entries(seed)
    pairs = listed(truth, forecast, mask)
    n = len(pairs)
    wanted = {
        metrics.mae: sum(abs(y - p) for y, p in pairs) / n,
        metrics.mse: sum((y - p) ** 2 for y, p in pairs) / n,
        metrics.rmse: math.sqrt(sum((y - p) ** 2 for y, p in pairs) / n),
        metrics.bias: sum(p - y for y, p in pairs) / n,
    }
    for metric, value in wanted.items():
        assert metric(truth, forecast, mask) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("metric", POINT)
def test_what_is_masked_does_not_count_and_axes_are_kept(metric) -> None:
    truth, forecast, mask = entries(1)
    spoiled = np.where(mask, truth, 1e9)
    assert metric(spoiled, forecast, mask) == metric(truth, forecast, mask)
    by_step = metric(truth, forecast, mask, axis=(0, 2))
    assert by_step.shape == (3,)
    for step in range(3):
        one = metric(truth[:, step], forecast[:, step], mask[:, step])
        assert by_step[step] == pytest.approx(one)
    assert math.isnan(metric(truth, forecast, np.zeros_like(mask)))
    assert math.isnan(metric(np.ones(3), np.array([1.0, np.nan, 1.0])))


@pytest.mark.parametrize("metric", POINT)
def test_shapes_that_do_not_fit(metric) -> None:
    with pytest.raises(ShapeError, match="truth has shape"):
        metric(np.ones(3), np.ones((3, 1)))
    with pytest.raises(ShapeError, match="boolean"):
        metric(np.ones(3), np.ones(3), np.ones(3))
    with pytest.raises(ShapeError, match="mask has shape"):
        metric(np.ones(3), np.ones(3), np.ones(2, bool))


def test_seasonal_error_leaves_out_gaps() -> None:
    series = np.array([[1.0, 5.0], [2.0, np.nan], [4.0, 5.0], [np.nan, 5.0], [9.0, 8.0]])
    np.testing.assert_allclose(metrics.seasonal_error(series, 2), [(3 + 5) / 2, (0 + 3) / 2])
    assert np.isnan(metrics.seasonal_error(series, 5)).all()
    with pytest.raises(ValueError, match="period"):
        metrics.seasonal_error(series, 0)


def test_mase_of_the_seasonal_naive_in_training_is_one() -> None:
    series = np.random.default_rng(0).normal(size=(50, 2)).cumsum(0)
    scale = metrics.seasonal_error(series, 7)
    assert metrics.mase(series[7:], series[:-7], scale) == pytest.approx(1.0)


def test_mase_leaves_out_constant_series() -> None:
    truth, forecast = np.ones((2, 3, 2)), np.zeros((2, 3, 2))
    assert metrics.mase(truth, forecast, np.array([0.0, 2.0])) == 0.5
    assert math.isnan(metrics.mase(truth, forecast, np.array([0.0, np.nan])))
    per_window = np.array([[[1.0, 2.0]], [[4.0, 8.0]]])
    assert metrics.mase(truth, forecast, per_window) == pytest.approx((1 + 0.5 + 0.25 + 0.125) / 4)
