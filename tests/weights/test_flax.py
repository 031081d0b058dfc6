"""Flax's parameters, both ways; the judge is what Flax answered when flax_recorded.py ran (or test_flax_itself.py)."""

from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from gatework import weights
from gatework.errors import OptionError
from gatework.weights.flax_cells import FUNCTIONS
from tests.weights.flax_recorded import CELLS as FLAX_CELLS
from tests.weights.flax_recorded import PLACE, nested
from tests.weights.stacks import CELLS, alike, assert_same_bits, random_stack


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("form", ["linen", "nnx"])
def test_through_flax_and_back(cell: str, layers: int, directions: int, form: Any) -> None:
    having = ("b_ih",) if form == "nnx" else ("b_ih", "b_hh")
    stack = random_stack(cell, layers=layers, directions=directions, having=having)
    out = weights.to_flax(stack, form=form)
    back = weights.from_flax(out.result)
    assert_same_bits(back.result, stack)
    if cell != "gru":
        alike(back.result, stack, bias="sum")
    alike(weights.from_flax(weights.to_flax(back.result, form=form).result).result, back.result)


@pytest.mark.parametrize("kind", ["linen", "linen both", "nnx"])
@pytest.mark.parametrize("name", FLAX_CELLS)
def test_answers_are_those_that_flax_gave(kind: str, name: str) -> None:
    case, tensors = f"{kind} {name}", load_file(PLACE)
    found = weights.from_flax(nested(tensors, f"{case}/params")).result
    y = found(tensors[f"{case}/x"].transpose(1, 0, 2)).y.transpose(1, 0, 2)
    assert np.abs(tensors[f"{case}/y"]).max() > 0.3
    np.testing.assert_allclose(y, tensors[f"{case}/y"], rtol=0, atol=1e-6)


def test_every_gate_finds_its_place() -> None:
    for cell, gates, side in (("lstm", "ifgo", "h"), ("gru", "rzn", "i")):
        params = weights.to_flax(random_stack(cell, having=())).result[0][0]
        for place, gate in enumerate(gates):
            one = {name: {k: np.zeros_like(v) for k, v in inner.items()} for name, inner in params.items()}  # fmt: skip
            one[f"i{gate}"]["kernel"][:] = 1
            one[f"{side}{gate}"]["bias"][:] = 1
            own = weights.from_flax({"params": one}).result.layers[0][0].weights
            assert np.flatnonzero(own.w_ih[:, 0]).tolist() == [*range(5 * place, 5 * place + 5)]
            assert np.flatnonzero(own.b_ih).tolist() == [*range(5 * place, 5 * place + 5)]


def test_the_second_bias_of_the_candidate_stays_apart() -> None:
    stack = random_stack("gru")
    own = stack.layers[0][0].weights
    params = weights.to_flax(stack).result[0][0]
    np.testing.assert_array_equal(params["in"]["bias"], own.b_ih[10:])
    np.testing.assert_array_equal(params["hn"]["bias"], own.b_hh[10:])
    np.testing.assert_array_equal(params["iz"]["bias"], own.b_ih[5:10] + own.b_hh[5:10])
    with pytest.raises(OptionError, match='form="linen" has it'):
        weights.to_flax(stack, form="nnx")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_named(name: str) -> None:
    activation = FUNCTIONS[name]
    stack = random_stack("lstm", activations=(activation, activation, activation))
    notes = str(weights.to_flax(stack))
    assert (f"gate_fn=jax.nn.{name}" in notes) == (name != "sigmoid")
    assert (f"activation_fn=jax.nn.{name}" in notes) == (name != "tanh")
    back = weights.from_flax(weights.to_flax(stack).result, activations=[activation] * 3)
    alike(back.result, stack, bias="sum")


def test_cells_are_found_inside_models() -> None:
    params = weights.to_flax(random_stack("gru", directions=2)).result[0]
    sides = {"forward_rnn": {"cell": params[0]}, "backward_rnn": {"cell": params[1]}}
    dense = {"kernel": np.zeros((3, 2)), "bias": np.zeros(2)}
    found = weights.from_flax({"params": {"both": sides, "Dense_0": dense}}).result
    assert [one.reverse for one in found.layers[0]] == [False, True]
    assert weights.from_flax(params[0], reverse=True).result.layers[0][0].reverse
    with pytest.raises(OptionError, match="found 2 recurrent cells .a, b.*lowest first"):
        weights.from_flax({"a": params[0], "b": params[1]})
    with pytest.raises(OptionError, match="found 0 recurrent cells"):
        weights.from_flax({"params": {"Dense_0": dense}})
    with pytest.raises(OptionError, match="found 0"):
        weights.from_flax(3)
    with pytest.raises(OptionError, match="different cells"):
        weights.from_flax([params[0], weights.to_flax(random_stack("rnn")).result[0][0]])
    with pytest.raises(OptionError, match="expected a mapping"):
        weights.from_flax({**params[0], "ir": 3})


def test_what_flax_lacks_is_refused_by_name() -> None:
    stack = random_stack("gru", reset_after=False, activations=("sigmoid", "affine"), zoneout_h=0.1)
    with pytest.raises(OptionError) as caught:
        weights.to_flax(stack)
    for word in ("reset_after=False", "affine", "zoneout_h", "gatework.GRU has all of it"):
        assert word in str(caught.value)
    with pytest.raises(OptionError, match="no peephole"):
        weights.to_flax(random_stack("lstm", having=("peephole",)))
