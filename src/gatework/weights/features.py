"""What a stack does beyond torch's plain cells, in the words of the layers, and the refusal where a side lacks it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from gatework.errors import OptionError
from gatework.native import Direction, Stack
from gatework.native.activations import KINDS, Activation, kind_of
from gatework.native.options import DEFAULTS
from gatework.native.recurrent import Cell

CLASSES: dict[Cell, str] = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}
_PRESENT = {"peephole": "peephole", "learned_h": "learned_state", "learned_c": "learned_state"}


def plain(activation: Activation) -> Activation:
    """An activation in its shortest form: the name alone where its constants are the defaults.

    >>> plain(("leaky_relu", 0.01)), plain(("elu", 2))
    ('leaky_relu', ('elu', 2.0))
    """
    name = activation if isinstance(activation, str) else activation[0]
    constants = kind_of(activation)[1 : 1 + len(KINDS[name].defaults)]
    defaults = KINDS[name].defaults
    same = np.array_equal(np.array(constants, np.float32), np.array(defaults, np.float32))
    return name if same else (name, *constants)


def options_of(cell: Cell, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that differ from their defaults, activations in their shortest form."""
    given = DEFAULTS[cell] | dict(options)
    given["activations"] = tuple(plain(each) for each in given["activations"])
    return {name: value for name, value in given.items() if value != DEFAULTS[cell][name]}


def features_of(cell: Cell, direction: Direction) -> dict[str, Any]:
    """The layers' arguments of one direction that are on, but for sizes, biases and precision."""
    found = options_of(cell, direction.options)
    found.pop("precision", None)
    for field, name in _PRESENT.items():
        if getattr(direction.weights, field) is not None:
            found[name] = True
    if direction.weights.w_hr is not None:
        found["proj_size"] = len(np.asarray(direction.weights.w_hr))
    return found


def features(stack: Stack) -> dict[str, Any]:
    """The layers' arguments of a whole stack that are on, where one value of each holds everywhere.

    Raises:
        OptionError: directions or layers differ in an option, or run in an order that no layer of torch's kind has.
    """
    every = [features_of(stack.cell, one) for layer in stack.layers for one in layer]
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for each in every for name in each):
        values = [each.get(name) for each in every]
        present = name in _PRESENT.values()  # absent ones are zeros
        if not present and any(value != values[0] for value in values):
            raise OptionError(
                f"the layers and directions of this stack differ in {name} ({', '.join(map(str, values))}); "
                "one layer of torch's kind has one value: convert each layer by itself"
            )
        found[name] = True if present else values[0]
    for k, layer in enumerate(stack.layers):
        if [one.reverse for one in layer] != [False, True][: len(layer)]:
            raise OptionError(
                f"layer {k} runs {' and '.join('backwards' if one.reverse else 'forwards' for one in layer)}; torch's "
                "kind of layer runs forwards, or forwards and backwards: flip the input and the output yourself"
            )
    if stack.residual:
        found["residual"] = True
    if len(set(stack.hidden_sizes)) > 1:
        found["hidden_size"] = list(stack.hidden_sizes)
    return found


def precisions(stack: Stack) -> tuple[str, ...]:
    """The precisions of the products, without repetition; they are no property of the weights, which are float32."""
    every = (one.options.get("precision", "float32") for layer in stack.layers for one in layer)
    return tuple(dict.fromkeys(every))


def in_float32(stack: Stack) -> Stack:
    """The same stack with products in float32."""
    return stack if precisions(stack) == ("float32",) else in_precision(stack, "float32")


def in_precision(stack: Stack, precision: str) -> Stack:
    """The same stack with its products in one precision."""
    layers = tuple(
        tuple(one._replace(options={**one.options, "precision": precision}) for one in layer)
        for layer in stack.layers
    )
    return Stack(stack.cell, layers, stack.residual, stack.masked_output)


def notes_on_precision(stack: Stack) -> list[str]:
    """A sentence where the products here are not in float32."""
    found = [each for each in precisions(stack) if each != "float32"]
    if not found:
        return []
    return [f"precision {', '.join(found)} stays behind: the weights move, and compare, in float32"]


def refuse(
    cell: Cell, found: Mapping[str, Any], allowed: Collection[str], side: str, reasons: Iterable[str] = ()
) -> None:  # fmt: skip
    """Raises where something is on that the other side lacks.

    Raises:
        OptionError: names all of it, and the class that has it.
    """
    lacking = [f"{name}={value!r}" for name, value in found.items() if name not in allowed]
    if not lacking and not reasons:
        return
    words = [f"{side} has no {', no '.join(lacking)}"] if lacking else []
    raise OptionError(
        f"{'; '.join([*words, *reasons])}; gatework.{CLASSES[cell]} has all of it: gatework.from_stack(stack)"
    )


def described(stack: Stack) -> str:
    """A stack in a few words.

    >>> from gatework.native import Weights
    >>> described(Stack("rnn", ((Direction(Weights(np.zeros((2, 3)), np.zeros((2, 2)))),),)))
    'RNN, 3 features, 2 units, 1 layer, 1 direction'
    """
    sizes = dict.fromkeys(stack.hidden_sizes)
    words = [f"{stack.input_size} features", f"{', '.join(map(str, sizes))} units"]
    for count, word in ((len(stack.layers), "layer"), (stack.directions, "direction")):
        words.append(f"{count} {word}{'s' if count > 1 else ''}")
    return ", ".join([CLASSES[stack.cell], *words])
