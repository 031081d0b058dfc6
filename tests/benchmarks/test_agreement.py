"""Whoever computes something else is found out before anything is timed."""

import numpy as np
import pytest

from benchmarks.agreement import Disagreement, check, judge
from benchmarks.cases import KINDS, Case, shapes
from benchmarks.contenders import Prepared, present

(SHAPE,) = shapes("5,9,4,17")


@pytest.mark.parametrize("kind", KINDS)
def test_all_contenders_agree(kind: str):
    case = Case(SHAPE, kind, seed=3)
    expected = judge(case)
    modules, absent = present()
    assert not absent
    names = {module.name(case) for module in modules if module.takes(case)}
    assert names == (
        {"gatework", "torch"} if kind == "dense" else {"gatework", "torch padded", "torch packed"}
    )
    for module in modules:
        if module.takes(case):
            check(module.name(case), module.prepare(case), expected)


@pytest.mark.parametrize("wrong", ["y", "h_n", "dx", "dw_hh", "db_ih"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_answer_is_refused(kind: str, wrong: str):
    case = Case(SHAPE, kind, seed=3)
    expected = judge(case)
    spoiled = {quantity: dict(arrays) for quantity, arrays in expected.items()}
    for arrays in spoiled.values():
        if wrong in arrays:
            arrays[wrong] = arrays[wrong] * (1 + 2e-5)
    liar = Prepared({}, lambda: spoiled["forward"], lambda: spoiled["gradient"])
    with pytest.raises(Disagreement, match=f"liar: {wrong} differs"):
        check("liar", liar, expected)


def test_not_a_number_is_refused():
    case = Case(SHAPE, "dense", seed=3)
    expected = judge(case)
    nothing = {name: np.full_like(each, np.nan) for name, each in expected["forward"].items()}
    with pytest.raises(Disagreement):
        check("nothing", Prepared({}, lambda: nothing, lambda: {}), expected)


def test_a_case_is_the_same_for_everyone_and_its_padding_takes_no_part():
    case, again = Case(SHAPE, "lengths", seed=3), Case(SHAPE, "lengths", seed=3)
    assert case.lengths is not None
    assert case.lengths.max() == SHAPE.T
    np.testing.assert_array_equal(case.x, again.x)
    assert not case.dy[~case.happens].any()
    assert case.flops("train") == 3 * 2 * case.lengths.sum() * 4 * SHAPE.H * (SHAPE.I + SHAPE.H)
