"""`torch.ops.gatework.lstm` and its backward: shape rules, gradients, and the short cut around the dispatcher.

The backward is an operator of its own, so that compile, export and opcheck see both. A backward that must itself be
differentiable (create_graph=True) recomputes through ops/composed.py. In plain eager calls the operator's own functions
are called through one autograd.Function, which saves the dispatcher's 50 to 100 microseconds a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gatework.ops import composed, lstm_kernel
from gatework.ops.lstm_kernel import Gradients, Inputs, Wanted
from gatework.ops.torch_state import is_watched
from gatework.ops.trace import BLOCK, to_saved

Maybe = Tensor | None
Outputs = tuple[Tensor, Tensor, Tensor, Maybe, Maybe]  # y, h_n, c_n, gates, c

_INPUTS = (
    "Tensor x, Tensor? h0, Tensor? c0, Tensor w_ih, Tensor w_hh, Tensor? b_ih, Tensor? b_hh, "
    "Tensor? w_ih_r, Tensor? w_hh_r, Tensor? b_ih_r, Tensor? b_hh_r, "
    "Tensor? lengths, Tensor? mask, Tensor? reset"
)
_FORWARD = f"({_INPUTS}, bool batch_first, bool keep) -> (Tensor, Tensor, Tensor, Tensor, Tensor)"
_BACKWARD = (
    "(Tensor? dy, Tensor? dh_n, Tensor? dc_n, Tensor? dgates, Tensor? dc, "
    f"{_INPUTS}, Tensor y, Tensor gates, Tensor c, bool batch_first, bool[] wanted) -> "
    "(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)"
)
_TENSORS = len(Inputs._fields)
_FLOATS = _TENSORS - 3  # those that can have a gradient come first


def call(inputs: Inputs, batch_first: bool, keep: bool) -> Outputs:
    """The operator, by the shortest way that this call allows; gates and c mean something only where `keep`."""
    if is_watched():
        return forward_op(*inputs, batch_first, keep)
    if torch.is_grad_enabled():
        for t in inputs[:_FLOATS]:
            if t is not None and t.requires_grad:
                return _Eager.apply(*inputs, batch_first, keep)  # pyright: ignore[reportReturnType]
    return lstm_kernel.forward(inputs, batch_first, keep)


def _forward(*args: Any) -> tuple[Tensor, ...]:
    outputs = lstm_kernel.forward(Inputs(*args[:_TENSORS]), *args[_TENSORS:])
    return tuple(map(_or_empty, outputs))


def _backward(*args: Any) -> tuple[Tensor, ...]:
    *tensors, batch_first, wanted = args
    found = _run_backward(tensors[:5], tensors[5:], batch_first, Wanted(*wanted))
    second = found.dw[1] if len(found.dw) == 2 else (None, None, None)
    return tuple(map(_or_empty, (*found[:3], *found.dw[0], *second)))


def _or_empty(t: Maybe) -> Tensor:
    return torch.empty(0, dtype=torch.float32, device="cpu") if t is None else t


def _run_backward(
    grads: Sequence[Maybe], kept: Sequence[Any], batch_first: bool, wanted: Wanted
) -> Gradients:
    """`kept` are the inputs, then y, gates, c."""
    inputs, (y, gates, c) = Inputs(*kept[:_TENSORS]), kept[_TENSORS:]
    return lstm_kernel.backward(grads, inputs, (y, gates, c), batch_first, wanted)


forward_op = torch.library.custom_op(
    "gatework::lstm", _forward, mutates_args=(), schema=_FORWARD, device_types="cpu"
)
backward_op = torch.library.custom_op(
    "gatework::lstm_backward", _backward, mutates_args=(), schema=_BACKWARD, device_types="cpu"
)


@forward_op.register_fake
def _(*args: Any) -> tuple[Tensor, ...]:
    inputs, batch_first, keep = Inputs(*args[:_TENSORS]), *args[_TENSORS:]
    a, b = inputs.x.shape[:2]
    T, N = (b, a) if batch_first else (a, b)
    H, D = inputs.w_hh.shape[1], len(inputs.directions)
    Hb = -(-H // BLOCK)
    new = inputs.x.new_empty
    gates, c = (
        new((D, T, N, Hb, 4, BLOCK) if keep else 0),
        new((D, T, N, Hb * BLOCK) if keep else 0),
    )
    return new((a, b, D * H)), new((D, N, H)), new((D, N, H)), gates, c


@backward_op.register_fake
def _(*args: Any) -> tuple[Tensor, ...]:
    inputs, gates, want = Inputs(*args[5 : 5 + _TENSORS]), args[-4], Wanted(*args[-1])
    D, _, N = gates.shape[:3]
    new = inputs.x.new_empty
    state = (D, N, inputs.w_hh.shape[1]) if want.state else 0
    found = [new(inputs.x.shape if want.x else 0), new(state), new(state)]
    for w_ih, w_hh in ((inputs.w_ih, inputs.w_hh), (inputs.w_ih_r, inputs.w_hh_r)):
        if w_ih is None or w_hh is None:
            found += [new(0), new(0), new(0)]
            continue
        found += [new(w.shape if want.weights else 0) for w in (w_ih, w_hh)]
        found.append(new(w_ih.shape[0] if want.bias else 0))
    return tuple(found)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Outputs) -> None:
    y, _, _, gates, c = output
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:_TENSORS], y, gates, c)
    ctx.batch_first = inputs[_TENSORS]


def _gradients(ctx: Any, *grads: Maybe) -> tuple[Maybe, ...]:
    """One gradient per argument of the operator."""
    if all(g is None for g in grads):
        return (None,) * (_TENSORS + 2)
    if torch.is_grad_enabled():
        return _differentiable(ctx, grads)
    needs, kept = ctx.needs_input_grad, ctx.saved_tensors
    wanted = Wanted(
        needs[0],
        needs[1] or needs[2],
        needs[3] or needs[4] or needs[7] or needs[8],
        needs[5] or needs[6] or needs[9] or needs[10],
    )
    if is_watched():
        dx, dh0, dc0, *dw = backward_op(*grads, *kept, ctx.batch_first, list(wanted))
    else:
        dx, dh0, dc0, per_direction = _run_backward(grads, kept, ctx.batch_first, wanted)
        dw = [g for own in per_direction for g in own]
    found: list[Maybe] = [dx, dh0, dc0]
    for k in range(0, len(dw), 3):
        db = dw[k + 2]
        # b_ih and b_hh have the same gradient but must not share its memory
        own = db.clone() if db is not None and needs[len(found) + 3] else None
        found += [dw[k], dw[k + 1], db, own]
    result: list[Maybe] = [None] * (_TENSORS + 2)
    for k, g in enumerate(found):
        if needs[k]:
            result[k] = g
    return tuple(result)


def _differentiable(ctx: Any, grads: tuple[Maybe, ...]) -> tuple[Maybe, ...]:
    """The same gradients as a differentiable function of the inputs and of `grads`."""
    kept: Sequence[Maybe] = ctx.saved_tensors[:_TENSORS]
    # views, so that an input which depends on another one gets its own share only
    views: list[Any] = [t.view_as(t) if t is not None and t.requires_grad else t for t in kept]
    inputs = Inputs(*views)
    outputs = through_composed(inputs, ctx.batch_first)
    pairs = [(o, g) for o, g in zip(outputs, grads, strict=True) if g is not None]
    wanted = [k for k in range(_FLOATS) if ctx.needs_input_grad[k]]
    leaves = [views[k] for k in wanted]
    found = torch.autograd.grad(
        [o for o, _ in pairs],
        leaves,
        [g for _, g in pairs],
        create_graph=True,
        allow_unused=True,
    )
    result: list[Maybe] = [None] * (_TENSORS + 2)
    for k, g in zip(wanted, found, strict=True):
        result[k] = g
    return tuple(result)


def through_composed(inputs: Inputs, batch_first: bool) -> tuple[Tensor, ...]:
    """What the operator gives with keep=True, by torch operations."""
    x, mask, reset = inputs.x, inputs.mask, inputs.reset
    if batch_first:
        x = x.transpose(0, 1)
        mask, reset = (None if t is None else t.transpose(0, 1) for t in (mask, reset))
    weights = [composed.Weights(*own) for own in inputs.directions]  # pyright: ignore[reportArgumentType]
    zeros = x.new_zeros(len(weights), x.shape[1], inputs.w_hh.shape[1])
    h0 = zeros if inputs.h0 is None else inputs.h0
    c0 = zeros if inputs.c0 is None else inputs.c0
    y, h_n, c_n, trace = composed.lstm(
        x, h0, c0, weights, lengths=inputs.lengths, mask=mask, reset=reset
    )
    assert trace is not None
    return y.transpose(0, 1) if batch_first else y, h_n, c_n, *to_saved(trace)


class _Eager(torch.autograd.Function):
    """The operator's functions without the dispatcher."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Outputs:
        output = lstm_kernel.forward(Inputs(*args[:_TENSORS]), *args[_TENSORS:])
        _setup(ctx, args, output)
        return output

    backward = staticmethod(_gradients)


forward_op.register_autograd(_gradients, setup_context=_setup)
