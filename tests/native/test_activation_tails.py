"""Activations where their value is tiny: relative accuracy, through a cell whose products are zero."""

import numpy as np
import pytest

from gatework import native
from gatework.reference.activations import activation

PLACES = np.concatenate([np.linspace(-80, 20, 4001), np.linspace(-1e-3, 1e-3, 101)])


@pytest.mark.parametrize("name", ["softplus", "elu", "softsign", "tanh"])
def test_small_values_are_relatively_exact(name: str, instruction_set: str) -> None:
    bias = PLACES.astype(np.float32)
    H = bias.size
    weights = (np.zeros((H, 1), np.float32), np.zeros((H, H), np.float32), bias)
    found = native.rnn_forward(np.zeros((1, 1, 1)), weights, activations=(name,)).y[0, 0]
    expected = activation(name)(bias.astype(np.float64))
    wrong = np.abs(found - expected)
    assert (wrong <= 5e-7 * np.abs(expected) + 1e-38).all(), bias[np.argmax(wrong)]
