import numpy as np
import pytest

from gatework.tasks.forecast_quantiles import quantile_shifts, with_training


def test_shifted_quantiles_hold_on_new_examples():
    rng = np.random.default_rng(0)
    scale = np.array([1.0, 3.0])
    forecast = np.zeros((2000, 3, 2, 2))
    shifts = quantile_shifts(rng.normal(0, scale, (2000, 3, 2)), forecast, (0.1, 0.9))
    fresh = rng.normal(0, scale, (20000, 3, 2))
    inside = (fresh >= shifts[..., 0]) & (fresh <= shifts[..., 1])
    np.testing.assert_allclose(inside.mean(axis=0), 0.8, atol=0.03)


def test_missing_truth_is_left_out():
    truth = np.arange(99.0).reshape(99, 1, 1)
    gaps = np.concatenate([truth, np.full((50, 1, 1), np.nan)])
    forecast = np.zeros((149, 1, 1, 2))
    np.testing.assert_equal(
        quantile_shifts(gaps, forecast, (0.1, 0.9)),
        quantile_shifts(truth, forecast[:99], (0.1, 0.9)),
    )


def test_windows_that_overlap_widen_the_interval():
    truth = np.random.default_rng(0).normal(size=(400, 1, 1))
    forecast = np.zeros((400, 1, 1, 2))
    narrow = quantile_shifts(truth, forecast, (0.1, 0.9))
    wide = quantile_shifts(truth, forecast, (0.1, 0.9), overlap=20.0)
    assert wide[0, 0, 0] < narrow[0, 0, 0] and wide[0, 0, 1] > narrow[0, 0, 1]


def test_few_windows_share_one_shift_over_the_horizon():
    truth = np.random.default_rng(0).normal(size=(10, 8, 1))
    shifts = quantile_shifts(truth, np.zeros((10, 8, 1, 1)), (0.9,))
    assert shifts.shape == (8, 1, 1) and np.ptp(shifts) == 0


def test_nothing_observed_shifts_nothing():
    shifts = quantile_shifts(np.full((3, 2, 1), np.nan), np.zeros((3, 2, 1, 2)), (0.1, 0.9))
    np.testing.assert_equal(shifts, np.zeros((2, 1, 2)))


def test_training_errors_are_made_as_large_as_those_of_validation_and_never_smaller():
    ones, zeros = np.ones((4, 2, 1)), np.zeros((4, 2, 1, 3))
    truth, quantiles = with_training(3 * ones, zeros, ones, zeros)
    assert np.all(truth == 3) and quantiles.shape == (8, 2, 1, 2)
    truth, _ = with_training(ones, zeros, 3 * ones, zeros)
    assert truth[0, 0, 0] == pytest.approx(3.0)
