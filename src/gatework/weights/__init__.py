"""Weights that move between torch, Keras, ONNX and Flax; the only room that knows other gate orders and layouts.

Everything passes through one neutral form, `gatework.native.Stack`: torch's layout and gate order, one entry for each
layer and direction, options by their names in the layers. torch, keras, onnx and flax are imported only inside the
functions that take or give their objects. Each conversion ends in a numeric comparison and a report (`moved.py`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gatework.native import Direction, Stack, Weights
from gatework.weights.moved import Compared, Moved

if TYPE_CHECKING:
    from gatework.weights.file import load, save
    from gatework.weights.flax_params import from_flax, to_flax
    from gatework.weights.keras_models import from_keras, to_keras
    from gatework.weights.onnx_export import to_onnx
    from gatework.weights.onnx_import import from_onnx
    from gatework.weights.state_dict import from_state_dict
    from gatework.weights.torch_modules import from_torch, load_into, to_torch

__all__ = [
    "Compared",
    "Direction",
    "Moved",
    "Stack",
    "Weights",
    "from_flax",
    "from_keras",
    "from_onnx",
    "from_state_dict",
    "from_torch",
    "load",
    "load_into",
    "save",
    "to_flax",
    "to_keras",
    "to_onnx",
    "to_torch",
]

_WHERE = {
    "from_flax": "flax_params",
    "from_keras": "keras_models",
    "from_onnx": "onnx_import",
    "from_state_dict": "state_dict",
    "from_torch": "torch_modules",
    "load": "file",
    "load_into": "torch_modules",
    "save": "file",
    "to_flax": "flax_params",
    "to_keras": "keras_models",
    "to_onnx": "onnx_export",
    "to_torch": "torch_modules",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'gatework.weights' has no attribute {name!r}")
    value = getattr(import_module(f"gatework.weights.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
