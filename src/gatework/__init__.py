"""gatework: long short-term memory networks, from the layer to the judged forecast; this page lists the names.

Names are looked up when they are touched (PEP 562), so `import gatework` loads neither torch nor Lightning. Read
downwards along one word: reference/lstm.py (the meaning), layers/lstm.py, ops/recurrent.py,
kernels/include/gatework/lstm.h, kernels/src/lstm_cell.h.
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
    from gatework.layers import (
        GRU,
        LSTM,
        RNN,
        GRUCell,
        GRUTrace,
        Linear,
        LSTMCell,
        LSTMTrace,
        RNNCell,
        RNNTrace,
        Trace,
        accelerate,
        explain_path,
        from_stack,
        restore,
    )
    from gatework.native import get_num_threads, is_deterministic, set_num_threads
    from gatework.tasks.forecast import Forecaster

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "DivergedError",
    "FormatError",
    "Forecaster",
    "GRUCell",
    "GRUTrace",
    "GateworkError",
    "KernelError",
    "LSTMCell",
    "LSTMTrace",
    "Linear",
    "MissingExtraError",
    "NotFittedError",
    "OptionError",
    "RNNCell",
    "RNNTrace",
    "ShapeError",
    "SlowPathWarning",
    "Trace",
    "accelerate",
    "errors",
    "explain_path",
    "from_stack",
    "get_num_threads",
    "is_deterministic",
    "restore",
    "set_num_threads",
]

_WHERE = {
    "GRU": "layers",
    "GRUCell": "layers",
    "GRUTrace": "layers",
    "LSTM": "layers",
    "LSTMCell": "layers",
    "LSTMTrace": "layers",
    "Linear": "layers",
    "RNN": "layers",
    "RNNCell": "layers",
    "RNNTrace": "layers",
    "Trace": "layers",
    "accelerate": "layers",
    "explain_path": "layers",
    "from_stack": "layers",
    "restore": "layers",
    "Forecaster": "tasks.forecast",
    "get_num_threads": "native",
    "is_deterministic": "native",
    "set_num_threads": "native",
}
_EXTRA = {"layers": "torch", "tasks.forecast": "train"}
_ROOMS = ("keras", "weights")  # rooms that users enter by name


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"gatework.{name}")
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
    return sorted({*globals(), *__all__, *_ROOMS})
