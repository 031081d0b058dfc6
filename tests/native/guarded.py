"""Arrays whose neighbourhood is watched: each lies between two bands of known bytes, and starts out as NaN.

A band holds NaN too, so that a value read from outside shows in the result; `check` finds a byte written there.
"""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

BAND = 1024  # bytes on each side: more than the widest tile overruns
PATTERN = np.uint32(0x7FC5A5A5)  # a NaN that no computation makes
BYTES = np.full(BAND, PATTERN).view(np.uint8)  # as long as any band


class Guarded:
    """Hands out arrays, and checks the bands of all of them."""

    def __init__(self) -> None:
        self._held: list[tuple[str, NDArray[np.uint8], int, int]] = []
        self._constant: list[tuple[str, NDArray[Any], bytes]] = []

    def empty(
        self, shape: tuple[int, ...], dtype: Any = np.float32, name: str = "", align: int = 4
    ) -> NDArray[Any]:
        """An array of bytes 0xff (as a float: NaN) whose address is a multiple of `align` and of no more."""
        nbytes = prod(shape) * np.dtype(dtype).itemsize
        memory = np.empty((2 * BAND + nbytes) // 4 + 64, np.uint32)
        memory[:] = PATTERN
        raw = memory.view(np.uint8)
        begin = BAND + (-(raw.ctypes.data + BAND)) % (2 * align) + align
        raw[begin : begin + nbytes] = 0xFF
        self._held.append((name, raw, begin, begin + nbytes))
        return raw[begin : begin + nbytes].view(dtype).reshape(shape)

    def constant(self, values: Any, dtype: Any = np.float32, name: str = "") -> NDArray[Any]:
        """A copy of `values` that nobody may change."""
        copy = self.empty(np.shape(values), dtype, name, align=np.dtype(dtype).alignment)
        copy[...] = values
        self._constant.append((name, copy, copy.tobytes()))
        return copy

    def freeze(self, array: NDArray[Any], name: str = "") -> None:
        """From now on `array` must stay as it is."""
        self._constant.append((name, array, array.tobytes()))

    def check(self) -> None:
        """Fails where a band or a constant was written to."""
        for name, raw, begin, end in self._held:
            after = slice(end % 4, end % 4 + raw.size - end)
            assert np.array_equal(raw[:begin], BYTES[:begin]), f"written before {name}"
            assert np.array_equal(raw[end:], BYTES[after]), f"written after {name}"
        for name, array, before in self._constant:
            assert array.tobytes() == before, f"{name} was changed"
