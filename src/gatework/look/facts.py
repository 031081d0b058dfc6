"""What a trained folder says about itself, as arrays and named parts; `reading` takes it out of the
files.

Times are datetime64[ns] where they were written as ISO text, float64 where they were numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Times = NDArray[Any]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Example:
    """One forecast beside what came: past, truth, forecast, interval and baselines, on the user's
    own time axis."""

    target: str
    id: str
    past_time: Times
    past: Numbers
    time: Times
    truth: Numbers
    forecast: Numbers
    lower: Numbers | None = None
    upper: Numbers | None = None
    baselines: dict[str, Numbers] = field(default_factory=dict[str, Numbers])


@dataclass(frozen=True)
class Part:
    """One part of the split: where it starts and ends, and how many windows it gave (None: not
    said)."""

    name: str
    start: Any
    end: Any
    windows: int | None = None


@dataclass(frozen=True)
class Overview:
    """One whole series, thinned for drawing; NaN where nothing was measured."""

    target: str
    id: str
    time: Times
    value: Numbers


@dataclass(frozen=True)
class Facts:
    """Everything the page is made of; an empty list or None where the folder does not say."""

    task: str
    title: str
    created: str
    headline: str
    data: dict[str, Any]
    split: list[Part]
    options: dict[str, Any]
    network: dict[str, Any]
    scores: list[dict[str, Any]]
    horizon_steps: Numbers
    horizon_error: dict[str, Numbers]
    coverage: list[tuple[float, float]]
    examples: list[Example]
    overview: list[Overview]
    gaps: list[tuple[Any, Any]]
    residual_edges: Numbers
    residual_counts: Numbers
    residual_time: Times
    residuals: Numbers
    residual_unit: str
    history: list[dict[str, Any]]


def parse_times(values: Sequence[Any]) -> Times:
    """Time stamps as datetime64[ns] where they are ISO text, as float64 where they are numbers.

    >>> parse_times(["1998-01-03", "1998-01-10"]).dtype
    dtype('<M8[ns]')
    """
    if any(isinstance(value, str) for value in values):
        return np.array([_utc(value) for value in values], dtype="datetime64[ns]")
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _utc(value: Any) -> str:
    text = "NaT" if value is None else str(value)
    return text.removesuffix("Z").removesuffix("+00:00")
