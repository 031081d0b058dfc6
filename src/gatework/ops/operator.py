"""`torch.ops.gatework.lstm`, `gru`, `rnn` and their backwards: shape rules, gradients, and the short cut.

The backward is an operator of its own, so that compile, export and opcheck see both. A backward that must itself be
differentiable or is transformed (create_graph=True, vmap, tangents) recomputes through ops/composed.py. Where there is
no kernel the operators run the composed scan inside (ops/opaque.py). In plain eager calls the operator's own functions
are called through one autograd.Function, which saves the dispatcher's 50 to 100 microseconds a step.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gatework.ops import kernel, opaque, torch_state
from gatework.ops.call import Inputs, Outputs, Saved, Upstream, has_gates, norm_floats
from gatework.ops.family import Cell, Options
from gatework.ops.signature import CELLS, FLOATS, PLACES, flat, nested, options_of, settings_of
from gatework.ops.torch_state import is_watched
from gatework.ops.trace import BLOCK, slots

Maybe = Tensor | None


class _Call(NamedTuple):
    """What of a call is no tensor.

    where: the places in `NAMES` of the tensors that are handed over; the first `floats` of them can have a gradient.
    """

    options: Options
    batch_first: bool
    keep: bool
    trace: bool
    where: tuple[int, ...]
    floats: int


def call(inputs: Inputs, options: Options, batch_first: bool, trace: bool) -> Outputs:
    """The operator, by the shortest way that this call allows; gates, c and norms mean something only with a trace.

    With options.recompute, or without a kernel, only the inputs are kept for backward, except with a trace, which holds
    the gates anyway.
    """
    tensors = flat(inputs)
    records = torch.is_grad_enabled() and any(
        t is not None and t.requires_grad for t in tensors[:FLOATS]
    )
    keep = trace or (records and not options.recompute and opaque.has_kernel(inputs.x))
    if is_watched():
        return _dispatched(tensors, options, batch_first, keep)
    if not records:
        return kernel.forward(inputs, options, batch_first, keep)
    where = tuple([k for k, t in enumerate(tensors) if t is not None])
    floats = bisect_left(where, FLOATS)
    given = _Call(options, batch_first, keep, trace, where, floats)
    found: Any = _Eager.apply(given, inputs, *[tensors[k] for k in where])
    y, h_n, *rest = found
    c_n = rest[0] if options.cell == "lstm" else None
    gates, c = rest[-2:] if trace else (None, None)
    return Outputs(y, h_n, c_n, gates, c, None)


def _dispatched(
    tensors: Sequence[Maybe], options: Options, batch_first: bool, keep: bool
) -> Outputs:
    """Through the dispatcher, where somebody listens."""
    cell = options.cell
    own = [tensors[k] for k in PLACES[cell]]
    found = OPERATORS[cell](*own, *settings_of(options), batch_first, keep)
    if cell == "lstm":
        return Outputs(*found)
    y, h_n, gates, norms = found
    return Outputs(y, h_n, None, gates, None, norms)


def _or_empty(t: Maybe, like: Tensor) -> Tensor:
    return like.new_empty(0) if t is None else t


def _remember(ctx: Any, call: _Call, tensors: Sequence[Maybe], saved: Saved | None) -> None:
    """What backward reads; saved is None where the forward pass is to be run again."""
    ctx.set_materialize_grads(False)
    ctx.call = call
    ctx.save_for_backward(*tensors, *(() if saved is None else saved))


def _recall(ctx: Any) -> tuple[tuple[Any, ...], Saved | None]:
    tensors, count = ctx.saved_tensors, len(ctx.call.where)
    if len(tensors) == count:
        return tensors, None
    y, *arrays = tensors[count:]
    return tensors[:count], Saved(y, *map(_or_none, arrays))


def _gradients(ctx: Any, grads: Upstream) -> list[Maybe]:
    """One gradient for each of the tensors at `where` that can have one."""
    call: _Call = ctx.call
    needs = ctx.needs_input_grad[ctx.before : ctx.before + call.floats]
    if all([g is None for g in grads]):
        return [None] * call.floats
    if torch.is_grad_enabled() or _is_transformed(grads):
        return _differentiable(ctx, grads, needs)
    tensors, saved = _recall(ctx)
    if is_watched():
        found = iter(_dispatched_backward(call, grads, tensors, saved, needs))
        return [next(found) if need else None for need in needs]
    wanted, where = [False] * FLOATS, call.where[: call.floats]
    for k, need in zip(where, needs, strict=True):
        wanted[k] = need
    inputs = nested(call.where, tensors)
    every = _pull_back(grads, inputs, saved, call.options, call.batch_first, wanted)
    # there is nothing of a second direction that the call did not have
    return [every[k] if k < len(every) else None for k in where]


def _pull_back(
    grads: Upstream,
    inputs: Inputs,
    saved: Saved | None,
    options: Options,
    batch_first: bool,
    wanted: Sequence[bool],
) -> list[Maybe]:
    if opaque.has_kernel(inputs.x):
        return kernel.backward(grads, inputs, saved, options, batch_first, wanted)
    return opaque.backward(grads, inputs, options, batch_first, wanted)


def _is_transformed(grads: Upstream) -> bool:
    """The gradients carry a batch axis of vmap or tangents, which the kernels would not see."""
    if torch_state.is_transformed():
        return True
    return any(torch_state.is_dual(g) or torch_state.is_batched(g) for g in grads)


def _dispatched_backward(
    call: _Call,
    grads: Upstream,
    tensors: Sequence[Maybe],
    saved: Saved | None,
    needs: Sequence[bool],
) -> Sequence[Tensor]:
    cell = call.options.cell
    of, held = CELLS[cell], dict(zip(call.where, tensors, strict=True))
    wanted = dict(zip(call.where, needs, strict=False))
    return BACKWARDS[cell](
        *(getattr(grads, name) for name in of.upstream),
        *(held.get(k) for k in PLACES[cell]),
        *(None if saved is None else getattr(saved, name) for name in of.saved()),
        *settings_of(call.options),
        call.batch_first,
        [wanted.get(k, False) for k in PLACES[cell] if k < FLOATS],
    )


def _differentiable(ctx: Any, grads: Upstream, needs: Sequence[bool]) -> list[Maybe]:
    """The same gradients as a differentiable function of the inputs and of `grads`."""
    call, (kept, _) = ctx.call, _recall(ctx)
    # views, so that an input which depends on another one gets its own share only
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        views: list[Any] = [t.view_as(t) if t is not None and t.requires_grad else t for t in kept]
        outputs = opaque.through_composed(nested(call.where, views), call.options, call.batch_first)
    leaves = [t for t, need in zip(views, needs, strict=False) if need]
    found = iter(opaque.pulled_back(outputs, grads, leaves, create_graph=again))
    return [next(found) if need else None for need in needs]


class _Eager(torch.autograd.Function):
    """The operators' functions without the dispatcher: only tensors that exist are handed over."""

    @staticmethod
    def forward(ctx: Any, call: _Call, inputs: Inputs, *tensors: Tensor) -> tuple[Tensor, ...]:
        found = kernel.forward(inputs, call.options, call.batch_first, call.keep)
        y, h_n, c_n, gates, c, norms = found
        ctx.before = 2
        _remember(ctx, call, tensors, Saved(y, gates, c, norms) if call.keep else None)
        outputs = (y, h_n) if c_n is None else (y, h_n, c_n)
        traced: Any = (gates, c) if call.trace else ()
        return (*outputs, *traced)

    @staticmethod
    def backward(ctx: Any, *grads: Maybe) -> tuple[Maybe, ...]:
        call: _Call = ctx.call
        dy, dh_n, *rest = grads
        dgates, dc = rest[-2:] if call.trace else (None, None)
        if call.options.cell == "rnn":
            dgates = None
        dc_n = rest[0] if call.options.cell == "lstm" else None
        found = _gradients(ctx, Upstream(dy, dh_n, dc_n, dgates, dc))
        return (None, None, *found, *[None] * (len(call.where) - call.floats))


