"""`to_onnx`: a stack as an ONNX model in standard operators, compared with the stack at several sizes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gatework.native.stack import Direction, Stack
from gatework.weights.moved import Moved
from gatework.weights.onnx_graph import Graph, save
from gatework.weights.onnx_judge import NO_JUDGE, Feeds, compared
from gatework.weights.onnx_layers import loop_reason, steps_of, write_layers
from gatework.weights.onnx_loop import States

OPSET = 17
_SIZES = ((1, 1), (5, 3), (23, 2), (2, 7))  # steps and rows of the comparison


class Form(NamedTuple):
    """What the arguments of `to_onnx` choose."""

    batch_first: bool
    lengths: bool
    states: bool


def to_onnx(
    stack: Stack,
    path: str | os.PathLike[str] | None = None,
    *,
    batch_first: bool = False,
    lengths: bool = False,
    states: bool = True,
    opset: int = OPSET,
) -> Moved[Any]:
    """A stack as an ONNX model whose batch, steps and states are free.

    Inputs: x [T, N, I]; with `lengths` sequence_lens int32 [N]; with `states` h0 [L*D, N, R] and, for the LSTM, c0
    [L*D, N, H], which may be left out: then the learned state, or zeros. Outputs: y [T, N, D*R], h_n, c_n. Layers of
    different sizes have one state each: h0_l0 [D, N, R], and so on.

    Args:
        stack: to be written; see `gatework.native.Stack`.
        path: also write the model to this file.
        batch_first: x and y are [N, T, .].
        lengths: rows of different lengths, 0 among them.
        states: the states are inputs and outputs.
        opset: version of the operator set, 13 or later.

    Returns:
        The ModelProto, what was done, and how far the answers of onnxruntime (or of ONNX's reference evaluator, where
        it can) lie from the stack's.

    Raises:
        MissingExtraError: onnx is not installed.
        OptionError: the operator set is not one that is written here.
        FormatError: the weights do not fit into one file.

    Example:
        >>> from gatework.native import Weights
        >>> w = Weights(np.zeros((8, 3), np.float32), np.zeros((8, 2), np.float32))
        >>> moved = to_onnx(Stack("lstm", ((Direction(w),),)))
        >>> [node.op_type for node in moved.result.graph.node][:2]
        ['LSTM', 'Squeeze']
    """
    stack, notes = _in_single_precision(stack)
    form = Form(batch_first, lengths, states)
    model = _written(stack, form, opset)
    notes += [_of_layers(stack), *_loops(stack)]
    found = compared(model, _cases(stack, form))
    if found is None:
        notes.append(NO_JUDGE)
    if path is not None:
        save(model, path)
        notes.append(f"written to {os.fspath(path)}")
    return Moved(model, tuple(notes), found)


def _written(stack: Stack, form: Form, opset: int) -> Any:
    graph = Graph()
    free: list[int | str] = ["batch", "time"] if form.batch_first else ["time", "batch"]
    x = graph.take_in("x", np.float32, [*free, stack.input_size])
    if form.batch_first:
        x = graph.add("Transpose", x, perm=(1, 0, 2))
    steps = None
    if form.lengths:
        steps = steps_of(graph, x, graph.take_in("sequence_lens", np.int32, ["batch"]))
    before = _states_before(graph, stack, x, form)
    y, last = write_layers(graph, stack, x, steps, before)
    if form.batch_first:
        y = graph.add("Transpose", y, perm=(1, 0, 2))
    graph.give_out(y, "y", np.float32, [*free, stack.directions * stack.output_sizes[-1]])
    if form.states:
        _states_after(graph, stack, last)
    return graph.model(f"{stack.cell} of gatework", opset)


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


def _letters(stack: Stack) -> str:
    return "hc" if stack.cell == "lstm" else "h"


def _together(stack: Stack) -> bool:
    """Whether the states of all layers fit into one array."""
    return len({(own.R, own.H) for layer in stack.checked for own in layer}) == 1


def _names(stack: Stack, letter: str, ending: str) -> list[str]:
    if _together(stack):
        return [f"{letter}{ending}"]
    return [f"{letter}{ending}_l{k}" for k in range(len(stack.layers))]


def _states_before(graph: Graph, stack: Stack, x: str, form: Form) -> list[States]:
    """Names of each layer's states [D, N, .] before the first step; empty where they are zeros."""
    found: dict[str, list[str]] = {}
    rows = ""
    for letter in _letters(stack):
        learned = _learned(stack, letter)
        if not form.states and not any(state.any() for state in learned):
            found[letter] = [""] * len(learned)
            continue
        rows = rows or _ones_by_batch(graph, x)
        parts = _taken_in(graph, stack, letter, learned, form)
        found[letter] = [graph.add("Expand", part, rows) for part in parts]
    if not form.states and len(found) == 2:
        found = _both_or_none(graph, stack, found, rows)
    return [States(*each) for each in zip(*found.values(), strict=True)]


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
    graph: Graph, stack: Stack, letter: str, learned: list[NDArray[np.float32]], form: Form
) -> list[str]:
    """The state of each layer [D, N or 1, width]: an input that may be left out, or a constant."""
    if not form.states:
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


