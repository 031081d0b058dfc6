"""From torch's layers and gatework's, and back: every weight and option, and answers judged by the module itself."""

from typing import Any

import numpy as np
import pytest
import torch

import gatework
from gatework import weights
from gatework.errors import OptionError
from tests.layers.variants import VARIANTS, build
from tests.weights.stacks import CELLS, alike, assert_same_bits, random_stack

TRAINING = ("recurrent_dropout", "weight_dropout", "recompute")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("having", [(), ("b_ih", "b_hh")])
def test_through_torch_and_back(
    cell: str, layers: int, directions: int, having: tuple[str, ...]
) -> None:
    stack = random_stack(cell, layers=layers, directions=directions, having=having)
    out = weights.to_torch(stack, batch_first=True)
    back = weights.from_torch(out.result)
    alike(back.result, stack)
    assert_same_bits(back.result, stack)
    for each in (out, back):
        assert each.compared.difference < 5e-6
        assert each.compared.largest > 0.1
        assert each.compared.judge.startswith("torch")


def test_torch_has_projections_and_relu() -> None:
    for stack in (
        random_stack("lstm", layers=2, directions=2, P=2),
        random_stack("rnn", layers=2, activations=("relu",)),
    ):
        out = weights.to_torch(stack)
        assert out.compared.alike
        alike(weights.from_torch(out.result).result, stack)


def test_one_bias_becomes_two() -> None:
    stack = random_stack("lstm", having=("b_ih",))
    out = weights.to_torch(stack)
    assert "zero, for the stack has none: bias_hh_l0" in out.notes
    alike(weights.from_torch(out.result).result, stack, bias="sum")
    assert_same_bits(weights.from_torch(out.result).result, stack)


def test_masked_outputs_of_torch_are_zeros() -> None:
    note = 'masked_output="carry" stays behind'
    assert note in str(weights.to_torch(random_stack("gru", masked_output="carry")))
    assert note not in str(weights.to_torch(random_stack("gru")))


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("house", [torch.nn, gatework])
def test_single_cells(house: Any, name: str) -> None:
    cell = getattr(house, name + "Cell")(4, 6)
    found = weights.from_torch(cell)
    assert found.compared.difference < 5e-6
    np.testing.assert_array_equal(found.result.layers[0][0].weights.w_hh, cell.weight_hh.detach())


@pytest.mark.parametrize(("cell", "options"), VARIANTS, ids=str)
@pytest.mark.parametrize("D", [1, 2])
def test_every_option_of_ours_and_back(cell: str, options: dict[str, Any], D: int) -> None:
    module = build(cell, torch.float32, D, **options)
    found = weights.from_torch(module)
    assert found.compared.difference == 0
    out = gatework.from_stack(found.result)
    alike(weights.from_torch(out.result).result, found.result)
    assert out.compared.difference == 0
    for name in set(options) - set(TRAINING):
        if not name.startswith("recurrent_dropout"):
            kept = "_given_activations" if name == "activations" else name
            assert getattr(out.result, kept) == options[name] or name == "nonlinearity"
    state = module.state_dict()
    assert list(out.result.state_dict()) == list(state)
    assert all(torch.equal(value, state[name]) for name, value in out.result.state_dict().items())


@pytest.mark.parametrize(
    "more",
    [
        {"hidden_size": [4, 6, 2]},
        {"hidden_size": 3, "num_layers": 2, "residual": True},
        {"hidden_size": 4, "masked_output": "carry", "bidirectional": True, "batch_first": True},
        {"hidden_size": 4, "dropout": 0.4, "num_layers": 2},
    ],
    ids=str,
)
def test_stacks_of_ours(more: dict[str, Any]) -> None:
    found = weights.from_torch(gatework.GRU(3, **more))
    assert found.compared.difference == 0
    alike(weights.from_torch(gatework.from_stack(found.result).result).result, found.result)
    assert ("dropout=0.4" in str(found)) == ("dropout" in more)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("house", [torch.nn, gatework])
def test_other_dtypes(house: Any, dtype: torch.dtype) -> None:
    found = weights.from_torch(house.GRU(3, 4, dtype=dtype))
    assert str(dtype).removeprefix("torch.") in found.compared.judge
    assert found.compared.difference < 1e-6
    assert any("from float64" in n or "from bfloat16" in n for n in found.notes)


