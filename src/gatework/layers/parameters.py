"""Names and shapes of an LSTM's parameters, as torch has them, and their collection for a call."""

from __future__ import annotations

from torch import Tensor, nn

from gatework.layers.check import check_weight
from gatework.ops.lstm import Weights

Shapes = list[list[list[tuple[str, tuple[int, ...]]]]]  # per layer and direction

_FIELD = {
    "weight_ih": "w_ih",
    "weight_hh": "w_hh",
    "bias_ih_l": "b_ih",
    "bias_hh_l": "b_hh",
    "weight_hr": "w_hr",
}


def parameter_shapes(
    input_size: int, H: int, num_layers: int, bias: bool, bidirectional: bool, proj_size: int
) -> Shapes:
    """Names and shapes of all parameters, in torch's order."""
    out, D = proj_size or H, 2 if bidirectional else 1
    shapes: Shapes = []
    for layer in range(num_layers):
        from_below = input_size if layer == 0 else out * D
        layer_shapes: list[list[tuple[str, tuple[int, ...]]]] = []
        for suffix in (f"l{layer}", f"l{layer}_reverse")[:D]:
            own: list[tuple[str, tuple[int, ...]]] = [
                (f"weight_ih_{suffix}", (4 * H, from_below)),
                (f"weight_hh_{suffix}", (4 * H, out)),
            ]
            if bias:
                own += [(f"bias_ih_{suffix}", (4 * H,)), (f"bias_hh_{suffix}", (4 * H,))]
            if proj_size:
                own.append((f"weight_hr_{suffix}", (proj_size, H)))
            layer_shapes.append(own)
        shapes.append(layer_shapes)
    return shapes


def collect(module: nn.Module, shapes: Shapes) -> list[list[Weights]]:
    """Every weight of each layer and direction, checked against what the module was built with."""
    first: Tensor | None = None
    layers: list[list[Weights]] = []
    for layer in shapes:
        directions: list[Weights] = []
        for direction in layer:
            found: dict[str, Tensor] = {}
            for name, shape in direction:
                weight = check_weight(getattr(module, name, None), name, shape, first)
                first = weight if first is None else first
                found[_FIELD[name[:9]]] = weight
            directions.append(Weights(**found))
        layers.append(directions)
    return layers
