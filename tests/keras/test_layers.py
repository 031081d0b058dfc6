"""Our Keras layers against Keras's own: answers, states and gradients under every argument and mask."""

import itertools
import warnings
from typing import Any

import keras
import numpy as np
import pytest
import torch

import gatework.keras
from gatework.errors import SlowPathWarning
from tests.keras.cases import (
    MASKS,
    PAIRS,
    H,
    I,
    N,
    T,
    alike,
    answers_and_gradients,
    input_of,
    mask_of,
    pair,
)

KINDS = sorted(PAIRS)
FORMS = {
    "LSTM": [
        {},
        {"use_bias": False},
        {"recurrent_activation": "hard_sigmoid", "activation": "relu"},
    ],
    "GRU": [
        {},
        {"reset_after": False},
        {"use_bias": False},
        {"reset_after": False, "recurrent_activation": "hard_sigmoid"},
    ],
    "SimpleRNN": [{}, {"use_bias": False}, {"activation": "relu"}, {"activation": None}],
}
EVERY = [(kind, form) for kind in KINDS for form in FORMS[kind]]
each_form = pytest.mark.parametrize(("kind", "form"), EVERY, ids=lambda v: str(v))


@pytest.fixture(autouse=True)
def no_slow_path() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error", SlowPathWarning)
        yield


@each_form
@pytest.mark.parametrize("mask", [None, *MASKS])
def test_every_form_under_every_mask(kind: str, form: dict[str, Any], mask: str | None) -> None:
    for go_backwards, zero in itertools.product((False, True), repeat=2):
        theirs, ours = pair(
            kind, **form, go_backwards=go_backwards, zero_output_for_mask=zero,
            return_sequences=True, return_state=True,
        )  # fmt: skip
        call = {} if mask is None else {"mask": mask_of(mask)}
        x = input_of(N, T, I)
        alike(answers_and_gradients(ours, x, **call), answers_and_gradients(theirs, x, **call))


@each_form
@pytest.mark.parametrize("mask", [None, *MASKS])
def test_the_last_output_alone(kind: str, form: dict[str, Any], mask: str | None) -> None:
    for zero in (False, True):
        theirs, ours = pair(kind, **form, zero_output_for_mask=zero)
        call = {} if mask is None else {"mask": mask_of(mask)}
        x = input_of(N, T, I)
        alike(answers_and_gradients(ours, x, **call), answers_and_gradients(theirs, x, **call))


@each_form
def test_initial_states(kind: str, form: dict[str, Any]) -> None:
    theirs, ours = pair(kind, **form, return_sequences=True, return_state=True)
    states = [input_of(N, H) * (k + 1) for k in range(2 if kind == "LSTM" else 1)]
    for mask in (None, mask_of("a row of nothing")):
        call = {"initial_state": states, "mask": mask}
        x = input_of(N, T, I)
        alike(answers_and_gradients(ours, x, **call), answers_and_gradients(theirs, x, **call))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rates", [(0.3, 0.0), (0.0, 0.4), (0.3, 0.4)], ids=str)
@pytest.mark.parametrize("implementation", [1, 2])
def test_dropout_draws_and_masks_as_keras_does(
    kind: str, rates: tuple[float, float], implementation: int
) -> None:
    # with use_cudnn="auto" Keras fails on a mask for each gate of the input alone
    more = {} if kind == "SimpleRNN" else {"implementation": implementation, "use_cudnn": False}
    theirs, ours = pair(
        kind, dropout=rates[0], recurrent_dropout=rates[1], seed=11, return_sequences=True, **more
    )
    x, mask = input_of(N, T, I), mask_of("interior")
    for _ in range(2):  # the generator goes on
        found, expected = (
            answers_and_gradients(each, x, mask=mask, training=True) for each in (ours, theirs)
        )
        alike(found, expected)
    alike(ours(x), theirs(x))
    with pytest.raises(AssertionError):
        alike(found, answers_and_gradients(theirs, x, mask=mask))


