"""How wrong a forecast is: by horizon step, as a distribution, over time, and whether its intervals
keep their word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.look.extra import need
from gatework.look.palette import LIGHT, role_of
from gatework.look.pictures.axes import (
    HALF,
    WIDE,
    add_legend,
    few_ticks,
    line,
    new_axes,
    picture,
    time_axis,
    whole_numbers,
)

MOST_DOTS = 1500


@picture
def horizon_error(
    steps: NDArray[np.float64],
    errors: Mapping[str, NDArray[np.float64]],
    *,
    unit: str = "",
    width: float = HALF,
    height: float = 2.6,
    legend: bool = True,
) -> Any:
    """Draw the mean absolute error at each step ahead, the model (first of `errors`) beside its
    baselines.

    Args:
        steps: `[H]`, counted from 1.
        errors: `[H]` per name, in the target's unit.
        unit: written on the axis.
        width, height: in inches.
        legend: whether the picture carries its own.

    Returns:
        A matplotlib Figure.
    """
    figure, axes = new_axes(width, height)
    names = list(errors)
    for name in reversed(names):
        role = role_of(name, names)
        weight = 2.0 if role == "model" else 1.3
        line(axes, steps, errors[name], role, linewidth=weight, label=name)
        if len(steps) == 1:
            axes.plot(steps, errors[name], "o", color=LIGHT[role])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("steps ahead")
    axes.set_ylabel(f"MAE, {unit}" if unit else "MAE")
    whole_numbers(axes, steps)
    few_ticks(axes)
    if legend:
        add_legend(axes, columns=2)
    return figure


@picture
def residual_histogram(
    edges: NDArray[np.float64],
    counts: NDArray[np.float64],
    *,
    unit: str = "",
    width: float = HALF,
    height: float = 2.6,
) -> Any:
    """Draw how often each size of residual (truth minus forecast) occurred; a good one stands over
    zero.

    Args:
        edges: `[bins + 1]`, ascending.
        counts: `[bins]`.
        unit: written on the axis.
        width, height: in inches.

    Returns:
        A matplotlib Figure.
    """
    figure, axes = new_axes(width, height)
    axes.bar(
        edges[:-1],
        counts,
        np.diff(edges),
        align="edge",
        color=LIGHT["model"],
        alpha=0.75,
        edgecolor=LIGHT["surface"],
        linewidth=0.6,
    )
    axes.axvline(0, color=LIGHT["ink"], linewidth=0.9)
    axes.set_xlabel(f"truth − forecast, {unit}" if unit else "truth − forecast")
    axes.set_ylabel("count")
    few_ticks(axes)
    return figure


@picture
def residuals_over_time(
    times: NDArray[Any],
    residuals: NDArray[np.float64],
    *,
    unit: str = "",
    width: float = WIDE,
    height: float = 2.1,
) -> Any:
    """Draw residuals (truth minus forecast) at their times; drift or a changed spread shows here.

    More than 1,500 are thinned to the largest hundred and a fixed draw of the others.

    Args:
        times: `[n]`, datetimes or numbers.
        residuals: `[n]`, NaN where nothing was measured.
        unit: written on the axis.
        width, height: in inches.

    Returns:
        A matplotlib Figure.
    """
    figure, axes = new_axes(width, height)
    kept = thinned(residuals, MOST_DOTS)
    axes.plot(
        times[kept],
        residuals[kept],
        linestyle="none",
        marker="o",
        markersize=2.2,
        markeredgewidth=0,
        color=LIGHT["model"],
        alpha=0.55,
    )
    axes.axhline(0, color=LIGHT["ink"], linewidth=0.9)
    time_axis(axes, times, width=width)
    few_ticks(axes)
    axes.set_ylabel(f"truth − forecast, {unit}" if unit else "truth − forecast")
    return figure


def thinned(values: NDArray[np.float64], most: int) -> NDArray[np.intp]:
    """Places of at most `most` values: the hundred largest and a fixed draw of the others, in
    order."""
    there = np.flatnonzero(np.isfinite(values))
    if len(there) <= most:
        return there
    by_size = there[np.argsort(np.abs(values[there]))]
    others = np.random.default_rng(0).choice(by_size[:-100], most - 100, replace=False)
    return np.sort(np.concatenate([others, by_size[-100:]]))


@picture
def coverage(
    levels: Sequence[float], observed: Sequence[float], *, width: float = HALF, height: float = 0.0
) -> Any:
    """Draw, for each interval, the share of truths that fell inside (bar) against the promise
    (tick).

    Args:
        levels: the share that each interval promises, 0 to 1.
        observed: the share that it held.
        width, height: in inches.

    Returns:
        A matplotlib Figure.
    """
    figure, axes = new_axes(width, height or 0.75 + 0.5 * len(levels))
    rows = np.arange(len(levels))
    axes.barh(rows, np.array(observed), height=0.5, color=LIGHT["model"], alpha=0.75)
    for row, level, share in zip(rows, levels, observed, strict=True):
        axes.plot([level, level], [row - 0.38, row + 0.38], color=LIGHT["ink"], linewidth=2)
        place, colour = (0.02, "surface") if share > 0.3 else (max(share, level) + 0.03, "ink")
        axes.text(place, row, f"{share:.0%} inside", va="center", color=LIGHT[colour])
    axes.set_yticks(rows, [f"{level:.0%}" for level in levels])
    axes.set_ylabel("promised")
    axes.set_xlim(0, 1)
    axes.set_ylim(len(levels) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(need("matplotlib.ticker").PercentFormatter(1.0))
    axes.grid(False)
    return figure
