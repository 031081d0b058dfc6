"""The compiled kernels as functions on NumPy arrays; the only room that knows ctypes.

Arrays in, arrays out: `lstm_forward`, `lstm_backward`, `LSTMStream`, `sigmoid`, `tanh`. The `*_at` functions take
addresses and serve `ops`, whose tensors are not NumPy's. Nothing here knows torch.
"""

from gatework.native.activations import sigmoid, tanh
from gatework.native.library import available, isa, why_unavailable
from gatework.native.lstm import (
    Layout,
    LSTMStream,
    backward_at,
    forward_at,
    lstm_backward,
    lstm_forward,
)
from gatework.native.pool import pooled, pooled_bytes, release_pool
from gatework.native.threads import get_num_threads, set_num_threads

__all__ = [
    "LSTMStream",
    "Layout",
    "available",
    "backward_at",
    "forward_at",
    "get_num_threads",
    "isa",
    "lstm_backward",
    "lstm_forward",
    "pooled",
    "pooled_bytes",
    "release_pool",
    "set_num_threads",
    "sigmoid",
    "tanh",
    "why_unavailable",
]
