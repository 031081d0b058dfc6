"""Torch modules: a drop-in LSTM and LSTMCell, and the sentence that says which path a call takes."""

from gatework.layers.cells import LSTMCell
from gatework.layers.explain import explain_path
from gatework.layers.lstm import LSTM
from gatework.ops.trace import Trace

__all__ = ["LSTM", "LSTMCell", "Trace", "explain_path"]
