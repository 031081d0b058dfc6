"""How every picture begins and how its axes behave: sizes, time axes, lines with gaps, legends.

Drawing needs matplotlib (extra [train]); figures are made without pyplot: no window and no global
state.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import numpy as np
from numpy.typing import NDArray

from gatework.look.extra import need
from gatework.look.palette import DASH, LIGHT, drawing_style

Drawing = ParamSpec("Drawing")
WIDE, HALF = 8.8, 4.25


def picture(draw: Callable[Drawing, Any]) -> Callable[Drawing, Any]:
    """Decorate a drawing function so that it draws in the style of the house."""

    @wraps(draw)
    def drawn(*args: Drawing.args, **keywords: Drawing.kwargs) -> Any:
        with drawing_style():
            return draw(*args, **keywords)

    return drawn


def new_axes(width: float, height: float) -> tuple[Any, Any]:
    """A figure of `width` by `height` inches and its one pair of axes."""
    figure = need("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.03)
    return figure, figure.add_subplot()


def time_axis(axes: Any, times: NDArray[Any], *, width: float) -> None:
    """Set the horizontal axis for datetimes (short labels, few of them) or for plain numbers."""
    if np.issubdtype(times.dtype, np.datetime64):
        dates = need("matplotlib.dates")
        locator = dates.AutoDateLocator(minticks=3, maxticks=8 if width > 6 else 5)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    else:
        ticker = need("matplotlib.ticker")
        axes.xaxis.set_major_locator(ticker.MaxNLocator(8 if width > 6 else 5))
    axes.margins(x=0.01)


def few_ticks(axes: Any, count: int = 5) -> None:
    """At most `count` ticks on the vertical axis, without an offset that nobody sees."""
    axes.yaxis.set_major_locator(
        need("matplotlib.ticker").MaxNLocator(count, steps=[1, 2, 2.5, 5, 10])
    )
    axes.yaxis.get_major_formatter().set_useOffset(False)


def whole_numbers(axes: Any, values: NDArray[np.float64]) -> None:
    """Set the horizontal axis for counts (steps, epochs): whole numbers only, half a step of margin."""
    ticker = need("matplotlib.ticker")
    axes.xaxis.set_major_locator(ticker.MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.set_xlim(values[0] - 0.5, values[-1] + 0.5)


def line(axes: Any, x: NDArray[Any], y: NDArray[Any], role: str, **style: Any) -> None:
    """A line in the colour and dash of its role; a value between two gaps is a dot, else it would
    vanish."""
    settings: dict[str, Any] = {"color": LIGHT[role], "linestyle": DASH.get(role, "-"), **style}
    axes.plot(x, y, **settings)
    alone = lonely(y)
    if alone.any():
        axes.plot(
            x[alone], y[alone], linestyle="none", marker="o", markersize=2, color=settings["color"]
        )


def lonely(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values stand between two gaps (or gap and border).

    >>> lonely(np.array([1.0, np.nan, 2.0, 3.0])).tolist()
    [True, False, False, False]
    """
    there = np.isfinite(values)
    padded = np.concatenate([[False], there, [False]])
    return there & ~padded[:-2] & ~padded[2:]


def add_legend(axes: Any, *, columns: int) -> None:
    """The legend above the axes, left, in rows."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=columns,
        borderaxespad=0.2,
        handlelength=2.2,
        columnspacing=1.4,
        labelcolor=LIGHT["ink"],
    )
