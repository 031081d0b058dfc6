"""torch's six classes and ours from one seed, made to do the same thing, and whether anyone can tell them apart."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import gatework

NAMES = ("LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell")
each = pytest.mark.parametrize("name", NAMES)
of_stacks = pytest.mark.parametrize("name", NAMES[:3])
CLOSE = {  # relative and absolute; below single precision torch rounds after every step, ours once
    torch.float64: (1e-10, 1e-12),
    torch.float32: (1e-4, 1e-5),
    torch.bfloat16: (3e-2, 7e-2),
    torch.float16: (5e-3, 5e-3),
}
Act = Callable[[Any], Any]


def is_cell(name: str) -> bool:
    return name.endswith("Cell")


def pair(name: str, **options: Any) -> list[nn.Module]:
    """torch's and ours, 3 features and 5 units; stacks have two layers and two directions."""
    more = {} if is_cell(name) else {"num_layers": 2, "bidirectional": True}
    made = []
    for house in (nn, gatework):
        torch.manual_seed(0)
        made.append(getattr(house, name)(3, 5, **(more | options)))
    return made


def x_of(name: str, dtype: torch.dtype = torch.float32) -> Tensor:
    shape = (2, 3) if is_cell(name) else (4, 2, 3)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)


def state_of(name: str, dtype: torch.dtype = torch.float32) -> Any:
    shape = (2, 5) if is_cell(name) else (4, 2, 5)
    h = torch.randn(shape, generator=torch.Generator().manual_seed(2)).to(dtype)
    return (h, 2 * h) if "LSTM" in name else h


def tensors(answer: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(answer) if isinstance(leaf, Tensor)]


def loss(answer: Any) -> Tensor:
    return torch.stack([v.float().square().sum() for v in tensors(answer)]).sum()


def gradients(module: nn.Module, *given: Any) -> list[Any]:
    """What the parameters have after a backward pass; None where nothing arrived."""
    loss(module(*given)).backward()
    return [p.grad for p in module.parameters()]


def trained(module: nn.Module, x: Tensor) -> list[Any]:
    """The answer and the parameters after two steps, which a stale copy of a weight would miss."""
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        loss(module(x)).backward()
        optimizer.step()
    return [module(x), *module.parameters()]


def outcome(act: Act, module: nn.Module) -> Any:
    torch.manual_seed(3)
    try:
        return act(module)
    except Exception as mistake:
        return mistake


def same(name: str, act: Act, **options: Any) -> Any:
    """Both do `act`; asserts equal answers, or one class of error. Returns ours."""
    theirs, ours = (outcome(act, module) for module in pair(name, **options))
    if isinstance(theirs, Exception):
        assert isinstance(ours, type(theirs)), f"{ours!r} where torch raises {theirs!r}"
        return ours
    if isinstance(ours, Exception):
        raise ours
    a, b = pytree.tree_leaves(theirs), pytree.tree_leaves(ours)
    assert len(a) == len(b)
    for expected, found in zip(a, b, strict=True):
        _compare(found, expected)
    return ours


def _compare(found: Any, expected: Any) -> None:
    if not isinstance(expected, Tensor):
        assert found == expected
        return
    properties = ("shape", "dtype", "requires_grad", "device")
    for each_one in properties:
        assert getattr(found, each_one) == getattr(expected, each_one), each_one
    assert found.stride() == expected.stride()
    if not expected.is_meta and expected.is_floating_point():
        rtol, atol = CLOSE[expected.dtype]
        torch.testing.assert_close(found.detach(), expected.detach(), rtol=rtol, atol=atol)
