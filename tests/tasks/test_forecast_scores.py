from typing import Any

import numpy as np
import pytest

from gatework.data import Windows
from gatework.runtime.forecast_answer import Answers, bounds
from gatework.runtime.forecast_plan import open_table
from gatework.tasks.forecast_options import ForecastOptions
from gatework.tasks.forecast_plan import prepare
from gatework.tasks.forecast_scores import Yardsticks, chosen_windows, headline
from tests.tasks.conftest import seasonal


@pytest.fixture
def two_shops() -> Any:
    """Two series, the second in units ten times as large."""
    one = seasonal(200)
    data = {
        "day": np.tile(one["day"], 2),
        "shop": np.repeat(["a", "b"], 200),
        "sales": np.concatenate([one["sales"], 10 * one["sales"]]),
    }
    options = ForecastOptions(horizon=6, input_length=24, season=12, id="shop")
    table, filled = open_table(data, options)
    plan, prepared = prepare(table, None, filled)
    return prepared, Yardsticks.fit(prepared, plan.season)


def test_each_series_has_its_own_scale_of_mase_and_an_unknown_one_their_mean(two_shops: Any):
    prepared, yardsticks = two_shops
    own = yardsticks.seasonal_error[:, 0]
    assert own[1] == pytest.approx(10 * own[0])
    windows: Windows = prepared.scored
    scale = yardsticks.scale(windows, np.arange(len(windows)))[:, 0, 0]
    np.testing.assert_array_equal(scale, np.where(np.array(windows.ids()) == "b", own[1], own[0]))
    stranger = Yardsticks(12, ("x", "y"), yardsticks.seasonal_error, yardsticks.linear)
    np.testing.assert_allclose(stranger.scale(windows, np.array([0]))[0, 0, 0], own.mean())


def test_yardsticks_come_back_from_their_arrays(two_shops: Any):
    prepared, yardsticks = two_shops
    again = Yardsticks.from_arrays(yardsticks.arrays(), 12)
    assert again.ids == ("a", "b")
    index = np.arange(5)
    for name, values in yardsticks.forecasts(prepared.scored, index, prepared.scaler).items():
        found = again.forecasts(prepared.scored, index, prepared.scaler)[name]
        np.testing.assert_array_equal(found, values)


def test_large_parts_are_scored_on_every_kth_window(
    monkeypatch: pytest.MonkeyPatch, two_shops: Any
):
    windows = two_shops[0].scored
    assert len(chosen_windows(windows, 1)) == len(windows)
    monkeypatch.setattr("gatework.tasks.forecast_scores._VALUES", 6 * 20)
    assert len(chosen_windows(windows, 1)) <= 20


def test_the_point_forecast_lies_inside_its_interval():
    point = np.array([[[5.0]], [[0.0]]])
    quantiles = np.array([[[[1.0, 4.0]]], [[[1.0, 4.0]]]])
    lower, upper = bounds(Answers(np.arange(2), point, point, quantiles), (0.1, 0.9), 0.8)
    assert lower.ravel().tolist() == [1.0, 0.0] and upper.ravel().tolist() == [5.0, 4.0]


@pytest.mark.parametrize(
    ("mine", "sentence"),
    [
        (1.0, "1: 50% below seasonal naive (12), 20% above linear; linear wins here."),
        (0.5, "0.5: 75% below seasonal naive (12), 40% below linear."),
        (5.0, "5: 2.5 times seasonal naive (12), 6 times linear; linear wins here."),
        (0.8334, "0.8334: 58% below seasonal naive (12), equal to linear."),
    ],
)
def test_the_headline_says_who_wins(mine: float, sentence: str):
    rows = [
        {"name": "LSTM", "mae": mine},
        {"name": "seasonal naive (12)", "mae": 2.0},
        {"name": "linear", "mae": 1 / 1.2},
    ]
    assert headline(rows, 1234, "test").endswith(sentence)
    assert headline(rows, 1234, "test").startswith(
        "Over 1,234 test windows the LSTM's mean absolute"
    )


def test_the_headline_of_a_constant_series_names_what_was_exact():
    rows = [{"name": "LSTM", "mae": 0.5}, {"name": "repeat last", "mae": 0.0}]
    assert headline(rows, 10, "test").endswith("is 0.5, while repeat last made no error at all.")
