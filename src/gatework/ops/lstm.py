"""One LSTM layer, all directions, by the path that fits the call; the equations stand in reference/lstm.py.

`lstm` is what `layers` calls. The kernels' operator is in lstm_operator.py, the composed scan in composed.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from gatework.ops import composed, lstm_operator, path, torch_state
from gatework.ops.composed import Weights
from gatework.ops.lstm_kernel import Inputs, check_lengths
from gatework.ops.trace import LayerResult, from_saved


def lstm(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Weights],
    *,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    reset: Tensor | None = None,
    batch_first: bool = False,
    trace: bool = False,
) -> LayerResult:
    """Runs one layer with its D = len(weights) directions; the second direction goes backwards in time.

    Args:
        x: [T, N, I], or [N, T, I] where batch_first.
        h0, c0: [D, N, H] (h0: [D, N, P] with a projection); None is zeros.
        weights: one `Weights` per direction.
        lengths: [N] integers from 0 to T, on any device.
        mask, reset: bool, laid out like x without its last axis.
        trace: also return every gate and state, [D, T, N, H] whatever the layout of x.

    Returns:
        `LayerResult`: y [T, N, D*H] or [N, T, D*H], 0 at steps that did not happen; h_n, c_n; the trace or None.

    Raises:
        ShapeError: where sizes, dtypes or lengths do not fit.

    Example:
        >>> import torch
        >>> from gatework.ops.lstm import Weights, lstm
        >>> w = Weights(torch.randn(20, 3), torch.randn(20, 5))
        >>> lstm(torch.randn(7, 2, 3), None, None, [w], lengths=torch.tensor([7, 4])).y.shape
        torch.Size([7, 2, 5])
    """
    way = choose(x, h0, c0, weights, lengths, mask, reset, trace)
    path.announce(way)
    if way.name == "native":
        return _native(x, h0, c0, weights, lengths, mask, reset, batch_first, trace)
    h0, c0 = _states(x, h0, c0, weights, batch_first)
    if way.name == "cudnn":
        return _cudnn(x, h0, c0, weights, batch_first)
    return _composed(x, h0, c0, weights, lengths, mask, reset, batch_first, trace)


def choose(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Weights],
    lengths: Tensor | None,
    mask: Tensor | None,
    reset: Tensor | None,
    trace: bool,
) -> path.Path:
    """The path that `lstm` takes with these arguments."""
    beyond_torch = trace or not (lengths is None and mask is None and reset is None)
    tensors = [x, h0, c0]
    for w in weights:
        tensors.extend(w)
    return path.choose(tensors, projected=weights[0].w_hr is not None, beyond_torch=beyond_torch)


def _native(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Weights],
    lengths: Tensor | None,
    mask: Tensor | None,
    reset: Tensor | None,
    batch_first: bool,
    trace: bool,
) -> LayerResult:
    if lengths is not None:
        lengths = lengths.to("cpu", torch.int64)
    second = weights[1][:4] if len(weights) == 2 else (None, None, None, None)
    x = x.contiguous()  # here rather than at the kernel, so that the copy is what backward keeps
    inputs = Inputs(x, h0, c0, *weights[0][:4], *second, lengths, mask, reset)
    keep = trace or (
        torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs)
    )
    y, h_n, c_n, gates, c = lstm_operator.call(inputs, batch_first, keep)
    if not trace:
        return LayerResult(y, h_n, c_n, None)
    h0, c0 = _states(x, h0, c0, weights, batch_first)
    y_time, mask, reset = _time_first((y, mask, reset), batch_first)
    assert y_time is not None
    assert gates is not None and c is not None
    happens = composed.steps_that_happen(y_time.shape[0], lengths, mask)
    return LayerResult(y, h_n, c_n, from_saved(y_time, h0, c0, gates, c, happens, reset))


def _composed(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weights: Sequence[Weights],
    lengths: Tensor | None,
    mask: Tensor | None,
    reset: Tensor | None,
    batch_first: bool,
    trace: bool,
) -> LayerResult:
    x_time, mask, reset = _time_first((x, mask, reset), batch_first)
    assert x_time is not None
    if lengths is not None:
        if torch_state.has_values(lengths):
            check_lengths(lengths, x_time.shape[0])
        lengths = lengths.to(x.device)
    with _in_weight_dtype(x):
        y, h_n, c_n, every = composed.lstm(
            x_time, h0, c0, weights, lengths=lengths, mask=mask, reset=reset
        )
    y = y.transpose(0, 1) if batch_first else y
    return LayerResult(y, h_n, c_n, every if trace else None)


def _in_weight_dtype(x: Tensor) -> AbstractContextManager[object]:
    """Autocast is left aside: layers cast the input to the weights' dtype and everything is computed in it."""
    if torch_state.autocast_is_on(x):
        return torch.autocast(x.device.type, enabled=False)
    return nullcontext()


def _cudnn(
    x: Tensor, h0: Tensor, c0: Tensor, weights: Sequence[Weights], batch_first: bool
) -> LayerResult:
    """torch's own operator, one layer at a time. The machines this was written on have no CUDA device: not tested."""
    flat = [t for w in weights for t in w if t is not None]
    has_bias = weights[0].b_ih is not None
    y, h_n, c_n = torch._VF.lstm(  # type: ignore[attr-defined]
        x, (h0, c0), flat, has_bias, 1, 0.0, torch.is_grad_enabled(), len(weights) == 2, batch_first
    )
    return LayerResult(y, h_n, c_n, None)


def _states(
    x: Tensor, h0: Tensor | None, c0: Tensor | None, weights: Sequence[Weights], batch_first: bool
) -> tuple[Tensor, Tensor]:
    """h0 and c0 with zeros where they are None."""
    D, N = len(weights), x.shape[0 if batch_first else 1]
    H, P = weights[0].w_hh.shape[0] // 4, weights[0].w_hh.shape[1]
    h0 = x.new_zeros(D, N, P) if h0 is None else h0
    return h0, x.new_zeros(D, N, H) if c0 is None else c0


def _time_first(tensors: Sequence[Tensor | None], batch_first: bool) -> tuple[Tensor | None, ...]:
    if not batch_first:
        return tuple(tensors)
    return tuple(None if t is None else t.transpose(0, 1) for t in tensors)
