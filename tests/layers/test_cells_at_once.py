"""The short way of a cell without gradients gives what the long one gives, and leaves to it whatever is unusual."""

from typing import Any

import pytest
import torch

import gatework
from gatework.errors import ShapeError
from gatework.ops import at_once
from tests.tolerances import assert_close

CELLS = (gatework.LSTMCell, gatework.GRUCell, gatework.RNNCell)
OPTIONS: list[tuple[type, dict[str, Any]]] = [(cell, {}) for cell in CELLS]
OPTIONS += [(cell, {"bias": False}) for cell in CELLS]
OPTIONS += [(cell, {"layer_norm": True, "zoneout_h": 0.2}) for cell in CELLS]
OPTIONS += [
    (gatework.LSTMCell, {"peephole": True, "coupled": True, "cell_clip": 0.4, "zoneout_c": 0.1}),
    (gatework.GRUCell, {"reset_after": False}),
    (gatework.RNNCell, {"nonlinearity": "relu"}),
]
Parts = tuple[torch.Tensor, ...]


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each call took the short way."""
    taken: list[bool] = []
    step = at_once.step

    def listened(*args: Any) -> Any:
        found = step(*args)
        taken.append(found is not None)
        return found

    monkeypatch.setattr(at_once, "step", listened)
    return taken


def parts(found: Any) -> Parts:
    return found if isinstance(found, tuple) else (found,)


def half(self: Any, name: str) -> Any:
    value = torch.nn.Module.__getattr__(self, name)
    return value * 0.5 if name == "weight_hh" else value


def inputs(cell: Any, N: int) -> tuple[torch.Tensor, Any]:
    torch.manual_seed(1)
    x, h = torch.randn(N, 7), torch.randn(N, 20)
    return x, (h, torch.randn(N, 20)) if isinstance(cell, gatework.LSTMCell) else h


@pytest.mark.parametrize(("kind", "options"), OPTIONS)
@pytest.mark.parametrize("N", [1, 2, 3, 40])
def test_both_ways_agree(kind: Any, options: dict[str, Any], N: int, ways: list[bool]) -> None:
    torch.manual_seed(0)
    cell = kind(7, 20, **options).eval()
    x, hx = inputs(cell, N)
    for state in (None, hx):
        with torch.inference_mode():
            short = parts(cell(x, state))
        long = parts(cell(x, state))  # gradients are recorded
        assert ways.pop()
        for a, b in zip(short, long, strict=True):
            assert_close(a, b.detach(), "forward", "torch")


@pytest.mark.parametrize("kind", CELLS)
def test_a_new_weight_acts_at_once(kind: Any, ways: list[bool]) -> None:
    cell = kind(7, 20)
    x, hx = inputs(cell, 3)
    with torch.no_grad():
        before = parts(cell(x, hx))[0]
        cell.weight_hh.data.mul_(2.0)
        middle = parts(cell(x, hx))[0]
        cell.weight_hh = torch.nn.Parameter(cell.weight_hh / 2)
        after = parts(cell(x, hx))[0]
    assert torch.equal(before, after) and not torch.equal(before, middle) and all(ways)


@pytest.mark.parametrize("kind", CELLS)
def test_the_unusual_takes_the_long_way(kind: Any, ways: list[bool]) -> None:
    cell = kind(7, 20)
    x, hx = inputs(cell, 3)
    with torch.no_grad():
        expected = parts(cell(x, hx))[0]
        assert ways.pop()
        strided = torch.randn(3, 14)[:, ::2].copy_(x)
        assert_close(parts(cell(strided, hx))[0], expected, "forward", "torch")
        row = parts(cell(x[0], tuple(v[0] for v in hx) if isinstance(hx, tuple) else hx[0]))[0]
        assert_close(row, expected[0], "forward", "torch")
        assert parts(cell(x[:0], None))[0].shape == (0, 20)
        with torch.autocast("cpu", torch.bfloat16):
            cell(x, hx)
        torch.func.vmap(lambda v: cell(v, None))(x[None])
        assert not any(ways)
        for bad in (x[:, :6], x.double()):
            with pytest.raises(ShapeError):
                cell(bad, hx)
        with pytest.raises(ShapeError):
            cell(x, tuple(v[:2] for v in hx) if isinstance(hx, tuple) else hx[:2])
        halved = type("Halved", (kind,), {"__getattr__": half})(7, 20)
        halved.load_state_dict(cell.state_dict())
        cell.weight_hh.data.mul_(0.5)
        assert_close(parts(halved(x, hx))[0], parts(cell(x, hx))[0], "forward", "torch")
        assert ways.pop()
        cell.weight_hh.data.mul_(2.0)
        torch.nn.utils.parametrizations.weight_norm(cell, "weight_ih")
        assert_close(parts(cell(x, hx))[0], expected, "forward", "torch")
    assert not any(ways)


def test_draws_take_the_long_way(ways: list[bool]) -> None:
    cell = gatework.GRUCell(7, 20, zoneout_h=0.5)
    x, hx = inputs(cell, 3)
    with torch.no_grad():
        assert not torch.equal(cell(x, hx), cell(x, hx))
    assert not any(ways)


@pytest.mark.parametrize("kind", [*CELLS, gatework.LSTM, gatework.GRU, gatework.RNN])
def test_the_negative_bit_is_seen(kind: Any) -> None:
    layer = kind(7, 20)
    x = torch.randn(3, 7) if "Cell" in kind.__name__ else torch.randn(4, 3, 7)
    negative = torch._neg_view(x)
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            assert_close(
                parts(layer(negative))[0], parts(layer(-x))[0].detach(), "forward", "torch"
            )
