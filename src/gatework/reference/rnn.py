"""One layer of the plain recurrent network in one direction: the equation and its hand-derived backward, NumPy float64.

Elman 1990, Finding structure in time, Cognitive Science 14(2); the squashing function is tanh unless `Options` says
otherwise. It has no gates: its only gate with weights is the candidate, which is the output.
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

ACTIVATIONS = ("tanh",)
PLAIN = Options()


class Norms(NamedTuple):
    """W x + U h normalised, before its gain, and 1 / sigma, [T, N, H]; 0 where masked."""

    sum: Array
    scale: Array


class Run(NamedTuple):
    """What `forward` saw and found; `y`, `h_n` are the results, h is the trace, [T, N, H] each."""

    y: Array
    h_n: Array
    h: Array
    h_new: Array  # the output before zoneout
    x: Array
    h_in: Array  # the state before each step, after a set-back
    happens: Flags
    set_back: Flags
    order: range
    weights: Weights
    options: Options
    drop: Array  # [N, 1, H]
    chance: Chance
    norms: Norms | None  # with layer norm
    h0: Array | None


class Gradients(NamedTuple):
    """d(loss) / d(input of `forward`), each in the shape of that input; `db` belongs to b_ih and to b_hh alike.

    dh0 [N, H] is the state's before the first step, passed or not; None stands for a parameter that is absent.
    """

    dx: Array
    dh0: Array
    dw_ih: Array
    dw_hh: Array
    db: Array
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

    h_t = tanh(W x_t + b_ih + U h_{t-1} + b_hh)

    What an option adds, in the order of a step:
    drop [N, H] or [N, 1, H] multiplies h_{t-1} before U   (Gal & Ghahramani 2016, Dropout in RNNs)
    layer norm of W x + U h, with one gain and one bias    (Ba et al. 2016, Layer normalization, equation 4)
    zoneout of h_t after all else                          (Krueger et al. 2017, Zoneout, section 3)
    """
    T, N, _ = x.shape
    w, H = weights, weights.w_hh.shape[1]
    happens = steps_that_happen(T, N, lengths, mask)
    set_back = steps_set_back(T, N, reset, reverse)
    order = order_of_steps(T, reverse)
    (squash,) = activations(options.activations, ACTIVATIONS)
    drop = per_gate(drop, N, 1, H)
    by_chance = chance(options, T, N, H, H)
    bias, gain = or_zeros(w.b_ih, H) + or_zeros(w.b_hh, H), or_ones(w.gain_hh, H)
    learned_h = or_zeros(w.learned_h, H)
    norms = Norms(*(np.zeros((T, N, H)) for _ in range(2)))

    y, h, h_in, h_new = (np.zeros((T, N, H)) for _ in range(4))
    h_now = first_state(h0, learned_h, N)
    for t in order:
        on, back = happens[t][:, None], set_back[t][:, None]
        h_in[t] = np.where(back, learned_h, h_now)

        a = x[t] @ w.w_ih.T + recurrent(h_in[t], w.w_hh, drop)  # [N, H]
        if options.layer_norm:
            a = gain * kept(a, norms.sum[t], norms.scale[t], on)
        out = squash(a + bias)

        h_now = np.where(on, mix(h_in[t], out, by_chance.keep_h[t]), h_in[t])
        y[t], h[t], h_new[t] = np.where(on, h_now, 0.0), h_now, np.where(on, out, 0.0)
    return Run(
        *(y, h_now, h, h_new, x, h_in, happens, set_back, order, weights, options, drop),
        *(by_chance, norms if options.layer_norm else None, h0),
    )


def backward(
    run: Run, dy: Array, dh_n: Array, *, dgates: tuple[Array, ...] | None = None
) -> Gradients:
    """Every gradient, by the chain rule through the steps in the opposite order (backpropagation through time).

    dgates, one array [T, N, H], is the gradient of `h_new` at steps that happen. Behind a line stands the equation of
    `forward` that is differentiated.
    """
    T, N, H = run.y.shape
    w, drop, norms = run.weights, run.drop, run.norms
    (squash,) = activations(run.options.activations, ACTIVATIONS)
    (of_new,) = (np.zeros((T, N, H)),) if dgates is None else dgates
    gain = or_ones(w.gain_hh, H)

    da, dp = (np.zeros((T, N, H)) for _ in range(2))
    dlearned_h = np.zeros(H)
    dh_now = np.array(dh_n, float)
    for t in reversed(run.order):
        on, back = run.happens[t][:, None], run.set_back[t][:, None]
        keep_h = run.chance.keep_h[t]
        # a step that does not happen contributes 0
        d_h, d_new = (np.where(on, v, 0.0) for v in (dh_now + dy[t], of_new[t]))
        d_new += (1.0 - keep_h) * d_h  # h = keep_h h_in + (1 - keep_h) h_new
        da[t] = d_new * squash.slope(run.h_new[t])
        dp[t] = da[t]
        if norms is not None:
            dp[t] = normalise_backward(da[t] * gain, norms.sum[t], norms.scale[t])
        dh_in = keep_h * d_h + recurrent_backward(dp[t], w.w_hh, drop)
        dh_now = np.where(on, dh_in, dh_now)
        dlearned_h += np.where(back, dh_now, 0.0).sum(0)
        dh_now = np.where(back, 0.0, dh_now)

    if run.h0 is None:
        dlearned_h += dh_now.sum(0)
    hat = norms.sum if norms else da
    return Gradients(
        dx=dp @ w.w_ih,
        dh0=dh_now,
        dw_ih=np.einsum("tnh,tni->hi", dp, run.x),  # [H, I]
        dw_hh=recurrent_weights(dp, run.h_in, drop),  # [H, H]
        db=da.sum((0, 1)),
        dgain_hh=only_if(w.gain_hh, (da * hat).sum((0, 1))),
        dlearned_h=only_if(w.learned_h, dlearned_h),
    )
