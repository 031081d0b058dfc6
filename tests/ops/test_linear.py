"""gatework.ops.linear against torch: values, gradients, the operator by the book, and who computes what."""

import pytest
import torch
from torch import Tensor
from torch.library import opcheck
from torch.nn.functional import linear as torch_linear

from gatework import native
from gatework.errors import ShapeError
from gatework.ops import linear as module
from gatework.ops.linear import backward_op, forward_op, linear, why_torch
from tests.tolerances import assert_close

pytestmark = pytest.mark.skipif(not native.available(), reason="kernels are not built")


@pytest.fixture(autouse=True)
def small_calls_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORTH", 1)


def operands(*shape: int, V: int = 70, seed: int = 0) -> list[Tensor]:
    """x of this shape, weight and bias, all wanting gradients."""
    draw = torch.Generator().manual_seed(seed)
    sizes = (shape, (V, shape[-1]), (V,))
    return [torch.randn(size, generator=draw).requires_grad_() for size in sizes]


def results(call, tensors: list[Tensor]) -> list[Tensor]:  # type: ignore[no-untyped-def]
    y = call(*tensors)
    wanted = [t for t in tensors if t.requires_grad]
    dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(7)).to(y.dtype)
    return [y, *torch.autograd.grad(y, wanted, dy)]


def in_double(tensors: list[Tensor]) -> list[Tensor]:
    return [t.detach().double().requires_grad_(t.requires_grad) for t in tensors]


@pytest.mark.parametrize("shape", [(33,), (1, 33), (40, 33), (5, 1, 64), (3, 4, 5, 17), (300, 450)])
def test_values_and_gradients(shape: tuple[int, ...]) -> None:
    tensors = operands(*shape)
    assert why_torch(*tensors) == ""
    found, expected = results(linear, tensors), results(torch_linear, in_double(tensors))
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert_close(a, b, "gradient" if k else "forward", "torch")


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_a_gradient_that_nobody_wants(absent: int) -> None:
    tensors = operands(40, 33)
    tensors[absent].requires_grad_(False)
    for a, b in zip(
        results(linear, tensors), results(torch_linear, in_double(tensors)), strict=True
    ):
        assert_close(a, b, "gradient", "torch")


def test_without_bias() -> None:
    x, weight, _ = operands(40, 33)
    assert_close(linear(x, weight), torch_linear(x.double(), weight.double()), "forward", "torch")


@pytest.mark.parametrize("layout", ["columns", "every other", "transposed", "expanded", "flipped"])
def test_inputs_that_are_not_contiguous(layout: str) -> None:
    x, weight, bias = (t.detach() for t in operands(40, 34))
    x = {
        "columns": lambda: x[:, 3:20],
        "every other": lambda: x[::2, :17],
        "transposed": lambda: x.T[:17].T,
        "expanded": lambda: x[:1, :17].expand(40, 17),
        "flipped": lambda: x.flip(0)[:, ::2],
    }[layout]()
    tensors = [t.requires_grad_() for t in (x.detach(), weight[:, :17].detach(), bias.detach())]
    for a, b in zip(
        results(linear, tensors), results(torch_linear, in_double(tensors)), strict=True
    ):
        assert_close(a, b, "gradient", "torch")


def test_the_gradient_of_a_sum_is_expanded() -> None:
    tensors = operands(40, 33)
    found = torch.autograd.grad(linear(*tensors).sum(), tensors)
    doubles = in_double(tensors)
    expected = torch.autograd.grad(torch_linear(*doubles).sum(), doubles)
    for a, b in zip(found, expected, strict=True):
        assert_close(a, b, "gradient", "torch")


