"""The model that is trained: it answers as every `AnsweringModel` does, is calibrated and described here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatework.data import Scaler, Windows
from gatework.layers import explain_path
from gatework.runtime.forecast_model import INPUTS, AnsweringModel, Arrays, Outputs
from gatework.runtime.forecast_plan import Plan
from gatework.tasks.forecast_network import ForecastNetwork
from gatework.tasks.forecast_options import ForecastOptions
from gatework.tasks.forecast_plan import Prepared
from gatework.tasks.forecast_quantiles import INDEPENDENT, quantile_shifts, with_training
from gatework.tasks.forecast_scores import chosen_windows

_SELFTEST = 4  # windows that a folder carries with their answers


@dataclass
class ForecastModel(AnsweringModel[ForecastOptions]):
    """What answers: see the fields.

    Attributes:
        options: those of the training run.
        plan: what was decided from its data.
        scaler: fitted on its training part.
        shifts: added to the scaled quantiles `[Hh, M, Q]`.
        network: in eval mode once it is trained.
    """

    network: ForecastNetwork

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
        return cls(options, plan, scaler, shifts, network.eval())

    def answer(self, batch: Arrays) -> NDArray[np.float32]:
        """Outputs of the network for arrays of windows `[n, Hh, M, 1 + Q]`."""
        with torch.inference_mode():
            return self.network(*(torch.from_numpy(batch[name]) for name in INPUTS)).numpy()

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

    def _overlapping(self, windows: Windows) -> tuple[Outputs, float]:
        """Outputs of the windows, and how many neighbouring ones share a step of their horizon."""
        count = len(self.plan.targets) * len(self.options.all_quantiles)
        index = chosen_windows(windows, count)
        distance = windows.stride * (index[1] - index[0] if len(index) > 1 else 1)
        return self.outputs(windows, index), max(self.options.horizon / distance, 1.0)
