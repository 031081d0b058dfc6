"""The pictures of one report, each with its title, its caption, its alternative text, and a narrow
twin for phones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatework.look import pictures, svg
from gatework.look.facts import Example, Facts
from gatework.look.wording import count, moment, number


@dataclass(frozen=True)
class Shown:
    """One picture as SVG text, with what stands above it; `narrow` is the twin for small screens or
    empty."""

    title: str
    caption: str
    wide: str
    narrow: str = ""


def example_pictures(facts: Facts, most: int = 5) -> list[Shown]:
    """The first example over the whole width, the others at half width."""
    shown: list[Shown] = []
    several = len({example.target for example in facts.examples}) > 1
    for place, example in enumerate(facts.examples[:most]):
        name = f"example{place}"
        span = f"{moment(example.time[0])} to {moment(example.time[-1])}"
        names = [name for name in (example.id, example.target if several else "") if name]
        title = " · ".join([*names, span])
        caption = _example_caption(example)
        alt = f"Forecast of {example.target or 'the target'} against truth, {title}. {caption}"

        def draw(width: float, height: float, example: Example = example) -> Any:
            return pictures.forecast(example, width=width, height=height, legend=False)

        if place == 0:
            shown.append(_both(name, title, caption, alt, draw, wide=3.0, narrow=2.7))
        else:
            shown.append(_half(name, title, caption, alt, draw, height=2.3))
    return shown


def _example_caption(example: Example) -> str:
    errors = pictures.mean_absolute_errors(example)
    words = [f"{name} {number(value)}" for name, value in errors.items() if np.isfinite(value)]
    return f"Mean absolute error: {', '.join(words)}." if words else ""


def error_pictures(facts: Facts) -> list[Shown]:
    """Error by horizon step and histogram of residuals, as far as the report has them."""
    shown: list[Shown] = []
    unit = only_target(facts)
    if len(facts.horizon_steps) and facts.horizon_error:
        ends = [f"{name} {number(line[-1])}" for name, line in facts.horizon_error.items()]
        last = f"{facts.horizon_steps[-1]:g}"
        caption = f"Mean absolute error at each step; {last} ahead: {', '.join(ends)}."
        shown.append(
            _half(
                "horizon",
                "Error by step ahead",
                caption,
                f"Error by step ahead. {caption}",
                lambda width, height: pictures.horizon_error(
                    facts.horizon_steps,
                    facts.horizon_error,
                    unit=unit,
                    width=width,
                    height=height,
                    legend=False,
                ),
            )
        )
    if len(facts.residual_counts):
        caption = _residual_caption(facts)
        shown.append(
            _half(
                "histogram",
                "Residuals",
                caption,
                f"Histogram of residuals. {caption}",
                lambda width, height: pictures.residual_histogram(
                    facts.residual_edges,
                    facts.residual_counts,
                    unit=unit,
                    width=width,
                    height=height,
                ),
            )
        )
    return shown


def _residual_caption(facts: Facts) -> str:
    middles = (facts.residual_edges[:-1] + facts.residual_edges[1:]) / 2
    total = facts.residual_counts.sum()
    mean = float((middles * facts.residual_counts).sum() / total) if total else float("nan")
    if len(facts.residuals) and np.isfinite(facts.residuals).any():
        mean = float(np.nanmean(facts.residuals))
    unit = "" if only_target(facts) or not facts.residual_unit else f" in {facts.residual_unit}"
    return (
        f"Truth minus forecast{unit}: {count(int(total), 'value')}, mean {number(mean, 2)}. "
        "The outermost bars hold what lies further out."
    )


def coverage_picture(facts: Facts) -> Shown | None:
    """How many truths fell inside the intervals, or None where the report does not say."""
    if not facts.coverage:
        return None
    words = ", ".join(f"{seen:.1%} inside the {level:.0%} one" for level, seen in facts.coverage)
    levels = [level for level, _ in facts.coverage]
    observed = [seen for _, seen in facts.coverage]
    caption = f"Truths that fell inside the interval: {words}. The tick is the promise."
    return _half(
        "coverage",
        "",
        caption,
        f"Interval coverage. {caption}",
        lambda width, _: pictures.coverage(levels, observed, width=width),
    )


def over_time_picture(facts: Facts) -> Shown | None:
    """Residuals over time, or None where the report has none."""
    there = int(np.isfinite(facts.residuals).sum())
    if not there:
        return None
    unit = only_target(facts)
    some = pictures.MOST_DOTS
    drawn = f"; {some:,} of {there:,} are drawn" if there > some else ""
    caption = (
        f"Each dot is one window, at its first step: the mean of truth minus forecast{drawn}. "
        "Drift or a changed spread would show here."
    )
    return _both(
        "over_time",
        "Residuals over time",
        caption,
        f"Residuals over time. {caption}",
        lambda width, height: pictures.residuals_over_time(
            facts.residual_time, facts.residuals, unit=unit, width=width, height=height
        ),
        wide=2.1,
        narrow=2.2,
    )


def training_picture(facts: Facts) -> Shown | None:
    """The training curve, or None where the folder has no history."""
    if not facts.history:
        return None
    epochs, train, valid = (
        np.array([_finite(row.get(key)) for row in facts.history])
        for key in ("epoch", "train_loss", "valid_loss")
    )
    best = pictures.best_epoch(valid)
    ending = ""
    if best is not None:
        ending = f" Best validation loss {number(valid[best])} at epoch {epochs[best]:g} (dot)."
    caption = f"Solid: validation. Dashed: training.{ending}"
    return _half(
        "training",
        "Loss by epoch",
        caption,
        f"Training curve. {caption}",
        lambda width, height: pictures.training_curve(
            epochs, train, valid, width=width, height=height, legend=False
        ),
    )


def split_picture(facts: Facts) -> Shown | None:
    """The split as a bar of time with the first series above it, or None where the report has no
    split."""
    if not facts.split:
        return None
    series = facts.overview[0] if facts.overview else None
    words = ", ".join(f"{p.name} {moment(p.start)} to {moment(p.end)}" for p in facts.split)
    gaps = f" {count(len(facts.gaps), 'gap')} marked in red." if facts.gaps else ""
    rest = " What lies outside of them is input only, or was not used." if series else ""
    return _both(
        "split",
        "",
        f"The forecast steps of each part of the split.{rest}{gaps}",
        f"The split in time: {words}.{gaps}",
        lambda width, height: pictures.split_bar(
            facts.split, gaps=facts.gaps, series=series, width=width, height=height
        ),
        wide=2.3 if series else 0.9,
        narrow=2.3 if series else 0.9,
    )


def only_target(facts: Facts) -> str:
    """The target's name where there is one, for the axes; several targets share no unit, so then
    nothing."""
    targets = facts.data.get("targets") or []
    return str(targets[0]) if len(targets) == 1 else ""


def _finite(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")


def _half(
    name: str,
    title: str,
    caption: str,
    alt: str,
    draw: Callable[[float, float], Any],
    *,
    height: float = 2.5,
) -> Shown:
    return Shown(title, caption, svg.inline(draw(pictures.HALF, height), name=name, alt=alt))


def _both(
    name: str,
    title: str,
    caption: str,
    alt: str,
    draw: Callable[[float, float], Any],
    *,
    wide: float,
    narrow: float,
) -> Shown:
    large = svg.inline(draw(pictures.WIDE, wide), name=name, alt=alt)
    small = svg.inline(draw(pictures.HALF, narrow), name=f"{name}_narrow", alt=alt)
    return Shown(title, caption, large, small)
