"""OpenVINO's LSTM on the CPU from the same ONNX model, compiled for latency in float32; inference only."""

import io
from typing import Any

import openvino

from benchmarks import environment
from benchmarks.cases import Case
from benchmarks.contenders import Arrays, Prepared
from benchmarks.contenders.onnx_model import model
from benchmarks.race import timed


def names(case: Case) -> tuple[str, ...]:
    return ("openvino",) if case.kind == "dense" else ()


def version() -> str:
    return f"openvino {openvino.get_version().split('-')[0]}"


def prepare(case: Case, name: str) -> Prepared:
    core = openvino.Core()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": str(environment.threads()),
        "INFERENCE_PRECISION_HINT": "f32",  # it would take bfloat16 where the processor has it
    }
    compiled = core.compile_model(core.read_model(io.BytesIO(model(case))), "CPU", settings)
    request = compiled.create_infer_request()
    x = case.x

    def forward() -> Any:
        return request.infer({0: x}, share_inputs=True, share_outputs=True)

    def outputs() -> Arrays:
        found = forward()
        y, h_n, c_n = (found[k].copy() for k in range(3))
        return {"y": y[:, 0], "h_n": h_n[0], "c_n": c_n[0]}

    return Prepared({"forward": timed(forward)}, outputs, None)
