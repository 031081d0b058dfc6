"""Values of a model that do not depend on its inputs: initializers, Constant nodes, and what is cut out of them.

Only operators that move values are followed, each written here in NumPy; nothing else of a model is computed. Depth and
memory are bounded, so that a model that repeats itself ends in a `FormatError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.errors import FormatError
from gatework.weights.onnx_file import Source
from gatework.weights.onnx_moves import MOVES, Attributes
from gatework.weights.onnx_package import onnx
from gatework.weights.onnx_tensors import array_of

DEEPEST = 60  # nodes between a weight and its constant
_MOST = 1 << 33  # bytes of all constants of one node
_ROOM = 1 << 20
_SHARE = 16  # copies of the constants that may be made on the way
_PASSED_ON = (
    "Expand",
    "Tile",
    "Gather",
)  # move values too, but into sizes that may depend on the inputs


@dataclass(eq=False)
class Scope:
    """The names that a node sees.

    Attributes:
        values: given by the caller.
        tensors: initializers by name.
        nodes: what computes a name.
        bound: inputs of a function: the caller's scope and name.
        around: scope of the graph around a subgraph.
        attributes: of the call, which a function's nodes refer to.
    """

    values: Mapping[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])
    tensors: dict[str, Any] = field(default_factory=dict[str, Any])
    nodes: dict[str, Any] = field(default_factory=dict[str, Any])
    bound: dict[str, tuple[Scope, str]] = field(default_factory=dict[str, Any])
    around: Scope | None = None
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])


class Constants:
    """The constants of one node; what was read is kept until the node is done."""

    def __init__(self, source: Source):
        self.source = source
        self._found: dict[tuple[int, str], NDArray[Any] | None] = {}
        self._zero: dict[tuple[int, str], bool] = {}
        self._read = self._made = 0

    def value(self, scope: Scope, name: str, depth: int = 0) -> NDArray[Any] | None:
        """The value of a name; None where it depends on the model's inputs.

        Raises:
            FormatError: a tensor is damaged, a chain is too long, or it takes too much memory.
        """
        key = (id(scope), name)
        if key not in self._found:
            self._found[key] = self._value(scope, name, depth)
        return self._found[key]

    def source_of(self, scope: Scope, name: str) -> tuple[Scope, Any, str]:
        """Where a name comes from: a scope, and there the array, tensor or node; None for an input."""
        for _ in range(DEEPEST):
            for kind in (scope.values, scope.tensors, scope.nodes):
                if name in kind:
                    return scope, kind[name], name
            if name in scope.bound:
                scope, name = scope.bound[name]
            elif scope.around is not None:
                scope = scope.around
            else:
                return scope, None, name
        raise self._error(f"{name!r} is handed through more than {DEEPEST} graphs")

    def is_zero(self, scope: Scope, name: str, depth: int = 0) -> bool:
        """Whether a value is zero everywhere, whatever its sizes."""
        key = (id(scope), name)
        if key not in self._zero:
            self._zero[key] = False  # where it comes round in a circle
            self._zero[key] = self._is_zero(scope, name, depth)
        return self._zero[key]

    def _is_zero(self, scope: Scope, name: str, depth: int) -> bool:
        known = self.value(scope, name)
        if known is not None:
            return not known.any()
        scope, node, _ = self.source_of(scope, name)
        if node is None or depth > DEEPEST:
            return False
        if node.op_type == "ConstantOfShape":
            given = self.attributes(scope, node).get("value")
            return given is None or not array_of(given, self.source).any()
        if node.op_type not in (*MOVES, *_PASSED_ON) or not node.input:
            return False
        parts = node.input if node.op_type == "Concat" else node.input[:1]
        return all(self.is_zero(scope, part, depth + 1) for part in parts)

    def attributes(self, scope: Scope, node: Any) -> Attributes:
        """The attributes of a node by name, those that refer to a function's call replaced.

        Raises:
            FormatError: one has a type that ONNX does not know.
        """
        found: Attributes = {}
        for one in node.attribute:
            actual = scope.attributes.get(one.ref_attr_name) if one.ref_attr_name else one
            if actual is None:
                continue
            try:
                found[one.name] = onnx("helper").get_attribute_value(actual)
            except ValueError as error:
                raise self._error(f"the attribute {one.name!r} cannot be read") from error
        return found

    def _value(self, scope: Scope, name: str, depth: int) -> NDArray[Any] | None:
        if depth > DEEPEST:
            raise self._error(f"{name!r} is computed in a circle, or in over {DEEPEST} steps")
        scope, origin, name = self.source_of(scope, name)
        if origin is None:
            return None
        if isinstance(origin, np.ndarray):
            return origin
        if not hasattr(origin, "op_type"):
            return self._tensor(origin)
        if origin.op_type == "Constant":
            return self._constant(scope, origin)
        if origin.op_type not in MOVES or origin.domain not in ("", "ai.onnx"):
            return None
        return self._moved(scope, origin, name, depth)

    def _tensor(self, tensor: Any) -> NDArray[Any]:
        found = array_of(tensor, self.source)
        self._read += found.nbytes
        self._need(0)
        return found

    def _constant(self, scope: Scope, node: Any) -> NDArray[Any]:
        given = self.attributes(scope, node)
        if "value" in given and hasattr(given["value"], "dims"):
            return self._tensor(given["value"])
        for name, dtype in (("int", np.int64), ("float", np.float32)):
            for key in (f"value_{name}", f"value_{name}s"):
                if key in given:
                    return np.asarray(given[key], dtype)
        raise self._error("a Constant holds neither numbers nor a tensor")

    def _moved(self, scope: Scope, node: Any, name: str, depth: int) -> NDArray[Any] | None:
        parts = [self.value(scope, part, depth + 1) if part else None for part in node.input]
        if any(part is None and given for part, given in zip(parts, node.input, strict=True)):
            return None
        if not parts or parts[0] is None:
            raise self._error(f"{node.op_type} has no input")
        self._need(sum(part.nbytes for part in parts if part is not None))
        move: Callable[..., list[NDArray[Any]]] = MOVES[node.op_type]
        try:
            made = move(parts, self.attributes(scope, node), len(node.output))
            found = np.ascontiguousarray(made[list(node.output).index(name)])
        except (ValueError, IndexError, TypeError, KeyError, OverflowError) as error:
            raise self._error(f"{node.op_type} of {name!r} does not fit: {error}") from error
        self._made += found.nbytes
        return found

    def _need(self, more: int) -> None:
        made = self._made + more
        if made > _SHARE * self._read + _ROOM or self._read > _MOST:
            raise self._error(
                "the weights of a node take far more memory than the model's constants"
            )

    def _error(self, message: str) -> FormatError:
        return FormatError(message, path=self.source.path)
