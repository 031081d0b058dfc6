"""What the operators compute where there is no kernel (float64, other devices): the composed scan, run inside them.

The compiler then sees one node in place of T steps, so that compile time and the graph do not grow with T, and T may be
dynamic. Backward runs the scan again. Calls that nobody compiles take ops/composed.py without this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gatework.ops import composed, torch_state
from gatework.ops.call import Inputs, Outputs, Upstream, check_lengths
from gatework.ops.family import Options, Weights
from gatework.ops.kernels import WHY_NO_KERNELS
from gatework.ops.trace import to_saved

Maybe = Tensor | None


def has_kernel(x: Tensor) -> bool:
    """The compiled kernels take this input; bfloat16 has been widened before."""
    return x.dtype == torch.float32 and x.device.type == "cpu" and not WHY_NO_KERNELS


def forward(inputs: Inputs, options: Options, batch_first: bool, keep: bool) -> Outputs:
    """What `kernel.forward` gives, with memory of its own, without norms, and for the RNN without gates.

    Raises:
        ShapeError: a length is negative or longer than the input.
    """
    if inputs.lengths is not None:
        check_lengths(inputs.lengths, inputs.x.shape[1 if batch_first else 0])
    with torch.no_grad():
        y, h_n, c_n, gates, c, _ = through_composed(inputs, options, batch_first)
    if not keep:
        gates = c = None
    return Outputs(y.contiguous(), h_n, c_n, gates, c, None)


def backward(
    grads: Upstream,
    inputs: Inputs,
    options: Options,
    batch_first: bool,
    wanted: Sequence[bool],
) -> list[Maybe]:
    """The gradients of x, h0, c0 and the twelve weights of each direction, those that are `wanted`, else None."""
    tensors = [*inputs[:3], *(t for w in inputs.weights for t in w)]
    with torch_state.autograd_inside_an_operator():
        leaves: list[Any] = [
            None if t is None else t.detach().requires_grad_(want)
            for t, want in zip(tensors, wanted, strict=False)
        ]
        own = tuple(Weights(*leaves[k : k + 12]) for k in range(3, len(leaves), 12))
        again = inputs._replace(x=leaves[0], h0=leaves[1], c0=leaves[2], weights=own)
        outputs = through_composed(again, options, batch_first)
        asked = [t for t in leaves if t is not None and t.requires_grad]
        found = iter(pulled_back(outputs, grads, asked, create_graph=False))
    gradients: list[Maybe] = []
    for t in leaves:
        if t is None or not t.requires_grad:
            gradients.append(None)
            continue
        g = next(found)
        gradients.append(torch.zeros_like(t) if g is None else _own(g))
    return gradients


def _own(g: Tensor) -> Tensor:
    """A gradient may be a view, or shared by both biases; what an operator returns must not."""
    return g.clone(memory_format=torch.contiguous_format)


def through_composed(inputs: Inputs, options: Options, batch_first: bool) -> Outputs:
    """What the operator gives with keep=True, by torch operations; no norms."""
    x, h0, c0, weights, drop, seeds, lengths, mask, reset = inputs
    if batch_first:
        x = x.transpose(0, 1)
        mask, reset = (None if t is None else t.transpose(0, 1) for t in (mask, reset))
    y, h_n, c_n, trace = composed.layer(
        x,
        h0,
        c0,
        weights,
        options,
        drop=drop or None,
        seeds=seeds,
        lengths=lengths,
        mask=mask,
        reset=reset,
    )
    assert trace is not None
    y = y.transpose(0, 1) if batch_first else y
    return Outputs(y, h_n, c_n, *to_saved(trace, options), None)


def pulled_back(
    outputs: Outputs, grads: Upstream, leaves: Sequence[Tensor], *, create_graph: bool
) -> Sequence[Maybe]:
    """The gradients of the leaves for those of y, h_n, c_n, gates and c."""
    sent = zip((outputs.y, *outputs[1:5]), grads, strict=True)
    pairs = [(o, g) for o, g in sent if o is not None and g is not None]
    return torch.autograd.grad(
        [o for o, _ in pairs],
        leaves,
        [g for _, g in pairs],
        create_graph=create_graph,
        allow_unused=True,
    )