def test_weights_that_are_tied() -> None:
    def loss(call, x: Tensor, weight: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        embedded = torch.nn.functional.embedding(torch.arange(40) % 50, weight)
        return call(embedded + x, weight).square().sum()

    x, weight = torch.randn(40, 33), torch.randn(50, 33, requires_grad=True)
    double = weight.detach().double().requires_grad_()
    (found,) = torch.autograd.grad(loss(linear, x, weight), weight)
    (expected,) = torch.autograd.grad(loss(torch_linear, x.double(), double), double)
    assert_close(found, expected, "gradient", "torch")


def test_opcheck() -> None:
    x, weight, bias = operands(40, 33)
    opcheck(forward_op, (x, weight, bias))
    opcheck(forward_op, (x, weight, None))
    dy = torch.randn(40, 70)
    for wanted in ([True] * 3, [False, True, False]):
        opcheck(backward_op, (dy, x.detach(), weight.detach(), wanted))


def test_dispatched_and_direct_calls_agree() -> None:
    tensors = operands(4, 10, 33)
    for a, b in zip(results(linear, tensors), results(forward_op, tensors), strict=True):
        assert torch.equal(a, b)


def test_fake_tensors_and_export_keep_the_operator() -> None:
    class Head(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.randn(70, 33))

        def forward(self, x: Tensor) -> Tensor:
            return linear(x, self.weight)

    program = torch.export.export(Head(), (torch.randn(40, 33),))
    assert "gatework.linear.default" in str(program.graph)


@pytest.mark.parametrize("first", ["forward", "backward"])
def test_derivatives_of_derivatives(first: str) -> None:
    def second(call, tensors: list[Tensor]) -> list[Tensor]:  # type: ignore[no-untyped-def]
        y = call(*tensors)
        grads = torch.autograd.grad(y.square().sum(), tensors, create_graph=True)
        total = sum(g.square().sum() for g in grads) + (y.sum() if first == "forward" else 0.0)
        return list(torch.autograd.grad(total, tensors))

    tensors = operands(3, 4, 17)
    for a, b in zip(second(linear, tensors), second(torch_linear, in_double(tensors)), strict=True):
        assert_close(a, b, "gradient", "torch")


def test_an_input_changed_in_place_is_noticed() -> None:
    x, weight, bias = operands(40, 33)
    held = x.detach().clone()
    y = linear(held, weight, bias)
    held.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_what_torch_computes() -> None:
    x, weight, bias = (t.detach() for t in operands(40, 33))
    assert "float32" in why_torch(x.double(), weight.double(), bias.double())
    assert "float32" in why_torch(x.to("meta"), weight, bias)
    assert "sizes" in why_torch(x[:, :5], weight, bias)
    assert "bias" in why_torch(x, weight, torch.zeros(1))
    assert "few features" in why_torch(*operands(40, 7))

    class Own(Tensor):
        pass

    assert "Own" in why_torch(x.as_subclass(Own), weight, bias)
    with torch.autocast("cpu", torch.bfloat16):
        assert "autocast" in why_torch(x, weight, bias)
        assert linear(x, weight, bias).dtype == torch.bfloat16


def test_small_calls_go_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORTH", 40 * 33 * 70 + 1)
    assert "small" in why_torch(*operands(40, 33))
    assert why_torch(*operands(41, 33)) == ""


def test_transforms_look_inside() -> None:
    x, weight, bias = (t.detach() for t in operands(4, 10, 33))
    tangent = torch.randn_like(x)
    _, found = torch.func.jvp(lambda v: linear(v, weight, bias), (x,), (tangent,))
    assert_close(found, torch_linear(tangent.double(), weight.double()), "forward", "torch")
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, tangent)
        found = torch.autograd.forward_ad.unpack_dual(linear(dual, weight, bias)).tangent
    assert_close(found, torch_linear(tangent.double(), weight.double()), "forward", "torch")
    mapped = torch.func.vmap(linear, in_dims=(0, None, None))(x, weight, bias)
    assert_close(
        mapped, torch_linear(x.double(), weight.double(), bias.double()), "forward", "torch"
    )


def test_wrong_calls_raise_as_in_torch() -> None:
    x, weight, bias = operands(40, 33)
    for wrong in ((x[:, :5], weight, bias), (x, weight.double(), bias), (x, weight, bias[:3])):
        with pytest.raises(RuntimeError) as ours:
            linear(*wrong)
        with pytest.raises(RuntimeError) as theirs:
            torch_linear(*wrong)
        assert str(ours.value) == str(theirs.value)


def test_the_operator_refuses_before_the_kernel() -> None:
    x, weight, bias = (t.detach() for t in operands(40, 33))
    dy = torch.randn(40, 70)
    wrong_dtype, wrong_bias = (x.double(), weight, bias), (x, weight, bias[:3])
    for wrong in ((x[:, :5], weight, bias), wrong_dtype, wrong_bias, (x, weight[0], bias)):
        with pytest.raises(ShapeError):
            forward_op(*wrong)
    for wrong in ((dy[:5], x, weight), (dy, x[:5], weight), (dy, x, weight[:5])):
        with pytest.raises(ShapeError):
            backward_op(*wrong, [True] * 3)
