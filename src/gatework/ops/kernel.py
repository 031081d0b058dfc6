"""Tensors in, tensors out: one call of the compiled kernels per direction, all directions of a layer into one y.

Addresses go to `native` (kernels/include/gatework/recurrent.h), so everything is checked before, in call.py: a wrong
size must be an error, never a read outside a tensor. Every tensor has a name for the whole call: an address of a
temporary dangles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gatework import native
from gatework.native.recurrent import BackwardAt, ForwardAt, WeightsAt
from gatework.ops.call import (
    Inputs,
    Outputs,
    Saved,
    Upstream,
    check,
    check_saved,
    dense,
    layouts_of,
    numbers,
    numbers_of,
    saved_shapes,
)
from gatework.ops.family import Options

_POOL_FROM = 1 << 14  # floats; torch itself keeps smaller blocks
_CPU = torch.device("cpu")
_FLOAT32 = torch.float32
Maybe = Tensor | None


def forward(inputs: Inputs, options: Options, batch_first: bool, keep: bool) -> Outputs:
    """Runs a layer; what backward or a trace reads is kept where `keep`.

    Raises:
        ShapeError: a tensor has the wrong size, dtype or device, is missing, or is one that the cell does not have.
        KernelError: the library refused the call.
    """
    call = check(inputs, options, batch_first)
    held, plan, layouts, _ = call
    T, N, _, H, P = layouts[0][:5]
    D, R, cell, x = len(layouts), P or H, options.cell, held.x
    y = _empty((x.shape[0], x.shape[1], D * R))  # [T, N, D*R]
    h_n, c_n = _empty((D, N, R)), _empty((D, N, H)) if plan.c else None
    gates = c = norms = None
    if keep:
        gates, c, norms = (
            _empty(shape) if shape else None for shape in saved_shapes(plan, D, T, N, H)
        )
    threads = native.get_num_threads()
    for d in range(D if N else 0):
        native.forward_at(
            cell,
            layouts[d],
            numbers_of(call, options, d),
            threads,
            WeightsAt._make(_each_at(held.weights[d])),
            ForwardAt(
                *_inputs_at(held, d),
                y.data_ptr() + 4 * d * R,
                h_n.data_ptr() + 4 * d * N * R,
                _at(c_n, d),
                _at(gates, d),
                _at(c, d),
                _at(norms, d),
            ),
        )
    return Outputs(y, h_n, c_n, gates, c, norms)


def backward(
    grads: Upstream,
    inputs: Inputs,
    saved: Saved | None,
    options: Options,
    batch_first: bool,
    wanted: Sequence[bool],
) -> list[Maybe]:
    """The gradients of x, h0, c0 and the twelve weights of each direction, those that are `wanted`, else None.

    saved: what `forward` kept with the same inputs; None runs it again.

    Raises:
        ShapeError, KernelError: as `forward`; also where `saved` or `grads` do not fit the inputs.
    """
    call = check(inputs, options, batch_first)
    held, _, layouts, _ = call
    if saved is None:
        y, _, _, gates, c, norms = forward(held, options, batch_first, True)
        saved = Saved(y, gates, c, norms)
    N, R, cell = layouts[0].N, layouts[0].P or layouts[0].H, options.cell
    dy, dh_n, dc_n, dgates, dc = grads = Upstream(*map(dense, grads))
    y, gates, c, norms = saved
    check_saved(call, saved, grads)
    dx, dh0, dc0 = found = _gradients_of(held[:3], wanted[:3], N)
    threads = native.get_num_threads()
    for d, w in enumerate(held.weights):
        asked = wanted[3 + 12 * d : 15 + 12 * d]
        own = _gradients_of(w, asked, N)
        alike = (
            cell != "gru" and own[3] is not None
        )  # the two biases of LSTM and RNN have one gradient
        if alike:
            own[2:4] = own[3], None
        if N:
            native.backward_at(
                cell,
                layouts[d],
                numbers_of(call, options, d, add_dx=d > 0),
                threads,
                WeightsAt._make(_each_at(w)),
                BackwardAt(
                    *_inputs_at(held, d),
                    y.data_ptr() + 4 * d * R,
                    _at(gates, d),
                    _at(c, d),
                    _at(norms, d),
                    0 if dy is None else dy.data_ptr() + 4 * d * R,
                    _at(dh_n, d),
                    _at(dc_n, d),
                    _at(dgates, d),
                    _at(dc, d),
                    0 if dx is None else dx.data_ptr(),
                    _at(dh0, d),
                    _at(dc0, d),
                ),
                WeightsAt._make(_each_at(own)),
            )
        if alike:
            own[3] = own[2]
            own[2] = (
                own[3].clone() if asked[2] and own[3] is not None else None
            )  # memory of its own
        found += own
    return found


def sharing(inputs: Inputs, options: Options, batch_first: bool) -> str:
    """How the threads share such a call, in words; the sizes are trusted."""
    layout = layouts_of(inputs, options, batch_first)[0]
    threads = native.get_num_threads()
    groups, parts = native.split(options.cell, layout, numbers(options, False, False), threads)
    if groups > 1 and parts > 1:
        return f"{groups * parts} threads, each {parts} with their own rows share the units of each step"
    if groups > 1:
        return f"{groups} threads, each with its own rows"
    if parts > 1:
        return f"{parts} threads share the units of each step"
    if threads == 1:
        return "one thread: no more are allowed"
    return "one thread: there is too little to share"


def _empty(shape: Sequence[int]) -> Tensor:
    """Uninitialised float32; a large one comes from memory that earlier calls gave back: page faults are dear."""
    if math.prod(shape) < _POOL_FROM:
        return torch.empty(shape, dtype=_FLOAT32, device=_CPU)  # whatever the user's defaults are
    return torch.from_numpy(native.pooled(tuple(shape)))


def _at(t: Maybe, d: int) -> int:
    """The address of a direction's share of [D, ...]; 0 for what is absent or not wanted."""
    if t is None:
        return 0
    return t.data_ptr() + 4 * d * t.stride(0) if d else t.data_ptr()


def _each_at(tensors: Sequence[Maybe]) -> list[int]:
    return [0 if t is None else t.data_ptr() for t in tensors]


def _inputs_at(held: Inputs, d: int) -> tuple[int, int, int, int, int, int, int]:
    """Where the inputs of a direction lie, in the order with which both passes begin."""
    x, h0, c0, _, drop, _, lengths, mask, reset = held
    return (
        0 if lengths is None else lengths.data_ptr(),
        0 if mask is None else mask.data_ptr(),
        0 if reset is None else reset.data_ptr(),
        x.data_ptr(),
        _at(h0, d),
        _at(c0, d),
        _at(drop[d], 0) if drop else 0,
    )


def _gradients_of(tensors: Sequence[Maybe], wanted: Sequence[bool], N: int) -> list[Maybe]:
    """Where gradients go; without a row they are 0 and no kernel runs."""
    own: list[Maybe] = [None] * len(tensors)
    for k, t in enumerate(tensors):
        if t is not None and wanted[k]:
            small = t.numel() < _POOL_FROM and N
            own[k] = torch.empty_like(t) if small else _empty(t.shape) if N else torch.zeros_like(t)
    return own
