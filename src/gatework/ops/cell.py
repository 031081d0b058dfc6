"""What the steps of the cells share in the composed path: the state, the product with U, layer norm and zoneout.

A cell's file (lstm.py, gru.py, rnn.py) has two functions: `from_input`, what x adds to the gates' sums, made for all
steps at once, and `step`, which gives the gates [N, H] as the trace shows them and the state after them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from gatework.ops.family import Options, Weights

_EPSILON = 1e-5  # inside the root of layer norm


class State(NamedTuple):
    """h [N, R] and, in the LSTM, c [N, H]."""

    h: Tensor
    c: Tensor | None


class Context(NamedTuple):
    """What stays the same from step to step; drop is the factor of h in the products with U, [N, R] or [N, G, R]."""

    w: Weights
    options: Options
    drop: Tensor | None


def product(h: Tensor, w: Tensor, drop: Tensor | None) -> Tensor:
    """U (h * drop) [N, rows of w]; where drop is [N, g, R] each gate's rows see their own h."""
    if drop is None or drop.dim() == 2:
        return linear(h if drop is None else h * drop, w)
    rows = w.unflatten(0, (drop.shape[1], -1))  # [g, H, R]
    return torch.einsum("ngr,ghr->ngh", h[:, None] * drop, rows).flatten(-2)


def normalised(values: Tensor, gain: Tensor | None, bias: Tensor | None = None) -> Tensor:
    """Layer norm over the last axis (Ba, Kiros & Hinton 2016, equation 4); untouched where there is no gain."""
    return values if gain is None else layer_norm(values, gain.shape, gain, bias, _EPSILON)


def plus(values: Tensor, bias: Tensor | None) -> Tensor:
    """The bias added, if there is one."""
    return values if bias is None else values + bias


def zoned(new: Tensor, old: Tensor, p: float, keep: Tensor | None, training: bool) -> Tensor:
    """Zoneout (Krueger et al. 2017): units that keep their value in training, the expectation of that otherwise."""
    if p == 0:
        return new
    if not training:
        return p * old + (1 - p) * new
    return new if keep is None else torch.where(keep, old, new)
