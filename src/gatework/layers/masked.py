"""The output where a step did not happen: zeros come from ops; repeated outputs and residual sums are made here."""

from __future__ import annotations

import torch
from torch import Tensor

from gatework.ops.composed import steps_that_happen
from gatework.ops.trace import carried


def repeat_last_output(
    y: Tensor, D: int, lengths: Tensor | None, mask: Tensor | None, batch_first: bool
) -> Tensor:
    """The last output of each row and direction, in its direction of travel, where a step did not happen; 0 before any.

    y [T, N, D*H] or [N, T, D*H], mask likewise without the last axis, lengths [N].
    """
    if lengths is None and mask is None:
        return y
    if batch_first:
        flipped = None if mask is None else mask.transpose(0, 1)
        return repeat_last_output(y.transpose(0, 1), D, lengths, flipped, False).transpose(0, 1)
    lengths = None if lengths is None else lengths.to(y.device)
    happens = steps_that_happen(y.shape[0], lengths, mask)
    assert happens is not None
    zeros = torch.zeros_like(y[0].chunk(D, -1)[0])
    parts = (carried(v, happens, zeros, d == 1) for d, v in enumerate(y.chunk(D, dim=-1)))
    return torch.cat(tuple(parts), dim=-1)


def add_where_it_happens(
    y: Tensor, x: Tensor, lengths: Tensor | None, mask: Tensor | None, batch_first: bool
) -> Tensor:
    """y + x, both [T, N, K] or [N, T, K], and 0 at steps that did not happen."""
    if lengths is None and mask is None:
        return y + x
    steps = y.shape[1 if batch_first else 0]
    mask = mask.transpose(0, 1) if mask is not None and batch_first else mask
    happens = steps_that_happen(steps, None if lengths is None else lengths.to(y.device), mask)
    assert happens is not None
    happens = happens.transpose(0, 1) if batch_first else happens
    return torch.where(happens[..., None], y + x, 0.0)
