"""What can be chosen about a training run; the meaning of each field stands beside it.

Optimiser: AdamW (Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019). No torch is needed to read this.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatework.errors import OptionError
from gatework.options import check, option

NO_INFLUENCE = frozenset({"checkpoint_seconds", "checkpoint_steps"})
"""Options that do not change the result; they may differ when a run is resumed."""


@dataclass(frozen=True)
class TrainOptions:
    """How long, how fast and how carefully a module is trained.

    Raises:
        OptionError: a value is outside its limits; all of them are listed.

    Example:
        >>> from gatework.train import TrainOptions
        >>> TrainOptions(max_epochs=5, learning_rate=3e-3).batch_size
        32
    """

    max_epochs: int = option(50, "Passes over the training examples at most.", ge=1)
    min_epochs: int = option(1, "Passes before early stopping may end the run.", ge=1)
    batch_size: int = option(32, "Examples per step.", ge=1)
    learning_rate: float = option(1e-3, "Step size of AdamW at its highest.", gt=0.0)
    weight_decay: float = option(
        0.0, "Decay of AdamW, on matrices only: biases and gains are left alone.", ge=0.0
    )
    gradient_clip: float = option(
        1.0, "Largest 2-norm of all gradients together; 0 switches clipping off.", ge=0.0
    )
    patience: int = option(
        10,
        "Epochs without a better validation loss before the run ends; 0 switches early stopping off.",
        ge=0,
    )
    schedule: str = option(
        "constant",
        "Learning rate over time: constant, cosine down to 0 at max_epochs, or plateau (halved "
        "after each third of the patience without a better validation loss).",
        choices=("constant", "cosine", "plateau"),
    )
    warmup_steps: int = option(
        0, "Steps over which the learning rate rises linearly from 0 at the start.", ge=0
    )
    seed: int = option(0, "Seed of the example order and of dropout.", ge=0, le=2**63 - 1)
    device: str = option(
        "auto",
        "Where to train: auto takes CUDA where there is one, else the CPU.",
        choices=("auto", "cpu", "cuda", "mps"),
    )
    checkpoint_seconds: float = option(
        30.0,
        "Longest time between two checkpoints inside an epoch; 0 leaves it to the steps.",
        ge=0.0,
    )
    checkpoint_steps: int = option(
        0, "Steps between two checkpoints inside an epoch; 0 leaves it to the seconds.", ge=0
    )

    def __post_init__(self) -> None:
        check(self)
        if self.min_epochs > self.max_epochs:
            raise OptionError(
                f"min_epochs={self.min_epochs} is above max_epochs={self.max_epochs}; "
                "lower the first or raise the second"
            )
