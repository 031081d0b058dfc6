"""The cells against Keras: both GRU forms, one recurrent dropout mask per gate, masked steps, other activations.

Keras's gates stand in the order i, f, c, o (LSTM, ours) and z, r, h (GRU); its kernels are the transpose of ours. On
torch it multiplies matrices in single precision whatever it is told, so single precision is what is compared.
"""

import numpy as np
import pytest

from gatework.reference import gru, lstm
from tests.reference.problems import H, N, Problem, T
from tests.tolerances import assert_close

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def _tensor(values: np.ndarray):
    return keras.ops.convert_to_tensor(values, dtype="float32")


def _judge(found: np.ndarray, expected: object, name: str) -> None:
    expected = keras.ops.convert_to_numpy(expected)
    assert_close(found.astype(np.float32), expected, "forward", "keras", name)


def _kernel(values: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """[., G*H] in Keras's order of the gates."""
    return np.concatenate([values[k * H : (k + 1) * H] for k in order]).T


def _cell(problem: Problem, **given):
    """Keras's cell with the problem's weights."""
    put, after = problem.inputs, problem.options.reset_after
    if problem.name == "lstm":
        cell, order = keras.layers.LSTMCell(H, **given), (0, 1, 2, 3)
        bias = put["b_ih"] + put["b_hh"]
    else:
        cell, order = keras.layers.GRUCell(H, reset_after=after, **given), (1, 0, 2)
        b_ih, b_hh = (_kernel(put[k], order) for k in ("b_ih", "b_hh"))
        bias = np.stack([b_ih, b_hh]) if after else b_ih + b_hh
    cell.build((N, put["x"].shape[2]))
    cell.set_weights([_kernel(put["w_ih"], order), _kernel(put["w_hh"], order), bias])
    return cell


def _stepwise(problem: Problem, cell) -> list[np.ndarray]:
    """Every step's output in training mode."""
    put = problem.inputs
    states = [put["h0"], put["c0"]] if problem.name == "lstm" else [put["h0"]]
    states, outputs = [_tensor(s) for s in states], []
    for x in put["x"]:
        y, states = cell(_tensor(x), states, training=True)
        outputs.append(keras.ops.convert_to_numpy(y))
    return outputs


@pytest.mark.parametrize("reset_after", [True, False])
def test_gru_with_a_mask_per_gate(reset_after: bool) -> None:
    problem = Problem(gru, reset_after=reset_after)
    cell = _cell(problem, recurrent_dropout=0.4, implementation=1, seed=1)
    outputs = _stepwise(problem, cell)
    z, r, h = (keras.ops.convert_to_numpy(m) for m in cell.get_recurrent_dropout_mask(None))
    problem.steps["drop"] = np.stack([r, z, h], axis=1)  # [N, 3, H]
    assert 0 < (problem.steps["drop"] == 0).sum() < problem.steps["drop"].size
    _judge(problem.run().y, np.stack(outputs), "y")


def test_lstm_with_a_mask_per_gate() -> None:
    problem = Problem(lstm)
    cell = _cell(problem, recurrent_dropout=0.4, implementation=1, seed=1)
    outputs = _stepwise(problem, cell)
    masks = [keras.ops.convert_to_numpy(m) for m in cell.get_recurrent_dropout_mask(None)]
    problem.steps["drop"] = np.stack(masks, axis=1)  # [N, 4, H]
    assert 0 < (problem.steps["drop"] == 0).sum() < problem.steps["drop"].size
    _judge(problem.run().y, np.stack(outputs), "y")


@pytest.mark.parametrize("cell", [lstm, gru], ids=["lstm", "gru"])
@pytest.mark.parametrize("steps", ["", "mask", "mask reverse"])
def test_masked_steps(steps: str, cell) -> None:
    problem = Problem(cell, steps)
    layer = keras.layers.RNN(
        _cell(problem),
        return_sequences=True,
        return_state=True,
        zero_output_for_mask=True,
        go_backwards="reverse" in steps,
    )
    put = problem.inputs
    states = [put["h0"], put["c0"]] if problem.name == "lstm" else [put["h0"]]
    mask = problem.steps.get("mask", np.ones((T, N), bool)).T
    found = layer(
        _tensor(put["x"].swapaxes(0, 1)), initial_state=[_tensor(s) for s in states], mask=mask
    )
    y, *last = (keras.ops.convert_to_numpy(v) for v in found)
    y = y.swapaxes(0, 1)
    run = problem.run()
    _judge(run.y, y[::-1] if "reverse" in steps else y, "y")
    _judge(run.h_n, last[0], "h_n")
    if problem.name == "lstm":
        _judge(run.c_n, last[1], "c_n")


@pytest.mark.parametrize(
    ("keras_names", "activations"),
    [
        (("hard_sigmoid", "softsign"), (("hard_sigmoid", 1 / 6, 0.5), "softsign", "softsign")),
        (("hard_sigmoid", "elu"), (("hard_sigmoid", 1 / 6, 0.5), "elu", "elu")),
        (("tanh", "softplus"), ("tanh", "softplus", "softplus")),
        (("sigmoid", "relu"), ("sigmoid", "relu", "relu")),
    ],
)
def test_activations(keras_names: tuple[str, str], activations: tuple) -> None:
    gates, rest = keras_names
    for cell, own in ((lstm, activations), (gru, activations[:2])):
        problem = Problem(cell, activations=own)
        cell = _cell(problem, activation=rest, recurrent_activation=gates)
        outputs = _stepwise(problem, cell)
        _judge(problem.run().y, np.stack(outputs), problem.name)
