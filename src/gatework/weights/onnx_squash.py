"""Activations and layer norm in standard operators, for the bodies of loops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from gatework.weights.onnx_activations import NAMES, UNCLIPPED, Full
from gatework.weights.onnx_graph import Graph

EPSILON = 1e-5  # inside the root of layer norm
_WITH_ALPHA = ("leaky_relu", "thresholded_relu", "elu")


def squash(graph: Graph, kind: Full, a: str) -> str:
    """The activation of `a`."""
    name, alpha, beta = kind
    if name in UNCLIPPED:
        kept = graph.add("Clip", a, graph.constant(-alpha), graph.constant(alpha))
        return graph.add(NAMES[UNCLIPPED[name]], kept)
    if name == "affine":
        return graph.add("Add", graph.add("Mul", a, graph.constant(alpha)), graph.constant(beta))
    if name == "scaled_tanh":
        inner = graph.add("Tanh", graph.add("Mul", a, graph.constant(beta)))
        return graph.add("Mul", inner, graph.constant(alpha))
    if name == "hard_sigmoid":
        return graph.add(NAMES[name], a, alpha=alpha, beta=beta)
    if name in _WITH_ALPHA:
        return graph.add(NAMES[name], a, alpha=alpha)
    return graph.add(NAMES[name], a)


def normalised(graph: Graph, a: str, gain: ArrayLike, sizes: Sequence[int]) -> str:
    """Layer norm of the last axis in groups of these sizes, times the gain."""
    groups = [a]
    if len(sizes) > 1:
        groups = [*graph.add_many("Split", len(sizes), a, graph.integers(*sizes), axis=-1)]
    done = [_normalised(graph, group, size) for group, size in zip(groups, sizes, strict=True)]
    whole = done[0] if len(done) == 1 else graph.add("Concat", *done, axis=-1)
    return graph.add("Mul", whole, graph.constant(gain, "gain"))


def _normalised(graph: Graph, a: str, size: int) -> str:
    share = graph.constant(1.0 / size)

    def mean(v: str) -> str:
        return graph.add("Mul", graph.add("ReduceSum", v, graph.integers(-1)), share)

    apart = graph.add("Sub", a, mean(a))
    variance = mean(graph.add("Mul", apart, apart))
    root = graph.add("Sqrt", graph.add("Add", variance, graph.constant(np.float32(EPSILON))))
    return graph.add("Div", apart, root)
