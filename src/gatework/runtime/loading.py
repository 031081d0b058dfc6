"""From a trained folder of any task to what answers for it."""

from __future__ import annotations

import os

from gatework.errors import FormatError
from gatework.options import nearest
from gatework.runtime.folder import task_of
from gatework.runtime.forecast import ForecastRuntime

_RUNTIMES = {"forecast": ForecastRuntime}


def load(folder: str | os.PathLike[str]) -> ForecastRuntime:
    """What answers for a trained folder, without torch.

    Args:
        folder: as `save` of a task, or `gatework train`, wrote it.

    Raises:
        FormatError: the folder is damaged, half written, of an unknown task, or from a newer version.
        KernelError: the compiled library is not available.

    Example:
        >>> load("my-model").predict("measurements.csv")["forecast"]  # doctest: +SKIP
        array([102.3, 104.1, 101.8])
    """
    task = str(task_of(folder))
    if task not in _RUNTIMES:
        raise FormatError(
            f"nothing here answers for the task {task!r}; {nearest(task, _RUNTIMES)}", path=folder
        )
    return _RUNTIMES[task].load(folder)
