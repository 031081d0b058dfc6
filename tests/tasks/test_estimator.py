import inspect

import pytest

from gatework import Forecaster, OptionError
from gatework.tasks.forecast_options import ForecastOptions


def test_arguments_are_stored_as_given_and_not_checked_before_they_are_used():
    levels = (0.5, 0.9)
    model = Forecaster(horizon=-3, levels=levels)
    assert model.horizon == -3 and model.levels is levels
    with pytest.raises(OptionError, match=r"horizon = -3: expected at least 1"):
        model.options()


def test_get_params_gives_back_what_set_params_took():
    model = Forecaster().set_params(horizon=7, hidden_size=5)
    params = model.get_params()
    assert (params["horizon"], params["hidden_size"]) == (7, 5)
    assert Forecaster(**params).get_params() == params


def test_an_unknown_name_is_refused_with_the_nearest_and_changes_nothing():
    with pytest.raises(OptionError, match="hiden_size.*hidden_size"):
        Forecaster(hiden_size=3)
    model = Forecaster()
    with pytest.raises(OptionError, match="horizn"):
        model.set_params(hidden_size=3, horizn=5)
    assert model.hidden_size == 64


def test_the_signature_is_that_of_the_options():
    parameters = inspect.signature(Forecaster).parameters
    assert list(parameters) == list(ForecastOptions.__dataclass_fields__)
    assert parameters["horizon"].default == 24


def test_scikit_learn_clones_it():
    base = pytest.importorskip("sklearn.base")
    model = Forecaster(horizon=3, known=("price",))
    copy = base.clone(model)
    assert copy is not model and copy.get_params() == model.get_params()


def test_the_repr_shows_what_differs_from_the_defaults():
    assert repr(Forecaster(horizon=3)) == "Forecaster(horizon=3)"
