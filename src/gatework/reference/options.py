"""What can be chosen about a layer besides its weights. Each option is one line where it enters a cell's equations."""

from __future__ import annotations

from typing import NamedTuple

from gatework.reference.activations import Given


class Options(NamedTuple):
    """The defaults are the plain cell, as in torch. Sources stand where an option enters."""

    activations: tuple[Given, ...] = ()  # LSTM (gates, candidate, output), GRU (gates, candidate),
    # RNN (candidate,); each a name or (name, alpha, beta); (): sigmoid for gates, tanh for the rest
    cell_clip: float = 0.0  # LSTM: the cell stays within +-cell_clip; 0: no limit
    zoneout_h: float = 0.0  # probability that a unit of h keeps its value over a step
    zoneout_c: float = 0.0  # LSTM: the same for c
    candidate_dropout: float = 0.0  # LSTM, GRU: probability that a unit's candidate is dropped
    training: bool = False  # False: zoneout takes the expectation, candidates are not dropped
    coupled: bool = False  # LSTM: f = 1 - i
    reset_after: bool = True  # GRU: r meets U_n h (True) or h (False)
    layer_norm: bool = False
    seed: int = 0  # of the random numbers of this layer, direction and call; 64 bits
