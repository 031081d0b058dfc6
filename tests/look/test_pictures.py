"""Each picture by itself: what it draws, at both sizes, with gaps, single steps and plain numbers as times."""

import matplotlib
import numpy as np
import pytest
from matplotlib.dates import date2num

from gatework.look import pictures
from gatework.look.facts import Example, Part
from gatework.look.palette import DARK, LIGHT, role_of
from gatework.look.pictures.axes import lonely
from gatework.look.pictures.error import thinned
from gatework.look.svg import inline

NAN = np.nan


def _example(times=None, **changes):
    days = np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-01-11")).astype("M8[ns]")
    times = days if times is None else times
    made = {
        "target": "y",
        "id": "",
        "past_time": times[:7],
        "past": np.arange(7.0),
        "time": times[7:],
        "truth": np.array([7.0, NAN, 9.0]),
        "forecast": np.array([7.5, 8.0, 8.5]),
        "baselines": {"repeat last": np.array([6.0, 6.0, 6.0])},
    }
    return Example(**{**made, **changes})


def _lines(figure):
    return {drawn.get_label(): drawn for drawn in figure.axes[0].get_lines()}


def test_forecast_draws_what_it_was_given():
    example = _example()
    figure = pictures.forecast(example)
    lines = _lines(figure)
    assert lines["forecast"].get_ydata().tolist() == [7.5, 8.0, 8.5]
    assert lines["repeat last"].get_ydata().tolist() == [6.0, 6.0, 6.0]
    np.testing.assert_array_equal(lines["truth"].get_ydata(), [7.0, NAN, 9.0])
    assert date2num(lines["truth"].get_xdata()).tolist() == date2num(example.time).tolist()
    assert figure.axes[0].get_legend() is not None
    assert figure.axes[0].get_ylabel() == "y"


@pytest.mark.parametrize("width", [pictures.WIDE, pictures.HALF])
def test_forecast_with_interval_and_numbers_as_times(width):
    band = {"lower": np.array([7.0, 7.5, 8.0]), "upper": np.array([8.0, 8.5, 9.0])}
    figure = pictures.forecast(_example(np.arange(10.0), **band), width=width, legend=False)
    assert len(figure.axes[0].collections) == 1
    assert figure.axes[0].get_legend() is None
    assert figure.get_size_inches()[0] == width


def test_forecast_without_past_or_truth():
    figure = pictures.forecast(
        _example(past=np.array([]), past_time=np.array([], "M8[ns]"), truth=np.full(3, NAN))
    )
    assert inline(figure, name="a", alt="b").startswith("<svg")


def test_mean_absolute_errors_leave_out_what_is_missing():
    errors = pictures.mean_absolute_errors(_example())
    assert errors == {"forecast": 0.5, "repeat last": 2.0}
    assert np.isnan(pictures.mean_absolute_errors(_example(truth=np.full(3, NAN)))["forecast"])


def test_values_between_gaps_are_dots():
    values = np.array([NAN, 1.0, NAN, 2.0, 3.0, NAN, 4.0])
    assert np.flatnonzero(lonely(values)).tolist() == [1, 6]


def test_horizon_error_starts_at_zero_and_takes_a_single_step():
    steps = np.arange(1.0, 5.0)
    figure = pictures.horizon_error(steps, {"LSTM": steps / 10, "repeat last": steps}, unit="ppm")
    axes = figure.axes[0]
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylabel() == "MAE, ppm"
    assert _lines(figure)["LSTM"].get_color() == LIGHT["model"]
    pictures.horizon_error(np.array([1.0]), {"LSTM": np.array([0.5])})


def test_histogram_and_residuals_over_time():
    figure = pictures.residual_histogram(np.array([-1.0, 0.0, 1.0]), np.array([3.0, 5.0]))
    assert [bar.get_height() for bar in figure.axes[0].patches] == [3.0, 5.0]
    times, values = np.arange(5.0), np.array([1.0, NAN, -2.0, 0.0, 0.5])
    drawn = pictures.residuals_over_time(times, values).axes[0].get_lines()[0]
    assert drawn.get_ydata().tolist() == [1.0, -2.0, 0.0, 0.5]


def test_thinning_keeps_the_largest():
    values = np.random.default_rng(1).normal(size=5000)
    kept = thinned(values, 1500)
    assert len(kept) == 1500 == len(set(kept.tolist()))
    assert (np.diff(kept) > 0).all()
    assert set(np.argsort(np.abs(values))[-100:]) <= set(kept.tolist())


def test_coverage_shows_promise_and_keeping():
    axes = pictures.coverage([0.5, 0.9], [0.1, 0.88]).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.1, 0.88]
    assert [drawn.get_xdata()[0] for drawn in axes.get_lines()] == [0.5, 0.9]
    assert [text.get_text() for text in axes.texts] == ["10% inside", "88% inside"]


def test_training_curve_marks_the_best_epoch():
    epochs = np.arange(1.0, 5.0)
    valid = np.array([4.0, 2.0, NAN, 3.0])
    figure = pictures.training_curve(epochs, epochs, valid)
    dots = [
        d for d in figure.axes[0].get_lines() if d.get_marker() == "o" and len(d.get_xdata()) == 1
    ]
    assert [2.0, 2.0] in [[d.get_xdata()[0], d.get_ydata()[0]] for d in dots]
    assert figure.axes[0].get_yscale() == "linear"
    steep = pictures.training_curve(epochs, 10.0**-epochs, valid)
    assert steep.axes[0].get_yscale() == "log"
    assert pictures.best_epoch(np.full(3, NAN)) is None


@pytest.mark.parametrize("numbers", [True, False])
def test_split_bar_marks_parts_and_gaps(numbers):
    days = np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-04-10")).astype("M8[ns]")
    times = np.arange(100.0) if numbers else days
    parts = [Part("train", times[0], times[69], 50), Part("test", times[70], times[99], 20)]
    figure = pictures.split_bar(parts, gaps=[(times[5], times[8])])
    assert [text.get_text() for text in figure.axes[0].texts] == ["train", "test"]
    assert len(figure.axes[0].collections) == 1


def test_drawing_leaves_the_settings_of_matplotlib_alone():
    before = dict(matplotlib.rcParams)
    pictures.coverage([0.8], [0.8])
    assert dict(matplotlib.rcParams) == before


def test_text_in_pictures_is_text_not_markup():
    svg = inline(pictures.forecast(_example(target="a < b & $x^{")), name="n", alt='"<&')
    assert "a &lt; b &amp; $x^{" in svg
    assert 'aria-label="&quot;&lt;&amp;"' in svg


def test_the_roles_have_a_colour_on_both_grounds():
    assert LIGHT.keys() == DARK.keys()
    assert len(set(LIGHT.values())) == len(LIGHT)
    names = ["LSTM", "seasonal naive (24)", "repeat last", "linear (NLinear)", "mean"]
    assert [role_of(n, names) for n in names] == ["model", "seasonal", "repeat", "linear", "other"]


@pytest.mark.parametrize("ground", [LIGHT, DARK])
@pytest.mark.parametrize(
    "role, least", [("ink", 12), ("muted", 4.5), ("model", 4.5), ("seasonal", 3)]
)
def test_contrast_is_enough_to_read(ground, role, least):
    assert _contrast(ground[role], ground["surface"]) >= least


def _contrast(one, other):
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour):
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
