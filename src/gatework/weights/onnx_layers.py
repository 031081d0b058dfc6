"""Layers as ONNX's standard LSTM, GRU and RNN operators, with what stands around them: joined directions, residuals,
rows of length 0, repeated last outputs.

One operator per layer; a direction whose options no operator has becomes a loop (`onnx_loop.py`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gatework.native.recurrent import Cell
from gatework.native.stack import Direction, Stack
from gatework.native.weights import Checked
from gatework.weights.onnx_activations import attributes
from gatework.weights.onnx_gates import OPERATORS, to_operator
from gatework.weights.onnx_graph import Graph
from gatework.weights.onnx_loop import Run, States, write_loop


class Steps(NamedTuple):
    """Names of what says which steps happen."""

    lengths: str  # int32 [N]
    happens: str  # bool [T, N, 1]
    idle: str  # bool [1, N, 1], rows of length 0


def loop_reason(cell: Cell, one: Direction, checked: Checked) -> str | None:
    """The first option of a direction that no standard operator has; None: an operator has them all."""
    if checked.P:
        return "projection"
    for name in ("layer_norm", "cell_clip", "zoneout_h", "zoneout_c"):
        if one.options.get(name):
            return name
    if attributes(cell, one.options) is None:
        return "activations of which only some are clipped"
    return None


def steps_of(graph: Graph, x: str, lengths: str) -> Steps:
    """Which steps happen, from lengths int32 [N]."""
    count = graph.add("Squeeze", graph.add("Gather", graph.add("Shape", x), graph.integers(0)))
    zero, one = (graph.constant(k, dtype=np.int64) for k in (0, 1))
    times = graph.add("Unsqueeze", graph.add("Range", zero, count, one), graph.integers(1, 2))
    wide = graph.add("Cast", lengths, to=7)  # int64
    rows = graph.add("Unsqueeze", wide, graph.integers(0, 2))  # [1, N, 1]
    return Steps(lengths, graph.add("Less", times, rows), graph.add("Equal", rows, zero))


def write_layers(
    graph: Graph, stack: Stack, x: str, steps: Steps | None, before: list[States]
) -> tuple[str, list[States]]:
    """Writes every layer; returns y [T, N, D*R] of the last, and the last states of each [D, N, .]."""
    last: list[States] = []
    y = x
    for k, (layer, checked) in enumerate(zip(stack.layers, stack.checked, strict=True)):
        run = _layer(graph, stack.cell, layer, checked, y, steps, before[k])
        y = _added(graph, run.y, y, steps) if stack.residual else run.y
        last.append(States(run.h, run.c))
    if stack.masked_output == "carry" and steps is not None:
        y = _carried(graph, y, steps, stack)
    return y, last


def _layer(
    graph: Graph,
    cell: Cell,
    layer: tuple[Direction, ...],
    checked: tuple[Checked, ...],
    x: str,
    steps: Steps | None,
    before: States,
) -> Run:
    loops = [loop_reason(cell, *pair) for pair in zip(layer, checked, strict=True)]
    if not any(loops) and _is_one_operator(cell, layer):
        return _operator(graph, cell, layer, checked, x, steps, before)
    runs: list[Run] = []
    for d, (one, own, loop) in enumerate(zip(layer, checked, loops, strict=True)):
        first = States(*(_part(graph, state, d, len(layer)) for state in before))
        if loop:
            happens = steps.happens if steps else ""
            runs.append(write_loop(graph, cell, one, own, x, happens, first))
        else:
            runs.append(_operator(graph, cell, (one,), (own,), x, steps, first))
    return Run(
        *(_joined(graph, names, axis) for names, axis in zip(zip(*runs, strict=True), (-1, 0, 0), strict=True))
    )  # fmt: skip


def _is_one_operator(cell: Cell, layer: tuple[Direction, ...]) -> bool:
    if len(layer) == 1:
        return True
    marks = [
        (attributes(cell, one.options), one.options.get("coupled", False), one.options.get("reset_after", True))
        for one in layer
    ]  # fmt: skip
    same = {(mark[0].clip if mark[0] else None, *mark[1:]) for mark in marks}
    return len(same) == 1 and [one.reverse for one in layer] == [False, True]


def _operator(
    graph: Graph,
    cell: Cell,
    layer: tuple[Direction, ...],
    checked: tuple[Checked, ...],
    x: str,
    steps: Steps | None,
    before: States,
) -> Run:
    D, H = len(layer), checked[0].H
    each = [
        to_operator(cell, own.arrays, bool(one.options.get("coupled")))
        for one, own in zip(layer, checked, strict=True)
    ]
    weights = {name: _stacked(graph, each, name) for name in ("W", "R", "B", "P")}
    inputs = [x, weights["W"], weights["R"], weights["B"], steps.lengths if steps else "", before.h]
    if cell == "lstm":
        inputs += [before.c, weights["P"]]
    while not inputs[-1]:
        inputs.pop()
    outputs = 3 if cell == "lstm" else 2
    name = graph.name(OPERATORS[cell])
    said = _said(cell, layer, H)
    y, *states = graph.add_many(OPERATORS[cell], outputs, *inputs, name=name, **said)
    if D == 1:
        y = graph.add("Squeeze", y, graph.integers(1))  # [T, N, H]
    else:
        y = graph.add("Transpose", y, perm=(0, 2, 1, 3))  # [T, N, D, H]
        y = graph.add("Reshape", y, graph.integers(0, 0, D * H))
    if steps is not None:  # a runtime may answer zeros where no step happens
        states = [
            graph.add("Where", steps.idle, old, new) if old else new
            for old, new in zip(before, states, strict=False)
        ]
    return Run(y, *states, *([""] if cell != "lstm" else []))


def _said(cell: Cell, layer: tuple[Direction, ...], H: int) -> dict[str, Any]:
    """The operator's attributes that are not at their defaults, and hidden_size."""
    way = "bidirectional" if len(layer) == 2 else "reverse" if layer[0].reverse else "forward"
    said: dict[str, Any] = {"hidden_size": H, "direction": way}
    each = [found for one in layer if (found := attributes(cell, one.options)) is not None]
    usual = attributes(cell, {})
    if any(one[:3] != usual[:3] for one in each if usual):
        said["activations"] = [name for one in each for name in one.activations]
        said["activation_alpha"] = [value for one in each for value in one.alpha] or None
        said["activation_beta"] = [value for one in each for value in one.beta] or None
    said["clip"] = each[0].clip
    if layer[0].options.get("coupled"):
        said["input_forget"] = 1
    if cell == "gru":
        said["linear_before_reset"] = int(layer[0].options.get("reset_after", True))
    return {name: value for name, value in said.items() if value is not None}


