"""The parameters of one layer in one direction, for every cell; those that a cell or an option lacks stay None."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gatework.reference.steps import Array


class Weights(NamedTuple):
    """G gates stand one below the other: LSTM i, f, g, o (coupled: i, g, o), GRU r, z, n, RNN one. R is P or H."""

    w_ih: Array  # [G*H, I]  W
    w_hh: Array  # [G*H, R]  U
    b_ih: Array | None = None  # [G*H]
    b_hh: Array | None = None  # [G*H]; LSTM and RNN have none with layer norm
    w_hr: Array | None = None  # [P, H]  LSTM: the projection of the output
    peephole: Array | None = None  # [3H]  LSTM: p_i, p_f, p_o; coupled [2H]: p_i, p_o
    gain_ih: Array | None = None  # [G*H]  layer norm of W x; not for the RNN
    gain_hh: Array | None = None  # [G*H]  layer norm of U h; the RNN's of W x + U h
    gain_c: Array | None = None  # [H]  LSTM: layer norm of the cell
    bias_c: Array | None = None  # [H]
    learned_h: Array | None = None  # [R]  the state before a sequence
    learned_c: Array | None = None  # [H]  LSTM


def or_zeros(values: Array | None, size: int) -> Array:
    """The parameter, or zeros [size] where it does not exist: adding them or multiplying by them changes nothing."""
    return np.zeros(size) if values is None else values


def or_ones(values: Array | None, size: int) -> Array:
    """The gain, or ones [size] where it does not exist."""
    return np.ones(size) if values is None else values


def only_if(parameter: Array | None, gradient: Array) -> Array | None:
    """The gradient of a parameter that exists, else None."""
    return None if parameter is None else gradient
