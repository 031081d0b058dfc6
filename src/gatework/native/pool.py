"""Memory that is kept between calls: what a call no longer needs serves the next one without a page fault.

A block belongs to the array that was made of it and comes back when the array, and every tensor on it, is gone. What
lies idle is bounded by `GATEWORK_POOL_BYTES` (default 2 GiB); the rest is given back to the system.
"""

import os
from collections import deque
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gatework.errors import KernelError, OptionError, ShapeError
from gatework.native.library import load

_SMALLEST = 4096
_idle: dict[int, "deque[int]"] = {}  # append and pop are atomic: a finalizer may run at any time
_idle_bytes = 0  # nearly
_given = 0
_RECOUNT = 256


def _limit_of(text: str) -> int:
    if not text.isdecimal():
        raise OptionError(
            f"GATEWORK_POOL_BYTES is {text!r}; expected a whole number of bytes, 0 or more"
        )
    return int(text)


_limit = _limit_of(os.environ.get("GATEWORK_POOL_BYTES") or str(2 << 30))


def size_class(nbytes: int) -> int:
    """The block size for `nbytes`: at most an eighth larger, so that lengths that vary a little share blocks."""
    if nbytes <= _SMALLEST:
        return _SMALLEST
    step = 1 << max(12, (nbytes - 1).bit_length() - 4)
    return (nbytes + step - 1) // step * step


def take(nbytes: int) -> int:
    """The address of at least `nbytes` of uninitialised memory, aligned to 64; `give` it back with the same size.

    Raises:
        KernelError: there is no memory left.
    """
    global _idle_bytes
    size = size_class(nbytes)
    blocks = _idle.get(size)
    if blocks:
        try:
            address = blocks.pop()
        except IndexError:  # another thread was faster
            pass
        else:
            _idle_bytes -= size
            return address
    address = _memory_take()(size) if size < 1 << 63 else 0
    if not address:
        raise KernelError(f"no memory left for {size} bytes")
    return address


def give(address: int, nbytes: int) -> None:
    """Takes a block back: kept for the next call, or returned to the system above the limit."""
    global _idle_bytes, _given
    size = size_class(nbytes)
    _given += 1
    if _given % _RECOUNT == 0 or _idle_bytes + size > _limit:
        _idle_bytes = pooled_bytes()  # threads that meet in a sum lose one of its terms
    if _idle_bytes + size > _limit:
        _memory_give()(address)
        return
    _idle_bytes += size
    _idle.setdefault(size, deque()).append(address)


class _Block:
    """Owns one block for as long as an array refers to it."""

    __slots__ = ("__array_interface__", "address", "nbytes")

    def __init__(self, shape: tuple[int, ...], dtype: "np.dtype[Any]"):
        self.nbytes = prod(shape) * dtype.itemsize
        self.address = take(self.nbytes)
        self.__array_interface__ = {
            "shape": shape,
            "typestr": dtype.str,
            "data": (self.address, False),
            "version": 3,
        }

    def __del__(self) -> None:
        address = getattr(self, "address", 0)
        if address and give is not None:  # at interpreter exit the module may be gone
            give(address, self.nbytes)


def pooled(shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """An uninitialised array whose memory comes from the pool and returns to it.

    Args:
        shape: of the array.
        dtype: of its elements.

    Returns:
        A C-contiguous array aligned to 64 bytes.

    Raises:
        KernelError: there is no memory left.
        ShapeError: the elements are Python objects.

    >>> pooled((2, 3)).shape
    (2, 3)
    """
    of_elements = np.dtype(dtype)
    if of_elements.hasobject:
        raise ShapeError(f"dtype is {of_elements}; expected numbers, not Python objects")
    return np.asarray(_Block(shape, of_elements))


def pooled_bytes() -> int:
    """Bytes that lie idle in the pool now."""
    return sum(size * len(blocks) for size, blocks in list(_idle.items()))


def release_pool() -> None:
    """Gives all idle memory back to the system."""
    global _idle_bytes
    for size, blocks in list(_idle.items()):
        while blocks:
            try:
                address = blocks.pop()
            except IndexError:
                break
            _idle_bytes -= size
            _memory_give()(address)


def _memory_take() -> Any:
    import ctypes

    function = load().gw_memory_take
    function.restype = ctypes.c_void_p
    function.argtypes = [ctypes.c_int64]
    return function


def _memory_give() -> Any:
    import ctypes

    function = load().gw_memory_give
    function.restype = None
    function.argtypes = [ctypes.c_void_p]
    return function
