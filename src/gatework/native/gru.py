"""The GRU kernels on NumPy arrays: forward and backward over a sequence.

Equations: kernels/include/gatework/gru.h; masks and layouts: recurrent.h beside it. The call itself: run.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import ArrayLike

from gatework.native.run import Outputs, prepare, run_backward, run_forward
from gatework.native.weights import Floats, Weights

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from gatework.native.options import GRUOptions


class Forward(NamedTuple):
    """What a forward call gives: the outputs, and what backward needs when it was asked to save."""

    y: Floats  # [T, N, H]
    h_n: Floats  # [N, H]
    gates: (
        Floats | None
    )  # [T, N, 4 (reset_after=False: 3), 16 ceil(H/16)]; undefined at masked steps
    norms: Floats | None  # [T, N, .]: layer norm's products


class Gradients(NamedTuple):
    """Every gradient of a GRU run; None for what the run had not."""

    dx: Floats  # [T, N, I]
    dh0: Floats | None  # [N, H]
    dw_ih: Floats  # [3H, I]
    dw_hh: Floats  # [3H, H]
    db_ih: Floats  # [3H]
    db_hh: Floats  # [3H]
    dgain_ih: Floats | None  # [3H]
    dgain_hh: Floats | None  # [3H]
    dlearned_h: Floats | None  # [H]


def gru_forward(
    x: ArrayLike,
    weights: Weights | tuple[Any, ...],
    h0: ArrayLike | None = None,
    *,
    drop: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reset: ArrayLike | None = None,
    reverse: bool = False,
    save: bool = False,
    threads: int | None = None,
    **options: Unpack[GRUOptions],
) -> Forward:
    """One GRU layer in one direction over a whole sequence.

    Args:
        x: [T, N, I].
        weights: `Weights`, or a tuple that begins like it: w_ih [3H, I], w_hh [3H, H], b_ih [3H], b_hh [3H].
        h0: [N, H] state before the first step; the learned state, or zeros, when absent.
        drop: [N, H], or [N, 3, H] for each gate: multiplies h in the products, not where it is carried.
        lengths: [N] steps of each row, 0..T.
        mask: [T, N], False where a step does not happen.
        reset: [T, N], True where a new sequence starts.
        reverse: runs from the last step to the first.
        save: keeps what `gru_backward` needs.
        threads: upper limit; `get_num_threads()` when absent.
        options: activations, reset_after, zoneout_h, candidate_dropout, layer_norm, precision, training, seed;
            see `GRUOptions`.

    Raises:
        ShapeError: a shape does not fit, or a length is not in 0..T.
        OptionError: an option is not known or not allowed, or `save` with a precision that is for inference.
        KernelError: the library is not available.

    >>> import numpy as np
    >>> w = Weights(np.zeros((6, 3), np.float32), np.zeros((6, 2), np.float32))
    >>> gru_forward(np.ones((5, 1, 3)), w, reset_after=False).y.shape
    (5, 1, 2)
    """
    call = prepare(
        "gru", x, weights, h0, drop=drop, lengths=lengths, mask=mask, reset=reset,
        reverse=reverse, options=options,
    )  # fmt: skip
    found = run_forward(call, save, threads)
    return Forward(found.y, found.h_n, found.gates, found.norms)


def gru_backward(
    forward: Forward,
    x: ArrayLike,
    weights: Weights | tuple[Any, ...],
    h0: ArrayLike | None = None,
    *,
    dy: ArrayLike | None = None,
    dh_n: ArrayLike | None = None,
    drop: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reset: ArrayLike | None = None,
    reverse: bool = False,
    threads: int | None = None,
    **options: Unpack[GRUOptions],
) -> Gradients:
    """The gradients of a run of `gru_forward(..., save=True)` with the same inputs.

    Args:
        forward: what that run returned.
        dy, dh_n: gradients of its outputs, [T, N, H], [N, H]; zeros when absent.
        x, weights, h0, drop, lengths, mask, reset, reverse, options: as that run had them.
        threads: upper limit; `get_num_threads()` when absent.

    Raises:
        ShapeError: a shape does not fit, or the run did not save.
        OptionError: an option is not known or not allowed, or the precision is for inference.
        KernelError: the library is not available.

    >>> import numpy as np
    >>> w = Weights(np.ones((3, 1), np.float32), np.ones((3, 1), np.float32))
    >>> run = gru_forward(np.ones((3, 1, 1)), w, save=True)
    >>> gru_backward(run, np.ones((3, 1, 1)), w, dy=np.ones((3, 1, 1))).dw_hh.shape
    (3, 1)
    """
    call = prepare(
        "gru", x, weights, h0, drop=drop, lengths=lengths, mask=mask, reset=reset,
        reverse=reverse, options=options,
    )  # fmt: skip
    run = Outputs(forward.y, forward.h_n, None, forward.gates, None, forward.norms)
    found = run_backward(call, run, {"dy": dy, "dh_n": dh_n}, threads)
    return Gradients(
        found["dx"], found.get("dh0"), *(found[name] for name in ("w_ih", "w_hh", "b_ih", "b_hh")),
        *(found.get(name) for name in ("gain_ih", "gain_hh", "learned_h")),
    )  # fmt: skip
