"""Every recurrent operator of a model, also in the bodies of If, Loop and Scan and in the model's own functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from gatework.errors import FormatError
from gatework.weights.onnx_constants import Scope
from gatework.weights.onnx_file import Source
from gatework.weights.onnx_gates import OPERATORS
from gatework.weights.onnx_package import onnx

_DEEPEST = 50  # graphs within graphs, and functions that call functions
_MOST = 1_000_000  # nodes that are looked at
_STANDARD = ("", "ai.onnx")


class Found(NamedTuple):
    """One operator: its name with those of the nodes around it, the node, and what it sees."""

    name: str
    node: Any
    scope: Scope


def recurrent_nodes(source: Source, values: Mapping[str, NDArray[Any]]) -> list[Found]:
    """The recurrent operators of a model in the order of its nodes.

    Args:
        source: the model.
        values: of the graph's inputs, where they are known.

    Raises:
        FormatError: graphs or functions lie too deep in each other, or are too many.
    """
    walk = _Walk(source)
    scope = _scope(source.model.graph, None)
    scope.values = values
    found: dict[str, Found] = {}
    for one in walk.nodes(source.model.graph.node, scope, "", 0):
        name, k = one.name, 2
        while name in found:
            name, k = f"{one.name} ({k})", k + 1
        found[name] = one._replace(name=name)
    return list(found.values())


def _scope(graph: Any, around: Scope | None) -> Scope:
    scope = Scope(around=around, nodes=_makers(graph.node))
    scope.tensors = {tensor.name: tensor for tensor in graph.initializer}
    if around is not None:
        scope.attributes = around.attributes
    return scope


def _makers(nodes: Iterable[Any]) -> dict[str, Any]:
    return {name: node for node in nodes for name in node.output if name}


class _Walk:
    def __init__(self, source: Source):
        self.path = source.path
        self.functions = {(one.domain, one.name): one for one in source.model.functions}
        self.seen = 0

    def nodes(self, nodes: Iterable[Any], scope: Scope, place: str, depth: int) -> Iterator[Found]:
        """The operators among these nodes and in what they hold."""
        if depth > _DEEPEST:
            raise FormatError(
                f"graphs or functions lie over {_DEEPEST} deep in each other", path=self.path
            )
        for node in nodes:
            self.seen += 1
            if self.seen > _MOST:
                raise FormatError(f"the model calls over {_MOST} nodes", path=self.path)
            name = f"{place}{_name(node)}"
            if node.domain in _STANDARD and node.op_type in OPERATORS.values():
                yield Found(name, node, scope)
            for graph in _graphs(node):
                yield from self.nodes(graph.node, _scope(graph, scope), f"{name}/", depth + 1)
            function = self.functions.get((node.domain, node.op_type))
            if function is not None:
                inner = _call(function, node, scope)
                yield from self.nodes(function.node, inner, f"{name}/", depth + 1)


def _name(node: Any) -> str:
    """Its own name, or that of its first output; protobuf gives what is no text as bytes."""
    name = node.name or next((one for one in node.output if one), node.op_type)
    return name if isinstance(name, str) else repr(name)


def _graphs(node: Any) -> Iterator[Any]:
    kinds = onnx().AttributeProto
    for one in node.attribute:
        if one.type == kinds.GRAPH or one.HasField("g"):
            yield one.g
        yield from one.graphs


def _call(function: Any, node: Any, scope: Scope) -> Scope:
    inner = Scope(nodes=_makers(function.node))
    pairs = zip(function.input, node.input, strict=False)
    inner.bound = {formal: (scope, actual) for formal, actual in pairs if actual}
    inner.attributes = {one.name: one for one in function.attribute_proto}
    for one in node.attribute:
        actual = scope.attributes.get(one.ref_attr_name) if one.ref_attr_name else one
        if actual is not None:
            inner.attributes[one.name] = actual
    return inner
