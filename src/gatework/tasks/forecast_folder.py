"""A forecaster's trained folder: which file holds what. What an answer needs is read by `runtime`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

import gatework
from gatework.errors import FormatError
from gatework.options import from_mapping, to_mapping
from gatework.runtime.folder import read_json, read_tensors, to_json, write_folder
from gatework.runtime.forecast_folder import SHIFTS, check_selftest, read_stored
from gatework.tasks.forecast_model import ForecastModel
from gatework.tasks.forecast_options import ForecastOptions
from gatework.tasks.forecast_scores import Yardsticks
from gatework.train import History
from gatework.train.history import EpochRow, read_history

_ENDED = ("best_epoch", "best_loss", "stopped")


@dataclass
class Contents:
    """Everything that a trained folder holds.

    Attributes:
        model: network, scaler, options and plan.
        yardsticks: what the baselines learned.
        selftest: some windows and the network's answer.
        history: the course of the training.
        report: the content of report.json.
    """

    model: ForecastModel
    yardsticks: Yardsticks
    selftest: dict[str, NDArray[Any]]
    history: History
    report: dict[str, Any]


def save_contents(contents: Contents, folder: str | os.PathLike[str]) -> Path:
    """Write the folder; a reader sees all of it or an error."""
    model, report = contents.model, contents.report
    head = {
        "task": "forecast",
        "gatework": gatework.__version__,
        "options": to_mapping(model.options),
        "learned": to_mapping(model.plan),
    }
    state = {name: value.numpy(force=True) for name, value in model.network.state_dict().items()}
    tensors = {
        "model": {**state, SHIFTS: model.shifts},
        "scaler": model.scaler.save(),
        "yardsticks": contents.yardsticks.arrays(),
        "selftest": contents.selftest,
    }
    texts = {
        "history.csv": _history_text(contents.history.rows),
        "score.json": to_json({name: report[name] for name in ("headline", "scores", "coverage")}),
        "report.json": to_json(report),
    }
    return write_folder(folder, head, tensors, texts)


def load_contents(folder: str | os.PathLike[str]) -> Contents:
    """Read the folder and check format, checksums, shapes and the self test.

    Raises:
        FormatError: anything does not fit; the file is named.
    """
    path = Path(folder)
    stored = read_stored(path, partial(from_mapping, ForecastOptions))
    model = ForecastModel.new(stored.options, stored.plan, stored.scaler)
    model.shifts = stored.shifts
    _fill(model, stored.state, path / "model.safetensors")
    check_selftest(model, stored.selftest, path)
    yardsticks = Yardsticks.from_arrays(read_tensors(path, "yardsticks"), stored.plan.season)
    report = read_json(path / "report.json")
    ended = report.get("training", {})
    history = History(
        read_history(path / "history.csv"),
        **{name: ended[name] for name in _ENDED if name in ended},
    )
    return Contents(model, yardsticks, stored.selftest, history, report)


def _fill(model: ForecastModel, state: dict[str, NDArray[Any]], path: Path) -> None:
    tensors = {name: torch.from_numpy(value.copy()) for name, value in state.items()}
    try:
        model.network.load_state_dict(tensors)
    except RuntimeError as error:
        raise FormatError(f"the weights do not fit the options: {error}", path=path) from error


def _history_text(rows: list[EpochRow]) -> str:
    lines = [",".join(EpochRow._fields)]
    lines += [",".join("" if cell is None else repr(cell) for cell in row) for row in rows]
    return "\n".join(lines) + "\n"
