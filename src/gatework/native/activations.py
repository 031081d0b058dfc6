"""The activations that a cell may have, by name, and the kernels' own sigmoid and tanh over an array.

The set is ONNX's, and what its `clip` makes of sigmoid and tanh. Relative error of sigmoid and tanh: at most 2e-7
(header: gatework/activations.h).
"""

import ctypes
import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.errors import OptionError
from gatework.native.arrays import at, converted
from gatework.native.library import check, load
from gatework.options import nearest

Activation: TypeAlias = str | tuple[Any, ...]  # a name, or (name, alpha[, beta])


class Kind(NamedTuple):
    """Number of an activation in the kernels, and the parameters that it has."""

    number: int
    defaults: tuple[float, ...] = ()  # alpha, beta


KINDS = {
    "sigmoid": Kind(0),
    "tanh": Kind(1),
    "relu": Kind(2),
    "affine": Kind(3, (1.0, 0.0)),  # alpha x + beta
    "leaky_relu": Kind(4, (0.01,)),  # alpha x below 0
    "thresholded_relu": Kind(5, (1.0,)),  # 0 up to alpha
    "scaled_tanh": Kind(6, (1.0, 1.0)),  # alpha tanh(beta x)
    "hard_sigmoid": Kind(7, (0.2, 0.5)),  # alpha x + beta, kept in 0..1
    "elu": Kind(8, (1.0,)),  # alpha (exp(x) - 1) below 0
    "softsign": Kind(9),
    "softplus": Kind(10),
    "clipped_sigmoid": Kind(11, (1.0,)),  # sigmoid of x kept in -alpha..alpha
    "clipped_tanh": Kind(12, (1.0,)),  # tanh of x kept in -alpha..alpha
}
_BOUNDED = ("clipped_sigmoid", "clipped_tanh")
_NOT_NEGATIVE = ("leaky_relu", "thresholded_relu", "elu")  # the derivative is told from the output


def kind_of(activation: Activation) -> tuple[int, float, float]:
    """Number of the kind, alpha and beta of an activation.

    Args:
        activation: a name, or a tuple of the name, alpha and where there is one beta; absent ones have their defaults.

    Raises:
        OptionError: the name is not known, or a parameter is not allowed; the message says which and why.

    >>> kind_of(("leaky_relu", 0.1))
    (4, 0.1, 0.0)
    """
    name, *given = (activation,) if isinstance(activation, str) else activation
    if not isinstance(name, str) or name not in KINDS:
        raise OptionError(f"there is no activation {name!r}; {nearest(str(name), KINDS)}")
    kind = KINDS[name]
    if len(given) > len(kind.defaults):
        most = ("no parameter", "alpha", "alpha and beta")[len(kind.defaults)]
        raise OptionError(f"{name} has {most}; received {', '.join(map(repr, given))}")
    alpha, beta, *_ = (*(_number(name, each) for each in given), *kind.defaults[len(given) :], 0, 0)
    if name in _NOT_NEGATIVE and alpha < 0:
        raise OptionError(f"{name} has alpha = {alpha}; expected 0 or more")
    if name in _BOUNDED and alpha <= 0:
        raise OptionError(f"{name} has alpha = {alpha}; expected a bound over 0")
    if name == "scaled_tanh" and alpha == 0:
        raise OptionError("scaled_tanh has alpha = 0; expected another number")
    return kind.number, float(alpha), float(beta)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise OptionError(f"{name} has the parameter {value!r}; expected a number")
    if not math.isfinite(value) or abs(value) > float(np.finfo(np.float32).max):
        raise OptionError(f"{name} has the parameter {value!r}; expected a finite number")
    return float(value)


def sigmoid(x: ArrayLike) -> NDArray[np.float32]:
    """1 / (1 + exp(-x)), as the gates compute it.

    Args:
        x: any shape; converted to float32.

    Returns:
        float32, the shape of `x`; relative error at most 2e-7 where the result is a normal number.

    Raises:
        ShapeError: `x` holds no numbers.
        KernelError: the library is not available.

    >>> float(sigmoid(0.0))
    0.5
    """
    return _apply("gw_sigmoid_f32", x)


def tanh(x: ArrayLike) -> NDArray[np.float32]:
    """tanh(x), as the candidate and the output compute it.

    Args:
        x: any shape; converted to float32.

    Returns:
        float32, the shape of `x`; relative error at most 2e-7 where the result is a normal number.

    Raises:
        ShapeError: `x` holds no numbers.
        KernelError: the library is not available.

    >>> float(tanh(0.0))
    0.0
    """
    return _apply("gw_tanh_f32", x)


def _apply(name: str, x: ArrayLike) -> NDArray[np.float32]:
    source = converted(x, "x")
    result = np.empty_like(source)
    pointer = ctypes.c_void_p
    status = load()[name](ctypes.c_int64(source.size), pointer(at(source)), pointer(at(result)))
    check(status, name)
    return result
