"""Random stacks of every cell, whose gates, layers and directions all differ, and what two stacks have in common."""

from typing import Any

import numpy as np

from gatework.native import Direction, Stack, Weights
from gatework.native.options import numbers_of
from gatework.native.weights import weight_shapes
from gatework.weights.features import options_of

CELLS = ("lstm", "gru", "rnn")
I, H = 3, 5  # noqa: E741
ALL = ("b_ih", "b_hh")  # the weights that every framework may have


def random_stack(
    cell: Any,
    *,
    layers: int = 1,
    directions: int = 1,
    having: tuple[str, ...] = ALL,
    P: int = 0,
    sizes: tuple[int, ...] = (),
    width: int = I,
    seed: int = 0,
    scale: float = 0.5,
    residual: bool = False,
    masked_output: Any = "zero",
    **options: Any,
) -> Stack:
    """A stack with the named weights beside those that it needs, all of them standard normal times scale."""
    draw = np.random.default_rng(seed)
    found = []
    for k in range(layers):
        units = (sizes or (H,) * layers)[k]
        shapes = weight_shapes(cell, numbers_of(cell, options), width, units, P)
        wanted = {"w_ih", "w_hh", "gain_ih", "gain_hh", "gain_c", *having} | (
            {"w_hr"} if P else set()
        )
        found.append(
            tuple(
                Direction(
                    Weights(**{
                        name: (scale * draw.standard_normal(shape)).astype(np.float32)
                        for name, shape in shapes.items()
                        if name in wanted
                    }),
                    options,
                    d == 1,
                )
                for d in range(directions)
            )
        )  # fmt: skip
        width = directions * (P or units)
    return Stack(cell, tuple(found), residual, masked_output)


def alike(found: Stack, expected: Stack, *, bias: str = "both") -> None:
    """Weights, options and order equal, bit for bit.

    bias: "both", or "sum" where the other side had one bias, which returns in b_ih with b_hh zero or absent.
    """
    assert (found.cell, found.residual, found.masked_output) == (
        expected.cell,
        expected.residual,
        expected.masked_output,
    )
    assert len(found.layers) == len(expected.layers)
    for mine, theirs in zip(found.layers, expected.layers, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert a.reverse == b.reverse
            assert options_of(found.cell, a.options) == options_of(found.cell, b.options)
            assert_weights(a.weights, b.weights, bias)


def assert_weights(found: Weights, expected: Weights, bias: str) -> None:
    for name in Weights._fields:
        a, b = getattr(found, name), getattr(expected, name)
        if bias == "sum" and name == "b_hh":
            assert a is None or not np.asarray(a).any()
            continue
        if bias == "sum" and name == "b_ih" and b is not None and expected.b_hh is not None:
            b = np.asarray(b) + np.asarray(expected.b_hh)
        assert (a is None) == (b is None), name
        if a is not None:
            np.testing.assert_array_equal(a, b, name)


def answers(stack: Stack, seed: int = 5) -> list[Any]:
    """y and the last states for sequences of different lengths."""
    draw = np.random.default_rng(seed)
    found = stack(draw.standard_normal((6, 3, stack.input_size)), lengths=[6, 0, 4])
    return [found.y, *found.h_n, *found.c_n]


def assert_same_bits(found: Stack, expected: Stack) -> None:
    for a, b in zip(answers(found), answers(expected), strict=True):
        np.testing.assert_array_equal(a, b)
