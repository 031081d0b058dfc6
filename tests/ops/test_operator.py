"""The torch operator by the book: opcheck, compile, export, a differentiable backward, and no read outside a tensor."""

import random

import pytest
import torch
from torch.library import opcheck

from gatework import native
from gatework.errors import ShapeError
from gatework.ops import lstm_operator
from gatework.ops.lstm_kernel import Inputs
from tests.ops import cases
from tests.tolerances import assert_close

pytestmark = pytest.mark.skipif(not native.available(), reason="kernels are not built")
OP, BACKWARD = lstm_operator.forward_op, lstm_operator.backward_op


def _arguments(
    D: int = 1, *, H: int = 16, steps: str = "", batch_first: bool = False
) -> tuple[object, ...]:
    case = cases.make(3, 2, 4, H, D, steps=steps)
    t = cases.tensors(case, torch.float32, batch_first=batch_first)
    w = [v for weights in t.weights for v in weights[:4]] + [None] * (8 - 4 * D)
    flags = [t.steps.get(name) for name in ("lengths", "mask", "reset")]
    return t.x, t.h0, t.c0, *w, *flags, batch_first, True


def _call(*arguments: object) -> tuple[torch.Tensor, ...]:
    """The short cut, called as the operator is."""
    return lstm_operator.call(Inputs(*arguments[:14]), *arguments[14:])


def _detached(arguments: tuple[object, ...]) -> list[object]:
    return [a.detach() if isinstance(a, torch.Tensor) else a for a in arguments]


@pytest.mark.parametrize("D", [1, 2])
@pytest.mark.parametrize("batch_first", [False, True])
def test_opcheck_forward(D: int, batch_first: bool) -> None:
    opcheck(torch.ops.gatework.lstm.default, _arguments(D, batch_first=batch_first))


@pytest.mark.parametrize("wanted", [[True] * 4, [False, True, True, False]])
def test_opcheck_backward(wanted: list[bool]) -> None:
    plain = _detached(_arguments(2))
    y, h_n, _, gates, c = OP(*plain)
    grads = (torch.randn_like(y), torch.randn_like(h_n), None, None, None)
    opcheck(
        torch.ops.gatework.lstm_backward.default,
        (*grads, *plain[:14], y, gates, c, False, wanted),
    )


@pytest.mark.parametrize("steps", ["", "lengths mask reset"])
def test_dispatched_and_direct_calls_agree(steps: str) -> None:
    results = []
    for call in (OP, _call):
        arguments = _arguments(2, steps=steps)
        y, h_n, c_n, _, _ = call(*arguments)
        leaves = [a for a in arguments if isinstance(a, torch.Tensor) and a.requires_grad]
        grads = torch.autograd.grad(y.sum() + h_n.square().sum() + c_n.sum(), leaves)
        results.append([y, h_n, c_n, *grads])
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("steps", ["", "lengths", "mask reset"])
def test_differentiable_backward_gives_the_same_gradients(steps: str, batch_first: bool) -> None:
    arguments = _arguments(2, H=17, steps=steps, batch_first=batch_first)
    leaves = [a for a in arguments if isinstance(a, torch.Tensor) and a.requires_grad]
    y, h_n, c_n, gates, c = _call(*arguments)
    happens = gates.isfinite() & (gates.abs() <= 1)
    loss = y.square().sum() + h_n.sum() + c_n.prod() + torch.where(happens, gates, 0)[..., 0].sum()
    if not steps:
        loss = loss + c[..., :17].square().sum()
    if steps:
        loss = y.square().sum() + h_n.sum() + c_n.prod()
    plain = torch.autograd.grad(loss, leaves, retain_graph=True)
    recomputed = torch.autograd.grad(loss, leaves, create_graph=True)
    for a, b in zip(recomputed, plain, strict=True):
        assert a.requires_grad
        assert_close(a, b, "gradient", "reference")


