"""Which steps of a batch happen, and before which the state is set back: the same for every cell of the family."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


def steps_that_happen(T: int, N: int, lengths: object = None, mask: object = None) -> Flags:
    """[T, N]: lengths are the mask of a prefix, and lengths and mask combine by and."""
    happens = np.ones((T, N), bool) if mask is None else np.array(mask, bool)
    if lengths is not None:
        happens &= np.arange(T)[:, None] < np.asarray(lengths)[None, :]
    return happens


def steps_set_back(T: int, N: int, reset: object = None, reverse: bool = False) -> Flags:
    """[T, N]: the state is set back before this step. reset[t] says that a new sequence starts at t, so the
    backward direction, which meets t before t-1, is set back before t-1."""
    starts = np.zeros((T, N), bool) if reset is None else np.array(reset, bool)
    return np.concatenate([starts[1:], np.zeros((1, N), bool)]) if reverse else starts


def order_of_steps(T: int, reverse: bool = False) -> range:
    """The times of the input in the order in which they are met."""
    return range(T - 1, -1, -1) if reverse else range(T)


def first_state(given: Array | None, learned: Array, N: int) -> Array:
    """[N, H]: the passed state, or without one the learned state (which is zero where nothing is learned)."""
    return np.tile(learned, (N, 1)) if given is None else np.array(given, float)
