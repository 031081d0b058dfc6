"""The regular step: found where there is one, for months and weekdays too, and the times that follow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatework.data.grid import Step, find_step, later_times


def dates(*texts: str) -> np.ndarray:
    return np.array(texts, "datetime64[ns]")


@pytest.mark.parametrize(
    ("times", "step", "season"),
    [
        (dates("2020-01-01", "2020-01-02", "2020-01-04"), "1 day", 7),
        (dates("2020-01-01T00", "2020-01-01T01", "2020-01-01T02"), "1 hour", 24),
        (dates("2020-01-01T00:00", "2020-01-01T00:15", "2020-01-01T00:30"), "15 minutes", 96),
        (dates("2020-01-03", "2020-01-10", "2020-01-24"), "1 week", 52),
        (dates("2020-01-31", "2020-02-29", "2020-03-31"), "1 month", 12),
        (dates("2020-01-15", "2020-02-15", "2020-04-15"), "1 month", 12),
        (dates("2020-01-01", "2020-04-01", "2020-07-01"), "3 months", 4),
        (dates("2020-01-01", "2021-01-01", "2022-01-01"), "12 months", 1),
        (np.array([3, 5, 9]), "2", 1),
        (np.array([0.1, 0.2, 0.3, 0.5]), "0.1", 1),
    ],
)
def test_steps(times: np.ndarray, step: str, season: int) -> None:
    found = find_step([times])
    assert str(found) == step and found is not None and found.season == season
    positions = found.positions(times)
    assert positions is not None
    grid = found.grid(times[:1], int(positions[-1]) + 1)
    assert np.allclose((grid[positions] - times).astype(float), 0.0, atol=1e-9)


def test_no_step() -> None:
    assert find_step([np.array([1])]) is None
    assert find_step([np.array([0.0, 1.0, 2.6, 3.1])]) is None
    assert find_step([dates("2020-01-01", "2020-01-02", "2020-01-03T05")]) is None
    assert find_step([np.array([0, 1, 2]), np.array([0, 2, 4]), np.array([0, 3, 6])]) is None


def test_series_share_one_step_but_not_their_beginning() -> None:
    early, late = dates("2020-01-01", "2020-01-02"), dates("2021-06-01", "2021-06-02", "2021-06-04")
    assert str(find_step([early, late])) == "1 day"
    assert find_step([early, late + np.timedelta64(7, "h")]) is not None


def test_later_times() -> None:
    month = find_step([dates("2020-01-31", "2020-02-29")])
    assert (
        later_times(dates("2020-02-29"), month, 2).tolist()
        == dates("2020-03-31", "2020-04-30").tolist()
    )
    friday = dates("2020-01-03")
    assert later_times(friday, Step(1, "weekday"), 1) == dates("2020-01-06")
    assert later_times(np.array([0.0, 1.0, 2.6]), None, 1) == pytest.approx([3.9])


@given(st.integers(-(10**9), 10**9), st.integers(1, 10**6), st.sets(st.integers(0, 60), min_size=2))
def test_grid_inverts_positions(start: int, size: int, places: set[int]) -> None:
    places_sorted = np.array(sorted({0, *places}))
    step = Step(size, "number")
    times = start + places_sorted * size
    assert step.positions(times).tolist() == places_sorted.tolist()
    assert (
        step.grid(times[:1], int(places_sorted[-1]) + 1)[places_sorted].tolist() == times.tolist()
    )


def test_a_fixed_day_stays_that_day_where_one_row_happens_to_be_a_month_end() -> None:
    fixed = dates("1992-11-28", "1992-12-28", "1993-01-28", "1993-02-28")
    step = find_step([fixed])
    assert step == Step(1, "month")
    assert (later_times(fixed, step, 2) == dates("1993-03-28", "1993-04-28")).all()
    assert (step.grid(fixed[-1:], 2, offset=-1) == dates("1993-01-28", "1993-02-28")).all()
    quarters = dates("1997-10-30", "1998-01-30", "1998-04-30")
    assert later_times(quarters, find_step([quarters]), 1) == dates("1998-07-30")


def test_month_ends_stay_month_ends_and_a_day_that_a_month_lacks_is_its_last() -> None:
    ends = dates("2019-12-31", "2020-01-31", "2020-02-29")
    step = find_step([ends])
    assert step == Step(1, "month", at_end=True)
    assert (later_times(ends, step, 2) == dates("2020-03-31", "2020-04-30")).all()
    assert Step(1, "month").grid(dates("2021-01-30"), 2)[1] == dates("2021-02-28")
