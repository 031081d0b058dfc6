"""One direction of one Keras layer as plain values, and its way to and from ours; no Keras here.

Keras multiplies from the other side, so its matrices are transposed; its LSTM has i, f, c, o like torch, its GRU z, r,
h where torch has r, z, n. It has one bias; the GRU with reset_after has two, as rows of one array.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from gatework.errors import OptionError
from gatework.native import Direction, Weights
from gatework.native.activations import Activation, kind_of
from gatework.native.options import DEFAULTS
from gatework.native.recurrent import Cell
from gatework.weights.features import features_of, options_of, plain

Floats = NDArray[np.float32]
CLASSES: dict[str, Cell] = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "rnn"}
CELL_CLASSES: dict[str, Cell] = {f"{name}Cell": cell for name, cell in CLASSES.items()}
_ORDER = {"lstm": (0, 1, 2, 3), "gru": (1, 0, 2), "rnn": (0,)}  # Keras's place of each of our gates
ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "linear": "affine",
    "hard_sigmoid": ("hard_sigmoid", 1 / 6, 0.5),
    "leaky_relu": ("leaky_relu", 0.2),
    "elu": "elu",
    "softplus": "softplus",
    "softsign": "softsign",
}


class KerasCell(NamedTuple):
    """One direction of one layer as Keras has it."""

    cell: Cell
    units: int
    activation: str
    recurrent_activation: str  # not read where the cell has no gates
    reset_after: bool  # of the GRU
    arrays: tuple[
        Floats, ...
    ]  # kernel [I, G*H], recurrent kernel [H, G*H], and the bias where there is one


def cell_of(name: str, config: Mapping[str, Any], arrays: list[Any]) -> KerasCell:
    """A cell from its class, its configuration and its arrays.

    Args:
        name: of a class, "LSTM" or "LSTMCell" and so on.
        config: what Keras's get_config gives.
        arrays: kernel, recurrent kernel, bias.

    Raises:
        OptionError: an activation that ours lack, or arrays that do not fit the configuration.
    """
    cell = (CLASSES | CELL_CLASSES)[name]
    names = [_name_of(config.get(key)) for key in ("activation", "recurrent_activation")]
    used = names if cell != "rnn" else names[:1]
    unknown = [
        str(each)[:80] for each in used if not isinstance(each, str) or each not in ACTIVATIONS
    ]
    units, biased = config.get("units"), config.get("use_bias", True)
    if unknown or type(units) is not int or not isinstance(biased, bool):
        words = f"the activation {' and '.join(unknown)}" if unknown else f"units={units!r:.40}"
        raise OptionError(f"{name} has {words}; activations here: {', '.join(ACTIVATIONS)}")
    reset_after = cell == "gru" and bool(config.get("reset_after", True))
    floats = tuple(np.array(array, np.float32) for array in arrays)
    wide, I = len(_ORDER[cell]) * units, floats[0].shape[0] if floats and floats[0].ndim else 0  # noqa: E741
    shapes = [(I, wide), (units, wide)] + (
        [(2, wide) if reset_after else (wide,)] if biased else []
    )
    if [each.shape for each in floats] != shapes or units < 1 or I < 1:
        found = ", ".join(str(list(each.shape)) for each in floats)
        raise OptionError(
            f"{name}(units={units}) has weights of the shapes {found}; expected {shapes}"
        )
    return KerasCell(cell, units, names[0], names[1], reset_after, floats)


def direction_of(found: KerasCell, reverse: bool) -> Direction:
    """Ours from Keras's."""
    w_ih, w_hh = (np.ascontiguousarray(_columns(found.cell, a).T) for a in found.arrays[:2])
    biases = (
        tuple(_columns(found.cell, row) for row in np.atleast_2d(*found.arrays[2:]))
        if found.arrays[2:]
        else ()
    )
    inner, gates = ACTIVATIONS[found.activation], ACTIVATIONS.get(found.recurrent_activation)
    chosen = {"lstm": (gates, inner, inner), "gru": (gates, inner), "rnn": (inner,)}[found.cell]
    options: dict[str, Any] = {"activations": chosen}
    if found.cell == "gru":
        options["reset_after"] = found.reset_after
    return Direction(Weights(w_ih, w_hh, *biases), options_of(found.cell, options), reverse)


