"""From a trained folder of any task to its ONNX model."""

from __future__ import annotations

import os
from typing import Any

from gatework.errors import FormatError
from gatework.options import nearest
from gatework.runtime.folder import task_of
from gatework.runtime.forecast_onnx import export_forecast
from gatework.weights import Moved
from gatework.weights.onnx_export import OPSET

_EXPORTS = {"forecast": export_forecast}


def export(
    folder: str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    opset: int = OPSET,
) -> Moved[Any]:
    """The whole model of a trained folder in ONNX, heads and scalers included, compared with the folder's answers.

    Args:
        folder: as `save` of a task, or `gatework train`, wrote it.
        path: also write the model to this file.
        opset: version of the operator set, 13 or later.

    Raises:
        FormatError: the folder is damaged, half written, or of a task that is not exported.
        MissingExtraError: onnx is not installed.
        OptionError: the operator set is not one that is written here.

    Example:
        >>> print(export("my-model", "my-model.onnx"))  # doctest: +SKIP
        - past float64 [batch, 168, 1] gives forecast [batch, 24, 1] and quantiles 0.1, 0.9
    """
    task = str(task_of(folder))
    if task not in _EXPORTS:
        raise FormatError(
            f"nothing here exports the task {task!r}; {nearest(task, _EXPORTS)}", path=folder
        )
    return _EXPORTS[task](folder, path, opset=opset)
