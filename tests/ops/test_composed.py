"""The composed scan under every kind of differentiation, in float64, against finite differences and torch."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import jvp, vmap

from gatework.ops import composed
from gatework.ops.composed import Weights
from tests.tolerances import assert_close

T, N, I, H, P = 3, 2, 3, 4, 2  # noqa: E741
MASK = torch.tensor([[True, True], [False, True], [True, False]])
RESET = torch.tensor([[False, True], [False, False], [True, False]])


def _inputs(D: int, projected: bool) -> list[torch.Tensor]:
    torch.manual_seed(D)
    width = P if projected else H
    shapes = [(T, N, I), (D, N, width), (D, N, H)]
    shapes += [(4 * H, I), (4 * H, width), (4 * H,), (4 * H,)] * D
    shapes += [(P, H)] * D if projected else []
    return [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes]


def _run(D: int, projected: bool, *inputs: torch.Tensor) -> list[torch.Tensor]:
    weights = [
        Weights(*inputs[3 + 4 * d : 7 + 4 * d], inputs[3 + 4 * D + d] if projected else None)
        for d in range(D)
    ]
    y, h_n, c_n, trace = composed.lstm(
        *inputs[:3],
        weights,
        lengths=torch.tensor([3, 1]),
        mask=MASK,
        reset=RESET,
    )
    assert trace is not None
    return [y, h_n, c_n, *trace]


@pytest.mark.parametrize("D", [1, 2])
@pytest.mark.parametrize("projected", [False, True])
def test_gradients(D: int, projected: bool) -> None:
    inputs = _inputs(D, projected)
    assert gradcheck(
        lambda *v: _run(D, projected, *v), inputs, fast_mode=True, check_forward_ad=True
    )
    assert gradgradcheck(lambda *v: _run(D, projected, *v)[:3], inputs, fast_mode=True)


def test_vmap_equals_a_loop() -> None:
    inputs = _inputs(2, True)
    x = torch.randn(4, T, N, I, dtype=torch.float64)
    each = vmap(lambda v: _run(2, True, v, *inputs[1:])[0])(x)
    for k in range(4):
        assert_close(each[k], _run(2, True, x[k], *inputs[1:])[0].detach(), "forward", "reference")


def test_jvp_is_not_silently_zero() -> None:
    inputs = [v.detach() for v in _inputs(1, False)]
    tangents = [torch.randn_like(v) for v in inputs]
    _, out = jvp(lambda *v: _run(1, False, *v)[0], tuple(inputs), tuple(tangents))
    assert out.abs().max() > 0.1


@pytest.mark.parametrize("layers", [1, 2])
def test_projection_equals_torch(layers: int) -> None:
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(I, H, layers, bidirectional=True, proj_size=P, dtype=torch.float64)
    x = torch.randn(T, N, I, dtype=torch.float64)
    h0 = torch.randn(2 * layers, N, P, dtype=torch.float64)
    c0 = torch.randn(2 * layers, N, H, dtype=torch.float64)
    y = x
    for layer in range(layers):
        own = slice(2 * layer, 2 * layer + 2)
        weights = [Weights(*w) for w in lstm.all_weights[own]]
        y = composed.lstm(y, h0[own], c0[own], weights).y
    assert_close(y, lstm(x, (h0, c0))[0].detach(), "forward", "torch")
