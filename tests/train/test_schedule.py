"""The learning rate over a run, at the steps where its shape shows."""

import pytest

from gatework.train import TrainOptions
from gatework.train.schedule import Schedule


def make(**options):
    return Schedule(TrainOptions(learning_rate=0.1, max_epochs=10, **options), 20)


def test_constant():
    assert {make().rate(step) for step in range(200)} == {0.1}


def test_cosine_falls_from_the_rate_to_nothing():
    schedule = make(schedule="cosine")
    rates = [schedule.rate(step) for step in range(200)]
    assert rates[0] == 0.1
    assert rates[100] == pytest.approx(0.05)
    assert 0 < rates[-1] < 1e-4
    assert rates == sorted(rates, reverse=True)


def test_warmup_rises_linearly_and_ends_at_the_rate():
    schedule = make(warmup_steps=4)
    rates = [schedule.rate(step) for step in range(6)]
    assert rates == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1])


def test_plateau_halves_after_a_third_of_the_patience():
    schedule = make(schedule="plateau", patience=6)
    rates = []
    for improved in (True, False, True, False, False, False, False, True):
        schedule.after_epoch(improved)
        rates.append(schedule.rate(0))
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025])


def test_only_plateau_listens():
    schedule = make(patience=3)
    for _ in range(10):
        schedule.after_epoch(False)
    assert schedule.rate(0) == 0.1


def test_the_state_is_taken_over():
    one, other = make(schedule="plateau"), make(schedule="plateau")
    for _ in range(4):
        one.after_epoch(False)
    other.load_state_dict(one.state_dict())
    assert one.rate(0) < 0.1
    for _ in range(4):
        assert other.rate(3) == one.rate(3)
        one.after_epoch(False)
        other.after_epoch(False)
