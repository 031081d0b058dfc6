"""The compiled kernels as functions on NumPy arrays; the only room that knows ctypes.

Arrays in, arrays out: `lstm_forward`, `lstm_backward`, `LSTMStream`, the same of `gru` and `rnn`, `dropout_mask`,
`sigmoid`, `tanh`. The `*_at` functions take addresses and serve `ops`, whose tensors are not NumPy's. No torch here.
"""

from gatework.native.activations import sigmoid, tanh
from gatework.native.deterministic import is_deterministic
from gatework.native.gru import gru_backward, gru_forward
from gatework.native.layer_stream import GRUStream, LSTMStream, RNNStream
from gatework.native.library import available, isa, why_unavailable
from gatework.native.lstm import lstm_backward, lstm_forward
from gatework.native.pool import pooled, pooled_bytes, release_pool
from gatework.native.random import dropout_at, dropout_mask
from gatework.native.recurrent import (
    BackwardAt,
    ForwardAt,
    Layout,
    Options,
    WeightsAt,
    backward_at,
    forward_at,
    norm_floats,
    ready,
    split,
)
from gatework.native.rnn import rnn_backward, rnn_forward
from gatework.native.stack import Answer, Direction, Stack
from gatework.native.stream import LayerState, Stream
from gatework.native.threads import (
    borrow_workers,
    get_num_threads,
    return_workers,
    set_num_threads,
)
from gatework.native.weights import Weights

__all__ = [
    "Answer",
    "BackwardAt",
    "Direction",
    "ForwardAt",
    "GRUStream",
    "LSTMStream",
    "LayerState",
    "Layout",
    "Options",
    "RNNStream",
    "Stack",
    "Stream",
    "Weights",
    "WeightsAt",
    "available",
    "backward_at",
    "borrow_workers",
    "dropout_at",
    "dropout_mask",
    "forward_at",
    "get_num_threads",
    "gru_backward",
    "gru_forward",
    "is_deterministic",
    "isa",
    "lstm_backward",
    "lstm_forward",
    "norm_floats",
    "pooled",
    "pooled_bytes",
    "ready",
    "release_pool",
    "return_workers",
    "rnn_backward",
    "rnn_forward",
    "set_num_threads",
    "sigmoid",
    "split",
    "tanh",
    "why_unavailable",
]
