"""From Keras's layers and into them: gate orders, biases, resets, activations, directions; Keras itself judges."""

from typing import Any

import keras
import numpy as np
import pytest
import torch

import gatework.keras
from gatework import weights
from gatework.errors import OptionError
from gatework.weights.keras_cells import ACTIVATIONS
from tests.weights.stacks import CELLS, alike, assert_same_bits, random_stack

KINDS = ("LSTM", "GRU", "SimpleRNN")
I, H = 3, 5  # noqa: E741


def filled(layer: Any, features: int = I) -> Any:
    """Built, with weights of which no two are alike."""
    layer.build((None, None, features))
    draw = np.random.default_rng(2)
    layer.set_weights([draw.standard_normal(w.shape) * 0.5 for w in layer.get_weights()])
    return layer


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("having", [(), ("b_ih", "b_hh")])
def test_through_keras_and_back(
    cell: str, layers: int, directions: int, having: tuple[str, ...]
) -> None:
    stack = random_stack(cell, layers=layers, directions=directions, having=having)
    out = weights.to_keras(stack)
    assert out.compared.difference < 2e-6 and out.compared.largest > 0.05
    back = weights.from_keras(out.result)
    found = [back] if layers == 1 else list(back.values())
    for k, each in enumerate(found):
        assert each.compared.difference < 2e-6 and each.compared.judge.startswith("Keras")
        part = weights.Stack(cell, stack.layers[k : k + 1])  # type: ignore[arg-type]
        alike(each.result, part, bias="both" if cell == "gru" else "sum")
        assert_same_bits(each.result, part)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("house", [keras.layers, gatework.keras])
