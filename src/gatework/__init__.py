"""gatework: long short-term memory networks, from the layer to the judged forecast; this page lists the names.

Names are looked up when they are touched (PEP 562), so `import gatework` loads neither torch nor Lightning. Read
downwards along one word: reference/lstm.py (the meaning), layers/lstm.py, ops/lstm.py,
kernels/include/gatework/lstm.h, kernels/src/lstm_forward.cpp.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gatework import errors
from gatework.errors import (
    DivergedError,
    FormatError,
    GateworkError,
    KernelError,
    MissingExtraError,
    NotFittedError,
    OptionError,
    ShapeError,
    SlowPathWarning,
)

if TYPE_CHECKING:
    from gatework.layers import LSTM, LSTMCell, Trace, explain_path
    from gatework.native import get_num_threads, set_num_threads
    from gatework.tasks.forecast import Forecaster

__version__ = "0.1.0"

__all__ = [
    "LSTM",
    "DivergedError",
    "FormatError",
    "Forecaster",
    "GateworkError",
    "KernelError",
    "LSTMCell",
    "MissingExtraError",
    "NotFittedError",
    "OptionError",
    "ShapeError",
    "SlowPathWarning",
    "Trace",
    "errors",
    "explain_path",
    "get_num_threads",
    "set_num_threads",
]

_WHERE = {
    "LSTM": "layers",
    "LSTMCell": "layers",
    "Trace": "layers",
    "explain_path": "layers",
    "Forecaster": "tasks.forecast",
    "get_num_threads": "native",
    "set_num_threads": "native",
}
_EXTRA = {"layers": "torch", "tasks.forecast": "train"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'gatework' has no attribute {name!r}")
    room = _WHERE[name]
    try:
        value = getattr(import_module(f"gatework.{room}"), name)
    except ModuleNotFoundError as error:
        if room not in _EXTRA or (error.name or "gatework").partition(".")[0] == "gatework":
            raise
        raise MissingExtraError(str(error.name), _EXTRA[room]) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
