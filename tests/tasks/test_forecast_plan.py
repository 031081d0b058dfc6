from typing import Any

import numpy as np
import pytest

from gatework import FormatError, OptionError
from gatework.runtime.forecast_plan import open_table
from gatework.tasks.forecast_options import ForecastOptions
from gatework.tasks.forecast_plan import prepare, scored_part
from tests.tasks.conftest import seasonal


def planned(data: Any, **options: Any) -> Any:
    table, filled = open_table(data, ForecastOptions(**options))
    return prepare(table, None, filled)


def hours(rows: int) -> dict[str, Any]:
    start = np.datetime64("2020-01-01", "ns")
    return {"t": start + np.arange(rows) * np.timedelta64(1, "h"), "y": np.arange(rows) % 24.0}


@pytest.mark.parametrize(
    ("rows", "horizon", "length", "kernel"),
    [(3000, 24, 168, 24), (3000, 168, 336, 24), (300, 24, 81, 3), (100, 24, 11, 0)],
)
def test_window_and_convolution_follow_season_horizon_and_rows(
    rows: int, horizon: int, length: int, kernel: int
):
    plan, _ = planned(hours(rows), horizon=horizon, split="0.7,0.3,0")
    assert (plan.season, plan.input_length, plan.conv_kernel) == (24, length, kernel)


def test_given_lengths_are_kept():
    plan, _ = planned(hours(900), input_length=50, conv_kernel=5, conv_stride=2, season=8)
    assert (plan.input_length, plan.conv_kernel, plan.conv_stride, plan.season) == (50, 5, 2, 8)


def test_a_kernel_longer_than_the_window_is_refused():
    with pytest.raises(OptionError, match="conv_kernel=60 is longer than the window of 50"):
        planned(hours(900), input_length=50, conv_kernel=60)


def test_a_named_set_brings_its_own_roles_and_gives_way_to_what_is_given():
    table, filled = open_table("co2", ForecastOptions())
    assert (table.targets, filled.season) == (("co2",), 52)
    assert open_table("co2", ForecastOptions(season=26))[1].season == 26


def test_a_name_that_is_neither_file_nor_set_is_refused_with_the_nearest():
    with pytest.raises(OptionError, match="etth1"):
        open_table("eth1", ForecastOptions())


def test_scaler_and_windows_of_training_know_nothing_of_later_rows():
    data = seasonal()
    later = {**data, "sales": data["sales"].copy()}
    later["sales"][280:] += 1000.0
    _, one = planned(data, horizon=6, split="0.7,0.1,0.2")
    _, two = planned(later, horizon=6, split="0.7,0.1,0.2")
    np.testing.assert_equal(one.scaler.mean, two.scaler.mean)
    np.testing.assert_equal(one.train.batch()["future"], two.train.batch()["future"])
    assert not np.array_equal(one.validation.batch()["future"], two.validation.batch()["future"])


def test_without_a_test_part_the_validation_part_is_scored_and_named():
    plan, prepared = planned(seasonal(), horizon=6, split="0.8,0.2,0")
    assert plan.scored == "validation" and prepared.scored is prepared.validation


def test_a_validation_table_of_its_own_leaves_all_rows_for_training():
    table, filled = open_table(seasonal(), ForecastOptions(horizon=6, input_length=24))
    other, _ = open_table(seasonal(seed=1), filled)
    plan, prepared = prepare(table, other, filled)
    assert len(prepared.train) == 400 - 30 + 1
    assert plan.scored == "validation" and plan.scored_from is None
    wrong, _ = open_table({"day": [1, 2], "price": [1.0, 2.0]}, ForecastOptions())
    with pytest.raises(FormatError, match="same columns"):
        prepare(table, wrong, filled)


def test_the_scored_part_is_found_again_in_a_longer_table():
    plan, prepared = planned(seasonal(), horizon=6, split="240,60,60")
    table, _ = open_table(seasonal(500), ForecastOptions())
    part = scored_part(table, plan)
    assert part is not None and part.rows(table.series[0]) == (300, 360)
    assert part.start == prepared.split.test.start


def test_a_table_that_ends_before_the_scored_part_is_refused():
    plan, _ = planned(seasonal(), horizon=6, split="0.7,0.1,0.2")
    early, _ = open_table(seasonal(300), ForecastOptions())
    with pytest.raises(FormatError, match=r"ends before 2020-11-16.*everything=True"):
        scored_part(early, plan)
    numbered, _ = open_table({"day": [1, 2], "sales": [1.0, 2.0]}, ForecastOptions())
    with pytest.raises(FormatError, match="is not a number"):
        scored_part(numbered, plan)


def test_rows_that_are_merely_counted_are_kept_apart_too():
    data = {"sales": seasonal()["sales"]}
    plan, prepared = planned(data, horizon=6, split="0.7,0.1,0.2")
    part = scored_part(prepared.table, plan)
    assert part is not None and part.rows(prepared.table.series[0]) == (320, 400)


@pytest.mark.parametrize(("short", "length"), [(100, 44), (30, 24), (15, 12), (8, 12)])
def test_a_short_series_pulls_the_window_down_to_two_horizons(short: int, length: int):
    one, two = seasonal(400), seasonal(short)
    data = {name: np.concatenate([one[name], two[name]]) for name in one}
    data["shop"] = np.repeat(["a", "b"], [400, short])
    options = {"horizon": 6, "id": "shop", "season": 12, "split": "0.5,0.25,0.25"}
    if short < 18:
        with pytest.raises(FormatError, match="'b'"):
            planned(data, **options)
    else:
        assert planned(data, **options)[0].input_length == min(length, 36)


@pytest.mark.parametrize("target", ["all", ("all",), ("HULL", "OT"), "OT"])
def test_targets_may_be_one_several_or_all(target: Any):
    data = {"date": [1, 2], "HULL": [1.0, 2.0], "OT": [1.0, 2.0]}
    table, _ = open_table(data, ForecastOptions(target=target))
    assert table.targets == (("OT",) if target == "OT" else ("HULL", "OT"))
