"""A network with what it needs to answer: options, plan, scaler, and the shifts that calibrate its quantiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gatework.data import Part, Scaler, Table, Windows
from gatework.layers import explain_path
from gatework.tasks.forecast_network import ForecastNetwork
from gatework.tasks.forecast_options import ForecastOptions
from gatework.tasks.forecast_plan import Plan, Prepared, with_calendar
from gatework.tasks.forecast_quantiles import INDEPENDENT, quantile_shifts, with_training
from gatework.tasks.forecast_scores import Answers, chosen_windows

INPUTS = ("past", "past_mask", "known", "known_mask")
_BATCH = 256  # windows answered at once
_SELFTEST = 4  # windows that a folder carries with their answers

Arrays = Mapping[str, NDArray[Any]]
Float = NDArray[np.float64]


class Outputs(NamedTuple):
    """Uncalibrated outputs `[n, Hh, M, 1 + Q]` and truth `[n, Hh, M]`, scaled, relative to the level `[n, 1, M]`."""

    values: Float
    truth: Float
    level: Float


@dataclass
class ForecastModel:
    """What answers: see the fields.

    Attributes:
        options: those of the training run.
        plan: what was decided from its data.
        scaler: fitted on its training part.
        network: in eval mode once it is trained.
        shifts: added to the scaled quantiles `[Hh, M, Q]`.
    """

    options: ForecastOptions
    plan: Plan
    scaler: Scaler
    network: ForecastNetwork
    shifts: Float

    @classmethod
    def new(cls, options: ForecastOptions, plan: Plan, scaler: Scaler) -> ForecastModel:
        """An untrained model; the weights follow from the seed alone, the caller's random state stays as it is."""
        targets, quantiles = len(plan.targets), len(options.all_quantiles)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            network = ForecastNetwork(
                plan.input_length,
                options.horizon,
                targets=targets,
                covariates=len(scaler.columns) - targets,
                known=len(plan.known) + 2 * len(plan.cycles),
                outputs=1 + quantiles,
                hidden_size=options.hidden_size,
                num_layers=options.num_layers,
                dropout=options.dropout,
                conv_kernel=plan.conv_kernel,
                conv_stride=plan.conv_stride,
                conv_channels=options.conv_channels,
                skip=options.skip,
            )
        shifts = np.zeros((options.horizon, targets, quantiles))
        return cls(options, plan, scaler, network.eval(), shifts)

    def windows(self, table: Table, part: Part | None) -> Windows:
        """All windows of a table in the user's units."""
        return Windows(self.scaler.transform(with_calendar(table, self.plan)), part, **self._cut())

    def latest(self, table: Table) -> Windows:
        """The windows that end with each series' last observed value."""
        longer = with_calendar(table.extended(self.options.horizon), self.plan)
        return Windows.latest(self.scaler.transform(longer), **self._cut())

    def answer(self, batch: Arrays) -> NDArray[np.float32]:
        """Outputs of the network for arrays of windows `[n, Hh, M, 1 + Q]`."""
        with torch.inference_mode():
            return self.network(*(torch.from_numpy(batch[name]) for name in INPUTS)).numpy()

    def outputs(self, windows: Windows, index: NDArray[np.int64]) -> Outputs:
        """Outputs, truth and level of the windows `index`."""
        parts = np.array_split(index, max(1, -(-len(index) // _BATCH)))
        found = [self._part(windows, part) for part in parts]
        return Outputs(
            *(np.concatenate(each).astype(np.float64) for each in zip(*found, strict=True))
        )

    def answers(self, windows: Windows, index: NDArray[np.int64]) -> Answers:
        """Calibrated answers in the user's units."""
        values, truth, level = self.outputs(windows, index)
        quantiles = np.sort(values[..., 1:] + self.shifts, axis=-1) + level[..., None]
        back = self.scaler.inverse
        restored = np.moveaxis(back(np.moveaxis(quantiles, -1, 0)), 0, -1)  # [n, Hh, M, Q]
        return Answers(index, back(truth + level), back(values[..., 0] + level), restored)

    def calibrate(self, prepared: Prepared) -> None:
        """Measure the shifts on the validation part, joined by the training part where that is too short."""
        levels = self.options.all_quantiles
        if not self.options.calibrate or not levels:
            return
        (values, truth, _), overlap = self._overlapping(prepared.validation)
        quantiles = values[..., 1:]
        if len(truth) / overlap < INDEPENDENT:
            more, overlap = self._overlapping(prepared.train)
            truth, quantiles = with_training(truth, values, more.truth, more.values)
        self.shifts = quantile_shifts(truth, quantiles, levels, overlap)

    def work(self) -> float:
        """Multiplications of a training step per window, about: three times those of the forward pass."""
        plan, network, lstm = self.plan, self.network, self.network.lstm
        steps = plan.input_length / plan.conv_stride if plan.conv_kernel else plan.input_length
        weights = sum(p.numel() for p in lstm.parameters())
        weights += 0 if network.conv is None else network.conv.weight.numel()
        once = network.head.weight.numel() + (plan.input_length * self.options.horizon)
        return 3.0 * len(plan.targets) * (steps * weights + once)

    def selftest(self, windows: Windows) -> dict[str, NDArray[Any]]:
        """A few windows and what the network answers to them."""
        batch = windows.batch(np.arange(min(_SELFTEST, len(windows))))
        return {**{name: batch[name] for name in INPUTS}, "output": self.answer(batch)}

    def described(self, windows: Windows) -> dict[str, Any]:
        """The network in words, its size, and the path that its recurrent layer takes."""
        plan, network = self.plan, self.network
        front = f"convolution {plan.conv_kernel}/{plan.conv_stride} → " if plan.conv_kernel else ""
        lstm, skip = network.lstm, " + linear path" if network.skip is not None else ""
        batch = windows.batch([0])
        with torch.inference_mode():
            inputs = (torch.from_numpy(batch[name]) for name in ("past", "past_mask"))
            sequence, happened = network.recurrent_input(*inputs)
            path = explain_path(lstm, sequence, mask=happened)
        return {
            "description": f"{front}LSTM {lstm.num_layers} × {lstm.hidden_size} → "
            f"{self.options.horizon} steps × {network.outputs} values{skip}",
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "path": path,
        }

    def _cut(self) -> dict[str, Any]:
        options = self.options
        lengths = {"input_length": self.plan.input_length, "horizon": options.horizon}
        return {**lengths, "relative": options.relative}

    def _part(self, windows: Windows, part: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        batch = windows.batch(part)
        truth = np.where(batch["future_mask"], batch["future"], np.nan)
        return self.answer(batch), truth, batch["level"][:, None]

    def _overlapping(self, windows: Windows) -> tuple[Outputs, float]:
        """Outputs of the windows, and how many neighbouring ones share a step of their horizon."""
        count = len(self.plan.targets) * len(self.options.all_quantiles)
        index = chosen_windows(windows, count)
        distance = windows.stride * (index[1] - index[0] if len(index) > 1 else 1)
        return self.outputs(windows, index), max(self.options.horizon / distance, 1.0)
