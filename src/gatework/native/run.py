"""A call of any cell on NumPy arrays: checked, laid out, run. Its faces are the functions of lstm.py, gru.py, rnn.py.

Letters: T steps, N rows, I inputs, H units, R width of h (P with a projection), S saved slots, Hb blocks of 16 units.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gatework.errors import ShapeError
from gatework.native import pool
from gatework.native.arrays import at, converted, shaped
from gatework.native.options import check_trainable, numbers_of
from gatework.native.recurrent import (
    BLOCK,
    BackwardAt,
    Cell,
    ForwardAt,
    Layout,
    Options,
    WeightsAt,
    backward_at,
    forward_at,
    norm_floats,
)
from gatework.native.threads import threads_of_call
from gatework.native.weights import Checked, Floats, Weights, check_weights, weight_shapes


class Call(NamedTuple):
    """A checked call; arrays that are absent are None."""

    cell: Cell
    layout: Layout
    options: Options
    weights: Checked
    x: Floats
    h0: Floats | None
    c0: Floats | None
    drop: Floats | None
    lengths: NDArray[np.int64] | None
    mask: NDArray[np.bool_] | None
    reset: NDArray[np.bool_] | None

    def inputs(self) -> dict[str, int]:
        """Addresses of all that both passes read."""
        names = ("lengths", "mask", "reset", "x", "h0", "c0", "drop")
        return {name: at(getattr(self, name)) for name in names}


class Outputs(NamedTuple):
    """What a forward call of any cell gives; None where the cell or the call has no such thing."""

    y: Floats  # [T, N, R]
    h_n: Floats  # [N, R]
    c_n: Floats | None  # [N, H]
    gates: Floats | None  # [T, N, S, 16 Hb]
    c: Floats | None  # [T, N, 16 Hb]
    norms: Floats | None  # [T, N, .]


def prepare(
    cell: Cell,
    x: ArrayLike,
    weights: Weights | tuple[Any, ...],
    h0: ArrayLike | None,
    c0: ArrayLike | None = None,
    *,
    drop: ArrayLike | None,
    lengths: ArrayLike | None,
    mask: ArrayLike | None,
    reset: ArrayLike | None,
    reverse: bool,
    options: Mapping[str, Any],
) -> Call:
    """Converts and checks all that goes into a call; the arguments are those of `lstm_forward`.

    Raises:
        ShapeError: a shape does not fit, or a length is not in 0..T.
        OptionError: an option is not known or not allowed.
    """
    numbers = numbers_of(cell, options)
    checked = check_weights(cell, numbers, weights)
    I, H, R = checked.I, checked.H, checked.R  # noqa: E741
    array = converted(x, "x")
    if array.ndim != 3 or array.shape[2] != I:
        raise ShapeError(f"x has shape {list(array.shape)}; expected [T, N, {I}] for these weights")
    T, N = array.shape[:2]
    factors = drop_of(drop, N, R, checked.G)
    per_gate = factors is not None and factors.ndim == 3 and cell != "rnn"  # which has one gate
    return Call(
        cell,
        Layout(T, N, I, H, checked.P, N * I, I, N * R, R, N, 1, N, 1, bool(reverse)),
        numbers._replace(drop_per_gate=per_gate),
        checked,
        array,
        shaped(h0, (N, R), "h0"),
        shaped(c0, (N, H), "c0"),
        factors,
        _lengths(lengths, T, N),
        shaped(mask, (T, N), "mask", np.bool_),
        shaped(reset, (T, N), "reset", np.bool_),
    )


def run_forward(call: Call, save: bool, threads: int | None) -> Outputs:
    """Runs a call; what backward reads is kept where `save`.

    Raises:
        OptionError: `save` with a precision that is for inference.
        KernelError: the library is not available.
    """
    if save:
        check_trainable(call.options)
    T, N, _, H, P = call.layout[:5]
    R, lstm = P or H, call.cell == "lstm"
    sizes = saved_sizes(call.cell, call.layout, call.options)
    saved = {name: pool.pooled(size) for name, size in sizes.items() if save}
    found = Outputs(
        np.empty((T, N, R), np.float32),
        np.empty((N, R), np.float32),
        np.empty((N, H), np.float32) if lstm else None,
        *(saved.get(name) for name in ("gates", "c", "norms")),
    )
    forward_at(
        call.cell,
        call.layout,
        call.options,
        threads_of_call(threads),
        call.weights.at(),
        ForwardAt(**call.inputs(), **{name: at(a) for name, a in found._asdict().items()}),
    )
    return found


def run_backward(
    call: Call, forward: Outputs, sent: Mapping[str, ArrayLike | None], threads: int | None
) -> dict[str, Floats]:
    """The gradients of a run of `run_forward`: dx, dh0 and dc0 where given, and those of the weights by their name.

    Args:
        call: as the forward call had it.
        forward: what it returned.
        sent: dy, dh_n and dc_n, where there are.
        threads: upper limit; `get_num_threads()` when absent.

    Raises:
        ShapeError: a shape does not fit, or the run did not save.
        OptionError: the precision is for inference.
        KernelError: the library is not available.
    """
    check_trainable(call.options)
    T, N, _, H, P = call.layout[:5]
    R = P or H
    saved = {"y": shaped(forward.y, (T, N, R), "forward.y")}
    for name, size in saved_sizes(call.cell, call.layout, call.options).items():
        if getattr(forward, name) is None:
            raise ShapeError(
                f"this forward run kept no {name}; call {call.cell}_forward(..., save=True)"
            )
        saved[name] = shaped(getattr(forward, name), size, f"forward.{name}")
    expected = {"dy": (T, N, R), "dh_n": (N, R), "dc_n": (N, H)}
    arrived = {name: shaped(array, expected[name], name) for name, array in sent.items()}
    found = _gradients(call)
    of_inputs = {name: array for name, array in found.items() if name in ("dx", "dh0", "dc0")}
    of_weights = {name: array for name, array in found.items() if name not in of_inputs}
    backward_at(
        call.cell,
        call.layout,
        call.options,
        threads_of_call(threads),
        call.weights.at(),
        BackwardAt(
            **call.inputs(),
            **{name: at(a) for part in (saved, arrived, of_inputs) for name, a in part.items()},
        ),
        WeightsAt(**{name: at(array) for name, array in of_weights.items()}),
    )
    return found


def saved_sizes(cell: Cell, layout: Layout, options: Options) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays that a forward call leaves for backward, besides y.

    Args:
        cell: "lstm", "gru" or "rnn".
        layout: the sizes of the call.
        options: of the call.

    Raises:
        ShapeError: a size or an option is out of range.

    >>> saved_sizes("gru", Layout(5, 2, 3, 20, 0, 6, 3, 40, 20), Options())
    {'gates': (5, 2, 4, 32)}
    """
    T, N, blocks = layout.T, layout.N, -(-layout.H // BLOCK)
    sizes: dict[str, tuple[int, ...]] = {}
    if cell != "rnn" or options.zoneout_h > 0:
        sizes["gates"] = (T, N, slots_of(cell, options), blocks * BLOCK)
    if cell == "lstm":
        sizes["c"] = (T, N, blocks * BLOCK)
    if options.layer_norm:
        sizes["norms"] = (T, N, norm_floats(cell, layout, options))
    return sizes


def slots_of(cell: Cell, options: Options) -> int:
    """S: numbers that are saved for each unit and step. LSTM i, f, g, o (coupled i, g, o); GRU r, z, n and, where the
    reset gate comes after the product, what it multiplies; RNN h before zoneout."""
    return {"lstm": 3 if options.coupled else 4, "gru": 3 if options.reset_before else 4, "rnn": 1}[
        cell
    ]


def drop_of(drop: ArrayLike | None, N: int, R: int, G: int) -> Floats | None:
    """The factors of h in the products: [N, R], or one per gate [N, G, R].

    Raises:
        ShapeError: another shape.
    """
    if drop is None:
        return None
    array = converted(drop, "drop")
    if array.shape not in ((N, R), (N, G, R)):
        raise ShapeError(
            f"drop has shape {list(array.shape)}; expected {[N, R]}, or one per gate: {[N, G, R]}"
        )
    return array


def _gradients(call: Call) -> dict[str, Floats]:
    """Where the gradients go: `d` + name of inputs, name of weights. LSTM and RNN: that of b_ih is that of b_hh too."""
    T, N, I, H, P = call.layout[:5]  # noqa: E741
    sizes: dict[str, tuple[int, ...]] = {"dx": (T, N, I)}
    if call.h0 is not None:
        sizes["dh0"] = (N, P or H)
    if call.c0 is not None:
        sizes["dc0"] = (N, H)
    given = {"w_ih", "w_hh", "b_ih", *call.weights.arrays}
    if call.cell == "gru":
        given.add("b_hh")
    else:
        given.discard("b_hh")
    shapes = weight_shapes(call.cell, call.options, I, H, P)
    sizes |= {name: shape for name, shape in shapes.items() if name in given}
    return {name: np.empty(size, np.float32) for name, size in sizes.items()}


def _lengths(lengths: ArrayLike | None, T: int, N: int) -> NDArray[np.int64] | None:
    steps = shaped(lengths, (N,), "lengths", np.int64)
    if steps is not None and steps.size and (steps.min() < 0 or steps.max() > T):
        raise ShapeError(f"lengths are {steps.min()} to {steps.max()}; expected 0 to T = {T}")
    return steps
