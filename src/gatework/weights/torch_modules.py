"""From torch modules and into them: torch's own and gatework's layers, which have torch's names, layout and gate order.

`gatework.from_stack` makes a new layer of gatework's with all options; what a module is: torch_kinds.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gatework.errors import OptionError
from gatework.native import Stack
from gatework.weights.features import (
    CLASSES,
    described,
    features,
    in_precision,
    notes_on_precision,
    precisions,
    refuse,
)  # fmt: skip
from gatework.weights.moved import Moved, as_stack
from gatework.weights.names import arrays_of, placed, stack_of, suffix_of
from gatework.weights.torch_answers import compare_module
from gatework.weights.torch_kinds import (
    OPTIONS,
    Kind,
    kind_of_module,
    module_options,
    notes_on_module,
    parameters_of,
    torch_itself,
)

if TYPE_CHECKING:
    import torch


def from_torch(module: torch.nn.Module) -> Moved[Stack]:
    """The weights and options of a torch layer as a `Stack`.

    Args:
        module: an LSTM, GRU, RNN or one of their cells, torch's or gatework's, on any device, of any float dtype.

    Returns:
        The stack in float32; the module itself judged it, in eval mode and in its own dtype.

    Raises:
        OptionError: another module, or a subclass with a forward of its own.

    Example:
        >>> import torch, gatework
        >>> print(gatework.weights.from_torch(torch.nn.GRU(8, 16)))  # doctest: +ELLIPSIS
        - GRU, 8 features, 16 units, 1 layer, 1 direction
        - gates r, z, n, two biases, reset after the product: torch's, as here
        largest difference ... (torch ...)
    """
    import torch

    kind = kind_of_module(module)
    options = module_options(kind, module)
    whole = {}
    if kind.ours and not kind.single:
        whole = {name: getattr(module, name) for name in ("residual", "masked_output")}
    stack = stack_of(kind.cell, placed(parameters_of(module)), options, **whole)
    notes = [described(stack), _note_on_gates(stack)]
    notes += notes_on_module(module, next(module.parameters()).dtype, torch.float32)
    return Moved(stack, tuple(notes), compare_module(stack, module, kind.ours, kind.single))


def to_torch(stack: Stack, *, batch_first: bool = False) -> Moved[torch.nn.Module]:
    """One of torch.nn.LSTM, GRU, RNN with the weights of a stack.

    Args:
        stack: whose options torch has: proj_size; for the RNN relu.
        batch_first: of the module.

    Returns:
        The module, on the CPU, in eval mode.

    Raises:
        OptionError: torch has not all of the stack's options; `gatework.from_stack` has.

    Example:
        >>> import torch, gatework
        >>> stack = gatework.weights.from_torch(gatework.LSTM(8, 16, num_layers=2)).result
        >>> gatework.weights.to_torch(stack).result
        LSTM(8, 16, num_layers=2)
    """
    stack = as_stack(stack)
    torch = torch_itself()
    found = features(stack)
    more: dict[str, Any] = {}
    if stack.cell == "rnn" and found.get("activations") == ("relu",):
        more["nonlinearity"] = found.pop("activations")[0]
    refuse(stack.cell, found, {"proj_size"}, f"torch.nn.{CLASSES[stack.cell]}")
    if stack.cell == "lstm":
        more["proj_size"] = found.get("proj_size", 0)
    module = getattr(torch.nn, CLASSES[stack.cell])(
        stack.input_size,
        stack.hidden_sizes[0],
        len(stack.layers),
        bias=any(name.startswith("bias") for name in arrays_of(stack)),
        batch_first=batch_first,
        bidirectional=stack.directions == 2,
        **more,
    )
    moved = load_into(stack, module.eval())
    if stack.masked_output == "zero":
        return moved
    note = 'masked_output="carry" stays behind: pad_packed_sequence pads with zeros'
    return replace(moved, notes=(*moved.notes, note))


def load_into(stack: Stack, module: torch.nn.Module) -> Moved[Any]:
    """Copies the weights of a stack into a layer that is there already, torch's or gatework's.

    Biases, peepholes and learned states that only the module has become zero, which changes no answer.

    Args:
        stack: of the same cell, sizes and options as the module.
        module: on any device, of any float dtype; its parameters stay the same objects.

    Raises:
        OptionError: cell, sizes, options or parametrizations do not fit; all of it is named, and nothing was changed.

    Example:
        >>> import torch, gatework
        >>> stack = gatework.weights.from_torch(torch.nn.RNN(8, 16)).result
        >>> print(gatework.weights.load_into(stack, gatework.RNN(8, 16)).result)
        RNN(8, 16)
    """
    stack = as_stack(stack)
    torch = torch_itself()
    kind = kind_of_module(module)
    _check_fit(stack, kind, module)
    given = arrays_of(stack)
    added: list[str] = []
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            array = given.get(name + suffix_of(0, False) if kind.single else name)
            if array is None:
                parameter.zero_()
                added.append(name)
            else:
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))
    notes = [described(stack), _note_on_gates(stack)]
    same = kind.ours and precisions(stack) == (module.precision,)
    notes += [] if same else notes_on_precision(stack)
    notes += [f"zero, for the stack has none: {', '.join(added)}"] if added else []
    if kind.ours and not kind.single and module.masked_output != stack.masked_output:
        notes.append(f"the module keeps its masked_output, {module.masked_output!r}")
    notes += notes_on_module(module, torch.float32, next(module.parameters()).dtype)
    compared = compare_module(_as_in(module, stack, kind), module, kind.ours, kind.single)
    return Moved(module, tuple(notes), compared)


def _as_in(module: Any, stack: Stack, kind: Kind) -> Stack:
    """The stack with the module's masked outputs, which are zero in torch's, and with its precision."""
    masked = module.masked_output if kind.ours and not kind.single else "zero"
    found = Stack(stack.cell, stack.layers, stack.residual, masked)
    return in_precision(found, module.precision if kind.ours else "float32")


def _check_fit(stack: Stack, kind: Kind, module: Any) -> None:
    """Everything in which a stack and a module differ, at once."""
    wrong: list[str] = []
    if kind.cell != stack.cell:
        raise OptionError(
            f"the stack is of the cell {stack.cell}, the module is a {type(module).__name__}"
        )
    found, theirs = features(stack), module_options(kind, module)
    theirs.pop("precision", None)
    mine = {k: v for k, v in found.items() if k in (*OPTIONS, "activations")}
    wrong += [
        f"{name} is {mine.get(name, 'off')} here and {theirs.get(name, 'off')} in the module"
        for name in dict.fromkeys((*mine, *theirs))
        if mine.get(name) != theirs.get(name)
    ]
    if stack.residual != getattr(module, "residual", False):
        wrong.append("residual is on only on one side")
    parameters = {
        name + suffix_of(0, False) if kind.single else name: tuple(value.shape)
        for name, value in module.named_parameters()
    }
    if any("parametrizations" in name for name in parameters):
        raise OptionError(
            "the module is parametrized, so what is copied into it would be computed over; "
            "torch.nn.utils.parametrize.remove_parametrizations first"
        )
    arrays = {name: array.shape for name, array in arrays_of(stack).items()}
    wrong += [
        f"{name} is {list(shape)} here and {list(parameters[name]) if name in parameters else 'absent'} in the module"
        for name, shape in arrays.items()
        if parameters.get(name) != shape
    ]
    optional = ("bias_ih", "bias_hh", "bias_c", "weight_peephole", "learned_h", "learned_c")
    wrong += [
        f"{name} is absent here and {list(shape)} in the module"
        for name, shape in parameters.items()
        if name not in arrays and not name.startswith(optional)
    ]
    if wrong:
        raise OptionError(
            f"{'; '.join(wrong)}; gatework.from_stack(stack) makes a module that fits"
        )


def _note_on_gates(stack: Stack) -> str:
    coupled = bool(features(stack).get("coupled"))
    order = {"lstm": "i, g, o (f = 1 - i)" if coupled else "i, f, g, o", "gru": "r, z, n"}
    words = [f"gates {order[stack.cell]}"] if stack.cell != "rnn" else []
    names = arrays_of(stack)
    count = sum(any(name.startswith(bias) for name in names) for bias in ("bias_ih", "bias_hh"))
    words.append(("no bias", "one bias", "two biases")[count])
    if stack.cell == "gru":
        after = features(stack).get("reset_after", True)
        words.append(f"reset {'after' if after else 'before'} the product")
    return f"{', '.join(words)}: torch's, as here"
