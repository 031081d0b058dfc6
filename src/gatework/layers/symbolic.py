"""torch.fx's symbolic trace meets a layer: it stays one node of the graph, as torch's own layers do."""

from __future__ import annotations

from typing import Any

from torch import fx, nn


def is_symbolic(input: object) -> bool:
    """The input stands for a tensor in a symbolic trace."""
    return isinstance(input, fx.Proxy)


def as_one_node(module: nn.Module, input: Any, **given: Any) -> Any:
    """The call as a node of the graph that `input` belongs to; what was not given is left out."""
    kwargs = {name: value for name, value in given.items() if value is not None}
    tracer = input.tracer
    return tracer.create_proxy("call_module", tracer.path_of_module(module), (input,), kwargs)
