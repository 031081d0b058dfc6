"""`from_onnx`: every recurrent operator of a model as a stack, compared with the operator itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.errors import FormatError, GateworkError
from gatework.native.stack import Direction, Stack
from gatework.weights.moved import Compared, Moved
from gatework.weights.onnx_activations import read
from gatework.weights.onnx_file import Source, read_model, size_of
from gatework.weights.onnx_gates import OPERATORS, from_operator
from gatework.weights.onnx_graph import Graph
from gatework.weights.onnx_judge import NO_JUDGE, Feeds, compared
from gatework.weights.onnx_node import Node, read_node
from gatework.weights.onnx_walk import recurrent_nodes

_SIZES = ((1, 1), (7, 3))  # steps and rows of the comparison
_OPSET = 14
_ROOM = 1 << 29  # bytes that the weights of all operators may take, and
_SHARE = 16  # how often they may take those of the model
_LARGEST = 1 << 30  # bytes of weights that one model for the comparison may have
_NOT_FOR_THE_JUDGE = ("layout", "output_sequence")


def from_onnx(
    model: str | os.PathLike[str] | Any, *, values: Mapping[str, ArrayLike] | None = None
) -> dict[str, Moved[Stack]]:
    """Every LSTM, GRU and RNN of an ONNX model, by the name of its node.

    Operators in the bodies of If, Loop and Scan and in functions of the model are found too; their names begin with
    those of the nodes around them. Weights may be initializers, Constant nodes, or cut out of those by Identity,
    Transpose, Concat, Unsqueeze, Squeeze, Reshape, Cast, Split and Slice. Nothing of the model is run.

    Args:
        model: the path of a file, or a ModelProto. External data is read from the file's own folder.
        values: arrays of inputs of the graph that hold weights.

    Returns:
        For each operator a stack of one layer in its directions, what was done, and how far its answers lie from those
        of onnxruntime (or of ONNX's reference evaluator, where it can) for the operator alone.

    Raises:
        MissingExtraError: onnx is not installed.
        FormatError: the file is damaged or no ONNX model, a weight is no constant, or an option is not known here.

    Example:
        >>> for name, moved in from_onnx("model.onnx").items():  # doctest: +SKIP
        ...     y, h_n, c_n = moved.result(np.zeros((5, 1, 3), np.float32))
    """
    source = read_model(model)
    given = {name: np.asarray(value) for name, value in (values or {}).items()}
    return _found(source, given)


def _found(source: Source, given: Mapping[str, NDArray[Any]]) -> dict[str, Moved[Stack]]:
    found: dict[str, Moved[Stack]] = {}
    left = _ROOM + _SHARE * size_of(source)
    for one in recurrent_nodes(source, given):
        node = read_node(one, source)
        left -= sum(array.nbytes for array in node.weights.values())
        if left < 0:
            raise FormatError("its operators take far more memory than the model", path=source.path)
        try:
            stack = _stack(node)
        except FormatError as error:
            raise FormatError(str(error), path=source.path) from error
        except GateworkError as error:
            raise FormatError(f"{node.where}: {error}", path=source.path) from error
        judged = _compared(node, stack)
        notes = [*_notes(node), *([] if judged else [NO_JUDGE])]
        found[one.name] = Moved(stack, tuple(notes), judged)
    return found


def _stack(node: Node) -> Stack:
    coupled = bool(node.given.get("input_forget", 0))
    if coupled and node.cell != "lstm":
        raise FormatError(f"{node.where} has input_forget, which the LSTM alone has")
    activations = read(node.cell, len(node.reverse), node.given, node.where)
    layer: list[Direction] = []
    for d, (backwards, chosen) in enumerate(zip(node.reverse, activations, strict=True)):
        own = {name: array[d] for name, array in node.weights.items()}
        options: dict[str, Any] = {} if chosen is None else {"activations": chosen}
        if coupled:
            options["coupled"] = True
        if node.cell == "gru" and not node.given.get("linear_before_reset", 0):
            options["reset_after"] = False
        weights = from_operator(node.cell, own, coupled)
        for letter in "hc":
            state = node.states.get(f"initial_{letter}")
            if isinstance(state, np.ndarray):
                weights = weights._replace(**{f"learned_{letter}": state[d]})
        layer.append(Direction(weights, options, backwards))
    return Stack(node.cell, (tuple(layer),))


def _notes(node: Node) -> list[str]:
    order = {"lstm": "i, o, f, c became i, f, g, o", "gru": "z, r, h became r, z, n", "rnn": ""}
    notes = [f"gates {order[node.cell]}"] if order[node.cell] else []
    if "B" not in node.weights:
        notes.append("it has no biases")
    if node.given.get("clip"):
        notes.append("clip bounds what gates and candidate read, as onnxruntime computes it")
    if node.given.get("input_forget"):
        notes.append("input_forget: f = 1 - i, so the weights of f were left out")
    if node.given.get("layout"):
        notes.append("layout 1: X and Y are batch first in the model, and time first here")
    if node.lengths:
        notes.append("sequence_lens: pass lengths")
    for name, state in node.states.items():
        if isinstance(state, np.ndarray):
            notes.append(f"{name} is a constant and became the learned state")
        elif state == "free":
            notes.append(f"{name} depends on the model's inputs: pass {name[-1]}0")
    return [*notes, *node.notes]


def _compared(node: Node, stack: Stack) -> Compared | None:
    if sum(array.nbytes for array in node.weights.values()) > _LARGEST:
        return None
    return compared(_alone(node), _cases(node, stack))


def _alone(node: Node) -> Any:
    """A model of the operator alone, time first, with batch, steps and states free."""
    graph, D, H = Graph(), len(node.reverse), node.H
    names = [graph.take_in("X", np.float32, ["time", "batch", node.weights["W"].shape[2]])]
    for name in ("W", "R", "B"):
        there = name in node.weights
        names.append(graph.constant(node.weights[name], name) if there else "")
    names.append(graph.take_in("lengths", np.int32, ["batch"]) if node.lengths else "")
    letters = "hc" if node.cell == "lstm" else "h"
    names += [graph.take_in(f"{letter}0", np.float32, [D, "batch", H]) for letter in letters]
    if "P" in node.weights:
        names.append(graph.constant(node.weights["P"], "P"))
    said = {
        name: value
        for name, value in node.given.items()
        if name not in _NOT_FOR_THE_JUDGE and value != []
    }
    said["hidden_size"] = H
    outputs = graph.add_many(OPERATORS[node.cell], 1 + len(letters), *names, **said)
    graph.give_out(outputs[0], "Y", np.float32, ["time", D, "batch", H])
    for letter, output in zip(letters, outputs[1:], strict=True):
        graph.give_out(output, f"{letter}_n", np.float32, [D, "batch", H])
    return graph.model("one operator", _OPSET)


def _cases(node: Node, stack: Stack) -> Iterator[tuple[Feeds, list[NDArray[Any]]]]:
    rng, D, H = np.random.default_rng(0), len(node.reverse), node.H
    letters = "hc" if node.cell == "lstm" else "h"
    for T, N in _SIZES:
        x = rng.normal(size=(T, N, stack.input_size)).astype(np.float32)
        states = {f"{k}0": rng.normal(size=(D, N, H)).astype(np.float32) for k in letters}
        feeds: Feeds = {"X": x, **states}
        more: dict[str, Any] = dict(states)
        if node.lengths:
            more["lengths"] = rng.integers(1, T + 1, N)
            feeds["lengths"] = more["lengths"].astype(np.int32)
        answer = stack(x, **more)
        y = answer.y.reshape(T, N, D, H).transpose(0, 2, 1, 3)
        yield feeds, [y, *(np.stack(getattr(answer, f"{k}_n")) for k in letters)]
