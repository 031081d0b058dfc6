"""Splits lie in time and are the only thing a scaler is fitted on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatework.data import Scaler, Table, read_table, split_table
from gatework.errors import FormatError, OptionError


def counted(rows: int) -> Table:
    return read_table({"t": np.arange(rows), "y": np.arange(rows) * 2.0}, time="t", target="y")


def sizes(table: Table, text: str) -> list[tuple[int, int]]:
    split = split_table(table, text)
    return [part.rows(table.series[0]) for part in (split.train, split.validation, split.test)]


def test_three_ways_of_saying_it() -> None:
    table = counted(100)
    assert sizes(table, "0.7, 0.1, 0.2") == [(0, 70), (70, 80), (80, 100)]
    assert sizes(table, "50,20,10") == [(0, 50), (50, 70), (70, 80)]
    assert sizes(table, "50,20,30") == [(0, 50), (50, 70), (70, 100)]
    assert sizes(table, "60,90") == [(0, 60), (60, 90), (90, 100)]
    assert sizes(table, "0.5,0.5,0") == [(0, 50), (50, 100), (100, 100)]


def test_dates_and_series_that_begin_at_different_times() -> None:
    days = np.arange("2020-01-01", "2020-01-11", dtype="datetime64[D]").astype("datetime64[ns]")
    data = {
        "d": np.concatenate([days, days[5:]]),
        "y": np.ones(15),
        "id": ["a"] * 10 + ["b"] * 5,
    }
    table = read_table(data, target="y", id="id")
    split = split_table(table, "2020-01-07,2020-01-09")
    assert [split.train.rows(s) for s in table.series] == [(0, 6), (0, 1)]
    assert [split.validation.rows(s) for s in table.series] == [(6, 8), (1, 3)]
    assert [split.test.rows(s) for s in table.series] == [(8, 10), (3, 5)]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("0.7", "none of"),
        ("a,b,c", "none of"),
        ("0.5,0.1,0.1", "add up to 0.7"),
        ("-1,1,1", "none of"),
        ("nan,1,1", "none of"),
        ("90,20,10", "120 rows"),
        ("0,50,50", "no row for training"),
        ("90,60", "exchange"),
        ("0,60", "outside"),
        ("50,500", "outside"),
        ("2020-01-01,2021-01-01", "not a number"),
    ],
)
def test_mistakes(text: str, word: str) -> None:
    with pytest.raises(OptionError, match=word):
        split_table(counted(100), text)


def test_scaler_sees_training_rows_only() -> None:
    values = np.concatenate([np.array([1.0, np.nan, 3.0]), np.full(7, 1e6)])
    table = read_table({"t": np.arange(10), "y": values}, time="t")
    scaler = Scaler.fit(split_table(table, "3,3,4"))
    assert scaler.mean == [2.0] and scaler.scale == [1.0]
    np.testing.assert_array_equal(scaler.transform(table).series[0].values[:3, 0], [-1, np.nan, 1])


def test_scaler_of_a_constant_and_of_an_empty_column() -> None:
    table = read_table(
        {"t": np.arange(6), "y": np.full(6, 1e9), "x": [np.nan] * 4 + [1.0, 2.0]},
        time="t",
        target="y",
        past=["x"],
    )
    with pytest.raises(FormatError, match="'x' lies in the training"):
        Scaler.fit(split_table(table, "4,1,1"))
    scaler = Scaler.fit(split_table(table, "5,1,0"))
    assert scaler.scale.tolist() == [1.0, 1.0] and scaler.mean.tolist() == [1e9, 1.0]
    with pytest.raises(OptionError, match="kind"):
        Scaler.fit(split_table(table, "5,1,0"), "minmax")


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_scaler_never_overflows_in_silence() -> None:
    table = read_table({"t": np.arange(6), "y": np.array([1.0, -1.0, 1.0] * 2) * 1e200}, time="t")
    with pytest.raises(FormatError, match="too large"):
        Scaler.fit(split_table(table, "4,1,1"))


def test_scaler_goes_there_and_back_and_through_arrays() -> None:
    table = counted(50)
    scaler = Scaler.load(Scaler.fit(split_table(table, "30,10,10")).save())
    there = scaler.transform(table).series[0].values
    assert abs(there[:30].mean()) < 1e-12 and abs(there[:30].std() - 1) < 1e-12
    np.testing.assert_allclose(scaler.inverse(there), table.series[0].values, atol=1e-12)
    other = read_table({"t": [1, 2], "z": [1.0, 2.0]}, time="t")
    with pytest.raises(FormatError, match=r"\['z'\]"):
        scaler.transform(other)


def test_damaged_scalers_are_refused() -> None:
    arrays = Scaler.fit(split_table(counted(50), "30,10,10")).save()
    for name, value in (("scale", np.zeros(1)), ("mean", np.array([np.nan])), ("mean", np.ones(2))):
        with pytest.raises(FormatError):
            Scaler.load({**arrays, name: value})
    with pytest.raises(FormatError, match="scale"):
        Scaler.load({"mean": np.ones(1)})


@given(st.integers(20, 200), st.integers(1, 9), st.integers(0, 5), st.integers(0, 5))
def test_fractions_cover_every_row_once(rows: int, a: int, b: int, c: int) -> None:
    shares = [part / (a + b + c) for part in (a, b, c)]
    parts = sizes(counted(rows), ",".join(map(repr, shares)))
    assert parts[0] == (0, parts[1][0]) and parts[1][1] == parts[2][0] and parts[2][1] == rows
    for (first, last), share in zip(parts, shares, strict=True):
        assert abs((last - first) - share * rows) <= 1


def test_a_name_with_a_line_break_survives() -> None:
    table = read_table({"t": np.arange(50), "a\nb": np.arange(50.0)}, time="t", target="a\nb")
    assert Scaler.load(Scaler.fit(split_table(table, "30,10,10")).save()).columns == ("a\nb",)


def test_values_that_single_precision_cannot_hold_are_named() -> None:
    values = np.arange(50.0)
    values[45] = 1e60
    table = read_table({"t": np.arange(50), "y": values}, time="t", target="y")
    with pytest.raises(FormatError, match="row 46 of column 'y'"):
        Scaler.fit(split_table(table, "30,10,10")).transform(table)
