"""The trace: shapes, the equations hold in it, carried states, layouts, gradients on both paths."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

import gatework
from tests.tolerances import assert_close

pytestmark = pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning")
DTYPES = [torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_equations_hold_in_the_trace(dtype: torch.dtype) -> None:
    lstm = gatework.LSTM(3, 5, num_layers=2, dtype=dtype)
    x = torch.randn(7, 4, 3, dtype=dtype)
    y, (h_n, c_n), traces = lstm(x, return_trace=True)
    assert len(traces) == 2 and isinstance(traces[0], gatework.Trace)
    below = x
    for layer, t in enumerate(traces):
        assert all(v.shape == (1, 7, 4, 5) for v in t)
        before = torch.cat([torch.zeros(1, 1, 4, 5, dtype=dtype), t.h[:, :-1]], dim=1)[0]
        w_ih, w_hh, b_ih, b_hh = lstm.all_weights[layer]
        a = below @ w_ih.T + b_ih + before @ w_hh.T + b_hh
        i, f, g, o = a.chunk(4, dim=-1)
        cell = torch.cat([torch.zeros(1, 4, 5, dtype=dtype), t.c[0, :-1]])
        expected = (i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid())
        for found, value in zip(t, expected, strict=False):
            assert_close(found[0], value.detach(), "forward", "torch")
        assert_close(t.c[0], (t.f[0] * cell + t.i[0] * t.g[0]).detach(), "forward", "torch")
        assert_close(t.h[0], (t.o[0] * t.c[0].tanh()).detach(), "forward", "torch")
        assert torch.equal(t.h[0, -1], h_n[layer]) and torch.equal(t.c[0, -1], c_n[layer])
        below = t.h[0]
    assert torch.equal(traces[1].h[0], y)


@pytest.mark.parametrize("dtype", DTYPES)
def test_masked_steps_have_no_gates_and_carry_the_states(dtype: torch.dtype) -> None:
    lstm = gatework.LSTM(3, 5, bidirectional=True, dtype=dtype)
    x = torch.randn(6, 2, 3, dtype=dtype)
    h0, c0 = torch.randn(2, 2, 2, 5, dtype=dtype)
    mask = torch.tensor([[0, 1], [1, 1], [0, 0], [0, 1], [1, 1], [0, 0]], dtype=torch.bool)
    reset = torch.zeros(6, 2, dtype=torch.bool)
    reset[3, 0] = True
    _, _, [t] = lstm(x, (h0, c0), mask=mask, reset=reset, return_trace=True)
    for gate in t[:4]:
        assert not gate[:, ~mask].any() and gate[:, mask].abs().min() > 0
    assert torch.equal(t.h[0, 0, 0], h0[0, 0]) and torch.equal(t.c[0, 0, 0], c0[0, 0])
    assert torch.equal(t.h[0, 2], t.h[0, 1]) and torch.equal(t.c[0, 2, 1], t.c[0, 1, 1])
    assert not t.h[0, 3, 0].any() and not t.c[0, 3, 0].any()
    assert torch.equal(t.h[1, 5], h0[1]) and torch.equal(t.c[1, 3, 0], t.c[1, 4, 0])
    assert not t.c[1, 2, 0].any() and not t.h[1, 2, 0].any()


@pytest.mark.parametrize("proj_size", [0, 2])
def test_layouts(proj_size: int) -> None:
    lstm = gatework.LSTM(3, 5, 2, batch_first=True, bidirectional=True, proj_size=proj_size)
    time_first = gatework.LSTM(3, 5, 2, bidirectional=True, proj_size=proj_size)
    time_first.load_state_dict(lstm.state_dict())
    x = torch.randn(4, 7, 3)
    lengths = torch.tensor([3, 7, 1, 4])
    traces = lstm(x, lengths=lengths, return_trace=True)[2]
    other = time_first(x.transpose(0, 1), lengths=lengths, return_trace=True)[2]
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    of_packed = lstm(packed, return_trace=True)[2]
    for a, b, c in zip(traces, other, of_packed, strict=True):
        assert a.i.shape == (2, 4, 7, 5) and a.h.shape == (2, 4, 7, proj_size or 5)
        for u, v, w in zip(a, b, c, strict=True):
            assert torch.equal(u, v.transpose(1, 2))
            assert_close(w, u.detach(), "forward", "torch")
    alone = lstm(x[1], return_trace=True)[2]
    assert alone[0].i.shape == (2, 7, 5)
    assert_close(alone[1].c, traces[1].c[:, 1].detach(), "forward", "torch")


@pytest.mark.parametrize("kind", [gatework.GRU, gatework.RNN])
def test_layouts_of_relatives(kind: type) -> None:
    module = kind(3, 5, 2, batch_first=True, bidirectional=True)
    x, lengths = torch.randn(4, 7, 3), torch.tensor([3, 7, 1, 4])
    traces = module(x, lengths=lengths, return_trace=True)[2]
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    of_packed = module(packed, return_trace=True)[2]
    alone = module(x[1], return_trace=True)[2]
    for a, b, c in zip(traces, of_packed, alone, strict=True):
        assert a.h.shape == (2, 4, 7, 5)
        for u, v, w in zip(a, b, c, strict=True):
            assert_close(v, u.detach(), "forward", "torch")
            assert_close(w, u[:, 1].detach(), "forward", "torch")


@pytest.mark.parametrize("flags", [False, True])
@pytest.mark.parametrize("kind", [gatework.LSTM, gatework.GRU, gatework.RNN])
def test_gradients_of_every_trace_tensor_equal_float64(kind: type, flags: bool) -> None:
    torch.manual_seed(0)
    lstm = kind(3, 5, num_layers=2, bidirectional=True)
    twin = kind(3, 5, num_layers=2, bidirectional=True, dtype=torch.float64)
    twin.load_state_dict(lstm.state_dict())
    x = torch.randn(6, 4, 3)
    steps = {"mask": torch.rand(6, 4) < 0.6, "reset": torch.rand(6, 4) < 0.3} if flags else {}
    for name in lstm(x, return_trace=True)[2][0]._fields:
        grads = []
        for module, dtype in ((lstm, torch.float32), (twin, torch.float64)):
            leaf = x.to(dtype).requires_grad_()
            traces = module(leaf, **steps, return_trace=True)[2]
            loss = sum((getattr(t, name) * (k + 1)).square().sum() for k, t in enumerate(traces))
            leaves = [leaf, *module.parameters()]
            grads.append(torch.autograd.grad(loss, leaves, allow_unused=True))
        for a, b in zip(*grads, strict=True):
            assert (a is None) == (b is None) or not (a if b is None else b).any()
            if a is not None and b is not None:
                assert_close(a, b, "gradient", "torch", name)


def test_asking_for_a_trace_changes_nothing_else() -> None:
    lstm = gatework.LSTM(3, 5, num_layers=2, bidirectional=True)
    x = torch.randn(6, 4, 3)
    plain, traced = lstm(x), lstm(x, return_trace=True)
    assert torch.equal(plain[0], traced[0]) and torch.equal(plain[1][1], traced[1][1])
    with torch.no_grad():
        assert torch.equal(lstm(x, return_trace=True)[2][0].i, traced[2][0].i)
