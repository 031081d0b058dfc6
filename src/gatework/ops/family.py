"""What a layer of the family is made of: its weights, its activations and its options; the equations are in reference/.

Letters: G gates with weights, H units, I inputs, P projection, R the width of h (P where there is one, else H).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor

Cell = Literal["lstm", "gru", "rnn"]
Precision = Literal["float32", "bfloat16", "bfloat16_weights", "int8_weights"]


class Weights(NamedTuple):
    """One direction; None where a weight does not exist.

    w_ih [G*H, I], w_hh [G*H, R], b_ih, b_hh [G*H], w_hr [P, H], peephole [3H] (coupled: [2H]), gain_ih, gain_hh [G*H]
    (RNN: gain_hh [H] alone), gain_c, bias_c [H], learned_h [R], learned_c [H].
    """

    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None = None
    b_hh: Tensor | None = None
    w_hr: Tensor | None = None
    peephole: Tensor | None = None
    gain_ih: Tensor | None = None
    gain_hh: Tensor | None = None
    gain_c: Tensor | None = None
    bias_c: Tensor | None = None
    learned_h: Tensor | None = None
    learned_c: Tensor | None = None


class Activation(NamedTuple):
    """One of the set in ops/activations.py with its constants; those that it does not have are 0."""

    name: str
    alpha: float
    beta: float


class Options(NamedTuple):
    """What a layer computes beside its weights; `plain` gives torch's cells.

    activations: LSTM (gates, candidate, output), GRU (gates, candidate), RNN (candidate,). cell_clip 0 is none. The
    zoneouts and candidate_dropout are probabilities, drawn anew each step where training. recompute asks for memory,
    never for other results. precision is that of the kernels' products (kernels/include/gatework/recurrent.h); the
    composed path does not round. P is 0 without a projection.
    """

    cell: Cell
    activations: tuple[Activation, ...]
    cell_clip: float = 0.0
    zoneout_h: float = 0.0
    zoneout_c: float = 0.0
    candidate_dropout: float = 0.0
    training: bool = False
    coupled: bool = False
    reset_after: bool = True
    layer_norm: bool = False
    recompute: bool = False
    precision: Precision = "float32"
    P: int = 0


_SIGMOID, _TANH = Activation("sigmoid", 0.0, 0.0), Activation("tanh", 0.0, 0.0)
TORCH_ACTIVATIONS: dict[Cell, tuple[Activation, ...]] = {
    "lstm": (_SIGMOID, _TANH, _TANH),
    "gru": (_SIGMOID, _TANH),
    "rnn": (_TANH,),
}


def plain(cell: Cell, P: int = 0) -> Options:
    """torch's own cell: sigmoid gates, tanh elsewhere, nothing switched on."""
    return Options(cell, TORCH_ACTIVATIONS[cell], P=P)


def gates(options: Options) -> int:
    """G: how many gates have weights."""
    if options.cell == "lstm":
        return 3 if options.coupled else 4
    return 3 if options.cell == "gru" else 1


def draws(options: Options) -> bool:
    """Something is drawn anew at each step, so that a call needs one seed per direction."""
    rates = (options.zoneout_h, options.zoneout_c, options.candidate_dropout)
    return options.training and any(p > 0 for p in rates)
