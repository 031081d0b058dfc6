"""What was trained answers here without torch, in NumPy and the compiled kernels: `load(folder).predict(data)` for a
task's folder, `load("layer.safetensors")(x)` for a layer, which also streams.

`folder.py` is the trained folder on disk, shared by all tasks; what a task needs to answer is in `TASK.py` and
`TASK_*.py`, and the task itself builds on it. Nothing here trains or judges. Names are looked up when they are
touched, so that options are read without NumPy.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatework.runtime.exporting import export
    from gatework.runtime.forecast import ForecastRuntime
    from gatework.runtime.forecast_stream import ForecastState, ForecastStream
    from gatework.runtime.layer import LayerRuntime
    from gatework.runtime.loading import load
    from gatework.runtime.state import State
    from gatework.runtime.streams import Streams

_HOME = {
    "ForecastRuntime": "forecast",
    "ForecastState": "forecast_stream",
    "ForecastStream": "forecast_stream",
    "LayerRuntime": "layer",
    "State": "state",
    "Streams": "streams",
    "export": "exporting",
    "load": "loading",
}

__all__ = [
    "ForecastRuntime",
    "ForecastState",
    "ForecastStream",
    "LayerRuntime",
    "State",
    "Streams",
    "export",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
