"""Bare weights: cell, layers and options told from names and shapes, or refused with what is missing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import gatework
from gatework import weights
from gatework.errors import FormatError, OptionError
from tests.weights.stacks import CELLS, alike

MODULES = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}


class Model(torch.nn.Module):
    def __init__(self, cell: str, house: Any = torch.nn, **options: Any) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(10, 3)
        self.encoder = getattr(house, MODULES[cell])(3, 5, **options)
        self.head = torch.nn.Linear(5, 2)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("more", [{}, {"num_layers": 3, "bidirectional": True}, {"bias": False}], ids=str)  # fmt: skip
def test_out_of_a_whole_model(cell: str, more: dict[str, Any], tmp_path: Path) -> None:
    model = Model(cell, **more)
    found = weights.from_state_dict(model.state_dict())
    alike(found.result, weights.from_torch(model.encoder).result)
    assert found.compared.difference < 5e-6
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    for prefix in (None, "encoder", "encoder."):
        read = weights.from_state_dict(tmp_path / "model.safetensors", prefix).result
        alike(read, found.result)


def test_half_precision_is_widened(tmp_path: Path) -> None:
    model = Model("gru")
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        state = {name: value.to(dtype) for name, value in model.state_dict().items()}
        save_file(state, tmp_path / "model.safetensors")
        found = weights.from_state_dict(tmp_path / "model.safetensors").result
        alike(found, weights.from_state_dict(state).result)
        np.testing.assert_array_equal(
            found.layers[0][0].weights.w_ih, state["encoder.weight_ih_l0"].float()
        )


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("lstm", {"proj_size": 2}),
        ("lstm", {"layer_norm": True, "peephole": True}),
        ("lstm", {"coupled": True, "peephole": True}),
        ("lstm", {"coupled": True}),
        ("gru", {"reset_after": False, "learned_state": True}),
        ("rnn", {"activations": ("softsign",), "layer_norm": True}),
    ],
    ids=str,
)
def test_options_of_ours(cell: str, options: dict[str, Any]) -> None:
    model = Model(cell, gatework, **options)
    untold = {k: v for k, v in options.items() if k in ("coupled", "reset_after", "activations")}
    found = weights.from_state_dict(model.state_dict(), **untold)
    alike(found.result, weights.from_torch(model.encoder).result)


def test_cells_and_arrays() -> None:
    cell = torch.nn.LSTMCell(3, 4)
    arrays = {name: value.detach().numpy() for name, value in cell.named_parameters()}
    assert weights.from_state_dict(arrays).result.cell == "lstm"


def test_what_cannot_be_told_is_refused() -> None:
    state = Model("gru").state_dict()
    both = {**state, **{k.replace("encoder", "decoder"): v for k, v in state.items()}}
    with pytest.raises(OptionError, match="'decoder.', 'encoder.'"):
        weights.from_state_dict(both)
    with pytest.raises(OptionError, match="there are: 'encoder.'"):
        weights.from_state_dict(state, "coder")
    with pytest.raises(OptionError, match="3 gates: 'gru'"):
        weights.from_state_dict(state, cell="lstm")
    with pytest.raises(OptionError, match="there are: none"):
        weights.from_state_dict({"head.weight": np.zeros((2, 2))})
    with pytest.raises(OptionError, match="weight_hh_l0 missing"):
        weights.from_state_dict({k: v for k, v in state.items() if "weight_hh" not in k})
    with pytest.raises(OptionError, match="2 gates"):
        weights.from_state_dict({"weight_ih": np.zeros((8, 3)), "weight_hh": np.zeros((8, 4))})
    with pytest.raises(OptionError, match="expected"):
        weights.from_state_dict({"weight_ih": np.zeros(8), "weight_hh": np.zeros((8, 4))})
    with pytest.raises(OptionError, match="weights_only=True"):
        weights.from_state_dict("model.pt")
    with pytest.raises(OptionError, match=r"state_dict\(\)"):
        weights.from_state_dict(torch.nn.GRU(3, 4))  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="cannot be read"):
        weights.from_state_dict("absent.safetensors")