@pytest.mark.parametrize(
    "more",
    [{}, {"use_bias": False}, {"go_backwards": True}, {"zero_output_for_mask": True}, {"activation": "relu"}],
    ids=str,
)  # fmt: skip
def test_layers(kind: str, house: Any, more: dict[str, Any]) -> None:
    layer = filled(getattr(house, kind)(H, return_sequences=True, **more))
    found = weights.from_keras(layer)
    assert found.compared.difference < 2e-6
    x = np.random.default_rng(1).standard_normal((2, 6, I)).astype(np.float32)
    y = found.result(x.transpose(1, 0, 2)).y.transpose(1, 0, 2)
    theirs = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(y[:, :: -1 if more.get("go_backwards") else 1], theirs, atol=2e-6)


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("use_bias", [False, True])
def test_both_forms_of_the_reset(reset_after: bool, use_bias: bool) -> None:
    layer = filled(keras.layers.GRU(H, reset_after=reset_after, use_bias=use_bias))
    found = weights.from_keras(layer)
    assert found.compared.difference < 2e-6
    assert found.result.layers[0][0].options.get("reset_after", True) == reset_after
    assert f"reset {'after' if reset_after else 'before'} the product" in found.notes
    back = weights.to_keras(found.result).result
    assert back.reset_after == reset_after
    for a, b in zip(back.get_weights(), layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_activations(kind: str, name: str) -> None:
    more = {} if kind == "SimpleRNN" else {"recurrent_activation": name}
    layer = filled(getattr(keras.layers, kind)(H, activation=name, **more))
    layer.set_weights([0.3 * w for w in layer.get_weights()])  # some of them have no bound
    found = weights.from_keras(layer)
    assert found.compared.difference < 5e-6 * max(1, found.compared.largest)
    again = weights.to_keras(found.result).result
    assert again.get_config()["activation"] == name
    assert kind == "SimpleRNN" or again.get_config()["recurrent_activation"] == name


def test_every_gate_finds_its_place() -> None:
    """A bias of one gate alone acts in that gate."""
    for kind, order, cell in (("LSTM", "ifgo", "ifgo"), ("GRU", "zrn", "rzn")):
        layer = keras.layers.__dict__[kind](2)
        layer.build((None, None, 1))
        for place, gate in enumerate(order):
            values = [np.zeros(w.shape, np.float32) for w in layer.get_weights()]
            values[0][0, 2 * place : 2 * place + 2] = 1
            values[2][..., 2 * place : 2 * place + 2] = 1
            layer.set_weights(values)
            own = weights.from_keras(layer).result.layers[0][0].weights
            where = 2 * cell.index(gate)
            for array in (own.w_ih[:, 0], own.b_ih):
                assert np.flatnonzero(array).tolist() == [where, where + 1], (kind, gate)


@pytest.mark.parametrize(
    "cells",
    [["LSTMCell"], ["GRUCell"], ["SimpleRNNCell"], ["LSTMCell"] * 3, ["GRUCell"] * 2],
    ids=str,
)
def test_cells_inside_rnn(cells: list[str]) -> None:
    made = [getattr(keras.layers, name)(4 - k) for k, name in enumerate(cells)]
    layer = filled(keras.layers.RNN(made if len(made) > 1 else made[0]))
    found = weights.from_keras(layer)
    assert found.compared.difference < 2e-6
    assert found.result.hidden_sizes == tuple(4 - k for k in range(len(cells)))


def test_bidirectional_with_its_own_second_layer() -> None:
    L = keras.layers
    second = L.LSTM(H, activation="relu", go_backwards=True, use_bias=False, return_sequences=True)
    layer = filled(L.Bidirectional(L.LSTM(H, return_sequences=True), backward_layer=second))
    layer.set_weights([0.4 * w for w in layer.get_weights()])
    found = weights.from_keras(layer)
    assert found.compared.difference < 2e-6
    options = [one.options.get("activations") for one in found.result.layers[0]]
    assert options == [None, ("sigmoid", "relu", "relu")]
    alike(weights.from_keras(weights.to_keras(found.result).result).result, found.result)


def test_what_has_no_counterpart_is_refused() -> None:
    L = keras.layers

    class Own(L.LSTM):
        pass

    def step(h: Any) -> Any:
        return h

    cases = [
        (L.Bidirectional(L.GRU(2), merge_mode="sum"), "merge_mode='sum'"),
        (L.Bidirectional(L.GRU(2, go_backwards=True), backward_layer=L.GRU(2)), "runs backwards"),
        (L.Bidirectional(L.GRU(2), backward_layer=L.LSTM(2, go_backwards=True)), "different kinds"),
        (L.LSTM(2, activation="gelu"), "activation gelu"),
        (L.LSTM(2, activation=step), "activation builtins.step"),
        (L.RNN([L.LSTMCell(2), L.GRUCell(2)]), "different kinds"),
        (L.GRU(2, activation=L.LeakyReLU(0.3)), "activation LeakyReLU"),
        (Own(2), "Own of"),
        (L.ConvLSTM2D(2, 3), "ConvLSTM2D"),
    ]
    for layer, why in cases:
        if not isinstance(layer, L.ConvLSTM2D):
            layer.build((None, None, 3))
        with pytest.raises(OptionError, match=why):
            weights.from_keras(layer)
    with pytest.raises(OptionError, match="no weights yet"):
        weights.from_keras(L.LSTM(2))
    with pytest.raises(OptionError, match="takes a Keras layer, model or path, got Linear"):
        weights.from_keras(torch.nn.Linear(2, 2))


def test_what_keras_lacks_is_refused_by_name() -> None:
    stack = random_stack(
        "lstm", directions=2, having=("b_ih", "peephole"), P=2, cell_clip=1.0, zoneout_h=0.1,
        activations=("sigmoid", "softsign", ("elu", 0.5)), masked_output="carry",
    )  # fmt: skip
    with pytest.raises(OptionError) as caught:
        weights.to_keras(stack)
    for word in ("peephole", "proj_size=2", "cell_clip", "zoneout_h", "('elu', 0.5)", "carry"):
        assert word in str(caught.value)
    assert "one activation for candidate and output" in str(caught.value)
    assert "gatework.LSTM has all of it" in str(caught.value)
    with pytest.raises(OptionError, match="residual"):
        weights.to_keras(random_stack("gru", layers=1, sizes=(3,), residual=True))


def test_reports_say_what_stays_behind() -> None:
    layer = filled(keras.layers.LSTM(2, dropout=0.1, recurrent_dropout=0.2, go_backwards=True))
    text = str(weights.from_keras(layer))
    for word in ("i, f, c, o", "one bias", "dropout=0.1, rec", "last first", "last output alone"):
        assert word in text
    backwards = weights.from_keras(layer).result
    assert weights.to_keras(backwards).result.go_backwards
    alike(weights.from_keras(weights.to_keras(backwards).result).result, backwards)
