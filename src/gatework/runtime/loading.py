"""From what was trained, a folder of any task or the file of a layer, to what answers for it."""

from __future__ import annotations

import os
from pathlib import Path

from gatework.errors import FormatError
from gatework.options import nearest
from gatework.runtime.folder import task_of
from gatework.runtime.forecast import ForecastRuntime
from gatework.runtime.layer import LayerRuntime

_RUNTIMES = {"forecast": ForecastRuntime}


def is_layer(path: str | os.PathLike[str]) -> bool:
    """Whether this is the file of a layer, and not the folder of a task."""
    return Path(path).is_file() and Path(path).suffix == ".safetensors"


def load(path: str | os.PathLike[str]) -> ForecastRuntime | LayerRuntime:
    """What answers for a trained folder or layer, without torch.

    Args:
        path: a folder as `save` of a task, or `gatework train`, wrote it; or a file of `gatework.weights.save`.

    Raises:
        FormatError: damaged, half written, of an unknown task, from a newer version, or its self test fails.
        KernelError: the compiled library is not available.

    Example:
        >>> load("my-model").predict("measurements.csv")["forecast"]  # doctest: +SKIP
        array([102.3, 104.1, 101.8])
    """
    if is_layer(path):
        return LayerRuntime.load(path)
    task = str(task_of(path))
    if task not in _RUNTIMES:
        raise FormatError(
            f"nothing here answers for the task {task!r}; {nearest(task, _RUNTIMES)}", path=path
        )
    return _RUNTIMES[task].load(path)
