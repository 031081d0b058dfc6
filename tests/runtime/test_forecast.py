"""The runtime answers what `Forecaster` answers, with weights that no short training leaves.

Both call the same LSTM kernel, which tests/native compares with the reference; all else is torch against NumPy.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatework import Forecaster, FormatError
from gatework.data import write_table
from gatework.runtime import ForecastRuntime, load
from gatework.runtime.folder import write_folder
from gatework.tasks.forecast_folder import save_contents
from tests.runtime.conftest import Trained, sales, some

TOLERANCE = 1e-5  # of a forecast
EVERYTHING = ("shop", "sales", "visits", "price", "rain")


def ahead(data: dict[str, Any], horizon: int = 5) -> dict[str, Any]:
    """The data with rows of the horizon after each shop, only the price filled in."""
    shops = np.unique(data["shop"])
    days = data["day"].max() + np.timedelta64(1, "D") * np.arange(1, horizon + 1)
    nothing = np.full(horizon * len(shops), np.nan)
    later = {
        "day": np.tile(days, len(shops)),
        "shop": np.repeat(shops, horizon),
        "price": np.linspace(-1, 1, len(nothing)),
    }
    return {name: np.concatenate([data[name], later.get(name, nothing)]) for name in data}


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": (some(sales(), "sales"), {}),
    "no linear path": (some(sales(), "sales"), {"skip": False}),
    "not relative": (some(sales(), "sales"), {"relative": "none", "scaler": "none"}),
    "convolution": (some(sales(), "sales"), {"conv_kernel": 4}),
    "convolution that overlaps": (some(sales(), "sales"), {"conv_kernel": 7, "conv_stride": 3}),
    "three layers": (some(sales(), "sales"), {"num_layers": 3}),
    "missing values": (some(sales(gaps=0.6), "sales"), {}),
    "missing values, patched": (some(sales(gaps=0.8), "sales"), {"conv_kernel": 3}),
    "no intervals": (some(sales(), "sales"), {"levels": ()}),
    "several targets": (some(sales(gaps=0.1), "sales", "visits"), {"target": "all"}),
    "series": (some(sales(shops=3), "shop", "sales"), {"id": "shop", "target": "sales"}),
    "known ahead": (some(sales(), "sales", "price"), {"target": "sales", "known": ("price",)}),
    "calendar": (some(sales(), "sales"), {"calendar": True}),
    "everything": (
        some(sales(shops=3, gaps=0.3), *EVERYTHING),
        {
            "target": ("sales", "visits"), "id": "shop", "known": ("price",), "past": ("rain",),
            "calendar": True, "levels": (0.8, 0.5), "quantiles": (0.5,), "num_layers": 2,
            "conv_kernel": 5, "conv_stride": 2,
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_runtime_answers_what_the_forecaster_answers(
    trained: Trained, tmp_path: Path, case: str
):
    data, options = CASES[case]
    model = trained(data, **options)
    if options.get("known"):
        data = ahead({"shop": np.repeat("", len(data["day"])), **data})
        data = {name: data[name] for name in CASES[case][0]}
    wanted, found = model.predict(data), load(tmp_path / "m").predict(data)
    assert list(found) == list(wanted)
    for name, column in wanted.items():
        if column.dtype.kind == "f":
            assert np.isfinite(column).all()
            np.testing.assert_allclose(found[name], column, rtol=TOLERANCE)
        else:
            np.testing.assert_array_equal(found[name], column)


@pytest.mark.parametrize("case", CASES)
def test_the_network_answers_as_the_one_in_torch_where_no_level_hides_it(
    trained: Trained, tmp_path: Path, case: str
):
    data, options = CASES[case]
    model = trained(data, **options)._contents.model
    rng = np.random.default_rng(3)
    n, length, c = 6, 24, len(model.scaler.columns)
    k = len(model.plan.known) + 2 * len(model.plan.cycles)
    batch: dict[str, Any] = {
        "past": rng.normal(size=(n, length, c)).astype(np.float32),
        "past_mask": rng.random((n, length, c)) < 0.5,
        "known": rng.normal(size=(n, 5, k)).astype(np.float32),
        "known_mask": rng.random((n, 5, k)) < 0.5,
    }
    batch["past_mask"][0], batch["past_mask"][1] = False, True
    for name in ("past", "known"):
        batch[name] *= batch[f"{name}_mask"]
    wanted, found = model.answer(batch), load(tmp_path / "m").answer(batch)
    assert found.dtype == np.float32 and np.ptp(wanted, axis=0).max() > 0.1
    np.testing.assert_allclose(found, wanted, rtol=TOLERANCE, atol=TOLERANCE * np.abs(wanted).max())


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_a_frame_comes_back_as_the_same_kind(trained: Trained, tmp_path: Path, kind: str):
    package = pytest.importorskip(kind)
    data = some(sales(), "sales")
    trained(data)
    frame = package.table(data) if kind == "pyarrow" else package.DataFrame(data)
    runtime = load(tmp_path / "m")
    answer = runtime.predict(frame)
    assert type(answer) is type(frame)
    np.testing.assert_array_equal(np.asarray(answer["forecast"]), runtime.predict(data)["forecast"])


def test_an_answer_is_written_as_the_forecaster_writes_it(trained: Trained, tmp_path: Path):
    data = some(sales(), "sales")
    model = trained(data)
    write_table(data, tmp_path / "sales.csv")
    model.predict(tmp_path / "sales.csv", out=tmp_path / "wanted.csv")
    load(tmp_path / "m").predict(tmp_path / "sales.csv", out=tmp_path / "found.csv")
    wanted, found = ((tmp_path / f"{n}.csv").read_text().split() for n in ("wanted", "found"))
    assert [line.split(",")[:2] for line in found] == [line.split(",")[:2] for line in wanted]


def test_neither_torch_nor_lightning_is_needed(trained: Trained, tmp_path: Path):
    data = some(sales(), "sales")
    model = trained(data, calendar=True)
    write_table(data, tmp_path / "sales.csv")
    code = f"""
