"""Layer norm and zoneout as Haste publishes them, written anew in torch double; its gradients are autograd's.

Haste (github.com/lmnt-com/haste, docs and frameworks/pytorch): v = norm(x W) g_x + norm(h U) g_h + b, each norm over
all gates; h = o tanh(norm(c) g_c + b_c); zoneout h' = h_old + m (h_new - h_old) with m = 1 at probability 1 - p, in
eval mode p h_old + (1 - p) h_new. It coincides with ours for the LSTM and, without layer norm, for the GRU.

Where it differs: Haste has no zoneout of c; it orders the gates i, g, f, o and z, r, g; and it normalises the GRU's
three gates together, where ours (the appendix of Ba et al. 2016) normalises r and z together and the candidate alone.
"""

import numpy as np
import pytest
import torch
from torch.nn.functional import layer_norm

from gatework.reference import gru, lstm
from tests.reference.problems import H, Problem
from tests.tolerances import assert_close

P = 0.4


def _leaves(problem: Problem) -> dict[str, torch.Tensor]:
    return {k: torch.tensor(v, requires_grad=True) for k, v in problem.inputs.items()}


def _zoned(new: torch.Tensor, old: torch.Tensor, keep: np.ndarray, training: bool) -> torch.Tensor:
    if training:
        return old + torch.tensor(1.0 - keep) * (new - old)
    return P * old + (1 - P) * new


def _judge(problem: Problem, run, y: torch.Tensor, leaves: dict[str, torch.Tensor]) -> None:
    assert_close(run.y, y, "forward", "torch", "y")
    send = problem.arriving
    y.backward(torch.tensor(send["y"]))
    states = [np.zeros_like(run.h_n), np.zeros_like(run.h_n)][: 2 if problem.name == "lstm" else 1]
    found = problem.cell.backward(run, send["y"], *states)
    names = {"b_ih": "db" if problem.name == "lstm" else "db_ih"}
    for name, leaf in leaves.items():
        own = names.get(name, f"d{name}")
        assert_close(getattr(found, own), leaf.grad, "gradient", "torch", own)


@pytest.mark.parametrize("training", [True, False])
def test_lstm_with_layer_norm_and_zoneout(training: bool) -> None:
    problem = Problem(lstm, layer_norm=True, zoneout_h=P, training=training)
    run, w = problem.run(), _leaves(problem)
    h, c, outputs = w["h0"], w["c0"], []
    for x, keep in zip(w["x"], run.chance.keep_h, strict=True):
        v = layer_norm(x @ w["w_ih"].T, (4 * H,)) * w["gain_ih"] + w["b_ih"]
        v = v + layer_norm(h @ w["w_hh"].T, (4 * H,)) * w["gain_hh"]
        i, f, g, o = v.chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        new = torch.sigmoid(o) * torch.tanh(layer_norm(c, (H,), w["gain_c"], w["bias_c"]))
        h = _zoned(new, h, keep, training)
        outputs.append(h)
    _judge(problem, run, torch.stack(outputs), w)


@pytest.mark.parametrize("training", [True, False])
def test_gru_with_zoneout(training: bool) -> None:
    problem = Problem(gru, zoneout_h=P, training=training)
    run, w = problem.run(), _leaves(problem)
    h, outputs = w["h0"], []
    for x, keep in zip(w["x"], run.chance.keep_h, strict=True):
        x_r, x_z, x_n = (x @ w["w_ih"].T + w["b_ih"]).chunk(3, dim=1)
        h_r, h_z, h_n = (h @ w["w_hh"].T + w["b_hh"]).chunk(3, dim=1)
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        h = _zoned(z * h + (1 - z) * torch.tanh(x_n + r * h_n), h, keep, training)
        outputs.append(h)
    _judge(problem, run, torch.stack(outputs), w)
