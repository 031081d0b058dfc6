"""One LSTM layer in one direction: the equations and their hand-derived backward, NumPy float64.

The memory cell and its gates i, o: Hochreiter & Schmidhuber 1997, Long short-term memory, Neural Computation 9(8),
section 4. The forget gate f: Gers, Schmidhuber & Cummins 2000, Learning to forget, Neural Computation 12(10),
section 3. Both squashing functions are tanh and there are no peepholes, as in torch. Not here: stacks, speed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Weights(NamedTuple):
    """W_ih [4H, I], W_hh [4H, H], b_ih [4H], b_hh [4H]; the gates stand in the order i, f, g, o."""

    w_ih: Array
    w_hh: Array
    b_ih: Array
    b_hh: Array


class Run(NamedTuple):
    """What `forward` saw and found; `y`, `h_n`, `c_n` are the results, i to h are the trace [T, N, H]."""

    y: Array
    h_n: Array
    c_n: Array
    i: Array
    f: Array
    g: Array
    o: Array
    c: Array
    h: Array
    x: Array
    h_in: Array
    c_in: Array
    happens: Flags
    set_back: Flags
    order: range
    weights: Weights


class Gradients(NamedTuple):
    """d(loss) / d(input of `forward`), each in the shape of that input; `db` belongs to b_ih and to b_hh alike."""

    dx: Array
    dh0: Array
    dc0: Array
    dw_ih: Array
    dw_hh: Array
    db: Array


def sigmoid(a: Array) -> Array:
    """1 / (1 + e^-a), written through tanh so that no exponential overflows."""
    return 0.5 * (1.0 + np.tanh(0.5 * a))


def steps_that_happen(T: int, N: int, lengths: object = None, mask: object = None) -> Flags:
    """[T, N]: lengths are the mask of a prefix, and lengths and mask combine by and."""
    happens = np.ones((T, N), bool) if mask is None else np.array(mask, bool)
    if lengths is not None:
        happens &= np.arange(T)[:, None] < np.asarray(lengths)[None, :]
    return happens


def steps_set_back(T: int, N: int, reset: object = None, reverse: bool = False) -> Flags:
    """[T, N]: the state is set to zero before this step. reset[t] says that a new sequence starts at t, so the
    backward direction, which meets t before t-1, is set back before t-1."""
    starts = np.zeros((T, N), bool) if reset is None else np.array(reset, bool)
    return np.concatenate([starts[1:], np.zeros((1, N), bool)]) if reverse else starts


def forward(
    x: Array,
    h0: Array,
    c0: Array,
    weights: Weights,
    *,
    lengths: object = None,
    mask: object = None,
    reset: object = None,
    reverse: bool = False,
) -> Run:
    """Runs x [T, N, I] from h0, c0 [N, H]; a step that does not happen carries the state and puts out 0.

    i_t = sigmoid(W_i x_t + U_i h_{t-1} + b_i)    the input gate         (1997)
    f_t = sigmoid(W_f x_t + U_f h_{t-1} + b_f)    the forget gate        (2000)
    g_t = tanh   (W_g x_t + U_g h_{t-1} + b_g)    the candidate          (1997)
    o_t = sigmoid(W_o x_t + U_o h_{t-1} + b_o)    the output gate        (1997)
    c_t = f_t * c_{t-1} + i_t * g_t               the cell               (1997, with f: 2000)
    h_t = o_t * tanh(c_t)                         the output             (1997)
    """
    T, N, _ = x.shape
    H = weights.w_hh.shape[1]
    happens = steps_that_happen(T, N, lengths, mask)
    set_back = steps_set_back(T, N, reset, reverse)
    order = range(T - 1, -1, -1) if reverse else range(T)
    y, i, f, g, o, c, h, h_in, c_in = (np.zeros((T, N, H)) for _ in range(9))
    h_now, c_now = np.array(h0, float), np.array(c0, float)
    for t in order:
        on, back = happens[t][:, None], set_back[t][:, None]
        h_in[t], c_in[t] = np.where(back, 0.0, h_now), np.where(back, 0.0, c_now)
        a = (
            x[t] @ weights.w_ih.T + weights.b_ih + h_in[t] @ weights.w_hh.T + weights.b_hh
        )  # [N, 4H]
        a_i, a_f, a_g, a_o = np.split(a, 4, axis=1)
        i[t], f[t], g[t], o[t] = (
            np.where(on, v, 0.0) for v in (sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o))
        )
        c_now = np.where(on, f[t] * c_in[t] + i[t] * g[t], c_in[t])
        h_now = np.where(on, o[t] * np.tanh(c_now), h_in[t])
        y[t], c[t], h[t] = np.where(on, h_now, 0.0), c_now, h_now
    return Run(y, h_now, c_now, i, f, g, o, c, h, x, h_in, c_in, happens, set_back, order, weights)


def backward(
    run: Run,
    dy: Array,
    dh_n: Array,
    dc_n: Array,
    *,
    dgates: tuple[Array, Array, Array, Array] | None = None,
    dc: Array | None = None,
) -> Gradients:
    """Every gradient, by the chain rule through the steps in the opposite order (backpropagation through time).

    dgates (of i, f, g, o after their activation) and dc (of the cell), each [T, N, H], are gradients of the trace
    at steps that happen.
    """
    T, N, H = run.y.shape
    w = run.weights
    zero = np.zeros((T, N, H))
    d_i, d_f, d_g, d_o = dgates if dgates is not None else (zero,) * 4
    d_c = zero if dc is None else dc
    dx, da = np.zeros_like(run.x), np.zeros((T, N, 4 * H))
    dh_now, dc_now = np.array(dh_n, float), np.array(dc_n, float)
    for t in reversed(run.order):
        on = run.happens[t][:, None]
        i, f, g, o, tanh_c = run.i[t], run.f[t], run.g[t], run.o[t], np.tanh(run.c[t])
        dh_t = dh_now + dy[t]  # [N, H]
        dc_t = dc_now + d_c[t] + dh_t * o * (1.0 - tanh_c**2)  # h = o tanh(c)
        da_i = (dc_t * g + d_i[t]) * i * (1.0 - i)  # c = f c_in + i g, then sigmoid' = i (1 - i)
        da_f = (dc_t * run.c_in[t] + d_f[t]) * f * (1.0 - f)
        da_g = (dc_t * i + d_g[t]) * (1.0 - g**2)
        da_o = (dh_t * tanh_c + d_o[t]) * o * (1.0 - o)
        da[t] = np.where(on, np.concatenate([da_i, da_f, da_g, da_o], axis=1), 0.0)  # [N, 4H]
        dh_now = np.where(on, da[t] @ w.w_hh, dh_now)
        dc_now = np.where(on, dc_t * f, dc_now)
        back = run.set_back[t][:, None]
        dh_now, dc_now = np.where(back, 0.0, dh_now), np.where(back, 0.0, dc_now)
        dx[t] = da[t] @ w.w_ih
    dw_ih = np.einsum("tng,tni->gi", da, run.x)  # [4H, I]
    dw_hh = np.einsum("tng,tnh->gh", da, run.h_in)  # [4H, H]
    return Gradients(dx, dh_now, dc_now, dw_ih, dw_hh, da.sum((0, 1)))
