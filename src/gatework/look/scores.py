"""The table of scores: the model beside its baselines, the best of each column marked, each unit
explained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from gatework.look.facts import Facts
from gatework.look.palette import role_of
from gatework.look.wording import column_numbers

NOTES = {
    "mae": "MAE, mean absolute error, in {unit}.",
    "rmse": "RMSE, root of the mean squared error, in {unit}; large errors weigh more.",
    "mase": "MASE, MAE divided by the MAE of the seasonal naive forecast on the training part; "
    "no unit.",
    "mse_normalised": "MSE and MAE normalised: after scaling by mean and standard deviation of the "
    "training part, as published results give them.",
    "coverage": "Coverage: share of truths inside the interval{promise}.",
}
LABELS = {
    "mae": "MAE",
    "rmse": "RMSE",
    "mase": "MASE",
    "mse_normalised": "MSE, normalised",
    "mae_normalised": "MAE, normalised",
    "coverage": "Coverage",
}
DASHES = {"seasonal": "7 3", "repeat": "2 2.5", "linear": "9 3 2 3", "other": "4 2"}


class Column(NamedTuple):
    """One score of all rows: its key in the report, its heading, the rows' texts and which of them
    are best."""

    key: str
    label: str
    texts: list[str]
    best: list[bool]


def columns_of(scores: Sequence[dict[str, Any]]) -> list[Column]:
    """The scores that at least one row has, in the house's order; lower is better for all but
    coverage."""
    found: list[Column] = []
    for key, label in LABELS.items():
        values = [_value(row.get(key)) for row in scores]
        if all(value is None for value in values):
            continue
        if key == "coverage":
            texts = ["–" if value is None else f"{value:.0%}" for value in values]
            found.append(Column(key, label, texts, [False] * len(values)))
            continue
        lowest = min(value for value in values if value is not None)
        best = [value == lowest for value in values]
        found.append(Column(key, label, column_numbers(values), best))
    return found


def _value(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def table(facts: Facts) -> dict[str, Any]:
    """The table as the page's template takes it: columns, rows of cells, and a sentence per kind of
    score."""
    columns = columns_of(facts.scores)
    names = [row["name"] for row in facts.scores]
    rows: list[dict[str, Any]] = []
    for place, score in enumerate(facts.scores):
        model = score.get("kind", "model" if place == 0 else "baseline") == "model"
        role = "model" if model else role_of(score["name"], ["", *names])
        rows.append(
            {
                "name": score["name"],
                "model": model,
                "role": role,
                "dash": DASHES.get(role, ""),
                "cells": [{"text": c.texts[place], "best": c.best[place]} for c in columns],
            }
        )
    keys = {column.key for column in columns}
    notes = [text.format(**_words(facts)) for key, text in NOTES.items() if key in keys]
    return {"columns": columns, "rows": rows, "notes": ["Lower is better; bold is best.", *notes]}


def scored_part(facts: Facts) -> str:
    """The part of the split that the scores are of, as far as the folder says: "test" or "validation"."""
    chosen = facts.options.get("chosen")
    return str(chosen.get("scored") or "test") if isinstance(chosen, dict) else "test"


def _words(facts: Facts) -> dict[str, str]:
    targets = [str(target) for target in facts.data.get("targets") or []]
    unit = f"the unit of {targets[0]}" if len(targets) == 1 else "the targets' own units, averaged"
    promise = f"; promised is {facts.coverage[0][0]:.0%}" if facts.coverage else ""
    return {"unit": unit, "promise": promise}
