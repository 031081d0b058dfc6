"""The network of `forecast_network.py` in ONNX operators: y = W_s x + W_h LSTM(relu(conv(x))) + f(known ahead).

The LSTM is the standard operator with lengths: the steps that happen are moved to the front first, in their order,
which leaves its last state as it is.
"""

from __future__ import annotations

import numpy as np

from gatework.native import Direction, Stack, Weights
from gatework.runtime.forecast_network import CONTEXT, ForecastNetwork
from gatework.weights.onnx_graph import Graph
from gatework.weights.onnx_layers import steps_of, write_layers
from gatework.weights.onnx_loop import States

_FLOAT, _INT32 = 1, 6  # of TensorProto

Pair = tuple[str, str]  # values, 0 where missing, and bool flags of what is there


def write_network(graph: Graph, network: ForecastNetwork, past: Pair, known: Pair | None) -> str:
    """Writes the network.

    Args:
        graph: that is written.
        network: with its weights.
        past: float64 and bool [N, L, C], targets first.
        known: float64 and bool [N, Hh, K].

    Returns:
        The name of the outputs, float32 [N, Hh, M, outputs].
    """
    return _Writer(graph, network).write(past, known)


class _Writer:
    def __init__(self, graph: Graph, network: ForecastNetwork):
        self.graph, self.sizes, self.state = graph, network.sizes, network.state

    def write(self, past: Pair, known: Pair | None) -> str:
        g, sizes = self.graph, self.sizes
        values = g.add("Cast", past[0], to=_FLOAT)
        x, seen = self._read(values, past[1])  # [B, L, F] and float [B, L], B = N*M
        if sizes.conv_kernel:
            x, seen = self._convolved(x, seen)
        state = self._last_state(x, seen)  # [B, H]
        y = self._linear("head", state)
        y = g.add("Reshape", y, g.integers(-1, sizes.horizon, sizes.outputs))  # [B, Hh, outputs]
        if sizes.skip:
            own = g.add("Transpose", self._columns(values, 0, sizes.targets), perm=(0, 2, 1))
            own = g.add("Reshape", own, g.integers(-1, sizes.input_length))
            y = g.add("Add", y, g.add("Unsqueeze", self._linear("skip", own), g.integers(2)))
        if known is not None:
            y = g.add("Add", y, self._ahead(state, known))
        whole = g.integers(-1, sizes.targets, sizes.horizon, sizes.outputs)
        return g.add("Transpose", g.add("Reshape", y, whole), perm=(0, 2, 1, 3))

    def _columns(self, v: str, first: int, last: int) -> str:
        g = self.graph
        return g.add("Slice", v, g.integers(first), g.integers(last), g.integers(2))

    def _read(self, values: str, mask: str) -> Pair:
        """What the LSTM reads for each target, and which steps were observed."""
        g, M, others = self.graph, self.sizes.targets, self.sizes.covariates
        flags = g.add("Cast", mask, to=_FLOAT)
        last = g.integers(3)
        pair = [g.add("Unsqueeze", self._columns(v, 0, M), last) for v in (values, flags)]
        own = g.add("Transpose", g.add("Concat", *pair, axis=3), perm=(0, 2, 1, 3))  # [N, M, L, 2]
        there = self._columns(flags, 0, M)
        if others:
            rest = [self._columns(v, M, M + others) for v in (values, flags)]
            shared = g.add("Unsqueeze", g.add("Concat", *rest, axis=2), g.integers(1))
            shared = g.add("Expand", shared, g.integers(1, M, 1, 1))  # [N, M, L, 2(C-M)]
            own = g.add("Concat", own, shared, axis=3)
            count = g.add("ReduceSum", rest[1], g.integers(2), keepdims=1)
            there = g.add("Add", there, count)
        length = self._length(values, 1)
        x = g.add("Reshape", own, self._shape(-1, length, 2 * (1 + others)))
        there = g.add("Transpose", there, perm=(0, 2, 1))
        return x, g.add("Reshape", there, self._shape(-1, length))

    def _convolved(self, x: str, seen: str) -> Pair:
        """relu(conv(x)) [B, T, channels], and whether a kernel saw anything [B, T]."""
        g, kernel, stride = self.graph, self.sizes.conv_kernel, self.sizes.conv_stride
        pads = self._pads(x)
        shape = {"kernel_shape": [kernel], "strides": [stride]}
        wide = g.add("Pad", g.add("Transpose", x, perm=(0, 2, 1)), pads)
        names = ("conv.weight", "conv.bias")
        weights = [g.constant(self.state[name], name) for name in names]
        y = g.add("Relu", g.add("Conv", wide, *weights, **shape))
        flags = g.add("Pad", g.add("Unsqueeze", seen, g.integers(1)), pads)
        there = g.add("Squeeze", g.add("MaxPool", flags, **shape), g.integers(1))
        return g.add("Transpose", y, perm=(0, 2, 1)), there

    def _pads(self, x: str) -> str:
        """Steps put in front, so that the last steps fill the last kernel: `Sizes.padding` for any length."""
        g, kernel, stride = self.graph, self.sizes.conv_kernel, self.sizes.conv_stride
        if self.sizes.skip:
            return g.integers(0, 0, self.sizes.padding, 0, 0, 0)
        length, width = self._length(x, 1), g.integers(kernel)
        short = g.add("Sub", g.add("Max", width, length), width)
        missing = g.add("Sub", g.add("Max", width, length), length)
        rest = g.add("Mod", g.add("Neg", short), g.integers(stride))
        front = g.add("Add", missing, rest)
        return g.add("Concat", g.integers(0, 0), front, g.integers(0, 0, 0), axis=0)

    def _last_state(self, x: str, seen: str) -> str:
        """The last layer's state after the last step that happened [B, H]."""
        g = self.graph
        happens = g.add("Greater", seen, g.constant(0.0))
        lengths = g.add("Cast", happens, to=_INT32)
        lengths = g.add("ReduceSum", lengths, g.integers(1), keepdims=0)
        front = self._to_the_front(x, happens)
        front = g.add("Transpose", front, perm=(1, 0, 2))  # [T, B, F]
        stack = self._stack()
        steps = steps_of(g, front, lengths)
        _, last = write_layers(g, stack, front, steps, [States()] * len(stack.layers))
        return g.add("Squeeze", last[-1].h, g.integers(0))

    def _to_the_front(self, x: str, happens: str) -> str:
        """Steps that happen first, all in their order [B, T, F]."""
        g = self.graph
        length = self._length(x, 1)
        zero, one = (g.constant(k, dtype=np.int64) for k in (0, 1))
        times = g.add("Range", zero, g.add("Squeeze", length), one)
        early = g.add("Sub", length, times)  # T .. 1, over the 0 .. -T of those that do not
        rank = g.add("Where", happens, early, g.add("Neg", times))
        order = g.add_many("TopK", 2, rank, length, axis=1, largest=1, sorted=1)[1]
        order = g.add("Unsqueeze", order, g.integers(2))
        return g.add("GatherElements", x, g.add("Expand", order, g.add("Shape", x)), axis=1)

    def _stack(self) -> Stack:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        layers = [
            (Direction(Weights(*(self.state[f"lstm.{name}_l{k}"] for name in names))),)
            for k in range(self.sizes.num_layers)
        ]
        return Stack("lstm", tuple(layers))

    def _ahead(self, state: str, known: Pair) -> str:
        """What the covariates known over the horizon add [B, Hh, outputs]."""
        g, M, Hh = self.graph, self.sizes.targets, self.sizes.horizon
        both = [g.add("Cast", each, to=_FLOAT) for each in known]
        steps = self._linear("ahead.step", g.add("Concat", *both, axis=2))  # [N, Hh, 32]
        steps = g.add("Expand", g.add("Unsqueeze", steps, g.integers(1)), g.integers(1, M, 1, 1))
        steps = g.add("Reshape", steps, g.integers(-1, Hh, CONTEXT))
        context = g.add("Unsqueeze", self._linear("ahead.context", state), g.integers(1))
        return self._linear("ahead.out", g.add("Relu", g.add("Add", steps, context)))

    def _linear(self, name: str, x: str) -> str:
        g = self.graph
        weight, bias = (self.state[f"{name}.{part}"] for part in ("weight", "bias"))
        product = g.add("MatMul", x, g.constant(weight.T, f"{name}.weight"))
        return g.add("Add", product, g.constant(bias, f"{name}.bias"))

    def _length(self, x: str, axis: int) -> str:
        """The size of an axis, int64 [1]."""
        return self.graph.add("Gather", self.graph.add("Shape", x), self.graph.integers(axis))

    def _shape(self, first: int, length: str, *rest: int) -> str:
        g = self.graph
        parts = [g.integers(first), length, *([g.integers(*rest)] if rest else [])]
        return g.add("Concat", *parts, axis=0)
