"""One layer of the family, all directions, by the path that fits the call; the equations stand in reference/.

`layer` is what `layers` calls. The kernels' operators are in operator.py, the composed scan in composed.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gatework.errors import OptionError, ShapeError
from gatework.ops import composed, kernel, opaque, operator, path, torch_state
from gatework.ops.call import Inputs, check_lengths
from gatework.ops.family import Options, Weights, draws
from gatework.ops.trace import Carried, LayerResult, LayerTrace, from_saved


class _Steps(NamedTuple):
    """What restricts the steps, laid out like the input."""

    lengths: Tensor | None
    mask: Tensor | None
    reset: Tensor | None


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
    batch_first: bool = False,
    trace: bool = False,
) -> LayerResult:
    """Runs one layer with its D = len(weights) directions; the second direction goes backwards in time.

    Args:
        x: [T, N, I], or [N, T, I] where batch_first.
        h0, c0: [D, N, R] and [D, N, H]; None is the learned state, or zeros. c0 belongs to the LSTM alone.
        weights: one `Weights` per direction.
        options: the cell and what is switched on.
        drop: one factor for h per direction, [N, R] or per gate [N, G, R], already scaled; it acts in the products with
            U only. None is none.
        seeds: [D] int64 on the CPU, wanted where `options.draws`.
        lengths: [N] integers from 0 to T, on any device.
        mask, reset: bool, laid out like x without its last axis.
        trace: also return every gate and state, [D, T, N, H] whatever the layout of x.

    Returns:
        `LayerResult`: y [T, N, D*R] or [N, T, D*R], 0 at steps that did not happen; h_n, c_n (None for GRU and RNN);
        the trace or None.

    Raises:
        ShapeError: where sizes, dtypes or lengths do not fit, or seeds are wanted and missing.

    Example:
        >>> import torch
        >>> from gatework.ops.family import Weights, plain
        >>> w = Weights(torch.randn(15, 3), torch.randn(15, 5))
        >>> layer(torch.randn(7, 2, 3), None, None, [w], plain("gru"), mask=torch.ones(7, 2) > 0).y.shape
        torch.Size([7, 2, 5])
    """
    if draws(options) and (seeds is None or seeds.shape != (len(weights),)):
        got = "None" if seeds is None else list(seeds.shape)
        raise ShapeError(f"seeds is {got}; zoneout and dropout draw from one seed per direction")
    steps = _Steps(lengths, mask, reset)
    _check_precision((x, h0, c0), weights, options)
    way = _way(x, h0, c0, weights, options, drop, steps, trace)
    path.announce(way)
    if way.name == "native":
        lengths = None if lengths is None else lengths.to("cpu", torch.int64)
        # contiguous here rather than at the kernel, so that the copy is what backward keeps
        inputs = Inputs(
            x.resolve_neg().contiguous(),
            h0,
            c0,
            tuple(weights),
            tuple(drop or ()),
            seeds,
            lengths,
            mask,
            reset,
        )
        if path.rounds(x, options):
            return _rounded(inputs, options, batch_first, trace)
        return _native(inputs, options, batch_first, trace)
    if way.name == "cudnn":
        return _cudnn(x, h0, c0, weights, options, batch_first)
    if _goes_into_the_graph(x, drop):
        lengths = None if lengths is None else lengths.to(x.device)
        inputs = Inputs(x, h0, c0, tuple(weights), tuple(drop or ()), seeds, lengths, mask, reset)
        with _in_weight_dtype(x):
            return _native(inputs, options, batch_first, trace)
    x_time, mask, reset = _time_first((x, mask, reset), batch_first)
    assert x_time is not None
    if lengths is not None:
        if torch_state.has_values(lengths):
            check_lengths(lengths, x_time.shape[0])
        lengths = lengths.to(x.device)
    with _in_weight_dtype(x):
        y, h_n, c_n, every = composed.layer(
            x_time,
            h0,
            c0,
            weights,
            options,
            drop=drop,
            seeds=seeds,
            lengths=lengths,
            mask=mask,
            reset=reset,
        )
    y = y.transpose(0, 1) if batch_first else y
    return LayerResult(y, h_n, c_n, every if trace else None)


def _goes_into_the_graph(x: Tensor, drop: Sequence[Tensor | None] | None) -> bool:
    """A composed call becomes one node of a compiled graph rather than T steps (ops/opaque.py)."""
    if not torch_state.is_compiled() or opaque.has_kernel(x) or x.is_meta:
        return False
    return not any(f is not None and f.requires_grad for f in drop or ())


def _check_precision(
    tensors: Sequence[Tensor | None], weights: Sequence[Weights], options: Options
) -> None:
    """Weights that are rounded for inference have no backward pass."""
    if not options.precision.endswith("_weights") or not torch.is_grad_enabled():
        return
    every = [*tensors, *(t for w in weights for t in w)]
    if any(t is not None and t.requires_grad for t in every):
        raise OptionError(
            f"precision={options.precision!r} is for inference and has no backward pass; "
            'call it under torch.no_grad(), or use "bfloat16", which trains'
        )


def choose(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Weights],
    options: Options,
    *,
    drop: Sequence[Tensor | None] | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    reset: Tensor | None = None,
    batch_first: bool = False,
    trace: bool = False,
) -> path.Path:
    """The path that `layer` takes with these arguments; of the native one the reason also says how threads share it."""
    steps = _Steps(lengths, mask, reset)
    way = _way(x, h0, c0, weights, options, drop, steps, trace)
    if way.name != "native":
        return way
    inputs = Inputs(x, h0, c0, tuple(weights))
    shared = kernel.sharing(inputs, _as_run(x, options), batch_first)
    return way._replace(reason=f"{way.reason}; {shared}")


def _way(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Weights],
    options: Options,
    drop: Sequence[Tensor | None] | None,
    steps: _Steps,
    trace: bool,
) -> path.Path:
    """Without the words about threads: this is asked at every call."""
    tensors = [x, h0, c0]
    for w in weights:
        tensors.extend(w)
    return path.choose(
        tensors,
        weights[0],
        options,
        drop=drop or (),
        beyond_torch=trace or any(t is not None for t in steps),
    )


def _rounded(inputs: Inputs, options: Options, batch_first: bool, trace: bool) -> LayerResult:
    """Products in bfloat16. The kernels take and give float32, so bfloat16 tensors are widened, which is exact, and the
    outputs of bfloat16 tensors rounded; a trace stays float32. What autocast wants is rounded by the layers."""
    x, h0, c0, weights, drop, *rest = inputs
    options = _as_run(x, options)
    narrow = x.dtype == torch.bfloat16
    if narrow:
        wide = tuple(Weights(*map(_wide, w)) for w in weights)  # pyright: ignore[reportArgumentType]
        inputs = Inputs(x.float(), _wide(h0), _wide(c0), wide, tuple(map(_wide, drop)), *rest)
    with _in_weight_dtype(x):
        y, h_n, c_n, every = _native(inputs, options, batch_first, trace)
    if not narrow:
        return LayerResult(y, h_n, c_n, every)
    c_n = None if c_n is None else c_n.bfloat16()
    return LayerResult(y.bfloat16(), h_n.bfloat16(), c_n, every)


def _as_run(x: Tensor, options: Options) -> Options:
    """With the precision that the tensors or autocast ask for, unless the layer was given one."""
    if options.precision == "float32" and path.rounds(x, options):
        return options._replace(precision="bfloat16")
    return options


def _wide(t: Tensor | None) -> Tensor | None:
    return None if t is None else t.float()


def _native(inputs: Inputs, options: Options, batch_first: bool, trace: bool) -> LayerResult:
    y, h_n, c_n, gates, c, _ = operator.call(inputs, options, batch_first, trace)
    if not trace:
        return LayerResult(y, h_n, c_n, None)
    y_time, mask, reset = _time_first((y, inputs.mask, inputs.reset), batch_first)
    assert y_time is not None
    happens = composed.steps_that_happen(y_time.shape[0], inputs.lengths, mask)
    return LayerResult(y, h_n, c_n, _traced(inputs, options, y_time, gates, c, happens, reset))


def _traced(
    inputs: Inputs,
    options: Options,
    y: Tensor,
    gates: Tensor | None,
    c: Tensor | None,
    happens: Tensor | None,
    reset: Tensor | None,
) -> LayerTrace:
    """The trace from what the kernels saved; y is [T, N, D*R]."""
    starts = [
        composed.start(y, inputs.h0, inputs.c0, w, options, d) for d, w in enumerate(inputs.weights)
    ]
    values = y.unflatten(2, (len(starts), -1)).permute(2, 0, 1, 3)  # [D, T, N, R]
    h = Carried(values, [s.h for s in starts], [w.learned_h for w in inputs.weights])
    of_c = None
    if c is not None and options.cell == "lstm":
        cs = [s.c for s in starts if s.c is not None]
        of_c = Carried(c[..., : cs[0].shape[1]], cs, [w.learned_c for w in inputs.weights])
    return from_saved(options, h, of_c, gates, happens, reset)


def _cudnn(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Weights],
    options: Options,
    batch_first: bool,
) -> LayerResult:
    """torch's own operator, one layer at a time. The machines this was written on have no CUDA device: not tested."""
    N, R = x.shape[0 if batch_first else 1], weights[0].w_hh.shape[1]
    h0 = x.new_zeros(len(weights), N, R) if h0 is None else h0
    flat = [t for w in weights for t in w if t is not None]
    has_bias, train = weights[0].b_ih is not None, torch.is_grad_enabled()
    rest: Any = (flat, has_bias, 1, 0.0, train, len(weights) == 2, batch_first)
    if options.cell == "lstm":
        H = weights[0].w_ih.shape[0] // 4
        c0 = x.new_zeros(len(weights), N, H) if c0 is None else c0
        return LayerResult(*torch._VF.lstm(x, (h0, c0), *rest), None)  # type: ignore[attr-defined]
    name = "gru" if options.cell == "gru" else f"rnn_{options.activations[0].name}"
    return LayerResult(*getattr(torch._VF, name)(x, h0, *rest), None, None)  # type: ignore[attr-defined]


def _in_weight_dtype(x: Tensor) -> AbstractContextManager[object]:
    """Autocast is left aside: layers cast the input to the weights' dtype and everything is computed in it."""
    if torch_state.autocast_is_on(x):
        return torch.autocast(x.device.type, enabled=False)
    return nullcontext()


def _time_first(tensors: Sequence[Tensor | None], batch_first: bool) -> tuple[Tensor | None, ...]:
    if not batch_first:
        return tuple(tensors)
    return tuple(None if t is None else t.transpose(0, 1) for t in tensors)
