"""A trained forecaster as one ONNX model: onnxruntime gives the forecasts of the folder from raw windows."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from gatework.errors import FormatError
from gatework.runtime import load
from gatework.runtime.forecast_onnx import export_forecast
from tests.runtime.conftest import Trained, sales, some
from tests.runtime.test_forecast import CASES, ahead

TOLERANCE = 1e-5  # of a forecast


def session_of(path: Path) -> Any:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("opset", [13, 22])
@pytest.mark.parametrize("case", CASES)
def test_the_model_answers_what_the_folder_answers(
    trained: Trained, tmp_path: Path, case: str, opset: int
):
    data, options = CASES[case]
    trained(data, **options)
    moved = export_forecast(tmp_path / "m", tmp_path / "m.onnx", opset=opset)
    assert moved.compared is not None and moved.compared.largest > 1
    assert moved.compared.difference <= TOLERANCE * moved.compared.largest
    assert (
        session_of(tmp_path / "m.onnx").get_modelmeta().custom_metadata_map["input_length"] == "24"
    )


@pytest.mark.parametrize(
    "case", ["plain", "missing values, patched", "several targets", "everything"]
)
def test_raw_windows_give_the_forecasts_of_predict(trained: Trained, tmp_path: Path, case: str):
    """Through the table and its windows, which the comparison of the export goes around."""
    data, options = CASES[case]
    trained(data, **options)
    if options.get("known"):
        data = ahead(data)
    runtime = load(tmp_path / "m")
    wanted = runtime.predict(data)
    export_forecast(tmp_path / "m", tmp_path / "m.onnx")
    feeds = raw_windows(runtime, data)
    forecast, quantiles = session_of(tmp_path / "m.onnx").run(None, feeds)
    shape = forecast.transpose(0, 2, 1)  # series, targets, steps: the order of the rows
    np.testing.assert_allclose(shape.ravel(), wanted["forecast"], rtol=TOLERANCE)
    lower = np.minimum(quantiles[..., 0], forecast).transpose(0, 2, 1).ravel()
    np.testing.assert_allclose(lower, wanted["lower"], rtol=TOLERANCE)


def raw_windows(runtime: Any, data: dict[str, Any]) -> dict[str, Any]:
    """The last window of each series with its known values, cut out of the columns by hand."""
    from gatework.runtime.forecast_plan import reopen_table, with_calendar

    table = with_calendar(reopen_table(data, runtime.plan).extended(5), runtime.plan)
    K, m = runtime.network.sizes.known, len(runtime.plan.targets)
    past, known = [], []
    for series in table.series:
        end = int(np.flatnonzero(~np.isnan(series.values[:, :m]).all(axis=1))[-1]) + 1
        past.append(series.values[end - 24 : end])
        known.append(series.values[end : end + 5, series.values.shape[1] - K :])
    feeds = {"past": np.stack(past)}
    return feeds | ({"known": np.stack(known)} if K else {})


def test_without_the_linear_path_any_length_of_window_runs(trained: Trained, tmp_path: Path):
    trained(some(sales(), "sales"), skip=False, conv_kernel=7, conv_stride=3)
    moved = export_forecast(tmp_path / "m", tmp_path / "m.onnx")
    session = session_of(tmp_path / "m.onnx")
    assert [one.shape for one in session.get_inputs()] == [["batch", "time", 1]]
    for length in (1, 6, 7, 8, 31):
        (forecast, _) = session.run(None, {"past": np.full((2, length, 1), 50.0)})
        assert forecast.shape == (2, 5, 1) and np.isfinite(forecast).all()
    assert moved.compared is not None and moved.compared.difference < 1e-3


def test_a_difference_is_seen(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from gatework.runtime import forecast_onnx

    trained(CASES["several targets"][0], **CASES["several targets"][1])
    monkeypatch.setattr(forecast_onnx, "_level", lambda *_: _first_level(*_))
    moved = export_forecast(tmp_path / "m")
    assert moved.compared is not None and moved.compared.difference > 0.1


def _first_level(graph: Any, past: str, seen: str, targets: int) -> str:
    """Wrong: the first value of the window."""
    axes = graph.integers(1, 2)
    return graph.add("Slice", past, graph.integers(0, 0), graph.integers(1, targets), axes)


def test_what_is_no_trained_folder_is_refused(tmp_path: Path):
    with pytest.raises(FormatError, match="no such folder"):
        export_forecast(tmp_path / "absent")
