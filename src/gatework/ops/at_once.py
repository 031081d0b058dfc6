"""A single step without gradients by the shortest way: checked tensors, their addresses, the kernel.

What is out of the ordinary (autocast, transforms, subclasses, other layouts, a mistake) is left to ops/recurrent.py,
which answers it with the same kernel or says what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from gatework import native
from gatework.native.recurrent import ForwardAt, Layout, Ready, WeightsAt
from gatework.ops import torch_state
from gatework.ops.call import numbers
from gatework.ops.family import Options, draws
from gatework.ops.kernels import WHY_NO_KERNELS

_FLOAT32 = torch.float32
_CPU = torch.device("cpu")
_PLACES = {name: k for k, name in enumerate(WeightsAt._fields)}
Shape = tuple[int, ...]


def step(
    x: Tensor,
    states: Sequence[Tensor],
    weights: Mapping[str, Tensor | None],
    fields: Mapping[str, str],
    shapes: Mapping[str, Shape],
    options: Options,
) -> list[Tensor] | None:
    """The states after the step, [h'] or [h', c'], or None where this way does not serve.

    Args:
        x: [N, I].
        states: none, [h] or [h, c], each [N, H].
        weights: parameters by their names in the module, looked up anew, so that a replaced one acts.
        fields: the field of `Weights` that each name is.
        shapes: what each must be.
        options: of the call, without projection.
    """
    if type(x) not in torch_state.PLAIN or x.layout is not torch.strided:
        return None
    if torch_state.is_special(x) or WHY_NO_KERNELS or x.dim() != 2 or draws(options):
        return None
    H, (N, I) = shapes["weight_hh"][1], x.shape  # noqa: E741
    places = [0] * len(_PLACES)
    for name, shape in shapes.items():
        weight = weights.get(name)
        if weight is None or not _is_usual(weight, shape):
            return None
        places[_PLACES[fields[name]]] = weight.data_ptr()
    usual = _is_usual(x, (N, shapes["weight_ih"][1])) and all(_is_usual(s, (N, H)) for s in states)
    lstm = options.cell == "lstm"
    if not usual or not N or options.precision != "float32" or len(states) not in (0, 1 + lstm):
        return None
    after = [torch.empty((N, H), dtype=_FLOAT32, device=_CPU) for _ in range(1 + lstm)]
    h0, c0 = [*(s.data_ptr() for s in states), 0, 0][:2]
    c = after[1].data_ptr() if lstm else 0
    call = ForwardAt(x=x.data_ptr(), h0=h0, c0=c0 if lstm else 0, y=after[0].data_ptr(), c_n=c)
    _ready(options, N, I, H, native.get_num_threads()).run(WeightsAt._make(places), call)
    return after


def _is_usual(t: Tensor, shape: Shape) -> bool:
    return (
        type(t) in torch_state.PLAIN
        and t.dtype is _FLOAT32
        and t.is_cpu
        and t.shape == shape
        and t.is_contiguous()
        and not t.is_neg()
    )


@lru_cache(maxsize=256)
def _ready(options: Options, N: int, I: int, H: int, threads: int) -> Ready:  # noqa: E741
    layout = Layout(1, N, I, H, 0, N * I, I, N * H, H)
    return native.ready(options.cell, layout, numbers(options, False, False), threads)
