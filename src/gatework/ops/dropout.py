"""Dropout whose mask is never kept: backward draws it again from the seed, so that it costs no memory.

The mask is `random.dropout_mask`; weight dropout (Merity, Keskar & Socher 2018) draws one of the size of W_hh.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gatework import native
from gatework.ops import random, torch_state


def drop(x: Tensor, p: float, seed: Tensor) -> Tensor:
    """x with elements dropped with probability p, and the others scaled by 1/(1-p); seed is one int64.

    Raises:
        OptionError: p is no probability.

    Example:
        >>> import torch
        >>> set(drop(torch.ones(2, 30), 0.5, torch.tensor(7)).flatten().tolist())
        {0.0, 2.0}
    """
    plain = x.dtype == torch.float32 and x.device.type == "cpu" and torch_state.is_eager(x)
    if not plain or not random.kernels_can_draw(seed):
        mask = random.dropout_mask(x.shape, p, seed, x.device, x.dtype)
        return torch.where(
            mask == 0, 0.0, x * mask
        )  # an infinite element that is dropped is 0, as in the kernels
    if torch.is_grad_enabled() and x.requires_grad:
        found: Any = _Drop.apply(x, p, int(seed))
        return found
    return _dropped(x, p, int(seed))


class _Drop(torch.autograd.Function):
    """Linear in x, so its gradient is the same function of the gradient that arrives, and so are all further ones."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, seed: int) -> Tensor:
        ctx.p, ctx.seed = p, seed
        return _dropped(x, p, seed)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return drop(grad, ctx.p, torch.tensor(ctx.seed)), None, None


def _dropped(x: Tensor, p: float, seed: int) -> Tensor:
    x = x.contiguous()
    out = torch.empty(x.shape, dtype=torch.float32, device="cpu")
    native.dropout_at(x.numel(), x.data_ptr(), p, seed, native.get_num_threads(), out.data_ptr())
    return out
