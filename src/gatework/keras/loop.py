"""What Keras's layers leave to their backend, the loop over time, in the kernels; everything else stays Keras's.

Keras builds the layer, keeps its weights, states and files, and draws its dropout masks; `FusedLoop` stands before
Keras's class and takes over `inner_loop`. Equations: reference/lstm.py, gru.py, rnn.py. Weights: their transposes, the
gates in torch's order (keras/layers.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gatework.keras.backend import keras
from gatework.layers.masked import repeat_last_output
from gatework.ops import path
from gatework.ops.family import Activation, Cell, Options, Weights
from gatework.ops.recurrent import layer

# Keras's functions that the kernels have, as theirs
_ACTIVATIONS = {
    "sigmoid": Activation("sigmoid", 0.0, 0.0),
    "tanh": Activation("tanh", 0.0, 0.0),
    "relu": Activation("relu", 0.0, 0.0),
    "linear": Activation("affine", 1.0, 0.0),
    "hard_sigmoid": Activation("hard_sigmoid", 1 / 6, 0.5),
    "leaky_relu": Activation("leaky_relu", 0.2, 0.0),
    "elu": Activation("elu", 1.0, 0.0),
    "softplus": Activation("softplus", 0.0, 0.0),
    "softsign": Activation("softsign", 0.0, 0.0),
}
_BY_FUNCTION = {getattr(keras.activations, name): each for name, each in _ACTIVATIONS.items()}
Drawn = Tensor | list[Tensor] | None  # Keras draws one mask, or one for each gate


class FusedLoop:
    """Mixed in before one of Keras's recurrent layers, whose attributes it reads."""

    _fused_cell: Cell
    _order: tuple[int, ...]  # Keras's place of each of our gates

    cell: Any
    go_backwards: bool
    return_sequences: bool
    zero_output_for_mask: bool

    def inner_loop(
        self, sequences: Tensor, initial_state: Any, mask: Any, training: bool = False
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Runs over [N, T, I] from states [N, H] and gives the last output, the outputs, the last states.

        mask [N, T]: where False, the step does not happen; its output is the one before, or 0.
        """
        options = self._fused_options()
        if options is None:
            name = getattr(self.cell.activation, "__name__", repr(self.cell.activation))
            path.announce(
                path.Path(
                    "composed",
                    f"Keras computes {type(self).__name__} itself: the kernels lack an activation of it ({name}, ...)",
                    f"use some of {', '.join(sorted(_ACTIVATIONS))}",
                )
            )
            return super().inner_loop(sequences, initial_state, mask, training)  # type: ignore[misc]
        states: list[Tensor] = keras.tree.flatten(initial_state)
        happens = _first(mask)
        if self.go_backwards:
            sequences = torch.flip(sequences, (1,))
            happens = None if happens is None else torch.flip(happens, (1,))
        x, w_ih, drop = self._dropped(sequences, states[0], training)
        found = layer(
            x,
            states[0][None],
            states[1][None] if len(states) == 2 else None,
            [self._fused_weights(w_ih)],
            options,
            drop=None if drop is None else [drop],
            mask=happens,
            batch_first=True,
        )
        last = [found.h_n[0]] if found.c_n is None else [found.h_n[0], found.c_n[0]]
        output = last[0] if happens is None else self._last_output(last[0], happens)
        y = found.y
        if happens is not None and self.return_sequences and not self.zero_output_for_mask:
            y = repeat_last_output(y, 1, None, happens, True)
        return output, y, last

    def _last_output(self, h: Tensor, happens: Tensor) -> Tensor:
        """h where the row had a step at all; with zero_output_for_mask, where its last step happened."""
        had = happens[:, -1] if self.zero_output_for_mask else happens.any(1)
        return torch.where(had[:, None], h, 0.0)

    def _fused_options(self) -> Options | None:
        """None where the kernels lack an activation."""
        found = [_BY_FUNCTION.get(each) for each in self._fused_activations()]
        known = [each for each in found if each is not None]
        if len(known) < len(found):
            return None
        reset_after = bool(getattr(self.cell, "reset_after", True))
        return Options(self._fused_cell, tuple(known), reset_after=reset_after)

    def _fused_activations(self) -> Sequence[Any]:
        """Keras's functions in the order of `Options.activations`."""
        raise NotImplementedError

    def _fused_biases(self) -> tuple[Tensor | None, Tensor | None]:
        """b_ih and b_hh [G*H]."""
        bias = self.cell.bias
        return (None, None) if bias is None else (self._columns(tensor_of(bias)), None)

    def _fused_weights(self, w_ih: Tensor) -> Weights:
        w_hh = self._columns(tensor_of(self.cell.recurrent_kernel)).t().contiguous()
        return Weights(w_ih, w_hh, *self._fused_biases())

    def _columns(self, values: Tensor) -> Tensor:
        """The gates along the last axis, in our order."""
        if self._order == tuple(range(len(self._order))):
            return values
        parts = values.chunk(len(self._order), -1)
        return torch.cat([parts[k] for k in self._order], -1)

    def _dropped(
        self, x: Tensor, h: Tensor, training: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The input and W_ih as the products read them, and the factor of h: [N, H], or [N, G, H] for each gate.

        One mask of the input for each gate: the inputs of all gates side by side, and W_ih with zeros where a gate does
        not look.
        """
        cell = self.cell
        kernel = self._columns(tensor_of(cell.kernel))
        x = x.to(kernel.dtype)  # Keras takes whole numbers, too
        of_x = cell.get_dropout_mask(x[:, 0]) if training and 0 < cell.dropout < 1 else None
        of_h = cell.get_recurrent_dropout_mask(h) if training and 0 < cell.recurrent_dropout < 1 else None  # fmt: skip
        if isinstance(of_x, list):
            masks = [of_x[k][:, None] for k in self._order]
            x = torch.cat([x * each for each in masks], -1)
            w_ih = torch.block_diag(*[each.t() for each in kernel.chunk(len(masks), -1)])
        else:
            x = x if of_x is None else x * of_x[:, None]
            w_ih = kernel.t().contiguous()
        if isinstance(of_h, list):
            of_h = torch.stack([of_h[k] for k in self._order], 1)
        return x, w_ih, of_h


def tensor_of(variable: Any) -> Tensor:
    """The value of a Keras variable, in the dtype that the layer computes in."""
    return keras.ops.convert_to_tensor(variable)  # pyright: ignore[reportReturnType]


def _first(mask: Any) -> Tensor | None:
    """[N, T] bool; Keras may hand the mask over in a list."""
    found = [each for each in keras.tree.flatten(mask) if each is not None]
    if not found:
        return None
    happens: Tensor = found[0]
    happens = happens.reshape(happens.shape[:2])  # some masks have a last axis of 1
    return happens if happens.dtype == torch.bool else happens.bool()