import sys
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "lightning", "pandas", "matplotlib", "pooch"):
            raise ModuleNotFoundError(f"{{name}} is not installed here", name=name)
sys.meta_path.insert(0, Forbidden())
from gatework.cli import main
main(["predict", {str(tmp_path / "m")!r}, {str(tmp_path / "sales.csv")!r}, "--threads", "1"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    heading, *rows = (line.split(",") for line in done.stdout.splitlines())
    wanted = model.predict(tmp_path / "sales.csv")["forecast"]
    forecast = [float(row[heading.index("forecast")]) for row in rows]
    np.testing.assert_allclose(forecast, wanted, rtol=1e-4)  # six digits are printed


@pytest.mark.parametrize("name", ["model", "scaler", "yardsticks", "selftest"])
def test_a_damaged_folder_is_refused(trained: Trained, tmp_path: Path, name: str):
    trained(some(sales(), "sales"))
    path = tmp_path / "m" / f"{name}.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(FormatError, match=rf"{name}.safetensors.*damaged or half written"):
        load(tmp_path / "m")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hidden_size = 7", "hidden_size = 8", r"model.safetensors: .*shape \(28, 7\), expected"),
        ("num_layers = 1", "num_layers = 2", "lstm.weight_ih_l1 is missing"),
        ("skip = true", "skip = false", "skip.weight is not expected"),
        ("horizon = 5", "horizon = 6", r"quantile shifts have shape \(5, 1, 2\)"),
        ("horizon = 5", 'horizon = "five"', "options.toml.*expected a whole number"),
        ("levels = [0.8]", "levels = [8.0]", "levels holds 8.0"),
        ('task = "forecast"', 'task = "forcast"', "task 'forcast'; did you mean 'forecast'"),
        ("format = 1", "format = 2", "reads up to 1; update"),
    ],
)
def test_a_folder_that_was_edited_is_refused(
    trained: Trained, tmp_path: Path, old: str, new: str, message: str
):
    trained(some(sales(), "sales"))
    path = tmp_path / "m" / "options.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(FormatError, match=message):
        load(tmp_path / "m")


def test_windows_of_another_length_are_noticed_where_no_weight_tells(
    trained: Trained, tmp_path: Path
):
    trained(some(sales(), "sales"), skip=False)
    path = tmp_path / "m" / "options.toml"
    begin, learned = path.read_text().split("[learned]")
    changed = learned.replace("input_length = 24", "input_length = 20")
    path.write_text(f"{begin}[learned]{changed}")
    for loading in (load, Forecaster.load):
        with pytest.raises(FormatError, match=r"windows of shape \(24, 1\), expected \(20, 1\)"):
            loading(tmp_path / "m")


@pytest.mark.parametrize("change", [1e-3, np.nan])
@pytest.mark.parametrize("loading", [load, Forecaster.load])
def test_a_folder_that_answers_something_else_is_refused(
    trained: Trained, tmp_path: Path, change: float, loading: Any
):
    contents = trained(some(sales(), "sales"))._contents
    contents.selftest["output"] = contents.selftest["output"] * np.float32(1 + change)
    save_contents(contents, tmp_path / "m")
    with pytest.raises(FormatError, match="self test is .* away"):
        loading(tmp_path / "m")


def test_what_is_no_trained_folder_is_refused(tmp_path: Path):
    with pytest.raises(FormatError, match="no such folder"):
        load(tmp_path / "absent")
    write_folder(tmp_path / "m", {"task": "tag"}, {"model": {"w": np.zeros(2)}}, {})
    with pytest.raises(FormatError, match="task 'tag'; known are 'forecast'"):
        load(tmp_path / "m")
    with pytest.raises(FormatError, match="task 'tag', not 'forecast'"):
        ForecastRuntime.load(tmp_path / "m")
