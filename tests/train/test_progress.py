"""The progress bar, with a clock that the test turns."""

import io

import pytest

from gatework.train import progress
from gatework.train.progress import Progress, clock
from tests.train.killable import fit, network


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def now(monkeypatch):
    class Clock:
        seconds = 100.0

        def perf_counter(self):
            return self.seconds

    hand = Clock()
    monkeypatch.setattr(progress, "time", hand)
    return hand


def test_nothing_in_the_first_two_seconds(now):
    stream = Terminal()
    bar = Progress(10, 5, stream=stream)
    for done in range(15):
        now.seconds += 0.1
        bar.step(done)
    bar.close("15 steps")
    assert stream.getvalue() == ""


def test_a_terminal_gets_rate_time_left_and_losses(now):
    stream = Terminal()
    bar = Progress(10, 5, stream=stream)
    bar.epoch(0.5, 0.25, 0.125)
    now.seconds += 4.0
    bar.step(20)
    line = stream.getvalue()
    assert line.startswith("\repoch 3/5 [########............] 20/50 steps, 5/s, 0:06 left at most")
    assert "train 0.5, validation 0.25 (best 0.125)" in line
    bar.step(21)
    assert stream.getvalue() == line, "not more often than ten times a second"
    now.seconds += 0.2
    bar.step(22, "validating")
    assert "validating" in stream.getvalue()
    now.seconds += 0.2
    bar.close("done")
    last = stream.getvalue().split("\r")[-1]
    assert last.rstrip() == "done" and last.endswith("\n")
    assert len(last) > 20, "the rest of the longer line before it is blanked"


def test_a_file_gets_a_line_in_ten_seconds(now):
    stream = io.StringIO()
    bar = Progress(10, 50, stream=stream)
    for done in range(1, 31):
        now.seconds += 1.0
        bar.step(done)
    bar.close("over")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[0] == "epoch 1/50 2/500 steps, 1/s, 8:18 left at most"
    assert lines[-1] == "over"
    assert "\r" not in stream.getvalue()


def test_the_rate_counts_the_steps_of_this_process_only(now):
    stream = io.StringIO()
    bar = Progress(10, 50, done=400, stream=stream)
    now.seconds += 10.0
    bar.step(420)
    assert "2/s, 0:40 left" in stream.getvalue()


def test_disabled_it_is_silent(now):
    stream = Terminal()
    bar = Progress(10, 5, enabled=False, stream=stream)
    now.seconds += 100
    bar.step(3)
    bar.close("over")
    assert stream.getvalue() == ""


def test_train_draws_on_standard_error(monkeypatch, capsys):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    fit(network(), progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "epoch 1/12" in shown.err
    assert "weights: kept those of epoch 11 (validation" in shown.err


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")]
)
def test_clock(seconds, text):
    assert clock(seconds) == text
