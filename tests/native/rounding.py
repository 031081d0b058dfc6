"""What the products of a precision read, repeated in NumPy: the weights, x and h as the kernels round them.

bfloat16: the upper half of a float32, rounded to nearest even. 8 bits: each row of W_ih and W_hh has a scale with which
its largest weight becomes 127; W_hr is not rounded. Not repeated: bfloat16's rounding of the gates' gradients in the
sums over all steps that are dW_ih, dW_hr and the biases' gradients.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.reference import products

MATRICES = ("w_ih", "w_hh", "w_hr")


def to_bfloat16(values: ArrayLike) -> NDArray[np.float32]:
    """The nearest bfloat16, ties to even; NaN stays NaN."""
    single = np.asarray(values, np.float32)
    bits = single.view(np.uint32)
    upper = (bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))) & np.uint32(
        0xFFFF0000
    )
    return np.where(np.isnan(single), single, upper.view(np.float32))


def to_8_bits(w: ArrayLike) -> NDArray[np.float64]:
    """Whole numbers of -127..127 times the scale of their row; w [rows, K]."""
    single = np.asarray(w, np.float32)
    most = np.abs(single).max(1, keepdims=True)
    scale = np.where(most > 0, most / np.float32(127), np.float32(1))
    return np.rint(single / scale) * scale.astype(np.float64)


def as_read(precision: str, name: str, values: Any) -> Any:
    """An array of the call, x or a weight by its name, as the products of this precision read it."""
    if values is None or precision == "float32" or name not in (*MATRICES, "x"):
        return values
    if precision == "int8_weights":
        return to_8_bits(values) if name in ("w_ih", "w_hh") else values
    return values if name == "x" and precision == "bfloat16_weights" else to_bfloat16(values)


class RoundsRows(np.ndarray[Any, np.dtype[np.float64]]):
    """A matrix that rounds to bfloat16 what it is multiplied with from the left, as W_hr, and W_ih backwards, do."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **words: Any) -> Any:
        read = [np.asarray(each) for each in inputs]
        if ufunc is np.matmul and isinstance(inputs[1], RoundsRows):
            read[0] = _rounded(read[0])
        return getattr(ufunc, method)(*read, **words)


def _rounded(values: Any) -> NDArray[np.float64]:
    return to_bfloat16(values).astype(float)


@contextmanager
def rounded_states(precision: str, module: ModuleType) -> Iterator[None]:
    """Within it, the reference of a cell multiplies W_hh with rounded h where this precision does."""
    if precision != "bfloat16":
        yield
        return

    def recurrent(h: Any, u: Any, drop: Any) -> Any:
        N, G, R = drop.shape
        read = _rounded(h[:, None] * drop)
        return np.einsum("nkr,khr->nkh", read, u.reshape(G, -1, R)).reshape(N, len(u))

    def recurrent_backward(d: Any, u: Any, drop: Any) -> Any:
        return products.recurrent_backward(_rounded(d), u, drop)

    def recurrent_weights(d: Any, h: Any, drop: Any) -> Any:
        T, N, rows = d.shape
        G, R = drop.shape[1:]
        read = _rounded(h[:, :, None] * drop)
        d = _rounded(d).reshape(T, N, G, rows // G)
        return np.einsum("tnkh,tnkr->khr", d, read).reshape(-1, R)

    with ExitStack() as stack:
        for function in (recurrent, recurrent_backward, recurrent_weights):
            stack.enter_context(mock.patch.object(module, function.__name__, function))
        yield
