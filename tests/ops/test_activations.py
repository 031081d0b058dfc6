"""The set in torch operations: values and slopes against the reference, kinks among them, and every derivative."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from gatework.ops.activations import DEFAULTS, activation, apply
from gatework.reference import activations as reference
from tests.tolerances import assert_close

CONSTANTS = [
    *((name,) for name in DEFAULTS),
    ("affine", -0.7, 0.3),
    ("leaky_relu", 0.3),
    ("leaky_relu", 0.0),
    ("thresholded_relu", 0.4),
    ("thresholded_relu", 0.0),
    ("scaled_tanh", -1.7, 0.6),
    ("hard_sigmoid", 1 / 6),
    ("hard_sigmoid", -0.25, 0.5),
    ("elu", 0.5),
    ("clipped_sigmoid", 0.4),
    ("clipped_tanh", 2.0),
]
EACH = pytest.mark.parametrize("given", CONSTANTS, ids=str)
SPAN = [*np.linspace(-6, 6, 97), -50.0, -30.0, 21.0, 30.0, 50.0, 1e-9, -1e-9]


def _values(given: tuple[str | float, ...]) -> torch.Tensor:
    """A span, and the kinks: 0, the threshold, and what meets 0 and 1 in hard_sigmoid."""
    _, alpha, beta = activation(*given)
    kinks = [0.0, 1.0, 0.4, *((-beta / alpha, (1 - beta) / alpha) if alpha else ()), alpha, -alpha]
    return torch.tensor([*SPAN, *kinks], dtype=torch.float64, requires_grad=True)


def test_the_defaults_are_the_reference_s() -> None:
    assert list(DEFAULTS) == list(reference.DEFAULTS)
    for name in DEFAULTS:
        assert tuple(activation(name)) == tuple(reference.activation(name))


@EACH
def test_values_and_slopes(given: tuple[str | float, ...]) -> None:
    x, judge = _values(given), reference.activation(given)
    y = apply(activation(*given), x)
    truth = judge(x.detach().numpy())
    assert_close(y, truth, "forward", "reference")
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert_close(slope, judge.slope(truth), "gradient", "reference")


@pytest.mark.parametrize("x", [-40.0, -25.0, -1e-12, 30.0])
def test_small_outputs_keep_their_digits(x: float) -> None:
    truth = {"softplus": math.log1p(math.exp(x)), "elu": x if x > 0 else math.expm1(x)}
    for name, y in truth.items():
        found = apply(activation(name), torch.tensor(x, dtype=torch.float64))
        assert_close(found / y, 1.0, "forward", "reference", name)


@EACH
def test_derivatives(given: tuple[str | float, ...]) -> None:
    x = torch.linspace(-5.05, 5.07, 23, dtype=torch.float64).requires_grad_()
    kind = activation(*given)
    assert gradcheck(lambda v: apply(kind, v), x, check_forward_ad=True)
    assert gradgradcheck(lambda v: apply(kind, v), x)


@EACH
def test_infinite_and_missing_values(given: tuple[str | float, ...]) -> None:
    x = torch.tensor([math.inf, -math.inf, math.nan, 3e38])
    y = apply(activation(*given), x)
    assert y[2].isnan()
    if given not in (("softsign",), ("leaky_relu", 0.0)):  # inf / inf and 0 * inf
        assert not y[[0, 1, 3]].isnan().any()


def test_an_unknown_name() -> None:
    with pytest.raises(ValueError, match="hard_sigmoid"):
        apply(activation("tanh")._replace(name="hardsigmoid"), torch.zeros(1))
