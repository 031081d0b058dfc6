"""Gradients of every sample for Opacus, which hooks modules and asks each for the gradient of each parameter.

Opacus's own way for modules that it does not know sees the first output and the first input alone. Here each sample
gets a view of the parameters, so that autograd collects its gradient through every output, state, length and mask.
Source: Yousefpour et al. 2021, Opacus: user-friendly differential privacy library in PyTorch, section 3.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from gatework.errors import GateworkError

_HOOK = "capture_backprops_hook"
_CALLS = "_sampled_calls"
Gradients = dict[str, Tensor]


def is_sampled(module: nn.Module) -> bool:
    """Opacus has hooked the module and this call is one of training."""
    hooked = vars(module)["_backward_hooks"] and module.training and torch.is_grad_enabled()
    return bool(hooked) and _hook(module) is not None


def _hook(module: nn.Module) -> partial[Any] | None:
    for hook in vars(module)["_backward_hooks"].values():
        if isinstance(hook, partial) and getattr(hook.func, "__name__", "") == _HOOK:
            return hook
    return None


def run(module: nn.Module, given: Mapping[str, tuple[Any, Any]], out_dims: Any, N: int) -> Any:
    """The call with views of the parameters for each of N samples.

    given: the arguments by name with their batch axis (of each tensor, None for what has none). out_dims: likewise of
    the results.
    """
    found: Gradients = {}
    names = [name for name, p in module.named_parameters() if p.requires_grad]
    every = {
        name: _Spread.apply(p, N, name, found) if name in names else p.expand(N, *p.shape)
        for name, p in module.named_parameters()
    }
    _remember(module, found, names)
    plain = _without_hooks(module)
    kwargs = {name: value for name, (value, _) in given.items() if value is not None}
    axes = {name: axis for name, (value, axis) in given.items() if value is not None}

    if N == 0:  # Poisson sampling draws such batches, vmap refuses them
        return functional_call(plain, dict(module.named_parameters()), (), kwargs)

    def one(parameters: Gradients, kwargs: dict[str, Any]) -> Any:
        return functional_call(plain, parameters, (), kwargs)

    return vmap(one, (0, axes), out_dims, randomness="different")(every, kwargs)


class _Spread(torch.autograd.Function):
    """A parameter as N views of it; backward keeps the gradient of each."""

    @staticmethod
    def forward(ctx: Any, p: Tensor, N: int, name: str, found: Gradients) -> Tensor:
        ctx.name, ctx.found = name, found
        return p.expand(N, *p.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.found[ctx.name] = grad.detach()
        return grad.sum(0), None, None, None


def _without_hooks(module: nn.Module) -> nn.Module:
    plain = copy.copy(module)
    own = vars(plain)
    own["_parameters"] = dict(own["_parameters"])
    own |= {name: {} for name in ("_backward_hooks", "_forward_hooks", "_forward_pre_hooks")}
    return plain


def _remember(module: nn.Module, found: Gradients, names: list[str]) -> None:
    """Puts what Opacus will ask for where it asks: the last call is the first whose gradients arrive."""
    calls: list[Gradients] = vars(module).setdefault(_CALLS, [])
    calls.append(found)

    def of_each_parameter(parameters: list[Tensor], _: Tensor, backprops: Tensor) -> list[Tensor]:
        own, hook = calls.pop(), _hook(module)
        if hook is None or (not own and len(backprops)):
            raise GateworkError(
                f"{type(module).__name__}: Opacus asked for gradients before they were there, because the input of "
                "this layer requires none; call it with input.requires_grad_(), or put a layer before it"
            )
        scale = len(backprops) if hook.keywords["loss_reduction"] == "mean" else 1
        known = dict(module.named_parameters())
        zeros = (p.new_zeros(len(backprops), *p.shape) for p in known.values())
        return [
            own[name] * scale if name in own else zero
            for name, zero in zip(known, zeros, strict=True)
        ]

    vars(module)["ft_compute_sample_grad"] = of_each_parameter