def _define(cell: Cell) -> tuple[Any, Any]:
    """The operator of a cell and its backward."""
    of, places = CELLS[cell], PLACES[cell]
    count, floats = len(places), sum(k < FLOATS for k in places)

    def run(*args: Any) -> tuple[Tensor, ...]:
        *settings, batch_first, keep = args[count:]
        inputs = nested(places, args[:count])
        compute = kernel.forward if opaque.has_kernel(inputs.x) else opaque.forward
        found = compute(inputs, options_of(cell, settings), batch_first, keep)
        return tuple(_or_empty(getattr(found, name), inputs.x) for name in of.outputs)

    def run_backward(*args: Any) -> list[Tensor]:
        sent, rest = args[: len(of.upstream)], args[len(of.upstream) :]
        *settings, batch_first, wanted = rest[count + len(of.saved()) :]
        grads = Upstream(
            *(dict(zip(of.upstream, sent, strict=True)).get(f) for f in Upstream._fields)
        )
        arrays = dict(zip(of.saved(), rest[count : count + len(of.saved())], strict=True))
        saved = None
        if arrays["y"] is not None:
            rest_of = (_or_none(arrays.get(name)) for name in Saved._fields[1:])
            saved = Saved(arrays["y"], *rest_of)
        every = [False] * FLOATS
        for k, want in zip(places, wanted, strict=False):
            every[k] = want
        inputs = nested(places, rest[:count])
        found = _pull_back(grads, inputs, saved, options_of(cell, settings), batch_first, every)
        ordered = [found[k] if k < len(found) else None for k in places[:floats]]
        return [_or_empty(g, inputs.x) for g, want in zip(ordered, wanted, strict=True) if want]

    def fake(*args: Any) -> tuple[Tensor, ...]:
        *settings, batch_first, keep = args[count:]
        inputs, options = nested(places, args[:count]), options_of(cell, settings)
        shapes = _shapes(inputs, options, batch_first, keep)
        return tuple(inputs.x.new_empty(shapes[name]) for name in of.outputs)

    def fake_backward(*args: Any) -> list[Tensor]:
        tensors, wanted = args[len(of.upstream) :][:floats], args[-1]
        x = tensors[0]
        return [
            x.new_empty(0 if t is None else t.shape)
            for t, want in zip(tensors, wanted, strict=True)
            if want
        ]

    def setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        *settings, batch_first, keep = inputs[count:]
        found = dict(zip(of.outputs, output, strict=True))
        ctx.mark_non_differentiable(*(found[f] for f in of.outputs if f"d{f}" not in of.upstream))
        ctx.before = 0
        saved = Saved(**{f: found.get(f) for f in Saved._fields}) if keep else None  # pyright: ignore[reportArgumentType]
        given = _Call(options_of(cell, settings), batch_first, keep, keep, places, floats)
        _remember(ctx, given, inputs[:count], saved)

    def gradients(ctx: Any, *grads: Maybe) -> tuple[Maybe, ...]:
        sent = {f"d{name}": _or_none(g) for name, g in zip(of.outputs, grads, strict=True)}
        known = (sent[f] if f in of.upstream else None for f in Upstream._fields)
        found = _gradients(ctx, Upstream(*known))
        rest = count - floats + len(of.options) + 4
        return (*found, *[None] * rest)

    forward = torch.library.custom_op(
        f"gatework::{cell}",
        run,
        mutates_args=(),
        schema=of.forward(),
    )
    backward = torch.library.custom_op(
        f"gatework::{cell}_backward",
        run_backward,
        mutates_args=(),
        schema=of.backward(),
    )
    forward.register_fake(fake)
    backward.register_fake(fake_backward)
    forward.register_autograd(gradients, setup_context=setup)
    return forward, backward


