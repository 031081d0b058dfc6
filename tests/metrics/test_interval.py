"""Interval metrics: coverage of a known share, the pinball loss is least at the true quantile, the score is proper."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gatework import metrics

DRAWS = np.random.default_rng(0).normal(size=20_000)


def around(bound: float) -> tuple[np.ndarray, np.ndarray]:
    return np.full_like(DRAWS, -bound), np.full_like(DRAWS, bound)


def test_coverage_of_a_normal_interval() -> None:
    assert metrics.coverage(DRAWS, *around(1.2815516)) == pytest.approx(0.8, abs=0.01)
    assert metrics.coverage([1.0, 2.0], [1.0, 2.0], [1.0, 2.0]) == 1.0
    assert metrics.coverage([1.0, np.nan], [0.0, 5.0], [1.0, 6.0]) == 1.0
    assert math.isnan(metrics.coverage([1.0], [np.nan], [2.0]))


def test_masks_and_axes() -> None:
    truth, low, high = np.array([[0.0, 9.0], [0.0, 0.0]]), -np.ones((2, 2)), np.ones((2, 2))
    mask = np.array([[True, False], [True, True]])
    assert metrics.coverage(truth, low, high, mask) == 1.0
    assert metrics.coverage(truth, low, high, axis=0).tolist() == [1.0, 0.5]
    assert metrics.width(truth, low, high, mask) == 2.0


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_pinball_is_least_at_the_quantile(level: float) -> None:
    grid = np.linspace(-2, 2, 81)
    losses = [metrics.pinball(DRAWS, np.full_like(DRAWS, q), level) for q in grid]
    assert grid[int(np.argmin(losses))] == pytest.approx(np.quantile(DRAWS, level), abs=0.06)


def test_interval_score_is_two_pinballs() -> None:
    low, high = around(0.7)
    level = 0.8
    both = metrics.pinball(DRAWS, low, 0.1) + metrics.pinball(DRAWS, high, 0.9)
    assert metrics.interval_score(DRAWS, low, high, level) == pytest.approx(2 / (1 - level) * both)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 90.0])
def test_levels_lie_between_zero_and_one(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        metrics.pinball([1.0], [1.0], level)
    with pytest.raises(ValueError, match="level"):
        metrics.interval_score([1.0], [0.0], [1.0], level)
