"""Recurrent operators of ONNX models become stacks: our own exports, torch's, other ways to hold weights."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.reference
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from gatework.errors import FormatError
from gatework.native import Stack
from gatework.weights import from_onnx, to_onnx
from tests.native.calls import same_bits
from tests.tolerances import assert_close
from tests.weights.onnx_stacks import CELLS, close, drawn

CLIPPED = (("clipped_sigmoid", 0.5), ("clipped_tanh", 0.5))
OPTIONS: list[tuple[Any, tuple[dict[str, Any], ...]]] = [
    *((cell, ({}, {})) for cell in CELLS),
    *((cell, ({},)) for cell in CELLS),
    ("lstm", ({"coupled": True},)),
    ("lstm", ({"activations": (*CLIPPED, "tanh")},) * 2),
    ("lstm", ({"activations": (("hard_sigmoid", 0.25, 0.5), ("elu", 0.5), "softsign")}, {})),
    ("gru", ({"reset_after": False},) * 2),
    ("gru", ({"activations": CLIPPED},)),
    ("rnn", ({"activations": (("scaled_tanh", 1.5, 0.75),)}, {"activations": (("affine", 0.5, 0.25),)})),
]  # fmt: skip


@pytest.mark.parametrize(("cell", "options"), OPTIONS, ids=str)
@pytest.mark.parametrize(
    "without", [(), ("b_ih", "b_hh", "peephole", "learned_h", "learned_c")], ids=["all", "few"]
)
def test_there_and_back_is_the_same(cell: Any, options: Any, without: tuple[str, ...]) -> None:
    stack = drawn(cell, *options, without=without)
    found = from_onnx(to_onnx(stack, lengths=True).result)
    assert len(found) == 2 and all(close(moved) for moved in found.values())
    again = Stack(cell, tuple(moved.result.layers[0] for moved in found.values()))
    for layer, own in zip(again.layers, stack.layers, strict=True):
        for one, mine in zip(layer, own, strict=True):
            assert (one.options, one.reverse) == (mine.options, mine.reverse)
            for name, weight in mine.weights._asdict().items():
                np.testing.assert_array_equal(getattr(one.weights, name), weight, name)
    x = np.random.default_rng(1).normal(size=(6, 3, 5)).astype(np.float32)
    answers = stack(x, lengths=[6, 0, 4]), again(x, lengths=[6, 0, 4])
    assert all(
        map(same_bits, *(np.hstack([a.y.ravel(), *map(np.ravel, a.h_n)])[None] for a in answers))
    )


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_what_torch_exports(cell: str, folded: bool) -> None:
    torch.manual_seed(0)
    module = getattr(torch.nn, cell.upper())(5, 4, num_layers=2, bidirectional=True).eval()
    file, x = io.BytesIO(), torch.randn(3, 2, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (x,), file, dynamo=False, opset_version=13, do_constant_folding=folded,
                          input_names=["x"], dynamic_axes={"x": {0: "time", 1: "batch"}})  # fmt: skip
    found = from_onnx(onnx.load_from_string(file.getvalue()))
    assert all(close(moved) and "initial" not in str(moved) for moved in found.values())
    stack = Stack(cell, tuple(moved.result.layers[0] for moved in found.values()))  # type: ignore[arg-type]
    answer, wanted = stack(x.numpy()), module(x)
    assert_close(answer.y, wanted[0].detach(), "forward", "torch")


def one_rnn(tensors: Any = (), nodes: Any = (), W: str = "W", op: str = "RNN", **given: Any) -> Any:
    """A model of one RNN with 3 inputs and 2 units, and what stands before it."""
    rng = np.random.default_rng(0)
    own = {"W": (1, 2, 3), "R": (1, 2, 2)}
    named = {one.name for one in tensors} | {name for node in nodes for name in node.output}
    made = [
        numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in own.items()
        if name not in named
    ]
    node = helper.make_node(op, ["X", W, "R"], ["Y"], "rnn", **{"hidden_size": 2, **given})
    graph = helper.make_graph(
        [*nodes, node],
        "g",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["T", "N", 3])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
        [*tensors, *made],
    )
    return helper.make_model(graph)


def weight(shape: tuple[int, ...], dtype: Any = np.float32, name: str = "raw") -> Any:
    return numpy_helper.from_array(np.arange(np.prod(shape)).reshape(shape).astype(dtype) / 8, name)


def whole(name: str, *values: int) -> Any:
    return numpy_helper.from_array(np.array(values, np.int64), name)


WAYS: dict[str, tuple[list[Any], list[Any]]] = {
    "transposed": (
        [weight((1, 3, 2))],
        [helper.make_node("Transpose", ["raw"], ["W"], perm=[0, 2, 1])],
    ),
    "unsqueezed": (
        [weight((2, 3)), whole("a", 0)],
        [helper.make_node("Unsqueeze", ["raw", "a"], ["W"])],
    ),
    "cut out": (
        [weight((4, 3, 2)), *(whole(k, v) for k, v in zip("seax", (3, 1, 0, -2), strict=True))],
        [
            helper.make_node("Slice", ["raw", "s", "e", "a", "x"], ["cut"]),
            helper.make_node("Reshape", ["cut", "shape"], ["W"]),
            helper.make_node("Constant", [], ["shape"], value_ints=[1, 2, 3]),
        ],
    ),
    "joined": (
        [weight((1, 1, 3), name="a"), weight((1, 1, 3), name="b")],
        [helper.make_node("Concat", ["a", "b"], ["W"], axis=1)],
    ),
    "split": (
        [weight((2, 2, 3))],
        [helper.make_node("Split", ["raw"], ["first", "W"], num_outputs=2)],
    ),
    "cast": ([weight((1, 2, 3), np.float16)], [helper.make_node("Cast", ["raw"], ["W"], to=1)]),
}


@pytest.mark.parametrize("way", WAYS)
def test_weights_that_are_put_together_from_constants(way: str) -> None:
    tensors, nodes = WAYS[way]
    model = one_rnn(tensors, nodes)
    (moved,) = from_onnx(model).values()
    expected = onnx.reference.ReferenceEvaluator(_until_w(model)).run(None, {})[0][0]
    np.testing.assert_array_equal(moved.result.layers[0][0].weights.w_ih, expected)
    assert close(moved)


def _until_w(model: Any) -> Any:
    nodes = [node for node in model.graph.node if node.op_type != "RNN"]
    nodes = sorted(nodes, key=lambda node: node.op_type != "Constant")
    out = [helper.make_tensor_value_info("W", TensorProto.FLOAT, None)]
    return helper.make_model(helper.make_graph(nodes, "w", [], out, model.graph.initializer))


@pytest.mark.parametrize("kind", [np.float16, np.float64, onnx.TensorProto.BFLOAT16])
def test_weights_of_other_precisions_become_float32(kind: Any) -> None:
    if kind == onnx.TensorProto.BFLOAT16:
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        tensor = numpy_helper.from_array(np.full((1, 2, 3), 0.5).astype(dtype), "W")
    else:
        tensor = weight((1, 2, 3), kind, "W")
    (moved,) = from_onnx(one_rnn([tensor])).values()
    assert close(moved) and "became float32" in str(moved)


def test_operators_in_branches_loops_and_functions_are_found() -> None:
    inner = one_rnn().graph
    inner.node[0].output[0] = inner.output[0].name = "Y_then"
    del inner.input[:]
    function = helper.make_function(
        "own", "Layer", ["X", "w", "r"], ["Y"],
        [helper.make_node("RNN", ["X", "w", "r"], ["Y"], "core", hidden_size=2)],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    tensors = [weight((1, 2, 3), name="W1"), weight((1, 2, 2), name="R1")]
    graph = helper.make_graph(
        [
            helper.make_node(
                "If", ["flag"], ["Y0"], "choice", then_branch=inner, else_branch=inner
            ),
            helper.make_node("Layer", ["X", "W1", "R1"], ["Y1"], "call", domain="own"),
        ],
        "g",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["T", "N", 3])],
        [helper.make_tensor_value_info("Y1", TensorProto.FLOAT, None)],
        tensors,
    )
    model = helper.make_model(graph, functions=[function])
    found = from_onnx(model)
    assert list(found) == ["choice/rnn", "choice/rnn (2)", "call/core"]
    assert all(map(close, found.values()))
    called = found["call/core"].result.layers[0][0].weights
    np.testing.assert_array_equal(called.w_ih, numpy_helper.to_array(tensors[0])[0])


def test_old_operators_are_read() -> None:
    model = one_rnn(
        op="LSTM",
        output_sequence=1,
        tensors=[weight((1, 8, 3), name="W"), weight((1, 8, 2), name="R")],
    )
    model.opset_import[0].version = 1
    (moved,) = from_onnx(model).values()
    assert close(moved)


def test_states_that_are_constants_are_learned_ones_and_others_are_named() -> None:
    tensors = [weight((1, 1, 2), name="h"), weight((1, 2, 2), name="two")]
    for name, said in (("h", "became the learned state"), ("two", "depends"), ("X", "pass h0")):
        model = one_rnn(tensors)
        model.graph.node[0].input.extend(["", "", name])
        (moved,) = from_onnx(model).values()
        assert said in str(moved) and close(moved)
        assert (moved.result.layers[0][0].weights.learned_h is None) == (name != "h")


def test_a_weight_that_is_an_input_is_asked_for_and_taken() -> None:
    model = one_rnn(W="given")
    with pytest.raises(FormatError, match=r"W \('given'\) is no constant.*values=\{'given'"):
        from_onnx(model)
    given = np.full((1, 2, 3), 0.5)
    (moved,) = from_onnx(model, values={"given": given}).values()
    np.testing.assert_array_equal(moved.result.layers[0][0].weights.w_ih, given[0])


def test_external_data_beside_the_model_is_read(tmp_path: Path) -> None:
    model = to_onnx(drawn("lstm", {})).result
    own = next(iter(from_onnx(model).values())).result.layers[0][0].weights
    onnx.save_model(
        model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0
    )
    moved = next(iter(from_onnx(tmp_path / "m.onnx").values()))
    assert (tmp_path / "m.data").stat().st_size > 0 and close(moved)
    np.testing.assert_array_equal(moved.result.layers[0][0].weights.w_ih, own.w_ih)
    with pytest.raises(FormatError, match="give the model's path"):
        from_onnx(onnx.load(tmp_path / "m.onnx", load_external_data=False))


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"activations": ["Tanhh"]}, "'Tanhh'; did you mean 'Tanh'"),
    ({"activations": ["Tanh", "Tanh"]}, "has 2 activations; expected 1"),
    ({"activations": ["Relu"], "clip": 0.5}, "clip together with the activation 'relu'"),
    ({"activations": ["LeakyRelu"], "activation_alpha": [-1.0]}, "leaky_relu has alpha = -1"),
    ({"activation_alpha": [1.0, 1.0]}, "2 constants for activations that take 0"),
    ({"clip": -1.0}, "clip = -1"),
    ({"direction": "sideways"}, "direction b'sideways'"),
    ({"direction": "bidirectional"}, r"W has the shape \[1, 2, 3\]; expected \[2, 2, 3\]"),
    ({"hidden_size": 3}, r"expected \[1, 3, 3\]"),
    ({"hidden_size": 2.0}, "hidden_size of another type"),
    ({"colour": 1}, "unknown attribute 'colour'"),
]


@pytest.mark.parametrize(("given", "said"), REFUSED, ids=str)
def test_what_is_not_known_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(FormatError, match=said):
        from_onnx(one_rnn(**given))


def test_a_model_without_recurrent_operators_has_none() -> None:
    node = helper.make_node("Relu", ["X"], ["Y"])
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "XY"]
    assert from_onnx(helper.make_model(helper.make_graph([node], "g", info[:1], info[1:]))) == {}