def _or_none(t: Maybe) -> Maybe:
    """What `_or_empty` was given, or a gradient of it."""
    return None if t is None or t.dim() == 1 else t


def _shapes(
    inputs: Inputs, options: Options, batch_first: bool, keep: bool
) -> dict[str, tuple[Any, ...]]:
    """The shape of each output."""
    (a, b), w, D = inputs.x.shape[:2], inputs.weights[0], len(inputs.weights)
    T, N = (b, a) if batch_first else (a, b)
    R, is_lstm = w.w_hh.shape[1], options.cell == "lstm"
    H = R if w.w_hr is None else w.w_hr.shape[1]
    Hb = -(-H // BLOCK)
    shapes: dict[str, tuple[Any, ...]] = {"y": (a, b, D * R), "h_n": (D, N, R), "c_n": (D, N, H)}
    shapes |= dict.fromkeys(("gates", "c", "norms"), (0,))
    fused = opaque.has_kernel(inputs.x)
    if keep and has_gates(options) and (fused or options.cell != "rnn"):
        shapes["gates"] = (D, T, N, slots(options), Hb * BLOCK)
    if keep and is_lstm:
        shapes["c"] = (D, T, N, Hb * BLOCK)
    if keep and options.layer_norm and fused:
        P = 0 if w.w_hr is None else R
        shapes["norms"] = (D, T, N, norm_floats(options, int(H), int(P)))
    return shapes


OPERATORS: dict[Cell, Any] = {}
BACKWARDS: dict[Cell, Any] = {}
for _cell in CELLS:
    OPERATORS[_cell], BACKWARDS[_cell] = _define(_cell)
