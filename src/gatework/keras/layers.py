"""`gatework.keras.LSTM`, `GRU`, `SimpleRNN`: Keras's own layers, whose loop over time runs in the kernels.

Gates: Keras has i, f, c, o like torch, and z, r, h where torch has r, z, n. One bias, or with reset_after two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from gatework.keras.backend import keras
from gatework.keras.loop import FusedLoop, tensor_of


@keras.saving.register_keras_serializable("gatework")
class LSTM(FusedLoop, keras.layers.LSTM):
    """keras.layers.LSTM on the compiled kernels.

    Every argument, weight and file of Keras's layer, and its results; masks cost nothing. Dropout beside recurrent
    dropout (or implementation=1) masks the input for each gate apart, which costs up to four times the input's
    product. With an activation that the kernels lack, Keras computes the layer itself and a `SlowPathWarning` says so.
    unroll and use_cudnn change nothing.

    Example:
        >>> import keras, gatework.keras
        >>> layer = gatework.keras.LSTM(16, recurrent_dropout=0.1, return_sequences=True)
        >>> layer(keras.ops.ones((4, 7, 3))).shape
        torch.Size([4, 7, 16])

    Source: Hochreiter & Schmidhuber 1997, section 4; Gers, Schmidhuber & Cummins 2000, section 3.
    """

    _fused_cell = "lstm"
    _order = (0, 1, 2, 3)

    def _fused_activations(self) -> Sequence[Any]:
        cell = self.cell
        return cell.recurrent_activation, cell.activation, cell.activation


@keras.saving.register_keras_serializable("gatework")
class GRU(FusedLoop, keras.layers.GRU):
    """keras.layers.GRU on the compiled kernels, both with reset_after and without; see `LSTM`.

    Example:
        >>> import keras, gatework.keras
        >>> gatework.keras.GRU(16, reset_after=False)(keras.ops.ones((4, 7, 3))).shape
        torch.Size([4, 16])

    Source: Cho et al. 2014, section 2.3.
    """

    _fused_cell = "gru"
    _order = (1, 0, 2)

    def _fused_activations(self) -> Sequence[Any]:
        return self.cell.recurrent_activation, self.cell.activation

    def _fused_biases(self) -> tuple[Tensor | None, Tensor | None]:
        if self.cell.bias is None or not self.cell.reset_after:
            return super()._fused_biases()
        first, second = self._columns(tensor_of(self.cell.bias))
        return first, second


@keras.saving.register_keras_serializable("gatework")
class SimpleRNN(FusedLoop, keras.layers.SimpleRNN):
    """keras.layers.SimpleRNN on the compiled kernels; see `LSTM`.

    Example:
        >>> import keras, gatework.keras
        >>> gatework.keras.SimpleRNN(16, activation="relu")(keras.ops.ones((4, 7, 3))).shape
        torch.Size([4, 16])

    Source: Elman 1990, section 2.
    """

    _fused_cell = "rnn"
    _order = (0,)

    def _fused_activations(self) -> Sequence[Any]:
        activation = self.cell.activation
        return (keras.activations.linear if activation is None else activation,)
