"""What can be chosen about a forecast: what an answer depends on (`runtime`) and the training. No torch here.

The choices that are left open (None) are made from the data by `forecast_plan.py` and written into the trained folder.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from gatework.errors import OptionError
from gatework.options import check, option
from gatework.runtime.forecast_options import AnswerOptions
from gatework.train.options import TrainOptions

_EPOCHS = 12
_FEWEST_STEPS = 500


@dataclass(frozen=True)
class ForecastOptions(TrainOptions, AnswerOptions):
    """All options of `Forecaster`, in one place for Python, command line, recipe and documentation.

    Raises:
        OptionError: a value is outside its limits; all of them are listed.

    Example:
        >>> from gatework.tasks.forecast_options import ForecastOptions
        >>> ForecastOptions(horizon=52).hidden_size
        64
    """

    max_epochs: int = option(
        0,
        "Passes over the training windows at most; 0: 12, or for few windows what makes 500 steps.",
        ge=0,
    )
    patience: int = option(
        8, "Epochs without a better validation loss before the run ends; 0 switches that off.", ge=0
    )
    learning_rate: float = option(3e-3, "Step size of AdamW at its highest.", gt=0.0)
    weight_decay: float = option(1e-2, "Decay of AdamW, on matrices only.", ge=0.0)
    schedule: str = option(
        "cosine", "Learning rate over time.", choices=("constant", "cosine", "plateau")
    )

    def __post_init__(self) -> None:
        check(self)
        mistakes = [*self.mistakes(), *_epoch_mistakes(self)]
        if mistakes:
            raise OptionError("; ".join(mistakes))

    def training(self, windows: int) -> TrainOptions:
        """The part of the options that `train` takes, the number of epochs chosen where it was left open.

        Args:
            windows: of the training part. A chosen number of epochs is half over before early stopping may end the run.
        """
        given = {f.name: getattr(self, f.name) for f in fields(TrainOptions)}
        if not self.max_epochs:
            steps = -(-windows // self.batch_size)
            epochs = max(_EPOCHS, self.min_epochs, -(-_FEWEST_STEPS // max(steps, 1)))
            given |= {"max_epochs": epochs, "min_epochs": max(self.min_epochs, epochs // 2)}
        return TrainOptions(**given)


def _epoch_mistakes(options: ForecastOptions) -> list[str]:
    if 0 < options.max_epochs < options.min_epochs:
        return [f"min_epochs={options.min_epochs} is above max_epochs={options.max_epochs}"]
    return []
