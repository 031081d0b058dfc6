"""Flax computes with what `to_flax` gives, and what its own layers are born with arrives here; needs flax and jax.

They are no part of the test environment (750 MB); CONTRIBUTING.md says how to run this file.
"""

from typing import Any

import pytest

from gatework import weights
from gatework.weights.flax_cells import FUNCTIONS
from tests.weights.stacks import CELLS, random_stack

jax = pytest.importorskip("jax", reason="Flax and jax are larger than all that the tests install")
flax = pytest.importorskip("flax", reason="Flax and jax are larger than all that the tests install")
LINEN = ("LSTMCell", "OptimizedLSTMCell", "GRUCell", "SimpleCell")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [2])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("form", ["linen", "nnx"])
@pytest.mark.parametrize("having", [(), ("b_ih", "b_hh")])
def test_flax_answers_alike(
    cell: str, layers: int, directions: int, form: Any, having: tuple[str, ...]
) -> None:
    if cell == "gru" and form == "nnx":
        having = having[:1]
    stack = random_stack(cell, layers=layers, directions=directions, having=having)
    out = weights.to_flax(stack, form=form)
    assert out.compared.difference < 5e-6 and out.compared.largest > 0.05
    assert out.compared.judge.startswith("Flax")


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_functions(cell: str, name: str) -> None:
    count = {"lstm": 3, "gru": 2, "rnn": 1}[cell]
    stack = random_stack(cell, activations=(FUNCTIONS[name],) * count, scale=0.2)
    out = weights.to_flax(stack)
    assert out.compared.difference < 5e-6 * max(1, out.compared.largest)


@pytest.mark.parametrize("name", LINEN)
def test_what_linen_makes(name: str) -> None:
    from flax import linen

    x = jax.numpy.ones((2, 7, 3))
    rnn = linen.RNN(getattr(linen, name)(4, bias_init=linen.initializers.normal()))
    both = linen.Bidirectional(rnn, rnn.copy())
    for layer in (rnn, both):
        found = weights.from_flax(layer.init(jax.random.key(1), x))
        assert found.compared.difference < 5e-6
        y = layer.apply(layer.init(jax.random.key(1), x), x)
        ours = found.result(x.transpose(1, 0, 2)).y.transpose(1, 0, 2)
        assert abs(ours - y).max() < 1e-6


@pytest.mark.parametrize("name", LINEN)
def test_what_nnx_makes(name: str) -> None:
    from flax import nnx

    bias = nnx.initializers.normal()
    cell = getattr(nnx, name)(3, 4, rngs=nnx.Rngs(2), bias_init=bias)
    rnn = nnx.RNN(cell, rngs=nnx.Rngs(0))
    for state in (nnx.state(cell), nnx.state(rnn), nnx.state(rnn, nnx.Param)):
        found = weights.from_flax(state)
        assert found.compared.difference < 5e-6
    x = jax.random.normal(jax.random.key(0), (2, 7, 3))
    ours = found.result(x.transpose(1, 0, 2)).y.transpose(1, 0, 2)
    assert abs(ours - rnn(x)).max() < 1e-6
