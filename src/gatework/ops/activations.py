"""The activations that a gate can have, ONNX's set and two with its `clip`, in torch operations.

ONNX operators LSTM, GRU and RNN, attribute `activations`; the default constants are ours. What autograd gives at a kink
is the kernels' and part of the meaning (hard_sigmoid 0 at both ends, elu 1 at 0): a kernel knows only the output.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from gatework.ops.family import Activation

DEFAULTS: dict[str, tuple[float, ...]] = {
    "sigmoid": (),
    "tanh": (),
    "relu": (),
    "affine": (1.0, 0.0),
    "leaky_relu": (0.01,),
    "thresholded_relu": (1.0,),
    "scaled_tanh": (1.0, 1.0),
    "hard_sigmoid": (0.2, 0.5),
    "elu": (1.0,),
    "softsign": (),
    "softplus": (),
    "clipped_sigmoid": (1.0,),
    "clipped_tanh": (1.0,),
}
"""Each name and the defaults of its constants; their order is the kernels' numbering."""


def activation(name: str, *constants: float) -> Activation:
    """The named one, with its default constants where none are given.

    Example:
        >>> activation("hard_sigmoid", 1 / 6)
        Activation(name='hard_sigmoid', alpha=0.16666666666666666, beta=0.5)
    """
    own = (*constants, *DEFAULTS[name][len(constants) :])
    alpha, beta = (*own, 0.0, 0.0)[:2]
    return Activation(name, alpha, beta)


def apply(kind: Activation, a: Tensor) -> Tensor:
    """The activation of `a`, in any shape.

    sigmoid 1/(1+e^-a); tanh; relu max(0, a); affine alpha a + beta; leaky_relu a or alpha a where a < 0;
    thresholded_relu a where a > alpha, else 0; scaled_tanh alpha tanh(beta a); hard_sigmoid alpha a + beta held in
    [0, 1]; elu a or alpha (e^a - 1) where a < 0; softsign a/(1+|a|); softplus log(1+e^a); clipped_sigmoid and
    clipped_tanh of a held in [-alpha, alpha].
    """
    name, alpha, beta = kind
    if name == "sigmoid":
        return a.sigmoid()
    if name == "tanh":
        return a.tanh()
    if name == "relu":
        return a.relu()
    if name == "affine":
        return alpha * a + beta
    if name == "leaky_relu":
        return functional.leaky_relu(a, alpha)
    if name == "thresholded_relu":
        return torch.where(a <= alpha, 0.0, a)  # NaN stays NaN
    if name == "scaled_tanh":
        return alpha * (beta * a).tanh()
    if name == "hard_sigmoid":
        return functional.hardtanh(alpha * a + beta, 0.0, 1.0)  # clamp has a derivative at its ends
    if name == "elu":
        # torch's elu has derivative alpha at 0; the inner bound keeps e^a of the branch not taken finite
        return torch.where(a < 0, alpha * a.clamp(max=0.0).expm1(), a)
    if name == "softsign":
        return a / (1 + a.abs())
    if name == "softplus":
        return functional.softplus(a, threshold=40.0)  # torch's 20 leaves an error of 2e-9
    if name == "clipped_sigmoid":
        return functional.hardtanh(a, -alpha, alpha).sigmoid()
    if name == "clipped_tanh":
        return functional.hardtanh(a, -alpha, alpha).tanh()
    raise ValueError(f"{name!r} is not an activation; there are {', '.join(DEFAULTS)}")
