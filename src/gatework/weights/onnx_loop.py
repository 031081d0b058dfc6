"""One direction of one layer as a Scan over its steps, for the options that ONNX's recurrent operators lack.

Layer norm, projection, a bound of the cell, zoneout (its expectation) and mixed clipping; the equations and their order
are those of `gatework.layers`. The products of the input stand before the loop.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from gatework.native.recurrent import Cell
from gatework.native.stack import Direction
from gatework.native.weights import Checked
from gatework.weights.onnx_activations import full
from gatework.weights.onnx_graph import Graph
from gatework.weights.onnx_squash import normalised, squash


class Run(NamedTuple):
    """Names of the outputs [T, N, D*R] and of the last states [D, N, R] and [D, N, H]; c is empty without a cell."""

    y: str
    h: str
    c: str


class States(NamedTuple):
    """Names of h and c; empty: zeros, or no c."""

    h: str = ""
    c: str = ""


def write_loop(
    graph: Graph, cell: Cell, one: Direction, checked: Checked, x: str, happens: str, before: States
) -> Run:
    """Writes the loop.

    Args:
        graph: that is written.
        cell: "lstm", "gru" or "rnn".
        one, checked: the direction, and its weights.
        x: [T, N, I].
        happens: bool [T, N, 1]; empty: every step.
        before: states [1, N, R] and [1, N, H].
    """
    loop = _Loop(Graph(graph.name("loop") + "_", graph), cell, one, checked)
    body = loop.write(masked=bool(happens))
    sums = loop.input_sums(graph, x)
    widths = (checked.R, checked.H)[: len(loop.states)]
    first = [_first(graph, x, state, width) for state, width in zip(before, widths, strict=False)]
    scanned = [sums, *([happens] if happens else [])]
    way = [int(one.reverse)]
    found = graph.add_many(
        "Scan", len(first) + 1, *first, *scanned, body=body, num_scan_inputs=len(scanned),
        scan_input_directions=way * len(scanned), scan_output_directions=way,
    )  # fmt: skip
    last = [graph.add("Unsqueeze", state, graph.integers(0)) for state in found[:-1]]
    return Run(found[-1], last[0], last[1] if len(last) > 1 else "")


def _first(graph: Graph, x: str, state: str, width: int) -> str:
    """The state before the first step [N, width]."""
    if state:
        return graph.add("Squeeze", state, graph.integers(0))
    rows = graph.add("Gather", graph.add("Shape", x), graph.integers(1))
    shape = graph.add("Concat", rows, graph.integers(width), axis=0)
    return graph.add("Expand", graph.constant(np.zeros((1, width))), shape)


class _Loop:
    """The body: what one step computes."""

    def __init__(self, graph: Graph, cell: Cell, one: Direction, checked: Checked):
        self.graph, self.cell, self.checked = graph, cell, checked
        self.options: dict[str, Any] = dict(one.options)
        self.squash = [partial(squash, graph, kind) for kind in full(cell, one.options)]
        self.states = ("h", "c") if cell == "lstm" else ("h",)

    def input_sums(self, graph: Graph, x: str) -> str:
        """W x and the biases that do not depend on the step's h [T, N, G*H]."""
        arrays, H = self.checked.arrays, self.checked.H
        sums = graph.add("MatMul", x, graph.constant(arrays["w_ih"].T, "w_ih"))
        if "gain_ih" in arrays:
            groups = (2 * H, H) if self.cell == "gru" else (self.checked.G * H,)
            sums = normalised(graph, sums, arrays["gain_ih"], groups)
        if self.cell == "rnn" and "gain_hh" in arrays:
            return sums  # its bias comes after the norm of the whole sum
        biases = [arrays[name] for name in self._early if name in arrays]
        return graph.add("Add", sums, graph.constant(sum(biases), "bias")) if biases else sums

    @property
    def _early(self) -> tuple[str, ...]:
        return ("b_ih",) if self.cell == "gru" else ("b_ih", "b_hh")

    def write(self, masked: bool) -> Any:
        """The body's graph: states, sums and flag in; states and output out."""
        g, R, H = self.graph, self.checked.R, self.checked.H
        widths = dict(zip(self.states, (R, H), strict=False))
        before = [g.take_in(g.name(k), np.float32, ("N", w)) for k, w in widths.items()]
        sums = g.take_in(g.name("sums"), np.float32, ("N", self.checked.G * H))
        on = g.take_in(g.name("on"), np.bool_, ("N", 1)) if masked else ""
        after = {"lstm": self._lstm, "gru": self._gru, "rnn": self._rnn}[self.cell](sums, *before)
        after = [self._zoned(k, *pair) for k, *pair in zip(self.states, before, after, strict=True)]
        y = after[0]
        if on:
            after = [g.add("Where", on, *pair) for pair in zip(after, before, strict=True)]
            y = g.add("Where", on, y, g.constant(0.0))
        for value, width in zip((*after, y), (*widths.values(), R), strict=True):
            g.give_out(value, g.name("out"), np.float32, ("N", width))
        return g.body(g.name("body"))

    def _lstm(self, sums: str, h: str, c: str) -> tuple[str, str]:
        g, coupled = self.graph, bool(self.options.get("coupled"))
        product = self._norm(self._product(h, self._array("w_hh")), "gain_hh", self.checked.G)
        gates = self._apart(g.add("Add", sums, product), self.checked.G)
        (a_i, a_g, a_o), a_f = gates if coupled else (gates[0], *gates[2:]), gates[1]
        p_i, p_f, p_o = self._peepholes(coupled)
        gate, candidate, output = self.squash
        i = gate(self._peep(a_i, p_i, c))
        f = g.add("Sub", g.constant(1.0), i) if coupled else gate(self._peep(a_f, p_f, c))
        new = g.add("Add", g.add("Mul", f, c), g.add("Mul", i, candidate(a_g)))
        clip = self.options.get("cell_clip")
        if clip is not None:
            new = g.add("Clip", new, g.constant(-clip), g.constant(clip))
        read = self._norm(new, "gain_c", 1)
        if "bias_c" in self.checked.arrays:
            read = g.add("Add", read, g.constant(self._array("bias_c")))
        out = g.add("Mul", gate(self._peep(a_o, p_o, new)), output(read))
        return (self._product(out, self._array("w_hr")) if self.checked.P else out), new

    def _gru(self, sums: str, h: str) -> tuple[str]:
        g, H, w = self.graph, self.checked.H, self._array("w_hh")
        after = bool(self.options.get("reset_after", True))
        gate, candidate = self.squash
        x_rz, x_n = g.add_many("Split", 2, sums, g.integers(2 * H, H), axis=1)
        product = self._norm(self._product(h, w[: 2 * H]), "gain_hh", 2, slice(0, 2 * H))
        both = gate(g.add("Add", g.add("Add", x_rz, product), self._bias(slice(0, 2 * H))))
        r, z = self._apart(both, 2)
        met = self._product(h if after else g.add("Mul", r, h), w[2 * H :])
        met = self._norm(met, "gain_hh", 1, slice(2 * H, None))
        met = g.add("Add", met, self._bias(slice(2 * H, None)))
        n = candidate(g.add("Add", x_n, g.add("Mul", r, met) if after else met))
        return (g.add("Add", n, g.add("Mul", z, g.add("Sub", h, n))),)

    def _rnn(self, sums: str, h: str) -> tuple[str]:
        g = self.graph
        a = g.add("Add", sums, self._product(h, self._array("w_hh")))
        if "gain_hh" in self.checked.arrays:
            a = self._norm(a, "gain_hh", 1)
            if "b_ih" in self.checked.arrays:
                a = g.add("Add", a, g.constant(self._array("b_ih")))
        return (self.squash[0](a),)

    def _array(self, name: str) -> Any:
        return self.checked.arrays[name]

    def _apart(self, a: str, gates: int) -> tuple[str, ...]:
        sizes = self.graph.integers(*[self.checked.H] * gates)
        return self.graph.add_many("Split", gates, a, sizes, axis=1)

    def _product(self, v: str, w: Any) -> str:
        return self.graph.add("MatMul", v, self.graph.constant(w.T, "w"))

    def _bias(self, rows: slice) -> str:
        b = self.checked.arrays.get("b_hh", np.zeros(3 * self.checked.H, np.float32))
        return self.graph.constant(b[rows], "bias")

    def _norm(self, v: str, gain: str, gates: int, rows: slice = slice(None)) -> str:
        if gain not in self.checked.arrays:
            return v
        return normalised(self.graph, v, self._array(gain)[rows], (gates * self.checked.H,))

    def _peepholes(self, coupled: bool) -> tuple[Any, ...]:
        if "peephole" not in self.checked.arrays:
            return (None, None, None)
        parts = np.split(self._array("peephole"), 2 if coupled else 3)
        return (parts[0], None, parts[1]) if coupled else tuple(parts)

    def _peep(self, a: str, weights: Any, c: str) -> str:
        if weights is None:
            return a
        g = self.graph
        return g.add("Add", a, g.add("Mul", c, g.constant(weights, "peephole")))

    def _zoned(self, state: str, old: str, new: str) -> str:
        share = self.options.get(f"zoneout_{state}", 0.0)
        if not share:
            return new
        g = self.graph
        kept = g.add("Mul", old, g.constant(share))
        return g.add("Add", kept, g.add("Mul", new, g.constant(1.0 - share)))
