"""How training went: loss on the training and the validation part, epoch by epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.look.palette import LIGHT
from gatework.look.pictures.axes import (
    HALF,
    add_legend,
    few_ticks,
    line,
    new_axes,
    picture,
    whole_numbers,
)


@picture
def training_curve(
    epochs: NDArray[np.float64],
    train: NDArray[np.float64],
    valid: NDArray[np.float64],
    *,
    width: float = HALF,
    height: float = 2.6,
    legend: bool = True,
) -> Any:
    """Draw both losses over the epochs, the best validation loss marked; logarithmic where it spans
    over a decade.

    Args:
        epochs: `[n]`.
        train: mean loss of the training part, `[n]`.
        valid: mean loss of the validation part, `[n]`.
        width, height: in inches.
        legend: whether the picture carries its own.

    Returns:
        A matplotlib Figure.
    """
    figure, axes = new_axes(width, height)
    line(axes, epochs, train, "repeat", linestyle=(0, (5, 2)), linewidth=1.3, label="training")
    line(axes, epochs, valid, "model", linewidth=2.0, label="validation")
    best = best_epoch(valid)
    if best is not None:
        axes.plot(epochs[best], valid[best], "o", markersize=5, color=LIGHT["model"])
        axes.axvline(epochs[best], color=LIGHT["muted"], alpha=0.6, linewidth=0.7, zorder=0.5)
    both = np.concatenate([train, valid])
    both = both[np.isfinite(both)]
    if len(both) and both.min() > 0 and both.max() > 10 * both.min():
        axes.set_yscale("log")
    else:
        few_ticks(axes)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    whole_numbers(axes, epochs)
    if legend:
        add_legend(axes, columns=2)
    return figure


def best_epoch(valid: NDArray[np.float64]) -> int | None:
    """The place of the lowest validation loss, or None where there is none."""
    return int(np.nanargmin(valid)) if np.isfinite(valid).any() else None
