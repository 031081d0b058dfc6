"""A small table with a season, and a forecaster trained on it once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gatework import Forecaster

SMALL: dict[str, Any] = {
    "horizon": 6,
    "input_length": 24,
    "season": 12,
    "hidden_size": 8,
    "max_epochs": 2,
    "dropout": 0.0,
}


def seasonal(rows: int = 400, seed: int = 0) -> dict[str, Any]:
    """Days with a period of 12, a trend and noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(rows)
    days = np.datetime64("2020-01-01", "ns") + t * np.timedelta64(1, "D")
    values = 50 + 0.05 * t + 5 * np.sin(2 * np.pi * t / 12) + rng.normal(0, 0.3, rows)
    return {"day": days, "sales": values}


@pytest.fixture
def small() -> Callable[..., Forecaster]:
    """A forecaster that trains in well under a second."""
    return lambda **options: Forecaster(**{**SMALL, **options})


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A trained forecaster, its folder and its data."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    data = seasonal()
    model = Forecaster(**SMALL).fit(data, folder=folder, progress=False)
    return model, folder, data
