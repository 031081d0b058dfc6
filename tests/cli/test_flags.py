"""Flags from options dataclasses, and tables on a terminal and elsewhere."""

import io

import pytest

from gatework.cli import terminal
from gatework.cli.flags import flag, infos_of, parsed
from gatework.cli.terminal import fancy, table
from gatework.errors import OptionError
from gatework.tasks.forecast_options import ForecastOptions
from gatework.train import TrainOptions


def test_a_name_that_comes_twice_is_one_flag():
    infos = infos_of(TrainOptions, TrainOptions)
    names = [info.name for info in infos]
    assert len(names) == len(set(names)) and "max_epochs" in names


def test_parsed_takes_only_what_was_given():
    infos = infos_of(TrainOptions)
    assert parsed(infos, {}) == {}
    given = {"max_epochs": "3", "learning_rate": "1e-2", "schedule": "cosine", "seed": None}
    assert parsed(infos, given) == {"max_epochs": 3, "learning_rate": 0.01, "schedule": "cosine"}


def test_one_name_is_a_text_and_several_are_a_tuple():
    infos = infos_of(ForecastOptions)
    assert parsed(infos, {"target": "all", "known": "a"}) == {"target": "all", "known": ("a",)}
    assert parsed(infos, {"target": "a,b"}) == {"target": ("a", "b")}


def test_one_mistake_stands_alone():
    with pytest.raises(OptionError) as caught:
        parsed(infos_of(TrainOptions), {"max_epochs": "0"})
    assert str(caught.value) == f"{flag('max_epochs')} 0: expected at least 1"


def test_bold_only_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert fancy(Terminal()) and not fancy(io.StringIO())
    monkeypatch.setattr(terminal, "fancy", lambda stream=None: True)
    drawn = table(["", "a"], [["x", "1"], ["y", "22"]], right=[1], strong=[(0, 1)])
    assert drawn.splitlines() == ["    \x1b[1ma\x1b[0m", "x   \x1b[1m1\x1b[0m", "y  22"]
    monkeypatch.undo()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not fancy(Terminal())
