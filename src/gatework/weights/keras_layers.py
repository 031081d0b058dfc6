"""Keras's recurrent layers as plain values: from a configuration and its arrays to a stack, and from a stack.

A configuration is what Keras's own serialization writes, in a file or from a layer; nothing of it is executed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gatework.errors import OptionError
from gatework.native import Stack
from gatework.native.recurrent import Cell
from gatework.weights.features import described, notes_on_precision, refuse
from gatework.weights.keras_cells import (
    CELL_CLASSES,
    CLASSES,
    KerasCell,
    cell_of,
    direction_of,
    keras_cell_of,
)

HOUSES = ("keras", "gatework.keras")
RECURRENT = (*CLASSES, "RNN", "Bidirectional")
Arrays = Callable[[tuple[str, ...]], list[Any]]  # the arrays of the cell at a path inside a layer


class KerasLayer(NamedTuple):
    """One recurrent layer of Keras: the cells of each layer inside it, in one direction or two."""

    cells: tuple[tuple[KerasCell, ...], ...]
    backwards: bool  # a single direction from the last step to the first
    zero_output: bool  # where a step does not happen; else the last output is repeated
    notes: tuple[str, ...]


def layer_of(serialized: Mapping[str, Any], arrays: Arrays) -> KerasLayer:
    """A recurrent layer from what Keras's serialization writes about it.

    Args:
        serialized: class_name and config.
        arrays: gives a cell's arrays for the names of attributes and numbers that lead to it.

    Raises:
        OptionError: something that has no counterpart here; the message names it.
    """
    name, config = serialized["class_name"], serialized["config"]
    if name != "Bidirectional":
        found = _one_direction(serialized, arrays, ())
        cells = tuple((cell,) for cell in found)
        zero = bool(config.get("zero_output_for_mask", False))
        return KerasLayer(cells, bool(config.get("go_backwards")), zero, _notes(config))
    if config.get("merge_mode") != "concat":
        raise OptionError(
            f"Bidirectional has merge_mode={config.get('merge_mode')!r}; here two directions lie side by side "
            '("concat"): move layer.forward_layer and layer.backward_layer each by itself'
        )
    sides = [config["layer"], config.get("backward_layer") or _turned(config["layer"])]
    if [bool(side["config"].get("go_backwards")) for side in sides] != [False, True]:
        raise OptionError("Bidirectional's first layer runs backwards; exchange its two layers")
    both = [
        _one_direction(side, arrays, (f"{word}_layer",))
        for side, word in zip(sides, ("forward", "backward"), strict=True)
    ]
    if len(both[0]) > 1 or len(both[1]) > 1:
        raise OptionError(
            "Bidirectional runs a whole stack of cells in each direction, where layers here meet after each layer; "
            "move layer.forward_layer and layer.backward_layer each by itself"
        )
    notes = (*_notes(sides[0]["config"]), *_notes(sides[1]["config"]))
    return KerasLayer(((both[0][0], both[1][0]),), False, True, tuple(dict.fromkeys(notes)))


def stack_of_layer(layer: KerasLayer) -> Stack:
    """Ours from Keras's.

    Raises:
        OptionError: the cells are of different kinds.
    """
    kinds: set[Cell] = {cell.cell for each in layer.cells for cell in each}
    if len(kinds) > 1:
        raise OptionError(f"the layer has cells of different kinds ({', '.join(sorted(kinds))})")
    layers = tuple(
        tuple(direction_of(cell, layer.backwards or d == 1) for d, cell in enumerate(each))
        for each in layer.cells
    )
    masked = "zero" if layer.zero_output else "carry"
    return Stack(kinds.pop(), layers, masked_output=masked)


def layers_of(stack: Stack) -> list[KerasLayer]:
    """Keras's from ours, one for each layer.

    Raises:
        OptionError: names all that Keras lacks.
    """
    reasons: list[str] = []
    if stack.residual:
        reasons.append("Keras's layers have no residual=True")
    if stack.masked_output == "carry" and stack.directions == 2:
        reasons.append("Keras's Bidirectional has no masked_output='carry'")
    found: list[KerasLayer] = []
    for k, layer in enumerate(stack.layers):
        turned = [one.reverse for one in layer]
        if turned != [False, True][: len(layer)] and (turned != [True] or len(stack.layers) > 1):
            reasons.append(f"layer {k} runs backwards, which Keras returns the other way round")
        try:
            cells = tuple(keras_cell_of(stack.cell, one) for one in layer)
        except OptionError as error:
            reasons.append(str(error))
            continue
        found.append(KerasLayer((cells,), turned == [True], stack.masked_output == "zero", ()))
    if reasons:
        refuse(stack.cell, {}, (), "Keras", dict.fromkeys(reasons))
    return found


def notes_of(stack: Stack, layers: list[KerasLayer]) -> list[str]:
    """What moving between Keras and a stack does, in sentences."""
    cell = layers[0].cells[0][0]
    notes = [described(stack), "matrices are transposed: Keras multiplies x W, torch W x"]
    order = {"lstm": "i, f, c, o = i, f, g, o here", "gru": "z, r, h = z, r, n of r, z, n here"}
    notes += [f"gates {order[stack.cell]}"] if stack.cell != "rnn" else []
    two = stack.cell == "gru" and cell.reset_after
    if len(cell.arrays) < 3:
        notes.append("no bias")
    else:
        notes.append(
            f"{'two biases' if two else 'one bias'} in Keras"
            + ("" if two else ", b_ih + b_hh here")
        )
    if stack.cell == "gru":
        notes.append(f"reset {'after' if cell.reset_after else 'before'} the product")
    if layers[0].backwards:
        notes.append(
            "Keras returns the steps in the order of travel, last first; here they are in the input's order"
        )
    return [*notes, *notes_on_precision(stack), *(note for each in layers for note in each.notes)]


def _one_direction(
    serialized: Mapping[str, Any], arrays: Arrays, path: tuple[str, ...]
) -> list[KerasCell]:
    """The cells of one layer that is no wrapper."""
    name, config = serialized["class_name"], serialized["config"]
    _check_house(serialized)
    inner = (*path, "cell")
    if name in CLASSES:
        return [cell_of(name, config, arrays(inner))]
    cell = config["cell"] if name == "RNN" else serialized
    _check_house(cell)
    if cell["class_name"] in CELL_CLASSES:
        return [cell_of(cell["class_name"], cell["config"], arrays(inner))]
    if name == "RNN" and cell["class_name"] == "StackedRNNCells":
        cells = cell["config"]["cells"]
        for each in cells:
            _check_house(each)
        if cells and all(each["class_name"] in CELL_CLASSES for each in cells):
            return [
                cell_of(each["class_name"], each["config"], arrays((*inner, "cells", str(k))))
                for k, each in enumerate(cells)
            ]
        cell = next((each for each in cells if each["class_name"] not in CELL_CLASSES), cell)
    raise OptionError(
        f"{name} is built of {cell['class_name']}, which has no counterpart here; known are "
        f"{', '.join((*CLASSES, *CELL_CLASSES))}"
    )


def _check_house(serialized: Mapping[str, Any]) -> None:
    module = serialized.get("module")
    if not (module is None or str(module).startswith(HOUSES)):
        raise OptionError(
            f"{serialized['class_name']} is a class of {module}, which has no counterpart here"
        )


def _turned(serialized: Mapping[str, Any]) -> dict[str, Any]:
    return {**serialized, "config": {**serialized["config"], "go_backwards": True}}


def _notes(config: Mapping[str, Any]) -> tuple[str, ...]:
    """What a configuration says beyond weights."""
    cell = config.get("cell")
    inner = cell["config"] if isinstance(cell, dict) else config
    cells: list[Any] = inner.get("cells") or [{"config": inner}]
    rates = [
        f"{n}={e['config'][n]}"
        for e in cells
        for n in ("dropout", "recurrent_dropout")
        if e["config"].get(n)
    ]
    notes = (
        [f"{', '.join(dict.fromkeys(rates))} acts in training only and is left out"]
        if rates
        else []
    )
    if not config.get("return_sequences"):
        notes.append(
            "the Keras layer returns its last output alone; here y has every step, and h_n the last"
        )
    if config.get("stateful"):
        notes.append("the Keras layer is stateful; here the caller hands h_n and c_n on")
    return tuple(notes)
