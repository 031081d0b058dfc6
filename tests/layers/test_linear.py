"""gatework's Linear beside torch.nn.Linear: the same module in every respect but the product."""

import copy
import pickle

import pytest
import torch
from torch import nn

from gatework import native
from gatework.layers.explain import explain_path
from gatework.layers.linear import Linear
from tests.tolerances import assert_close


def pair(*arguments: int, **options: object) -> tuple[Linear, nn.Linear]:
    torch.manual_seed(3)
    ours = Linear(*arguments, **options)  # type: ignore[arg-type]
    torch.manual_seed(3)
    return ours, nn.Linear(*arguments, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("bias", [True, False])
def test_the_module_is_torchs(bias: bool) -> None:
    ours, theirs = pair(7, 5, bias=bias)
    assert isinstance(ours, nn.Linear) and repr(ours) == repr(theirs)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert all(torch.equal(ours.state_dict()[k], v) for k, v in theirs.state_dict().items())
    theirs.load_state_dict(ours.state_dict())
    for twin in (pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):
        x = torch.randn(3, 7)
        assert type(twin) is Linear and torch.equal(twin(x), ours(x))


@pytest.mark.skipif(not native.available(), reason="kernels are not built")
@pytest.mark.parametrize("shape", [(70, 400), (5, 14, 400)])
def test_values_and_gradients(shape: tuple[int, ...]) -> None:
    ours, theirs = pair(400, 300)
    x = torch.randn(shape)
    assert explain_path(ours, x).startswith("native")
    held, double = x.clone().requires_grad_(), x.double().requires_grad_()
    found, expected = ours(held), theirs.double()(double)
    assert_close(found, expected, "forward", "torch")
    found.square().sum().backward()
    expected.square().sum().backward()
    assert_close(held.grad, double.grad, "gradient", "torch")
    for name, parameter in ours.named_parameters():
        assert_close(parameter.grad, theirs.get_parameter(name).grad, "gradient", "torch", name)


def test_small_calls_are_torchs_own() -> None:
    ours, theirs = pair(7, 5)
    x = torch.randn(3, 7)
    assert torch.equal(ours(x), theirs(x))
    assert explain_path(ours, x).startswith("composed") and "small" in explain_path(ours, x)


def test_training_learns_the_same() -> None:
    ours, theirs = pair(400, 300)
    x, target = torch.randn(70, 400), torch.randn(70, 300)
    for module in (ours, theirs):
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.mse_loss(module(x), target).backward()
            optimizer.step()
    for name, parameter in ours.named_parameters():
        assert_close(parameter, theirs.get_parameter(name), "gradient", "torch", name)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes(dtype: torch.dtype) -> None:
    ours, theirs = pair(400, 300)
    x = torch.randn(70, 400, dtype=dtype)
    assert torch.equal(ours.to(dtype)(x), theirs.to(dtype)(x))


def test_meta_and_no_rows() -> None:
    assert Linear(400, 300, device="meta")(torch.empty(70, 400, device="meta")).shape == (70, 300)
    assert Linear(400, 300)(torch.empty(0, 400)).shape == (0, 300)
