"""Slices, rounds and what is done about disturbed ones; nothing here measures a time."""

import itertools

import pytest

from benchmarks import noise
from benchmarks.race import Local, Pace, compete, race

QUIET = {"rounds": 5, "slice_seconds": 4.0, "attempts": 1}


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(noise, "rest", lambda: None)
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def disturbed_in(monkeypatch: pytest.MonkeyPatch, slices: set[int]):
    """Makes the machine busy in these slices, counted from 0."""
    number = itertools.count()
    monkeypatch.setattr(noise, "disturbed", lambda start, end: next(number) in slices)


def test_a_contender_counts_as_the_median_of_its_calls(monkeypatch: pytest.MonkeyPatch):
    disturbed_in(monkeypatch, set())
    seconds = itertools.cycle([1.0, 2.0, 9.0])
    found = race({"a": lambda: next(seconds), "b": lambda: 2.0}, **QUIET)
    assert found.timings["a"].seconds == 2.0
    assert found.timings["b"][:4] == (2.0, 2.0, 2.0, 2)
    assert (found.redone, found.disturbed) == (0, 0)


def test_everyone_goes_first_in_turn(monkeypatch: pytest.MonkeyPatch):
    disturbed_in(monkeypatch, set())
    order: list[str] = []

    def timer(name: str):
        return lambda: order.append(name) or 9.0  # type: ignore[func-returns-value]

    race({name: timer(name) for name in "abc"}, rounds=3, slice_seconds=1.0, attempts=1)
    # after one call each to calibrate; a call longer than a slice needs none before it
    rounds = [order[3 + 3 * n :][:3] for n in range(3)]
    assert rounds == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]]


def test_a_disturbed_slice_is_done_again(monkeypatch: pytest.MonkeyPatch):
    disturbed_in(monkeypatch, {1, 2})
    found = race({"a": lambda: 1.0}, rounds=3, slice_seconds=1.0, attempts=8)
    assert (found.redone, found.disturbed) == (2, 0)


def test_disturbed_slices_count_only_where_most_are(monkeypatch: pytest.MonkeyPatch):
    seconds = iter([1.0, 1.0, *[1.0] * 6, *[50.0] * 4])
    disturbed_in(monkeypatch, {3, 4})
    found = race({"a": lambda: next(seconds)}, rounds=5, slice_seconds=1.0, attempts=1)
    assert found.timings["a"].worst == 1.0
    assert found.disturbed == 0
    disturbed_in(monkeypatch, {0, 1, 2})
    assert race({"a": lambda: 1.0}, rounds=5, slice_seconds=1.0, attempts=1).disturbed == 3


def test_who_is_slow_sits_out_rounds(monkeypatch: pytest.MonkeyPatch):
    disturbed_in(monkeypatch, set())
    order: list[str] = []

    def lane(name: str, seconds: float) -> Local:
        return Local(lambda: order.append(name) or seconds)  # type: ignore[func-returns-value]

    pace = Pace(rounds=5, slice_seconds=1.0, attempts=1, budget_seconds=6.0)
    compete({"fast": lane("fast", 1.0), "slow": lane("slow", 2.5)}, pace)
    # to calibrate, and two rounds of one call that needs no other first
    assert order.count("slow") == 1 + 2
    assert order.count("fast") == 2 + 5
    assert [pace.takes_part(number, 2.5) for number in range(5)] == [
        True,
        False,
        False,
        False,
        True,
    ]


def test_patience_ends(monkeypatch: pytest.MonkeyPatch):
    disturbed_in(monkeypatch, set(range(1000)))
    clock = itertools.count()
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    pace = Pace(rounds=5, slice_seconds=1.0, attempts=4, patience_seconds=1.5)
    found = compete({"a": Local(lambda: 1.0)}, pace)
    assert 3 <= found.redone <= 6
    assert found.disturbed == 5


def test_others_on_purpose_are_there_only_inside(monkeypatch: pytest.MonkeyPatch):
    inside: list[bool] = []

    class Around:
        here = False

        def __enter__(self) -> None:
            self.here = True

        def __exit__(self, *_: object) -> None:
            self.here = False

    around = Around()
    Local(lambda: inside.append(around.here) or 1.0, around).slice(2, warm=True)  # type: ignore[func-returns-value]
    assert inside == [True] * 3
    assert not around.here
