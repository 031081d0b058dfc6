"""From Flax's parameters and into them; Flax itself is only asked to judge, where it is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np

from gatework.errors import OptionError
from gatework.native import Direction, Stack
from gatework.native.activations import Activation
from gatework.native.recurrent import Cell
from gatework.weights.features import described, notes_on_precision, options_of, refuse
from gatework.weights.flax_answers import compare_params
from gatework.weights.flax_cells import (
    Form,
    Params,
    cell_of,
    functions_of,
    params_of,
    weights_of,
)
from gatework.weights.moved import Moved, as_stack


def from_flax(
    params: Any, *, activations: Sequence[Activation] | None = None, reverse: bool = False
) -> Moved[Stack]:
    """The weights of Flax's LSTMCell, OptimizedLSTMCell, GRUCell or SimpleCell as a stack.

    Args:
        params: nested mappings of arrays as linen's init or nnx.state gives them, for one cell at any depth, for the
            forward_rnn and backward_rnn of a Bidirectional, or a list of these with one entry for each layer.
        activations: of the cells, where they were built with a gate_fn or activation_fn; told by name as in the layers.
        reverse: a single direction runs from the last step to the first.

    Returns:
        The stack, judged by Flax where it is installed.

    Raises:
        OptionError: no cell, several cells, another cell, or layers that do not fit each other.

    Example:
        >>> import numpy as np
        >>> from gatework import weights
        >>> params = {"cell": {"i": {"kernel": np.ones((3, 2)), "bias": np.ones(2)}, "h": {"kernel": np.ones((2, 2))}}}
        >>> weights.from_flax({"params": params}).result.cell
        'rnn'
    """
    entries: list[Any] = [*params] if isinstance(params, list | tuple) else [params]  # pyright: ignore[reportUnknownVariableType]
    found = [_layer(entry) for entry in entries]
    cells = {cell_of(one) for layer in found for one in layer}
    if len(cells) != 1:
        raise OptionError(
            f"the layers are of different cells: {', '.join(sorted(map(str, cells)))}"
        )
    cell = cast("Cell", cells.pop())
    options = options_of(cell, {"activations": tuple(activations)} if activations else {})
    layers = tuple(
        tuple(
            Direction(weights_of(cell, one), options, d == 1 or (reverse and len(layer) == 1))
            for d, one in enumerate(layer)
        )
        for layer in found
    )
    stack = Stack(cell, layers)
    arrays = [[_plain(one) for one in layer] for layer in found]
    compared, note = compare_params(stack, arrays)
    notes = _notes(stack, "dense_i" in found[0][0])
    if activations is None:
        notes.append("parameters do not tell the functions: taken as Flax's sigmoid and tanh")
    return Moved(stack, (*notes, *note), compared)


def to_flax(stack: Stack, *, form: Form = "linen") -> Moved[list[list[Params]]]:
    """The weights of a stack as parameters of Flax's cells.

    Args:
        stack: whose options Flax has: activations that jax has by name.
        form: "linen" for LSTMCell, OptimizedLSTMCell, GRUCell, SimpleCell of flax.linen; "nnx" for OptimizedLSTMCell,
            GRUCell and SimpleCell of flax.nnx.

    Returns:
        NumPy arrays: a list over layers of lists over directions of a cell's parameters, for instance
        `nn.RNN(nn.OptimizedLSTMCell(4)).apply({"params": {"cell": result[0][0]}}, x)`. The report says with which
        functions the cells must be built. Flax's cells always have a bias.

    Raises:
        OptionError: names every option that Flax lacks.

    Example:
        >>> import torch, gatework
        >>> stack = gatework.weights.from_torch(torch.nn.LSTM(8, 16)).result
        >>> gatework.weights.to_flax(stack).result[0][0]["if"]["kernel"].shape
        (8, 16)
    """
    stack = as_stack(stack)
    if form not in ("linen", "nnx"):
        raise OptionError(f'form is {form!r}; expected "linen" or "nnx"')
    reasons = ["Flax's loop has no residual=True"] if stack.residual else []
    made: list[list[Params]] = []
    for layer in stack.layers:
        try:
            made.append([params_of(stack.cell, one, form) for one in layer])
        except OptionError as error:
            reasons.append(str(error))
    if reasons:
        refuse(stack.cell, {}, (), "Flax", dict.fromkeys(reasons))
    compared, note = compare_params(stack, made)
    functions = {
        f"{argument}=jax.nn.{name}"
        for layer in stack.layers
        for one in layer
        for argument, name in functions_of(stack.cell, one).items()
    }
    notes = _notes(stack, form == "nnx")
    notes += [f"build the cells with {', '.join(sorted(functions))}"] if functions else []
    if stack.masked_output == "carry":
        notes.append(
            "masked_output=\"carry\" stays behind: after a sequence's end Flax's outputs mean nothing"
        )
    return Moved(made, (*notes, *note), compared)


def _layer(entry: Any) -> list[Mapping[str, Any]]:
    """The parameters of one layer's directions."""
    if isinstance(entry, list | tuple):
        return [one for each in cast("Sequence[Any]", entry) for one in _layer(each)]
    found = dict(_cells(entry, "")) if isinstance(entry, Mapping) else {}
    if len(found) == 1:
        return list(found.values())
    sides = {path.split("/")[-2 if path.endswith("/cell") else -1]: path for path in found}
    if len(found) == 2 and set(sides) == {"forward_rnn", "backward_rnn"}:
        return [found[sides["forward_rnn"]], found[sides["backward_rnn"]]]
    raise OptionError(
        f"found {len(found)} recurrent cells ({', '.join(found) or 'LSTMCell, GRUCell and SimpleCell are known'}); "
        "pass the parameters of one, or a list with one entry for each layer, lowest first"
    )


def _cells(params: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every recurrent cell at any depth, with the path to it."""
    if cell_of(params) is not None:
        yield path.strip("/") or "params", params
        return
    for name, inner in params.items():
        if isinstance(inner, Mapping):
            yield from _cells(inner, f"{path}/{name}")


def _plain(params: Mapping[str, Any]) -> Params:
    """Nested dicts of float32 arrays without what is no parameter."""
    return {
        name: {leaf: np.asarray(value, np.float32) for leaf, value in inner.items()}
        for name, inner in params.items()
        if isinstance(inner, Mapping) and "kernel" in inner
    }


def _notes(stack: Stack, side_by_side: bool) -> list[str]:
    notes = [described(stack), "matrices are transposed: Flax multiplies x W, torch W x"]
    order = {"lstm": "i, f, g, o", "gru": "r, z, n"}
    form = "side by side" if side_by_side else "each by itself"
    notes += [f"gates {order[stack.cell]}, {form} in Flax"] if stack.cell != "rnn" else []
    biases = {"lstm": "one bias, at h in Flax", "rnn": "one bias, at x in Flax"}
    two = "one bias, at x in Flax" + ("" if side_by_side else ", and the candidate's second at h")
    notes.append(f"{biases.get(stack.cell, two)}; b_ih + b_hh here")
    notes += ["reset after the product"] if stack.cell == "gru" else []
    if any(one.reverse for layer in stack.layers for one in layer):
        notes.append("backwards is nn.RNN(cell, reverse=True, keep_order=True)")
    return [*notes, *notes_on_precision(stack)]
