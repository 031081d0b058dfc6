"""What enters a cell's sums: U (h * drop) per gate, and layer norm of a product; each with its backward."""

from __future__ import annotations

import numpy as np

from gatework.reference.steps import Array, Flags

EPSILON = 1e-5  # inside the root


def per_gate(drop: Array | None, N: int, G: int, R: int) -> Array:
    """[N, G, R]: the mask of h for each gate, from one for all [N, R], one for each [N, G, R], or none (ones)."""
    if drop is None:
        return np.ones((N, G, R))
    return np.broadcast_to(drop if drop.ndim == 3 else drop[:, None], (N, G, R))


def recurrent(h: Array, u: Array, drop: Array) -> Array:
    """U_k (h * drop_k) for each gate k; h [N, R], u [G*H, R], drop [N, G, R] -> [N, G*H]."""
    N, G, R = drop.shape
    return np.einsum("nkr,khr->nkh", h[:, None] * drop, u.reshape(G, -1, R)).reshape(N, len(u))


def recurrent_backward(d: Array, u: Array, drop: Array) -> Array:
    """dh [N, R] from the gradient d [N, G*H] of `recurrent`."""
    N, G, R = drop.shape
    dh = np.einsum("nkh,khr->nkr", d.reshape(N, G, len(u) // G), u.reshape(G, -1, R)) * drop
    return dh.sum(1)


def recurrent_weights(d: Array, h: Array, drop: Array) -> Array:
    """du [G*H, R] from the gradients d [T, N, G*H] of the products at all steps and their h [T, N, R]."""
    T, N, rows = d.shape
    _, G, R = drop.shape
    d = d.reshape(T, N, G, rows // G)
    return np.einsum("tnkh,tnr,nkr->khr", d, h, drop).reshape(-1, R)


def normalise(v: Array, sizes: tuple[int, ...] = ()) -> tuple[Array, Array]:
    """(v - mean) / sigma and 1 / sigma, both [N, .] like v, with the biased variance over each group of `sizes`.

    Ba, Kiros & Hinton 2016, Layer normalization, equation 4, without gain and bias. sizes (): all values together.
    """
    hats, scales = zip(*(_normalise(part) for part in _groups(v, sizes)), strict=True)
    return np.concatenate(hats, axis=-1), np.concatenate(scales, axis=-1)


def kept(v: Array, hat: Array, scale: Array, on: Flags, sizes: tuple[int, ...] = ()) -> Array:
    """`normalise` v; the result and 1 / sigma go into `hat` and `scale` for backward, 0 at steps that do not happen."""
    now, now_scale = normalise(v, sizes)
    hat[...], scale[...] = np.where(on, now, 0.0), np.where(on, now_scale, 0.0)
    return now


def normalise_backward(d: Array, hat: Array, scale: Array, sizes: tuple[int, ...] = ()) -> Array:
    """dv from the gradient d of the normalised values `hat`."""
    parts = zip(*(_groups(v, sizes) for v in (d, d * hat, hat, scale)), strict=True)
    return np.concatenate(
        [
            s * (of_d - of_d.mean(-1, keepdims=True) - of_hat * of_dh.mean(-1, keepdims=True))
            for of_d, of_dh, of_hat, s in parts
        ],
        axis=-1,
    )


def _groups(v: Array, sizes: tuple[int, ...]) -> list[Array]:
    return np.split(v, np.cumsum(sizes)[:-1].astype(int), axis=-1) if sizes else [v]


def _normalise(v: Array) -> tuple[Array, Array]:
    scale = 1.0 / np.sqrt(v.var(-1, keepdims=True) + EPSILON)
    return (v - v.mean(-1, keepdims=True)) * scale, np.broadcast_to(scale, v.shape)
