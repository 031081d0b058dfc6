"""The cells against ONNX's reference evaluator: peepholes, both GRU forms, directions, and the set of activations.

The evaluator reads neither sequence_lens, clip, activations (except the RNN's Affine) nor input_forget, so lengths,
the limit of the cell and coupled gates are proved elsewhere; activations meet the operators of their names.
"""

import numpy as np
import pytest

from gatework.reference import gru, lstm, rnn
from gatework.reference.activations import DEFAULTS, activation
from tests.reference.problems import H, N, Problem
from tests.tolerances import assert_close

onnx = pytest.importorskip("onnx")
evaluator = pytest.importorskip("onnx.reference")

VERSION = 22  # of the operator set
directions = pytest.mark.parametrize("steps", ["", "reverse"])
OPERATORS = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "leaky_relu": "LeakyRelu",
    "thresholded_relu": "ThresholdedRelu",
    "hard_sigmoid": "HardSigmoid",
    "elu": "Elu",
    "softsign": "Softsign",
    "softplus": "Softplus",
}
CONSTANTS = {"leaky_relu": 1, "thresholded_relu": 1, "hard_sigmoid": 2, "elu": 1}


def _evaluate(operator: str, inputs: dict[str, np.ndarray], outputs: list[str], **given) -> list:
    """The outputs of one operator; an input whose name is empty stands for one that is left out."""
    helper, double = onnx.helper, onnx.TensorProto.DOUBLE
    node = helper.make_node(operator, list(inputs), outputs, **given)
    named = {name: value for name, value in inputs.items() if name.strip()}
    graph = helper.make_graph(
        [node],
        operator,
        [helper.make_tensor_value_info(name, double, v.shape) for name, v in named.items()],
        [helper.make_tensor_value_info(name, double, None) for name in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", VERSION)])
    return evaluator.ReferenceEvaluator(model).run(None, named)


def _reordered(values: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """[1, ...] with the gates, H rows each, in ONNX's order."""
    return np.concatenate([values[k * H : (k + 1) * H] for k in order])[None]


def _recurrent(operator: str, problem: Problem, order: tuple[int, ...], **given) -> list:
    put, reverse = problem.inputs, "reverse" in problem.parts
    both_biases = [_reordered(put[k], order)[0] for k in ("b_ih", "b_hh")]
    inputs = {
        "x": put["x"],
        "w": _reordered(put["w_ih"], order),
        "r": _reordered(put["w_hh"], order),
        "b": np.concatenate(both_biases)[None],
        "": np.zeros(0),  # sequence_lens
        "h0": put["h0"][None],
    }
    outputs = ["y", "h_n"]
    if operator == "LSTM":
        inputs["c0"] = put["c0"][None]
        outputs.append("c_n")
        if "peephole" in put:
            inputs["p"] = _reordered(put["peephole"], (0, 2, 1))  # i, o, f
    direction = "reverse" if reverse else "forward"
    return _evaluate(operator, inputs, outputs, hidden_size=H, direction=direction, **given)


@directions
@pytest.mark.parametrize("parts", ["", "peephole"])
def test_lstm(parts: str, steps: str) -> None:
    problem = Problem(lstm, f"{parts} {steps}")
    y, h_n, c_n = _recurrent("LSTM", problem, (0, 3, 1, 2))  # i, o, f, c
    run = problem.run()
    assert_close(run.y, y[:, 0], "forward", "onnx", "y")
    assert_close(run.h_n, h_n[0], "forward", "onnx", "h_n")
    assert_close(run.c_n, c_n[0], "forward", "onnx", "c_n")


@directions
@pytest.mark.parametrize("reset_after", [False, True])
def test_gru(reset_after: bool, steps: str) -> None:
    problem = Problem(gru, steps, reset_after=reset_after)
    y, h_n = _recurrent("GRU", problem, (1, 0, 2), linear_before_reset=int(reset_after))  # z, r, h
    run = problem.run()
    assert_close(run.y, y[:, 0], "forward", "onnx", "y")
    assert_close(run.h_n, h_n[0], "forward", "onnx", "h_n")


@directions
@pytest.mark.parametrize("name", ["tanh", "affine"])
def test_rnn(name: str, steps: str) -> None:
    given = {"activations": ["Affine"], "activation_alpha": [0.5], "activation_beta": [0.25]}
    mine = ("affine", 0.5, 0.25) if name == "affine" else "tanh"
    problem = Problem(rnn, steps, activations=(mine,))
    y, h_n = _recurrent("RNN", problem, (0,), **(given if name == "affine" else {}))
    run = problem.run()
    assert_close(run.y, y[:, 0], "forward", "onnx", "y")
    assert_close(run.h_n, h_n[0], "forward", "onnx", "h_n")


@pytest.mark.parametrize("name", OPERATORS)
def test_activations(name: str) -> None:
    constants = (0.25, 0.625)[: CONSTANTS.get(name, 0)]  # exact in the attributes' single precision
    given = dict(zip(("alpha", "beta"), constants, strict=False))
    x = np.random.default_rng(0).normal(size=(N, 50)) * 3
    (y,) = _evaluate(OPERATORS[name], {"x": x}, ["y"], **given)
    assert_close(activation((name, *constants))(x), y, "forward", "onnx", name)


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_a_clipped_activation_is_the_operator_after_clip(name: str) -> None:
    x = np.random.default_rng(0).normal(size=(N, 50)) * 3
    bounds = {"low": np.array(-0.75), "high": np.array(0.75)}
    (clipped,) = _evaluate("Clip", {"x": x} | bounds, ["y"])
    (y,) = _evaluate(OPERATORS[name], {"x": clipped}, ["y"])
    assert_close(activation((f"clipped_{name}", 0.75))(x), y, "forward", "onnx", name)


def test_only_these_are_no_operators() -> None:
    others = {"affine", "scaled_tanh", "clipped_sigmoid", "clipped_tanh"}
    assert set(DEFAULTS) - set(OPERATORS) == others
