"""What computes an ONNX model here, to compare with our own answers: onnxruntime, or ONNX's reference evaluator.

The evaluator reads neither `sequence_lens`, `clip`, `input_forget` nor activations, and runs no Scan backwards, so it
judges only models without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.weights.moved import Compared
from gatework.weights.onnx_package import onnx, onnxruntime

Feeds = dict[str, NDArray[Any]]
Outputs = Sequence[NDArray[Any]]
Run = Callable[[Feeds], Outputs]

NO_JUDGE = (
    "the answers were not compared: ONNX's reference evaluator cannot compute this model, and "
    "onnxruntime refuses it or is not there; install onnxruntime"
)
_UNREAD = ("activations", "clip", "input_forget")


def judge_of(model: Any) -> tuple[Run, str] | None:
    """A function from named inputs to the outputs of a model, and who computes them; None where nobody can."""
    runtime = onnxruntime()
    if runtime is not None:
        session = _session(runtime, model)
        if session is None:
            return None
        return (lambda feeds: session.run(None, feeds)), f"onnxruntime {runtime.__version__}"
    if not _is_plain(model.graph):
        return None
    evaluator = onnx("reference").ReferenceEvaluator(model)
    name = f"reference evaluator of onnx {onnx().__version__}"
    return (lambda feeds: evaluator.run(None, feeds)), name


def _session(runtime: Any, model: Any) -> Any:
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # its words about constants that it folds
    options.intra_op_num_threads = 1
    providers = ["CPUExecutionProvider"]
    try:
        return runtime.InferenceSession(model.SerializeToString(), options, providers=providers)
    except Exception:  # its classes have only this one in common; NO_JUDGE is said
        return None


def compared(model: Any, cases: Iterable[tuple[Feeds, Outputs]]) -> Compared | None:
    """The model's answers beside ours.

    Args:
        model: to compute.
        cases: inputs by name, and our outputs in the model's order.
    """
    judge = judge_of(model)
    if judge is None:
        return None
    run, name = judge
    difference = largest = 0.0
    for feeds, ours in cases:
        try:
            theirs = run(feeds)
        except NotImplementedError:  # of the evaluator: older ones run the LSTM forwards only
            return None
        for found, own in zip(theirs, ours, strict=True):
            difference = max(difference, _apart(found, own))
            largest = max(largest, float(np.abs(own).max(initial=0.0)))
    return Compared(difference, largest, name)


def _apart(found: NDArray[Any], own: NDArray[Any]) -> float:
    """The largest difference; infinite where one side has no number, or another shape."""
    if found.shape != own.shape:
        return float("inf")
    same = (found == own) | (np.isnan(found) & np.isnan(own))
    with np.errstate(invalid="ignore"):
        worst = float(np.where(same, 0.0, np.abs(found.astype(np.float64) - own)).max(initial=0.0))
    return float("inf") if np.isnan(worst) else worst


def _is_plain(graph: Any) -> bool:
    for node in graph.node:
        if node.op_type in ("LSTM", "GRU", "RNN"):
            lengths = len(node.input) > 4 and node.input[4]
            if lengths or any(each.name in _UNREAD for each in node.attribute):
                return False
        if node.op_type == "Scan" and any(any(one.ints) for one in node.attribute):
            return False
    return True
