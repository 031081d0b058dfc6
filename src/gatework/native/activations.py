"""The kernels' own sigmoid and tanh over an array; relative error at most 2e-7 (header: gatework/activations.h)."""

import ctypes

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.native.arrays import at, converted
from gatework.native.library import check, load


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
