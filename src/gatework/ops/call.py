"""What goes into a call of the kernels and comes out, and the check of it: sizes, dtypes, devices, layouts, options.

Whatever passes `check` may be turned into addresses (ops/kernel.py); the equations and shapes are those of family.py
and kernels/include/gatework/recurrent.h.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gatework import native
from gatework.errors import ShapeError
from gatework.native.activations import KINDS, kind_of
from gatework.native.recurrent import PRECISIONS, Layout
from gatework.native.weights import weight_shapes
from gatework.ops.family import Options, Weights, draws, gates
from gatework.ops.trace import BLOCK, slots

_FLOAT32 = torch.float32
_LARGEST, _SMALLEST = float(torch.finfo(_FLOAT32).max), 2.0**-149
Maybe = Tensor | None


class Inputs(NamedTuple):
    """The tensors of a call: x, h0 [D, N, R], c0 [D, N, H], weights and drop per direction, seeds [D], the steps.

    drop is [N, R] or [N, G, R] per direction, or (). lengths is [N] int64; mask and reset are bool and laid out like x
    without its last axis.
    """

    x: Tensor
    h0: Maybe
    c0: Maybe
    weights: tuple[Weights, ...]
    drop: tuple[Maybe, ...] = ()
    seeds: Maybe = None
    lengths: Maybe = None
    mask: Maybe = None
    reset: Maybe = None


class Outputs(NamedTuple):
    """y laid out like x, h_n [D, N, R], c_n [D, N, H]; where kept, gates [D, T, N, S, Hb*16], c [D, T, N, Hb*16].

    norms are products that layer norm leaves for backward.
    """

    y: Tensor
    h_n: Tensor
    c_n: Maybe
    gates: Maybe
    c: Maybe
    norms: Maybe


class Saved(NamedTuple):
    """What backward reads of a forward call."""

    y: Tensor
    gates: Maybe
    c: Maybe
    norms: Maybe


class Upstream(NamedTuple):
    """Gradients of the outputs; None is zeros."""

    dy: Maybe
    dh_n: Maybe
    dc_n: Maybe
    dgates: Maybe
    dc: Maybe


class Plan(NamedTuple):
    """What follows from the options and from I, H, P; floats that are saved of each unit or step, 0 where none are."""

    weights: tuple[tuple[str, tuple[int, ...] | None, bool], ...]  # name, shape or None, needed
    G: int
    draws: bool
    gates: int  # S, of a unit
    c: int  # 1, of a unit
    norms: int  # of a step


class Checked(NamedTuple):
    """A checked call, whose tensors are dense."""

    held: Inputs
    plan: Plan
    layouts: tuple[Layout, ...]
    keys: tuple[int, ...]  # of the random numbers, per direction


def check_lengths(lengths: Tensor, T: int) -> None:
    """Raises where a length is negative or longer than the input."""
    if lengths.numel() == 0:
        return
    low, high = (int(v.item()) for v in lengths.aminmax())
    if low < 0 or high > T:
        value, wrong = (low, "negative") if low < 0 else (high, f"longer than the input of T={T}")
        raise ShapeError(
            f"lengths contains {value}, which is {wrong}; every length must be from 0 to {T}"
        )


def norm_floats(options: Options, H: int, P: int) -> int:
    """Floats that layer norm saves of each step of a row; 0 without it."""
    layout = Layout(1, 1, 1, H, P, 1, 1, P or H, P or H)
    return native.norm_floats(options.cell, layout, numbers(options, False, False))


def has_gates(options: Options) -> bool:
    """Gates are saved; what the RNN would save is y, unless zoneout changes it."""
    return options.cell != "rnn" or options.zoneout_h > 0


def dense(t: Maybe) -> Maybe:
    """t without gaps in memory."""
    if t is None or (t.is_contiguous() and not t.is_neg()):
        return t
    return t.resolve_neg().contiguous()


@lru_cache(maxsize=256)
def numbers(options: Options, per_gate: bool, add_dx: bool) -> native.Options:
    """The options as the kernels take them, without a seed."""
    kinds: list[tuple[Any, ...]] = []
    for name, *constants in options.activations:
        count = len(KINDS[name].defaults) if name in KINDS else 0
        kinds.append(kind_of((name, *constants[:count])))
    if options.cell == "rnn":
        kinds = [(0, 0.0, 0.0), *kinds]
    kinds += [(1, 0.0, 0.0)] * (3 - len(kinds))
    clip = options.cell_clip
    if clip > 0:  # 0 would mean that there is none; beyond the largest float nothing is clipped
        clip = max(clip, _SMALLEST) if clip <= _LARGEST else 0.0
    return native.Options(
        *(number for kind in kinds for number in kind),
        cell_clip=clip,
        zoneout_h=options.zoneout_h,
        zoneout_c=options.zoneout_c,
        candidate_dropout=options.candidate_dropout,
        training=options.training,
        coupled=options.coupled,
        reset_before=options.cell == "gru" and not options.reset_after,
        drop_per_gate=per_gate,
        layer_norm=options.layer_norm,
        add_dx=add_dx,
        precision=PRECISIONS[options.precision],
    )


def numbers_of(call: Checked, options: Options, d: int, add_dx: bool = False) -> native.Options:
    """Those of a direction; the RNN has one gate, so a factor per gate is the factor of a row."""
    drop = call.held.drop[d] if call.held.drop else None
    per_gate = drop is not None and drop.dim() == 3 and options.cell != "rnn"
    found = numbers(options, per_gate, add_dx)
    return found._replace(seed=call.keys[d]) if call.keys else found


@lru_cache(maxsize=256)
def plan_of(options: Options, I: int, H: int, P: int) -> Plan:  # noqa: E741
    """What follows from the options and these sizes."""
    shapes = weight_shapes(options.cell, numbers(options, False, False), I, H, P)
    always = ("w_ih", "w_hh", "w_hr", "gain_ih", "gain_hh", "gain_c")
    weights = [
        (name, shapes.get(name), name in shapes and name in always) for name in Weights._fields
    ]
    return Plan(
        tuple(weights),
        gates(options),
        draws(options),
        slots(options) if has_gates(options) else 0,
        int(options.cell == "lstm"),
        norm_floats(options, H, P),
    )


def layouts_of(inputs: Inputs, options: Options, batch_first: bool) -> tuple[Layout, ...]:
    """One per direction, with the sizes that x and the weights of the first direction say."""
    x, w = inputs.x, inputs.weights[0]
    if x.dim() != 3 or w.w_ih.dim() != 2 or w.w_hh.dim() != 2:
        raise ShapeError(
            "the operator expected x with 3 axes, w_ih and w_hh with 2, "
            f"got {x.dim()}, {w.w_ih.dim()} and {w.w_hh.dim()}"
        )
    a, b, I = x.shape  # noqa: E741
    T, N = (b, a) if batch_first else (a, b)
    D, R = len(inputs.weights), w.w_hh.shape[1]
    H, P = (R, 0) if w.w_hr is None else (w.w_ih.shape[0] // gates(options), R)
    if batch_first:
        sizes = (T, N, I, H, P, I, T * I, D * R, T * D * R, 1, T, 1, T)
    else:
        sizes = (T, N, I, H, P, N * I, I, N * D * R, D * R, N, 1, N, 1)
    first = Layout(*sizes, False)
    return (first,) if D == 1 else (first, Layout(*sizes, True))


def check(inputs: Inputs, options: Options, batch_first: bool) -> Checked:
    """A call of which every tensor is dense and agrees with the sizes."""
    x, h0, c0, weights, drop, seeds, lengths, mask, reset = inputs
    if len(weights) not in (1, 2) or len(drop) not in (0, len(weights)):
        raise ShapeError(f"{len(weights)} directions, {len(drop)} factors of h; expected 1 or 2")
    layouts = layouts_of(inputs, options, batch_first)
    T, N, I, H, P = layouts[0][:5]  # noqa: E741
    D, R, rows = len(weights), P or H, x.shape[:2]
    if I < 1 or H < 1:
        raise ShapeError(f"there must be inputs and units, got I = {I} and H = {H}")
    plan = plan_of(options, I, H, P)
    dense = _fits("x", x, x.shape)
    for w in weights:
        dense &= _check_weights(w, plan, options)
    for factor in drop:
        per_gate = factor is not None and factor.dim() == 3
        dense &= _fits("drop", factor, (N, plan.G, R) if per_gate else (N, R))
    if c0 is not None and not plan.c:
        raise ShapeError(f"c0 is given, but the {options.cell} has no cell state")
    dense &= _fits("h0", h0, (D, N, R)) & _fits("c0", c0, (D, N, H))
    dense &= _fits("mask", mask, rows, torch.bool) & _fits("reset", reset, rows, torch.bool)
    if lengths is not None:
        dense &= _fits("lengths", lengths, (N,), torch.int64)
        check_lengths(lengths, T)
    keys: tuple[int, ...] = ()
    if plan.draws:
        if seeds is None:
            raise ShapeError("seeds are missing; zoneout and dropout draw from one per direction")
        _fits("seeds", seeds, (D,), torch.int64)
        keys = tuple(seeds.tolist())
    return Checked(inputs if dense else _all_dense(inputs), plan, layouts, keys)


def _check_weights(w: Weights, plan: Plan, options: Options) -> bool:
    """Whether all of them are dense."""
    dense = True
    for t, (name, shape, needed) in zip(w, plan.weights, strict=True):
        if t is None:
            if needed:
                raise ShapeError(f"{name} is missing; the {options.cell} needs it")
        elif shape is None:
            raise ShapeError(f"{name} is given, but this {options.cell} has none")
        else:
            dense &= _fits(name, t, shape)
    return dense


def _all_dense(inputs: Inputs) -> Inputs:
    x, h0, c0, weights, drop, seeds, lengths, mask, reset = inputs
    return Inputs(
        x.contiguous(),
        dense(h0),
        dense(c0),
        tuple(Weights(*map(dense, w)) for w in weights),  # pyright: ignore[reportArgumentType]
        tuple(map(dense, drop)),
        seeds,
        dense(lengths),
        dense(mask),
        dense(reset),
    )


def saved_shapes(plan: Plan, D: int, T: int, N: int, H: int) -> tuple[tuple[int, ...], ...]:
    """Of gates, c, norms; () for what is not saved."""
    Hb = -(-H // BLOCK)
    return (
        (D, T, N, plan.gates, Hb * BLOCK) if plan.gates else (),
        (D, T, N, Hb * BLOCK) if plan.c else (),
        (D, T, N, plan.norms) if plan.norms else (),
    )


def check_saved(call: Checked, saved: Saved, grads: Upstream) -> None:
    """What came from the forward call, and the gradients, which are dense."""
    (T, N, _, H, P), D, rows = call.layouts[0][:5], len(call.layouts), call.held.x.shape[:2]
    of_y = (*rows, D * (P or H))
    of_gates, of_c, of_norms = saved_shapes(call.plan, D, T, N, H)
    shapes = (of_y, of_gates, of_c, of_norms)
    for name, t, shape in zip(Saved._fields, saved, shapes, strict=True):
        if (t is None) != (not shape):
            raise ShapeError(
                f"{name} is {'missing' if t is None else 'given'}, against the options"
            )
        if not _fits(name, t, shape):
            raise ShapeError(f"{name} is not contiguous; pass it as the forward operator left it")
    of_c_n, of_h_n = (D, N, H) if call.plan.c else (), (D, N, P or H)
    of_dgates = of_gates if len(of_gates) and call.plan.gates > 1 else ()  # not of the RNN
    for name, t, shape in zip(
        Upstream._fields, grads, (of_y, of_h_n, of_c_n, of_dgates, of_c), strict=True
    ):
        _fits(name, t, shape)


def _fits(name: str, t: Maybe, shape: Sequence[int], dtype: torch.dtype = _FLOAT32) -> bool:
    """Raises where a tensor is not what the kernel expects; tells whether it is dense."""
    if t is None:
        return True
    if t.shape == shape and t.dtype is dtype and t.is_cpu:
        return t.is_contiguous() and not t.is_neg()
    raise ShapeError(
        f"{name} is {list(t.shape)} {t.dtype} on {t.device}, "
        f"the kernel expected {list(shape)} {dtype} on cpu"
    )
