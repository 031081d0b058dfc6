"""ONNX Runtime's LSTM node on the CPU; inference only."""

from typing import Any

import onnxruntime

from benchmarks import environment
from benchmarks.cases import Case
from benchmarks.contenders import Arrays, Prepared
from benchmarks.contenders.onnx_model import model
from benchmarks.race import timed


def names(case: Case) -> tuple[str, ...]:
    return ("onnxruntime",) if case.kind == "dense" else ()


def version() -> str:
    return f"onnxruntime {onnxruntime.__version__}"


def prepare(case: Case, name: str) -> Prepared:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = environment.threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model(case), options, providers=["CPUExecutionProvider"])
    x = case.x

    def forward() -> Any:
        return session.run(None, {"X": x})

    def outputs() -> Arrays:
        y, h_n, c_n = forward()
        return {"y": y[:, 0], "h_n": h_n[0], "c_n": c_n[0]}

    return Prepared({"forward": timed(forward)}, outputs, None)
