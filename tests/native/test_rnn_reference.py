"""The RNN kernels against the reference: forward and every gradient, each option alone and all pairs of options.

All pairs on the widest instruction set; on the others, which share the source, every fifth case of them."""

from typing import Any

import pytest

from tests.native.case import Case, alone, case_of, choices
from tests.native.judge import check
from tests.native.pairs import all_pairs

CASES = [case_of("rnn", options) for options in all_pairs(choices("rnn"))]


@pytest.mark.parametrize("options", alone("rnn").values(), ids=alone("rnn"))
def test_each_option_alone(options: dict[str, Any], instruction_set: str) -> None:
    check(Case(9, 5, 18, 33, "rnn", **options))


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_all_pairs_of_options(case: Case, widest: str) -> None:
    check(case)


@pytest.mark.parametrize("case", CASES[::5], ids=range(0, len(CASES), 5))
def test_some_pairs_on_other_instruction_sets(case: Case, narrower: str) -> None:
    check(case)
