"""Reading: every kind of source gives the same table, gaps become NaN, and each mistake names its place."""

from __future__ import annotations

import contextlib
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatework.data import read_table
from gatework.errors import FormatError

HOURS = "date,y,x,words\n2020-01-01 00:00:00,1.5,10,a\n2020-01-01 01:00:00,,11,b\n2020-01-01 03:00:00,3,13,c\n"


@pytest.fixture
def csv(tmp_path: Path):
    def write(text: str | bytes, name: str = "some.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def refused(source: object, *words: str, **roles: object) -> str:
    with pytest.raises(FormatError) as caught:
        read_table(source, **roles)
    for word in words:
        assert word in str(caught.value), str(caught.value)
    return str(caught.value)


def test_csv_is_laid_on_its_grid_and_nothing_is_filled(csv) -> None:
    table = read_table(csv(HOURS), target="y", known=["x"])
    assert (table.time_name, str(table.step), table.name) == ("date", "1 hour", "some")
    assert table.columns == ("y", "x") and table.rows == 4 and table.missing == 3
    np.testing.assert_array_equal(table.series[0].values[:, 0], [1.5, np.nan, np.nan, 3.0])
    np.testing.assert_array_equal(table.series[0].values[:, 1], [10, 11, np.nan, 13])
    assert table.series[0].times[2] == np.datetime64("2020-01-01T02")
    assert any("1 row " in note and "absent" in note for note in table.notes)


def test_columns_are_targets_then_past_then_known(csv) -> None:
    path = csv("t,a,b,c,d\n1,1,2,3,4\n2,5,6,7,8\n")
    table = read_table(path, time="t", target=["d", "a"], past=["c"], known=["b"])
    assert table.columns == ("d", "a", "c", "b")
    np.testing.assert_array_equal(table.series[0].values, [[4, 1, 3, 2], [8, 5, 7, 6]])


def test_target_all_takes_number_columns_and_says_what_it_left(csv) -> None:
    table = read_table(csv(HOURS), target="all")
    assert table.targets == ("y", "x")
    assert "Columns of text were left out: words." in table.notes


def test_target_none_is_the_only_number_column_or_a_question(csv) -> None:
    assert read_table(csv("date,co2\n20200101,1\n20200102,2\n")).targets == ("co2",)
    refused(csv(HOURS), "'y', 'x'", "target")


def test_many_series_keep_their_order_and_own_gaps(csv) -> None:
    path = csv("shop,day,sold\nb,1,10\na,1,1\nb,2,20\na,3,3\nb,3,30\n")
    table = read_table(path, time="day", target="sold", id="shop")
    assert [series.id for series in table.series] == ["b", "a"]
    np.testing.assert_array_equal(table.series[1].values[:, 0], [1, np.nan, 3])


def test_number_ids_stay_numbers() -> None:
    data = {"t": [1, 2, 1, 2], "y": [1.0, 2, 3, 4], "id": [7, 7, 5, 5]}
    assert [series.id for series in read_table(data, time="t", target="y", id="id").series] == [
        7,
        5,
    ]


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow", "dict", "csv", "parquet", "gz"])
def test_every_kind_of_source_gives_the_same_table(kind: str, tmp_path: Path, csv) -> None:
    times = np.array(["2020-01-01", "2020-01-02", "2020-01-04"], "datetime64[ns]")
    data = {"when": times, "y": [1.0, np.nan, 4.0], "k": [1, 2, 4], "id": ["u", "u", "u"]}
    source: object = data
    if kind in ("pandas", "polars", "pyarrow"):
        source = _frame(kind, data)
    elif kind == "parquet":
        import pyarrow.parquet

        source = tmp_path / "some.parquet"
        pyarrow.parquet.write_table(_frame("pyarrow", data), source)
    elif kind in ("csv", "gz"):
        text = "when,y,k,id\n2020-01-01,1,1,u\n2020-01-02,,2,u\n2020-01-04,4,4,u\n"
        source = csv(text) if kind == "csv" else csv(gzip.compress(text.encode()), "some.csv.gz")
    table = read_table(source, target="y", known=["k"], id="id")
    assert table.time_name == "when" and str(table.step) == "1 day"
    assert table.series[0].id == "u" and table.series[0].times.dtype == "datetime64[ns]"
    np.testing.assert_array_equal(
        table.series[0].values, [[1, 1], [np.nan, 2], [np.nan, np.nan], [4, 4]]
    )


def _frame(kind: str, data: dict[str, object]) -> object:
    import pandas
    import polars
    import pyarrow

    frame = pandas.DataFrame(data)
    if kind == "polars":
        return polars.from_pandas(frame)
    return pyarrow.Table.from_pandas(frame, preserve_index=False) if kind == "pyarrow" else frame


def test_pandas_index_of_dates_is_the_time() -> None:
    import pandas

    index = pandas.date_range("2020-01-01", periods=3, freq="D")
    table = read_table(pandas.DataFrame({"y": [1.0, 2.0, 3.0]}, index=index))
    assert table.series[0].times[0] == np.datetime64("2020-01-01") and table.targets == ("y",)
    months = pandas.period_range("2020-01", periods=3, freq="M")
    assert str(read_table(pandas.DataFrame({"y": [1, 2, 3]}, index=months)).step) == "1 month"


def test_nullable_and_null_values_are_missing() -> None:
    import pandas
    import polars

    numbers = pandas.array([1, None, 3], dtype="Int64")
    table = read_table(pandas.DataFrame({"t": [1, 2, 3], "y": numbers}), time="t")
    assert table.missing == 1
    assert read_table(polars.DataFrame({"t": [1, 2], "y": [None, 1]}), time="t").missing == 1


@pytest.mark.parametrize("dtype", ["string", "object", "category"])
def test_missing_texts_of_a_frame(dtype: str) -> None:
    import pandas

    texts = pandas.Series(["1.5", None, "2"]).astype(dtype)
    table = read_table(pandas.DataFrame({"t": [1, 2, 3], "y": texts}), time="t")
    np.testing.assert_array_equal(table.series[0].values[:, 0], [1.5, np.nan, 2])
    data = {"t": [1, 2, 3], "y": [pandas.NA, 1.0, None]}
    assert read_table(data, time="t").missing == 2


def test_years_that_nanoseconds_cannot_hold() -> None:
    import polars

    times = np.array(["0900-01-01", "0900-01-02"], "datetime64[s]")
    refused({"t": times, "y": [1, 2]}, "900", "1678")
    frame = polars.DataFrame({"t": times.astype("datetime64[us]"), "y": [1, 2]})
    refused(frame, "900", "1678")


def test_bad_column_names_get_the_nearest(csv) -> None:
    refused(csv(HOURS), "did you mean 'y'?", target="Y")
    refused(csv(HOURS), "did you mean 'words'?", target="y", id="word")
    refused(csv(HOURS), "no such column", "'date', 'y'", target="zzzzz")


def test_text_in_a_number_column_names_line_and_column(csv) -> None:
    message = refused(csv("date,y\n20200101,1\n20200102,2\n20200103,three\n"), "'y'", "'three'")
    assert "line 4" in message
    refused(csv("t,y\n1,1_000\n2,3\n"), "line 2", "1_000", target="y", time="t")
    refused({"t": [1, 2], "y": ["1", "x"]}, "row 1", "'x'", target="y", time="t")


def test_infinity_names_line_and_column(csv) -> None:
    assert "line 3" in refused(csv("t,y\n1,1\n2,-inf\n"), "infinity", "'y'", time="t")
    refused({"t": [1, 2], "y": [np.inf, 1]}, "row 0", "infinity", time="t")


def test_a_quoted_line_break_does_not_shift_line_numbers(csv) -> None:
    message = refused(csv('t,y,w\n1,1,"a\nb"\n2,x,c\n3,1,d\n'), time="t", target="y")
    assert "line 4" in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["empty"]),
        ("\n \n", ["empty"]),
        ("t,y\n", ["no rows"]),
        ("t,y,y\n1,2,3\n", ["appear twice", "y"]),
        ("1,2\n3,4\n", ["column names"]),
        ("t,y\n1,2\n3\n", ["line 3", "1 cells"]),
        ("t,y\n1,2,3\n", ["line 2", "3 cells"]),
        ('t,y\n1,"2\n', ["line 2"]),
        ("t,y\n1,\n2,\n", ["no value at all"]),
    ],
)
def test_broken_files_are_refused(csv, text: str, words: list[str]) -> None:
    refused(csv(text), *words, time="t", target="y")


