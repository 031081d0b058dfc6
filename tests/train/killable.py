"""A small run with everything that must survive a kill: dropout, shuffling, clipping, warm-up, plateau, best weights.

As a script, `python -m tests.train.killable FOLDER FINAL EPOCHS`, it resumes in FOLDER and writes its result to FINAL.
"""

import dataclasses
import os
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from gatework.train import Batches, History, TrainOptions, train

OPTIONS = TrainOptions(
    max_epochs=12,
    batch_size=8,
    learning_rate=5e-2,
    weight_decay=0.01,
    gradient_clip=0.05,
    patience=3,
    min_epochs=10,
    schedule="plateau",
    warmup_steps=9,
    seed=5,
    device="cpu",
    checkpoint_steps=3,
)


class Network(nn.Module):
    """Two stacked LSTM layers with dropout, a batch norm (it has buffers) and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 6, num_layers=2, dropout=0.2, batch_first=True)
        self.norm = nn.BatchNorm1d(6)
        self.head = nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.lstm(x)[0][:, -1]))


def network() -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Network()


def windows(first: int, last: int, *, shuffle: bool) -> Batches:
    wave = torch.sin(torch.arange(0.0, 40.0, 0.25)) + torch.arange(160.0) / 200
    cut = wave.unfold(0, 9, 1)[first:last]
    examples = {"x": cut[:, :8, None], "y": cut[:, 8:]}
    return Batches(examples, OPTIONS.batch_size, shuffle=shuffle, seed=OPTIONS.seed)


def loss(module: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    return nn.functional.mse_loss(module(batch["x"]), batch["y"])


def fit(
    module: nn.Module,
    folder: Path | None = None,
    *,
    loss=loss,
    options=OPTIONS,
    resume=False,
    progress=False,
    **further,
) -> History:
    """Train on 60 windows in 8 steps an epoch, the last of them with 4 examples; validate on 30."""
    train_batches, valid_batches = windows(0, 60, shuffle=True), windows(70, 100, shuffle=False)
    return train(
        module,
        loss,
        train_batches,
        valid_batches,
        options=options,
        folder=folder,
        resume=resume,
        progress=progress,
        **further,
    )


def bits(module: nn.Module) -> dict[str, bytes]:
    """Parameters and buffers, to the last bit."""
    return {name: value.numpy().tobytes() for name, value in module.state_dict().items()}


def course(history: History) -> list[tuple]:
    """The rows without their seconds, which differ from run to run."""
    return [(row.epoch, row.train_loss, row.valid_loss, row.learning_rate) for row in history.rows]


def lasting(epochs: int) -> TrainOptions:
    """The options for a run of exactly so many epochs."""
    return dataclasses.replace(OPTIONS, max_epochs=epochs, min_epochs=epochs)


if __name__ == "__main__":
    torch.set_num_threads(1)
    module = network()
    history = fit(module, Path(sys.argv[1]), options=lasting(int(sys.argv[3])), resume=True)
    final = Path(sys.argv[2])
    torch.save({"bits": bits(module), "course": course(history)}, final.with_suffix(".tmp"))
    os.replace(final.with_suffix(".tmp"), final)
