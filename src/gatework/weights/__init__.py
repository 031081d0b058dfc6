"""Weights that move between torch, Keras, ONNX and Flax; the only room that knows other gate orders and layouts.

Everything passes through one neutral form, `gatework.native.Stack`: torch's layout and gate order, one entry for each
layer and direction, options by their names in the layers. torch, keras, onnx and flax are imported only inside the
functions that take or give their objects. Each conversion ends in a numeric comparison and a report (`moved.py`).
"""

from gatework.weights.moved import Moved
from gatework.weights.onnx_export import to_onnx
from gatework.weights.onnx_import import from_onnx

__all__ = ["Moved", "from_onnx", "to_onnx"]
