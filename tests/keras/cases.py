"""Pairs of layers with the same weights: Keras's own, which judges, and ours."""

from typing import Any

import keras
import numpy as np
import torch
from torch import Tensor

import gatework.keras

PAIRS = {
    "LSTM": (keras.layers.LSTM, gatework.keras.LSTM),
    "GRU": (keras.layers.GRU, gatework.keras.GRU),
    "SimpleRNN": (keras.layers.SimpleRNN, gatework.keras.SimpleRNN),
}
N, T, I, H = 5, 7, 3, 6  # noqa: E741


def pair(kind: str, units: int = H, features: int = I, **arguments: Any) -> tuple[Any, Any]:
    """Keras's layer and ours, with weights of which no two gates are alike."""
    theirs, ours = (made(units, **arguments) for made in PAIRS[kind])
    draw = np.random.default_rng(7)
    for layer in (theirs, ours):
        layer.build((N, T, features))
    theirs.set_weights([draw.standard_normal(w.shape) * 0.5 for w in theirs.get_weights()])
    ours.set_weights(theirs.get_weights())
    return theirs, ours


def input_of(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(3).standard_normal(shape).astype(np.float32))


MASKS = {
    "right": [[1, 1, 1, 0, 0, 0, 0], [1] * 7, [1, 1, 1, 1, 1, 1, 0], [1] + [0] * 6, [1] * 7],
    "left": [[0, 0, 0, 0, 1, 1, 1], [1] * 7, [0, 1, 1, 1, 1, 1, 1], [0] * 6 + [1], [1] * 7],
    "interior": [[1, 0, 1, 0, 0, 1, 1], [0, 1, 0, 1, 0, 1, 0], [1] * 7, [1, 1, 1, 0, 0, 0, 1], [0, 1, 1, 1, 0, 1, 1]],
    "a row of nothing": [[0] * 7, [1] * 7, [1, 1, 0, 0, 0, 0, 0], [0] * 7, [0, 0, 1, 1, 0, 0, 0]],
}  # fmt: skip


def mask_of(name: str) -> Tensor:
    return torch.tensor(MASKS[name], dtype=torch.bool)


def flat(answer: Any) -> list[Tensor]:
    return list(keras.tree.flatten(answer))


def alike(found: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Within 1e-5 of the largest magnitude."""
    for a, b in zip(flat(found), flat(expected), strict=True):
        scale = max(float(b.detach().abs().max()), 1e-3) if b.numel() else 1.0
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance * scale)


def answers_and_gradients(layer: Any, x: Tensor, **call: Any) -> list[Tensor]:
    """What a call gives, and the gradients of a sum that looks at each number differently."""
    x = x.clone().requires_grad_()
    answer = flat(layer(x, **call))
    loss = sum((v * torch.linspace(-1, 1, v.numel()).reshape(v.shape)).sum() for v in answer)
    weights = [w.value for w in layer.trainable_weights]
    return [*answer, *torch.autograd.grad(loss, [x, *weights], allow_unused=False)]  # type: ignore[arg-type]
