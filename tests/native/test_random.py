"""Masks of the kernels' random numbers against the reference's: the same elements, the same factors, bit by bit."""

import ctypes
from typing import Any

import numpy as np
import pytest

from gatework import native
from gatework.errors import OptionError
from gatework.native.library import load
from gatework.reference import random as reference
from tests.native.calls import at, same_bits
from tests.native.guarded import Guarded

SEEDS = (0, 1, 1 << 32, (1 << 64) - 1, -1, -(1 << 63), 0x1234567890ABCDEF)
SHAPES = ((), (0,), (1,), (31,), (32,), (33,), (3, 5, 7), (1000,), (97, 103))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1 / 3, 0.999, 1.0, 2.0**-33, 1.0 - 2.0**-33])
def test_a_mask_is_that_of_the_reference(
    shape: tuple[int, ...], p: float, instruction_set: str
) -> None:
    for seed in SEEDS:
        found = native.dropout_mask(shape, p, seed)
        expected = reference.dropout_mask(shape, p, seed)
        assert found.shape == shape and same_bits(found, np.float32(expected))


def test_the_number_of_threads_does_not_matter(instruction_set: str) -> None:
    alone = native.dropout_mask((3_000_001,), 0.3, 7, threads=1)
    for threads in (2, 3, 5, 8):
        assert same_bits(native.dropout_mask((3_000_001,), 0.3, 7, threads=threads), alone)
    kept = alone > 0
    assert abs(kept.mean() - 0.7) < 2e-3
    assert abs((kept[1:] & kept[:-1]).mean() - 0.49) < 2e-3


def test_an_array_is_multiplied_and_nothing_beside_it_is_touched(instruction_set: str) -> None:
    native.dropout_mask((1,), 0.5, 1)  # sets the types of the arguments
    function: Any = load().gw_dropout_f32
    for n in (*range(70), 1000):
        guarded = Guarded()
        x = guarded.constant(np.random.default_rng(n).standard_normal(n), name="x")
        out = guarded.empty((n,), name="out")
        assert function(n, at(x), 0.25, 9, 2, at(out)) == 0
        guarded.check()
        mask = native.dropout_mask((n,), 0.25, 9)
        assert np.array_equal(out, x * mask)
        again = guarded.empty((n,), name="in place")
        again[:] = x
        assert function(n, at(again), 0.25, 9, 2, at(again)) == 0
        guarded.check()
        assert same_bits(again, out)


def test_what_is_wrong_is_refused() -> None:
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(OptionError, match="p is"):
            native.dropout_mask((3,), p, 0)
    for seed in (1.5, 1 << 64, "7", None):
        with pytest.raises(OptionError, match="seed is"):
            native.dropout_mask((3,), 0.5, seed)  # pyright: ignore[reportArgumentType]
    native.dropout_mask((1,), 0.5, 1)
    function: Any = load().gw_dropout_f32
    out = np.zeros(4, np.float32)
    assert function(-1, 0, 0.5, 0, 1, at(out)) != 0
    assert function(4, 0, 1.5, 0, 1, at(out)) != 0
    assert function(4, 0, float("nan"), 0, 1, at(out)) != 0
    assert function(4, 0, 0.5, 0, 0, at(out)) != 0
    assert function(4, 0, 0.5, 0, 1, ctypes.c_void_p()) != 0
