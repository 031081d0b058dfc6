"""What is the RNN's own: its one activation, one state, its trace, and the options that it refuses."""

from typing import Any

import pytest
import torch

import gatework
from tests.tolerances import assert_close

pytestmark = pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning")


@pytest.mark.parametrize(
    ("given", "function"),
    [
        ({}, torch.tanh),
        ({"nonlinearity": "relu"}, torch.relu),
        ({"activations": ("softsign",)}, torch.nn.functional.softsign),
        ({"activations": (("leaky_relu", 0.2),)}, lambda a: torch.nn.functional.leaky_relu(a, 0.2)),
    ],
)
def test_the_equation_holds_in_the_trace(given: dict[str, Any], function: Any) -> None:
    rnn = gatework.RNN(3, 5, dtype=torch.float64, **given)
    x = torch.randn(7, 4, 3, dtype=torch.float64)
    y, h_n, [trace] = rnn(x, return_trace=True)
    assert isinstance(trace, gatework.RNNTrace) and trace.h.shape == (1, 7, 4, 5)
    w_ih, w_hh, b_ih, b_hh = (w.detach() for w in rnn.all_weights[0])
    before = torch.cat([torch.zeros(1, 4, 5, dtype=torch.float64), y.detach()[:-1]])
    expected = function(x @ w_ih.T + b_ih + before @ w_hh.T + b_hh)
    assert_close(y, expected, "forward", "torch")
    assert torch.equal(trace.h[0], y) and torch.equal(h_n[0], y[-1])


def test_the_activation_is_said_once() -> None:
    with pytest.raises(gatework.OptionError, match="say the same thing"):
        gatework.RNN(3, 5, nonlinearity="relu", activations=("elu",))
    for kind in (gatework.RNN, gatework.RNNCell):
        with pytest.raises(gatework.OptionError, match='"tanh" or "relu", got .*did you mean'):
            kind(3, 5, nonlinearity="rulu")
    assert "activations" not in repr(gatework.RNN(3, 5, nonlinearity="relu"))


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"proj_size": 2}, "only the LSTM"),
        ({"recurrent_dropout_per_gate": True}, "no gates"),
        ({"recurrent_dropout_mode": "candidate"}, "recurrent_dropout masks h"),
        ({"reset_after": False}, "belongs to the GRU"),
        ({"zoneout_c": 0.1}, "use zoneout_h"),
        ({"peephole": True}, "neither gates nor"),
        ({"coupled": True}, "no gates"),
        ({"cell_clip": 1.0}, "no state c"),
        ({"forget_bias": 1.0}, "no forget gate"),
    ],
    ids=str,
)
def test_options_of_relatives_are_refused_with_the_reason(
    option: dict[str, Any], reason: str
) -> None:
    with pytest.raises(gatework.OptionError, match=f"{next(iter(option))} is not .*{reason}"):
        gatework.RNN(3, 5, **option)
