"""What the model was given: the split as a bar of time, the gaps, and the series itself where the
report has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gatework.look.extra import need
from gatework.look.facts import Overview, Part
from gatework.look.palette import LIGHT
from gatework.look.pictures.axes import WIDE, few_ticks, line, new_axes, picture, time_axis

FULL = 0.87  # of the height that the bar takes; gaps stand out above it


@picture
def split_bar(
    parts: Sequence[Part],
    *,
    gaps: Sequence[tuple[Any, Any]] = (),
    series: Overview | None = None,
    width: float = WIDE,
    height: float = 0.0,
) -> Any:
    """Draw training, validation and test as lengths of time, gaps as red marks, and one series
    above where given.

    Args:
        parts: where each part starts and ends.
        gaps: pairs of first and last missing time.
        series: drawn above the bar.
        width, height: in inches.

    Returns:
        A matplotlib Figure.
    """
    height = height or (2.3 if series else 0.9)
    if series is None:
        figure, bar = new_axes(width, height)
    else:
        figure, bar = new_axes(width, height)
        grid = bar.get_subplotspec().subgridspec(2, 1, height_ratios=[height - 0.75, 0.4])
        bar.remove()
        above = figure.add_subplot(grid[0])
        bar = figure.add_subplot(grid[1], sharex=above)
        _draw_series(above, series)
    times = np.array([border for part in parts for border in (part.start, part.end)])
    for part in parts:
        _draw_part(bar, part, named=_fits(part, times, width))
    everything = times if series is None else np.concatenate([times, series.time])
    bar.axvspan(everything.min(), times.min(), ymax=FULL, color=LIGHT["rule"], linewidth=0)
    _mark_gaps(bar, times, gaps)
    bar.set_yticks([])
    bar.set_ylim(0, 1 / FULL)
    bar.grid(False)
    time_axis(bar, times, width=width)
    bar.set_xlim(everything.min(), everything.max())
    return figure


def _draw_part(axes: Any, part: Part, *, named: bool) -> None:
    axes.axvspan(
        part.start, part.end, ymax=FULL, color=LIGHT.get(part.name, LIGHT["rule"]), linewidth=0
    )
    if named:
        middle = part.start + (part.end - part.start) / 2
        axes.text(middle, 0.42, part.name, ha="center", va="center", clip_on=True)


def _fits(part: Part, times: Any, width: float) -> bool:
    """Whether the part's name has room in its length of the bar (a letter takes about 0.075
    inches)."""
    share = (part.end - part.start) / ((times.max() - times.min()) or 1)
    return bool(share * (width - 0.5) > 0.075 * len(part.name))


def _mark_gaps(axes: Any, times: Any, gaps: Sequence[tuple[Any, Any]]) -> None:
    if not gaps:
        return
    if np.issubdtype(times.dtype, np.datetime64):
        to_number = need("matplotlib.dates").date2num
        spans = [(to_number(start), to_number(end) - to_number(start)) for start, end in gaps]
    else:
        spans = [(start, end - start) for start, end in gaps]
    axes.broken_barh(spans, (0.86, 1 / FULL - 0.86), color=LIGHT["gap"], linewidth=0.8)


def _draw_series(axes: Any, series: Overview) -> None:
    line(axes, series.time, series.value, "ink", linewidth=0.9)
    few_ticks(axes, 4)
    axes.set_ylabel(series.target)
    axes.tick_params(axis="x", bottom=False, labelbottom=False)
    axes.spines["bottom"].set_visible(False)