def test_second_derivative_equals_float64() -> None:
    results = []
    for dtype in (torch.float32, torch.float64):
        arguments = [
            a.detach().to(dtype).requires_grad_() if isinstance(a, torch.Tensor) else a
            for a in _arguments(2)
        ]
        leaves = [a for a in arguments if isinstance(a, torch.Tensor)]
        if dtype == torch.float32:
            outputs = _call(*arguments)
        else:
            outputs = lstm_operator.through_composed(Inputs(*arguments[:14]), False)
        loss = outputs[0].square().sum() + outputs[2].sum()
        first = torch.autograd.grad(loss, leaves, create_graph=True)
        penalty = sum(g.square().sum() for g in first)
        results.append(torch.autograd.grad(penalty, leaves))
    for a, b in zip(*results, strict=True):
        assert_close(a, b, "gradient", "reference")


def test_a_dependent_input_gets_its_own_share_only() -> None:
    x = torch.randn(3, 2, 4, requires_grad=True)
    _, h0, c0, *rest = _arguments()

    def gradient(create_graph: bool) -> torch.Tensor:
        h = x.sum() * h0.detach()
        y = _call(x, h, c0, *rest)[0]
        return torch.autograd.grad(y.sum(), x, create_graph=create_graph)[0]

    assert_close(gradient(True), gradient(False), "gradient", "reference")


def test_both_biases_own_their_gradient() -> None:
    arguments = _arguments()
    y = _call(*arguments)[0]
    b_ih, b_hh = torch.autograd.grad(y.sum(), [arguments[5], arguments[6]])
    assert torch.equal(b_ih, b_hh) and b_ih.data_ptr() != b_hh.data_ptr()


def test_fake_tensors_know_the_shapes() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode() as mode:
        fakes = [
            mode.from_tensor(a.detach()) if isinstance(a, torch.Tensor) else a
            for a in _arguments(2, H=17)
        ]
        shapes = [tuple(v.shape) for v in _call(*fakes)]
    assert shapes == [tuple(v.shape) for v in _call(*_arguments(2, H=17))]


def test_wrong_sizes_are_refused_before_the_kernel() -> None:
    draw = random.Random(0)
    good = _detached(_arguments(2, steps="lengths mask reset"))
    OP(*good)
    refused = 0
    for _ in range(300):
        broken = list(good)
        k = draw.randrange(14)
        broken[k] = _broken(good[k], draw)
        if broken[k].shape == good[k].shape and broken[k].dtype == good[k].dtype:
            continue
        refused += 1
        with pytest.raises((ShapeError, RuntimeError)):
            OP(*broken)
        with pytest.raises((ShapeError, RuntimeError)):
            _call(*broken)
    assert refused > 200


def test_wrong_sizes_are_refused_by_the_backward() -> None:
    draw = random.Random(1)
    plain = _detached(_arguments(2, steps="lengths mask reset"))
    y, h_n, c_n, gates, c = OP(*plain)
    good = [y, h_n, c_n, gates, c, *plain[:14], y, gates, c]
    BACKWARD(*good, False, [True] * 4)
    for _ in range(200):
        broken = list(good)
        k = draw.randrange(len(good))
        broken[k] = _broken(good[k], draw)
        if broken[k].shape == good[k].shape and broken[k].dtype == good[k].dtype:
            continue
        with pytest.raises((ShapeError, RuntimeError)):
            BACKWARD(*broken, False, [True] * 4)


def _broken(tensor: torch.Tensor, draw: random.Random) -> torch.Tensor:
    kind = draw.randrange(4)
    if kind == 0:
        return tensor.to(draw.choice([torch.float64, torch.int32, torch.float16]))
    if kind == 1:
        return tensor.unsqueeze(0)
    if kind == 2 or tensor.dim() == 0:
        return tensor[..., :-1]
    return torch.cat([tensor, tensor])


@pytest.mark.parametrize("lengths", [[4, 1], [-1, 2], [2**40, 0]])
def test_lengths_outside_the_input_are_refused(lengths: list[int]) -> None:
    arguments = _detached(_arguments(steps="lengths"))
    arguments[11] = torch.tensor(lengths)
    with pytest.raises(ShapeError, match="every length must be from 0 to 3"):
        OP(*arguments)
