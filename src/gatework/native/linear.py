"""The linear layer's kernels: y = x W^T + b and its gradients on arrays.

Layouts and what is summed in which order: kernels/include/gatework/linear.h. The `*_at` functions take addresses and
trust them; the others take arrays and check them.
"""

import ctypes
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.errors import ShapeError
from gatework.native import pool
from gatework.native.arrays import at, converted, shaped
from gatework.native.library import check, load
from gatework.native.threads import threads_of_call

Floats = NDArray[np.float32]


class Layout(NamedTuple):
    """Sizes and strides of one call; strides count floats, a last axis is contiguous."""

    M: int
    K: int
    V: int
    x_row: int
    y_row: int


class Gradients(NamedTuple):
    """Every gradient of a linear layer."""

    dx: Floats  # [M, K]
    dw: Floats  # [V, K]
    db: Floats  # [V]


class _Shape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in Layout._fields] + [("threads", ctypes.c_int32)]


_POINTERS = {"forward": 6, "backward": 8}


@cache
def _functions(direction: str) -> tuple[Any, Any]:
    """The function of a direction and the one that says how much scratch it needs."""
    library = load()
    scratch_bytes = library[f"gw_linear_{direction}_scratch_bytes"]
    scratch_bytes.argtypes = [ctypes.c_void_p]
    scratch_bytes.restype = ctypes.c_int64
    function = library[f"gw_linear_{direction}_f32"]
    function.argtypes = [ctypes.c_void_p] * _POINTERS[direction]
    return function, scratch_bytes


@lru_cache(
    maxsize=256
)  # a layer is called with few sizes, and making this costs as much as a small product
def _shape(direction: str, layout: Layout, threads: int) -> tuple[_Shape, int, int]:
    """The structure that the kernels read, its address, and the scratch bytes of a call."""
    shape = _Shape(*layout, threads)
    address = ctypes.addressof(shape)
    nbytes = _functions(direction)[1](address)
    if nbytes < 0:
        raise ShapeError(
            f"the linear kernel does not take M, K, V = {layout[:3]} with rows {layout[3:]} apart: "
            "a size is negative or too large, or rows overlap"
        )
    return shape, address, nbytes


def _call(direction: str, layout: Layout, threads: int, arrays: tuple[int, ...]) -> None:
    shape, address, nbytes = _shape(direction, layout, threads)
    scratch = pool.take(nbytes)
    try:
        status = _functions(direction)[0](address, *arrays, scratch)
    finally:
        pool.give(scratch, nbytes)
    del shape  # lived as long as its address was used
    if status:
        check(status, f"linear {direction}")


def forward_at(layout: Layout, threads: int, *, x: int, w: int, b: int, y: int) -> None:
    """y = x W^T + b; every argument is an address, b may be 0.

    Raises:
        ShapeError: a size is negative or too large, or rows overlap.
        KernelError: the library refused the call.
    """
    _call("forward", layout, threads, (x, w, b, y))


def backward_at(
    layout: Layout, threads: int, *, x: int, w: int, dy: int, dx: int, dw: int, db: int
) -> None:
    """The gradients; addresses, 0 where a gradient is not wanted. dx is dense.

    Raises:
        ShapeError: a size is negative or too large, or rows overlap.
        KernelError: the library refused the call.
    """
    _call("backward", layout, threads, (x, w, dy, dx, dw, db))


def linear_forward(
    x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None, *, threads: int | None = None
) -> Floats:
    """y = x W^T + b.

    Args:
        x: [M, K].
        w: [V, K].
        b: [V]; zeros when absent.
        threads: upper limit; `get_num_threads()` when absent.

    Returns:
        [M, V].

    Raises:
        ShapeError: a shape does not fit.
        KernelError: the library is not available.

    >>> linear_forward(np.ones((2, 3)), np.ones((4, 3))).tolist()
    [[3.0, 3.0, 3.0, 3.0], [3.0, 3.0, 3.0, 3.0]]
    """
    rows, weight, layout = _prepared(x, w)
    bias = shaped(b, (layout.V,), "b")
    y = np.empty((layout.M, layout.V), np.float32)
    forward_at(layout, threads_of_call(threads), x=at(rows), w=at(weight), b=at(bias), y=at(y))
    return y


def linear_backward(
    dy: ArrayLike, x: ArrayLike, w: ArrayLike, *, threads: int | None = None
) -> Gradients:
    """dx = dy W, dW = dy^T x, db = the sum of dy over its rows.

    Args:
        dy: [M, V].
        x, w: as `linear_forward` had them.
        threads: upper limit; `get_num_threads()` when absent.

    Raises:
        ShapeError: a shape does not fit.
        KernelError: the library is not available.

    >>> linear_backward(np.ones((2, 4)), np.ones((2, 3)), np.ones((4, 3))).db.tolist()
    [2.0, 2.0, 2.0, 2.0]
    """
    rows, weight, layout = _prepared(x, w)
    M, K, V = layout[:3]
    sent = shaped(dy, (M, V), "dy")
    found = Gradients(*(np.empty(size, np.float32) for size in ((M, K), (V, K), (V,))))
    addresses = {name: at(array) for name, array in found._asdict().items()}
    backward_at(
        layout, threads_of_call(threads), x=at(rows), w=at(weight), dy=at(sent), **addresses
    )
    return found


def _prepared(x: ArrayLike, w: ArrayLike) -> tuple[Floats, Floats, Layout]:
    rows, weight = converted(x, "x"), converted(w, "w")
    if rows.ndim != 2 or weight.ndim != 2 or rows.shape[1] != weight.shape[1]:
        raise ShapeError(
            f"x has shape {list(rows.shape)} and w {list(weight.shape)}; expected [M, K] and [V, K]"
        )
    (M, K), V = rows.shape, weight.shape[0]
    if K == 0 or V == 0:
        raise ShapeError(f"w has shape {list(weight.shape)}; expected at least one row and column")
    return rows, weight, Layout(M, K, V, K, V)
