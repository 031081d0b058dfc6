"""Stacks written as ONNX: onnxruntime answers what the stack answers, for every option and at any size."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from gatework.errors import OptionError
from gatework.weights import to_onnx
from tests.tolerances import assert_close
from tests.weights.onnx_stacks import CELLS, PLAIN, close, drawn


def operators(moved: Any) -> set[str]:
    return {node.op_type for node in moved.result.graph.node}


@pytest.mark.parametrize("form", [
    {}, {"lengths": True}, {"lengths": True, "batch_first": True}, {"states": False},
    {"states": False, "lengths": True}, {"opset": 13, "lengths": True}, {"opset": 22, "lengths": True},
])  # fmt: skip
@pytest.mark.parametrize(
    "without", [PLAIN, ("peephole",), (*PLAIN, "b_ih", "b_hh"), (*PLAIN, "b_hh")], ids=str
)
@pytest.mark.parametrize("cell", CELLS)
def test_standard_operators(cell: Any, without: tuple[str, ...], form: dict[str, Any]) -> None:
    moved = to_onnx(drawn(cell, {}, {}, without=without), **form)
    assert close(moved) and "onnxruntime" in moved.compared.judge
    assert cell.upper() in operators(moved) and "Scan" not in operators(moved)


LSTM: list[tuple[Any, ...]] = [
    ({"coupled": True}, {"coupled": True}),
    ({"activations": ("hard_sigmoid", ("elu", 0.5), "softsign")}, {}),
    ({"activations": (("affine", 0.2, 0.5), ("scaled_tanh", 1.2, 0.7), ("leaky_relu", 0.1))},),
    ({"activations": ("sigmoid", "softplus", ("thresholded_relu", 0.2))},),
    ({"activations": (("clipped_sigmoid", 0.4), ("clipped_tanh", 0.4), "tanh")},) * 2,
    ({}, {"coupled": True}),
    ({"activations": (("clipped_sigmoid", 0.4), ("clipped_tanh", 0.4), "tanh")}, {}),
]


@pytest.mark.parametrize("options", LSTM, ids=str)
@pytest.mark.parametrize("without", [(), PLAIN], ids=["all weights", "plain"])
def test_options_that_the_operator_has(options: Any, without: tuple[str, ...]) -> None:
    moved = to_onnx(drawn("lstm", *options, without=without), lengths=True)
    assert close(moved) and "Scan" not in operators(moved)
    nodes = [node for node in moved.result.graph.node if node.op_type == "LSTM"]
    same = (
        len(options) == 1
        or len({("coupled" in one, "clipped" in str(one)) for one in options}) == 1
    )
    assert len(nodes) == 2 * (1 if same else len(options)), "one operator for each layer"


def test_both_forms_of_the_gru_and_a_stack_that_runs_backwards() -> None:
    assert close(to_onnx(drawn("gru", {"reset_after": False}, {"reset_after": True}), lengths=True))
    assert close(to_onnx(drawn("gru", {"reset_after": False}, reverse=True), lengths=True))
    clipped = {"activations": (("clipped_sigmoid", 0.4), ("clipped_tanh", 0.4))}
    assert close(to_onnx(drawn("gru", clipped, clipped), lengths=True))


LOOPS: list[tuple[Any, dict[str, Any], int]] = [
    *((cell, {"layer_norm": True}, 0) for cell in CELLS),
    *((cell, {"zoneout_h": 0.3}, 0) for cell in CELLS),
    ("lstm", {}, 3),
    ("lstm", {"cell_clip": 0.5}, 0),
    ("lstm", {"zoneout_c": 0.3}, 0),
    ("lstm", {"activations": ("sigmoid", "tanh", ("clipped_tanh", 0.4))}, 0),
    ("gru", {"layer_norm": True, "reset_after": False}, 0),
    ("gru", {"zoneout_h": 0.2, "activations": ("hard_sigmoid", ("affine", 0.5, 0.1))}, 0),
    ("rnn", {"zoneout_h": 0.2, "activations": (("scaled_tanh", 1.2, 0.7),)}, 0),
    ("rnn", {"zoneout_h": 0.2, "activations": (("leaky_relu", 0.2),)}, 0),
    (
        "lstm",
        {"layer_norm": True, "coupled": True, "cell_clip": 0.5, "zoneout_h": 0.2, "zoneout_c": 0.3},
        3,
    ),
]


@pytest.mark.parametrize(("cell", "option", "P"), LOOPS, ids=str)
@pytest.mark.parametrize("opset", [13, 22])
def test_a_loop_stands_for_what_no_operator_has(cell: Any, option: Any, P: int, opset: int) -> None:
    moved = to_onnx(drawn(cell, option, option, P=P, without=()), lengths=True, opset=opset)
    assert close(moved) and "Scan" in operators(moved) and cell.upper() not in operators(moved)
    assert "is a Scan over standard operators" in str(moved)


@pytest.mark.parametrize("masked_output", ["zero", "carry"])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_residuals_and_repeated_outputs(cell: Any, residual: bool, masked_output: str) -> None:
    stack = drawn(cell, {}, {}, I=8, residual=residual, masked_output=masked_output)
    assert close(to_onnx(stack, lengths=True))
    assert close(to_onnx(stack))


@pytest.mark.parametrize("cell", CELLS)
def test_layers_of_different_sizes_have_states_of_their_own(cell: Any) -> None:
    moved = to_onnx(drawn(cell, {}, {}, H=(4, 3), without=("peephole",)))
    names = [one.name for one in moved.result.graph.input]
    letters = "hc" if cell == "lstm" else "h"
    assert names == ["x", *(f"{letter}0_l{k}" for letter in letters for k in (0, 1))]
    assert close(moved)


def test_any_size_runs_and_states_may_be_left_out(tmp_path: Path) -> None:
    stack = drawn("lstm", {}, {}, without=("peephole",))
    to_onnx(stack, tmp_path / "m.onnx", lengths=True)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    for T, N in ((1, 1), (1, 6), (40, 1), (9, 11)):
        x = rng.normal(size=(T, N, 5)).astype(np.float32)
        lengths = rng.integers(0, T + 1, N).astype(np.int32)
        states = {name: rng.normal(size=(4, N, 4)).astype(np.float32) for name in ("h0", "c0")}
        for given in ({}, states):
            y, h, c = session.run(None, {"x": x, "sequence_lens": lengths, **given})
            ours = stack(x, lengths=lengths, **given)
            for found, own in ((y, ours.y), (h, np.stack(ours.h_n)), (c, np.stack(ours.c_n))):
                assert_close(found, own, "forward", "onnxruntime")


def test_the_reference_evaluator_judges_where_there_is_no_runtime(monkeypatch: Any) -> None:
    monkeypatch.setattr("gatework.weights.onnx_judge.onnxruntime", lambda: None)
    moved = to_onnx(drawn("lstm", {}, {}, without=("learned_h", "learned_c")))
    assert close(moved) and "reference evaluator" in moved.compared.judge
    for unread in (
        to_onnx(drawn("lstm", {}), lengths=True),
        to_onnx(drawn("gru", {"zoneout_h": 0.1}, {})),
    ):
        assert unread.compared is None or "reference" in unread.compared.judge
    assert "install onnxruntime" in str(to_onnx(drawn("lstm", {}), lengths=True))


def test_a_difference_is_seen(monkeypatch: Any) -> None:
    """With peepholes in another order the comparison says so."""
    from gatework.weights import onnx_layers

    true = onnx_layers.to_operator

    def wrong(*given: Any) -> Any:
        found = true(*given)
        return found | {"P": np.roll(found["P"], 4)}

    monkeypatch.setattr(onnx_layers, "to_operator", wrong)
    assert not close(to_onnx(drawn("lstm", {}, without=())))


@pytest.mark.parametrize("opset", [12, 1000, "17", True])
def test_an_operator_set_that_is_not_written_is_refused(opset: Any) -> None:
    with pytest.raises(OptionError, match="opset is .*; expected 13 to"):
        to_onnx(drawn("rnn", {}), opset=opset)


def test_reduced_precision_is_left_out_and_said() -> None:
    moved = to_onnx(drawn("gru", {"precision": "bfloat16"}))
    assert close(moved) and "precision bfloat16 is left out" in str(moved)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        to_onnx(drawn("rnn", {}), tmp_path / "absent" / "m.onnx")
    moved = to_onnx(drawn("rnn", {}), tmp_path / "m.onnx")
    assert onnx.load(tmp_path / "m.onnx") == moved.result
    assert [each.name for each in tmp_path.iterdir()] == ["m.onnx"]


def test_sizes_are_free_in_the_file() -> None:
    model = to_onnx(drawn("lstm", {}), lengths=True).result
    dims = {
        one.name: [d.dim_param or d.dim_value for d in one.type.tensor_type.shape.dim]
        for one in (*model.graph.input, *model.graph.output)
    }
    assert dims == {
        "x": ["time", "batch", 5], "sequence_lens": ["batch"], "h0": [2, "state_batch", 4],
        "c0": [2, "state_batch", 4], "y": ["time", "batch", 4], "h_n": [2, "batch", 4], "c_n": [2, "batch", 4],
    }  # fmt: skip
