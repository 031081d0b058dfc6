"""The tasks that `gatework train` knows: where each estimator and its options are found."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from gatework.options import OptionInfo


@dataclass(frozen=True)
class Job:
    """One task: its word, the estimator's class and the options dataclasses it is made with."""

    name: str
    help: str
    estimator: str
    options: tuple[str, ...]

    def infos(self) -> list[OptionInfo]:
        """The options of the task, each of which becomes a flag."""
        from gatework.cli.flags import infos_of

        return infos_of(*map(_named, self.options))

    def make(self, options: dict[str, Any]) -> Any:
        """The estimator, with `options` as its arguments."""
        return _named(self.estimator)(**options)

    def load(self, folder: Any) -> Any:
        """The estimator from a trained folder."""
        return _named(self.estimator).load(folder)


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


JOBS = {
    "forecast": Job(
        "forecast",
        "Forecast the next steps of one or many series.",
        "gatework.tasks.forecast:Forecaster",
        ("gatework.tasks.forecast_options:ForecastOptions",),
    )
}
