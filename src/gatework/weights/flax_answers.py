"""What Flax answers to a question: its cells, linen's or nnx's, inside its own loop, on jax."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from gatework.native import Answer, Stack
from gatework.weights.compare import Question, compare, question
from gatework.weights.flax_cells import Params, functions_of
from gatework.weights.moved import Compared

_LINEN = {"lstm": "OptimizedLSTMCell", "gru": "GRUCell", "rnn": "SimpleCell"}


def compare_params(
    stack: Stack, params: list[list[Params]]
) -> tuple[Compared | None, tuple[str, ...]]:
    """Flax's cells with these parameters against the stack, and a note where Flax is not installed.

    Args:
        stack: ours.
        params: Flax's, by layer and direction.
    """
    absent = [name for name in ("flax", "jax") if find_spec(name) is None]
    if absent:
        return None, (f"not compared: {' and '.join(absent)} not installed",)
    flax, jax = import_module("flax"), import_module("jax")
    asked = question(stack)
    y: Any = asked.x
    h_n: list[Any] = []
    c_n: list[Any] = []
    with jax.default_matmul_precision("highest"):
        for k, layer in enumerate(params):
            sides: list[Any] = []
            for d, own in enumerate(layer):
                side, carry = _ask(stack, own, (k, d), asked._replace(x=y))
                sides.append(side)
                h_n.append(np.asarray(carry[-1]))
                c_n += [np.asarray(carry[0])] if stack.cell == "lstm" else []
            y = np.concatenate(sides, axis=-1)
    theirs = Answer(_cut(y, asked), tuple(h_n), tuple(c_n))
    return compare(stack, asked, theirs, f"Flax {flax.__version__} on jax {jax.__version__}"), ()


def _ask(stack: Stack, params: Params, place: tuple[int, int], asked: Question) -> tuple[Any, Any]:
    """y [T, N, H] and the carry of one direction: (c, h) or (h,)."""
    k, d = place
    one = stack.layers[k][d]
    at = k * stack.directions + d
    h0, c0 = (None if part is None else part[at] for part in (asked.h0, asked.c0))
    call: dict[str, Any] = {
        "initial_carry": h0 if c0 is None else (c0, h0),
        "seq_lengths": asked.lengths,
        "return_carry": True,
        "time_major": True,
        "reverse": one.reverse,
        "keep_order": True,
    }
    run = _nnx if "dense_i" in params or "if_" in params else _linen
    carry, y = run(stack, params, place, asked.x, call)
    return np.asarray(y), carry if isinstance(carry, tuple) else (carry,)


def _linen(stack: Stack, params: Params, place: tuple[int, int], x: Any, call: Any) -> Any:
    linen = import_module("flax.linen")
    k, d = place
    cell = getattr(linen, _LINEN[stack.cell])
    functions = _found(linen, functions_of(stack.cell, stack.layers[k][d]))
    rnn: Any = linen.RNN(cell(stack.hidden_sizes[k], **functions))
    return rnn.apply({"params": {"cell": params}}, x, **call)


def _nnx(stack: Stack, params: Params, place: tuple[int, int], x: Any, call: Any) -> Any:
    linen, nnx = import_module("flax.linen"), import_module("flax.nnx")
    k, d = place
    name = "LSTMCell" if "if_" in params else _LINEN[stack.cell]
    functions = _found(linen, functions_of(stack.cell, stack.layers[k][d]))
    sizes = (x.shape[-1], stack.hidden_sizes[k])
    cell: Any = getattr(nnx, name)(*sizes, rngs=nnx.Rngs(0), **functions)
    nnx.update(cell, {own: dict(inner) for own, inner in params.items()})
    return nnx.RNN(cell, rngs=nnx.Rngs(0))(x, **call)


def _found(linen: Any, names: dict[str, str]) -> dict[str, Any]:
    return {argument: getattr(linen, name) for argument, name in names.items()}


def _cut(y: Any, asked: Question) -> Any:
    """Zeros after a sequence's end, where Flax goes on computing."""
    assert asked.lengths is not None
    happens = np.arange(len(y))[:, None] < asked.lengths
    return np.where(happens[..., None], y, np.float32(0))
