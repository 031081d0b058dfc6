"""Each function against its definition in plain Python, each slope against finite differences, the kinks as stated."""

import math

import numpy as np
import pytest

from gatework.errors import OptionError
from gatework.reference.activations import DEFAULTS, Activation, activation, activations
from tests.tolerances import assert_close

GIVEN = [
    *DEFAULTS,
    ("affine", 0.7, -0.2),
    ("leaky_relu", 0.3),
    ("leaky_relu", 0.0),
    ("thresholded_relu", 0.4),
    ("thresholded_relu", 0.0),
    ("scaled_tanh", -1.3, 0.6),
    ("hard_sigmoid", 0.4, 0.1),
    ("hard_sigmoid", -0.4, 0.6),
    ("elu", 0.5),
    ("clipped_sigmoid", 0.4),
    ("clipped_tanh", 2.0),
]
X = np.array([-30.0, -4.0, -1.3, -0.6, -0.02, 0.03, 0.31, 0.7, 1.7, 5.0, 30.0])


def _defined(f: Activation, x: float) -> float:
    a, b = f.alpha, f.beta
    return {
        "sigmoid": lambda: 1 / (1 + math.exp(-x)),
        "tanh": lambda: math.tanh(x),
        "relu": lambda: max(0.0, x),
        "affine": lambda: a * x + b,
        "leaky_relu": lambda: x if x >= 0 else a * x,
        "thresholded_relu": lambda: x if x > a else 0.0,
        "scaled_tanh": lambda: a * math.tanh(b * x),
        "hard_sigmoid": lambda: max(0.0, min(1.0, a * x + b)),
        "elu": lambda: x if x >= 0 else a * (math.exp(x) - 1),
        "softsign": lambda: x / (1 + abs(x)),
        "softplus": lambda: math.log(1 + math.exp(x)),
        "clipped_sigmoid": lambda: 1 / (1 + math.exp(-min(a, max(-a, x)))),
        "clipped_tanh": lambda: math.tanh(min(a, max(-a, x))),
    }[f.name]()


@pytest.mark.parametrize("given", GIVEN, ids=str)
def test_value_and_slope(given: str | tuple) -> None:
    f = activation(given)
    assert_close(f(X), [_defined(f, x) for x in X], "forward", "reference")
    numeric = (f(X + 1e-6) - f(X - 1e-6)) / 2e-6
    assert_close(f.slope(f(X)), numeric, "gradient", "finite differences")


KINKS = [
    ("relu", 0.0, 0.0),
    (("leaky_relu", 0.3), 0.0, 0.3),
    (("thresholded_relu", 0.4), 0.4, 0.0),
    (("hard_sigmoid", 0.5, 0.5), 1.0, 0.0),
    (("hard_sigmoid", 0.5, 0.5), -1.0, 0.0),
    (("elu", 0.5), 0.0, 1.0),
    (("clipped_sigmoid", 0.4), 0.4, 0.0),
    (("clipped_sigmoid", 0.4), -0.4, 0.0),
    (("clipped_tanh", 0.4), 0.4, 0.0),
    (("clipped_tanh", 0.4), -0.4, 0.0),
]


@pytest.mark.parametrize(("given", "x", "slope"), KINKS, ids=str)
def test_slope_at_a_kink(given: str | tuple, x: float, slope: float) -> None:
    f = activation(given)
    assert f.slope(f(np.array([x]))) == slope


def test_far_out_nothing_overflows() -> None:
    far = np.array([-1e4, 1e4])
    with np.errstate(over="raise", invalid="raise"):
        for given in DEFAULTS:
            f = activation(given)
            assert np.isfinite(f(far)).all() and np.isfinite(f.slope(f(far))).all()


@pytest.mark.parametrize(
    "given",
    [
        "sigmoyd",
        ("elu", -1.0),
        ("leaky_relu", -0.1),
        ("thresholded_relu", -1.0),
        ("scaled_tanh", 0.0),
        ("clipped_sigmoid", 0.0),
        ("clipped_tanh", -1.0),
    ],
    ids=str,
)
def test_what_has_no_slope_from_its_output_is_refused(given: str | tuple) -> None:
    with pytest.raises(OptionError):
        activation(given)


def test_a_cell_takes_all_or_none() -> None:
    default = ("sigmoid", "tanh")
    assert activations((), default) == activations(default, default)
    with pytest.raises(OptionError, match="3 activations given, this cell has 2"):
        activations(("tanh",) * 3, default)
