"""The squashing functions: ONNX's set (operators LSTM, GRU and RNN) and what their `clip` makes of sigmoid and tanh.

Each with its slope as a function of its output, because that is what forward keeps. At a kink the slope is the one
stated in `Activation.slope`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gatework.errors import OptionError
from gatework.reference.steps import Array

DEFAULTS: dict[str, tuple[float, float]] = {  # name: alpha, beta
    "sigmoid": (0.0, 0.0),
    "tanh": (0.0, 0.0),
    "relu": (0.0, 0.0),
    "affine": (1.0, 0.0),
    "leaky_relu": (0.01, 0.0),
    "thresholded_relu": (1.0, 0.0),
    "scaled_tanh": (1.0, 1.0),
    "hard_sigmoid": (0.2, 0.5),
    "elu": (1.0, 0.0),
    "softsign": (0.0, 0.0),
    "softplus": (0.0, 0.0),
    "clipped_sigmoid": (1.0, 0.0),
    "clipped_tanh": (1.0, 0.0),
}
BOUNDED = ("clipped_sigmoid", "clipped_tanh")
Given = str | tuple[str] | tuple[str, float] | tuple[str, float, float]


class Activation(NamedTuple):
    """A function of the set with its constants; call it with the sum before the gate."""

    name: str
    alpha: float
    beta: float

    def __call__(self, x: Array) -> Array:
        """The value y at x."""
        name, alpha, beta = self
        if name == "sigmoid":
            return sigmoid(x)
        if name == "tanh":
            return np.tanh(x)
        if name == "relu":
            return np.where(x > 0, x, 0.0)
        if name == "affine":
            return alpha * x + beta
        if name == "leaky_relu":
            return np.where(x > 0, x, alpha * x)
        if name == "thresholded_relu":
            return np.where(x > alpha, x, 0.0)
        if name == "scaled_tanh":
            return alpha * np.tanh(beta * x)
        if name == "hard_sigmoid":
            return np.clip(alpha * x + beta, 0.0, 1.0)
        if name == "elu":
            return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))
        if name == "softsign":
            return x / (1.0 + np.abs(x))
        if name == "clipped_sigmoid":
            return sigmoid(np.clip(x, -alpha, alpha))
        if name == "clipped_tanh":
            return np.tanh(np.clip(x, -alpha, alpha))
        return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))  # softplus: log(1 + e^x)

    def slope(self, y: Array) -> Array:
        """dy/dx where the value is y."""
        name, alpha, beta = self
        if name == "sigmoid":
            return y * (1.0 - y)
        if name == "tanh":
            return 1.0 - y**2
        if name == "relu":
            return np.where(y > 0, 1.0, 0.0)  # 0 at 0
        if name == "affine":
            return np.full_like(y, alpha)
        if name == "leaky_relu":
            return np.where(y > 0, 1.0, alpha)  # alpha at 0
        if name == "thresholded_relu":
            return np.where(y != 0, 1.0, 0.0)
        if name == "scaled_tanh":
            return beta * (alpha - y**2 / alpha)
        if name == "hard_sigmoid":
            return np.where((y > 0) & (y < 1), alpha, 0.0)  # 0 at both ends
        if name == "elu":
            return np.where(y < 0, y + alpha, 1.0)  # 1 at 0
        if name == "softsign":
            return (1.0 - np.abs(y)) ** 2
        if name in BOUNDED:  # 0 at both ends
            low, high = self(np.array([-alpha, alpha]))
            inside = y * (1.0 - y) if name == "clipped_sigmoid" else 1.0 - y**2
            return np.where((y > low) & (y < high), inside, 0.0)
        return -np.expm1(-y)  # softplus: 1 - e^-y


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), written through tanh so that no exponential overflows."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def activation(given: Given) -> Activation:
    """Reads a name or (name, alpha[, beta]); what is not said has the default of `DEFAULTS`.

    Raises OptionError for an unknown name and for constants whose slope is no function of the output: alpha below 0
    (leaky_relu, thresholded_relu, elu), alpha 0 (scaled_tanh); and for alpha 0 or below where that is a bound.
    """
    name, *constants = (given,) if isinstance(given, str) else given
    if name not in DEFAULTS:
        raise OptionError(f"activation {name!r} is unknown; choose among {', '.join(DEFAULTS)}")
    alpha, beta = (*constants, *DEFAULTS[name][len(constants) :])
    if name in ("leaky_relu", "thresholded_relu", "elu") and not alpha >= 0:
        raise OptionError(f"{name} has alpha={alpha}; alpha must be 0 or more")
    if name in BOUNDED and not alpha > 0:
        raise OptionError(f"{name} has alpha={alpha}; alpha must be over 0")
    if name == "scaled_tanh" and alpha == 0:
        raise OptionError("scaled_tanh has alpha=0, which is the constant 0; choose another alpha")
    return Activation(name, alpha, beta)


def activations(given: tuple[Given, ...], default: tuple[str, ...]) -> tuple[Activation, ...]:
    """The activations of a cell in its order; `default` where none is given."""
    if len(given) not in (0, len(default)):
        raise OptionError(f"{len(given)} activations given, this cell has {len(default)}")
    return tuple(activation(one) for one in given or default)
