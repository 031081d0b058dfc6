"""The LSTM kernels on NumPy arrays: forward and backward over a sequence.

Equations: kernels/include/gatework/lstm.h; masks and layouts: recurrent.h beside it. The call itself: run.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import ArrayLike

from gatework.native.run import Outputs, prepare, run_backward, run_forward
from gatework.native.weights import Floats, Weights

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from gatework.native.options import LSTMOptions


class Forward(NamedTuple):
    """What a forward call gives: the outputs, and what backward needs when it was asked to save."""

    y: Floats  # [T, N, R]
    h_n: Floats  # [N, R]
    c_n: Floats  # [N, H]
    gates: Floats | None  # [T, N, 4 (coupled 3), 16 ceil(H/16)]; undefined at masked steps
    c: Floats | None  # [T, N, 16 ceil(H/16)]; undefined at masked steps
    norms: Floats | None  # [T, N, .]: layer norm's products


class Gradients(NamedTuple):
    """Every gradient of an LSTM run; None for what the run had not. `db` is that of either bias."""

    dx: Floats  # [T, N, I]
    dh0: Floats | None  # [N, R]
    dc0: Floats | None  # [N, H]
    dw_ih: Floats  # [G*H, I]
    dw_hh: Floats  # [G*H, R]
    db: Floats  # [G*H]
    dw_hr: Floats | None  # [P, H]
    dpeephole: Floats | None  # [3H], coupled [2H]
    dgain_ih: Floats | None  # [G*H]
    dgain_hh: Floats | None  # [G*H]
    dgain_c: Floats | None  # [H]
    dbias_c: Floats | None  # [H]
    dlearned_h: Floats | None  # [R]
    dlearned_c: Floats | None  # [H]


def lstm_forward(
    x: ArrayLike,
    weights: Weights | tuple[Any, ...],
    h0: ArrayLike | None = None,
    c0: ArrayLike | None = None,
    *,
    drop: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reset: ArrayLike | None = None,
    reverse: bool = False,
    save: bool = False,
    threads: int | None = None,
    **options: Unpack[LSTMOptions],
) -> Forward:
    """One LSTM layer in one direction over a whole sequence.

    Args:
        x: [T, N, I].
        weights: `Weights`, or a tuple that begins like it: w_ih [4H, I], w_hh [4H, H], b_ih [4H], b_hh [4H].
        h0, c0: [N, R], [N, H] state before the first step; the learned state, or zeros, when absent.
        drop: [N, R], or [N, G, R] for each gate: multiplies h where W_hh reads it.
        lengths: [N] steps of each row, 0..T.
        mask: [T, N], False where a step does not happen.
        reset: [T, N], True where a new sequence starts.
        reverse: runs from the last step to the first.
        save: keeps what `lstm_backward` needs.
        threads: upper limit; `get_num_threads()` when absent.
        options: activations, cell_clip, zoneout_h, zoneout_c, candidate_dropout, coupled, layer_norm, precision,
            training, seed; see `LSTMOptions`.

    Raises:
        ShapeError: a shape does not fit, or a length is not in 0..T.
        OptionError: an option is not known or not allowed, or `save` with a precision that is for inference.
        KernelError: the library is not available.

    >>> import numpy as np
    >>> w = Weights(np.zeros((8, 3), np.float32), np.zeros((8, 2), np.float32))
    >>> lstm_forward(np.ones((5, 1, 3)), w).y.shape
    (5, 1, 2)
    """
    call = prepare(
        "lstm", x, weights, h0, c0, drop=drop, lengths=lengths, mask=mask, reset=reset,
        reverse=reverse, options=options,
    )  # fmt: skip
    y, h_n, c_n, gates, c, norms = run_forward(call, save, threads)
    assert c_n is not None
    return Forward(y, h_n, c_n, gates, c, norms)


def lstm_backward(
    forward: Forward,
    x: ArrayLike,
    weights: Weights | tuple[Any, ...],
    h0: ArrayLike | None = None,
    c0: ArrayLike | None = None,
    *,
    dy: ArrayLike | None = None,
    dh_n: ArrayLike | None = None,
    dc_n: ArrayLike | None = None,
    drop: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reset: ArrayLike | None = None,
    reverse: bool = False,
    threads: int | None = None,
    **options: Unpack[LSTMOptions],
) -> Gradients:
    """The gradients of a run of `lstm_forward(..., save=True)` with the same inputs.

    Args:
        forward: what that run returned.
        dy, dh_n, dc_n: gradients of its outputs, [T, N, R], [N, R], [N, H]; zeros when absent.
        x, weights, h0, c0, drop, lengths, mask, reset, reverse, options: as that run had them.
        threads: upper limit; `get_num_threads()` when absent.

    Raises:
        ShapeError: a shape does not fit, or the run did not save.
        OptionError: an option is not known or not allowed, or the precision is for inference.
        KernelError: the library is not available.

    >>> import numpy as np
    >>> w = Weights(np.ones((4, 1), np.float32), np.ones((4, 1), np.float32))
    >>> run = lstm_forward(np.ones((3, 1, 1)), w, save=True)
    >>> lstm_backward(run, np.ones((3, 1, 1)), w, dy=np.ones((3, 1, 1))).dw_hh.shape
    (4, 1)
    """
    call = prepare(
        "lstm", x, weights, h0, c0, drop=drop, lengths=lengths, mask=mask, reset=reset,
        reverse=reverse, options=options,
    )  # fmt: skip
    sent = {"dy": dy, "dh_n": dh_n, "dc_n": dc_n}
    found = run_backward(call, Outputs(*forward), sent, threads)
    weights_found = (
        found.get(name)
        for name in (
            "w_hr", "peephole", "gain_ih", "gain_hh", "gain_c", "bias_c", "learned_h", "learned_c"
        )
    )  # fmt: skip
    return Gradients(
        found["dx"], found.get("dh0"), found.get("dc0"), found["w_ih"], found["w_hh"],
        found["b_ih"], *weights_found,
    )  # fmt: skip