def test_other_bytes_are_refused(csv, tmp_path: Path) -> None:
    refused(csv(b"t,y\n1,2\n2,\xff\xfe\n"), "line 3", "UTF-8", time="t")
    refused(csv(b"PAR1 no", "x.parquet"), "Parquet")
    refused(csv(b"\x1f\x8b nonsense", "x.csv.gz"), "cannot be read")
    refused(tmp_path / "absent.csv", "no such file")
    refused(tmp_path, "folder")
    refused(5, "int")


def test_duplicate_and_unsorted_times_name_both_lines(csv) -> None:
    message = refused(csv("t,y\n1,1\n2,2\n2,3\n"), "repeats", "id column", time="t")
    assert "line 4" in message and "line 3" in message
    message = refused(csv("t,y\n2,1\n1,2\n"), "earlier", "sort", time="t")
    assert "line 3" in message and "line 2" in message


def test_missing_time_or_id_names_the_line(csv) -> None:
    refused(csv("t,y\n2020-01-01,1\n,2\n"), "line 3", "missing", time="t")
    refused(csv("t,y,i\n1,1,a\n2,2,\n"), "line 3", "id", time="t", target="y", id="i")


def test_roles_may_not_overlap(csv) -> None:
    refused(csv(HOURS), "two roles", "'x'", target="x", known=["x"])


