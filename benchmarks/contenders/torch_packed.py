"""torch.nn.LSTM on a PackedSequence: packing, the layer, and padding again, as whoever has lengths writes it.

In torch's favour the rows arrive sorted by length, which is not timed: packing then needs no reordering.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.cases import Case
from benchmarks.contenders import Prepared
from benchmarks.contenders.torch_lstm import prepare_module, version, with_weights

__all__ = ["names", "prepare", "version"]


def names(case: Case) -> tuple[str, ...]:
    return ("torch packed",) if case.kind == "lengths" else ()


def prepare(case: Case, name: str) -> Prepared:
    assert case.lengths is not None
    module = with_weights(torch.nn.LSTM(case.shape.I, case.shape.H), case)
    order = np.argsort(-case.lengths, kind="stable")
    lengths = torch.from_numpy(case.lengths[order])

    def call(x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        packed, state = module(pack_padded_sequence(x, lengths))
        return pad_packed_sequence(packed, total_length=case.shape.T)[0], state

    return prepare_module(module, call, case, order)
