"""The plain network's backward against finite differences, every option; the plain cell against torch double."""

import numpy as np
import pytest
import torch

from gatework.reference import rnn as reference
from gatework.reference.options import Options
from tests.reference.problems import NAMES, H, I, N, Problem, T
from tests.tolerances import assert_close

ALL_STEPS = "lengths mask reset reverse"
STEPS = ["reverse", "lengths", "mask", "reset", "lengths mask reset"]
ALONE = [
    {},
    {"zoneout_h": 0.3},
    {"zoneout_h": 0.4, "training": True},
    {"layer_norm": True},
    {"activations": ("relu",)},
    {"activations": (("elu", 0.8),)},
]
PARTS = ["", "learned", "no_state", "learned no_state", "no_bias", "drop", "drop_per_gate"]
EVERYTHING = {"zoneout_h": 0.4, "layer_norm": True, "activations": ("softplus",)}
MIXED = [
    ("learned no_state drop_per_gate", EVERYTHING | {"training": True}),
    ("learned drop", EVERYTHING),
    ("no_bias no_state", {"layer_norm": True, "activations": ("sigmoid",)}),
]
MIXED_STEPS = [
    *((k, steps) for k in range(len(MIXED)) for steps in ("", ALL_STEPS)),
    *((0, steps) for steps in STEPS),
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


@pytest.mark.parametrize("squash", ["tanh", "relu"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_equals_torch_double(bidirectional: bool, squash: str) -> None:
    torch.manual_seed(0)
    D = 2 if bidirectional else 1
    rnn = torch.nn.RNN(I, H, nonlinearity=squash, bidirectional=bidirectional, dtype=torch.float64)
    x = torch.randn(T, N, I, dtype=torch.float64, requires_grad=True)
    h0 = torch.randn(D, N, H, dtype=torch.float64, requires_grad=True)
    y, h_n = rnn(x, h0)
    dy, dh_n = torch.randn_like(y), torch.randn_like(h_n)
    torch.autograd.backward((y, h_n), (dy, dh_n))
    dx = np.zeros(x.shape)
    for d in range(D):
        own, parameters = slice(d * H, (d + 1) * H), list(rnn.parameters())[4 * d : 4 * d + 4]
        run = reference.forward(
            x.detach().numpy(),
            h0[d].detach().numpy(),
            reference.Weights(*(p.detach().numpy() for p in parameters)),
            Options(activations=(squash,)),
            reverse=d == 1,
        )
        assert_close(run.y, y[..., own], "forward", "torch", "y")
        assert_close(run.h_n, h_n[d], "forward", "torch", "h_n")
        found = reference.backward(run, dy[..., own].numpy(), dh_n[d].numpy())
        dx += found.dx
        assert_close(found.dh0, h0.grad[d], "gradient", "torch", "dh0")
        for name, p in zip(("dw_ih", "dw_hh", "db", "db"), parameters, strict=True):
            assert_close(getattr(found, name), p.grad, "gradient", "torch", name)
    assert_close(dx, x.grad, "gradient", "torch", "dx")


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("empty", ["steps", "rows"])
def test_nothing_to_do(empty: str, layer_norm: bool) -> None:
    problem = Problem(reference, "", layer_norm=layer_norm)
    if empty == "steps":
        problem.inputs["x"] = problem.inputs["x"][:0]
    else:
        problem.inputs["x"] = problem.inputs["x"][:, :0]
        problem.inputs["h0"] = problem.inputs["h0"][:0]
    run = problem.run()
    problem.arriving = {k: np.zeros_like(getattr(run, k)) for k in problem.arriving}
    found = problem.gradients(run)
    for name, values in problem.weights()._asdict().items():
        if values is not None:
            gradient = getattr(found, NAMES["rnn"].get(name, f"d{name}"))
            assert gradient.shape == values.shape and not gradient.any()
    assert found.dx.shape == problem.inputs["x"].shape
    assert_close(run.h_n, problem.inputs["h0"], "forward", "reference", "h_n")
