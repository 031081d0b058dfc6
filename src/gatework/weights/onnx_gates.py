"""Weights of one direction in the layout of ONNX's recurrent operators, and back.

Gates in ONNX: LSTM i, o, f, c; GRU z, r, h. B holds the biases of W and of R one after the other; P peepholes i, o, f.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.native.recurrent import Cell
from gatework.native.weights import Floats, Weights

OPERATORS: dict[Cell, str] = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}
_OURS: dict[Cell, tuple[int, ...]] = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}
_THEIRS: dict[Cell, tuple[int, ...]] = {"lstm": (0, 2, 3, 1), "gru": (1, 0, 2), "rnn": (0,)}
_FORGET = 1  # the place of f among i, f, g, o and among i, f, o


def to_operator(cell: Cell, arrays: Mapping[str, Floats], coupled: bool) -> dict[str, Floats]:
    """W [G*H, I], R [G*H, H], and where there are B [2*G*H], P [3H], of weights that `check_weights` has checked."""
    gates = _with_forget if coupled else _as_it_is
    order, H = _OURS[cell], arrays["w_hh"].shape[1]
    found = {
        "W": _ordered(gates(arrays["w_ih"], H), order, H),
        "R": _ordered(gates(arrays["w_hh"], H), order, H),
    }
    if "b_ih" in arrays or "b_hh" in arrays:
        nothing = np.zeros(len(found["W"]), np.float32)
        both = [gates(arrays[name], H) if name in arrays else nothing for name in ("b_ih", "b_hh")]
        found["B"] = np.concatenate([_ordered(one, order, H) for one in both])
    if "peephole" in arrays:
        found["P"] = _ordered(gates(arrays["peephole"], H), (0, 2, 1), H)
    return found


def from_operator(cell: Cell, given: Mapping[str, NDArray[Any]], coupled: bool) -> Weights:
    """The weights of one direction; shapes are `check_weights`'s business, so that whole gates must be there."""
    gates = _without_forget if coupled else _as_it_is
    order, H = _THEIRS[cell], given["R"].shape[1]
    found = {
        "w_ih": gates(_ordered(given["W"], order, H), H),
        "w_hh": gates(_ordered(given["R"], order, H), H),
    }
    if "B" in given:
        for name, part in zip(("b_ih", "b_hh"), np.split(given["B"], 2), strict=True):
            found[name] = gates(_ordered(part, order, H), H)
    if "P" in given:
        found["peephole"] = gates(_ordered(given["P"], (0, 2, 1), H), H)
    return Weights(**found)


def _ordered(values: NDArray[Any], order: tuple[int, ...], H: int) -> Floats:
    blocks = [values[k * H : (k + 1) * H] for k in order]
    return np.ascontiguousarray(np.concatenate(blocks), np.float32)


def _as_it_is(values: Floats, _H: int) -> Floats:
    return values


def _with_forget(values: Floats, H: int) -> Floats:
    at = _FORGET * H
    nothing = np.zeros((H, *values.shape[1:]), np.float32)
    return np.concatenate([values[:at], nothing, values[at:]])


def _without_forget(values: Floats, H: int) -> Floats:
    return np.delete(values, slice(_FORGET * H, (_FORGET + 1) * H), axis=0)