def _stacked(graph: Graph, each: list[dict[str, Any]], name: str) -> str:
    """One weight of all directions [D, ...]; zeros in a direction that lacks it, empty where all do."""
    there = [one[name] for one in each if name in one]
    if not there:
        return ""
    nothing = np.zeros_like(there[0])
    return graph.constant(np.stack([one.get(name, nothing) for one in each]), name)


def _part(graph: Graph, state: str, d: int, D: int) -> str:
    if not state or D == 1:
        return state
    return graph.add("Slice", state, graph.integers(d), graph.integers(d + 1), graph.integers(0))


def _joined(graph: Graph, names: tuple[str, ...], axis: int) -> str:
    if not names[0] or len(names) == 1:
        return names[0]
    return graph.add("Concat", *names, axis=axis)


def _added(graph: Graph, y: str, x: str, steps: Steps | None) -> str:
    both = graph.add("Add", y, x)
    return graph.add("Where", steps.happens, both, graph.constant(0.0)) if steps else both


def _carried(graph: Graph, y: str, steps: Steps, stack: Stack) -> str:
    """After the last step of a row, its output there; the backward direction meets nothing before those steps."""
    parts = [y]
    if stack.directions > 1:
        sizes = graph.integers(*(own.R for own in stack.checked[-1]))
        parts = [*graph.add_many("Split", stack.directions, y, sizes, axis=-1)]
    done = [
        part if one.reverse else _repeated(graph, part, steps)
        for part, one in zip(parts, stack.layers[-1], strict=True)
    ]
    return _joined(graph, tuple(done), -1)


def _repeated(graph: Graph, y: str, steps: Steps) -> str:
    one, zero = graph.constant(1, dtype=np.int64), graph.constant(0, dtype=np.int64)
    rows = graph.add("Unsqueeze", graph.add("Cast", steps.lengths, to=7), graph.integers(0, 2))
    place = graph.add("Max", graph.add("Sub", rows, one), zero)  # [1, N, 1]
    wide = graph.add("Slice", graph.add("Shape", y), graph.integers(1), graph.integers(3))
    shape = graph.add("Concat", graph.integers(1), wide, axis=0)
    last = graph.add("GatherElements", y, graph.add("Expand", place, shape), axis=0)  # [1, N, R]
    last = graph.add("Where", steps.idle, graph.constant(0.0), last)
    return graph.add("Where", steps.happens, y, last)
