"""What a forecaster's trained folder holds for answering, and the check of its self test."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from gatework.data import Scaler
from gatework.errors import FormatError, OptionError
from gatework.options import from_mapping
from gatework.runtime.folder import HEAD, read_head, read_tensors, table_of
from gatework.runtime.forecast_model import INPUTS, AnsweringModel
from gatework.runtime.forecast_options import AnswerOptions
from gatework.runtime.forecast_plan import Plan

SHIFTS = "quantile_shifts"
_TOLERANCE = 1e-4  # of the self test, relative to 1 + the largest answer: other processors sum in another order

O = TypeVar("O", bound=AnswerOptions)  # noqa: E741


@dataclass(frozen=True)
class Stored(Generic[O]):
    """What answering needs of a trained folder.

    Attributes:
        options: those of the training run.
        plan: what was decided from its data.
        scaler: fitted on its training part.
        state: the network's weights by name.
        shifts: of the quantiles `[Hh, M, Q]`.
        selftest: some windows and the network's answer.
    """

    options: O
    plan: Plan
    scaler: Scaler
    state: dict[str, NDArray[Any]]
    shifts: NDArray[np.float64]
    selftest: dict[str, NDArray[Any]]


def read_stored(folder: str | os.PathLike[str], read: Callable[..., O]) -> Stored[O]:
    """Read the folder and check format, checksums, and the shape of what is no weight.

    Args:
        folder: the trained folder.
        read: makes the options of their table; takes `where` as `from_mapping` does.

    Raises:
        FormatError: anything does not fit; the file is named.
    """
    path = Path(folder)
    head = read_head(path, "forecast")
    where = str(path / HEAD)
    try:
        options = read(table_of(head, "options", path), where=where)
        plan = from_mapping(Plan, table_of(head, "learned", path), where=where)
    except OptionError as error:
        raise FormatError(f"the options do not fit: {error}", path=where) from error
    scaler = Scaler.load(read_tensors(path, "scaler"))
    state = read_tensors(path, "model")
    shape = (options.horizon, len(plan.targets), len(options.all_quantiles))
    shifts = _shifts(state, shape, path / "model.safetensors")
    return Stored(options, plan, scaler, state, shifts, read_tensors(path, "selftest"))


def check_selftest(
    model: AnsweringModel[Any], selftest: dict[str, NDArray[Any]], folder: str | os.PathLike[str]
) -> None:
    """Compare what the network answers now with what it answered when it was trained.

    Raises:
        FormatError: the answers differ by more than rounding, or the windows are not the network's.
    """
    path = Path(folder) / "selftest.safetensors"
    absent = [name for name in (*INPUTS, "output") if name not in selftest]
    if absent:
        raise FormatError(f"the self test lacks {absent}", path=path)
    wanted = (model.plan.input_length, len(model.scaler.columns))
    if selftest["past"].shape[1:] != wanted:
        raise FormatError(
            f"the self test has windows of shape {selftest['past'].shape[1:]}, expected {wanted}: "
            f"{HEAD} was changed",
            path=path,
        )
    _compare(selftest["output"], model.answer(selftest), path)


def _compare(wanted: NDArray[Any], found: NDArray[Any], path: Path) -> None:
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


def _shifts(
    state: dict[str, NDArray[Any]], shape: tuple[int, ...], path: Path
) -> NDArray[np.float64]:
    """The shifts, taken out of the weights beside which they are stored."""
    if SHIFTS not in state:
        raise FormatError("the quantile shifts are missing", path=path)
    shifts = np.asarray(state.pop(SHIFTS), np.float64)
    if shifts.shape != shape:
        raise FormatError(
            f"the quantile shifts have shape {shifts.shape}, expected {shape}", path=path
        )
    return shifts