def test_a_long_gap_is_refused_not_bridged(csv) -> None:
    rows = "".join(f"{t},1\n" for t in [*range(100), 10**9])
    refused(csv("t,y\n" + rows), "id column", "step of 1", time="t")


def test_no_time_column_counts_rows_and_says_so() -> None:
    table = read_table({"y": [1.0, 2.0]})
    assert table.time_name is None and table.series[0].times.tolist() == [0, 1]
    assert any("No time column" in note for note in table.notes)


def test_weekdays_and_irregular_times() -> None:
    days = np.array(["2020-01-01", "2020-03-01"], "datetime64[D]")
    days = np.arange(*days)
    work = days[np.is_busday(days)].astype("datetime64[ns]")
    table = read_table({"t": work[[0, 1, *range(3, len(work))]], "y": np.ones(len(work) - 1)})
    assert str(table.step) == "1 weekday" and table.missing == 1 and table.rows == len(work)
    odd = read_table({"t": [0.0, 1.0, 2.7, 2.9], "y": [1, 2, 3, 4]}, time="t")
    assert odd.step is None and odd.rows == 4 and any("no common step" in n for n in odd.notes)


def test_semicolons_and_decimal_commas(csv) -> None:
    table = read_table(csv("Datum;y\n01.02.2020;1,5\n02.02.2020;2,5\n"))
    assert table.series[0].values[:, 0].tolist() == [1.5, 2.5]
    assert table.series[0].times[0] == np.datetime64("2020-02-01")
    assert any("decimal commas" in note for note in table.notes)


def test_byte_order_mark_and_windows_line_ends(csv) -> None:
    table = read_table(csv(b"\xef\xbb\xbft,y\r\n1,2\r\n2,3\r\n"))
    assert (table.time_name, table.targets) == ("t", ("y",))


def test_a_year_beside_a_month_is_not_taken_for_the_time(csv) -> None:
    table = read_table(csv("year,month,y\n2020,1,1\n2020,2,2\n2020,3,3\n"), target="y")
    assert table.time_name == "month"
    table = read_table(csv("year,month,y\n2020,12,1\n2021,1,2\n2021,2,3\n"), target="y")
    assert table.time_name is None


cells = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False, width=64))


@settings(max_examples=60)
@given(st.lists(cells, min_size=1, max_size=30).filter(lambda c: any(v is not None for v in c)))
def test_any_numbers_survive_the_way_through_a_file(tmp_path_factory, values) -> None:
    path = tmp_path_factory.mktemp("any") / "any.csv"
    written = ["" if value is None else repr(value) for value in values]
    path.write_text("t,y\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(written)))
    read = read_table(path, time="t").series[0].values[:, 0]
    wanted = np.array([np.nan if v is None else v for v in values])
    np.testing.assert_array_equal(read, wanted)


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_our_error(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_bytes(data)
    with contextlib.suppress(FormatError):
        read_table(path)


@settings(max_examples=60)
@given(st.text("0123456789,.-:/ \nabcteny\"';", max_size=120))
def test_any_text_is_read_or_refused_with_our_error(tmp_path_factory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_text("time,y\n" + text)
    with contextlib.suppress(FormatError):
        read_table(path)


def test_odd_column_names_of_a_pandas_table_are_refused() -> None:
    import pandas

    frame = pandas.DataFrame({"day": ["2020-01-01", "2020-01-02"], "v": [1.0, 2.0]})
    refused(frame.rename(columns={"day": 0, "v": 1}), "must be texts", "0")
    refused(pandas.concat([frame, frame], axis=1), "two columns are named 'day'")
    refused(frame.set_index("day", drop=False), "two columns are named 'day'")
