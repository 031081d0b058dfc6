"""Dropout without a mask in memory: the mask is that of ops/random.py in every path, forward, backward and beyond."""

import pytest
import torch
from torch.autograd import forward_ad, gradcheck
from torch.func import grad, vmap

from gatework import native
from gatework.ops import random
from gatework.ops.dropout import drop

SEED = torch.tensor(-(2**62) + 5)
RATES = [0.0, 0.3, 1 - 2**-20, 1.0]


def _mask(x: torch.Tensor, p: float) -> torch.Tensor:
    return random.dropout_mask(x.shape, p, SEED, x.device, x.dtype)


@pytest.mark.parametrize("p", RATES)
@pytest.mark.parametrize("shape", [(), (0, 3), (33,), (500, 700)])
def test_the_kernels_draw_torch_s_bits(
    shape: tuple[int, ...], p: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = random.dropout_mask(shape, p, SEED, "cpu", torch.float32)
    monkeypatch.setattr(random, "kernels_can_draw", lambda _: False)
    assert torch.equal(found, random.dropout_mask(shape, p, SEED, "cpu", torch.float32))


@pytest.mark.parametrize("p", RATES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_those_of_a_product(p: float, dtype: torch.dtype) -> None:
    x = torch.randn(40, 30, dtype=dtype).t().requires_grad_()
    up = torch.randn(30, 40, dtype=dtype)
    y = drop(x, p, SEED)
    assert torch.equal(y, x * _mask(x, p))
    assert torch.equal(torch.autograd.grad(y, x, up)[0], up * _mask(x, p))
    with torch.no_grad():
        assert torch.equal(drop(x, p, SEED), y)


def test_all_derivatives() -> None:
    x = torch.randn(5, 7, requires_grad=True)
    (first,) = torch.autograd.grad(drop(x, 0.4, SEED).square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert torch.equal(second, 2 * _mask(x, 0.4) ** 2)
    assert gradcheck(lambda v: drop(v, 0.4, SEED), x.double(), check_forward_ad=True)
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(drop(forward_ad.make_dual(x, x * 2), 0.4, SEED)).tangent
    assert torch.equal(tangent, 2 * x * _mask(x, 0.4))


def test_no_mask_is_kept() -> None:
    kept: list[torch.Tensor] = []

    def pack(v: torch.Tensor) -> torch.Tensor:
        kept.append(v)
        return v

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda v: v):
        drop(torch.randn(9, 9, requires_grad=True), 0.5, SEED)
    assert not kept or not native.available()


def test_transforms_and_compilation() -> None:
    x = torch.randn(4, 6)
    truth = drop(x, 0.5, SEED)
    assert torch.equal(grad(lambda v: drop(v, 0.5, SEED).sum())(x), _mask(x, 0.5))
    assert torch.equal(vmap(lambda v: drop(v, 0.5, SEED))(x.expand(3, 4, 6))[2], truth)
    compiled = torch.compile(drop, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x, 0.5, SEED), truth)
    assert drop(x.to("meta"), 0.5, SEED).shape == (4, 6)


def test_what_is_dropped_is_not_seen() -> None:
    x = torch.full((100,), float("inf"))
    for found in (drop(x, 0.5, SEED), drop(x.double(), 0.5, SEED)):
        assert not found.isnan().any() and (found == 0).any()
