"""The family as one scan written in torch operations: right everywhere, fast nowhere.

It serves what the kernels don't: float64, other devices, vmap, forward mode, derivatives of derivatives. Autograd gives
the derivatives. One step of a cell is in ops/lstm.py, gru.py, rnn.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gatework.ops import gru, lstm, rnn
from gatework.ops.cell import Context, State
from gatework.ops.family import Options, Weights, draws, gates
from gatework.ops.random import StepEvents, step_events
from gatework.ops.trace import GRUTrace, LayerResult, LSTMTrace, RNNTrace, set_back

_CELLS = {"lstm": lstm, "gru": gru, "rnn": rnn}
_NOTHING = StepEvents(None, None, None)


class _After(NamedTuple):
    """The gates [N, H] of a step and the state after it."""

    gates: tuple[Tensor, ...]
    state: State


class _Flags(NamedTuple):
    """[T, N] bool, in input time; None where every step happens or none is set back."""

    happens: Tensor | None
    reset: Tensor | None


def steps_that_happen(T: int, lengths: Tensor | None, mask: Tensor | None) -> Tensor | None:
    """[T, N] bool from lengths [N] and mask [T, N], or None where every step happens."""
    if lengths is None:
        return mask
    prefix = torch.arange(T, device=lengths.device)[:, None] < lengths
    return prefix if mask is None else prefix & mask


def layer(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Weights],
    options: Options,
    *,
    drop: Sequence[Tensor | None] | None = None,
    seeds: Tensor | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    reset: Tensor | None = None,
) -> LayerResult:
    """One layer, all directions, time first: arguments as in ops/recurrent.py; the trace is always made."""
    T = x.shape[0]
    flags = _Flags(steps_that_happen(T, lengths, mask), reset)
    ys: list[Tensor] = []
    runs: list[list[Tensor]] = []
    last: list[State] = []
    for d, w in enumerate(weights):
        context = Context(w, options, None if drop is None else drop[d])
        before = start(x, h0, c0, w, options, d)
        events = _events(x, before, options, seeds, d)
        steps = _scan(x, before, context, events, flags, reverse=d == 1)
        last.append(steps[0 if d == 1 else -1].state)
        fields = zip(*(_fields(step) for step in steps), strict=True)
        runs.append([torch.stack(values) for values in fields])  # [T, N, H]
        h = runs[-1][-1]
        ys.append(h if flags.happens is None else torch.where(flags.happens[..., None], h, 0.0))
    every = [torch.stack(values) for values in zip(*runs, strict=True)]  # [D, T, N, H]
    h_n = torch.stack([state.h for state in last])
    cs = [state.c for state in last if state.c is not None]
    y = ys[0] if len(ys) == 1 else torch.cat(ys, dim=2)
    return LayerResult(y, h_n, torch.stack(cs) if cs else None, _trace(every, options))


def start(
    x: Tensor, h0: Tensor | None, c0: Tensor | None, w: Weights, options: Options, d: int
) -> State:
    """The state before the first step: what was passed, else what was learned, else zeros."""
    N, H = x.shape[1], w.w_ih.shape[0] // gates(options)
    h = _learned(x, w.learned_h, w.w_hh.shape[1]).expand(N, -1) if h0 is None else h0[d]
    if options.cell != "lstm":
        return State(h, None)
    return State(h, _learned(x, w.learned_c, H).expand(N, -1) if c0 is None else c0[d])


def _learned(x: Tensor, learned: Tensor | None, width: int) -> Tensor:
    return x.new_zeros(width) if learned is None else learned


def _events(
    x: Tensor, start: State, options: Options, seeds: Tensor | None, d: int
) -> list[StepEvents]:
    """What is drawn for each step, by input time; constants of the graph."""
    T, N = x.shape[:2]
    if not draws(options):
        return [_NOTHING] * T
    assert seeds is not None
    R = start.h.shape[1]
    drawn = step_events(
        T,
        N,
        R,
        R if start.c is None else start.c.shape[1],
        zoneout_h=options.zoneout_h,
        zoneout_c=options.zoneout_c,
        candidate_dropout=options.candidate_dropout,
        seed=seeds[d],
        device=x.device,
        dtype=x.dtype,
    )
    none = (None,) * T
    return [
        StepEvents(*own)
        for own in zip(*(none if v is None else v.unbind() for v in drawn), strict=True)
    ]


def _scan(
    x: Tensor,
    state: State,
    context: Context,
    events: list[StepEvents],
    flags: _Flags,
    reverse: bool,
) -> list[_After]:
    """One direction; the steps are returned in input-time order."""
    T, w = x.shape[0], context.w
    cell = _CELLS[context.options.cell]
    of_input = cell.from_input(context, x).unbind()  # T of [N, G*H]
    happens = None if flags.happens is None else flags.happens.unsqueeze(2).unbind()  # T of [N, 1]
    reset = flags.reset
    back = None if reset is None else set_back(reset, reverse).unsqueeze(2).unbind()
    steps: list[_After] = []
    for t in reversed(range(T)) if reverse else range(T):
        if back is not None:
            state = _set_back(state, w, back[t])
        after = _After(*cell.step(context, of_input[t], state, events[t]))
        if happens is not None:
            after = _masked(after, state, happens[t])
        state = after.state
        steps.append(after)
    return steps[::-1] if reverse else steps


def _set_back(state: State, w: Weights, back: Tensor) -> State:
    """The learned state or zeros where a sequence starts, never a state that was passed."""
    h = torch.where(back, 0.0 if w.learned_h is None else w.learned_h, state.h)
    if state.c is None:
        return State(h, None)
    return State(h, torch.where(back, 0.0 if w.learned_c is None else w.learned_c, state.c))


def _masked(after: _After, before: State, happens: Tensor) -> _After:
    """A step that does not happen carries the state; its gates are 0."""
    own = tuple(torch.where(happens, gate, 0.0) for gate in after.gates)
    h, c = after.state
    h = torch.where(happens, h, before.h)
    if c is None or before.c is None:
        return _After(own, State(h, None))
    return _After(own, State(h, torch.where(happens, c, before.c)))


def _fields(step: _After) -> tuple[Tensor, ...]:
    """The fields of the trace, h last."""
    h, c = step.state
    return (*step.gates, h) if c is None else (*step.gates, c, h)


def _trace(every: Sequence[Tensor], options: Options) -> LSTMTrace | GRUTrace | RNNTrace:
    if options.cell == "lstm":
        return LSTMTrace(*every)
    return GRUTrace(*every) if options.cell == "gru" else RNNTrace(*every)
