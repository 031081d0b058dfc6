"""Dropout masks from the kernels' counter-based random numbers (Philox4x32-10).

Salmon, Moraes, Dror & Shaw 2011, Parallel random numbers: as easy as 1, 2, 3. Header: gatework/random.h.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.errors import OptionError
from gatework.native.arrays import at
from gatework.native.library import check, load
from gatework.native.options import seed_bits
from gatework.native.threads import threads_of_call


def dropout_mask(
    shape: tuple[int, ...], p: float, seed: int, threads: int | None = None
) -> NDArray[np.float32]:
    """Factors that drop an element with probability p and scale the others by 1/(1-p); the same for the same seed.

    Args:
        shape: of the mask.
        p: probability, 0 to 1; 1 drops all.
        seed: 64 bits, with or without a sign.
        threads: upper limit; `get_num_threads()` when absent; the result does not depend on it.

    Returns:
        float32, 0 or 1/(1-p).

    Raises:
        OptionError: p is no probability, or the seed is no whole number of 64 bits.
        KernelError: the library is not available.

    >>> float(dropout_mask((2, 3), 0.0, seed=7).sum())
    6.0
    """
    if not 0 <= p <= 1:
        raise OptionError(f"p is {p!r}; expected a probability, 0 to 1")
    mask = np.empty(shape, np.float32)
    dropout_at(mask.size, 0, p, seed, threads_of_call(threads), at(mask))
    return mask


def dropout_at(n: int, x: int, p: float, seed: int, threads: int, out: int) -> None:
    """The same on addresses of n floats: out = x * mask, or the mask where x is 0; out may be x.

    Raises:
        OptionError: the seed is no whole number of 64 bits.
        KernelError: p is no probability, or the library is not available.
    """
    check(_dropout()(n, x, p, seed_bits(seed) % (1 << 64), threads, out), "dropout")


@cache
def _dropout() -> Callable[..., int]:
    function: Any = load().gw_dropout_f32
    function.argtypes = [
        ctypes.c_int64, ctypes.c_void_p, ctypes.c_double, ctypes.c_uint64, ctypes.c_int32, ctypes.c_void_p,
    ]  # fmt: skip
    return function
