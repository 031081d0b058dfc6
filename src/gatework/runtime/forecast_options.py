"""What a forecast depends on: columns and windows, the network, its intervals. The training run's are in `tasks`.

The choices that are left open (None) are made from the data and written into the trained folder as its `Plan`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from gatework.errors import OptionError
from gatework.options import check, from_mapping, option


@dataclass(frozen=True)
class TableOptions:
    """Which columns play which role, where the table is cut, and how windows are taken from it."""

    horizon: int = option(24, "Steps to forecast.", ge=1)
    target: str | tuple[str, ...] | None = option(
        None,
        'Column or columns to forecast; "all" takes every numeric column without another role.',
    )
    time: str | None = option(None, "Time column; left out, it is found.")
    id: str | None = option(None, "Column that tells the series apart.")
    known: tuple[str, ...] = option(
        (), "Covariates whose future values are known when forecasting."
    )
    past: tuple[str, ...] = option((), "Covariates known up to now only.")
    calendar: bool = option(
        False, "Add hour of day, day of week and day of year as known covariates."
    )
    split: str | None = option(
        None,
        "Training, validation and test in time: fractions 0.7,0.1,0.2, row counts, or two dates; "
        "left out, the data set's own split or 0.7,0.1,0.2.",
    )
    season: int | None = option(
        None,
        "Steps of a season, for the seasonal naive forecast; left out, from the time step.",
        ge=1,
    )
    input_length: int | None = option(
        None, "Steps that the network sees; left out, 3 seasons (7 days) or 2 horizons.", ge=1
    )
    stride: int = option(1, "Distance of neighbouring training windows, in steps.", ge=1)
    relative: str = option(
        "last",
        "Take each window relative to its last observed value, or not.",
        choices=("last", "none"),
    )
    scaler: str = option(
        "standard",
        "Scale columns by mean and deviation of the training part.",
        choices=("standard", "none"),
    )


@dataclass(frozen=True)
class NetworkOptions:
    """The network: a convolution in front, the recurrent layers, and the linear path beside them."""

    cell: str = option("lstm", "Recurrent cell; gru and rnn are not there yet.")
    hidden_size: int = option(64, "Units of each recurrent layer.", ge=1)
    num_layers: int = option(1, "Recurrent layers.", ge=1)
    dropout: float = option(
        0.2, "Share of inputs and outputs of the layers that is dropped.", ge=0.0, le=0.95
    )
    conv_kernel: int | None = option(
        None,
        "Steps that the convolution in front joins into one; 0: no convolution; left out, chosen.",
        ge=0,
    )
    conv_stride: int | None = option(
        None, "Steps between two kernels; left out, the kernel's width.", ge=1
    )
    conv_channels: int = option(32, "Channels of the convolution.", ge=1)
    skip: bool = option(
        True, "Add a linear map from window to horizon beside the recurrent layers."
    )
    loss: str = option("mae", "Loss of the point forecast.", choices=("mae", "mse", "huber"))
    levels: tuple[float, ...] = option(
        (0.8,), "Prediction intervals, by the share they should cover."
    )
    quantiles: tuple[float, ...] = option(
        (), "Further quantiles to forecast, each between 0 and 1."
    )
    calibrate: bool = option(True, "Shift the quantiles so that they hold on the validation part.")


@dataclass(frozen=True)
class AnswerOptions(NetworkOptions, TableOptions):
    """Every option that an answer depends on.

    Raises:
        OptionError: a value is outside its limits; all of them are listed.

    Example:
        >>> AnswerOptions(levels=(0.8, 0.5)).all_quantiles
        (0.1, 0.25, 0.75, 0.9)
    """

    def __post_init__(self) -> None:
        check(self)
        mistakes = self.mistakes()
        if mistakes:
            raise OptionError("; ".join(mistakes))

    def mistakes(self) -> list[str]:
        """What does not fit beyond the limits of the single fields."""
        return [
            *_cell_mistakes(self.cell),
            *_share_mistakes("levels", self.levels),
            *_share_mistakes("quantiles", self.quantiles),
            *_role_mistakes(self),
        ]

    @property
    def all_quantiles(self) -> tuple[float, ...]:
        """Every quantile that the network forecasts, ascending: the given ones and the borders of the intervals."""
        borders = [border for level in self.levels for border in interval(level)]
        return tuple(sorted({*self.quantiles, *borders}))


def answer_options(mapping: Mapping[str, Any], *, where: str = "") -> AnswerOptions:
    """The options of a trained folder, those of its training run left aside.

    Args:
        mapping: values by name.
        where: the place they come from, put before a message.

    Raises:
        OptionError: values that do not fit; all of them are listed.

    Example:
        >>> answer_options({"horizon": 3, "max_epochs": 5}).horizon
        3
    """
    names = {field.name for field in fields(AnswerOptions)}
    own = {name: value for name, value in mapping.items() if name in names}
    return from_mapping(AnswerOptions, own, where=where)


def interval(level: float) -> tuple[float, float]:
    """The two quantiles between which a central interval of this level lies.

    >>> interval(0.8)
    (0.1, 0.9)
    """
    return round((1.0 - level) / 2.0, 9), round((1.0 + level) / 2.0, 9)


def _cell_mistakes(cell: str) -> list[str]:
    if cell == "lstm":
        return []
    if cell in ("gru", "rnn"):
        return [f"cell={cell!r} is not there yet; use cell='lstm'"]
    return [f"cell={cell!r} is unknown; use cell='lstm'"]


def _share_mistakes(name: str, values: tuple[float, ...]) -> list[str]:
    wrong = [value for value in values if not 0.0 < value < 1.0]
    return [f"{name} holds {value}; each lies strictly between 0 and 1" for value in wrong]


def _role_mistakes(options: TableOptions) -> list[str]:
    targets = (options.target,) if isinstance(options.target, str) else options.target or ()
    roles = [*targets, *options.known, *options.past]
    roles += [name for name in (options.time, options.id) if name is not None]
    twice = sorted({name for name in roles if roles.count(name) > 1})
    return [f"column {name!r} has two roles; give it one" for name in twice]
