"""The first rungs of the ladder: finite differences -> the reference's backward; the reference against torch double."""

import numpy as np
import pytest
import torch

from gatework.reference import lstm as reference
from tests.reference.problems import NAMES, Problem
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


ALONE = [
    {},
    {"cell_clip": 0.7},
    {"zoneout_h": 0.3},
    {"zoneout_c": 0.3},
    {"zoneout_h": 0.4, "zoneout_c": 0.3, "training": True},
    {"candidate_dropout": 0.4, "training": True},
    {"coupled": True},
    {"layer_norm": True},
    {"activations": (("hard_sigmoid", 0.2, 0.5), "softsign", ("elu", 0.8))},
    {"activations": ("softplus", ("leaky_relu", 0.1), ("scaled_tanh", 1.2, 0.7))},
    {"activations": ("sigmoid", ("thresholded_relu", 0.3), ("affine", 0.8, 0.1))},
]
PARTS = [
    "",
    "projection",
    "peephole",
    "learned",
    "no_state",
    "learned no_state",
    "no_bias",
    "drop",
    "drop_per_gate",
]
ALL_STEPS = "lengths mask reset reverse"
STEPS = ["reverse", "lengths", "mask", "reset", "lengths mask reset"]
EVERYTHING = {
    "cell_clip": 0.9,
    "zoneout_h": 0.4,
    "zoneout_c": 0.3,
    "candidate_dropout": 0.3,
    "layer_norm": True,
    "activations": ("sigmoid", ("elu", 0.7), "softsign"),
}
MIXED = [
    ("projection peephole learned drop_per_gate", {}),
    ("projection peephole learned drop_per_gate", {"coupled": True}),
    ("projection peephole learned no_state drop_per_gate", EVERYTHING | {"training": True}),
    ("projection peephole learned no_state drop", EVERYTHING | {"coupled": True}),
    ("peephole learned no_bias drop", EVERYTHING | {"coupled": True, "training": True}),
    ("peephole no_bias", {"layer_norm": True, "cell_clip": 0.5, "zoneout_c": 0.5}),
]
MIXED_STEPS = [
    *((k, steps) for k in range(len(MIXED)) for steps in ("", ALL_STEPS)),
    *((2, steps) for steps in STEPS),
]


@pytest.mark.parametrize("steps", ["", ALL_STEPS])
@pytest.mark.parametrize("options", ALONE, ids=str)
def test_backward_with_one_option(options: dict, steps: str) -> None:
    Problem(reference, steps, **options).judge()


@pytest.mark.parametrize("steps", ["", ALL_STEPS])
@pytest.mark.parametrize("parts", PARTS)
def test_backward_with_one_part(parts: str, steps: str) -> None:
    Problem(reference, f"{parts} {steps}", seed=1).judge()


@pytest.mark.parametrize(("k", "steps"), MIXED_STEPS)
def test_backward_with_mixtures(k: int, steps: str) -> None:
    parts, options = MIXED[k]
    Problem(reference, f"{parts} {steps}", seed=2 + k, **options).judge()


@pytest.mark.parametrize("P", [0, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_equals_torch_double(bidirectional: bool, P: int) -> None:
    torch.manual_seed(0)
    D, R = 2 if bidirectional else 1, P or H
    lstm = torch.nn.LSTM(I, H, proj_size=P, bidirectional=bidirectional, dtype=torch.float64)
    x = torch.randn(T, N, I, dtype=torch.float64, requires_grad=True)
    h0 = torch.randn(D, N, R, dtype=torch.float64, requires_grad=True)
    c0 = torch.randn(D, N, H, dtype=torch.float64, requires_grad=True)
    y, (h_n, c_n) = lstm(x, (h0, c0))
    dy, dh_n, dc_n = (torch.randn_like(v) for v in (y, h_n, c_n))
    torch.autograd.backward((y, h_n, c_n), (dy, dh_n, dc_n))
    each = 5 if P else 4
    dx = np.zeros(x.shape)
    for d in range(D):
        parameters = list(lstm.parameters())[each * d : each * (d + 1)]
        run = reference.forward(
            x.detach().numpy(),
            h0[d].detach().numpy(),
            c0[d].detach().numpy(),
            reference.Weights(*(p.detach().numpy() for p in parameters)),
            reverse=d == 1,
        )
        own = slice(d * R, (d + 1) * R)
        assert_close(run.y, y[..., own], "forward", "torch", "y")
        assert_close(run.h_n, h_n[d], "forward", "torch", "h_n")
        assert_close(run.c_n, c_n[d], "forward", "torch", "c_n")
        found = reference.backward(run, dy[..., own].numpy(), dh_n[d].numpy(), dc_n[d].numpy())
        dx += found.dx
        assert_close(found.dh0, h0.grad[d], "gradient", "torch", "dh0")
        assert_close(found.dc0, c0.grad[d], "gradient", "torch", "dc0")
        mine = ("dw_ih", "dw_hh", "db", "db", "dw_hr")[:each]
        for name, p in zip(mine, parameters, strict=True):
            assert_close(getattr(found, name), p.grad, "gradient", "torch", name)
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


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("empty", ["steps", "rows"])
def test_nothing_to_do(empty: str, layer_norm: bool) -> None:
    problem = Problem(reference, "projection peephole", layer_norm=layer_norm)
    if empty == "steps":
        problem.inputs["x"] = problem.inputs["x"][:0]
    else:
        problem.inputs["x"] = problem.inputs["x"][:, :0]
        problem.inputs |= {k: problem.inputs[k][:0] for k in ("h0", "c0")}
    run = problem.run()
    problem.arriving = {k: np.zeros_like(getattr(run, k)) for k in problem.arriving}
    found = problem.gradients(run)
    for name, values in problem.weights()._asdict().items():
        if values is not None:
            gradient = getattr(found, NAMES["lstm"].get(name, f"d{name}"))
            assert gradient.shape == values.shape and not gradient.any()
    assert found.dx.shape == problem.inputs["x"].shape
    assert_close(run.h_n, problem.inputs["h0"], "forward", "reference", "h_n")
