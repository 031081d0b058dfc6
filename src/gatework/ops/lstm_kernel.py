"""Tensors in, tensors out: one call of the compiled kernels per direction, all directions of a layer into one y.

Addresses go to `native` (kernels/include/gatework/lstm.h), so everything is checked here: a wrong size must be an
error, never a read outside a tensor. Every tensor has a name for the whole call: an address of a temporary dangles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gatework import native
from gatework.errors import ShapeError
from gatework.native.lstm import Layout, backward_at, forward_at
from gatework.ops.trace import BLOCK

_POOL_FROM = 1 << 14  # floats; torch itself keeps smaller blocks
_CPU = torch.device("cpu")
Maybe = Tensor | None


class Inputs(NamedTuple):
    """The tensors of a call, in the operator's order: x, h0, c0 [D, N, H], the weights of both directions, the steps.

    lengths is [N] int64; mask and reset are bool and laid out like x without its last axis.
    """

    x: Tensor
    h0: Maybe
    c0: Maybe
    w_ih: Tensor
    w_hh: Tensor
    b_ih: Maybe
    b_hh: Maybe
    w_ih_r: Maybe
    w_hh_r: Maybe
    b_ih_r: Maybe
    b_hh_r: Maybe
    lengths: Maybe
    mask: Maybe
    reset: Maybe

    @property
    def directions(self) -> tuple[tuple[Maybe, ...], ...]:
        """w_ih, w_hh, b_ih, b_hh of each direction."""
        return (self[3:7],) if self.w_ih_r is None else (self[3:7], self[7:11])


class Wanted(NamedTuple):
    """Which gradients somebody asked for."""

    x: bool
    state: bool
    weights: bool
    bias: bool


class Gradients(NamedTuple):
    """None where a gradient is not wanted; dw_ih, dw_hh and db have one entry per direction."""

    dx: Maybe
    dh0: Maybe
    dc0: Maybe
    dw: list[tuple[Maybe, Maybe, Maybe]]


class _Sizes(NamedTuple):
    T: int
    N: int
    I: int  # noqa: E741
    H: int
    D: int
    Hb: int


def forward(
    inputs: Inputs, batch_first: bool, keep: bool
) -> tuple[Tensor, Tensor, Tensor, Maybe, Maybe]:
    """y laid out like x, h_n and c_n [D, N, H], and where `keep`: gates [D, T, N, Hb, 4, 16], c [D, T, N, Hb*16]."""
    held = Inputs(*(_dense(t) for t in inputs))  # pyright: ignore[reportArgumentType]
    s = _check(held, batch_first)
    T, N, _, H, D, Hb = s
    y = _empty(*held.x.shape[:2], D * H)  # [T, N, D*H]
    h_n, c_n = _empty(D, N, H), _empty(D, N, H)
    gates = _empty(D, T, N, Hb, 4, BLOCK) if keep else None
    c = _empty(D, T, N, Hb * BLOCK) if keep else None
    for d, (w_ih, w_hh, b_ih, b_hh) in enumerate(held.directions if N else ()):
        forward_at(
            _layout(s, batch_first, d),
            native.get_num_threads(),
            x=_at(held.x),
            h0=_at(held.h0, d * N * H),
            c0=_at(held.c0, d * N * H),
            w_ih=_at(w_ih),
            w_hh=_at(w_hh),
            b_ih=_at(b_ih),
            b_hh=_at(b_hh),
            lengths=_at(held.lengths),
            mask=_at(held.mask),
            reset=_at(held.reset),
            y=_at(y, d * H),
            h_n=_at(h_n, d * N * H),
            c_n=_at(c_n, d * N * H),
            gates=_at(gates, d * T * N * Hb * 4 * BLOCK),
            c=_at(c, d * T * N * Hb * BLOCK),
        )
    return y, h_n, c_n, gates, c


def backward(
    grads: Sequence[Maybe],
    inputs: Inputs,
    saved: tuple[Tensor, Tensor, Tensor],
    batch_first: bool,
    wanted: Wanted,
) -> Gradients:
    """The gradients of the inputs; `grads` are those of y, h_n, c_n, gates, c; `saved` is y, gates, c of `forward`."""
    held = Inputs(*(_dense(t) for t in inputs))  # pyright: ignore[reportArgumentType]
    dy, dh_n, dc_n, dgates, dc = (_dense(g) for g in grads)
    y, gates, c = saved
    s = _check(held, batch_first)
    _check_saved(s, held.x, saved, (dy, dh_n, dc_n, dgates, dc))
    T, N, _, H, D, Hb = s
    new = _empty if N else _zeros
    dx = _empty(*held.x.shape) if wanted.x else None
    dh0 = _empty(D, N, H) if wanted.state else None
    dc0 = _empty(D, N, H) if wanted.state else None
    dw: list[tuple[Maybe, Maybe, Maybe]] = []
    for d, (w_ih, w_hh, _, _) in enumerate(held.directions):
        dx_d = dx if d == 0 or dx is None else _empty(*held.x.shape)
        dw_ih = new(4 * H, s.I) if wanted.weights else None
        dw_hh = new(4 * H, H) if wanted.weights else None
        db = new(4 * H) if wanted.bias else None
        dw.append((dw_ih, dw_hh, db))
        if N == 0:
            continue
        backward_at(
            _layout(s, batch_first, d),
            native.get_num_threads(),
            x=_at(held.x),
            h0=_at(held.h0, d * N * H),
            c0=_at(held.c0, d * N * H),
            w_ih=_at(w_ih),
            w_hh=_at(w_hh),
            lengths=_at(held.lengths),
            mask=_at(held.mask),
            reset=_at(held.reset),
            y=_at(y, d * H),
            gates=_at(gates, d * T * N * Hb * 4 * BLOCK),
            c=_at(c, d * T * N * Hb * BLOCK),
            dy=_at(dy, d * H),
            dh_n=_at(dh_n, d * N * H),
            dc_n=_at(dc_n, d * N * H),
            dgates=_at(dgates, d * T * N * Hb * 4 * BLOCK),
            dc=_at(dc, d * T * N * Hb * BLOCK),
            dx=_at(dx_d),
            dh0=_at(dh0, d * N * H),
            dc0=_at(dc0, d * N * H),
            dw_ih=_at(dw_ih),
            dw_hh=_at(dw_hh),
            db=_at(db),
        )
        if dx is not None and dx_d is not None and dx_d is not dx:
            dx.add_(dx_d)
    return Gradients(dx, dh0, dc0, dw)


def _empty(*shape: int) -> Tensor:
    """Uninitialised float32; a large one comes from memory that earlier calls gave back: page faults are dear."""
    if math.prod(shape) < _POOL_FROM:
        return torch.empty(
            shape, dtype=torch.float32, device=_CPU
        )  # whatever the user's defaults are
    return torch.from_numpy(native.pooled(shape))


def _zeros(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.float32, device=_CPU)


def _dense(t: Maybe) -> Maybe:
    return t if t is None or t.is_contiguous() else t.contiguous()


def _at(t: Maybe, floats: int = 0) -> int:
    """The address of an element; 0 for what is absent or not wanted."""
    return 0 if t is None else t.data_ptr() + 4 * floats


def _layout(s: _Sizes, batch_first: bool, d: int) -> Layout:
    T, N, I, H, D, _ = s  # noqa: E741
    if batch_first:
        return Layout(T, N, I, H, I, T * I, D * H, T * D * H, 1, T, 1, T, d == 1)
    return Layout(T, N, I, H, N * I, I, N * D * H, D * H, N, 1, N, 1, d == 1)


def _check(inputs: Inputs, batch_first: bool) -> _Sizes:
    """The sizes of a call, once every tensor agrees with them."""
    x, w_hh = inputs.x, inputs.w_hh
    if x.dim() != 3 or w_hh.dim() != 2:
        raise ShapeError(
            f"the operator expected x with 3 axes and w_hh with 2, got {x.dim()} and {w_hh.dim()}"
        )
    rows, (a, b, I), H = x.shape[:2], x.shape, w_hh.shape[1]  # noqa: E741
    T, N = (b, a) if batch_first else (a, b)
    directions = inputs.directions
    _expect("x", x, x.shape)
    for w_ih, w_hh, b_ih, b_hh in directions:
        if w_ih is None or w_hh is None:
            raise ShapeError("the operator expected w_ih and w_hh of each direction, got None")
        _expect("w_ih", w_ih, (4 * H, I))
        _expect("w_hh", w_hh, (4 * H, H))
        _expect("b_ih", b_ih, (4 * H,))
        _expect("b_hh", b_hh, (4 * H,))
    D = len(directions)
    _expect("h0", inputs.h0, (D, N, H))
    _expect("c0", inputs.c0, (D, N, H))
    _expect("mask", inputs.mask, rows, torch.bool)
    _expect("reset", inputs.reset, rows, torch.bool)
    if inputs.lengths is not None:
        _expect("lengths", inputs.lengths, (N,), torch.int64)
        check_lengths(inputs.lengths, T)
    return _Sizes(T, N, I, H, D, -(-H // BLOCK))


def _check_saved(
    s: _Sizes, x: Tensor, saved: tuple[Tensor, Tensor, Tensor], grads: Sequence[Maybe]
) -> None:
    y, gates, c = saved
    dy, dh_n, dc_n, dgates, dc = grads
    wide, state = (*x.shape[:2], s.D * s.H), (s.D, s.N, s.H)
    of_gates, of_c = (s.D, s.T, s.N, s.Hb, 4, BLOCK), (s.D, s.T, s.N, s.Hb * BLOCK)
    for name, t, shape in (("y", y, wide), ("gates", gates, of_gates), ("c", c, of_c)):
        _expect(name, t, shape)
        if not t.is_contiguous():
            raise ShapeError(f"{name} is not contiguous; pass it as the forward operator left it")
    _expect("dy", dy, wide)
    _expect("dh_n", dh_n, state)
    _expect("dc_n", dc_n, state)
    _expect("dgates", dgates, of_gates)
    _expect("dc", dc, of_c)


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


def _expect(name: str, t: Maybe, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> None:
    if t is None or (t.shape == shape and t.dtype == dtype and t.device == _CPU):
        return
    raise ShapeError(
        f"{name} is {list(t.shape)} {t.dtype} on {t.device}, "
        f"the kernel expected {list(shape)} {dtype} on cpu"
    )
