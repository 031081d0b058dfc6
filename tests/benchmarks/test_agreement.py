"""Whoever computes something else is found out before anything is timed."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from benchmarks import agreement, variants
from benchmarks.agreement import Disagreement, check, judge
from benchmarks.cases import KINDS, Case, shapes
from benchmarks.contenders import HOSTS, Prepared, present

(SHAPE,) = shapes("5,9,4,17")
COMPILED = "torch_compiled"  # calls a C++ compiler
FILES = tuple(file for file in HOSTS["torch"] if file != COMPILED)


def contenders(kind: str) -> list[tuple[ModuleType, str]]:
    modules, absent = present(FILES)
    assert not absent
    case = Case(SHAPE, kind, seed=3)
    return [(module, name) for module in modules for name in module.names(case)]


def expected_of(case: Case, prepared: Prepared) -> dict[str, agreement.Arrays]:
    return judge(case) if prepared.judge is None else prepared.judge()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "busy"])
def test_all_contenders_agree(kind: str):
    case = Case(SHAPE, kind, seed=3)
    for module, name in contenders(kind):
        prepared = module.prepare(case, name)
        assert set(check(name, prepared, expected_of(case, prepared))) == {"forward", "gradient"}


def test_everybody_is_there():
    found = {kind: {name for _, name in contenders(kind)} for kind in KINDS}
    assert found["dense"] == {"gatework", "torch"}
    assert found["lengths"] == {"gatework", "torch padded", "torch packed"}
    assert {variants.PLAIN, "GRU", "RNN", "zoneout", "torch GRU"} < found["options"]
    assert found["bfloat16"] == set(variants.BFLOAT16)
    assert all(found.values())


@pytest.mark.parametrize("wrong", ["y", "h_n", "dx", "dw_hh", "db_ih"])
@pytest.mark.parametrize("kind", ["dense", "lengths"])
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
        check("nothing", Prepared({}, lambda: nothing, None), expected)


def test_an_answer_without_a_name_that_is_known_is_refused():
    empty = Prepared({}, lambda: {"z": np.zeros(3)}, None)
    with pytest.raises(Disagreement, match="nothing to compare"):
        check("empty", empty, judge(Case(SHAPE, "dense", seed=3)))


def test_what_is_expected_comes_back_from_its_file(tmp_path: Path):
    expected = judge(Case(SHAPE, "dense", seed=3))
    path = tmp_path / "case.npz"
    for _ in range(2):  # the second time nothing may be computed
        found = agreement.kept(path, lambda: {} if path.exists() else expected)
        assert found.keys() == expected.keys()
        for quantity, arrays in expected.items():
            for name, array in arrays.items():
                np.testing.assert_array_equal(found[quantity][name], array)


def test_a_case_is_the_same_for_everyone_and_its_padding_takes_no_part():
    case, again = Case(SHAPE, "lengths", seed=3), Case(SHAPE, "lengths", seed=3)
    assert case.lengths is not None
    assert case.lengths.max() == SHAPE.T
    np.testing.assert_array_equal(case.x, again.x)
    assert not case.dy[~case.happens].any()
    assert case.flops("train") == 3 * 2 * case.lengths.sum() * 4 * SHAPE.H * (SHAPE.I + SHAPE.H)


def test_the_operations_of_the_variants():
    every = variants.of(Case(SHAPE, "options", seed=3))
    N, T, I, H = SHAPE  # noqa: E741
    steps, P = 2 * N * T, H // 2
    expected = {
        variants.PLAIN: 4 * H * (I + H),
        "coupled gates": 3 * H * (I + H),
        "projection": 4 * H * (I + P) + P * H,
        "bidirectional": 2 * 4 * H * (I + H),
        "two layers": 4 * H * (I + H) + 4 * H * (H + H),
        "GRU": 3 * H * (I + H),
        "RNN": H * (I + H),
    }
    assert {name: every[name].flops(SHAPE) for name in expected} == {
        name: steps * count for name, count in expected.items()
    }
