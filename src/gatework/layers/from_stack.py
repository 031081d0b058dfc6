"""`gatework.from_stack`: a layer of this room with all options and weights of a `gatework.weights.Stack`."""

from __future__ import annotations

from typing import Any

from gatework.layers.gru import GRU
from gatework.layers.lstm import LSTM
from gatework.layers.rnn import RNN
from gatework.native import Stack
from gatework.weights.features import features, precisions
from gatework.weights.moved import Moved, as_stack
from gatework.weights.names import arrays_of
from gatework.weights.torch_modules import load_into

_CLASSES: dict[str, type[Any]] = {"lstm": LSTM, "gru": GRU, "rnn": RNN}


def from_stack(stack: Stack, *, batch_first: bool = False) -> Moved[LSTM | GRU | RNN]:
    """An LSTM, GRU or RNN with the weights and all options of a stack.

    Args:
        stack: what `gatework.weights.from_torch`, `from_keras`, `from_flax` and `load` give.
        batch_first: of the layer.

    Returns:
        The layer on the CPU in eval mode, with a report; `.train()` goes on training it.

    Raises:
        OptionError: layers or directions of the stack differ in their options, and a layer here has one of each.

    Example:
        >>> import gatework
        >>> stack = gatework.weights.from_torch(gatework.LSTM(8, 16, peephole=True)).result
        >>> gatework.from_stack(stack).result
        LSTM(8, 16, peephole=True)
    """
    stack = as_stack(stack)
    found: dict[str, Any] = features(stack)
    found.setdefault("hidden_size", stack.hidden_sizes[0])
    found["bias"] = any(name.startswith("bias") for name in arrays_of(stack))
    every = precisions(stack)
    module = _CLASSES[stack.cell](
        stack.input_size,
        found.pop("hidden_size"),
        len(stack.layers),
        batch_first=batch_first,
        bidirectional=stack.directions == 2,
        masked_output=stack.masked_output,
        precision=every[0] if len(every) == 1 else "float32",
        **found,
    )
    return load_into(stack, module.eval())
