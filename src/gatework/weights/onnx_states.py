"""The states of a stack in an ONNX model: inputs that may be left out, outputs, and their names.

One array for all layers where they have one size, as in torch; else one for each layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.native.stack import Stack
from gatework.weights.onnx_graph import Graph
from gatework.weights.onnx_judge import Feeds
from gatework.weights.onnx_loop import States


def states_before(graph: Graph, stack: Stack, x: str, free: bool) -> list[States]:
    """Names of each layer's states [D, N, .] before the first step; empty where they are zeros."""
    found: dict[str, list[str]] = {}
    rows = ""
    for letter in letters_of(stack):
        learned = _learned(stack, letter)
        if not free and not any(state.any() for state in learned):
            found[letter] = [""] * len(learned)
            continue
        rows = rows or _ones_by_batch(graph, x)
        parts = _taken_in(graph, stack, letter, learned, free)
        found[letter] = [graph.add("Expand", part, rows) for part in parts]
    if not free and len(found) == 2:
        found = _both_or_none(graph, stack, found, rows)
    return [States(*each) for each in zip(*found.values(), strict=True)]


def states_after(graph: Graph, stack: Stack, last: list[States]) -> None:
    """Gives out the last states under their names."""
    for letter in letters_of(stack):
        states = [getattr(state, letter) for state in last]
        names = _names(stack, letter, "_n")
        if len(names) == 1 and len(states) > 1:
            states = [graph.add("Concat", *states, axis=0)]
        count = stack.directions * (len(stack.layers) if len(names) == 1 else 1)
        for k, (name, state) in enumerate(zip(names, states, strict=True)):
            graph.give_out(
                state, name, np.float32, [count, "batch", _width(stack.checked[k][0], letter)]
            )


def named_states(stack: Stack, letter: str, ending: str, states: Any) -> Feeds:
    """States, L*D of [N, width], as the arrays of the model."""
    names, D = _names(stack, letter, ending), stack.directions
    if len(names) == 1:
        return {names[0]: np.stack(states)}
    return {name: np.stack(states[k * D : (k + 1) * D]) for k, name in enumerate(names)}


def drawn_states(stack: Stack, letter: str, N: int, rng: np.random.Generator) -> list[Any]:
    """Random states, L*D of [N, width]."""
    own = [one for layer in stack.checked for one in layer]
    return [rng.normal(size=(N, _width(one, letter))).astype(np.float32) for one in own]


def letters_of(stack: Stack) -> str:
    """The letters of a cell's states."""
    return "hc" if stack.cell == "lstm" else "h"


def _learned(stack: Stack, letter: str) -> list[NDArray[np.float32]]:
    """Of each layer its states at a start [D, 1, width], zeros where none is learned."""
    found: list[NDArray[np.float32]] = []
    for layer in stack.checked:
        rows = [
            own.arrays.get(f"learned_{letter}", np.zeros(_width(own, letter), np.float32))
            for own in layer
        ]
        found.append(np.stack(rows)[:, None])
    return found


def _width(own: Any, letter: str) -> int:
    return own.R if letter == "h" else own.H


def _together(stack: Stack) -> bool:
    """Whether the states of all layers fit into one array."""
    return len({(own.R, own.H) for layer in stack.checked for own in layer}) == 1


def _names(stack: Stack, letter: str, ending: str) -> list[str]:
    if _together(stack):
        return [f"{letter}{ending}"]
    return [f"{letter}{ending}_l{k}" for k in range(len(stack.layers))]


def _both_or_none(
    graph: Graph, stack: Stack, found: dict[str, list[str]], rows: str
) -> dict[str, list[str]]:
    """A cell whose h alone, or c alone, is learned: the other one is zeros."""
    if any(found["h"]) == any(found["c"]):
        return found
    letter = "c" if any(found["h"]) else "h"
    zeros = [graph.constant(state) for state in _learned(stack, letter)]
    return found | {letter: [graph.add("Expand", zero, rows) for zero in zeros]}


def _ones_by_batch(graph: Graph, x: str) -> str:
    """The shape [1, N, 1]."""
    one = graph.integers(1)
    rows = graph.add("Gather", graph.add("Shape", x), one)
    return graph.add("Concat", one, rows, one, axis=0)


def _taken_in(
    graph: Graph, stack: Stack, letter: str, learned: list[NDArray[np.float32]], free: bool
) -> list[str]:
    """The state of each layer [D, N or 1, width]: an input that may be left out, or a constant."""
    if not free:
        return [graph.constant(state) for state in learned]
    names = _names(stack, letter, "0")
    if len(names) > 1:
        return [
            graph.take_in(name, np.float32, [len(state), "state_batch", state.shape[2]], state)
            for name, state in zip(names, learned, strict=True)
        ]
    whole = np.concatenate(learned)
    taken = graph.take_in(names[0], np.float32, [len(whole), "state_batch", whole.shape[2]], whole)
    if len(learned) == 1:
        return [taken]
    sizes = graph.integers(*map(len, learned))
    return list(graph.add_many("Split", len(learned), taken, sizes, axis=0))
