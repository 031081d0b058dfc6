"""A forecast against what came: past, truth, forecast, interval and baselines."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatework.look.facts import Example
from gatework.look.palette import LIGHT, role_of
from gatework.look.pictures.axes import (
    WIDE,
    add_legend,
    few_ticks,
    line,
    new_axes,
    picture,
    time_axis,
)


@picture
def forecast(
    example: Example, *, width: float = WIDE, height: float = 2.7, legend: bool = True
) -> Any:
    """Draw one forecast beside the truth, the interval and the baselines, after a stretch of the
    past.

    Args:
        example: one forecast beside what came.
        width, height: in inches.
        legend: whether the picture carries its own.

    Returns:
        A matplotlib Figure.
    """
    figure, axes = new_axes(width, height)
    shown = max(3 * len(example.time), 36)
    past_time, past = example.past_time[-shown:], example.past[-shown:]
    if example.lower is not None and example.upper is not None:
        axes.fill_between(
            example.time,
            example.lower,
            example.upper,
            color=LIGHT["model"],
            alpha=0.2,
            linewidth=0,
            label="interval",
        )
    line(axes, past_time, past, "ink", linewidth=1.1)
    border = example.time[0]
    if len(past):
        border = past_time[-1] + (border - past_time[-1]) / 2
        joint_time = np.concatenate([past_time[-1:], example.time[:1]])
        line(axes, joint_time, np.concatenate([past[-1:], example.truth[:1]]), "ink", linewidth=1.1)
    for name, values in example.baselines.items():
        line(axes, example.time, values, role_of(name), linewidth=1.2, label=name)
    line(axes, example.time, example.truth, "ink", linewidth=1.4, label="truth")
    line(axes, example.time, example.forecast, "model", linewidth=2.0, label="forecast")
    axes.axvline(border, color=LIGHT["muted"], alpha=0.6, linewidth=0.7, zorder=0.5)
    time_axis(axes, example.time, width=width)
    few_ticks(axes)
    axes.set_ylabel(example.target)
    if legend:
        add_legend(axes, columns=5 if width > 6 else 3)
    return figure


def mean_absolute_errors(example: Example) -> dict[str, float]:
    """MAE of the forecast and of each baseline on one example, in the target's own unit; NaN
    without truth."""
    lines = {"forecast": example.forecast, **example.baselines}
    errors: dict[str, float] = {}
    for name, values in lines.items():
        error = np.abs(values - example.truth)
        errors[name] = float(np.nanmean(error)) if np.isfinite(error).any() else float("nan")
    return errors
