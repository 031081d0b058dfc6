"""One layer's stream in the library: bound once to its weights, input and output, so that a step needs one pointer.

What a stream is, and what its memory holds: kernels/include/gatework/stream.h. Faces: stream.py, layer_stream.py.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.native import pool
from gatework.native.arrays import at
from gatework.native.library import check, load
from gatework.native.recurrent import (
    OPTIONS,
    SHAPE,
    WEIGHTS,
    Cell,
    Layout,
    Options,
    pack_at,
    packed_bytes,
    step_scratch,
)
from gatework.native.weights import Checked, Floats

BINDING = struct.Struct("@6P2i")  # gw_stream_binding
CALL = struct.Struct("@Pq2P")  # gw_stream_call


def layout_of(checked: Checked, rows: int) -> Layout:
    """Sizes of a step of so many rows, which lie side by side."""
    I, R = checked.I, checked.R  # noqa: E741
    return Layout(1, rows, I, checked.H, checked.P, rows * I, I, rows * R, R)


def packed(cell: Cell, checked: Checked, options: Options) -> NDArray[np.uint8]:
    """The weights as every step reads them; streams may share them.

    Raises:
        ShapeError: a size or an option is out of range.
    """
    layout = layout_of(checked, 1)
    made = pool.pooled((packed_bytes(cell, layout, options),), np.uint8)
    pack_at(cell, layout, options, checked.at(), at(made))
    return made


class Bound:
    """A layer that reads its input from `x` [N, I] and leaves its output in `y` [N, R] at every step of `Steps`.

    Args:
        cell, checked, options: the layer.
        weights: its packed weights.
        threads: upper limit of every step.
        x, y: C-contiguous arrays, which the stream keeps.
        residual: x is added to y.
        carry: rows that do not step keep their y.

    Raises:
        KernelError: the library refused.
        ShapeError: a size or an option is out of range.
    """

    def __init__(
        self,
        cell: Cell,
        checked: Checked,
        options: Options,
        weights: NDArray[np.uint8],
        threads: int,
        x: Floats,
        y: Floats,
        *,
        residual: bool = False,
        carry: bool = False,
    ):
        layout = layout_of(checked, len(x))
        step_scratch(cell, layout, options, threads)  # raises where a size is out of range
        parts = (SHAPE.pack(*layout, threads), OPTIONS.pack(*options), WEIGHTS.pack(*checked.at()))
        shape, option, vectors = (np.frombuffer(part, np.uint8) for part in parts)
        self._memory = pool.pooled((_bytes(cell)(at(shape), at(option)),), np.uint8)
        self._kept = (checked, weights, x, y)  # read at every step
        self.at = at(self._memory)
        binding = BINDING.pack(
            at(shape), at(option), at(vectors), at(weights), at(x), at(y), residual, carry
        )
        self._close = None
        check(_function(f"gw_{cell}_stream_open_f32", 2)(binding, self.at), f"{cell} stream")
        self._close = load()["gw_stream_close"]
        self._close.argtypes = [ctypes.c_void_p]
        self._close.restype = None
        self._shapes = ((layout.N, checked.R), (layout.N, checked.H) if cell == "lstm" else None)

    def __del__(self) -> None:
        if getattr(self, "_close", None) is not None:
            self._close(self.at)  # pyright: ignore[reportOptionalCall]

    def read(self) -> tuple[Floats, Floats | None]:
        """A copy of the state: h [N, R] and, of the LSTM, c [N, H]."""
        h, c = (None if shape is None else np.empty(shape, np.float32) for shape in self._shapes)
        assert h is not None
        check(_function("gw_stream_read", 3)(self.at, at(h), at(c)), "stream read")
        return h, c

    def write(self, h: Floats | None, c: Floats | None) -> None:
        """Sets the state of all rows; None is the learned state, or zeros."""
        check(_function("gw_stream_write", 3)(self.at, at(h), at(c)), "stream write")


class Steps:
    """Steps of bound layers, one after the other, in one call."""

    def __init__(self, layers: Sequence[Bound]):
        self._layers = tuple(layers)
        self._list = np.array([each.at for each in layers], np.uintp)
        self._call = np.frombuffer(bytearray(self._record(0, 0)), np.uint8)
        self._at = at(self._call)
        self._step = _function("gw_stream_step", 1)

    def whole(self, keep_lock: bool) -> tuple[Callable[[int], int], int]:
        """What makes every row step: a function, which returns a status, and its argument; they hold while this lives.

        keep_lock: the step is so short that giving Python's lock to other threads meanwhile would only cost time.
        """
        return (_function("gw_stream_step", 1, locked=True) if keep_lock else self._step), self._at

    def advance_some(self, rows: NDArray[np.bool_] | None, reset: NDArray[np.bool_] | None) -> None:
        """The rows that are True step, after those with a reset began anew; None: all, none. Both are [N]."""
        check(self._step(self._record(at(rows), at(reset))), "stream step")

    def _record(self, rows: int, reset: int) -> bytes:
        return CALL.pack(at(self._list), len(self._layers), rows, reset)


@cache
def _bytes(cell: Cell) -> Callable[..., int]:
    function: Any = load()[f"gw_{cell}_stream_bytes"]
    function.argtypes = [ctypes.c_void_p] * 2
    function.restype = ctypes.c_int64
    return function


@cache
def _function(name: str, pointers: int, locked: bool = False) -> Callable[..., int]:
    """An entry point that takes addresses and returns a status; locked: without giving Python's lock away."""
    library = ctypes.PyDLL(load()._name) if locked else load()  # pyright: ignore[reportPrivateUsage]
    function: Any = library[name]
    function.argtypes = [ctypes.c_void_p] * pointers
    return function
