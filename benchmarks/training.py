"""What a training step costs around the network: bare loop, Lightning's Trainer, Fabric, and `gatework.train`.

    python -m benchmarks.training [--rounds 5]

N,T,I,H = 32,24,1,32, one thread. The clock is processor time inside the loss function, read every 50 steps, the best
block of all rounds: it stands still while others use the machine. How to read it: docs/why/lightning.md.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric import Fabric
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn

from gatework.train import Batches, TrainOptions, train

N, T, I, H = 32, 24, 1, 32  # noqa: E741
STEPS, BLOCK = 1000, 50
QUIET: dict[str, Any] = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


class Network(nn.Module):
    """One LSTM layer and a linear head on its last output."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(I, H, batch_first=True)
        self.head = nn.Linear(H, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Answer of each sequence, `[N, 1]`."""
        return self.head(self.lstm(x)[0][:, -1])


class Hollow(Network):
    """The same parameters and almost no arithmetic: what is left of a step is what surrounds the network."""

    def forward(self, x: Tensor) -> Tensor:
        """Answer of each sequence, `[N, 1]`."""
        return torch.stack([each.sum() for each in self.parameters()]).sum().expand(len(x), 1)


class Stopwatch:
    """The loss, noting the time every BLOCK calls."""

    def __init__(self, network: type[Network]) -> None:
        self.network = network
        self.calls = 0
        self.marks: list[float] = []

    def __call__(self, module: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Mean squared error of a batch."""
        if self.calls % BLOCK == 0:
            self.marks.append(time.process_time())
        self.calls += 1
        return nn.functional.mse_loss(module(batch["x"]), batch["y"])

    def blocks(self) -> list[float]:
        """Microseconds per step, block by block."""
        return [
            (after - before) / BLOCK * 1e6
            for before, after in zip(self.marks, self.marks[1:], strict=False)
        ]


EXAMPLES = {"x": torch.randn(STEPS * N, T, I), "y": torch.randn(STEPS * N, 1)}


def batches() -> Iterator[dict[str, Tensor]]:
    for index in torch.randperm(STEPS * N).split(N):
        yield {name: array[index] for name, array in EXAMPLES.items()}


def bare(watch: Stopwatch, *, fused: bool = False, same_work: bool = False) -> None:
    module = watch.network()
    adamw = torch.optim.AdamW(module.parameters(), 1e-3, fused=fused or None)
    total = 0.0
    for batch in batches():
        loss = watch(module, batch)
        loss.backward()
        if same_work:
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            total += loss.item()
        adamw.step()
        adamw.zero_grad()


class Unit(lightning.LightningModule):
    """The network as a LightningModule."""

    def __init__(self, watch: Stopwatch, *, log: bool = False, fused: bool = False) -> None:
        super().__init__()
        self.network, self.watch = watch.network(), watch
        self.logs, self.fused = log, fused

    def training_step(self, batch: Any, number: int) -> Tensor:
        """One batch."""
        named = batch if isinstance(batch, dict) else {"x": batch[0], "y": batch[1]}
        loss = self.watch(self.network, named)
        if self.logs:
            self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser of every case."""
        return torch.optim.AdamW(self.parameters(), 1e-3, fused=self.fused or None)


class ByHand(Unit):
    """The same with manual optimisation."""

    def __init__(self, watch: Stopwatch) -> None:
        super().__init__(watch, fused=True)
        self.automatic_optimization = False

    def training_step(self, batch: Any, number: int) -> None:  # type: ignore[override]
        """One batch."""
        adamw = self.optimizers(use_pl_optimizer=False)
        super().training_step(batch, number).backward()
        adamw.step()
        adamw.zero_grad()


class Stream(torch.utils.data.IterableDataset):
    """Whole batches, so that the DataLoader only passes them on."""

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return batches()


def trainer(unit: Unit, *, loader: bool = True, **settings: Any) -> None:
    if loader:
        data = torch.utils.data.TensorDataset(*EXAMPLES.values())
        source = torch.utils.data.DataLoader(data, batch_size=N, shuffle=True)
    else:
        source = torch.utils.data.DataLoader(Stream(), batch_size=None)
    lightning.Trainer(max_epochs=1, accelerator="cpu", devices=1, **settings).fit(unit, source)


def as_given(watch: Stopwatch) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trainer(Unit(watch, log=True), logger=CSVLogger(folder), default_root_dir=folder)


def fabric(watch: Stopwatch) -> None:
    module = watch.network()
    adamw = torch.optim.AdamW(module.parameters(), 1e-3, fused=True)
    there = Fabric(accelerator="cpu", devices=1)
    wrapped, optimizer = there.setup(module, adamw)
    for batch in batches():
        there.backward(watch(wrapped, batch))
        optimizer.step()
        optimizer.zero_grad()


def ours(watch: Stopwatch) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Batches(EXAMPLES, N, shuffle=True)
        options = TrainOptions(max_epochs=1, device="cpu")
        train(watch.network(), watch, source, options=options, folder=Path(folder))


CASES: dict[str, Callable[[Stopwatch], None]] = {
    "bare loop": lambda watch: bare(watch),
    "  the same, fused AdamW": lambda watch: bare(watch, fused=True),
    "  the same, gradient clipping, loss read": lambda watch: bare(
        watch, fused=True, same_work=True
    ),
    "Trainer as given: bar, logger, checkpoints, self.log": as_given,
    "Trainer, all of that off": lambda watch: trainer(Unit(watch), **QUIET),
    "  batches made whole": lambda watch: trainer(Unit(watch), loader=False, **QUIET),
    "  batches made whole, fused AdamW": lambda watch: trainer(
        Unit(watch, fused=True), loader=False, **QUIET
    ),
    "  batches made whole, fused AdamW, manual optimisation": lambda watch: trainer(
        ByHand(watch), loader=False, **QUIET
    ),
    "  batches made whole, fused AdamW, barebones": lambda watch: trainer(
        Unit(watch, fused=True), loader=False, barebones=True
    ),
    "Fabric, fused AdamW": fabric,
    "gatework.train": ours,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    networks = {"LSTM": Network, "hollow": Hollow}
    blocks: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for name, case in CASES.items():
            for kind, network in networks.items():
                watch = Stopwatch(network)
                case(watch)
                blocks.setdefault((name, kind), []).extend(watch.blocks())
    floors = {kind: min(blocks["bare loop", kind]) for kind in networks}
    print("| loop | µs per step | over bare | hollow network | over bare |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in CASES:
        best = {kind: min(blocks[name, kind]) for kind in networks}
        cells = [f"{best[kind]:.0f} | {best[kind] - floors[kind]:+.0f}" for kind in networks]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
