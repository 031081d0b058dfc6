"""`gatework.LSTMCell`, `GRUCell`, `RNNCell`: one step at a time, torch's arguments, weights, names and results.

Equations: reference/lstm.py, gru.py, rnn.py. Options of whole sequences (recurrent_dropout and such) are not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, cast

import torch
from torch import Tensor

from gatework.errors import ShapeError
from gatework.layers import gru, lstm, rnn
from gatework.layers.arguments import ActivationGiven, Mistakes
from gatework.layers.parameters import set_forget_bias
from gatework.layers.single_step import WHOLE_SEQUENCES, SingleStep
from gatework.layers.symbolic import as_one_node, is_symbolic
from gatework.ops.path import Path

State = tuple[Tensor, Tensor]


class LSTMCell(SingleStep):
    """One step of an LSTM, a drop-in for torch.nn.LSTMCell.

    Args:
        input_size: features I of a step.
        hidden_size: units H.
        bias: whether there are b_ih and b_hh.
        device, dtype: of the parameters.
        zoneout_h, zoneout_c, layer_norm, peephole, coupled, activations, cell_clip, forget_bias: as in `gatework.LSTM`.
        unknown: no further option is taken; the error says why, or names the nearest one that exists.

    Raises:
        OptionError: a value is out of range, or options contradict each other. TypeError: a type or a name is wrong.

    Example:
        >>> import torch, gatework
        >>> cell = gatework.LSTMCell(8, 16, peephole=True)
        >>> mask = torch.nn.functional.dropout(torch.ones(4, 16), 0.2)  # the same at every step
        >>> h, c = cell(torch.randn(4, 8), dropout_mask=mask)
        >>> h, c = cell(torch.randn(4, 8), (h, c), dropout_mask=mask)

    Source: Hochreiter & Schmidhuber 1997, section 4; Gers, Schmidhuber & Cummins 2000, section 3.
    """

    _cell = "lstm"
    _roles = ("gates", "candidate", "output")
    _refused = {
        **lstm.REFUSED,
        **WHOLE_SEQUENCES,
        "proj_size": "torch.nn.LSTMCell has none; use gatework.LSTM with T = 1",
    }

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        zoneout_h: float = 0.0,
        zoneout_c: float = 0.0,
        layer_norm: bool = False,
        peephole: bool = False,
        coupled: bool = False,
        activations: Sequence[ActivationGiven] = ("sigmoid", "tanh", "tanh"),
        cell_clip: float | None = None,
        forget_bias: float | None = None,
        **unknown: NoReturn,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            bias,
            zoneout_h=zoneout_h,
            layer_norm=layer_norm,
            activations=activations,
        )
        self.zoneout_c = zoneout_c
        self.peephole = peephole
        self.coupled = coupled
        self.cell_clip = cell_clip
        self.forget_bias = forget_bias
        self._build(device, dtype, unknown)

    def reset_parameters(self) -> None:
        """Draws every parameter as torch does, then sets the forget bias where one was asked for."""
        super().reset_parameters()
        if self.forget_bias is not None:
            set_forget_bias(self, self.forget_bias)

    def forward(
        self, input: Tensor, hx: State | None = None, *, dropout_mask: Tensor | None = None
    ) -> State:
        """One step.

        Args:
            input: [N, I] or [I].
            hx: (h, c), each [N, H] or [H]; zeros where None.
            dropout_mask: what h is multiplied with before W_hh, already scaled: [N, H], or per gate [N, G, H]; without
                N for one row.

        Returns:
            (h', c'), laid out like the input.

        Raises:
            ShapeError: a shape, dtype, device or weight does not fit.
        """
        if is_symbolic(input):
            return as_one_node(self, input, hx=hx, dropout_mask=dropout_mask)
        h, c = self._step(input, _pair(hx), dropout_mask)
        return h, c

    def path_of(
        self, input: Tensor, hx: State | None = None, *, dropout_mask: Tensor | None = None
    ) -> Path:
        """The path that `forward` takes with these arguments; `gatework.explain_path` puts it into a sentence."""
        return self._path(input, _pair(hx), dropout_mask)


class GRUCell(SingleStep):
    """One step of a GRU, a drop-in for torch.nn.GRUCell.

    Args:
        input_size: features I of a step.
        hidden_size: units H.
        bias: whether there are b_ih and b_hh.
        device, dtype: of the parameters.
        reset_after, zoneout_h, layer_norm, activations: as in `gatework.GRU`.
        unknown: no further option is taken; the error says why, or names the nearest one that exists.

    Raises:
        OptionError: a value is out of range, or options contradict each other. TypeError: a type or a name is wrong.

    Example:
        >>> import torch, gatework
        >>> cell = gatework.GRUCell(8, 16)
        >>> h = cell(torch.randn(4, 8))
        >>> h = cell(torch.randn(4, 8), h)

    Source: Cho, van Merrienboer, Gulcehre, Bahdanau, Bougares, Schwenk & Bengio 2014, equations 5 to 8.
    """

    _cell = "gru"
    _roles = ("gates", "candidate")
    _refused = {**gru.REFUSED, **WHOLE_SEQUENCES}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        reset_after: bool = True,
        zoneout_h: float = 0.0,
        layer_norm: bool = False,
        activations: Sequence[ActivationGiven] = ("sigmoid", "tanh"),
        **unknown: NoReturn,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            bias,
            zoneout_h=zoneout_h,
            layer_norm=layer_norm,
            activations=activations,
        )
        self.reset_after = reset_after
        self._build(device, dtype, unknown)

    def forward(
        self, input: Tensor, hx: Tensor | None = None, *, dropout_mask: Tensor | None = None
    ) -> Tensor:
        """One step: input [N, I] or [I], hx [N, H] or [H], zeros where None; returns h'.

        dropout_mask [N, H] or [N, 3, H], already scaled, is what h is multiplied with in the products.

        Raises:
            ShapeError: a shape, dtype, device or weight does not fit.
        """
        if is_symbolic(input):
            return as_one_node(self, input, hx=hx, dropout_mask=dropout_mask)
        return self._step(input, _single(hx), dropout_mask)[0]

    def path_of(
        self, input: Tensor, hx: Tensor | None = None, *, dropout_mask: Tensor | None = None
    ) -> Path:
        """The path that `forward` takes with these arguments; `gatework.explain_path` puts it into a sentence."""
        return self._path(input, _single(hx), dropout_mask)


class RNNCell(SingleStep):
    """One step of a plain recurrent network (Elman), a drop-in for torch.nn.RNNCell.

    Args:
        input_size: features I of a step.
        hidden_size: units H.
        bias: whether there are b_ih and b_hh.
        nonlinearity: "tanh" or "relu", as torch has it.
        device, dtype: of the parameters.
        zoneout_h, layer_norm, activations: as in `gatework.RNN`.
        unknown: no further option is taken; the error says why, or names the nearest one that exists.

    Raises:
        OptionError: a value is out of range, or options contradict each other. TypeError: a type or a name is wrong.

    Example:
        >>> import torch, gatework
        >>> cell = gatework.RNNCell(8, 16)
        >>> h = cell(torch.randn(4, 8))
        >>> h = cell(torch.randn(4, 8), h)

    Source: Elman 1990, Finding structure in time.
    """

    _cell = "rnn"
    _roles = ("candidate",)
    _refused = {**rnn.REFUSED, **WHOLE_SEQUENCES}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        zoneout_h: float = 0.0,
        layer_norm: bool = False,
        activations: Sequence[ActivationGiven] | None = None,
        **unknown: NoReturn,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            bias,
            zoneout_h=zoneout_h,
            layer_norm=layer_norm,
            activations=activations,
        )
        self.nonlinearity = nonlinearity
        self._build(device, dtype, unknown)

    def _wanted(self, mistakes: Mistakes) -> object:
        return rnn.wanted_activations(self.nonlinearity, self._given_activations, mistakes)

    def forward(
        self, input: Tensor, hx: Tensor | None = None, *, dropout_mask: Tensor | None = None
    ) -> Tensor:
        """One step: input [N, I] or [I], hx [N, H] or [H], zeros where None; returns h'.

        dropout_mask [N, H], already scaled, is what h is multiplied with before W_hh.

        Raises:
            ShapeError: a shape, dtype, device or weight does not fit.
        """
        if is_symbolic(input):
            return as_one_node(self, input, hx=hx, dropout_mask=dropout_mask)
        return self._step(input, _single(hx), dropout_mask)[0]

    def path_of(
        self, input: Tensor, hx: Tensor | None = None, *, dropout_mask: Tensor | None = None
    ) -> Path:
        """The path that `forward` takes with these arguments; `gatework.explain_path` puts it into a sentence."""
        return self._path(input, _single(hx), dropout_mask)


def _pair(hx: State | None) -> Sequence[Tensor] | None:
    if hx is None:
        return None
    found = cast("Sequence[object]", hx)
    if not isinstance(hx, tuple | list) or not all(isinstance(v, Tensor) for v in found):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ShapeError(
            f"LSTMCell: hx must be the pair of tensors (h, c), got {type(hx).__name__}"
        )
    if len(found) != 2:
        raise ShapeError(f"LSTMCell: hx must be the pair (h, c), got {len(found)} tensors")
    return hx


def _single(hx: Tensor | None) -> Sequence[Tensor] | None:
    if hx is not None and not isinstance(hx, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ShapeError(f"hx must be the tensor h, got {type(hx).__name__}; this cell has no c")
    return None if hx is None else (hx,)
