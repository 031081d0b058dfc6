"""Numbers and times in words."""

import numpy as np
import pytest

from gatework.look.scores import columns_of
from gatework.look.wording import column_numbers, count, duration, moment, number, plain


@pytest.mark.parametrize(
    "value, text",
    [
        (0.41873, "0.419"),
        (12.345, "12.3"),
        (123456.7, "123,457"),
        (0.0123, "0.0123"),
        (-2.5, "−2.50"),
        (0.0, "0.00"),
        (1e-7, "1.00e−07"),
        (float("nan"), "–"),
        (None, "–"),
    ],
)
def test_number(value, text):
    assert number(value) == text


def test_a_column_has_one_number_of_decimals():
    assert column_numbers([0.0457, 0.1574, None]) == ["0.0457", "0.1574", "–"]
    assert column_numbers([371.2, 12.0]) == ["371.2", "12.0"]
    assert column_numbers([0.0, 0.0]) == ["0.00", "0.00"]
    assert column_numbers([3e7, 2.0]) == ["3.00e+07", "2.00"]


@pytest.mark.parametrize(
    "text, words",
    [
        ("1998-01-03", "1998-01-03"),
        ("2016-07-01T13:00", "2016-07-01 13:00"),
        ("2016-07-01T13:00:05", "2016-07-01 13:00:05"),
        ("NaT", "–"),
    ],
)
def test_moment(text, words):
    assert moment(np.datetime64(text, "ns")) == words


def test_moment_of_a_number_and_the_rest():
    assert moment(np.float64(17)) == "17"
    assert moment(2016.5) == "2016.5"
    assert plain({"a": 1}) == "{'a': 1}"
    assert plain(()) == "none"
    assert count(0, "row") == "0 rows"
    assert duration(59.7) == "60 s" and duration(3600) == "1 h 0 min"


def test_scores_mark_every_equal_best_and_skip_what_nobody_has():
    rows = [{"name": "a", "mae": 1.0, "rmse": float("nan")}, {"name": "b", "mae": 1.0}]
    columns = columns_of(rows)
    assert [column.key for column in columns] == ["mae"]
    assert columns[0].best == [True, True]
