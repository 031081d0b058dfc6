"""The trace of a layer: every gate and state of every step, and how values are carried over steps that did not happen.

`from_saved` and `to_saved` turn the kernels' layout ([T, N, S, H rounded up to 16]) into a trace and back. Where every
step happens the trace is a view.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from gatework.ops.family import Options, gates

BLOCK = 16


class LSTMTrace(NamedTuple):
    """Gates i, f, g, o after activation and states c, h after each step, each [D, T, N, H], in input-time order.

    With a projection h is [D, T, N, P]; where the layer is batch first the tensors are [D, N, T, H]; an unbatched input
    has no N. At steps that did not happen the gates are 0, c and h are the carried ones. Everything is differentiable.

    Example:
        >>> import torch, gatework
        >>> output, state, trace = gatework.LSTM(3, 5)(torch.randn(7, 2, 3), return_trace=True)
        >>> trace[0].f.shape
        torch.Size([1, 7, 2, 5])
    """

    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor
    c: Tensor
    h: Tensor


class GRUTrace(NamedTuple):
    """Gates r, z, n after activation and the state h after each step; shapes and masked steps as in `LSTMTrace`."""

    r: Tensor
    z: Tensor
    n: Tensor
    h: Tensor


class RNNTrace(NamedTuple):
    """The state h after each step; shapes and masked steps as in `LSTMTrace`."""

    h: Tensor


Trace = LSTMTrace
LayerTrace = LSTMTrace | GRUTrace | RNNTrace


class LayerResult(NamedTuple):
    """What one layer gives: y laid out like the input, h_n [D, N, R], c_n [D, N, H] (LSTM), and the trace or None."""

    y: Tensor
    h_n: Tensor
    c_n: Tensor | None
    trace: LayerTrace | None


def set_back(reset: Tensor, reverse: bool) -> Tensor:
    """[T, N]: True where the state is set back before this step; the backward direction meets t before t-1."""
    return torch.cat([reset[1:], torch.zeros_like(reset[:1])]) if reverse else reset


def carried(values: Tensor, event: Tensor, start: Tensor, reverse: bool) -> Tensor:
    """At each t the value of the last event up to t, in the direction of travel; `start` before the first.

    values [T, N, H], event [T, N] bool, start [N, H].
    """
    if reverse:
        return carried(values.flip(0), event.flip(0), start, False).flip(0)
    place = torch.arange(1, event.shape[0] + 1, device=event.device)[:, None]  # [T, 1]
    last = torch.where(event, place, 0).cummax(0).values  # [T, N]
    every = torch.cat([start[None], values])  # [T + 1, N, H]
    return every.gather(0, last[:, :, None].expand(values.shape))


def slots(options: Options) -> int:
    """S: what the kernels save of each unit and step.

    LSTM i, f, g, o (coupled i, g, o); GRU r, z, n and, where the reset gate comes after the product, what it
    multiplies; RNN h before zoneout.
    """
    if options.cell == "lstm":
        return gates(options)
    return 1 if options.cell == "rnn" else 3 + options.reset_after


class Carried(NamedTuple):
    """A state [D, T, N, K] that holds the values of the steps that happened.

    Per direction, starts [N, K] is the state before the first step, learned [K] what a reset sets it back to, None for
    zeros.
    """

    values: Tensor
    starts: Sequence[Tensor]
    learned: Sequence[Tensor | None]

    def over(self, happens: Tensor, reset: Tensor | None) -> Tensor:
        """The state after every step; happens and reset are [T, N]."""
        every: list[Tensor] = []
        for d, own in enumerate(self.values.unbind()):
            learned = self.learned[d]
            own = torch.where(happens[..., None], own, 0.0 if learned is None else learned)
            event = happens if reset is None else happens | set_back(reset, d == 1)
            every.append(carried(own, event, self.starts[d], d == 1))
        return torch.stack(every)


def from_saved(
    options: Options,
    h: Carried,
    c: Carried | None,
    saved: Tensor | None,
    happens: Tensor | None,
    reset: Tensor | None,
) -> LayerTrace:
    """The trace of a kernel call; saved: its gates [D, T, N, S, Hb*16]."""
    states = [v.values if happens is None else v.over(happens, reset) for v in (c, h) if v]
    if options.cell == "rnn":
        return RNNTrace(*states)
    assert saved is not None
    H = states[0].shape[-1]  # of c, or of the GRU's h
    flat = saved[..., :H].movedim(3, 0)  # [S, D, T, N, H]
    if options.cell == "gru":
        return GRUTrace(*_where(happens, flat[:3]).unbind(), *states)
    if not options.coupled:
        return LSTMTrace(*_where(happens, flat).unbind(), *states)
    i, g, o = flat.unbind()
    return LSTMTrace(*_where(happens, torch.stack([i, 1 - i, g, o])).unbind(), *states)


def to_saved(trace: LayerTrace, options: Options) -> tuple[Tensor | None, Tensor | None]:
    """gates [D, T, N, S, Hb*16] and c [D, T, N, Hb*16] as the kernels keep them; padding units are 0."""
    if isinstance(trace, RNNTrace):
        return None, None
    if isinstance(trace, GRUTrace):
        fourth = [torch.zeros_like(trace.r)] if options.reset_after else []  # not of the trace
        return _blocks([*trace[:3], *fourth]), None
    i, f, g, o, c, _ = trace
    padded = functional.pad(c, (0, -c.shape[-1] % BLOCK))
    return _blocks([i, g, o] if options.coupled else [i, f, g, o]), padded


def _blocks(values: Sequence[Tensor]) -> Tensor:
    """[D, T, N, S, Hb*16] from S of [D, T, N, H]."""
    every = torch.stack([*values], dim=3)  # [D, T, N, S, H]
    return functional.pad(every, (0, -every.shape[-1] % BLOCK))


def _where(happens: Tensor | None, values: Tensor) -> Tensor:
    return values if happens is None else torch.where(happens[..., None], values, 0.0)