def test_precision_stays_here() -> None:
    stack = random_stack("lstm", precision="int8_weights")
    out = weights.to_torch(stack)
    assert out.compared.difference < 5e-6
    assert any("int8_weights" in note for note in out.notes)
    assert gatework.from_stack(stack).result.precision == "int8_weights"


def test_what_torch_lacks_is_refused_by_name() -> None:
    stack = random_stack("lstm", having=("b_ih", "peephole"), cell_clip=2.0, layer_norm=True)
    with pytest.raises(OptionError, match=r"has no .*cell_clip.*gatework.LSTM has") as caught:
        weights.to_torch(stack)
    assert all(word in str(caught.value) for word in ("peephole", "layer_norm", "from_stack"))
    with pytest.raises(OptionError, match=r"hidden_size=\[4, 2\]"):
        weights.to_torch(random_stack("gru", layers=2, sizes=(4, 2)))
    backwards = random_stack("rnn")
    one = backwards.layers[0][0]._replace(reverse=True)
    with pytest.raises(OptionError, match="layer 0 runs backwards"):
        weights.to_torch(weights.Stack("rnn", ((one,),)))
    mixed = random_stack("rnn", directions=2).layers[0]
    mixed = (mixed[0], mixed[1]._replace(options={"activations": ("relu",)}))
    with pytest.raises(OptionError, match="differ in activations"):
        gatework.from_stack(weights.Stack("rnn", (mixed,)))


def test_into_a_layer_that_is_there() -> None:
    stack = random_stack("lstm", layers=2, directions=2)
    module = gatework.LSTM(3, 5, 2, bidirectional=True, peephole=True, dtype=torch.float64)
    before = dict(module.named_parameters())
    done = weights.load_into(stack, module)
    assert done.result is module and dict(module.named_parameters()).keys() == before.keys()
    assert all(value is before[name] for name, value in module.named_parameters())
    assert done.compared.difference < 1e-6  # peepholes of zero
    cell = weights.load_into(random_stack("gru", seed=3), torch.nn.GRUCell(3, 5))
    assert cell.compared.difference < 5e-6


def test_what_does_not_fit_changes_nothing() -> None:
    stack = random_stack("gru", layers=2, reset_after=False)
    module = torch.nn.GRU(3, 5)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(OptionError, match=r"reset_after is False.*weight_ih_l1"):
        weights.load_into(stack, module)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    with pytest.raises(OptionError, match="cell gru"):
        weights.load_into(stack, torch.nn.LSTM(3, 5))
    torch.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
    with pytest.raises(OptionError, match="parametrized"):
        weights.load_into(random_stack("gru"), module)
    assert weights.from_torch(module).compared.difference < 5e-6


def test_other_modules_are_refused() -> None:
    model = torch.nn.ModuleDict({"encoder": torch.nn.LSTM(3, 4)})
    with pytest.raises(OptionError, match=r"pass model\.encoder"):
        weights.from_torch(model)

    class Own(torch.nn.GRU):
        def forward(self, *args: Any) -> Any:
            return super().forward(*args)

    with pytest.raises(OptionError, match="forward of its own"):
        weights.from_torch(Own(3, 4))


def test_the_report_tells_a_wrong_gate_order(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = random_stack("lstm")
    module = weights.to_torch(stack).result
    with torch.no_grad():
        for value in module.parameters():
            value.copy_(torch.cat([value.chunk(4)[k] for k in (0, 1, 3, 2)]))
    swapped = weights.from_torch(module).result
    from gatework.weights.torch_answers import compare_module

    compared = compare_module(stack, module, False, False)
    assert not compared.alike and compared.difference > 0.1
    assert "NOT alike" in str(weights.Moved(swapped, (), compared))


def test_modes_and_modules_stay_as_they_are() -> None:
    module = torch.nn.LSTM(3, 4, 2, dropout=0.5)
    state = torch.get_rng_state()
    weights.from_torch(module)
    assert module.training and torch.equal(state, torch.get_rng_state())
