"""Products in bfloat16 and weights in 8 bits, through the layers: errors, dtypes as torch has them, and training."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gatework
from gatework.errors import OptionError
from tests.tolerances import error

LAYERS = {"lstm": gatework.LSTM, "gru": gatework.GRU, "rnn": gatework.RNN}
OF_TORCH = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
STATED = {"bfloat16": 1e-2, "bfloat16_weights": 1e-2, "int8_weights": 2e-2}  # of two layers


def layer(cell: str, **options: Any) -> Any:
    torch.manual_seed(3)
    return LAYERS[cell](64, 96, num_layers=2, bidirectional=True, **options)


def sequence() -> Tensor:
    return torch.randn(20, 5, 64, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("precision", STATED)
@pytest.mark.parametrize("cell", LAYERS)
def test_outputs_and_states_stay_within_the_stated_error(cell: str, precision: str) -> None:
    with torch.no_grad():
        exact, state = layer(cell)(sequence())
        rounded, last = layer(cell, precision=precision)(sequence())
    assert rounded.dtype == torch.float32
    assert 0 < error(rounded, exact) < STATED[precision]
    h_n, of_rounded = (s[0] if cell == "lstm" else s for s in (state, last))
    assert error(of_rounded, h_n) < STATED[precision]


def gradients(cell: str, precision: str, rounded: bool, options: dict[str, Any]) -> list[Tensor]:
    """Of x and every parameter; rounded: x and the parameters are rounded to bfloat16 first."""
    module, x = layer(cell, precision=precision, **options), sequence()
    if rounded:
        x = x.bfloat16().float()
        module.bfloat16().float()
    x.requires_grad_()
    torch.manual_seed(5)
    module(x)[0].sin().sum().backward()
    return [t.grad for t in (x, *module.parameters()) if t.grad is not None]


@pytest.mark.parametrize("options", [{}, {"layer_norm": True}, {"recurrent_dropout": 0.3}])
@pytest.mark.parametrize("cell", LAYERS)
def test_gradients_in_bfloat16(cell: str, options: dict[str, Any]) -> None:
    """Within 2e-2, or twice what rounding x and weights alone does: an untrained LSTM with layer norm is chaotic."""
    exact = gradients(cell, "float32", False, options)
    assert len(exact) == 1 + len(list(layer(cell, **options).parameters()))
    alone = gradients(cell, "float32", True, options)
    for a, b, c in zip(exact, gradients(cell, "bfloat16", False, options), alone, strict=True):
        assert b.dtype == torch.float32
        assert 0 < error(b, a) < max(2e-2, 2 * error(c, a))


@pytest.mark.parametrize("cell", LAYERS)
def test_a_bfloat16_module_has_torchs_dtypes(cell: str) -> None:
    ours, theirs = LAYERS[cell](8, 16).bfloat16(), OF_TORCH[cell](8, 16).bfloat16()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(6, 2, 8).bfloat16()
    outputs = []
    for module in (ours, theirs):
        y, state = module(x)
        y.float().sum().backward()
        outputs.append(y)
        for s in state if cell == "lstm" else (state,):
            assert s.dtype == torch.bfloat16
    assert outputs[0].dtype == outputs[1].dtype == torch.bfloat16
    assert error(outputs[0].float(), outputs[1].float()) < 2e-2
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert a.grad is not None and b.grad is not None and a.grad.dtype == b.grad.dtype
        assert error(a.grad.float(), b.grad.float()) < 3e-2
    assert "bfloat16" in gatework.explain_path(ours, x)


@pytest.mark.parametrize("cell", LAYERS)
def test_autocast_multiplies_in_bfloat16(cell: str) -> None:
    module, x = LAYERS[cell](8, 16), torch.randn(6, 2, 8)
    with torch.autocast("cpu", torch.bfloat16):
        y, state = module(x)
        assert "bfloat16" in gatework.explain_path(module, x)
    module.precision = "bfloat16"
    expected, last = module(x)
    dtype = torch.float32 if cell == "gru" else torch.bfloat16  # as torch has it on the CPU
    assert y.dtype == dtype and torch.equal(y, expected.to(dtype))
    h_n, of_expected = (s[0] if cell == "lstm" else s for s in (state, last))
    assert torch.equal(h_n, of_expected.to(dtype))
    y.float().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in module.parameters())


@pytest.mark.parametrize("precision", ["bfloat16_weights", "int8_weights"])
def test_rounded_weights_are_for_inference(precision: str) -> None:
    module = gatework.LSTM(8, 16, precision=precision)
    with pytest.raises(OptionError, match="no backward pass"):
        module(torch.randn(6, 2, 8))
    with torch.inference_mode():
        assert module(torch.randn(6, 2, 8))[0].shape == (6, 2, 16)
    module.requires_grad_(False)
    state = torch.zeros(1, 2, 16, requires_grad=True), torch.zeros(1, 2, 16)
    with pytest.raises(OptionError, match="no backward pass"):
        module(torch.randn(6, 2, 8), state)


def test_the_option_of_a_layer_wins_over_autocast() -> None:
    module, x = gatework.LSTM(8, 16, precision="int8_weights"), torch.randn(6, 2, 8)
    with torch.inference_mode():
        expected = module(x)[0]
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(module(x)[0], expected.bfloat16())


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(OptionError, match="bfloat16"):
        gatework.GRU(3, 5, precision="half")  # pyright: ignore[reportArgumentType]


def learned(precision: str) -> float:
    """The last loss of an LSTM that learns to add the two marked numbers of a sequence; 0.167 is that of the mean."""
    torch.manual_seed(0)
    draw = torch.Generator().manual_seed(1)
    lstm, head = gatework.LSTM(2, 64, precision=precision), nn.Linear(64, 1)
    optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()], 0.01)
    losses: list[float] = []
    for _ in range(500):
        numbers = torch.rand(16, 64, generator=draw)
        order = torch.rand(16, 64, generator=draw).argsort(0)
        marks = (order < 2).float()
        x = torch.stack([numbers, marks], 2)
        wrong = head(lstm(x)[0][-1])[:, 0] - (numbers * marks).sum(0)
        loss = wrong.square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(lstm.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return sum(losses[-50:]) / 50


@pytest.mark.slow
def test_training_in_bfloat16_reaches_the_float32_result() -> None:
    exact, rounded = learned("float32"), learned("bfloat16")
    assert exact < 0.02, f"float32 did not learn: {exact:.3f}"
    assert rounded < 1.3 * exact + 1e-3, f"{rounded:.4f} in bfloat16, {exact:.4f} in float32"
