"""The LSTM as one scan written in torch operations: right everywhere, fast nowhere.

It serves what the kernels don't: float64, other devices, projections, vmap, forward mode, derivatives of derivatives.
The equations are those of reference/lstm.py;
the projection is Sak, Senior & Beaufays 2014 (Long short-term memory based recurrent neural network architectures).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from gatework.ops.trace import LayerResult, Trace, set_back


class Weights(NamedTuple):
    """One direction: W_ih [4H, I], W_hh [4H, H or P], b_ih [4H], b_hh [4H], W_hr [P, H]; None where there is none."""

    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None = None
    b_hh: Tensor | None = None
    w_hr: Tensor | None = None


class _Step(NamedTuple):
    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor
    c: Tensor
    h: Tensor


def steps_that_happen(T: int, lengths: Tensor | None, mask: Tensor | None) -> Tensor | None:
    """[T, N] bool from lengths [N] and mask [T, N], or None where every step happens."""
    if lengths is None:
        return mask
    prefix = torch.arange(T, device=lengths.device)[:, None] < lengths
    return prefix if mask is None else prefix & mask


def lstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weights: Sequence[Weights],
    *,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    reset: Tensor | None = None,
) -> LayerResult:
    """One layer, all directions, time first: x [T, N, I], h0 [D, N, H or P], c0 [D, N, H]; the trace is always made."""
    on = steps_that_happen(x.shape[0], lengths, mask)
    ys: list[Tensor] = []
    runs: list[_Step] = []
    last: list[_Step] = []
    for d, w in enumerate(weights):
        steps = _scan(x, h0[d], c0[d], w, on, reset, reverse=d == 1)
        runs.append(_Step(*(torch.stack(v) for v in zip(*steps, strict=True))))  # [T, N, H]
        last.append(steps[0] if d == 1 else steps[-1])
        h = runs[-1].h
        ys.append(h if on is None else torch.where(on[..., None], h, 0.0))
    trace = Trace(*(torch.stack(v) for v in zip(*runs, strict=True)))  # [D, T, N, H]
    h_n = torch.stack([step.h for step in last])
    c_n = torch.stack([step.c for step in last])
    return LayerResult(ys[0] if len(ys) == 1 else torch.cat(ys, dim=2), h_n, c_n, trace)


def _scan(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    w: Weights,
    on: Tensor | None,
    reset: Tensor | None,
    reverse: bool,
) -> list[_Step]:
    """One direction; the steps are returned in input-time order."""
    T = x.shape[0]
    from_input = linear(x, w.w_ih, w.b_ih).unbind()  # T of [N, 4H]
    happens = None if on is None else on.unsqueeze(2).unbind()  # T of [N, 1]
    back = None if reset is None else set_back(reset, reverse).unsqueeze(2).unbind()
    steps: list[_Step] = []
    for t in reversed(range(T)) if reverse else range(T):
        if back is not None:
            h, c = torch.where(back[t], 0.0, h), torch.where(back[t], 0.0, c)
        step = _step(from_input[t], h, c, w)
        if happens is not None:
            step = _masked(step, h, c, happens[t])
        h, c = step.h, step.c
        steps.append(step)
    return steps[::-1] if reverse else steps


def _step(from_input: Tensor, h: Tensor, c: Tensor, w: Weights) -> _Step:
    a_i, a_f, a_g, a_o = (from_input + linear(h, w.w_hh, w.b_hh)).chunk(4, dim=-1)
    i, f, g, o = a_i.sigmoid(), a_f.sigmoid(), a_g.tanh(), a_o.sigmoid()
    c = f * c + i * g
    h = o * c.tanh()
    return _Step(i, f, g, o, c, h if w.w_hr is None else linear(h, w.w_hr))


def _masked(step: _Step, h: Tensor, c: Tensor, happens: Tensor) -> _Step:
    i, f, g, o = (torch.where(happens, gate, 0.0) for gate in step[:4])
    return _Step(i, f, g, o, torch.where(happens, step.c, c), torch.where(happens, step.h, h))
