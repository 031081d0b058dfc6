from pathlib import Path
from typing import Any

import pytest

from gatework import Forecaster, OptionError
from gatework.options import describe
from gatework.runtime.forecast_options import interval
from gatework.tasks.forecast_options import ForecastOptions
from gatework.train import TrainOptions


def test_the_borders_of_the_intervals_join_the_quantiles():
    assert ForecastOptions(levels=(0.8, 0.5), quantiles=(0.5,)).all_quantiles == (
        0.1,
        0.25,
        0.5,
        0.75,
        0.9,
    )
    assert interval(0.95) == (0.025, 0.975)


def test_the_training_part_carries_every_option_of_train():
    training = ForecastOptions(seed=4, max_epochs=3).training(windows=10)
    assert type(training) is TrainOptions
    assert (training.seed, training.max_epochs, training.learning_rate) == (4, 3, 3e-3)


@pytest.mark.parametrize(
    ("windows", "epochs"), [(8000, 12), (1392, 12), (320, 50), (1, 500), (0, 500)]
)
def test_few_windows_get_more_epochs(windows: int, epochs: int):
    training = ForecastOptions().training(windows)
    assert (training.max_epochs, training.min_epochs) == (epochs, epochs // 2)
    assert ForecastOptions(max_epochs=3).training(windows).max_epochs == 3
    assert ForecastOptions(min_epochs=900).training(windows).max_epochs == 900


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_cells_that_are_not_there_yet_are_refused(cell: str):
    with pytest.raises(OptionError, match="not there yet; use cell='lstm'"):
        ForecastOptions(cell=cell)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": (1.0,)}, "levels holds 1.0"),
        ({"quantiles": (0.0,)}, "quantiles holds 0.0"),
        ({"known": ("x",), "past": ("x",)}, "'x' has two roles"),
        ({"target": "y", "id": "y"}, "'y' has two roles"),
        ({"loss": "hubber"}, "did you mean 'huber'"),
        ({"min_epochs": 50, "max_epochs": 3}, "min_epochs=50"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, object], message: str):
    with pytest.raises(OptionError, match=message):
        Forecaster(**options).options()


def in_words(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_the_page_lists_every_option_with_its_default_and_sentence():
    page = Path(__file__).parents[2] / "docs" / "api" / "tasks" / "forecast.md"
    table = page.read_text(encoding="utf-8").split("| option | default |")[1].split("\n\n")[0]
    wanted = [
        f"| `{o.name}` | {in_words(o.default)} | {o.doc} |" for o in describe(ForecastOptions)
    ]
    assert table.splitlines()[2:] == wanted
