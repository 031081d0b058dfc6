"""What every cell must do alike: share work, stop where nothing is to be done, give one gradient alone."""

import math
from typing import Any

import pytest

from gatework import native
from gatework.native.activations import KINDS
from gatework.native.options import DEFAULTS
from gatework.native.recurrent import Cell
from tests.native.calls import Problem, everything, same_bits
from tests.native.case import INPUT_GRADIENTS, SENT, STEPS, Case, alone, flags, of_weights
from tests.native.judge import check

CELLS: tuple[Cell, ...] = ("lstm", "gru", "rnn")
each_cell = pytest.mark.parametrize("cell", CELLS)
ALL: dict[Cell, dict[str, Any]] = {cell: alone(cell)["everything"] for cell in CELLS}


@each_cell
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("rows", [3, 33])
@pytest.mark.parametrize("steps", [(), ("lengths",), STEPS])
def test_several_threads_share_the_work(
    cell: Cell, steps: tuple[str, ...], rows: int, reverse: bool, widest: str
) -> None:
    """With options: test_bits, where any number of threads gives the bits of one."""
    absent = frozenset({*STEPS, "dgates", "dc"} - set(steps))
    case = Case(400 // rows, rows, 90, 127, cell, reverse=reverse, threads=5, absent=absent)
    layout = Problem(case).layout
    assert math.prod(native.split(cell, layout, case.numbers(), case.threads)) > 1
    check(case)


LARGE = {"lstm": 730, "gru": 840, "rnn": 2080}


@each_cell
@pytest.mark.parametrize("options", ["plain", "everything"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_weights_too_large_for_the_second_cache(
    cell: Cell, options: str, precision: str, widest: str
) -> None:
    """Backward takes its panels piece by piece and collects larger chunks; 1, 6, 48 rows and more at once."""
    for T, N, absent in ((13, 57, frozenset(STEPS)), (3, 7, frozenset({"mask", "reset"}))):
        own = alone(cell)[options] | {"absent": absent, "precision": precision}
        one, three = (
            everything(Case(T, N, 70, LARGE[cell], cell, threads=threads, **own))
            for threads in (1, 3)
        )
        for name, array in one.items():
            assert same_bits(three[name], array), name
    if precision == "float32":
        check(Case(2, 7, 70, LARGE[cell], cell, absent=frozenset(STEPS), **alone(cell)[options]))


@each_cell
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("absent", [set(STEPS), {"lengths"}, {"mask"}, set()])
@pytest.mark.parametrize(("T", "N"), [(0, 0), (0, 3), (5, 0)])
def test_nothing_to_do(
    cell: Cell, T: int, N: int, absent: set[str], reverse: bool, widest: str
) -> None:
    for threads in (1, 3):
        for options in ({}, ALL[cell]):
            check(
                Case(T, N, 7, 17, cell, reverse=reverse, threads=threads, absent=frozenset(absent), **options)
            )  # fmt: skip


GRADIENTS = [(cell, name) for cell in CELLS for name in (*INPUT_GRADIENTS, *of_weights(cell), None)]


@pytest.mark.parametrize(("cell", "wanted"), GRADIENTS)
def test_one_gradient_alone(cell: Cell, wanted: str | None, widest: str) -> None:
    absent = frozenset({*INPUT_GRADIENTS, *of_weights(cell)} - {wanted})
    for options in ({}, ALL[cell]):
        check(Case(6, 5, 18, 33, cell, absent=absent, **options))


ARRIVING = [
    (cell, name) for cell in CELLS for name in (*SENT, None) if name in (*flags(cell), None)
]


@pytest.mark.parametrize(("cell", "arrives"), ARRIVING)
def test_one_gradient_arrives_alone(cell: Cell, arrives: str | None, widest: str) -> None:
    absent = frozenset(set(SENT) - {arrives})
    for options in ({}, ALL[cell]):
        check(Case(6, 5, 18, 33, cell, absent=absent, **options))


@each_cell
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("stopped_by", ["lengths", "mask", "both"])
def test_no_step_happens(cell: Cell, stopped_by: str, reverse: bool, widest: str) -> None:
    absent = {"lengths": {"mask", "reset"}, "mask": {"lengths", "reset"}, "both": set()}[stopped_by]
    for options in ({}, ALL[cell]):
        check(
            Case(4, 3, 5, 17, cell, reverse=reverse, absent=frozenset(absent), idle=True, **options)
        )


ROLES = [(cell, role) for cell in CELLS for role in range(len(DEFAULTS[cell]["activations"]))]


@pytest.mark.parametrize(("cell", "role"), ROLES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_activation_in_every_role(
    cell: Cell, role: int, kind: str, instruction_set: str
) -> None:
    parameters = {1: (0.6,), 2: (0.6, 0.3)}.get(len(KINDS[kind].defaults), ())
    activations = list(DEFAULTS[cell]["activations"])
    activations[role] = (kind, *parameters)
    check(Case(5, 4, 6, 19, cell, activations=tuple(activations)))


@each_cell
@pytest.mark.parametrize("p", [1.0, 1e-9])
def test_the_ends_of_probabilities(cell: Cell, p: float, instruction_set: str) -> None:
    zoneout_c = {"zoneout_c": p} if cell == "lstm" else {}
    candidate = {"candidate_dropout": p} if cell != "rnn" else {}
    for training in (False, True):
        check(Case(6, 5, 7, 20, cell, zoneout_h=p, training=training, **zoneout_c))
        check(Case(6, 5, 7, 20, cell, training=training, **candidate))


@each_cell
def test_a_clip_that_nothing_reaches_and_one_that_all_reach(
    cell: Cell, instruction_set: str
) -> None:
    if cell == "lstm":
        plain = Case(6, 5, 7, 20)
        for bound in (1e-3, 1e3):
            check(Case(**(plain.__dict__ | {"cell_clip": bound})))
