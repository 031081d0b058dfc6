"""What Keras answers to a question: layers built anew from plain values, on whatever backend Keras runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gatework.errors import MissingExtraError, OptionError
from gatework.native import Answer, Stack
from gatework.weights.compare import Question, compare, question
from gatework.weights.keras_cells import CELL_CLASSES, CLASSES, KerasCell
from gatework.weights.keras_layers import KerasLayer
from gatework.weights.moved import Compared


def keras_itself() -> Any:
    """The package, on any backend.

    Raises:
        MissingExtraError: it is not installed.
        OptionError: its backend is not.
    """
    try:
        import keras
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "keras":
            raise MissingExtraError("keras", "keras") from error
        raise OptionError(
            f"Keras was to start with a backend that is not installed ({error.name}); "
            "set KERAS_BACKEND=torch in the environment before the first import of keras"
        ) from error
    return keras


def built(layer: KerasLayer, name: str | None = None, *, states: bool = False) -> Any:
    """Keras's layer with these weights.

    Args:
        layer: in plain values.
        name: of the layer.
        states: it also returns its last states.
    """
    keras = keras_itself()
    common = {"return_sequences": True, "return_state": states, "dtype": "float32"}
    masked = {"zero_output_for_mask": layer.zero_output}
    depth, width = len(layer.cells), len(layer.cells[0])
    if depth > 1:
        cells = [_made(keras, each[0], CELL_CLASSES, dtype="float32") for each in layer.cells]
        stacked = keras.layers.StackedRNNCells(cells, dtype="float32")
        made = keras.layers.RNN(stacked, go_backwards=layer.backwards, name=name, **masked, **common)  # fmt: skip
        inner = [*stacked.cells]
    elif width == 1:
        single = layer.cells[0][0]
        made = _made(keras, single, CLASSES, go_backwards=layer.backwards, name=name, **masked, **common)  # fmt: skip
        inner = [made.cell]
    else:
        sides = [
            _made(keras, cell, CLASSES, go_backwards=turned, **common)
            for cell, turned in zip(layer.cells[0], (False, True), strict=True)
        ]
        made = keras.layers.Bidirectional(
            sides[0], backward_layer=sides[1], name=name, dtype="float32"
        )
        inner = [made.forward_layer.cell, made.backward_layer.cell]
    made.build((None, None, layer.cells[0][0].arrays[0].shape[0]))
    _fill(inner, [cell for each in layer.cells for cell in each])
    return made


def compare_layer(stack: Stack, layer: KerasLayer) -> Compared:
    """A layer of Keras's with the same arrays against the stack, with states and a mask.

    Stacked cells get no mask: older Keras versions fail there on their nested states (3.8 on jax).
    """
    asked = question(stack, lengths=len(layer.cells) == 1)
    y, states = _ask(built(layer, states=True), layer, asked)
    return compare(stack, asked, _sorted_states(stack, y, states), _judge())


def compare_made(stack: Stack, layers: list[KerasLayer], made: Iterable[Any]) -> Compared:
    """The outputs of layers one above the other against the stack, with a mask and without states."""
    asked = question(stack, states=False)
    y: Any = asked.x
    for layer, each in zip(layers, made, strict=True):
        y, _ = _ask(each, layer, asked._replace(x=y))
    return compare(stack, asked, Answer(y, (), ()), _judge())


def _made(keras: Any, cell: KerasCell, classes: dict[str, Any], **more: Any) -> Any:
    """One of Keras's layers or cells with a cell's arguments, without weights."""
    name = next(name for name, each in classes.items() if each == cell.cell)
    arguments: dict[str, Any] = {"activation": cell.activation, "use_bias": len(cell.arrays) > 2}
    if cell.cell != "rnn":
        arguments["recurrent_activation"] = cell.recurrent_activation
    if cell.cell == "gru":
        arguments["reset_after"] = cell.reset_after
    return getattr(keras.layers, name)(cell.units, **arguments, **more)


def _fill(cells: list[Any], sources: list[KerasCell]) -> None:
    for cell, source in zip(cells, sources, strict=True):
        names = ("kernel", "recurrent_kernel", "bias")[: len(source.arrays)]
        for name, array in zip(names, source.arrays, strict=True):
            getattr(cell, name).assign(array)


def _ask(made: Any, layer: KerasLayer, asked: Question) -> tuple[Any, list[Any]]:
    """y in the order of the input, [T, N, D*H], and the flat states."""
    keras = keras_itself()
    x = np.ascontiguousarray(asked.x.transpose(1, 0, 2))
    call: dict[str, Any] = {"training": False}
    if asked.lengths is not None:
        mask = np.arange(x.shape[1])[None] < asked.lengths[:, None]
        call["mask"] = keras.ops.convert_to_tensor(mask)
    if asked.h0 is not None:
        pairs = (
            zip(asked.h0, asked.c0, strict=True)
            if asked.c0 is not None
            else ((h,) for h in asked.h0)
        )
        states = [[keras.ops.convert_to_tensor(v) for v in pair] for pair in pairs]
        nested = states if asked.c0 is not None else [each[0] for each in states]
        stacked = len(layer.cells) > 1
        call["initial_state"] = nested if stacked else [v for each in states for v in each]
    found = keras.tree.flatten(made(keras.ops.convert_to_tensor(x), **call))
    y, *last = (np.asarray(keras.ops.convert_to_numpy(each)) for each in found)
    y = y[:, ::-1] if layer.backwards else y
    return y.transpose(1, 0, 2), last


def _sorted_states(stack: Stack, y: Any, flat: list[Any]) -> Answer:
    """Keras gives each cell's h, then its c."""
    if stack.cell != "lstm":
        return Answer(y, tuple(flat), ())
    return Answer(y, tuple(flat[0::2]), tuple(flat[1::2]))


def _judge() -> str:
    keras = keras_itself()
    return f"Keras {keras.__version__} on {keras.backend.backend()}"