def _states_after(graph: Graph, stack: Stack, last: list[States]) -> None:
    for letter in _letters(stack):
        states = [getattr(state, letter) for state in last]
        names = _names(stack, letter, "_n")
        if len(names) == 1 and len(states) > 1:
            states = [graph.add("Concat", *states, axis=0)]
        count = stack.directions * (len(stack.layers) if len(names) == 1 else 1)
        for k, (name, state) in enumerate(zip(names, states, strict=True)):
            graph.give_out(
                state, name, np.float32, [count, "batch", _width(stack.checked[k][0], letter)]
            )


def _cases(stack: Stack, form: Form) -> Iterator[tuple[Feeds, list[NDArray[Any]]]]:
    """Random sequences of several sizes, and the stack's answers; with states given and left out."""
    rng = np.random.default_rng(0)
    for T, N in _SIZES:
        x = rng.normal(size=(T, N, stack.input_size)).astype(np.float32)
        feeds: Feeds = {"x": x.swapaxes(0, 1).copy() if form.batch_first else x}
        more: dict[str, Any] = {}
        if form.lengths:
            more["lengths"] = rng.integers(0, T + 1, N)
            feeds["sequence_lens"] = more["lengths"].astype(np.int32)
        if form.states and T > 1:
            for letter in _letters(stack):
                more[f"{letter}0"] = own = _drawn(stack, letter, N, rng)
                feeds |= _named(stack, letter, "0", own)
        answer = stack(x, **more)
        outputs = [answer.y.swapaxes(0, 1) if form.batch_first else answer.y]
        if form.states:
            for letter in _letters(stack):
                outputs += _named(stack, letter, "_n", getattr(answer, f"{letter}_n")).values()
        yield feeds, outputs


def _drawn(stack: Stack, letter: str, N: int, rng: np.random.Generator) -> list[Any]:
    own = [one for layer in stack.checked for one in layer]
    return [rng.normal(size=(N, _width(one, letter))).astype(np.float32) for one in own]


def _named(stack: Stack, letter: str, ending: str, states: Any) -> Feeds:
    names, D = _names(stack, letter, ending), stack.directions
    if len(names) == 1:
        return {names[0]: np.stack(states)}
    return {name: np.stack(states[k * D : (k + 1) * D]) for k, name in enumerate(names)}


def _in_single_precision(stack: Stack) -> tuple[Stack, list[str]]:
    """The stack without reduced precision, which ONNX's float operators do not have."""
    given = {one.options.get("precision", "float32") for layer in stack.layers for one in layer}
    if given == {"float32"}:
        return stack, []
    layers = tuple(
        tuple(
            Direction(one.weights, {k: v for k, v in one.options.items() if k != "precision"}, one.reverse)
            for one in layer
        )
        for layer in stack.layers
    )  # fmt: skip
    names = ", ".join(sorted(given - {"float32"}))
    plain = Stack(stack.cell, layers, stack.residual, stack.masked_output)
    return plain, [f"precision {names} is left out: the model computes in float32"]


def _of_layers(stack: Stack) -> str:
    order = {"lstm": "i, o, f, c", "gru": "z, r, h", "rnn": "one gate"}[stack.cell]
    return f"{len(stack.layers)} layers in ONNX's gate order ({order}); both biases are kept apart"


def _loops(stack: Stack) -> list[str]:
    """A note for each direction that no standard recurrent operator can hold."""
    found: list[str] = []
    for k, (layer, checked) in enumerate(zip(stack.layers, stack.checked, strict=True)):
        for one, own in zip(layer, checked, strict=True):
            reason = loop_reason(stack.cell, one, own)
            if reason:
                way = "backward" if one.reverse else "forward"
                found.append(
                    f"layer {k} {way} is a Scan over standard operators, slower than the operator "
                    f"{stack.cell.upper()}, which has no {reason}"
                )
    return found
