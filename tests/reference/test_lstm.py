"""The first rungs of the ladder: finite differences -> the reference's backward; the reference against torch double."""

import numpy as np
import pytest
import torch

from gatework.reference import lstm as reference
from tests.tolerances import assert_close

T, N, I, H = 5, 3, 4, 6  # noqa: E741


def _case(seed: int = 0, flags: bool = True) -> tuple[dict, dict]:
    draw = np.random.default_rng(seed)
    inputs = {
        "x": draw.normal(size=(T, N, I)),
        "h0": draw.normal(size=(N, H)),
        "c0": draw.normal(size=(N, H)),
        "w_ih": draw.normal(size=(4 * H, I)),
        "w_hh": draw.normal(size=(4 * H, H)) / 2,
        "b_ih": draw.normal(size=4 * H),
        "b_hh": draw.normal(size=4 * H),
    }
    steps = {
        "lengths": np.array([T, 0, 3]),
        "mask": draw.random((T, N)) < 0.7,
        "reset": draw.random((T, N)) < 0.3,
    }
    return inputs, steps if flags else {}


def _run(inputs: dict, **steps: object) -> reference.Run:
    weights = reference.Weights(*(inputs[k] for k in ("w_ih", "w_hh", "b_ih", "b_hh")))
    return reference.forward(inputs["x"], inputs["h0"], inputs["c0"], weights, **steps)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("flags", [False, True])
def test_backward_equals_finite_differences(reverse: bool, flags: bool) -> None:
    inputs, steps = _case(flags=flags)
    draw = np.random.default_rng(1)
    run = _run(inputs, **steps, reverse=reverse)
    on = run.happens[..., None]
    dy, dc = draw.normal(size=(T, N, H)), draw.normal(size=(T, N, H)) * on
    dh_n, dc_n = draw.normal(size=(2, N, H))
    dgates = tuple(draw.normal(size=(4, T, N, H)) * on)

    def loss() -> float:
        r = _run(inputs, **steps, reverse=reverse)
        of_trace = sum((d * v).sum() for d, v in zip(dgates, (r.i, r.f, r.g, r.o), strict=True))
        of_states = (dh_n * r.h_n).sum() + (dc_n * r.c_n).sum() + (dc * r.c).sum()
        return float((dy * r.y).sum() + of_states + of_trace)

    found = reference.backward(run, dy, dh_n, dc_n, dgates=dgates, dc=dc)
    names = {"x": "dx", "h0": "dh0", "c0": "dc0", "w_ih": "dw_ih", "w_hh": "dw_hh"}
    names |= {"b_ih": "db", "b_hh": "db"}
    for name, gradient in names.items():
        numeric = np.zeros_like(inputs[name])
        for k in np.ndindex(numeric.shape):
            kept = inputs[name][k]
            inputs[name][k] = kept + 1e-5
            up = loss()
            inputs[name][k] = kept - 1e-5
            numeric[k] = (up - loss()) / 2e-5
            inputs[name][k] = kept
        assert_close(getattr(found, gradient), numeric, "gradient", "finite differences", gradient)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_equals_torch_double(bidirectional: bool) -> None:
    torch.manual_seed(0)
    D = 2 if bidirectional else 1
    lstm = torch.nn.LSTM(I, H, bidirectional=bidirectional, dtype=torch.float64)
    x = torch.randn(T, N, I, dtype=torch.float64, requires_grad=True)
    h0, c0 = (torch.randn(D, N, H, dtype=torch.float64, requires_grad=True) for _ in range(2))
    y, (h_n, c_n) = lstm(x, (h0, c0))
    dy, dh_n, dc_n = (torch.randn_like(v) for v in (y, h_n, c_n))
    torch.autograd.backward((y, h_n, c_n), (dy, dh_n, dc_n))
    dx = np.zeros(x.shape)
    for d in range(D):
        w = [p.detach().numpy() for p in list(lstm.parameters())[4 * d : 4 * d + 4]]
        run = reference.forward(
            x.detach().numpy(),
            h0[d].detach().numpy(),
            c0[d].detach().numpy(),
            reference.Weights(*w),
            reverse=d == 1,
        )
        own = slice(d * H, (d + 1) * H)
        assert_close(run.y, y[..., own], "forward", "torch", "y")
        assert_close(run.h_n, h_n[d], "forward", "torch", "h_n")
        assert_close(run.c_n, c_n[d], "forward", "torch", "c_n")
        found = reference.backward(run, dy[..., own].numpy(), dh_n[d].numpy(), dc_n[d].numpy())
        dx += found.dx
        assert_close(found.dh0, h0.grad[d], "gradient", "torch", "dh0")
        assert_close(found.dc0, c0.grad[d], "gradient", "torch", "dc0")
        expected = [p.grad for p in list(lstm.parameters())[4 * d : 4 * d + 4]]
        mine = (found.dw_ih, found.dw_hh, found.db, found.db)
        for name, a, b in zip(("dw_ih", "dw_hh", "db", "db"), mine, expected, strict=True):
            assert_close(a, b, "gradient", "torch", name)
    assert_close(dx, x.grad, "gradient", "torch", "dx")


@pytest.mark.parametrize("reverse", [False, True])
def test_masked_steps_are_as_if_absent(reverse: bool) -> None:
    inputs, steps = _case(2)
    run = _run(inputs, mask=steps["mask"], lengths=steps["lengths"], reverse=reverse)
    for n in range(N):
        on = run.happens[:, n]
        row = {k: v[:, n : n + 1] if k == "x" else v for k, v in inputs.items()}
        row |= {k: inputs[k][n : n + 1] for k in ("h0", "c0")}
        row["x"] = row["x"][on]
        alone = _run(row, reverse=reverse)
        assert_close(run.y[on, n], alone.y[:, 0], "forward", "reference")
        assert_close(run.h_n[n], alone.h_n[0], "forward", "reference")
        assert_close(run.c_n[n], alone.c_n[0], "forward", "reference")
        assert not run.y[~on, n].any()


@pytest.mark.parametrize("reverse", [False, True])
def test_reset_starts_a_new_sequence(reverse: bool) -> None:
    inputs, _ = _case(3)
    reset = np.zeros((T, N), bool)
    reset[2] = True
    whole = _run(inputs, reset=reset, reverse=reverse)
    zeros = {"h0": np.zeros((N, H)), "c0": np.zeros((N, H))}
    from_state, from_zero = (slice(2, T), slice(0, 2)) if reverse else (slice(0, 2), slice(2, T))
    first = _run(inputs | {"x": inputs["x"][from_state]}, reverse=reverse)
    second = _run(inputs | zeros | {"x": inputs["x"][from_zero]}, reverse=reverse)
    assert_close(whole.y[from_state], first.y, "forward", "reference")
    assert_close(whole.y[from_zero], second.y, "forward", "reference")
    assert_close(whole.h_n, second.h_n, "forward", "reference")


def test_reset_acts_at_masked_steps_too() -> None:
    inputs, _ = _case(4)
    mask, reset = np.ones((T, N), bool), np.zeros((T, N), bool)
    mask[-1], reset[-1] = False, True
    run = _run(inputs, mask=mask, reset=reset)
    assert not run.h_n.any() and not run.c_n.any() and not run.c[-1].any()
    assert not run.i[-1].any()
