"""`gatework.keras.accelerate`: which layers of a Keras model change, and what stays."""

from typing import Any

import keras
import numpy as np
import pytest

import gatework.keras
from gatework.errors import OptionError
from tests.keras.cases import alike, input_of


class Own(keras.layers.LSTM):
    """A subclass may compute anything."""


def network() -> keras.Model:
    x = keras.Input((6, 3))
    y = keras.layers.Bidirectional(keras.layers.GRU(4, return_sequences=True))(x)
    inner = keras.Sequential(
        [keras.Input((6, 8)), keras.layers.LSTM(5, return_sequences=True, name="inner")]
    )
    y = keras.layers.SimpleRNN(4, name="last")(inner(y))
    return keras.Model(x, keras.layers.Dense(2)(y))


def test_every_depth_and_wrappers() -> None:
    model, x = network(), input_of(2, 6, 3)
    expected, variables = model(x), list(model.variables)
    done = gatework.keras.accelerate(model, x)
    assert len(done.swapped) == 4 and not done.left and done.model is model
    assert "inner: LSTM(units=5)" in str(done)
    assert done.difference is not None and done.difference[0] < 1e-6 < done.difference[1]
    alike(model(x), expected)
    assert all(a is b for a, b in zip(model.variables, variables, strict=True))
    assert not gatework.keras.accelerate(model).swapped
    assert type(gatework.keras.restore(model).get_layer("last")) is keras.layers.SimpleRNN
    alike(model(x), expected)


def test_a_compiled_model_trains_on() -> None:
    model = network()
    model.compile("adam", "mse")
    x, y = np.asarray(input_of(16, 6, 3)), np.asarray(input_of(16, 2))
    first = model.fit(x, y, epochs=1, verbose=0).history["loss"][0]
    gatework.keras.accelerate(model)
    assert model.fit(x, y, epochs=8, verbose=0).history["loss"][-1] < first


def test_what_is_left_alone_is_named() -> None:
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            keras.layers.RNN(keras.layers.LSTMCell(4), return_sequences=True, name="loop"),
            Own(4, name="own"),
        ]
    )
    done = gatework.keras.accelerate(model)
    assert not done.swapped
    assert [(each.name, each.layer) for each in done.left] == [("loop", "RNN"), ("own", "Own")]
    assert "a loop over LSTMCell" in str(done) and "a subclass" in str(done)


def test_a_call_that_fails_leaves_the_model_as_it_was() -> None:
    model = network()
    with pytest.raises(ValueError):
        gatework.keras.accelerate(model, input_of(2, 6, 9))
    assert type(model.get_layer("last")) is keras.layers.SimpleRNN


@pytest.mark.parametrize("wrong", [None, {"a": 1}, keras.layers.LSTM])
def test_what_is_no_layer_is_refused(wrong: Any) -> None:
    with pytest.raises(OptionError, match="accelerate takes a Keras model or layer, got"):
        gatework.keras.accelerate(wrong)


def test_states_of_stateful_layers_stay_and_are_no_difference() -> None:
    layers = [keras.Input(batch_shape=(2, 6, 3)), keras.layers.LSTM(4, stateful=True)]
    model, x = keras.Sequential(layers), input_of(2, 6, 3)
    model(x)
    states = model.layers[0].states
    held = [each.numpy().copy() for each in states]
    done = gatework.keras.accelerate(model, x)
    assert done.difference is not None and done.difference[0] < 1e-6
    for each, value in zip(states, held, strict=True):
        np.testing.assert_array_equal(each.numpy(), value)
