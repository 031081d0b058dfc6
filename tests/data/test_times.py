"""Times: every known way of writing is read, and written back in the same way; others are refused with their row."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatework.data.times import TimeError, parse_time, parse_times
from gatework.data.written import format_times
from gatework.errors import FormatError

WAYS = [
    (["2016-07-01", "2016-07-02"], "2016-07-02"),
    (["2016-07-01 00:00", "2016-07-02 13:30"], "2016-07-02T13:30"),
    (["2016-07-01T00:00:00", "2016-07-02T13:30:05"], "2016-07-02T13:30:05"),
    (["2016-07-01 00:00:00.000", "2016-07-02 00:00:00.250"], "2016-07-02T00:00:00.250"),
    (["2016-07-01T00:00:00Z", "2016-07-02T01:00:00Z"], "2016-07-02T01:00"),
    (["2016-07-01T00:00:00+02:00", "2016-07-02T01:00:00+02:00"], "2016-07-01T23:00"),
    (["20160701", "20160702"], "2016-07-02"),
    (["2012/01/01", "2012/01/02"], "2012-01-02"),
    (["01.02.2012", "02.02.2012"], "2012-02-02"),
    (["12/01/2012", "13/01/2012"], "2012-01-13"),
    (["01/12/2012", "01/13/2012"], "2012-01-13"),
    (["2016-07", "2016-08"], "2016-08-01"),
    (["1467331200", "1467334800"], "2016-07-01T01:00"),
    (["1467331200000", "1467334800000"], "2016-07-01T01:00"),
]


@pytest.mark.parametrize(("texts", "last"), WAYS)
def test_reads_and_writes_back(texts: list[str], last: str) -> None:
    times, form = parse_times(texts)
    assert times.dtype == "datetime64[ns]" and times[1] == np.datetime64(last)
    assert [str(text) for text in format_times(times, form)] == texts


def test_plain_numbers_stay_numbers() -> None:
    for texts, kind in ((["1958", "1959"], "i"), (["0.5", "1"], "f"), (["-3", "4"], "i")):
        times, form = parse_times(texts)
        assert times.dtype.kind == kind and form.style == "number"
        assert format_times(times, form) is times
    assert parse_times(["20161301", "20161302"])[0].dtype.kind == "i"


@pytest.mark.parametrize(
    ("texts", "row", "word"),
    [
        (["2016-07-01", ""], 1, "missing"),
        (["", "2016-07-01"], 0, "missing"),
        (["2016-07-01", "2016/07/02"], 1, "not written like"),
        (["2016-02-28", "2016-02-30"], 1, "calendar"),
        (["0001-01-01", "0001-01-02"], 0, "years"),
        (["noon"], 0, "is no time"),
        (["01/02/2016", "02/02/2016"], 0, "may be"),
        (["2016-07-01T00:00", "2016-07-01T01:00Z"], 1, "zone"),
    ],
)
def test_refuses_with_the_row(texts: list[str], row: int, word: str) -> None:
    with pytest.raises(TimeError, match=word) as caught:
        parse_times(texts)
    assert caught.value.row == row


def test_a_later_forecast_is_written_in_the_source_s_way() -> None:
    _, form = parse_times(["2016-07-01", "2016-07-02"])
    later = np.array(["2016-07-03T00:00", "2016-07-03T12:00"], "datetime64[ns]")
    assert format_times(later, form) == ["2016-07-03 00:00", "2016-07-03 12:00"]


def test_one_time_of_the_kind_of_the_table() -> None:
    dates = np.dtype("datetime64[ns]")
    assert parse_time("1995", dates) == np.datetime64("1995-01-01")
    assert parse_time("19950102", dates) == np.datetime64("1995-01-02")
    assert parse_time("19950102", np.dtype("int64")) == 19950102
    with pytest.raises(FormatError, match="not a number"):
        parse_time("1995-01-01", np.dtype("int64"))
    with pytest.raises(FormatError, match="not a date"):
        parse_time("17", dates)


@given(
    st.lists(
        st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1)),
        min_size=1,
        max_size=5,
    )
)
def test_any_times_survive(moments: list[datetime.datetime]) -> None:
    texts = [moment.isoformat(" ", "microseconds") for moment in moments]
    times, form = parse_times(texts)
    assert times.tolist() == np.array(moments, "datetime64[ns]").tolist()
    assert parse_times(list(format_times(times, form)))[0].tolist() == times.tolist()
