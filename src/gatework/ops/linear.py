"""y = x W^T + b on the compiled kernels where they are faster and can be used, else torch's own linear.

`torch.ops.gatework.linear` and its backward are operators of their own, for compile, export and opcheck; plain eager
calls go around the dispatcher through one autograd.Function. A backward that must itself be differentiable is written
in torch operations. What is not float32 on the CPU, and calls too small to pay, never get here: see `why_torch`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.functional import linear as torch_linear

from gatework import native
from gatework.errors import ShapeError
from gatework.native.linear import Layout, backward_at, forward_at
from gatework.ops import torch_state
from gatework.ops.kernels import WHY_NO_KERNELS

Maybe = Tensor | None

_POOL_FROM = 1 << 16  # floats; the C library keeps smaller blocks
# Multiply-adds below which a call from Python costs more than the faster product saves; measured: docs/why/linear.md
WORTH = 1 << 22
FEWEST_FEATURES = 8
_CPU = torch.device("cpu")


def linear(x: Tensor, weight: Tensor, bias: Maybe = None) -> Tensor:
    """y = x W^T + b, as torch.nn.functional.linear.

    Args:
        x: [..., K].
        weight: [V, K].
        bias: [V] or None.

    Returns:
        [..., V].

    Raises:
        RuntimeError: what torch raises where shapes or dtypes do not fit.

    Example:
        >>> import torch
        >>> from gatework.ops.linear import linear
        >>> linear(torch.randn(5, 40, 64), torch.randn(100, 64)).shape
        torch.Size([5, 40, 100])
    """
    if why_torch(x, weight, bias):
        return torch_linear(x, weight, bias)
    if torch_state.is_watched():
        return forward_op(x, weight, bias)
    if torch.is_grad_enabled() and _any_requires_grad(x, weight, bias):
        return _Eager.apply(x, weight, bias)  # pyright: ignore[reportReturnType]
    return _forward(x, weight, bias)


def why_torch(x: Tensor, weight: Tensor, bias: Maybe = None) -> str:
    """Why torch's own linear computes this call, as a sentence; empty where the kernels do."""
    work = x.numel() * weight.shape[0] if weight.dim() == 2 else 0
    if work < WORTH:
        return "a call this small costs less in torch"
    if weight.shape[1] < FEWEST_FEATURES:
        return "with so few features torch is as fast"
    for t in (x, weight) if bias is None else (x, weight, bias):
        if t.dtype != torch.float32 or t.device.type != "cpu" or t.layout != torch.strided:
            return "the compiled kernels take dense float32 on the CPU"
        if type(t) not in torch_state.PLAIN and not torch_state.is_traced(t):
            return f"{type(t).__name__} is a tensor subclass, whose memory the kernels don't know"
    if x.dim() == 0 or x.shape[-1] != weight.shape[1]:
        return "the sizes do not fit, and torch says how"
    if bias is not None and bias.shape != (weight.shape[0],):
        return "the bias is not one number per output, and torch knows what to do"
    return _why_not_now(x)


def _why_not_now(x: Tensor) -> str:
    """What torch is doing around the call that the kernels cannot take part in."""
    if torch_state.is_transformed():
        return "a torch.func transform (vmap, grad, jvp, ...) is active"
    if forward_ad._current_level >= 0:  # pyright: ignore[reportPrivateUsage]
        return "forward-mode differentiation is active"
    if torch_state.autocast_is_on(x):
        return "autocast chooses the dtype"
    return WHY_NO_KERNELS


def _any_requires_grad(x: Tensor, weight: Tensor, bias: Maybe) -> bool:
    return x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)


