"""Keras layers on the compiled kernels: `LSTM`, `GRU`, `SimpleRNN` with Keras's arguments, weights and files.

They run on Keras's torch backend, whose own layers are a loop in Python: KERAS_BACKEND=torch, or keras.json.
"""

from gatework.keras.acceleration import accelerate, restore
from gatework.keras.layers import GRU, LSTM, SimpleRNN

__all__ = ["GRU", "LSTM", "SimpleRNN", "accelerate", "restore"]
