"""`to_onnx`: a stack as an ONNX model in standard operators, compared with the stack at several sizes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gatework.native.stack import Direction, Stack
from gatework.weights.moved import Moved, as_stack
from gatework.weights.onnx_graph import Graph, save
from gatework.weights.onnx_judge import NO_JUDGE, Feeds, compared
from gatework.weights.onnx_layers import loop_reason, steps_of, write_layers
from gatework.weights.onnx_states import (
    drawn_states,
    letters_of,
    named_states,
    states_after,
    states_before,
)

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
        >>> [one.name for one in moved.result.graph.output]
        ['y', 'h_n', 'c_n']
    """
    stack = as_stack(stack)
    stack, notes = _in_single_precision(stack)
    form = Form(batch_first, lengths, states)
    model = _written(stack, form, opset)
    notes += [_of_layers(stack), *_loops(stack)]
    return exported(model, notes, _cases(stack, form), path)


def exported(
    model: Any,
    notes: list[str],
    cases: Iterable[tuple[Feeds, list[NDArray[Any]]]],
    path: str | os.PathLike[str] | None,
) -> Moved[Any]:
    """A model that is written: compared on its cases, saved where there is a path, with its report."""
    found = compared(model, cases)
    own = [] if found is not None else [NO_JUDGE]
    if path is not None:
        save(model, path)
        own.append(f"written to {os.fspath(path)}")
    return Moved(model, (*notes, *own), found)


def _written(stack: Stack, form: Form, opset: int) -> Any:
    graph = Graph()
    free: list[int | str] = ["batch", "time"] if form.batch_first else ["time", "batch"]
    x = graph.take_in("x", np.float32, [*free, stack.input_size])
    if form.batch_first:
        x = graph.add("Transpose", x, perm=(1, 0, 2))
    steps = None
    if form.lengths:
        steps = steps_of(graph, x, graph.take_in("sequence_lens", np.int32, ["batch"]))
    before = states_before(graph, stack, x, form.states)
    y, last = write_layers(graph, stack, x, steps, before)
    if form.batch_first:
        y = graph.add("Transpose", y, perm=(1, 0, 2))
    graph.give_out(y, "y", np.float32, [*free, stack.directions * stack.output_sizes[-1]])
    if form.states:
        states_after(graph, stack, last)
    return graph.model(f"{stack.cell} of gatework", opset)


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
            for letter in letters_of(stack):
                more[f"{letter}0"] = own = drawn_states(stack, letter, N, rng)
                feeds |= named_states(stack, letter, "0", own)
        answer = stack(x, **more)
        outputs = [answer.y.swapaxes(0, 1) if form.batch_first else answer.y]
        if form.states:
            for letter in letters_of(stack):
                outputs += named_states(
                    stack, letter, "_n", getattr(answer, f"{letter}_n")
                ).values()
        yield feeds, outputs


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
