"""Torch modules: drop-in LSTM, GRU, RNN, their cells and Linear, and the sentence that says which path a call takes."""

from gatework.layers.cells import GRUCell, LSTMCell, RNNCell
from gatework.layers.explain import explain_path
from gatework.layers.gru import GRU
from gatework.layers.linear import Linear
from gatework.layers.lstm import LSTM
from gatework.layers.rnn import RNN
from gatework.ops.trace import GRUTrace, LSTMTrace, RNNTrace, Trace

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GRUCell",
    "GRUTrace",
    "LSTMCell",
    "LSTMTrace",
    "Linear",
    "RNNCell",
    "RNNTrace",
    "Trace",
    "explain_path",
]
