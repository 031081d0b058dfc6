"""One LSTM layer in one direction: the equations and their hand-derived backward, NumPy float64.

The memory cell and its gates i, o: Hochreiter & Schmidhuber 1997, Long short-term memory, Neural Computation 9(8),
section 4. The forget gate f: Gers, Schmidhuber & Cummins 2000, Learning to forget, Neural Computation 12(10),
section 3. Both squashing functions are tanh, as in torch, unless `Options` says otherwise. Not here: stacks, speed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gatework.reference.activations import activations, sigmoid
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

__all__ = [
    "Gradients",
    "Norms",
    "Options",
    "Run",
    "Weights",
    "backward",
    "forward",
    "sigmoid",
    "steps_set_back",
    "steps_that_happen",
]
ACTIVATIONS = ("sigmoid", "tanh", "tanh")  # gates, candidate, output
PLAIN = Options()


class Norms(NamedTuple):
    """Normalised values before their gain, and 1 / sigma: of W x, U h [T, N, G*H], of c [T, N, H]; 0 where masked."""

    x: Array
    x_scale: Array
    h: Array
    h_scale: Array
    c: Array
    c_scale: Array


class Run(NamedTuple):
    """What `forward` saw and found; `y`, `h_n`, `c_n` are the results, i to h are the trace [T, N, H], h [T, N, R]."""

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
    h_in: Array  # the state before each step, after a set-back
    c_in: Array
    happens: Flags
    set_back: Flags
    order: range
    weights: Weights
    options: Options
    drop: Array  # [N, G, R]
    chance: Chance
    c_new: Array  # the cell before zoneout
    u: Array  # what the output activation reads: c_new, or its layer norm
    norms: Norms | None  # with layer norm
    h0: Array | None
    c0: Array | None


class Gradients(NamedTuple):
    """d(loss) / d(input of `forward`), each in the shape of that input; `db` belongs to b_ih and to b_hh alike.

    dh0, dc0 [N, .] are the state's before the first step, passed or not; None stands for a parameter that is absent.
    """

    dx: Array
    dh0: Array
    dc0: Array
    dw_ih: Array
    dw_hh: Array
    db: Array
    dw_hr: Array | None = None
    dpeephole: Array | None = None
    dgain_ih: Array | None = None
    dgain_hh: Array | None = None
    dgain_c: Array | None = None
    dbias_c: Array | None = None
    dlearned_h: Array | None = None
    dlearned_c: Array | None = None


def forward(
    x: Array,
    h0: Array | None,
    c0: Array | None,
    weights: Weights,
    options: Options = PLAIN,
    *,
    drop: Array | None = None,
    lengths: object = None,
    mask: object = None,
    reset: object = None,
    reverse: bool = False,
) -> Run:
    """Runs x [T, N, I] from h0 [N, R], c0 [N, H]; a step that does not happen carries the state and puts out 0.

    i_t = sigmoid(W_i x_t + U_i h_{t-1} + b_i)    the input gate         (1997)
    f_t = sigmoid(W_f x_t + U_f h_{t-1} + b_f)    the forget gate        (2000)
    g_t = tanh   (W_g x_t + U_g h_{t-1} + b_g)    the candidate          (1997)
    o_t = sigmoid(W_o x_t + U_o h_{t-1} + b_o)    the output gate        (1997)
    c_t = f_t * c_{t-1} + i_t * g_t               the cell               (1997, with f: 2000)
    h_t = o_t * tanh(c_t)                         the output             (1997)

    What an option adds, in the order of a step:
    drop [N, R] or per gate [N, G, R] multiplies h_{t-1} before U   (Gal & Ghahramani 2016, Dropout in RNNs, eq. 7)
    layer norm of W x, of U h, and of c_t where tanh reads it       (Ba et al. 2016, Layer normalization, appendix)
    peepholes: p_i * c_{t-1}, p_f * c_{t-1}, p_o * c_t in the sums  (Gers et al. 2002, Learning precise timing)
    coupled gates: f_t = 1 - i_t                                    (Greff et al. 2017, A search space odyssey, CIFG)
    candidate dropout of g_t where the cell takes it up             (Semeniuta et al. 2016, Recurrent dropout)
    a limit for c_t, and a projection W_hr of the output            (Sak et al. 2014, LSTM architectures)
    zoneout of c_t and h_t after all else                           (Krueger et al. 2017, Zoneout, section 3)
    """
    T, N, _ = x.shape
    w, G, R = weights, 3 if options.coupled else 4, weights.w_hh.shape[1]
    H = w.w_hh.shape[0] // G
    happens = steps_that_happen(T, N, lengths, mask)
    set_back = steps_set_back(T, N, reset, reverse)
    order = order_of_steps(T, reverse)
    gate, candidate, output = activations(options.activations, ACTIVATIONS)
    drop = per_gate(drop, N, G, R)
    by_chance = chance(options, T, N, R, H)
    bias = or_zeros(w.b_ih, G * H) + or_zeros(w.b_hh, G * H)
    p_i, p_f, p_o = _peepholes(w, options, H)
    limit = options.cell_clip or np.inf
    gain_ih, gain_hh = or_ones(w.gain_ih, G * H), or_ones(w.gain_hh, G * H)
    gain_c = or_ones(w.gain_c, H)
    learned_h, learned_c = or_zeros(w.learned_h, R), or_zeros(w.learned_c, H)
    norms = Norms(*(np.zeros((T, N, k)) for k in (G * H,) * 4 + (H,) * 2))

    y, h, h_in = (np.zeros((T, N, R)) for _ in range(3))
    i, f, g, o, c, c_in, c_new, u = (np.zeros((T, N, H)) for _ in range(8))
    h_now, c_now = first_state(h0, learned_h, N), first_state(c0, learned_c, N)
    for t in order:
        on, back = happens[t][:, None], set_back[t][:, None]
        h_in[t] = np.where(back, learned_h, h_now)
        c_in[t] = np.where(back, learned_c, c_now)

        px, ph = x[t] @ w.w_ih.T, recurrent(h_in[t], w.w_hh, drop)  # [N, G*H]
        if options.layer_norm:
            px = gain_ih * kept(px, norms.x[t], norms.x_scale[t], on)
            ph = gain_hh * kept(ph, norms.h[t], norms.h_scale[t], on)
        a_i, a_f, a_g, a_o = _apart(px + ph + bias, options)  # each [N, H]

        now_i = gate(a_i + p_i * c_in[t])
        now_f = 1.0 - now_i if options.coupled else gate(a_f + p_f * c_in[t])
        now_g = candidate(a_g)
        g_used = now_g * by_chance.candidate[t]
        new = np.clip(now_f * c_in[t] + now_i * g_used, -limit, limit)
        now_o = gate(a_o + p_o * new)
        now_u = new
        if options.layer_norm:
            now_u = gain_c * kept(new, norms.c[t], norms.c_scale[t], on) + or_zeros(w.bias_c, H)
        m = now_o * output(now_u)
        out = m if w.w_hr is None else m @ w.w_hr.T  # [N, R]

        c_now = np.where(on, mix(c_in[t], new, by_chance.keep_c[t]), c_in[t])
        h_now = np.where(on, mix(h_in[t], out, by_chance.keep_h[t]), h_in[t])
        y[t], c[t], h[t] = np.where(on, h_now, 0.0), c_now, h_now
        i[t], f[t], g[t], o[t], c_new[t], u[t] = (
            np.where(on, v, 0.0) for v in (now_i, now_f, now_g, now_o, new, now_u)
        )
    return Run(
        *(y, h_now, c_now, i, f, g, o, c, h, x, h_in, c_in, happens, set_back, order, weights),
        *(options, drop, by_chance, c_new, u, norms if options.layer_norm else None, h0, c0),
    )


def backward(
    run: Run,
    dy: Array,
    dh_n: Array,
    dc_n: Array,
    *,
    dgates: tuple[Array, ...] | None = None,
    dc: Array | None = None,
) -> Gradients:
    """Every gradient, by the chain rule through the steps in the opposite order (backpropagation through time).

    dgates (of i, f, g, o after their activation; coupled: of i, g, o) and dc (of the cell), each [T, N, H], are
    gradients of the trace at steps that happen. Behind a line stands the equation of `forward` that is differentiated.
    """
    T, N, H = run.c.shape
    w, options, drop, norms = run.weights, run.options, run.drop, run.norms
    G, R = drop.shape[1:]
    gate, candidate, output = activations(options.activations, ACTIVATIONS)
    p_i, p_f, p_o = _peepholes(w, options, H)
    limit = options.cell_clip or np.inf
    gain_ih, gain_hh = or_ones(w.gain_ih, G * H), or_ones(w.gain_hh, G * H)
    gain_c = or_ones(w.gain_c, H)
    zero = np.zeros((T, N, H))
    given = (zero,) * G if dgates is None else dgates
    of_i, of_f, of_g, of_o = (given[0], zero, *given[1:]) if options.coupled else given
    of_c = zero if dc is None else dc

    da, dpx, dph = (np.zeros((T, N, G * H)) for _ in range(3))
    du, dout = np.zeros((T, N, H)), np.zeros((T, N, R))
    dlearned_h, dlearned_c = np.zeros(R), np.zeros(H)
    dh_now, dc_now = np.array(dh_n, float), np.array(dc_n, float)
    for t in reversed(run.order):
        on, back = run.happens[t][:, None], run.set_back[t][:, None]
        i, f, g, o, c_in = run.i[t], run.f[t], run.g[t], run.o[t], run.c_in[t]
        m_g, keep_c, keep_h = run.chance.candidate[t], run.chance.keep_c[t], run.chance.keep_h[t]
        out_u = output(run.u[t])
        d_h, d_c, d_i, d_f, d_g, d_o = (
            np.where(on, v, 0.0)  # so that a step that does not happen contributes 0
            for v in (dh_now + dy[t], dc_now + of_c[t], of_i[t], of_f[t], of_g[t], of_o[t])
        )
        dout[t] = (1.0 - keep_h) * d_h  # h = keep_h h_in + (1 - keep_h) out
        dm = dout[t] if w.w_hr is None else dout[t] @ w.w_hr  # out = W_hr m; [N, H]
        d_o += dm * out_u  # m = o output(u)
        du[t] = dm * o * output.slope(out_u)
        dnew = du[t]  # u = c_new, or
        if norms is not None:  # u = gain_c hat(c_new) + bias_c
            dnew = normalise_backward(du[t] * gain_c, norms.c[t], norms.c_scale[t])
        da_o = d_o * gate.slope(o)
        dnew = dnew + p_o * da_o  # a_o + p_o c_new
        dnew = dnew + (1.0 - keep_c) * d_c  # c = keep_c c_in + (1 - keep_c) c_new
        dnew = dnew * (np.abs(f * c_in + i * (g * m_g)) <= limit)  # 1 inside and on the border
        d_i += dnew * g * m_g  # c_new = f c_in + i g m_g
        d_f += dnew * c_in
        d_g += dnew * i * m_g
        if options.coupled:  # f = 1 - i
            d_i, d_f = d_i - d_f, np.zeros_like(d_f)
        da_i, da_f, da_g = d_i * gate.slope(i), d_f * gate.slope(f), d_g * candidate.slope(g)

        each = (da_i, da_g, da_o) if options.coupled else (da_i, da_f, da_g, da_o)
        da[t] = np.concatenate(each, axis=1)  # [N, G*H]
        dpx[t], dph[t] = da[t], da[t]
        if norms is not None:
            dpx[t] = normalise_backward(da[t] * gain_ih, norms.x[t], norms.x_scale[t])
            dph[t] = normalise_backward(da[t] * gain_hh, norms.h[t], norms.h_scale[t])
        dh_in = keep_h * d_h + recurrent_backward(dph[t], w.w_hh, drop)
        dc_in = keep_c * d_c + f * dnew + p_i * da_i + p_f * da_f
        dh_now, dc_now = np.where(on, dh_in, dh_now), np.where(on, dc_in, dc_now)
        dlearned_h += np.where(back, dh_now, 0.0).sum(0)
        dlearned_c += np.where(back, dc_now, 0.0).sum(0)
        dh_now, dc_now = np.where(back, 0.0, dh_now), np.where(back, 0.0, dc_now)

    if run.h0 is None:
        dlearned_h += dh_now.sum(0)
    if run.c0 is None:
        dlearned_c += dc_now.sum(0)
    da_of = _apart(da, options)  # each [T, N, H]
    dp_i, dp_f = ((da_of[k] * run.c_in).sum((0, 1)) for k in (0, 1))
    dp_o = (da_of[3] * run.c_new).sum((0, 1))
    dpeephole = np.concatenate([dp_i, dp_o] if options.coupled else [dp_i, dp_f, dp_o])
    m = run.o * output(run.u)
    x_hat, h_hat, c_hat = (norms.x, norms.h, norms.c) if norms else (da, da, du)
    return Gradients(
        dx=dpx @ w.w_ih,
        dh0=dh_now,
        dc0=dc_now,
        dw_ih=np.einsum("tng,tni->gi", dpx, run.x),  # [G*H, I]
        dw_hh=recurrent_weights(dph, run.h_in, drop),  # [G*H, R]
        db=da.sum((0, 1)),
        dw_hr=only_if(w.w_hr, np.einsum("tnp,tnh->ph", dout, m)),  # [P, H]
        dpeephole=only_if(w.peephole, dpeephole),
        dgain_ih=only_if(w.gain_ih, (da * x_hat).sum((0, 1))),
        dgain_hh=only_if(w.gain_hh, (da * h_hat).sum((0, 1))),
        dgain_c=only_if(w.gain_c, (du * c_hat).sum((0, 1))),
        dbias_c=only_if(w.bias_c, du.sum((0, 1))),
        dlearned_h=only_if(w.learned_h, dlearned_h),
        dlearned_c=only_if(w.learned_c, dlearned_c),
    )


def _apart(a: Array, options: Options) -> tuple[Array, Array, Array, Array]:
    """The gates' sums i, f, g, o [., H] of a [., G*H]; coupled gates have none of f: that of i stands in, unread."""
    if options.coupled:
        a_i, a_g, a_o = np.split(a, 3, axis=-1)
        return a_i, a_i, a_g, a_o
    a_i, a_f, a_g, a_o = np.split(a, 4, axis=-1)
    return a_i, a_f, a_g, a_o


def _peepholes(w: Weights, options: Options, H: int) -> tuple[Array, Array, Array]:
    """p_i, p_f, p_o [H] each; zeros where there are none."""
    if options.coupled:
        p_i, p_o = np.split(or_zeros(w.peephole, 2 * H), 2)
        return p_i, np.zeros(H), p_o
    p_i, p_f, p_o = np.split(or_zeros(w.peephole, 3 * H), 3)
    return p_i, p_f, p_o
