"""The yardsticks on ETTh1, all seven columns, 12, 4 and 4 months, scaled by training rows: their known figures."""

from __future__ import annotations

import os

import pytest

from gatework import metrics
from gatework.data import Scaler, Windows, catalogue, read_table, split_table


@pytest.mark.slow
@pytest.mark.skipif("GATEWORK_DATA" not in os.environ, reason="GATEWORK_DATA names no folder")
@pytest.mark.parametrize(
    ("horizon", "day", "last", "linear"), [(24, 0.424, 1.222, 0.318), (168, 0.571, 1.325, 0.397)]
)
def test_published_figures(horizon: int, day: float, last: float, linear: float) -> None:
    table = read_table(catalogue.get("etth1"), time="date", target="all")
    split = split_table(table, "8640,2880,2880")
    scaled = Scaler.fit(split).transform(table)
    train, test = (
        Windows(scaled, part, input_length=336, horizon=horizon)
        for part in (split.train, split.test)
    )
    assert (len(train), len(test)) == (8640 - 336 - horizon + 1, 2880 - horizon + 1)
    seen, asked = train.batch(), test.batch()
    fitted = metrics.linear_fit(seen["past"], seen["future"])
    answers = {
        day: metrics.seasonal_naive(asked["past"], horizon, 24),
        last: metrics.repeat_last(asked["past"], horizon),
        linear: metrics.linear_predict(fitted, asked["past"]),
    }
    for figure, answer in answers.items():
        assert metrics.mse(asked["future"], answer) == pytest.approx(figure, abs=0.001)
