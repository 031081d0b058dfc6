"""Scores of a forecast, always beside seasonal naive, repeat last and a linear model on the same windows.

Everything is in the user's units `[n, Hh, M]`; the metrics and the yardsticks themselves live in `gatework.metrics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework import metrics
from gatework.data import Scaler, Windows
from gatework.errors import FormatError
from gatework.runtime.folder import array_texts, text_array
from gatework.runtime.forecast_answer import Answers, Float, bounds
from gatework.tasks.forecast_plan import Prepared

MODEL = "LSTM"
REPEAT = "repeat last"
LINEAR = "linear (NLinear)"
_EQUAL = "equal to"  # within half a per cent
_VALUES = 20_000_000  # entries of one array at most; beyond that, every k-th window is taken


@dataclass(frozen=True)
class Yardsticks:
    """What the baselines learned from the training part.

    Attributes:
        season: m, steps.
        ids: ids of the training series, as text.
        seasonal_error: scale of MASE per series and target `[S, M]`, in the user's units.
        linear: weights of NLinear on scaled windows.
    """

    season: int
    ids: tuple[str, ...]
    seasonal_error: Float
    linear: metrics.Linear

    @classmethod
    def fit(cls, prepared: Prepared, season: int) -> Yardsticks:
        """Measures the scale of MASE and fits the linear model, on training rows only."""
        table, part = prepared.table, prepared.split.train
        m = len(table.targets)
        errors: list[Float] = []
        for series in table.series:
            first, last = part.rows(series)
            errors.append(metrics.seasonal_error(series.values[first:last, :m], season))
        ids = tuple(str(series.id) for series in table.series)
        return cls(season, ids, np.stack(errors), _linear(prepared.train))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Plain arrays for the trained folder."""
        return {
            "seasonal_error": self.seasonal_error,
            "ids": text_array(list(self.ids)),
            "linear_weights": self.linear.weights,
            "linear_offsets": self.linear.offsets,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], season: int) -> Yardsticks:
        """What `arrays` gave."""
        names = ("seasonal_error", "ids", "linear_weights", "linear_offsets")
        absent = [name for name in names if name not in arrays]
        if absent:
            raise FormatError(f"the yardsticks lack {absent}")
        linear = metrics.Linear(arrays["linear_weights"], arrays["linear_offsets"])
        ids = tuple(array_texts(arrays["ids"]))
        return cls(season, ids, arrays["seasonal_error"], linear)

    def scale(self, windows: Windows, index: NDArray[np.int64]) -> Float:
        """Scale of MASE `[n, 1, M]`; a series that was not in training gets the mean of those that were."""
        known = {id: row for row, id in enumerate(self.ids)}
        rows = [known.get(str(id), -1) for id in windows.ids(index)]
        usable = np.where(self.seasonal_error > 0, self.seasonal_error, np.nan)
        there = ~np.isnan(usable)
        mean = np.where(there, usable, 0.0).sum(0) / np.maximum(there.sum(0), 1)
        return np.concatenate([self.seasonal_error, mean[None]])[rows][:, None]

    def forecasts(
        self, windows: Windows, index: NDArray[np.int64], scaler: Scaler
    ) -> dict[str, Float]:
        """The baselines' forecasts by name, each `[n, Hh, M]` in the user's units."""
        horizon, found = windows.horizon, dict[str, list[Float]]()
        for part in np.array_split(index, max(1, len(index) // 512)):
            batch = windows.batch(part)
            m = batch["level"].shape[-1]
            past, mask = batch["past"][..., :m], batch["past_mask"][..., :m]
            longer = windows.history(part, max(windows.input_length, self.season))
            results = {REPEAT: metrics.repeat_last(past, horizon, mask)}
            if self.season > 1:
                naive = metrics.seasonal_naive(longer[0], horizon, self.season, longer[1])
                results = {f"seasonal naive ({self.season})": naive, **results}
            results[LINEAR] = metrics.linear_predict(self.linear, past, mask)
            for name, values in results.items():
                values = scaler.inverse(values + batch["level"][:, None].astype(np.float64))
                found.setdefault(name, []).append(values)
        return {name: np.concatenate(parts) for name, parts in found.items()}


def chosen_windows(windows: Windows, targets: int) -> NDArray[np.int64]:
    """Every window, or every k-th where all would not fit into memory."""
    every = -(-len(windows) * windows.horizon * targets // _VALUES)
    return np.arange(0, len(windows), max(every, 1))


def score_rows(
    answers: Answers,
    baselines: Mapping[str, Float],
    mase_scale: Float,
    scale: Float,
    quantiles: tuple[float, ...],
    levels: tuple[float, ...],
) -> list[dict[str, Any]]:
    """One row of scores per forecast, the model first.

    Args:
        answers: of the model, with the truth.
        baselines: forecasts by name.
        mase_scale: `[n, 1, M]`.
        scale: the scaler's `[M]`, by which normalised scores are divided.
        quantiles: levels of the answers' quantiles.
        levels: of the prediction intervals; the row's coverage is that of the first one.
    """
    rows: list[dict[str, Any]] = []
    for name, forecast in {MODEL: answers.point, **baselines}.items():
        truth = answers.truth
        rows.append(
            {
                "name": name,
                "kind": "model" if name == MODEL else "baseline",
                "mae": metrics.mae(truth, forecast),
                "rmse": metrics.rmse(truth, forecast),
                "mase": metrics.mase(truth, forecast, mase_scale),
                "mse_normalised": metrics.mse(truth / scale, forecast / scale),
                "mae_normalised": metrics.mae(truth / scale, forecast / scale),
                "coverage": None,
            }
        )
    seen = coverages(answers, quantiles, levels)
    rows[0]["coverage"] = seen[0]["observed"] if seen else None
    return rows


def coverages(
    answers: Answers, quantiles: tuple[float, ...], levels: tuple[float, ...]
) -> list[dict[str, float]]:
    """Promised and observed share of truths inside each prediction interval, with its mean width."""
    rows: list[dict[str, float]] = []
    for level in levels:
        lower, upper = bounds(answers, quantiles, level)
        observed = metrics.coverage(answers.truth, lower, upper)
        wide = metrics.width(answers.truth, lower, upper)
        rows.append({"level": level, "observed": observed, "width": wide})
    return rows


def horizon_error(answers: Answers, baselines: Mapping[str, Float]) -> dict[str, Any]:
    """MAE per step of the horizon and forecast; with several targets, the mean over them."""
    forecasts = {MODEL: answers.point, **baselines}
    steps = np.arange(1, answers.truth.shape[1] + 1)
    errors = {name: metrics.mae(answers.truth, f, axis=(0, 2)) for name, f in forecasts.items()}
    return {"steps": steps, "mae": errors}


def headline(rows: list[dict[str, Any]], count: int, part: str) -> str:
    """One honest sentence: the model's MAE beside each baseline's, and who wins."""
    model = rows[0]
    others = [row for row in rows[1:] if row["mae"] is not None and np.isfinite(row["mae"])]
    parts = [f"{_against(model['mae'], row['mae'])} {row['name']}" for row in others if row["mae"]]
    exact = [row["name"] for row in others if not row["mae"]]
    where = f"Over {count:,} {part} windows the {model['name']}'s mean absolute error is "
    best = min([model, *others], key=lambda row: row["mae"])
    ahead = best is model or bool(exact) or _against(model["mae"], best["mae"]) == _EQUAL
    winner = "" if ahead else f"; {best['name']} wins here"
    compared = ": " + ", ".join(parts) if parts else ""
    perfect = f", while {' and '.join(exact)} made no error at all" if exact else ""
    return where + f"{model['mae']:.4g}" + compared + perfect + winner + "."


def _against(mine: float, other: float) -> str:
    change = mine / other - 1.0
    if abs(change) < 0.005:
        return _EQUAL
    if change > 1.0:
        return f"{mine / other:.3g} times"
    return f"{abs(change):.0%} {'above' if change > 0 else 'below'}"


def _linear(windows: Windows) -> metrics.Linear:
    m = len(windows.table.targets)
    every = -(-len(windows) * (windows.input_length + windows.horizon) * m // (2 * _VALUES))
    batch = windows.batch(np.arange(0, len(windows), max(every, 1)))
    past, mask = batch["past"][..., :m], batch["past_mask"][..., :m]
    try:
        return metrics.linear_fit(past, batch["future"], mask, batch["future_mask"])
    except ValueError:
        return metrics.Linear(
            np.zeros((1, windows.input_length, windows.horizon)), np.zeros((1, windows.horizon))
        )
