"""One GRU layer in one direction: the equations and their hand-derived backward, NumPy float64.

Cho et al. 2014, Learning phrase representations using RNN encoder-decoder, EMNLP, section 2.3 (z is the share of the
old state, as here). There r meets h before the product with U_n; in torch and cuDNN it meets the product
(`reset_after`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gatework.reference.activations import activations
from gatework.reference.options import Options
from gatework.reference.products import (
    kept,
    normalise_backward,
    per_gate,
    recurrent,
    recurrent_backward,
    recurrent_weights,
)
from gatework.reference.random import Chance, chance, mix
from gatework.reference.steps import (
    Array,
    Flags,
    first_state,
    order_of_steps,
    steps_set_back,
    steps_that_happen,
)
from gatework.reference.weights import Weights, only_if, or_ones, or_zeros

ACTIVATIONS = ("sigmoid", "tanh")  # gates, candidate
PLAIN = Options()


class Norms(NamedTuple):
    """Normalised values before their gain, and 1 / sigma: of W x and of U h [T, N, 3H]; 0 where masked."""

    x: Array
    x_scale: Array
    h: Array
    h_scale: Array


class Run(NamedTuple):
    """What `forward` saw and found; `y`, `h_n` are the results, r, z, n, h are the trace, [T, N, H] each."""

    y: Array
    h_n: Array
    r: Array
    z: Array
    n: Array
    h: Array
    x: Array
    h_in: Array  # the state before each step, after a set-back
    happens: Flags
    set_back: Flags
    order: range
    weights: Weights
    options: Options
    drop: Array  # [N, 3, H]
    chance: Chance
    q: Array  # the state's part of n's sum: U_n h + b_hn, or U_n (r * h) + b_hn
    norms: Norms | None  # with layer norm
    h0: Array | None


class Gradients(NamedTuple):
    """d(loss) / d(input of `forward`), each in the shape of that input.

    dh0 [N, H] is the state's before the first step, passed or not; None stands for a parameter that is absent.
    """

    dx: Array
    dh0: Array
    dw_ih: Array
    dw_hh: Array
    db_ih: Array
    db_hh: Array
    dgain_ih: Array | None = None
    dgain_hh: Array | None = None
    dlearned_h: Array | None = None


def forward(
    x: Array,
    h0: Array | None,
    weights: Weights,
    options: Options = PLAIN,
    *,
    drop: Array | None = None,
    lengths: object = None,
    mask: object = None,
    reset: object = None,
    reverse: bool = False,
) -> Run:
    """Runs x [T, N, I] from h0 [N, H]; a step that does not happen carries the state and puts out 0.

    r_t = sigmoid(W_r x_t + b_ir + U_r h_{t-1} + b_hr)           the reset gate
    z_t = sigmoid(W_z x_t + b_iz + U_z h_{t-1} + b_hz)           the update gate
    n_t = tanh(W_n x_t + b_in + r_t * (U_n h_{t-1} + b_hn))      the candidate, reset_after (torch)
    n_t = tanh(W_n x_t + b_in + U_n (r_t * h_{t-1}) + b_hn)      the candidate, else (2014)
    h_t = (1 - z_t) * n_t + z_t * h_{t-1}                        the output

    What an option adds, in the order of a step:
    drop [N, H] or per gate [N, 3, H] multiplies h_{t-1} before U   (Gal & Ghahramani 2016, Dropout in RNNs)
    layer norm of W x and of U h, r and z together and n alone      (Ba et al. 2016, Layer normalization, appendix)
    candidate dropout of n_t where the state takes it up            (Semeniuta et al. 2016, Recurrent dropout)
    zoneout of h_t after all else                                   (Krueger et al. 2017, Zoneout, section 3)
    """
    T, N, _ = x.shape
    w, H = weights, weights.w_hh.shape[1]
    happens = steps_that_happen(T, N, lengths, mask)
    set_back = steps_set_back(T, N, reset, reverse)
    order = order_of_steps(T, reverse)
    gate, candidate = activations(options.activations, ACTIVATIONS)
    drop = per_gate(drop, N, 3, H)
    by_chance = chance(options, T, N, H, H)
    b_ih, (b_rz, b_n) = or_zeros(w.b_ih, 3 * H), _apart(or_zeros(w.b_hh, 3 * H))
    gain_ih, (gain_rz, gain_n) = or_ones(w.gain_ih, 3 * H), _apart(or_ones(w.gain_hh, 3 * H))
    learned_h = or_zeros(w.learned_h, H)
    norms = Norms(*(np.zeros((T, N, 3 * H)) for _ in range(4)))
    rz, last = slice(0, 2 * H), slice(2 * H, None)  # rows of the gates r, z; of n

    y, h, h_in, r, z, n, q = (np.zeros((T, N, H)) for _ in range(7))
    h_now = first_state(h0, learned_h, N)
    for t in order:
        on, back = happens[t][:, None], set_back[t][:, None]
        h_in[t] = np.where(back, learned_h, h_now)

        px = x[t] @ w.w_ih.T  # [N, 3H]
        p_rz = recurrent(h_in[t], w.w_hh[rz], drop[:, :2])  # [N, 2H]
        if options.layer_norm:
            px = gain_ih * kept(px, norms.x[t], norms.x_scale[t], on, (2 * H, H))
            p_rz = gain_rz * kept(p_rz, norms.h[t, :, rz], norms.h_scale[t, :, rz], on)
        x_rz, x_n = _apart(px + b_ih)
        now_r, now_z = np.split(gate(x_rz + p_rz + b_rz), 2, axis=1)  # [N, H] each

        met = h_in[t] if options.reset_after else now_r * h_in[t]
        p_n = recurrent(met, w.w_hh[last], drop[:, 2:])  # [N, H]
        if options.layer_norm:
            p_n = gain_n * kept(p_n, norms.h[t, :, last], norms.h_scale[t, :, last], on)
        now_q = p_n + b_n
        now_n = candidate(x_n + (now_r * now_q if options.reset_after else now_q))
        out = (1.0 - now_z) * (now_n * by_chance.candidate[t]) + now_z * h_in[t]

        h_now = np.where(on, mix(h_in[t], out, by_chance.keep_h[t]), h_in[t])
        y[t], h[t] = np.where(on, h_now, 0.0), h_now
        r[t], z[t], n[t], q[t] = (np.where(on, v, 0.0) for v in (now_r, now_z, now_n, now_q))
    return Run(
        *(y, h_now, r, z, n, h, x, h_in, happens, set_back, order, weights, options, drop),
        *(by_chance, q, norms if options.layer_norm else None, h0),
    )


def backward(
    run: Run, dy: Array, dh_n: Array, *, dgates: tuple[Array, ...] | None = None
) -> Gradients:
    """Every gradient, by the chain rule through the steps in the opposite order (backpropagation through time).

    dgates (of r, z, n after their activation), each [T, N, H], are gradients of the trace at steps that happen. Behind
    a line stands the equation of `forward` that is differentiated.
    """
    T, N, H = run.y.shape
    w, options, drop, norms = run.weights, run.options, run.drop, run.norms
    gate, candidate = activations(options.activations, ACTIVATIONS)
    gain_ih, gain_hh = or_ones(w.gain_ih, 3 * H), or_ones(w.gain_hh, 3 * H)
    of_r, of_z, of_n = (np.zeros((T, N, H)),) * 3 if dgates is None else dgates
    rz, last = slice(0, 2 * H), slice(2 * H, None)

    da_x, da_h, dpx, dph = (np.zeros((T, N, 3 * H)) for _ in range(4))
    dlearned_h = np.zeros(H)
    dh_now = np.array(dh_n, float)
    for t in reversed(run.order):
        on, back = run.happens[t][:, None], run.set_back[t][:, None]
        r, z, n, h_in = run.r[t], run.z[t], run.n[t], run.h_in[t]
        m_n, keep_h = run.chance.candidate[t], run.chance.keep_h[t]
        d_h, d_r, d_z, d_n = (
            np.where(on, v, 0.0)  # so that a step that does not happen contributes 0
            for v in (dh_now + dy[t], of_r[t], of_z[t], of_n[t])
        )
        dout = (1.0 - keep_h) * d_h  # h = keep_h h_in + (1 - keep_h) out
        dh_in = keep_h * d_h + z * dout  # out = (1 - z) n m_n + z h_in
        d_z += dout * (h_in - n * m_n)
        d_n += dout * (1.0 - z) * m_n
        da_n = d_n * candidate.slope(n)

        dq = da_n * r if options.reset_after else da_n  # a_n = x_n + r q, or x_n + q
        dph[t, :, last] = dq
        if norms is not None:
            dph[t, :, last] = normalise_backward(
                dq * gain_hh[last], norms.h[t, :, last], norms.h_scale[t, :, last]
            )
        dmet = recurrent_backward(dph[t, :, last], w.w_hh[last], drop[:, 2:])
        if options.reset_after:
            d_r += da_n * run.q[t]
            dh_in += dmet  # met = h_in
        else:
            d_r += dmet * h_in  # met = r h_in
            dh_in += dmet * r
        da_rz = np.concatenate([d_r * gate.slope(r), d_z * gate.slope(z)], axis=1)  # [N, 2H]

        da_x[t] = np.concatenate([da_rz, da_n], axis=1)  # [N, 3H]
        da_h[t] = np.concatenate([da_rz, dq], axis=1)
        dpx[t], dph[t, :, rz] = da_x[t], da_rz
        if norms is not None:
            dpx[t] = normalise_backward(da_x[t] * gain_ih, norms.x[t], norms.x_scale[t], (2 * H, H))
            dph[t, :, rz] = normalise_backward(
                da_rz * gain_hh[rz], norms.h[t, :, rz], norms.h_scale[t, :, rz]
            )
        dh_in += recurrent_backward(dph[t, :, rz], w.w_hh[rz], drop[:, :2])
        dh_now = np.where(on, dh_in, dh_now)
        dlearned_h += np.where(back, dh_now, 0.0).sum(0)
        dh_now = np.where(back, 0.0, dh_now)

    if run.h0 is None:
        dlearned_h += dh_now.sum(0)
    met = run.h_in if options.reset_after else run.r * run.h_in
    du_rz = recurrent_weights(dph[..., rz], run.h_in, drop[:, :2])
    du_n = recurrent_weights(dph[..., last], met, drop[:, 2:])
    x_hat, h_hat = (norms.x, norms.h) if norms else (da_x, da_h)
    return Gradients(
        dx=dpx @ w.w_ih,
        dh0=dh_now,
        dw_ih=np.einsum("tng,tni->gi", dpx, run.x),  # [3H, I]
        dw_hh=np.concatenate([du_rz, du_n]),  # [3H, H]
        db_ih=da_x.sum((0, 1)),
        db_hh=da_h.sum((0, 1)),
        dgain_ih=only_if(w.gain_ih, (da_x * x_hat).sum((0, 1))),
        dgain_hh=only_if(w.gain_hh, (da_h * h_hat).sum((0, 1))),
        dlearned_h=only_if(w.learned_h, dlearned_h),
    )


def _apart(v: Array) -> tuple[Array, Array]:
    """The part of r and z [., 2H] and that of n [., H] of v [., 3H]."""
    H = v.shape[-1] // 3
    return v[..., : 2 * H], v[..., 2 * H :]
