"""torch's PackedSequence as a padded tensor with lengths, and back; nothing is computed on padding either way."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gatework.errors import ShapeError


class Unpacked(NamedTuple):
    """Rows in the packed order (longest first): x [T, N, I], lengths [N], and where each packed row lies in [T * N]."""

    x: Tensor
    lengths: Tensor
    place: Tensor


def unpack(packed: PackedSequence) -> Unpacked:
    """The padded form of a PackedSequence; ShapeError where its parts contradict each other."""
    data, batch_sizes = packed.data, packed.batch_sizes
    if data.dim() != 2:
        raise ShapeError(
            f"the data of the PackedSequence has {data.dim()} axes, expected 2: [steps, input_size]"
        )
    sizes = batch_sizes.tolist()
    if (
        not sizes
        or sum(sizes) != len(data)
        or sizes != sorted(sizes, reverse=True)
        or sizes[-1] < 1
    ):
        raise ShapeError(
            f"batch_sizes of the PackedSequence must fall and add up to its {len(data)} rows, "
            f"got {sizes}; make it with torch.nn.utils.rnn.pack_padded_sequence"
        )
    T, N = len(sizes), sizes[0]
    there = torch.arange(N, device=batch_sizes.device) < batch_sizes[:, None]  # [T, N]
    place = there.view(-1).nonzero().squeeze(1).to(data.device)
    x = data.new_zeros(T * N, data.shape[1]).index_copy(0, place, data)
    return Unpacked(x.view(T, N, -1), there.sum(0), place)


def pack_like(packed: PackedSequence, y: Tensor, place: Tensor) -> PackedSequence:
    """y [T, N, K], padded, packed in the way of `packed`."""
    data = y.reshape(-1, y.shape[2]).index_select(0, place)
    return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
