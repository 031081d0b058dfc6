"""The weights of one direction of one layer in torch's layout, and their shapes, which follow from a few letters.

Letters: I inputs, H units, P projection, R = P or H, G gates that have weights. Other layouts: `gatework.weights`.
"""

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.errors import ShapeError
from gatework.native.arrays import at, converted, shaped
from gatework.native.recurrent import Cell, Options, WeightsAt

Floats = NDArray[np.float32]


class Weights(NamedTuple):
    """One direction of one layer; what is absent is None. Gates: LSTM i, f, g, o (coupled i, g, o), GRU r, z, n."""

    w_ih: ArrayLike  # [G*H, I]
    w_hh: ArrayLike  # [G*H, R]
    b_ih: ArrayLike | None = None  # [G*H]
    b_hh: ArrayLike | None = None  # [G*H]; not for the LSTM and the RNN with layer norm
    w_hr: ArrayLike | None = None  # [P, H]; LSTM with projection
    peephole: ArrayLike | None = None  # [3H] for i, f, o; coupled [2H] for i, o
    gain_ih: ArrayLike | None = None  # [G*H]; layer norm of the LSTM and the GRU
    gain_hh: ArrayLike | None = None  # [G*H]; layer norm
    gain_c: ArrayLike | None = None  # [H]; layer norm of the LSTM
    bias_c: ArrayLike | None = None  # [H]; likewise, where there are biases
    learned_h: ArrayLike | None = None  # [R]; the state that a reset, or an absent h0, means
    learned_c: ArrayLike | None = None  # [H]; LSTM


class Checked(NamedTuple):
    """Weights that fit each other, and what follows from them."""

    arrays: dict[str, Floats]  # by field of Weights
    I: int  # noqa: E741
    H: int
    P: int  # 0: no projection
    G: int

    @property
    def R(self) -> int:
        """Width of h."""
        return self.P or self.H

    def at(self) -> WeightsAt:
        """Their addresses, which hold as long as this object lives."""
        return WeightsAt(**{name: at(array) for name, array in self.arrays.items()})


def gates_of(cell: Cell, options: Options) -> int:
    """G, the number of gates that have weights."""
    return {"lstm": 3 if options.coupled else 4, "gru": 3, "rnn": 1}[cell]


def check_weights(cell: Cell, options: Options, weights: Weights | tuple[Any, ...]) -> Checked:
    """Converts weights to float32 and checks that they are those of this cell with these options.

    Args:
        cell: "lstm", "gru" or "rnn".
        options: of the call.
        weights: `Weights`, or a tuple that begins like it.

    Raises:
        ShapeError: a shape does not fit; weights are missing, or there are more than the options need.

    >>> check_weights("rnn", Options(), (np.zeros((5, 3)), np.zeros((5, 5)))).H
    5
    """
    G = gates_of(cell, options)
    try:
        given = Weights(*cast("tuple[Any, ...]", weights))
    except TypeError as error:
        raise ShapeError(
            f"weights: expected w_ih, w_hh and, where there are, {', '.join(Weights._fields[2:])} ({error})"
        ) from error
    w_ih, w_hh = converted(given.w_ih, "w_ih"), converted(given.w_hh, "w_hh")
    if w_ih.ndim != 2 or w_hh.ndim != 2 or w_ih.shape[1] < 1 or w_hh.shape[1] < 1:
        raise ShapeError(
            f"w_ih has shape {list(w_ih.shape)} and w_hh {list(w_hh.shape)}; "
            f"expected [{G}H, I] and [{G}H, {'H or P' if cell == 'lstm' else 'H'}]"
        )
    I, R = w_ih.shape[1], w_hh.shape[1]  # noqa: E741
    P = R if cell == "lstm" and given.w_hr is not None else 0
    H = max(1, w_hh.shape[0] // G) if P else R
    shapes = weight_shapes(cell, options, I, H, P)
    arrays: dict[str, Floats] = {}
    for name, value in given._asdict().items():
        shape = shapes.get(name)
        if shape is None and value is not None:
            raise ShapeError(f"{name} is given, but {_owner(cell, options)} has none")
        if shape is not None and value is None and name in _needed(cell, options):
            raise ShapeError(f"{name} is missing; {_owner(cell, options)} needs it")
        if shape is not None and value is not None:
            arrays[name] = shaped(value, shape, name)
    return Checked(arrays, I, H, P, G)


def weight_shapes(
    cell: Cell,
    options: Options,
    I: int,  # noqa: E741
    H: int,
    P: int,
) -> dict[str, tuple[int, ...]]:
    """The shape of every weight that the cell may have with these options, in the order of `Weights`."""
    G, norm = gates_of(cell, options), options.layer_norm
    lstm, gates = cell == "lstm", (G * H,)
    shapes: dict[str, tuple[int, ...]] = {
        "w_ih": (G * H, I),
        "w_hh": (G * H, P or H),
        "b_ih": gates,
    }
    if not norm or cell == "gru":
        shapes["b_hh"] = gates
    if lstm and P:
        shapes["w_hr"] = (P, H)
    if lstm:
        shapes["peephole"] = (2 * H if options.coupled else 3 * H,)
    if norm and cell != "rnn":
        shapes["gain_ih"] = gates
    if norm:
        shapes["gain_hh"] = gates
    if norm and lstm:
        shapes |= {"gain_c": (H,), "bias_c": (H,)}
    shapes["learned_h"] = (P or H,)
    if lstm:
        shapes["learned_c"] = (H,)
    return shapes


def _needed(cell: Cell, options: Options) -> tuple[str, ...]:
    if not options.layer_norm:
        return ("w_ih", "w_hh")
    gains = {
        "lstm": ("gain_ih", "gain_hh", "gain_c"),
        "gru": ("gain_ih", "gain_hh"),
        "rnn": ("gain_hh",),
    }
    return ("w_ih", "w_hh", *gains[cell])


def _owner(cell: Cell, options: Options) -> str:
    return f"the {cell} {'with' if options.layer_norm else 'without'} layer_norm"
