"""The case as an ONNX model of one LSTM node, for the runtimes that read one; not a contender itself."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.cases import Case

_ORDER = (0, 3, 1, 2)  # ours i, f, g, o as ONNX has them: i, o, f, c
_OPSET = 17


def model(case: Case) -> bytes:
    """X [T, N, I] to Y [T, 1, N, H], Y_h and Y_c [1, N, H], the weights inside."""
    N, T, I, H = case.shape  # noqa: E741
    w = {name: _reordered(value, H) for name, value in case.weights.items()}
    weights = {
        "W": w["w_ih"][None],  # [1, 4H, I]
        "R": w["w_hh"][None],  # [1, 4H, H]
        "B": np.concatenate([w["b_ih"], w["b_hh"]])[None],  # [1, 8H]
    }
    outputs = {"Y": [T, 1, N, H], "Y_h": [1, N, H], "Y_c": [1, N, H]}
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["X", *weights], [*outputs], hidden_size=H)],
        "lstm",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [T, N, I])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, size) for n, size in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
    made.ir_version = 9  # one that every runtime of today reads
    onnx.checker.check_model(made)
    return made.SerializeToString()


def _reordered(array: NDArray[np.float32], H: int) -> NDArray[np.float32]:
    gates = array.reshape(4, H, *array.shape[1:])
    return np.ascontiguousarray(gates[list(_ORDER)]).reshape(array.shape)