def keras_cell_of(cell: Cell, direction: Direction) -> KerasCell:
    """Keras's from ours.

    Raises:
        OptionError: names every option that Keras's cell lacks, and the activations that it does not have so.
    """
    weights, lacking = direction.weights, features_of(cell, direction)
    activations = lacking.pop("activations", DEFAULTS[cell]["activations"])
    reset_after = cell == "gru" and lacking.pop("reset_after", True)
    names = [_keras_name(each) for each in activations]
    words = [f"no {name}={value!r}" for name, value in lacking.items()]
    words += [
        f"no activation {given!r}"
        for given, name in zip(activations, names, strict=True)
        if name is None
    ]
    if cell == "lstm" and len({repr(plain(each)) for each in activations[1:]}) > 1:
        words.append(f"one activation for candidate and output, not {activations[1:]}")
    if words:
        raise OptionError(f"Keras's {cell.upper()} has {', '.join(words)}")
    columns = [np.asarray(w, np.float32).T for w in (weights.w_ih, weights.w_hh)]
    arrays = [*columns, *_keras_biases(cell, weights, reset_after)]
    inner = names[0] if cell == "rnn" else names[1]
    return KerasCell(
        cell,
        columns[1].shape[0],
        cast("str", inner),
        cast("str", names[0]),
        reset_after,
        tuple(_back(cell, each) for each in arrays),
    )


def summed_bias(weights: Weights) -> Floats | None:
    """b_ih + b_hh, the sum in float32 that the kernels form first, so that one bias gives the same bits."""
    given = [np.asarray(b, np.float32) for b in (weights.b_ih, weights.b_hh) if b is not None]
    return sum(given[1:], given[0]) if given else None


def _keras_biases(cell: Cell, weights: Weights, reset_after: bool) -> list[Floats]:
    if weights.b_ih is None and weights.b_hh is None:
        return []
    if cell == "gru" and reset_after:
        zeros = np.zeros(len(np.asarray(weights.w_hh)), np.float32)
        return [
            np.stack(
                [
                    zeros if b is None else np.asarray(b, np.float32)
                    for b in (weights.b_ih, weights.b_hh)
                ]
            )
        ]
    summed = summed_bias(weights)
    return [] if summed is None else [summed]


def _columns(cell: Cell, array: Floats) -> Floats:
    """The gates along the last axis, in our order."""
    parts = np.split(array, len(_ORDER[cell]), axis=-1)
    return np.concatenate([parts[k] for k in _ORDER[cell]], axis=-1)


def _back(cell: Cell, array: Floats) -> Floats:
    """The gates along the last axis, in Keras's order."""
    parts = np.split(array, len(_ORDER[cell]), axis=-1)
    return np.concatenate([parts[_ORDER[cell].index(k)] for k in range(len(parts))], axis=-1)


def _name_of(given: Any) -> Any:
    """An activation's name in a configuration; what is none stays what it is."""
    if given is None:
        return "linear"
    if isinstance(given, dict):
        named: Any = cast("dict[str, Any]", given)
        module, name = str(named.get("module")), str(named.get("class_name"))
        name = str(named.get("config")) if name == "function" else name
        return name if module.startswith("keras") else f"{module}.{name}"
    return given


def _keras_name(given: Activation) -> str | None:
    """Keras's name of an activation, its constants compared as the kernels read them."""
    wanted = _numbers(given)
    return next((name for name, each in ACTIVATIONS.items() if _numbers(each) == wanted), None)


def _numbers(given: Activation) -> list[float]:
    return np.array(kind_of(given), np.float32).tolist()
