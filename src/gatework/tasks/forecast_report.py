"""`report.json` of a forecast: data, split, options, network, scores, examples, residuals, history. `look` draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.data import Scaler, Table, Windows
from gatework.options import to_mapping
from gatework.runtime.forecast_answer import Answers, bounds
from gatework.runtime.forecast_plan import Plan
from gatework.tasks.forecast_options import ForecastOptions
from gatework.tasks.forecast_plan import Prepared
from gatework.tasks.forecast_scores import (
    coverages,
    headline,
    horizon_error,
)
from gatework.train.history import History

FORMAT = 1
_EXAMPLES = 6
_POINTS = 1500  # of an overview or of the residuals over time
_BINS = 41


@dataclass(frozen=True)
class Judged:
    """The scored windows with everything that was forecast for them."""

    windows: Windows
    scaler: Scaler
    answers: Answers
    baselines: Mapping[str, NDArray[np.float64]]
    rows: list[dict[str, Any]]


def make_report(
    prepared: Prepared,
    plan: Plan,
    options: ForecastOptions,
    judged: Judged,
    *,
    network: Mapping[str, Any],
    history: History,
) -> dict[str, Any]:
    """Everything that is known about a trained forecaster, as plain lists, texts and numbers."""
    quantiles = options.all_quantiles
    table = prepared.table
    return {
        "format": FORMAT,
        "task": "forecast",
        "title": f"{_subject(table.name, plan.targets)}, {options.horizon} steps ahead",
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "data": _data(table),
        "split": _split(prepared, plan),
        "options": {**to_mapping(options), "chosen": to_mapping(plan)},
        "network": dict(network),
        "scores": judged.rows,
        "headline": headline(judged.rows, len(judged.answers.index), plan.scored),
        "horizon_error": horizon_error(judged.answers, judged.baselines),
        "coverage": coverages(judged.answers, quantiles, options.levels),
        "examples": _examples(judged, options),
        "residuals": _residuals(judged),
        "history": history.as_dicts(),
        "training": {
            "stopped": history.stopped,
            "best_epoch": history.best_epoch,
            "best_loss": history.best_loss,
            "seconds": sum(row.seconds for row in history.rows),
        },
    }


def times_as_text(times: NDArray[Any]) -> list[Any]:
    """Times as ISO text, or as they are where they are numbers."""
    if times.dtype.kind != "M":
        return times.tolist()
    days = times.astype("datetime64[D]")
    return (days if np.all(days == times) else times.astype("datetime64[s]")).astype(str).tolist()


def _data(table: Table) -> dict[str, Any]:
    start, end = times_as_text(np.array([table.start, table.end]))
    return {
        "name": table.name,
        "rows": table.rows,
        "series": len(table.series),
        "start": start,
        "end": end,
        "step": None if table.step is None else str(table.step),
        "missing": table.missing,
        "targets": list(table.targets),
        "known": list(table.known),
        "past": list(table.past),
        "notes": list(table.notes),
        "overview": [_overview(table, s, m) for s, m in _first_columns(table)],
        "gaps": _gaps(table),
    }


def _first_columns(table: Table) -> list[tuple[int, int]]:
    pairs = [(s, m) for s in range(len(table.series)) for m in range(len(table.targets))]
    return pairs[:_EXAMPLES]


def _overview(table: Table, number: int, column: int) -> dict[str, Any]:
    series = table.series[number]
    rows = np.unique(np.linspace(0, len(series) - 1, min(len(series), _POINTS)).astype(int))
    return {
        "id": None if series.id is None else str(series.id),
        "target": table.targets[column],
        "time": times_as_text(series.times[rows]),
        "value": series.values[rows, column],
    }


def _gaps(table: Table) -> list[list[Any]]:
    """Spans of the first series in which no target was observed, the 200 longest."""
    series = table.series[0]
    absent = np.isnan(series.values[:, : len(table.targets)]).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], absent.astype(np.int8), [0]])))
    spans = edges.reshape(-1, 2)
    longest = np.argsort(spans[:, 0] - spans[:, 1], kind="stable")[:200]
    ends = [[series.times[a], series.times[b - 1]] for a, b in spans[np.sort(longest)]]
    return [times_as_text(np.array(pair)) for pair in ends]


def _split(prepared: Prepared, plan: Plan) -> dict[str, Any]:
    parts = {"train": prepared.train, "validation": prepared.validation}
    if plan.scored == "test":
        parts["test"] = prepared.scored
    named: dict[str, Any] = {}
    for name, windows in parts.items():
        times = windows.times()
        start, end = times_as_text(np.array([times[:, 0].min(), times[:, -1].max()]))
        named[name] = {"start": start, "end": end, "windows": len(windows)}
    return named


def _examples(judged: Judged, options: ForecastOptions) -> list[dict[str, Any]]:
    """Windows spread evenly over the scored part, the targets in turn."""
    n, m = len(judged.answers.index), len(judged.windows.table.targets)
    chosen = np.unique(np.linspace(0, n - 1, min(_EXAMPLES, n)).astype(int))
    return [_example(judged, options, int(row), k % m) for k, row in enumerate(chosen)]


def _example(judged: Judged, options: ForecastOptions, row: int, column: int) -> dict[str, Any]:
    windows, answers = judged.windows, judged.answers
    number = answers.index[row : row + 1]
    shown = min(windows.input_length, 3 * options.horizon)
    rows = windows.past_times(number)[0, -shown:]
    id = windows.ids(number)[0]
    example: dict[str, Any] = {
        "id": None if id is None else str(id),
        "target": windows.table.targets[column],
        "past_time": times_as_text(rows),
        "past": _past(judged, number, column)[-shown:],
        "time": times_as_text(windows.times(number)[0]),
        "truth": answers.truth[row, :, column],
        "forecast": answers.point[row, :, column],
    }
    if options.levels:
        lower, upper = bounds(answers, options.all_quantiles, options.levels[0])
        example["lower"], example["upper"] = lower[row, :, column], upper[row, :, column]
    keys = {"seasonal naive": "seasonal_naive", "repeat last": "repeat_last", "linear": "linear"}
    for name, values in judged.baselines.items():
        key = next(key for begin, key in keys.items() if name.startswith(begin))
        example[key] = values[row, :, column]
    return example


def _past(judged: Judged, number: NDArray[np.int64], column: int) -> NDArray[np.float64]:
    batch = judged.windows.batch(number)
    m = batch["level"].shape[-1]
    values = judged.scaler.inverse(batch["past"][0, :, :m] + batch["level"].astype(np.float64))
    return np.where(batch["past_mask"][0, :, column], values[:, column], np.nan)


def _residuals(judged: Judged) -> dict[str, Any]:
    """Truth minus forecast: a histogram, and the mean per window over time; scaled where there are several targets."""
    truth, point = judged.answers.truth, judged.answers.point
    several = truth.shape[-1] > 1
    errors = (truth - point) / (judged.scaler.scale[: truth.shape[-1]] if several else 1.0)
    there = errors[~np.isnan(errors)]
    if not len(there):
        return {}
    low, high = np.quantile(there, [0.001, 0.999])
    width = max(abs(low), abs(high), 1e-12)
    edges = np.linspace(-width, width, _BINS)
    counts, _ = np.histogram(np.clip(there, -width, width), edges)
    seen = (~np.isnan(errors)).sum(axis=(1, 2))
    means = np.where(np.isnan(errors), 0.0, errors).sum(axis=(1, 2)) / np.maximum(seen, 1)
    starts = judged.windows.times(judged.answers.index)[:, 0]
    order = np.argsort(starts, kind="stable")
    rows = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), _POINTS)).astype(int))]
    rows = rows[seen[rows] > 0]
    return {
        "edges": edges,
        "counts": counts,
        "time": times_as_text(starts[rows]),
        "residual": means[rows],
        "unit": "deviations of the training part" if several else "the target's own unit",
    }


def _subject(name: str, targets: tuple[str, ...]) -> str:
    """What is forecast: the data's name and its targets, once where they are one word."""
    if targets == (name,):
        return name
    return f"{name}: {', '.join(targets[:4])}{' …' * (len(targets) > 4)}"