@pytest.mark.parametrize("kind", KINDS)
def test_stateful_layers_go_on(kind: str) -> None:
    theirs, ours = (made(H, stateful=True) for made in PAIRS[kind])
    models = [
        keras.Sequential([keras.Input(batch_shape=(N, T, I)), each]) for each in (theirs, ours)
    ]
    models[1].set_weights(models[0].get_weights())
    x = input_of(N, T, I)
    first = [model(x) for model in models]
    second = [model(x) for model in models]
    alike(first[1], first[0])
    alike(second[1], second[0])
    with pytest.raises(AssertionError):
        alike(second[1], first[1])
    ours.reset_states()
    alike(models[1](x), first[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("merge", ["concat", "sum"])
def test_inside_bidirectional_with_a_mask(kind: str, merge: str) -> None:
    theirs, ours = (
        keras.layers.Bidirectional(made(H, return_sequences=True), merge_mode=merge)
        for made in PAIRS[kind]
    )
    x, mask = input_of(N, T, I), mask_of("right")
    for layer in (theirs, ours):
        layer.build(x.shape)
    assert type(ours.backward_layer) is PAIRS[kind][1]
    ours.set_weights(theirs.get_weights())
    alike(ours(x, mask=mask), theirs(x, mask=mask))


@pytest.mark.parametrize("kind", KINDS)
def test_inside_time_distributed(kind: str) -> None:
    theirs, ours = (keras.layers.TimeDistributed(made(H)) for made in PAIRS[kind])
    x = input_of(2, 4, T, I)
    for layer in (theirs, ours):
        layer.build(x.shape)
    ours.set_weights(theirs.get_weights())
    alike(ours(x), theirs(x))


@pytest.mark.parametrize("kind", KINDS)
def test_masks_from_embedding_and_masking_in_a_functional_model(kind: str) -> None:
    made = [_text_model(each) for each in PAIRS[kind]]
    made[1].set_weights(made[0].get_weights())
    words = torch.tensor([[3, 4, 0, 0], [1, 0, 2, 5], [0, 0, 0, 0], [0, 0, 4, 4]])
    alike(made[1](words), made[0](words))


def _text_model(layer: Any) -> keras.Model:
    words = keras.Input((None,), dtype="int32")
    y = keras.layers.Embedding(9, 5, mask_zero=True)(words)
    y = layer(H, return_sequences=True, name="first")(y)
    y = keras.layers.Masking()(y)
    y = layer(H, name="second")(y)
    return keras.Model(words, keras.layers.Dense(2)(y))


@pytest.mark.parametrize("kind", KINDS)
def test_training_reaches_the_same_weights(kind: str) -> None:
    models = [_text_model(each) for each in PAIRS[kind]]
    models[1].set_weights(models[0].get_weights())
    draw = np.random.default_rng(0)
    words, target = draw.integers(0, 9, (32, 6)), draw.standard_normal((32, 2))
    for model in models:
        model.compile("adam", "mse")
        model.fit(words, target, batch_size=8, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(models[1].get_weights(), models[0].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_regularisers_constraints_and_initialisers_act(kind: str) -> None:
    arguments: dict[str, Any] = {
        "kernel_regularizer": "l2", "recurrent_regularizer": keras.regularizers.L1(0.01), "bias_regularizer": "l2",
        "activity_regularizer": "l2", "kernel_constraint": "non_neg", "recurrent_constraint": "unit_norm",
        "kernel_initializer": "he_normal", "recurrent_initializer": "glorot_uniform", "bias_initializer": "ones",
    }  # fmt: skip
    theirs, ours = pair(kind, **arguments)
    x = input_of(N, T, I)
    alike(ours(x), theirs(x))
    alike(sum(ours.losses), sum(theirs.losses))
    assert ours.cell.kernel.constraint is not None
    assert ours.get_config() == {**theirs.get_config(), "name": ours.name}


@pytest.mark.parametrize("forget", [True, False])
def test_unit_forget_bias(forget: bool) -> None:
    layer = gatework.keras.LSTM(4, unit_forget_bias=forget)
    layer.build((1, 2, 3))
    expected = np.repeat([0.0, float(forget), 0.0, 0.0], 4)
    np.testing.assert_array_equal(layer.get_weights()[2], expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16", "float64"])
def test_other_dtypes(kind: str, policy: str) -> None:
    theirs, ours = pair(
        kind, dtype=policy, return_sequences=True, recurrent_initializer="glorot_uniform"
    )
    x = input_of(N, T, I).to(torch.float64 if policy == "float64" else torch.bfloat16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowPathWarning)  # float64 is composed
        found, expected = ours(x), theirs(x)
    assert found.dtype == expected.dtype
    alike(found.double(), expected.double(), 1e-5 if policy == "float64" else 3e-2)


def test_an_activation_that_the_kernels_lack_is_keras_own_and_says_so() -> None:
    theirs, ours = pair("LSTM", activation="gelu")
    x = input_of(N, T, I)
    with pytest.warns(SlowPathWarning, match="Keras computes LSTM itself.*gelu"):
        found = ours(x)
    alike(found, theirs(x))


@pytest.mark.parametrize("kind", KINDS)
def test_files_and_weights_cross_over(kind: str, tmp_path: Any) -> None:
    models = [_text_model(each) for each in PAIRS[kind]]
    words = torch.tensor([[3, 4, 0, 0], [1, 0, 2, 5]])
    expected = models[0](words)
    models[0].save_weights(tmp_path / "theirs.weights.h5")
    models[1].load_weights(tmp_path / "theirs.weights.h5")
    alike(models[1](words), expected)
    models[1].save(tmp_path / "ours.keras")
    loaded = keras.models.load_model(tmp_path / "ours.keras")
    assert type(loaded.get_layer("first")) is PAIRS[kind][1]
    alike(loaded(words), expected)
    models[0].save(tmp_path / "theirs.keras")
    loaded = keras.models.load_model(tmp_path / "theirs.keras", custom_objects=None)
    alike(gatework.keras.accelerate(loaded).model(words), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_input_is_refused_as_keras_refuses_it(kind: str) -> None:
    theirs, ours = pair(kind)
    for wrong in (input_of(N, T), input_of(N, T, I + 1), input_of(N, T, 2, I)):
        with pytest.raises(Exception) as expected:
            theirs(wrong)
        with pytest.raises(expected.type):
            ours(wrong)
    with pytest.raises(ValueError, match="units"):
        PAIRS[kind][1](0)