def _forward(x: Tensor, weight: Tensor, bias: Maybe) -> Tensor:
    """y; every tensor is known to fit."""
    x, row = _rows_of(x)
    weight, bias = weight.contiguous(), None if bias is None else bias.contiguous()
    V, K = weight.shape
    y = _empty(*x.shape[:-1], V)
    forward_at(
        Layout(x.numel() // K, K, V, row, V),
        native.get_num_threads(),
        x=x.data_ptr(),
        w=weight.data_ptr(),
        b=0 if bias is None else bias.data_ptr(),
        y=y.data_ptr(),
    )
    return y


def _backward(
    dy: Tensor, x: Tensor, weight: Tensor, wanted: Sequence[bool]
) -> tuple[Maybe, Maybe, Maybe]:
    """dx, dw and db, None where not wanted; every tensor is known to fit."""
    x, row = _rows_of(x)
    weight, dy = weight.contiguous(), dy.contiguous()
    V, K = weight.shape
    dx = _empty(*x.shape) if wanted[0] else None
    dw = _empty(V, K) if wanted[1] else None
    db = _empty(V) if wanted[2] else None
    backward_at(
        Layout(x.numel() // K, K, V, row, V),
        native.get_num_threads(),
        x=x.data_ptr(),
        w=weight.data_ptr(),
        dy=dy.data_ptr(),
        dx=0 if dx is None else dx.data_ptr(),
        dw=0 if dw is None else dw.data_ptr(),
        db=0 if db is None else db.data_ptr(),
    )
    return dx, dw, db


def _rows_of(x: Tensor) -> tuple[Tensor, int]:
    """x and the floats from one of its rows to the next; a matrix whose rows lie apart needs no copy."""
    x = x.resolve_neg()
    if x.is_contiguous():
        return x, x.shape[-1]
    if x.dim() == 2 and x.stride(1) == 1 and x.stride(0) >= x.shape[1]:
        return x, x.stride(0)
    return x.contiguous(), x.shape[-1]


def _check(x: Tensor, weight: Tensor, bias: Maybe) -> None:
    """Who calls the operators themselves: a wrong size must never be a read outside a tensor."""
    if x.dim() == 0 or weight.dim() != 2 or 0 in weight.shape:
        raise ShapeError(
            f"the operator expected x [..., K] and a weight [V, K] that is not empty, got {list(x.shape)} "
            f"and {list(weight.shape)}"
        )
    V, K = weight.shape
    _expect("x", x, (*x.shape[:-1], K))
    _expect("weight", weight, (V, K))
    if bias is not None:
        _expect("bias", bias, (V,))


def _expect(name: str, t: Tensor, shape: Sequence[int]) -> None:
    if t.shape == shape and t.dtype == torch.float32 and t.device == _CPU:
        return
    raise ShapeError(
        f"{name} is {list(t.shape)} {t.dtype} on {t.device}, "
        f"the kernel expected {list(shape)} torch.float32 on cpu"
    )


def _empty(*shape: int) -> Tensor:
    """Uninitialised float32; a large one comes from memory that earlier calls gave back: page faults are dear."""
    if math.prod(shape) < _POOL_FROM:
        return torch.empty(shape, dtype=torch.float32, device=_CPU)
    return torch.from_numpy(native.pooled(shape))


def _checked_forward(x: Tensor, weight: Tensor, bias: Maybe) -> Tensor:
    _check(x, weight, bias)
    return _forward(x, weight, bias)


def _checked_backward(
    dy: Tensor, x: Tensor, weight: Tensor, wanted: Sequence[bool]
) -> tuple[Tensor, ...]:
    _check(x, weight, None)
    _expect("dy", dy, (*x.shape[:-1], weight.shape[0]))
    found = _backward(dy, x, weight, wanted)
    return tuple(_empty(0) if g is None else g for g in found)


forward_op = torch.library.custom_op(
    "gatework::linear",
    _checked_forward,
    mutates_args=(),
    schema="(Tensor x, Tensor weight, Tensor? bias) -> Tensor",
    device_types="cpu",
)
backward_op = torch.library.custom_op(
    "gatework::linear_backward",
    _checked_backward,
    mutates_args=(),
    schema="(Tensor dy, Tensor x, Tensor weight, bool[] wanted) -> (Tensor, Tensor, Tensor)",
    device_types="cpu",
)


@forward_op.register_fake
def _(x: Tensor, weight: Tensor, bias: Maybe) -> Tensor:
    return x.new_empty((*x.shape[:-1], weight.shape[0]))


@backward_op.register_fake
def _(dy: Tensor, x: Tensor, weight: Tensor, wanted: Sequence[bool]) -> tuple[Tensor, ...]:
    shapes = (x.shape, weight.shape, weight.shape[:1])
    return tuple(
        x.new_empty(shape if want else (0,)) for shape, want in zip(shapes, wanted, strict=True)
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(inputs[0], inputs[1])


def _gradients(ctx: Any, *grads: Maybe) -> tuple[Maybe, ...]:
    """One gradient per argument of the operator."""
    dy = grads[0]
    if dy is None:
        return None, None, None
    x, weight = ctx.saved_tensors
    wanted = ctx.needs_input_grad[:3]
    if torch.is_grad_enabled() or torch_state.is_transformed():
        return _differentiable(dy, x, weight, wanted)
    run = backward_op if torch_state.is_watched() else _backward
    found = run(dy, x, weight, list(wanted))
    return tuple(g if want else None for g, want in zip(found, wanted, strict=True))


def _differentiable(
    dy: Tensor, x: Tensor, weight: Tensor, wanted: Sequence[bool]
) -> tuple[Maybe, ...]:
    """The same gradients in torch operations, which can be differentiated again."""
    rows, dy_rows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])  # [M, K], [M, V]
    dx = dy.matmul(weight) if wanted[0] else None
    dw = dy_rows.t().mm(rows) if wanted[1] else None
    return dx, dw, dy_rows.sum(0) if wanted[2] else None


class _Eager(torch.autograd.Function):
    """The operator's functions without the dispatcher."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Tensor:
        y = _forward(*args)
        _setup(ctx, args, y)
        return y

    backward = staticmethod(_gradients)


forward_op.register_autograd(_gradients, setup_context=_setup)
