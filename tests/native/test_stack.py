"""Stacks of layers on arrays equal torch's layers, and ours where torch has no such option; misfits are refused."""

from typing import Any

import numpy as np
import pytest
import torch

import gatework
from gatework.errors import OptionError, ShapeError
from gatework.native import Direction, Stack, Weights
from tests.tolerances import assert_close

FIELDS = {"weight_ih": "w_ih", "weight_hh": "w_hh", "bias_ih": "b_ih", "bias_hh": "b_hh"}


def stack_of(cell: str, module: Any, **more: Any) -> Stack:
    """The weights of a torch layer of either house."""
    layers = []
    for k in range(module.num_layers):
        suffixes = (f"_l{k}", f"_l{k}_reverse")[: 1 + module.bidirectional]
        layers.append(
            tuple(
                Direction(
                    Weights(
                        **{
                            FIELDS[name.removesuffix(suffix)]: p.detach().numpy()
                            for name, p in module.named_parameters()
                            if name.removesuffix(suffix) in FIELDS
                        }
                    ),
                    reverse=d == 1,
                )
                for d, suffix in enumerate(suffixes)
            )
        )
    return Stack(cell, tuple(layers), **more)  # type: ignore[arg-type]


def make(cell: str, house: Any = torch.nn, **options: Any) -> Any:
    torch.manual_seed(0)
    return getattr(house, cell.upper())(7, 5, num_layers=3, bidirectional=True, **options)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("states", [False, True])
def test_equals_torch(cell: str, states: bool) -> None:
    module = make(cell)
    x = torch.randn(6, 4, 7)
    hx = [torch.randn(6, 4, 5) for _ in range(2 if cell == "lstm" else 1)] if states else []
    given = (tuple(hx) if len(hx) == 2 else hx[0]) if hx else None
    y, last = module(x, given)
    found = stack_of(cell, module)(x.numpy(), *(v.numpy() for v in hx))
    assert_close(found.y, y.detach(), "forward", "torch")
    for name, part in zip(("h_n", "c_n"), last if cell == "lstm" else (last,), strict=False):
        assert_close(np.stack(getattr(found, name)), part.detach(), "forward", "torch")
    assert bool(found.c_n) == (cell == "lstm")


@pytest.mark.parametrize("masked_output", ["zero", "carry"])
@pytest.mark.parametrize("residual", [False, True])
def test_masks_and_residuals_are_those_of_the_layers(masked_output: str, residual: bool) -> None:
    torch.manual_seed(0)
    options = {"masked_output": masked_output, "residual": residual}
    layer = gatework.LSTM(10, 5, num_layers=2, bidirectional=True, **options)
    x, mask = torch.randn(6, 4, 10), torch.rand(6, 4) < 0.6
    lengths = torch.tensor([6, 0, 3, 5])
    y, (h_n, c_n) = layer(x, mask=mask, lengths=lengths)
    found = stack_of("lstm", layer, **options)(
        x.numpy(), mask=mask.numpy(), lengths=lengths.numpy()
    )
    assert_close(found.y, y.detach(), "forward", "torch")
    assert_close(np.stack(found.h_n), h_n.detach(), "forward", "torch")
    assert_close(np.stack(found.c_n), c_n.detach(), "forward", "torch")


def test_misfits_are_refused() -> None:
    stack = stack_of("gru", make("gru"))
    x = np.zeros((3, 2, 7))
    with pytest.raises(ShapeError, match="6, one per layer"):
        stack(x, h0=np.zeros((2, 2, 5)))
    with pytest.raises(ShapeError, match="has no c"):
        stack(x, c0=np.zeros((6, 2, 5)))
    with pytest.raises(ShapeError, match=r"expected \[T, N, 7\]"):
        stack(x[..., :4])
    with pytest.raises(ShapeError, match="layer 1 goes from 10"):
        Stack("gru", (stack.layers[0][:1], stack.layers[1][:1]))
    with pytest.raises(ShapeError, match="1 or 2 everywhere"):
        Stack("gru", (stack.layers[0], stack.layers[1][:1]))
    with pytest.raises(ShapeError, match="at least one"):
        Stack("gru", ())
    with pytest.raises(ShapeError, match="residual"):
        Stack("gru", stack.layers, residual=True)
    with pytest.raises(OptionError, match="cell is"):
        Stack("mlp", stack.layers)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="eval mode"):
        Stack("gru", ((stack.layers[0][0]._replace(options={"training": True}),),))
