"""From what was trained, a folder of any task or the file of a layer, to its ONNX model."""

from __future__ import annotations

import os
from typing import Any

from gatework.errors import FormatError
from gatework.options import nearest
from gatework.runtime.folder import task_of
from gatework.runtime.forecast_onnx import export_forecast
from gatework.runtime.loading import is_layer
from gatework.weights import Moved, load, to_onnx
from gatework.weights.onnx_export import OPSET

_EXPORTS = {"forecast": export_forecast}


def export(
    source: str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    opset: int = OPSET,
) -> Moved[Any]:
    """A trained layer or the whole model of a folder in ONNX, heads and scalers included, compared with its answers.

    Args:
        source: a folder as `save` of a task, or `gatework train`, wrote it; or a file of `gatework.weights.save`.
        path: also write the model to this file.
        opset: version of the operator set, 13 or later.

    Raises:
        FormatError: the source is damaged, half written, or of a task that is not exported.
        MissingExtraError: onnx is not installed.
        OptionError: the operator set is not one that is written here.

    Example:
        >>> print(export("my-model", "my-model.onnx"))  # doctest: +SKIP
        - past float64 [batch, 168, 1] gives forecast [batch, 24, 1] and quantiles 0.1, 0.9
    """
    if is_layer(source):
        return to_onnx(load(source), path, opset=opset)
    task = str(task_of(source))
    if task not in _EXPORTS:
        raise FormatError(
            f"nothing here exports the task {task!r}; {nearest(task, _EXPORTS)}", path=source
        )
    return _EXPORTS[task](source, path, opset=opset)
