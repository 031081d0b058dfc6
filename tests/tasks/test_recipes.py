"""Recipes parse, fit the options, and reach the result that stands in them."""

from pathlib import Path
from typing import Any

import pytest

from gatework import Forecaster
from gatework.data import catalogue
from gatework.errors import FormatError, GateworkError
from gatework.options import from_mapping, read_toml
from gatework.tasks.forecast_options import ForecastOptions

RECIPES = sorted(
    (Path(__file__).parents[2] / "src" / "gatework" / "recipes").glob("forecast_*.toml")
)
BARS = {
    "forecast_etth1_multivariate": (0.424, 0.34),
    "forecast_etth1_multivariate_week": (0.571, 0.44),
}
NAMES = ("mae", "rmse", "mase", "mse_normalised", "mae_normalised")


def given(recipe: dict[str, Any]) -> ForecastOptions:
    return from_mapping(ForecastOptions, recipe["options"])


def fetch_or_skip(name: str) -> None:
    """A machine without network and without the file skips, with the catalogue's own reason; wrong contents fail."""
    try:
        catalogue.get(name)
    except FormatError:
        raise
    except GateworkError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_names_its_task_data_options_and_result(path: Path):
    recipe = read_toml(path)
    assert set(recipe) == {"task", "title", "data", "options", "result"}
    assert recipe["task"] == "forecast" and catalogue.find(recipe["data"]) is not None
    assert given(recipe).horizon >= 1
    result = recipe["result"]
    assert result["command"].startswith(f"gatework train forecast {recipe['data']} ")
    assert result["names"][0] == "LSTM" and "repeat last" in result["names"]
    assert all(len(result[name]) == len(result["names"]) for name in NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_reaches_its_result(path: Path):
    recipe = read_toml(path)
    fetch_or_skip(recipe["data"])
    options = given(recipe)
    names = list(recipe["options"])
    model = Forecaster(**{name: getattr(options, name) for name in names})
    rows = model.fit(recipe["data"], progress=False).report_["scores"]
    result = recipe["result"]
    assert [row["name"] for row in rows] == result["names"]
    for name in NAMES:
        found = [row[name] for row in rows]
        assert found[1:] == pytest.approx(result[name][1:], rel=2e-3)
        assert found[0] <= 1.05 * result[name][0]
        assert found[0] < min(found[1:3])
    assert abs(rows[0]["coverage"] - result["coverage_of_80"]) < 0.05
    if path.stem in BARS:
        naive, limit = BARS[path.stem]
        error = {row["name"]: row["mse_normalised"] for row in rows}
        assert error["seasonal naive (24)"] == pytest.approx(naive, abs=0.001)
        assert error["LSTM"] < limit and error["LSTM"] < 1.1 * error["linear (NLinear)"]
