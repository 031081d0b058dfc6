"""What is read from report.json, what may be missing, and what is refused with the key that does not fit."""

import numpy as np
import pytest

from gatework.errors import FormatError
from gatework.look.facts import parse_times
from gatework.look.reading import read_facts


def test_everything_arrives(write, facts):
    read = read_facts(write(facts))
    example = read.examples[0]
    assert example.time.dtype == np.dtype("datetime64[ns]")
    assert str(example.time[0])[:10] == "1998-03-07"
    assert np.isnan(example.truth[1]) and example.truth[2] == 9.0
    assert list(example.baselines) == ["seasonal naive", "repeat last"]
    assert [part.name for part in read.split] == ["train", "validation", "test"]
    assert read.coverage == [(0.8, 0.79)]
    assert read.horizon_error["LSTM"].tolist() == [0.1, 0.2, 0.3]
    assert len(read.gaps) == 1 and len(read.overview) == 1


def test_only_format_task_and_scores_are_needed(write, facts):
    least = {key: facts[key] for key in ("format", "task", "scores")}
    read = read_facts(write(least))
    assert read.examples == [] and read.split == [] and read.history == []
    assert read.title == "forecast"


def test_history_comes_from_the_csv_where_the_report_has_none(write, facts):
    del facts["history"]
    folder = write(facts)
    (folder / "history.csv").write_text("epoch,train_loss,valid_loss\n1,0.5,\n2,0.4,0.6\n")
    read = read_facts(folder)
    assert read.history[0] == {"epoch": 1.0, "train_loss": 0.5, "valid_loss": None}
    (folder / "history.csv").write_text("epoch,train_loss\n1,0.5\n2,half\n")
    with pytest.raises(FormatError, match=r"history.csv, line 3"):
        read_facts(folder)


def test_numbers_serve_as_times(write, facts):
    example = facts["examples"][0]
    example["past_time"], example["time"] = list(range(9)), [9, 10, 11]
    assert read_facts(write(facts)).examples[0].time.tolist() == [9.0, 10.0, 11.0]


def test_zone_and_null_among_times():
    times = parse_times(["2020-01-01T00:00:00Z", None, "2020-01-02T00:00:00+00:00"])
    assert np.isnat(times[1])
    assert times[2] - times[0] == np.timedelta64(1, "D")


@pytest.mark.parametrize(
    "text, message",
    [
        ('{"format": 1,\n "task"', "line 2"),
        ("[1, 2]", "JSON object"),
        ('{"task": "forecast"}', "'format' is None"),
        ('{"format": 99}', "newer"),
        ('{"format": true}', "whole number"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, text, message):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(FormatError, match=message) as caught:
        read_facts(tmp_path)
    assert "report.json" in str(caught.value)


def test_a_missing_file_a_wrong_folder_and_bytes(tmp_path):
    with pytest.raises(FormatError, match="not found"):
        read_facts(tmp_path)
    with pytest.raises(FormatError, match="expected a trained folder"):
        path = tmp_path / "file"
        path.write_text("")
        read_facts(path)
    (tmp_path / "report.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="UTF-8"):
        read_facts(tmp_path)


def _spoil(facts, *place):
    *way, value = place
    target = facts
    for step in way[:-1]:
        target = target[step]
    target[way[-1]] = value
    return facts


@pytest.mark.parametrize(
    "place, key",
    [
        (("task", 3), "task"),
        (("scores", []), "scores"),
        (("scores", "good"), "scores"),
        (("scores", 0, {"mae": 1}), r"scores\[0\]"),
        (("scores", 0, 5), r"scores\[0\]"),
        (("examples", 0, "forecast", [1.0]), r"examples\[0\].forecast"),
        (("examples", 0, "truth", ["a", 1, 2]), r"examples\[0\].truth"),
        (("examples", 0, "time", ["x", "y", "z"]), r"examples\[0\].time"),
        (("examples", 0, "time", []), r"examples\[0\]"),
        (("horizon_error", "mae", "LSTM", [1.0]), "horizon_error.mae.LSTM"),
        (("residuals", "edges", [0.0]), "residuals"),
        (("residuals", "residual", [0.0]), "residuals.residual"),
        (("coverage", 0, {"level": 0.8}), r"coverage\[0\].observed"),
        (("split", "train", 4), "split.train"),
        (("data", "gaps", [3]), r"data.gaps\[0\]"),
        (("data", []), "data"),
    ],
)
def test_what_does_not_fit_is_named(write, facts, place, key):
    with pytest.raises(FormatError, match=f"'{key}' does not fit"):
        read_facts(write(_spoil(facts, *place)))
