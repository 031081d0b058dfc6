"""Forecasts in the user's units, and as columns in the user's own names, times and ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.data import Table, Windows
from gatework.errors import FormatError
from gatework.runtime.forecast_options import AnswerOptions, interval
from gatework.runtime.forecast_plan import Plan

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """What the network forecasts for some windows, in the user's units.

    Attributes:
        index: numbers of the windows `[n]`.
        truth: `[n, Hh, M]`, NaN where nothing was observed.
        point: `[n, Hh, M]`.
        quantiles: `[n, Hh, M, Q]`, ascending.
    """

    index: NDArray[np.int64]
    truth: Float
    point: Float
    quantiles: Float


def bounds(answers: Answers, quantiles: tuple[float, ...], level: float) -> tuple[Float, Float]:
    """Lower and upper end `[n, Hh, M]` of the prediction interval of this level; the point forecast is inside."""
    low, high = (quantiles.index(border) for border in interval(level))
    lower = np.minimum(answers.quantiles[..., low], answers.point)
    return lower, np.maximum(answers.quantiles[..., high], answers.point)


def answer_columns(
    windows: Windows, answers: Answers, table: Table, options: AnswerOptions
) -> dict[str, NDArray[Any]]:
    """Long columns, series by series and target by target.

    Returns:
        id (where there is one), time, target, forecast; per interval lower and upper for the first level, lower_95 and
        upper_95 (say) for the others; quantile_0.5 (say) per further quantile.
    """
    n, steps, m = answers.point.shape

    def long(values: NDArray[Any]) -> NDArray[Any]:
        return values.transpose(0, 2, 1).reshape(-1)  # [n * M * Hh]

    columns: dict[str, NDArray[Any]] = {}
    if table.id_name is not None:
        columns[table.id_name] = np.repeat(np.array(windows.ids()), m * steps)
    times = np.repeat(windows.times()[:, None], m, axis=1)  # [n, M, Hh]
    columns[table.time_name or "time"] = times.reshape(-1)
    columns["target"] = np.tile(np.repeat(np.array(table.targets), steps), n)
    columns["forecast"] = long(answers.point)
    for place, level in enumerate(options.levels):
        ending = f"_{100 * level:g}" if place else ""
        lower, upper = bounds(answers, options.all_quantiles, level)
        columns[f"lower{ending}"], columns[f"upper{ending}"] = long(lower), long(upper)
    for quantile in options.quantiles:
        at = options.all_quantiles.index(quantile)
        columns[f"quantile_{quantile:g}"] = long(answers.quantiles[..., at])
    return columns


def need_known(windows: Windows, plan: Plan, table: Table) -> None:
    """Refuse a forecast without the future values of a known covariate.

    Raises:
        FormatError: a covariate has no value at all over the horizon of a series.
    """
    there = windows.batch()["known_mask"][..., : len(plan.known)]  # [n, Hh, K]
    for k, name in enumerate(plan.known):
        without = np.flatnonzero(~there[..., k].any(axis=1))
        if len(without):
            first = windows.times(without[:1])[0]
            series = "" if table.id_name is None else f" of series {windows.ids(without[:1])[0]!r}"
            raise FormatError(
                f"the known covariate {name!r}{series} has no value from {first[0]} to {first[-1]}; "
                "append the rows of the horizon, the target left empty"
            )
