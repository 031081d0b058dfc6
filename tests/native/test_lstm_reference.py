"""The kernels against the reference: forward and every gradient, all pairs of options, every instruction set."""

from typing import Any

import pytest

from tests.native.calls import FLAGS, Case, check
from tests.native.pairs import all_pairs

SIZES = (1, 7, 63, 64, 65)
STEPS_AND_ROWS = ((1, 1), (1, 7), (9, 1), (2, 3), (9, 7), (70, 13), (3, 300))
OPTIONS: dict[str, tuple[Any, ...]] = {
    "TN": STEPS_AND_ROWS,
    "I": SIZES,
    "H": SIZES,
    "layout": ("time", "batch", "slice"),
    "reverse": (False, True),
    "threads": (1, 3),
    **{name: (True, False) for name in FLAGS},
}


def case_of(options: dict[str, Any]) -> Case:
    T, N = options["TN"]
    names = ("I", "H", "layout", "reverse", "threads")
    absent = frozenset(name for name in FLAGS if not options[name])
    return Case(T, N, **{name: options[name] for name in names}, absent=absent)


CASES = [case_of(options) for options in all_pairs(OPTIONS)]


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_all_pairs_of_options(case: Case, instruction_set: str) -> None:
    check(case)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("rows", [3, 33])
@pytest.mark.parametrize("flags", [(), ("lengths",), ("lengths", "mask", "reset")])
def test_several_threads_share_the_work(
    flags: tuple[str, ...], rows: int, reverse: bool, instruction_set: str
) -> None:
    absent = frozenset({"lengths", "mask", "reset", "dgates", "dc"} - set(flags))
    check(Case(20, rows, 40, 63, reverse=reverse, threads=5, absent=absent))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("absent", [{"lengths", "mask", "reset"}, {"lengths"}, {"mask"}, set()])
@pytest.mark.parametrize(("T", "N"), [(0, 0), (0, 3), (5, 0)])
def test_nothing_to_do(
    T: int, N: int, absent: set[str], reverse: bool, instruction_set: str
) -> None:
    for threads in (1, 3):
        check(Case(T, N, 7, 17, reverse=reverse, threads=threads, absent=frozenset(absent)))


@pytest.mark.parametrize("wanted", ["dx", "dh0", "dc0", "dw_ih", "dw_hh", "db", None])
def test_one_gradient_alone(wanted: str | None, instruction_set: str) -> None:
    gradients = {"dx", "dh0", "dc0", "dw_ih", "dw_hh", "db"}
    check(Case(6, 5, 18, 33, absent=frozenset(gradients - {wanted})))


@pytest.mark.parametrize("arrives", ["dy", "dh_n", "dc_n", "dgates", "dc", None])
def test_one_gradient_arrives_alone(arrives: str | None, instruction_set: str) -> None:
    sent = {"dy", "dh_n", "dc_n", "dgates", "dc"}
    check(Case(6, 5, 18, 33, absent=frozenset(sent - {arrives})))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("stopped_by", ["lengths", "mask", "both"])
def test_no_step_happens(stopped_by: str, reverse: bool, instruction_set: str) -> None:
    absent = {"lengths": {"mask", "reset"}, "mask": {"lengths", "reset"}, "both": set()}[stopped_by]
    check(Case(4, 3, 5, 17, reverse=reverse, absent=frozenset(absent), idle=True))
