"""Names and shapes of the family's parameters, torch's where torch has them; first values; collection for a call."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gatework.layers.check import check_weight
from gatework.ops.family import Options, Weights, gates
from gatework.weights.names import FIELDS

Shapes = dict[
    str, tuple[int, ...]
]  # of one direction, in the order of the state_dict, names without suffix


def direction_shapes(
    options: Options, input_size: int, H: int, *, bias: bool, peephole: bool, learned_state: bool
) -> Shapes:
    """Every parameter of one direction; what is switched off does not exist."""
    lstm, rnn, normed = options.cell == "lstm", options.cell == "rnn", options.layer_norm
    all_gates, R = (gates(options) * H,), options.P or H
    shapes: Shapes = {
        "weight_ih": (gates(options) * H, input_size),
        "weight_hh": (gates(options) * H, R),
    }
    if bias:
        shapes["bias_ih"] = all_gates
        if not normed or options.cell == "gru":  # elsewhere the sum has one bias, after the norm
            shapes["bias_hh"] = all_gates
    if options.P:
        shapes["weight_hr"] = (options.P, H)
    if peephole:
        shapes["weight_peephole"] = ((gates(options) - 1) * H,)  # every gate but the candidate
    if normed:
        shapes |= {"gain_hh": all_gates} if rnn else {"gain_ih": all_gates, "gain_hh": all_gates}
    if normed and lstm:
        shapes |= {"gain_c": (H,), "bias_c": (H,)} if bias else {"gain_c": (H,)}
    if learned_state:
        shapes |= {"learned_h": (R,), "learned_c": (H,)} if lstm else {"learned_h": (R,)}
    return shapes


def register(
    module: nn.Module,
    shapes: Shapes,
    suffix: str,
    device: torch.device | str | None,
    dtype: torch.dtype | None,
) -> None:
    """Gives the module uninitialised parameters."""
    for name, shape in shapes.items():
        parameter = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        module.register_parameter(name + suffix, parameter)


def draw(module: nn.Module, hidden_size: Callable[[int], int]) -> None:
    """Weights and biases from U(-1/sqrt(H), 1/sqrt(H)) in torch's order, so that a seed gives torch's; then the rest.

    Peepholes come after them from the same range; gains are 1, bias_c and learned states 0. hidden_size: layer -> H.
    """
    late: list[tuple[Tensor, float]] = []
    for name, parameter in module.named_parameters():
        layer = re.search(
            r"_l(\d+)", name
        )  # none in a cell; a parametrized weight has it inside its name
        bound = 1.0 / math.sqrt(max(hidden_size(int(layer[1]) if layer else 0), 1))
        if "gain_" in name:
            nn.init.ones_(parameter)
        elif "learned_" in name or "bias_c" in name:
            nn.init.zeros_(parameter)
        elif "weight_peephole" in name:
            late.append((parameter, bound))
        else:
            nn.init.uniform_(parameter, -bound, bound)
    for parameter, bound in late:
        nn.init.uniform_(parameter, -bound, bound)


def set_forget_bias(module: nn.Module, value: float) -> None:
    """The sum of both biases of an LSTM's forget gate, the second quarter: all of it in bias_ih."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.startswith(("bias_ih", "bias_hh")):
                H = len(parameter) // 4
                parameter[H : 2 * H] = value if name.startswith("bias_ih") else 0.0


def collect(module: nn.Module, shapes: Shapes, suffix: str, like: Tensor | None = None) -> Weights:
    """The weights of one direction, checked against what the module was built with and against `like`."""
    found: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        weight = check_weight(getattr(module, name + suffix, None), name + suffix, shape, like)
        like = weight if like is None else like
        found[FIELDS[name]] = weight
    return Weights(**found)
