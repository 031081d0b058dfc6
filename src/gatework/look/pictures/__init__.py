"""The pictures, one function each: plain arrays or facts in, a matplotlib Figure out.

The report draws them all; docs and notebooks may take them one by one. Nothing here reads or writes
files.
"""

from gatework.look.pictures.axes import HALF, WIDE
from gatework.look.pictures.data import split_bar
from gatework.look.pictures.error import (
    MOST_DOTS,
    coverage,
    horizon_error,
    residual_histogram,
    residuals_over_time,
)
from gatework.look.pictures.forecast import forecast, mean_absolute_errors
from gatework.look.pictures.training import best_epoch, training_curve

__all__ = [
    "HALF",
    "MOST_DOTS",
    "WIDE",
    "best_epoch",
    "coverage",
    "forecast",
    "horizon_error",
    "mean_absolute_errors",
    "residual_histogram",
    "residuals_over_time",
    "split_bar",
    "training_curve",
]
