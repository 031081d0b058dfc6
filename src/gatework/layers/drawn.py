"""The dropouts of a stack that are drawn once per call: of h, of W_hh, and between layers; for training alone."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from gatework.ops import dropout, random
from gatework.ops.family import Weights


def masks_of_h(shape: Sequence[int], p: float, seeds: Tensor, like: Tensor) -> list[Tensor]:
    """One factor of h per seed, [N, R] or per gate [N, G, R], of 0 and 1/(1-p) (Gal & Ghahramani 2016)."""
    return [random.dropout_mask(shape, p, seed, like.device, like.dtype) for seed in seeds.unbind()]


def drop_weights(weights: Sequence[Weights], p: float) -> list[Weights]:
    """W_hh of each direction with entries dropped (Merity, Keskar & Socher 2018).

    The seeds are not those of `masks_of_h`: from equal seeds come equal masks.
    """
    thinned: list[Weights] = []
    for w, seed in zip(weights, random.new_seed(len(weights)).unbind(), strict=True):
        thinned.append(w._replace(w_hh=dropout.drop(w.w_hh, p, seed)))
    return thinned


def drop_between(y: Tensor, p: float, batch_first: bool) -> Tensor:
    """Dropout of an output, drawn time first, as torch draws it, so that the same seed drops the same outputs."""
    if not batch_first:
        return functional.dropout(y, p)
    N, T, K = y.shape
    return y * functional.dropout(y.new_ones(T, N, K), p).transpose(0, 1)
