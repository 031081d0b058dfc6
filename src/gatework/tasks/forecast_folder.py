"""A forecaster's trained folder: which file holds what, and the checks when it is read. The files are `folder.py`'s."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import gatework
from gatework.data import Scaler
from gatework.errors import FormatError, OptionError
from gatework.options import from_mapping, to_mapping
from gatework.tasks.folder import (
    HEAD,
    read_head,
    read_json,
    read_tensors,
    table_of,
    to_json,
    write_folder,
)
from gatework.tasks.forecast_model import INPUTS, ForecastModel
from gatework.tasks.forecast_options import ForecastOptions
from gatework.tasks.forecast_plan import Plan
from gatework.tasks.forecast_scores import Yardsticks
from gatework.train import History
from gatework.train.history import EpochRow, read_history

_TOLERANCE = 1e-3  # of the self test, relative to 1 + the largest answer: other processors sum in another order
_ENDED = ("best_epoch", "best_loss", "stopped")
_SHIFTS = "quantile_shifts"


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
        "model": {**state, _SHIFTS: model.shifts},
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
    head = read_head(path, "forecast")
    where = str(path / HEAD)
    try:
        options = from_mapping(ForecastOptions, table_of(head, "options", path), where=where)
        plan = from_mapping(Plan, table_of(head, "learned", path), where=where)
    except OptionError as error:
        raise FormatError(f"the options do not fit: {error}", path=where) from error
    scaler = Scaler.load(read_tensors(path, "scaler"))
    model = ForecastModel.new(options, plan, scaler)
    _fill(model, read_tensors(path, "model"), path / "model.safetensors")
    selftest = read_tensors(path, "selftest")
    check_selftest(model, selftest, path / "selftest.safetensors")
    yardsticks = Yardsticks.from_arrays(read_tensors(path, "yardsticks"), plan.season)
    report = read_json(path / "report.json")
    ended = report.get("training", {})
    history = History(
        read_history(path / "history.csv"),
        **{name: ended[name] for name in _ENDED if name in ended},
    )
    return Contents(model, yardsticks, selftest, history, report)


def check_selftest(model: ForecastModel, selftest: dict[str, NDArray[Any]], path: Path) -> None:
    """Compare what the network answers now with what it answered when it was trained.

    Raises:
        FormatError: the answers differ by more than rounding.
    """
    absent = [name for name in (*INPUTS, "output") if name not in selftest]
    if absent:
        raise FormatError(f"the self test lacks {absent}", path=path)
    wanted, found = selftest["output"], model.answer(selftest)
    if found.shape != wanted.shape:
        raise FormatError(
            f"the self test answers with shape {found.shape}, expected {wanted.shape}", path=path
        )
    distance = float(np.abs(found - wanted).max(initial=0.0))
    if not distance <= _TOLERANCE * (1.0 + float(np.abs(wanted).max(initial=0.0))):
        raise FormatError(
            f"the self test is {distance:.2g} away from what the model answered when it was trained; "
            "the folder is damaged, or this installation computes something else",
            path=path,
        )


def _fill(model: ForecastModel, state: dict[str, NDArray[Any]], path: Path) -> None:
    if _SHIFTS not in state:
        raise FormatError("the quantile shifts are missing", path=path)
    shifts = np.asarray(state.pop(_SHIFTS), np.float64)
    if shifts.shape != model.shifts.shape:
        raise FormatError(
            f"the quantile shifts have shape {shifts.shape}, expected {model.shifts.shape}",
            path=path,
        )
    model.shifts = shifts
    tensors = {name: torch.from_numpy(value.copy()) for name, value in state.items()}
    try:
        model.network.load_state_dict(tensors)
    except RuntimeError as error:
        raise FormatError(f"the weights do not fit the options: {error}", path=path) from error


def _history_text(rows: list[EpochRow]) -> str:
    lines = [",".join(EpochRow._fields)]
    lines += [",".join("" if cell is None else repr(cell) for cell in row) for row in rows]
    return "\n".join(lines) + "\n"
