"""ONNX's own node cases of LSTM, GRU and RNN pass through import, every one that its generators make."""

import importlib
from typing import Any, NamedTuple

import numpy as np
import pytest
from onnx import helper

from gatework.weights import from_onnx
from tests.tolerances import assert_close
from tests.weights.onnx_stacks import CELLS, close


class NodeCase(NamedTuple):
    """A node, its inputs and what it must answer."""

    name: str
    node: Any
    inputs: dict[str, Any]
    outputs: dict[str, Any]


def generated() -> list[NodeCase]:
    """What the generators of onnx.backend.test.case.node say they expect."""
    found: list[NodeCase] = []

    def expect(node: Any, inputs: Any, outputs: Any, name: str, **_: Any) -> None:
        both = ([k for k in names if k] for names in (node.input, node.output))
        pairs = (
            dict(zip(names, values, strict=True))
            for names, values in zip(both, (inputs, outputs), strict=True)
        )
        found.append(NodeCase(name, node, *pairs))

    for cell in CELLS:
        room = importlib.import_module(f"onnx.backend.test.case.node.{cell}")
        kept, room.expect = room.expect, expect
        for one in vars(room)[cell.upper()].__dict__.values():
            if isinstance(one, staticmethod):
                one.__func__()
        room.expect = kept
    return found


CASES = generated()


def test_the_generators_make_cases_of_every_operator() -> None:
    assert len(CASES) >= 18 and {case.node.op_type for case in CASES} == {"LSTM", "GRU", "RNN"}


def model_of(case: NodeCase) -> Any:
    """A model of the node alone, its weights inputs of the graph."""
    info = helper.make_tensor_value_info
    kind = helper.np_dtype_to_tensor_dtype
    graph = helper.make_graph(
        [case.node],
        case.name,
        [info(name, kind(v.dtype), v.shape) for name, v in case.inputs.items()],
        [info(name, kind(v.dtype), v.shape) for name, v in case.outputs.items()],
    )
    return helper.make_model(graph)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_of_onnx(case: NodeCase) -> None:
    ((_, moved),) = from_onnx(model_of(case), values=case.inputs).items()
    assert close(moved)
    stack, x = moved.result, case.inputs["X"]
    batch_first = any(one.name == "layout" and one.i for one in case.node.attribute)
    answer = stack(x.swapaxes(0, 1) if batch_first else x, lengths=case.inputs.get("sequence_lens"))
    y = answer.y.reshape(*answer.y.shape[:2], stack.directions, -1).transpose(0, 2, 1, 3)
    found = {"Y": y, "Y_h": np.stack(answer.h_n)}
    if answer.c_n:
        found["Y_c"] = np.stack(answer.c_n)
    for name, expected in case.outputs.items():
        own = found[name]
        if batch_first:
            own = own.transpose(2, 0, 1, 3) if name == "Y" else own.swapaxes(0, 1)
        assert_close(own, expected, "forward", "onnx", name)
