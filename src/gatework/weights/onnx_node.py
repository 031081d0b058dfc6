"""One recurrent operator of a model, read and checked: its attributes and the arrays of its weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gatework.errors import FormatError
from gatework.native.recurrent import Cell
from gatework.weights.onnx_constants import Constants
from gatework.weights.onnx_file import Source
from gatework.weights.onnx_gates import OPERATORS
from gatework.weights.onnx_tensors import FLOATS
from gatework.weights.onnx_walk import Found

GATES: dict[Cell, int] = {"lstm": 4, "gru": 3, "rnn": 1}
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
_KINDS: dict[str, type | tuple[type, type]] = {  # a pair: a list of these
    "hidden_size": int,
    "direction": bytes,
    "clip": float,
    "activations": (list, bytes),
    "activation_alpha": (list, float),
    "activation_beta": (list, float),
    "input_forget": int,
    "linear_before_reset": int,
    "layout": int,
    "output_sequence": int,
}
_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


@dataclass
class Node:
    """An operator as the model has it.

    Attributes:
        cell: "lstm", "gru" or "rnn".
        where: names it in messages.
        given: its attributes.
        reverse: of each direction, whether it runs backwards.
        weights: W [D, G*H, I], R [D, G*H, H], and where there are B [D, 2*G*H], P [D, 3*H], float32.
        states: initial_h and initial_c: rows [D, H], or "zero", or "free" where they depend on the model's inputs.
        lengths: whether it takes sequence_lens.
        notes: what was done on the way.
    """

    cell: Cell
    where: str
    given: dict[str, Any]
    reverse: tuple[bool, ...]
    weights: dict[str, NDArray[np.float32]] = field(default_factory=dict[str, Any])
    states: dict[str, NDArray[np.float32] | Literal["zero", "free"]] = field(
        default_factory=dict[str, Any]
    )
    lengths: bool = False
    notes: list[str] = field(default_factory=list[str])

    @property
    def H(self) -> int:
        """Hidden size."""
        return self.weights["R"].shape[-1]


def read_node(found: Found, source: Source) -> Node:
    """The operator with its weights.

    Raises:
        FormatError: an attribute or a weight is missing, damaged, of another shape, or no constant.
    """
    cell: Cell = next(cell for cell, name in OPERATORS.items() if name == found.node.op_type)
    constants = Constants(source)
    where = f"the {found.node.op_type} {found.name!r}"
    given = constants.attributes(found.scope, found.node)
    _check_attributes(given, where, source.path)
    reverse = _DIRECTIONS[given.get("direction", b"forward").decode()]
    node = Node(cell, where, given, reverse)
    inputs = {
        name: actual for name, actual in zip(INPUTS, found.node.input, strict=False) if actual
    }
    node.lengths = "sequence_lens" in inputs
    for name in ("W", "R", "B", "P"):
        if name in inputs or name in "WR":
            node.weights[name] = _weight(
                constants, found, inputs.get(name), name, node, source.path
            )
    _check_shapes(node, source.path)
    for name in ("initial_h", "initial_c"):
        if name in inputs:
            node.states[name] = _state(constants, found, inputs[name], node)
    return node


def _check_attributes(given: dict[str, Any], where: str, path: str | None) -> None:
    for name, value in given.items():
        kind = _KINDS.get(name)
        if kind is None:
            raise FormatError(f"{where} has the unknown attribute {name!r}", path=path)
        fits = (
            isinstance(value, list | tuple) and all(isinstance(one, kind[1]) for one in value)
            if isinstance(kind, tuple)
            else isinstance(value, kind)
        )
        if not fits:
            raise FormatError(f"{where} has {name} of another type", path=path)
    way = given.get("direction", b"forward")
    if way.decode(errors="replace") not in _DIRECTIONS:
        raise FormatError(
            f"{where} has the direction {way!r}; expected {', '.join(_DIRECTIONS)}", path=path
        )


def _weight(
    constants: Constants, found: Found, actual: str | None, name: str, node: Node, path: str | None
) -> NDArray[np.float32]:
    value = None if actual is None else constants.value(found.scope, actual)
    if value is None:
        raise FormatError(
            f"{node.where}: {name} ({actual!r}) is no constant of the model; "
            f"pass its array in values={{{actual!r}: ...}}",
            path=path,
        )
    kind = value.dtype.name
    if kind not in ("float32", "float64", "float16", "bfloat16"):
        raise FormatError(
            f"{node.where}: {name} is {kind}; expected {', '.join(FLOATS)}", path=path
        )
    if kind != "float32":
        node.notes.append(f"{name} was {kind} and became float32")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(value, np.float32)


def _check_shapes(node: Node, path: str | None) -> None:
    W, R, D, G = node.weights["W"], node.weights["R"], len(node.reverse), GATES[node.cell]
    H = node.given.get("hidden_size", R.shape[-1] if R.ndim == 3 else -1)
    features = W.shape[-1] if W.ndim == 3 else -1
    wanted = {
        "W": (D, G * H, features),
        "R": (D, G * H, H),
        "B": (D, 2 * G * H),
        "P": (D, 3 * H),
    }
    for name, array in node.weights.items():
        if array.shape != wanted[name] or 0 in array.shape:
            raise FormatError(
                f"{node.where}: {name} has the shape {list(array.shape)}; expected "
                f"{list(wanted[name])} of {D} directions, hidden size {H} and {features} inputs",
                path=path,
            )


def _state(constants: Constants, found: Found, actual: str, node: Node) -> Any:
    """Rows [D, H] of a state that is the same for every sequence, "zero", or "free"."""
    if constants.is_zero(found.scope, actual):
        return "zero"
    value = constants.value(found.scope, actual)
    if value is None:
        scope, maker, _ = constants.source_of(found.scope, actual)
        if getattr(maker, "op_type", "") != "Expand":
            return "free"
        value = constants.value(scope, maker.input[0])
    if value is None or value.ndim != 3 or value.dtype.kind != "f":
        return "free"
    value = value.swapaxes(0, 1) if node.given.get("layout", 0) else value
    same = value.shape[1] > 0 and (value == value[:, :1]).all()
    fits = value.shape[0] == len(node.reverse) and math.prod(value.shape[2:]) == node.H
    return np.ascontiguousarray(value[:, 0], np.float32) if same and fits else "free"
