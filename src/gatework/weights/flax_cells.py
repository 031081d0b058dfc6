"""One direction of one layer as Flax's parameters, linen's and nnx's, and its way to and from ours; no Flax here.

linen keeps one matrix for each gate (ii, if, ig, io, hi, ...; ir, iz, in, hr, ...; i, h), nnx's cells mostly all gates
side by side (dense_i, dense_h), in our order. Flax multiplies x W, so matrices are transposed. Its biases stand at h
for the LSTM, at i for the others, and the GRU of linen has a second one where the reset gate acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gatework.errors import OptionError
from gatework.native import Direction, Weights
from gatework.native.activations import Activation, kind_of
from gatework.native.options import DEFAULTS
from gatework.native.recurrent import Cell
from gatework.weights.features import features_of

Floats = NDArray[np.float32]
Params = dict[str, dict[str, Floats]]
Form = Literal["linen", "nnx"]
GATES: dict[Cell, tuple[str, ...]] = {"lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n"), "rnn": ("",)}  # fmt: skip
FUNCTIONS: dict[str, Activation] = {  # of flax.linen and jax.nn
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "hard_sigmoid": ("hard_sigmoid", 1 / 6, 0.5),
    "leaky_relu": "leaky_relu",
    "elu": "elu",
    "softplus": "softplus",
    "soft_sign": "softsign",
}


def cell_of(params: Mapping[str, Any]) -> Cell | None:
    """The cell whose parameters these are; None where they are none of a recurrent cell's.

    >>> cell_of({"dense_i": {"kernel": np.zeros((3, 12))}, "dense_h": {"kernel": np.zeros((4, 12))}})
    'gru'
    """
    if {"dense_i", "dense_h"} <= set(params):
        units, wide = np.shape(_leaf(params, "dense_h", "kernel"))[-2:] or (0, 0)
        return next((c for c, gates in GATES.items() if units and wide == len(gates) * units), None)
    names = {name.removesuffix("_") for name in params}
    for cell, gates in GATES.items():
        if {side + gate for side in "ih" for gate in gates} <= names:
            return cell
    return None


def weights_of(cell: Cell, params: Mapping[str, Any]) -> Weights:
    """Ours from Flax's, in either form."""
    sides = {side: _side(cell, params, side) for side in "ih"}
    (w_ih, b_ih), (w_hh, b_hh) = sides["i"], sides["h"]
    if cell != "gru" and b_ih is None:
        b_ih, b_hh = b_hh, None
    return Weights(w_ih, w_hh, b_ih, b_hh)


def params_of(cell: Cell, direction: Direction, form: Form) -> Params:
    """Flax's from ours.

    Raises:
        OptionError: names all that Flax's cell lacks.
    """
    _refuse(cell, direction, form)
    w_ih, w_hh = (np.asarray(w, np.float32) for w in direction.weights[:2])
    given = [None if b is None else np.asarray(b, np.float32) for b in direction.weights[2:4]]
    zeros = np.zeros(len(w_ih), np.float32)
    b_ih, b_hh = (zeros if b is None else b for b in given)
    summed = b_ih + b_hh
    if cell == "gru":  # the candidate's stay apart
        n = 2 * (len(zeros) // 3)
        summed = np.concatenate([summed[:n], b_ih[n:]])
    at_i, at_h = (None, summed) if cell == "lstm" else (summed, None)
    made: Params = {}
    for side, matrix, bias in (("i", w_ih, at_i), ("h", w_hh, at_h)):
        made |= _linen(cell, side, matrix, bias) if form == "linen" else _nnx(side, matrix, bias)
    if cell == "gru" and form == "linen":
        made["hn"]["bias"] = np.array(np.split(b_hh, 3)[2])
    return made


def functions_of(cell: Cell, direction: Direction) -> dict[str, str]:
    """The functions that a Flax cell must be built with, by argument, where they are not Flax's own.

    Raises:
        OptionError: Flax has no such function, or has one for candidate and output where these differ.
    """
    chosen = direction.options.get("activations", DEFAULTS[cell]["activations"])
    names = [_function(each) for each in chosen]
    if None in names or (cell == "lstm" and names[1] != names[2]):
        raise OptionError(
            f"activations={chosen!r}; it has {', '.join(FUNCTIONS)}, one for g and output"
        )
    gate, inner = (None, names[0]) if cell == "rnn" else names[:2]
    wanted = {"gate_fn": (gate, "sigmoid"), "activation_fn": (inner, "tanh")}
    return {k: str(name) for k, (name, usual) in wanted.items() if name not in (None, usual)}


def _refuse(cell: Cell, direction: Direction, form: Form) -> None:
    found = features_of(cell, direction)
    found.pop("activations", None)
    words = [f"no {name}={value!r}" for name, value in found.items()]
    bias = direction.weights.b_hh
    if (
        cell == "gru"
        and form == "nnx"
        and bias is not None
        and np.split(np.asarray(bias), 3)[2].any()
    ):
        words.append('no second bias of the candidate in nnx (form="linen" has it)')
    try:
        functions_of(cell, direction)
    except OptionError as error:
        words.append(f"no {error}")
    if words:
        raise OptionError(f"Flax's {cell.upper()} has {', '.join(words)}")


def _linen(cell: Cell, side: str, matrix: Floats, bias: Floats | None) -> Params:
    gates = GATES[cell]
    made: Params = {
        side + gate: {"kernel": np.ascontiguousarray(part.T)}
        for gate, part in zip(gates, np.split(matrix, len(gates)), strict=True)
    }
    if bias is not None:
        for gate, part in zip(gates, np.split(bias, len(gates)), strict=True):
            made[side + gate]["bias"] = np.array(part)
    return made


def _nnx(side: str, matrix: Floats, bias: Floats | None) -> Params:
    inner = {"kernel": np.ascontiguousarray(matrix.T)}
    return {f"dense_{side}": inner if bias is None else {**inner, "bias": np.array(bias)}}


def _side(cell: Cell, params: Mapping[str, Any], side: str) -> tuple[Floats, Floats | None]:
    """W [G*H, .] and the bias [G*H] of the input's or the state's side; gates without a bias have zeros."""
    names = [f"dense_{side}"] if "dense_i" in params else [side + gate for gate in GATES[cell]]
    names = [name if name in params else f"{name}_" for name in names]  # nnx writes if_
    kernels = [np.asarray(_leaf(params, name, "kernel"), np.float32) for name in names]
    if any(kernel.ndim != 2 for kernel in kernels):
        raise OptionError(
            f"{names[0]} has a kernel of the shape {list(kernels[0].shape)}; expected [I or H, units]"
        )
    biases = [_leaf(params, name, "bias") for name in names]
    matrix = np.ascontiguousarray(np.concatenate([kernel.T for kernel in kernels]))
    if all(bias is None for bias in biases):
        return matrix, None
    wide = [
        np.zeros(k.shape[1]) if b is None else np.asarray(b)
        for k, b in zip(kernels, biases, strict=True)
    ]
    return matrix, np.concatenate(wide).astype(np.float32)


def _leaf(params: Mapping[str, Any], name: str, leaf: str) -> Any:
    inner = params[name]
    if not isinstance(inner, Mapping):
        raise OptionError(
            f"{name} is a {type(inner).__name__}; expected a mapping with kernel and bias"
        )
    return inner.get(leaf)


def _function(given: Activation) -> str | None:
    wanted = np.array(kind_of(given), np.float32).tolist()
    every = (
        (name, np.array(kind_of(each), np.float32).tolist()) for name, each in FUNCTIONS.items()
    )
    return next((name for name, each in every if each == wanted), None)
