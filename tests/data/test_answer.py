"""Answers come back in the form of the source: kind of table, writing of times, zone; files whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import polars
import pyarrow
import pytest

from gatework.data import read_table, to_frame, write_table
from gatework.errors import OptionError

TIMES = np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "datetime64[ns]")


@pytest.mark.parametrize("kind", [pandas.DataFrame, polars.DataFrame, pyarrow.table])
def test_frames_come_back_as_they_came(kind) -> None:
    table = read_table(kind({"when": TIMES, "y": [1.0, 2.0, 3.0]}))
    later = table.extended(2).series[0].times[-2:]
    frame = to_frame({"when": later, "forecast": np.array([4.0, 5.0]), "id": ["a", "b"]}, table)
    again = read_table(frame, target="forecast")
    assert type(frame) is type(kind({"y": [1]}))
    assert again.time_name == "when" and again.series[0].times.tolist() == later.tolist()


def test_texts_and_numbers_of_a_frame_keep_their_way() -> None:
    frame = pandas.DataFrame({"d": ["2020/01/01", "2020/01/02"], "y": [1, 2]})
    table = read_table(frame)
    answer = to_frame({"d": table.extended(1).series[0].times[-1:]}, table)
    assert answer["d"].tolist() == ["2020/01/03"]
    table = read_table({"d": ["20200101", "20200102"], "y": [1, 2]})
    assert to_frame({"d": table.extended(1).series[0].times[-1:]}, table)["d"].tolist() == [
        "20200103"
    ]


@pytest.mark.parametrize(("start", "step"), [("2020-03-28 12:00", "h"), ("2020-03-27", "D")])
def test_time_zones_come_back(start: str, step: str) -> None:
    times = pandas.date_range(start, periods=30, freq=step, tz="Europe/Berlin")
    table = read_table(pandas.DataFrame({"when": times, "y": np.ones(30)}))
    assert str(table.step) == {"h": "1 hour", "D": "1 day"}[step] and table.missing == 0
    answer = to_frame({"when": table.extended(1).series[0].times[-1:]}, table)
    assert (
        answer["when"][0] == pandas.date_range(start, periods=31, freq=step, tz="Europe/Berlin")[-1]
    )


def test_csv_in_csv_out(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("Datum;y\n01.01.2020;1,5\n02.01.2020;2,5\n")
    table = read_table(source)
    columns = {"Datum": table.extended(2).series[0].times[-2:], "forecast": [1.25, np.nan]}
    path = write_table(columns, tmp_path / "out.csv", table)
    assert path.read_text() == "Datum;forecast\n03.01.2020;1.25\n04.01.2020;\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_parquet_out(tmp_path: Path) -> None:
    path = write_table({"t": TIMES, "y": [1.0, 2.0, np.nan]}, tmp_path / "out.parquet")
    assert read_table(path).missing == 1
    assert [p.name for p in tmp_path.iterdir()] == ["out.parquet"]


def test_nothing_is_left_of_a_failed_write(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("before")
    with pytest.raises(ValueError):
        write_table({"a": [1, 2], "b": [1]}, tmp_path / "out.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "before"
    for name in ("out.xlsx", "nowhere/out.csv"):
        with pytest.raises(OptionError):
            write_table({"a": [1]}, tmp_path / name)
