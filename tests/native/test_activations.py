"""The error bound of the kernels' sigmoid and tanh, over a dense sample of all floats and every special one."""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gatework import native
from gatework.errors import ShapeError
from gatework.native.library import load
from tests.native.calls import at, same_bits
from tests.native.guarded import Guarded
from tests.tolerances import TOLERANCES

SMALLEST_NORMAL, SMALLEST = 2.0**-126, 2.0**-149
LOWEST_SIGMOID = 1.65e-38
EXACT: dict[str, Callable[[Any], Any]] = {
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "tanh": np.tanh,
}


def sample() -> Any:
    """Every 4099th of all bit patterns, all near the places where a formula changes, none that is NaN."""
    patterns = np.arange(0, 1 << 32, 4099, dtype=np.uint64).astype(np.uint32)
    edges = np.float32(
        [0, SMALLEST_NORMAL, 1e-4, 0.17, 0.35, 0.52, 1, 10, 17, 86, 88, 103, 104, 3e38]
    )
    near = (edges.view(np.int32)[:, None] + np.arange(-2000, 2000)).ravel().astype(np.uint32)
    floats = np.concatenate([patterns, near, near | np.uint32(1 << 31)]).view(np.float32)
    return floats[~np.isnan(floats)]


@pytest.mark.parametrize("name", EXACT)
def test_error_bound(name: str, instruction_set: str) -> None:
    x = sample()
    assert x.size > 1_000_000
    found = getattr(native, name)(x)
    with np.errstate(over="ignore"):
        expected = EXACT[name](x.astype(np.float64))
    wrong = np.abs(found - expected)
    allowed = TOLERANCES["float32", "activation", "double precision"] * np.abs(expected)
    allowed[np.abs(expected) < SMALLEST_NORMAL] = SMALLEST
    if name == "sigmoid":
        allowed[x < -87] = LOWEST_SIGMOID  # where it stays
    worst = int(np.argmax(wrong / allowed.clip(SMALLEST)))
    assert (wrong <= allowed).all(), (
        f"{name}({x[worst]!r}) = {found[worst]!r}, not {expected[worst]!r}"
    )


@pytest.mark.parametrize("position", range(17))
def test_special_values(position: int, instruction_set: str) -> None:
    """At each place of a vector, and with neighbours of every kind."""
    special = np.float32([np.inf, -np.inf, np.nan, -np.nan, 0.0, -0.0, SMALLEST, -SMALLEST, 1.0])
    x = np.resize(np.roll(special, position), 33)
    sigmoid, tanh = native.sigmoid(x), native.tanh(x)
    not_a_number = np.isnan(x)
    assert np.isnan(sigmoid[not_a_number]).all() and np.isnan(tanh[not_a_number]).all()
    assert (sigmoid[x == np.inf] == 1).all() and (tanh[x == np.inf] == 1).all()
    assert (sigmoid[x == -np.inf] < LOWEST_SIGMOID).all() and (tanh[x == -np.inf] == -1).all()
    tiny = np.abs(x) <= SMALLEST
    assert (sigmoid[tiny] == 0.5).all() and (tanh[tiny] == x[tiny]).all()


@pytest.mark.parametrize("name", EXACT)
def test_nothing_beside_the_array_is_touched(name: str, instruction_set: str) -> None:
    function = load()[f"gw_{name}_f32"]
    function.argtypes = [ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p]
    for n in range(40):
        guarded = Guarded()
        values = np.random.default_rng(n).standard_normal(n).astype(np.float32)
        x, y = guarded.constant(values, name="x"), guarded.empty((n,), name="y")
        assert function(n, at(x), at(y)) == 0
        guarded.check()
        in_place = guarded.empty((n,), name="in place")
        in_place[:] = values
        assert function(n, at(in_place), at(in_place)) == 0
        guarded.check()
        assert np.isfinite(y).all() and same_bits(in_place, y)
        assert same_bits(y, getattr(native, name)(values))


def test_shapes_are_kept() -> None:
    for shape in ((), (0,), (3,), (2, 0, 5), (2, 3, 4)):
        assert native.tanh(np.zeros(shape)).shape == shape
    backwards = np.linspace(-3, 3, 12).reshape(3, 4)[::-1, ::2]
    assert same_bits(native.sigmoid(backwards), native.sigmoid(backwards.copy()))


@pytest.mark.parametrize("wrong", ["text", [[1.0], [1.0, 2.0]], None, 1j])
def test_what_is_no_number_is_refused(wrong: Any) -> None:
    with pytest.raises(ShapeError, match="x"):
        native.sigmoid(wrong)
