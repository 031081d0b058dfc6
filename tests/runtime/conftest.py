"""Trained forecasters whose weights were drawn anew: a short training leaves them near zero."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gatework import Forecaster

SMALL: dict[str, Any] = {
    "horizon": 5, "input_length": 24, "season": 12, "hidden_size": 7, "max_epochs": 1, "batch_size": 64,
    "patience": 1,
}  # fmt: skip
Trained = Callable[..., Forecaster]


def sales(rows: int = 200, shops: int = 1, gaps: float = 0.0) -> dict[str, Any]:
    """Days of one or several shops, with a second measurement, a price known ahead, and the rain."""
    rng = np.random.default_rng(7)
    t = np.tile(np.arange(rows), shops)
    data: dict[str, Any] = {
        "day": np.datetime64("2020-01-01", "ns") + t * np.timedelta64(1, "D"),
        "shop": np.repeat([f"shop {number}" for number in range(shops)], rows),
        "sales": 50 + 5 * np.sin(2 * np.pi * t / 12) + rng.normal(0, 2, len(t)),
        "visits": 900 + 90 * np.cos(2 * np.pi * t / 12) + rng.normal(0, 30, len(t)),
        "price": rng.normal(size=len(t)),
        "rain": rng.normal(size=len(t)),
    }
    for name in ("sales", "visits", "rain"):
        data[name][rng.random(len(t)) < gaps] = np.nan
    return data


def some(data: dict[str, Any], *names: str) -> dict[str, Any]:
    """The time column and those named."""
    return {name: data[name] for name in ("day", *names)}


@pytest.fixture
def trained(tmp_path: Path) -> Trained:
    """Trains on `data`, draws weights and shifts anew, and saves into the folder `m`."""

    def make(data: dict[str, Any], **options: Any) -> Forecaster:
        model = Forecaster(**{**SMALL, **options}).fit(data, progress=False)
        contents = model._contents
        generator = torch.Generator().manual_seed(1)
        for parameter in contents.model.network.parameters():
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
        shape = contents.model.shifts.shape
        contents.model.shifts = np.random.default_rng(2).normal(0, 0.1, shape)
        contents.selftest["output"] = contents.model.answer(contents.selftest)
        model.save(tmp_path / "m")
        return model

    return make
