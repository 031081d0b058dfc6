"""A trained folder answers here without torch: `load(folder).predict(data)`, in NumPy and the compiled kernels.

`folder.py` is the trained folder on disk, shared by all tasks; what a task needs to answer is in `TASK.py` and
`TASK_*.py`, and the task itself builds on it. Nothing here trains or judges. Names are looked up when they are
touched, so that options are read without NumPy.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatework.runtime.exporting import export
    from gatework.runtime.forecast import ForecastRuntime
    from gatework.runtime.loading import load

_HOME = {"ForecastRuntime": "forecast", "export": "exporting", "load": "loading"}

__all__ = ["ForecastRuntime", "export", "load"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
