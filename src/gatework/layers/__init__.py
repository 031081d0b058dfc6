"""Torch modules: drop-in LSTM, GRU, RNN, their cells and Linear; their way into any model; which path a call takes."""

from gatework.layers.acceleration import Acceleration, Left, Swapped, accelerate, restore
from gatework.layers.cells import GRUCell, LSTMCell, RNNCell
from gatework.layers.explain import explain_path
from gatework.layers.from_stack import from_stack
from gatework.layers.gru import GRU
from gatework.layers.linear import Linear
from gatework.layers.lstm import LSTM
from gatework.layers.rnn import RNN
from gatework.ops.trace import GRUTrace, LSTMTrace, RNNTrace, Trace

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Acceleration",
    "GRUCell",
    "GRUTrace",
    "LSTMCell",
    "LSTMTrace",
    "Left",
    "Linear",
    "RNNCell",
    "RNNTrace",
    "Swapped",
    "Trace",
    "accelerate",
    "explain_path",
    "from_stack",
    "restore",
]
