"""A stream of forecasts answers row by row what `predict` answers on the whole table."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatework.errors import FormatError, ShapeError
from gatework.runtime import ForecastRuntime, ForecastState
from tests.runtime.conftest import Trained, sales, some

Columns = dict[str, Any]
TOLERANCE = 1e-6  # of a forecast; the network computes in float32, several windows in another order than one


def rows(data: Columns, which: Any) -> Columns:
    return {name: values[which] for name, values in data.items()}


def equal(found: Any, expected: Any) -> None:
    assert list(found) == list(expected)
    for name in expected:
        if np.asarray(expected[name]).dtype.kind == "f":
            np.testing.assert_allclose(found[name], expected[name], rtol=TOLERANCE)
        else:
            assert (np.asarray(found[name]) == np.asarray(expected[name])).all()


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (("sales",), {}),
        (("sales",), {"calendar": True, "conv_kernel": 4}),
        (("shop", "sales", "visits"), {"id": "shop", "target": ("sales", "visits")}),
    ],
)
def test_row_by_row_equals_the_whole_table(
    names: tuple[str, ...], options: Columns, trained: Trained, tmp_path: Path
) -> None:
    shops = 2 if "shop" in names else 1
    data = some(sales(rows=60, shops=shops, gaps=0.1), *names)
    trained(some(sales(shops=shops, gaps=0.1), *names), **options)
    model = ForecastRuntime.load(tmp_path / "m")
    stream, day = model.stream(), data["day"]
    assert stream.step(rows(data, day < day.min() + np.timedelta64(20, "D"))) is None
    for k in range(20, 32):
        now = day.min() + np.timedelta64(k, "D")
        if k == 27:
            continue  # a day that nobody measured
        found = stream.step(rows(data, day == now))
        if k < 23:
            assert found is None
        elif not np.isnan(data["sales"][day == now]).any():
            seen = (day <= now) & (day != day.min() + np.timedelta64(27, "D"))
            equal(found, model.predict(rows(data, seen)))


def test_known_covariates_come_ahead(trained: Trained, tmp_path: Path) -> None:
    data = some(sales(), "sales", "price")
    trained(data, target="sales", known=("price",))
    model = ForecastRuntime.load(tmp_path / "m")
    blank = {**data, "sales": np.where(np.arange(200) < 40, data["sales"], np.nan)}
    stream = model.stream()
    equal(stream.step(rows(blank, slice(0, 45))), model.predict(rows(blank, slice(0, 45))))
    later = {**data, "sales": np.where(np.arange(200) < 41, data["sales"], np.nan)}
    equal(stream.step(rows(later, slice(40, 46))), model.predict(rows(later, slice(0, 46))))


def test_the_state_is_cut_saved_and_joined(trained: Trained, tmp_path: Path) -> None:
    data = some(sales(rows=40, shops=3), "shop", "sales")
    trained(some(sales(shops=3), "shop", "sales"), id="shop", target="sales")
    model = ForecastRuntime.load(tmp_path / "m")
    stream, last = model.stream(), data["day"] == data["day"].max()
    stream.step(rows(data, ~last))
    state = stream.state
    assert state.names == ("shop 0", "shop 1", "shop 2") and len(state.series["shop 0"].times) == 24
    assert repr(state) == "ForecastState(3 series: sales)"
    expected = stream.step(rows(data, last))
    loaded = ForecastState.load(state["shop 1"].save(tmp_path / "one.safetensors"))
    one = model.stream(loaded).step(rows(data, last & (data["shop"] == "shop 1")))
    equal(one, rows(expected, expected["shop"] == "shop 1"))
    joined = ForecastState.join([state[["shop 2", "shop 0"]], loaded])
    assert joined.names == ("shop 2", "shop 0", "shop 1")
    equal(model.stream(joined).step(rows(data, last)), expected)
    with pytest.raises(IndexError, match="shop 9"):
        state["shop 9"]


def test_rows_without_times_are_counted_on(trained: Trained, tmp_path: Path) -> None:
    data = {"sales": sales()["sales"]}
    trained(data)
    model = ForecastRuntime.load(tmp_path / "m")
    stream = model.stream()
    stream.step(rows(data, slice(0, 30)))
    equal(stream.step(rows(data, slice(30, 31))), model.predict(rows(data, slice(0, 31))))


def test_misuse_is_refused(trained: Trained, tmp_path: Path) -> None:
    trained(some(sales(), "sales"))
    model = ForecastRuntime.load(tmp_path / "m")
    with pytest.raises(ShapeError, match="visits"):
        model.stream(ForecastState(("visits",), {}))
    with pytest.raises(FormatError, match="visits|sales"):
        model.stream().step({"day": np.array(["2020-01-01"], "M8[ns]"), "visits": [3.0]})
    with pytest.raises(ShapeError, match="one model"):
        ForecastState.join([])
    (tmp_path / "damaged.safetensors").write_bytes(b"no tensors")
    with pytest.raises(FormatError, match="damaged"):
        ForecastState.load(tmp_path / "damaged.safetensors")
    with pytest.raises(FormatError, match="no state of forecasts"):
        ForecastState.load(tmp_path / "m" / "model.safetensors")


def test_gaps_do_not_change_the_step(trained: Trained, tmp_path: Path) -> None:
    """Where most rows of the window are absent, the grid stays that of the training data; the state keeps it."""
    data = some(sales(), "sales")
    trained(data)
    model = ForecastRuntime.load(tmp_path / "m")
    stream = model.stream()
    stream.step(rows(data, slice(0, 60)))
    for k in range(61, 120, 2):
        if k == 91:
            stream = model.stream(ForecastState.load(stream.state.save(tmp_path / "s.safetensors")))
        found = stream.step(rows(data, slice(k, k + 1)))
        seen = np.r_[np.arange(60), np.arange(61, k + 1, 2)]
        if np.isnan(data["sales"][k]):
            continue
        equal(found, model.predict(rows(data, seen)))
    with pytest.raises(FormatError, match="beside the grid"):
        late = {"day": data["day"][121:122] + np.timedelta64(1, "h"), "sales": np.array([1.0])}
        stream.step(late)
