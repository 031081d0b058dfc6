"""A trained forecaster as one ONNX model: raw windows in, forecasts and quantiles in the same units out.

Scaler, level, missing values, the network of `forecast_network.py` and the quantile shifts, in standard operators. No
state goes in or out: a forecast reads its whole window from a state of zeros, and nothing is carried to the next one.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.runtime.folder import read_tensors
from gatework.runtime.forecast import ForecastRuntime
from gatework.runtime.forecast_onnx_cases import cases
from gatework.runtime.forecast_onnx_network import write_network
from gatework.weights import Moved
from gatework.weights.onnx_export import OPSET, exported
from gatework.weights.onnx_graph import Graph
from gatework.weights.onnx_package import onnx


def export_forecast(
    folder: str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    opset: int = OPSET,
) -> Moved[Any]:
    """A trained forecaster as an ONNX model with free batch.

    Inputs: past float64 [batch, L, C] in the user's units, NaN where a value is missing, columns in the order of the
    metadata `columns`; and known float64 [batch, Hh, K] where there are covariates known ahead. Outputs: forecast
    float64 [batch, Hh, M]; and quantiles float64 [batch, Hh, M, Q], ascending, where there are. Without a linear path
    the window may have any length.

    Args:
        folder: a trained folder.
        path: also write the model to this file.
        opset: version of the operator set, 13 or later.

    Returns:
        The ModelProto, what was done, and how far its answers lie from the folder's, in the units of the data, for the
        windows of the self test and for random ones with missing values.

    Raises:
        FormatError: the folder is damaged or of another task.
        MissingExtraError: onnx is not installed.
        OptionError: the operator set is not one that is written here.

    Example:
        >>> print(export_forecast("my-model", "my-model.onnx"))  # doctest: +SKIP
        - past float64 [batch, 168, 1] gives forecast [batch, 24, 1] and quantiles 0.1, 0.9
    """
    runtime = ForecastRuntime.load(folder)
    model = _written(runtime, opset)
    notes = [
        _what(runtime),
        "the scaler, missing values (NaN) and the quantile shifts are inside: values are in the units of the data",
        "no state is carried: each window is read from its start",
    ]
    return exported(model, notes, cases(runtime, read_tensors(folder, "selftest")), path)


def _what(runtime: ForecastRuntime) -> str:
    sizes = runtime.network.sizes
    length = sizes.input_length if sizes.skip else "time"
    columns = len(runtime.scaler.columns)
    given = f"past float64 [batch, {length}, {columns}]"
    if sizes.known:
        given += f" and known float64 [batch, {sizes.horizon}, {sizes.known}]"
    quantiles = ", ".join(f"{each:g}" for each in runtime.options.all_quantiles)
    found = f"forecast [batch, {sizes.horizon}, {sizes.targets}]"
    return f"{given} gives {found}" + (f" and quantiles {quantiles}" if quantiles else "")


def _written(runtime: ForecastRuntime, opset: int) -> Any:
    graph, sizes = Graph(), runtime.network.sizes
    scale, mean, columns = runtime.scaler.scale, runtime.scaler.mean, len(runtime.scaler.columns)
    length: int | str = sizes.input_length if sizes.skip else "time"
    raw = graph.take_in("past", np.float64, ["batch", length, columns])
    past, seen = _scaled(graph, raw, mean, scale)
    level = ""
    if runtime.options.relative == "last":
        level = _level(graph, past, seen, sizes.targets)
        past = _relative(graph, past, seen, level, columns - sizes.targets)
    known: tuple[str, str] | None = None
    if sizes.known:
        ahead = graph.take_in("known", np.float64, ["batch", sizes.horizon, sizes.known])
        known = _scaled(graph, ahead, mean[-sizes.known :], scale[-sizes.known :])
    y = write_network(graph, runtime.network, (past, seen), known)  # float32 [N, Hh, M, 1 + Q]
    _answers(graph, runtime, y, level)
    model = graph.model("forecast of gatework", opset)
    onnx("helper").set_model_props(model, _properties(runtime))
    return model


def _properties(runtime: ForecastRuntime) -> dict[str, str]:
    return {
        "columns": json.dumps(runtime.scaler.columns),
        "targets": json.dumps(runtime.plan.targets),
        "known": json.dumps(runtime.scaler.columns[len(runtime.scaler.columns) - runtime.network.sizes.known :]),
        "quantiles": json.dumps(runtime.options.all_quantiles),
        "input_length": str(runtime.plan.input_length),
    }  # fmt: skip


def _scaled(
    graph: Graph, raw: str, mean: NDArray[np.float64], scale: NDArray[np.float64]
) -> tuple[str, str]:
    """Standard scores, 0 where missing, and which are there."""
    double = np.float64
    seen = graph.add("Not", graph.add("IsNaN", raw))
    apart = graph.add("Sub", raw, graph.constant(mean, "mean", double))
    scores = graph.add("Div", apart, graph.constant(scale, "scale", double))
    return graph.add("Where", seen, scores, graph.constant(0.0, "zero", double)), seen


def _level(graph: Graph, past: str, seen: str, targets: int) -> str:
    """The last observed value of each target [N, 1, M]; 0 where there is none, because missing ones are 0."""
    first = (graph.integers(0), graph.integers(targets), graph.integers(2))
    flags = graph.add("Cast", graph.add("Slice", seen, *first), to=1)
    last = graph.add("ArgMax", flags, axis=1, keepdims=1, select_last_index=1)
    own = graph.add("Slice", past, *first)
    return graph.add("GatherElements", own, last, axis=1)


def _relative(graph: Graph, past: str, seen: str, level: str, others: int) -> str:
    if others:
        pads = graph.integers(0, 0, 0, 0, 0, others)
        level = graph.add("Pad", level, pads)  # 0 for the covariates
    zero = graph.constant(0.0, "zero", np.float64)
    return graph.add("Where", seen, graph.add("Sub", past, level), zero)


def _answers(graph: Graph, runtime: ForecastRuntime, y: str, level: str) -> None:
    """Level, shifts, order and units: from the network's outputs to the model's."""
    sizes, quantiles = runtime.network.sizes, len(runtime.options.all_quantiles)
    M, Hh, double = sizes.targets, sizes.horizon, np.float64
    wide = graph.add("Cast", y, to=11)  # float64
    parts = (graph.integers(1, quantiles), [1, quantiles])
    point, rest = wide, ""
    if quantiles:
        point, rest = graph.add_many("Split", 2, wide, parts[0], axis=3)
    scale = graph.constant(runtime.scaler.scale[:M, None], "scale", double)
    mean = graph.constant(runtime.scaler.mean[:M, None], "mean", double)
    if level:  # the windows' level is float32
        level = graph.add("Cast", graph.add("Cast", level, to=1), to=11)
        level = graph.add("Unsqueeze", level, graph.integers(3))  # [N, 1, M, 1]

    def back(value: str) -> str:
        whole = graph.add("Add", value, level) if level else value
        return graph.add("Add", graph.add("Mul", whole, scale), mean)

    forecast = graph.add("Squeeze", back(point), graph.integers(3))
    graph.give_out(forecast, "forecast", double, ["batch", Hh, M])
    if quantiles:
        moved = graph.add("Add", rest, graph.constant(runtime.shifts, "shifts", double))
        count = graph.integers(quantiles)
        ordered = graph.add_many("TopK", 2, moved, count, axis=3, largest=0, sorted=1)[0]
        graph.give_out(back(ordered), "quantiles", double, ["batch", Hh, M, quantiles])
