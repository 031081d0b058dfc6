"""`ForecastRuntime`: a trained `Forecaster` that only answers, without torch.

It gives the answers of `Forecaster.predict` within rounding (tests/runtime/test_forecast.py: 1e-5 of the forecast).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.errors import FormatError
from gatework.runtime.forecast_folder import Stored, check_selftest, read_stored
from gatework.runtime.forecast_model import INPUTS, AnsweringModel, Arrays
from gatework.runtime.forecast_network import ForecastNetwork, Sizes
from gatework.runtime.forecast_options import AnswerOptions, answer_options
from gatework.runtime.forecast_stream import ForecastState, ForecastStream


@dataclass
class ForecastRuntime(AnsweringModel[AnswerOptions]):
    """Forecasts of a trained folder: `ForecastRuntime.load(folder).predict(data)`.

    Attributes:
        options: those of the training run.
        plan: what was decided from its data.
        scaler: fitted on its training part.
        shifts: added to the scaled quantiles `[Hh, M, Q]`.
        network: with its weights.
    """

    network: ForecastNetwork

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> ForecastRuntime:
        """Read a trained folder and check it: format, checksums, shapes, and its self test.

        Raises:
            FormatError: the folder is damaged, half written, of another task, or from a newer version.
            KernelError: the compiled library is not available.
        """
        stored = read_stored(folder, answer_options)
        try:
            network = ForecastNetwork(_sizes(stored), stored.state)
        except FormatError as error:
            raise FormatError(str(error), path=Path(folder) / "model.safetensors") from error
        loaded = cls(stored.options, stored.plan, stored.scaler, stored.shifts, network)
        check_selftest(loaded, stored.selftest, folder)
        return loaded

    def stream(self, state: ForecastState | None = None) -> ForecastStream:
        """Forecasts that go on with every new row, of many series; the state holds their last rows.

        Args:
            state: to go on from, as an earlier stream left it.

        Raises:
            ShapeError: the state is of a model with other columns.

        Example:
            >>> stream = ForecastRuntime.load("my-model").stream()  # doctest: +SKIP
            >>> stream.step("history.csv")["forecast"]  # doctest: +SKIP
            >>> stream.step({"day": ["2026-11-20"], "sales": [104.5]})["forecast"]  # doctest: +SKIP
        """
        return ForecastStream(self, state)

    def answer(self, batch: Arrays) -> NDArray[np.float32]:
        """Outputs of the network for arrays of windows `[n, Hh, M, 1 + Q]`."""
        inputs: list[NDArray[Any]] = [batch[name] for name in INPUTS]
        return self.network(*inputs)


def _sizes(stored: Stored[AnswerOptions]) -> Sizes:
    options, plan = stored.options, stored.plan
    return Sizes(
        input_length=plan.input_length,
        horizon=options.horizon,
        targets=len(plan.targets),
        covariates=len(stored.scaler.columns) - len(plan.targets),
        known=len(plan.known) + 2 * len(plan.cycles),
        outputs=1 + len(options.all_quantiles),
        hidden_size=options.hidden_size,
        num_layers=options.num_layers,
        conv_kernel=plan.conv_kernel,
        conv_stride=plan.conv_stride,
        conv_channels=options.conv_channels,
        skip=options.skip,
    )
