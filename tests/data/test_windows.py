"""Windows: equal to cutting by hand, masked where values are missing, and never looking ahead."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatework.data import Scaler, Table, Windows, add_calendar, read_table, split_table
from gatework.errors import FormatError, OptionError


def table_of(*lengths: int, missing: float = 0.3, seed: int = 0, step: int = 1) -> Table:
    """Series of these lengths with two targets, a past and a known covariate, some values missing."""
    random = np.random.default_rng(seed)
    total = sum(lengths)
    columns = random.normal(size=(total, 4)) + 100.0
    columns[random.random((total, 4)) < missing] = np.nan
    columns[0] = 100.0
    data = {name: columns[:, n] for n, name in enumerate("abpk")}
    data["t"] = np.concatenate([np.arange(n) * step for n in lengths])
    data["id"] = np.repeat([f"s{n}" for n in range(len(lengths))], lengths)
    return read_table(data, time="t", target=["a", "b"], past=["p"], known=["k"], id="id")


def by_hand(
    table: Table, series: int, row: int, length: int, horizon: int
) -> dict[str, np.ndarray]:
    """One window with plain slices and loops."""
    values = table.series[series].values
    past, ahead = values[row - length : row].copy(), values[row : row + horizon].copy()
    level = np.zeros(2)
    for target in range(2):
        seen = past[~np.isnan(past[:, target]), target]
        level[target] = seen[-1] if len(seen) else 0.0
    past[:, :2] -= level
    future = ahead[:, :2] - level
    result = {"level": level}
    for name, array in (("past", past), ("future", future), ("known", ahead[:, 3:])):
        result[name] = np.nan_to_num(array)
        result[f"{name}_mask"] = ~np.isnan(array)
    return result


@settings(max_examples=40)
@given(
    st.lists(st.integers(9, 30), min_size=1, max_size=4),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.3, 0.8]),
    st.integers(0, 99),
)
def test_batch_is_what_slices_give(lengths, length, horizon, stride, missing, seed) -> None:
    table = table_of(*lengths, missing=missing, seed=seed)
    try:
        windows = Windows(table, input_length=length, horizon=horizon, stride=stride)
    except FormatError as error:
        assert missing == 0.8 and "without any observed target" in str(error)
        return
    batch = windows.batch()
    possible = sum(len(range(length, n - horizon + 1, stride)) for n in lengths)
    assert len(windows) + windows.dropped == possible
    for n in range(len(windows)):
        wanted = by_hand(table, batch["series"][n], batch["position"][n], length, horizon)
        assert wanted["future_mask"].any() and wanted["past_mask"][:, :2].any()
        for name, array in wanted.items():
            np.testing.assert_allclose(batch[name][n], array, atol=1e-5, err_msg=name)


def test_types_shapes_and_any_index() -> None:
    windows = Windows(table_of(30, 20), input_length=5, horizon=3)
    everything = windows.batch()
    shapes = {"past": (5, 4), "known": (3, 1), "future": (3, 2)}
    for name, shape in shapes.items():
        assert everything[name].shape == (len(windows), *shape) == everything[f"{name}_mask"].shape
        assert everything[name].dtype == np.float32 and everything[f"{name}_mask"].dtype == bool
    chosen = np.arange(len(windows)) % 3 == 0
    for index in (chosen, np.flatnonzero(chosen), slice(0, None, 3)):
        for name, array in windows.batch(index).items():
            np.testing.assert_array_equal(array, everything[name][::3])
    assert len(windows.batch([])["past"]) == 0 and len(windows.batch(3)["past"]) == 1


def test_more_windows_than_a_chunk(monkeypatch) -> None:
    windows = Windows(table_of(60), input_length=4, horizon=2)
    whole = windows.batch()
    history = windows.history(None, 9)
    monkeypatch.setattr("gatework.data.windows._CHUNK", 7)
    for name, array in windows.batch().items():
        np.testing.assert_array_equal(array, whole[name])
    for array, again in zip(history, windows.history(None, 9), strict=True):
        np.testing.assert_array_equal(array, again)


def test_targets_of_a_part_lie_in_it_and_inputs_may_reach_back() -> None:
    table = read_table({"t": np.arange(40), "y": np.arange(40.0)}, time="t")
    split = split_table(table, "20,10,10")
    spans = {}
    for part in (split.train, split.validation, split.test):
        batch = Windows(table, part, input_length=6, horizon=3).batch()
        spans[part.name] = (batch["position"].min(), batch["position"].max() + 2)
    assert spans == {"training": (6, 19), "validation": (20, 29), "test": (30, 39)}


def test_nothing_after_the_training_part_changes_its_windows() -> None:
    rows = np.arange(60)
    values = np.sin(rows)
    changed = np.where(rows < 40, values, 1e9)
    batches = []
    for column in (values, changed):
        table = read_table({"t": rows, "y": column}, time="t")
        split = split_table(table, "40,10,10")
        scaled = Scaler.fit(split).transform(table)
        batches.append(Windows(scaled, split.train, input_length=8, horizon=4).batch())
    for name, array in batches[0].items():
        np.testing.assert_array_equal(array, batches[1][name])


def test_relative_none_and_large_levels_keep_their_digits() -> None:
    rows = np.arange(30)
    table = read_table({"t": rows, "y": 1e9 + rows}, time="t")
    near = Windows(table, input_length=4, horizon=2).batch()
    np.testing.assert_array_equal(near["future"][:, :, 0], np.tile([1.0, 2.0], (25, 1)))
    plain = Windows(table, input_length=4, horizon=2, relative="none").batch()
    assert not plain["level"].any() and plain["future"].max() > 1e8


def test_history_reaches_further_back_than_the_input() -> None:
    rows = np.arange(20.0)
    table = read_table({"t": rows.astype(int), "y": rows}, time="t")
    values, mask = Windows(table, input_length=2, horizon=1).history([0, 5], 6)
    assert mask[0, :, 0].tolist() == [False] * 4 + [True] * 2 and mask[1].all()
    assert values[1, :, 0].tolist() == [-5, -4, -3, -2, -1, 0]


def test_history_never_enters_the_series_before() -> None:
    data = {"t": [*range(6)] * 2, "y": np.arange(12.0), "id": ["u"] * 6 + ["v"] * 6}
    table = read_table(data, time="t", target="y", id="id")
    windows = Windows(table, input_length=2, horizon=1)
    values, mask = windows.history(None, 4)
    first = windows.ids().index("v")
    assert mask[first, :, 0].tolist() == [False, False, True, True]
    assert values[first, :, 0].tolist() == [0, 0, -1, 0]


def test_times_and_ids() -> None:
    windows = Windows(table_of(12, 15, missing=0.0, step=10), input_length=5, horizon=3)
    assert windows.times([0]).tolist() == [[50, 60, 70]]
    assert windows.past_times([0]).tolist() == [[0, 10, 20, 30, 40]]
    assert windows.ids() == ["s0"] * 5 + ["s1"] * 8


def test_short_series_are_named() -> None:
    with pytest.raises(FormatError, match=r"'s1', 's2' \(3 to 4\): 8 rows \(5 \+ 3\)"):
        Windows(table_of(20, 3, 4), input_length=5, horizon=3)
    with pytest.raises(FormatError, match="in the table"):
        Windows(read_table({"y": [1.0, 2.0]}), input_length=5, horizon=3)
    with pytest.raises(FormatError, match="'s1'.*5 rows before the forecast"):
        Windows.latest(table_of(20, 4, missing=0.0), input_length=5, horizon=3)
    table = table_of(40)
    with pytest.raises(FormatError, match="test part: it has 2 rows"):
        Windows(table, split_table(table, "30,8,2").test, input_length=5, horizon=3)


def test_wrong_options() -> None:
    with pytest.raises(OptionError, match="horizon=0, stride=0"):
        Windows(table_of(20), input_length=5, horizon=0, stride=0)
    with pytest.raises(OptionError, match="relative"):
        Windows(table_of(20), input_length=5, horizon=1, relative="first")


def test_latest_starts_after_the_last_observed_target() -> None:
    day = np.arange("2020-01-01", "2020-01-11", dtype="datetime64[D]").astype("datetime64[ns]")
    values = np.arange(10.0)
    values[8:] = np.nan
    table = read_table({"d": day, "y": values, "k": np.arange(10.0)}, target="y", known=["k"])
    windows = Windows.latest(table, input_length=3, horizon=4)
    batch = windows.batch()
    assert windows.times()[0].astype("datetime64[D]").astype(str).tolist() == [
        f"2020-01-{n:02}" for n in (9, 10, 11, 12)
    ]
    assert batch["level"].tolist() == [[7.0]] and not batch["future_mask"].any()
    assert batch["known_mask"][0, :, 0].tolist() == [True, True, False, False]
    assert batch["known"][0, :, 0].tolist() == [8, 9, 0, 0]


def test_latest_of_many_series_and_of_none_observed() -> None:
    table = table_of(20, 9, missing=0.0)
    windows = Windows.latest(table, input_length=5, horizon=2)
    assert windows.times().tolist() == [[20, 21], [9, 10]] and windows.ids() == ["s0", "s1"]
    data = {"t": [1, 2, 1, 2], "y": [1.0, 2.0, np.nan, np.nan], "id": ["u", "u", "v", "v"]}
    blank = read_table(data, time="t", target="y", id="id")
    with pytest.raises(FormatError, match="'v'"):
        Windows.latest(blank, input_length=1, horizon=1)


def test_calendar_is_known_ahead() -> None:
    hours = np.arange("2020-01-01", "2020-02-01", dtype="datetime64[h]").astype("datetime64[ns]")
    table = read_table({"t": hours, "y": np.ones(len(hours))})
    dated = add_calendar(table.extended(24))
    assert dated.known == ("day_sin", "day_cos", "week_sin", "week_cos")
    batch = Windows.latest(dated, input_length=24, horizon=24).batch()
    assert batch["known_mask"].all()
    np.testing.assert_allclose(batch["known"][0, 6, :2], [1.0, 0.0], atol=1e-6)
    monday = add_calendar(table, ("week",)).series[0]
    at = int(np.flatnonzero(monday.times == np.datetime64("2020-01-06"))[0])
    np.testing.assert_allclose(monday.values[at, 1:], [0.0, 1.0], atol=1e-9)
    numbers = read_table({"t": [1, 2], "y": [1.0, 2.0]}, time="t")
    assert add_calendar(numbers) is numbers
