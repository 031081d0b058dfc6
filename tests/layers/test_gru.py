"""What is the GRU's own: the place of the reset gate, one state, its trace, and the options that it refuses."""

from typing import Any

import pytest
import torch

import gatework
from tests.tolerances import assert_close

pytestmark = pytest.mark.filterwarnings("ignore::gatework.SlowPathWarning")


@pytest.mark.parametrize("reset_after", [True, False])
def test_the_equations_hold_in_the_trace(reset_after: bool) -> None:
    gru = gatework.GRU(3, 5, reset_after=reset_after, dtype=torch.float64)
    x = torch.randn(7, 4, 3, dtype=torch.float64)
    y, h_n, [trace] = gru(x, return_trace=True)
    assert isinstance(trace, gatework.GRUTrace) and trace.r.shape == (1, 7, 4, 5)
    w_ih, w_hh, b_ih, b_hh = (w.detach().split(5) for w in gru.all_weights[0])
    r, z, n, h = (v[0].detach() for v in trace)
    before = torch.cat([torch.zeros(1, 4, 5, dtype=torch.float64), h[:-1]])
    a_r, a_z = (x @ w_ih[k].T + b_ih[k] + before @ w_hh[k].T + b_hh[k] for k in (0, 1))
    own = before @ w_hh[2].T + b_hh[2]
    own = r * own if reset_after else (r * before) @ w_hh[2].T + b_hh[2]
    for found, expected in (
        (r, a_r.sigmoid()),
        (z, a_z.sigmoid()),
        (n, (x @ w_ih[2].T + b_ih[2] + own).tanh()),
        (h, (1 - z) * n + z * before),
        (y, h),
        (h_n[0], h[-1]),
    ):
        assert_close(found, expected, "forward", "torch")


def test_the_default_is_torchs_form() -> None:
    assert gatework.GRU(3, 5).reset_after and "reset_after" not in repr(gatework.GRU(3, 5))
    assert "reset_after=False" in repr(gatework.GRU(3, 5, reset_after=False))


def test_a_state_of_two_parts_is_refused() -> None:
    h = torch.zeros(1, 2, 5)
    with pytest.raises(
        gatework.ShapeError, match="got tuple in place of a tensor; this cell has no c"
    ):
        gatework.GRU(3, 5)(torch.randn(4, 2, 3), (h, h))


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"proj_size": 2}, "only the LSTM"),
        ({"zoneout_c": 0.1}, "use zoneout_h"),
        ({"peephole": True}, "no state c"),
        ({"coupled": True}, "coupled by definition"),
        ({"cell_clip": 1.0}, "no state c"),
        ({"forget_bias": 1.0}, "no forget gate"),
        ({"nonlinearity": "relu"}, "activations"),
    ],
    ids=str,
)
def test_options_of_relatives_are_refused_with_the_reason(
    option: dict[str, Any], reason: str
) -> None:
    with pytest.raises(gatework.OptionError, match=f"{next(iter(option))} is not .*{reason}"):
        gatework.GRU(3, 5, **option)
    with pytest.raises(gatework.OptionError, match=reason):
        gatework.GRUCell(3, 5, **option)
