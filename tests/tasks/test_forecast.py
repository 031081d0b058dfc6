"""The whole job on small data; what it reaches on real data is tested in test_recipes.py."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gatework import Forecaster, FormatError, NotFittedError, OptionError
from gatework.look.reading import read_facts
from gatework.tasks import forecast_model
from gatework.tasks.forecast_model import ForecastModel
from tests.tasks.conftest import SMALL, seasonal

SCORES = {"name", "kind", "mae", "rmse", "mase", "mse_normalised", "mae_normalised", "coverage"}
Make = Callable[..., Forecaster]


def same_network(one: Forecaster, two: Forecaster) -> bool:
    a, b = one.network_.state_dict(), two.network_.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def test_the_folder_holds_what_the_design_says_and_no_checkpoint(fitted: Any):
    _, folder, _ = fitted
    assert {path.name for path in folder.iterdir()} == {
        "options.toml",
        "model.safetensors",
        "scaler.safetensors",
        "yardsticks.safetensors",
        "selftest.safetensors",
        "history.csv",
        "score.json",
        "report.json",
    }


def test_a_loaded_forecaster_is_the_saved_one(fitted: Any):
    model, folder, data = fitted
    again = Forecaster.load(folder)
    assert again.get_params() == model.get_params()
    assert again.plan_ == model.plan_ and again.history_.rows == model.history_.rows
    for name, column in model.predict(data).items():
        np.testing.assert_array_equal(again.predict(data)[name], column)
    assert again.score(data) == model.score(data)


def test_saving_again_gives_the_same_bytes(fitted: Any, tmp_path: Path):
    _, folder, _ = fitted
    copy = Forecaster.load(folder).save(tmp_path / "copy")
    for name in (
        "model.safetensors",
        "scaler.safetensors",
        "yardsticks.safetensors",
        "options.toml",
    ):
        assert (copy / name).read_bytes() == (folder / name).read_bytes()


def test_the_same_seed_gives_the_same_weights_and_leaves_the_callers_randomness_alone(small: Make):
    torch.manual_seed(11)
    one = small(max_epochs=1).fit(seasonal(200), progress=False)
    after = torch.rand(3)
    torch.manual_seed(11)
    assert torch.equal(torch.rand(3), after)
    assert same_network(one, small(max_epochs=1).fit(seasonal(200), progress=False))
    assert not same_network(one, small(max_epochs=1, seed=1).fit(seasonal(200), progress=False))


def test_the_test_part_has_no_influence_on_what_is_learned(small: Make):
    data = seasonal(300)
    later = {**data, "sales": data["sales"].copy()}
    later["sales"][240:] = 7.0
    one, two = (small(max_epochs=1).fit(d, progress=False) for d in (data, later))
    assert same_network(one, two)
    np.testing.assert_array_equal(one._contents.model.shifts, two._contents.model.shifts)


def test_forecasts_follow_the_last_observation_in_the_users_times(fitted: Any):
    model, _, data = fitted
    answer = model.predict(data)
    assert list(answer) == ["day", "target", "forecast", "lower", "upper"]
    step = np.timedelta64(1, "D")
    np.testing.assert_array_equal(answer["day"], data["day"][-1] + step * np.arange(1, 7))
    assert set(answer["target"]) == {"sales"}
    assert np.all(answer["lower"] <= answer["forecast"])
    assert np.all(answer["forecast"] <= answer["upper"])
    assert np.abs(answer["forecast"] - 70).max() < 15


def test_the_quantiles_are_shifted_by_what_the_calibration_found(fitted: Any):
    _, folder, data = fitted
    model = Forecaster.load(folder)
    before = model.predict(data)
    model._contents.model.shifts += np.array([-1.0, 1.0])
    after, scale = model.predict(data), model.scaler_.scale[0]
    np.testing.assert_allclose(after["lower"], before["lower"] - scale, atol=1e-9)
    np.testing.assert_allclose(after["upper"], before["upper"] + scale, atol=1e-9)
    np.testing.assert_array_equal(after["forecast"], before["forecast"])


@pytest.mark.parametrize(("independent", "joined"), [(20, True), (0, False)])
def test_training_windows_join_the_calibration_where_validation_is_short(
    small: Make, monkeypatch: pytest.MonkeyPatch, independent: int, joined: bool
):
    calls: list[int] = []
    original = forecast_model.with_training

    def counted(*args: Any) -> Any:
        calls.append(1)
        return original(*args)

    monkeypatch.setattr(forecast_model, "with_training", counted)
    monkeypatch.setattr(forecast_model, "INDEPENDENT", independent)
    small(max_epochs=1).fit(seasonal(200), progress=False)
    assert bool(calls) == joined


def test_work_counts_the_steps_and_weights_of_the_network(fitted: Any, small: Make):
    model = fitted[0]._contents.model
    lstm = 4 * 8 * (2 + 8 + 2)  # one value and its flag in, 8 units, two biases
    assert model.work() == 3 * (24 * lstm + 8 * 6 * 3 + 24 * 6)


def test_trailing_gaps_are_forecast_from_the_last_value_that_is_there(fitted: Any):
    model, _, data = fitted
    shorter = {name: column[:-4] for name, column in data.items()}
    blank = {**data, "sales": np.where(np.arange(400) < 396, data["sales"], np.nan)}
    for name, column in model.predict(shorter).items():
        np.testing.assert_array_equal(model.predict(blank)[name], column)


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_a_frame_comes_back_as_the_same_kind(fitted: Any, kind: str):
    package = pytest.importorskip(kind)
    model, _, data = fitted
    make = package.table if kind == "pyarrow" else package.DataFrame
    answer = model.predict(make(data))
    assert type(answer) is type(make(data))
    forecast = np.asarray(answer["forecast"])
    np.testing.assert_allclose(forecast, model.predict(data)["forecast"], rtol=1e-12)


def test_a_file_is_answered_in_its_own_way_of_writing_times(fitted: Any, tmp_path: Path):
    model, _, data = fitted
    days = [str(day)[:10].replace("-", "") for day in data["day"]]
    lines = ["day,sales", *(f"{d},{v}" for d, v in zip(days, data["sales"], strict=True))]
    (tmp_path / "sales.csv").write_text("\n".join(lines))
    answer = model.predict(tmp_path / "sales.csv", out=tmp_path / "answer.csv")
    written = (tmp_path / "answer.csv").read_text().splitlines()
    assert written[0] == "day,target,forecast,lower,upper"
    assert written[1].startswith("20210204,sales,") and list(answer["day"])[0] == "20210204"


def test_many_series_targets_covariates_gaps_and_quantiles_go_through(small: Make, tmp_path: Path):
    rng = np.random.default_rng(0)
    parts = [seasonal(300, seed) for seed in range(3)]
    data = {
        "day": np.concatenate([part["day"] for part in parts]),
        "shop": np.repeat(["north", "south", "west"], 300),
        "sales": np.concatenate([part["sales"] for part in parts]),
        "visits": np.concatenate([2 * part["sales"] for part in parts]),
        "price": rng.normal(size=900),
        "rain": rng.normal(size=900),
    }
    for name in ("sales", "visits", "rain"):
        data[name][rng.random(900) < 0.1] = np.nan
    model = small(
        target=("sales", "visits"), id="shop", known=("price",), past=("rain",), calendar=True,
        levels=(0.8, 0.5), quantiles=(0.5,), max_epochs=1,
    )  # fmt: skip
    model.fit(data, folder=tmp_path / "m", progress=False)
    last = data["day"][299]
    ahead = {
        "day": np.tile(last + np.timedelta64(1, "D") * np.arange(1, 7), 3),
        "shop": np.repeat(["north", "south", "west"], 6),
        "price": np.zeros(18),
    }
    nothing = np.full(18, np.nan)
    full = {name: np.concatenate([data[name], ahead.get(name, nothing)]) for name in data}
    answer = Forecaster.load(tmp_path / "m").predict(full)
    assert list(answer) == [
        "shop", "day", "target", "forecast", "lower", "upper", "lower_50", "upper_50", "quantile_0.5",
    ]  # fmt: skip
    assert list(answer["shop"][::12]) == ["north", "south", "west"]
    assert list(answer["target"][:12:6]) == ["sales", "visits"]
    assert all(np.isfinite(answer[name]).all() for name in list(answer)[3:])
    sales, visits = (answer["forecast"][answer["target"] == name] for name in ("sales", "visits"))
    np.testing.assert_allclose(visits, 2 * sales, rtol=0.25)
    assert np.all(answer["upper_50"] <= answer["upper"])
    assert np.all(answer["lower_50"] >= answer["lower"])
    with pytest.raises(
        FormatError, match=r"known covariate 'price' of series 'north' has no value"
    ):
        model.predict(data)


def test_a_series_means_the_same_alone_and_among_others(small: Make):
    parts = [seasonal(300, seed) for seed in range(2)]
    both = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    both["shop"] = np.repeat(["a", "b"], 300)
    model = small(id="shop", max_epochs=1).fit(both, progress=False)
    alone = {name: column[300:] for name, column in both.items()}
    np.testing.assert_allclose(
        model.predict(alone)["forecast"], model.predict(both)["forecast"][6:], rtol=1e-6
    )


def test_scores_stand_beside_the_baselines_on_the_same_windows(fitted: Any):
    model, folder, data = fitted
    rows = model.report_["scores"]
    assert [row["name"] for row in rows] == [
        "LSTM", "seasonal naive (12)", "repeat last", "linear (NLinear)",
    ]  # fmt: skip
    assert all(set(row) == SCORES for row in rows)
    again = model.score(data)
    assert again["scores"] == rows and again["windows"] == 80 - 6 + 1
    assert json.loads((folder / "score.json").read_text())["scores"] == rows
    starts = range(320, 400 - 6 + 1)
    y = data["sales"]
    naive = np.mean([np.abs(y[s : s + 6] - y[s - 12 : s - 6]) for s in starts])
    last = np.mean([np.abs(y[s : s + 6] - y[s - 1]) for s in starts])
    assert rows[1]["mae"] == pytest.approx(naive, rel=1e-5)
    assert rows[2]["mae"] == pytest.approx(last, rel=1e-5)
    scale = np.mean(np.abs(y[12:280] - y[: 280 - 12]))
    assert rows[0]["mase"] == pytest.approx(rows[0]["mae"] / scale, rel=1e-6)
    deviation = y[:280].std()
    assert rows[0]["mse_normalised"] == pytest.approx((rows[0]["rmse"] / deviation) ** 2, rel=1e-6)


def test_everything_scores_the_rows_of_training_too(fitted: Any):
    model, _, data = fitted
    assert model.score(data, everything=True)["windows"] == 400 - 30 + 1


def test_the_report_can_be_drawn(fitted: Any):
    model, folder, _ = fitted
    facts = read_facts(folder)
    assert facts.headline == model.report_["headline"]
    assert len(facts.history) == 2 and len(facts.horizon_steps) == 6
    assert {part.name for part in facts.split} == {"train", "validation", "test"}
    assert facts.examples[0].lower is not None and set(facts.examples[0].baselines)
    np.testing.assert_allclose(np.sum(facts.residual_counts), 75 * 6)
    assert "kernels" in model.report_["network"]["path"]


def test_the_examples_show_the_data_as_it_was(fitted: Any):
    model, _, data = fitted
    example = model.report_["examples"][0]
    assert example["time"][0] == str(data["day"][320])[:10]
    np.testing.assert_allclose(example["truth"], data["sales"][320:326], rtol=1e-6)
    np.testing.assert_allclose(example["past"], data["sales"][302:320], rtol=1e-6)


@pytest.mark.parametrize("name", ["model", "scaler", "yardsticks", "selftest"])
def test_a_damaged_folder_is_refused(fitted: Any, tmp_path: Path, name: str):
    folder = Path(shutil.copytree(fitted[1], tmp_path / "m"))
    path = folder / f"{name}.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(FormatError, match=rf"{name}.safetensors.*damaged or half written"):
        Forecaster.load(folder)


def test_an_installation_that_answers_something_else_is_noticed(
    fitted: Any, monkeypatch: pytest.MonkeyPatch
):
    answer = ForecastModel.answer
    monkeypatch.setattr(ForecastModel, "answer", lambda self, batch: answer(self, batch) * 1.1)
    with pytest.raises(FormatError, match="self test is .* away"):
        Forecaster.load(fitted[1])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hidden_size = 8", "hidden_size = 9", "weights do not fit the options"),
        ("hidden_size = 8", "hiden_size = 8", "did you mean 'hidden_size'"),
        ("horizon = 6", 'horizon = "six"', "expected a whole number"),
    ],
)
def test_options_that_were_edited_are_refused(
    fitted: Any, tmp_path: Path, old: str, new: str, message: str
):
    folder = Path(shutil.copytree(fitted[1], tmp_path / "m"))
    path = folder / "options.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(FormatError, match=message):
        Forecaster.load(folder)


def changed(**columns: Any) -> dict[str, Any]:
    return {**seasonal(200), **columns}


def with_value(row: int, value: Any) -> np.ndarray:
    values = seasonal(200)["sales"].astype(object)
    values[row] = value
    return values if isinstance(value, str) else values.astype(float)


BAD = [
    (changed(sales=with_value(5, "many")), {}, "many"),
    (changed(sales=with_value(5, np.inf)), {}, "inf"),
    (changed(sales=np.full(200, np.nan)), {}, "sales"),
    (
        changed(day=np.roll(seasonal(200)["day"], 3)),
        {"time": "day"},
        "(?i)sorted|order|earlier|before",
    ),
    (changed(day=np.repeat(seasonal(100)["day"], 2)), {"time": "day"}, "repeats the time of row 0"),
    (changed(), {"target": "sale"}, "sales"),
    (changed(), {"input_length": 500}, "too few rows|no window"),
    (changed(), {"horizon": 50}, "no window fits"),
    ({name: column[:0] for name, column in seasonal(20).items()}, {}, "row|empty"),
]


@pytest.mark.parametrize(("data", "options", "message"), BAD)
def test_bad_tables_give_one_clear_error_and_leave_nothing_behind(
    small: Make, tmp_path: Path, data: Any, options: Any, message: str
):
    with pytest.raises((FormatError, OptionError), match=message):
        small(**options).fit(data, folder=tmp_path / "m", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_constant_series_is_forecast_as_what_it_is(small: Make):
    data = changed(sales=np.full(200, 7.0))
    answer = small(max_epochs=1).fit(data, progress=False).predict(data)
    np.testing.assert_allclose(answer["forecast"], 7.0, atol=0.01)


def test_a_series_too_short_to_forecast_is_named(fitted: Any):
    model, _, data = fitted
    with pytest.raises(FormatError, match="24 rows before the forecast"):
        model.predict({name: column[:20] for name, column in data.items()})


def test_an_unfitted_forecaster_says_so(small: Make):
    for call in (lambda m: m.predict({}), lambda m: m.score({}), lambda m: m.save("x")):
        with pytest.raises(NotFittedError, match="call fit"):
            call(small())


def test_a_trained_folder_is_not_trained_over(fitted: Any, small: Make):
    model, folder, data = fitted
    with pytest.raises(OptionError, match="holds a trained model already"):
        small().fit(data, folder=folder, progress=False)
    with pytest.raises(OptionError, match="other options"):
        small(seed=5).fit(data, folder=folder, resume=True, progress=False)
    assert same_network(small().fit(data, folder=folder, resume=True, progress=False), model)


def test_an_interrupted_run_is_usable_and_can_be_gone_on_with(
    small: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fitted: Any
):
    data = fitted[2]
    from gatework.tasks import forecast

    train = forecast.train

    def stopped(*args: Any, **options: Any) -> Any:
        history = train(*args, **options)
        history.stopped = "interrupted"
        return history

    monkeypatch.setattr(forecast, "train", stopped)
    small().fit(data, folder=tmp_path / "m", progress=False)
    assert (tmp_path / "m" / "checkpoints").is_dir()
    assert Forecaster.load(tmp_path / "m").history_.interrupted
    monkeypatch.undo()
    again = small().fit(data, folder=tmp_path / "m", resume=True, progress=False)
    assert not (tmp_path / "m" / "checkpoints").exists() and not again.history_.interrupted
    assert same_network(again, fitted[0])


def test_set_params_after_fit_waits_for_the_next_fit(fitted: Any):
    _, folder, data = fitted
    model = Forecaster.load(folder)
    before = model.predict(data)["forecast"]
    model.set_params(horizon=3, levels=(0.5,))
    np.testing.assert_array_equal(model.predict(data)["forecast"], before)
    assert SMALL["horizon"] == 6
