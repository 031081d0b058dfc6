"""Weights that pass through several houses return: bit-equal answers, and biases summed where a house had one."""

import numpy as np
import pytest

from gatework import weights
from gatework.weights.keras_cells import summed_bias
from tests.weights.stacks import CELLS, alike, assert_same_bits, random_stack


def through_torch(stack: weights.Stack) -> weights.Stack:
    return weights.from_torch(weights.to_torch(stack).result).result


def through_keras(stack: weights.Stack) -> weights.Stack:
    found = weights.from_keras(weights.to_keras(stack).result)
    parts = [each.result for each in (found.values() if isinstance(found, dict) else [found])]
    layers = tuple(layer for part in parts for layer in part.layers)
    return weights.Stack(stack.cell, layers, masked_output=parts[-1].masked_output)


def through_flax(stack: weights.Stack) -> weights.Stack:
    return weights.from_flax(weights.to_flax(stack).result).result


def through_onnx(stack: weights.Stack) -> weights.Stack:
    """One operator for each layer, in their order."""
    found = weights.from_onnx(weights.to_onnx(stack).result)
    return weights.Stack(stack.cell, tuple(each.result.layers[0] for each in found.values()))


CHAINS = {
    "torch, Keras": [through_torch, through_keras],
    "torch, ONNX": [through_torch, through_onnx],
    "torch, Keras, ONNX": [through_torch, through_keras, through_onnx],
    "ONNX, Keras": [through_onnx, through_keras],
    "torch, Flax": [through_torch, through_flax],
}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [2])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("having", [(), ("b_ih", "b_hh")])
@pytest.mark.parametrize("chain", CHAINS)
def test_a_journey_ends_where_it_began(
    cell: str, layers: int, directions: int, having: tuple[str, ...], chain: str
) -> None:
    stack = random_stack(cell, layers=layers, directions=directions, having=having, seed=9)
    found = stack
    for through in (*CHAINS[chain], through_torch):
        found = through(found)
    assert_same_bits(found, stack)
    if "Flax" not in chain:
        alike(found, stack, bias="sum" if "Keras" in chain and cell != "gru" and having else "both")
    for mine, theirs in zip(
        found.layers, stack.layers, strict=True
    ):  # Flax's cells always have biases
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(a.weights.w_ih, b.weights.w_ih)
            np.testing.assert_array_equal(a.weights.w_hh, b.weights.w_hh)
            sums = [summed_bias(one.weights) for one in (a, b)]
            np.testing.assert_array_equal(*(0.0 if each is None else each for each in sums))
