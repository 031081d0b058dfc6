"""The classic lessons with one import changed, each trained on real data: they run, and beat what knows no sequence."""

import os
import runpy
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LESSONS = (
    "keras_cnn_before_lstm",
    "keras_digits_row_by_row",
    "keras_next_word",
    "three_axes_in_torch",
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("GATEWORK_DATA" not in os.environ, reason="GATEWORK_DATA names no folder"),
]


def run(name: str) -> dict[str, Any]:
    """What the names of an example stand for at its end."""
    return runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")


def test_the_next_word() -> None:
    found = run("keras_next_word")
    assert found["loss"] < found["by_share"] - 0.1


@pytest.mark.parametrize("name", ["keras_digits_row_by_row", "keras_cnn_before_lstm"])
def test_digits(name: str) -> None:
    found = run(name)
    assert found["accuracy"] > 0.7 > found["most"]


def test_three_axes() -> None:
    found = run("three_axes_in_torch")
    assert found["right"] > 0.6 > found["common"]
