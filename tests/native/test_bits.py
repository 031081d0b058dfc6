"""What must be equal bit by bit: two runs, any number of threads, calls in any order; and NaN stays in its row."""

from typing import Any

import numpy as np
import pytest

from gatework import native
from gatework.native.library import load
from gatework.native.recurrent import Cell
from gatework.native.weights import weight_shapes
from tests.native.calls import Problem, everything, same_bits
from tests.native.case import STEPS, Case, alone

CELLS: tuple[Cell, ...] = ("lstm", "gru", "rnn")
each_cell = pytest.mark.parametrize("cell", CELLS)
with_options = pytest.mark.parametrize("options", ["plain", "everything", "everything, eval"])
SHARED: tuple[
    dict[str, Any], ...
] = (  # sizes of which several threads share rows, hidden units, or both
    {"T": 20, "N": 33, "I": 40, "H": 96},
    {"T": 90, "N": 3, "I": 17, "H": 129},
    {"T": 12, "N": 16, "I": 64, "H": 127, "reverse": True},
    {"T": 20, "N": 33, "I": 40, "H": 96, "absent": frozenset(STEPS[1:])},
    {"T": 90, "N": 3, "I": 17, "H": 129, "absent": frozenset(STEPS)},
    {"T": 300, "N": 2, "I": 30, "H": 65, "layout": "batch", "absent": frozenset({"dgates", "dc"})},
)


def case_of(cell: Cell, options: str, sizes: dict[str, Any], **more: Any) -> Case:
    return Case(cell=cell, **(alone(cell)[options] | sizes | more))


@each_cell
@with_options
@pytest.mark.parametrize("sizes", SHARED, ids=range(len(SHARED)))
def test_same_bits_for_every_number_of_threads_and_on_two_runs(
    cell: Cell, options: str, sizes: dict[str, Any], instruction_set: str
) -> None:
    alone_ = everything(case_of(cell, options, sizes))
    assert all(np.isfinite(alone_[name]).all() for name in ("y", "dx", "dh0", "dw_hh", "db_ih"))
    for threads in (1, 2, 3, 5, 8):
        found = everything(case_of(cell, options, sizes, threads=threads))
        for name, array in alone_.items():
            assert same_bits(found[name], array), f"{name} with {threads} threads"


@each_cell
def test_workers_take_part(cell: Cell) -> None:
    load().gw_threads_stop()
    assert load().gw_threads_alive() == 0
    everything(Case(40, 33, 90, 96, cell, threads=3))
    assert load().gw_threads_alive() == 2
    everything(Case(40, 33, 90, 96, cell, threads=5))
    assert load().gw_threads_alive() == 4
    load().gw_threads_stop()
    assert load().gw_threads_alive() == 0


@each_cell
@with_options
def test_two_forwards_before_a_backward(cell: Cell, options: str, instruction_set: str) -> None:
    case = case_of(cell, options, {"T": 7, "N": 5, "I": 12, "H": 33})
    first, second = Problem(case, 1), Problem(case, 2)
    run = first.forward()
    at_once = first.backward(run)
    second.forward()
    second.forward(save=False)
    afterwards = first.backward(run)
    for name, array in at_once.items():
        assert same_bits(afterwards[name], array), name


@each_cell
@with_options
@pytest.mark.parametrize("layout", ["batch", "slice"])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_layout_does_not_matter(
    cell: Cell, options: str, layout: str, threads: int, instruction_set: str
) -> None:
    sizes = {"T": 20, "N": 9, "I": 40, "H": 95, "threads": threads}
    plain = everything(case_of(cell, options, sizes))
    found = everything(case_of(cell, options, sizes, layout=layout))
    for name, array in plain.items():
        assert same_bits(found[name], array), name


@each_cell
def test_another_seed_draws_other_numbers(cell: Cell, instruction_set: str) -> None:
    case = Case(6, 4, 5, 20, cell, zoneout_h=0.5, training=True)
    problem = Problem(case)
    first = problem.forward()["y"].copy()
    assert same_bits(problem.forward()["y"], first)
    for bit in (0, 31, 32, 63):  # every part of the key counts
        seed = problem.options.seed ^ ((1 << bit) if bit < 63 else -(1 << 63))
        problem.options = problem.options._replace(seed=seed)
        assert not same_bits(problem.forward()["y"], first)


def weights_of(cell: Cell, I: int, H: int, seed: int = 0) -> tuple[Any, ...]:  # noqa: E741
    draw = np.random.default_rng(seed)
    shapes = weight_shapes(cell, native.Options(), I, H, 0)
    names = ("w_ih", "w_hh", "b_ih", "b_hh")
    sizes = (shapes[name] for name in names)
    return tuple((draw.standard_normal(s) * s[-1] ** -0.5).astype(np.float32) for s in sizes)


def both(cell: Cell) -> tuple[Any, Any]:
    return getattr(native, f"{cell}_forward"), getattr(native, f"{cell}_backward")


@each_cell
@pytest.mark.parametrize("threads", [1, 3])
def test_nan_in_a_row_stays_in_the_row(cell: Cell, threads: int, instruction_set: str) -> None:
    T, N, I, H, bad = 12, 13, 40, 97, 4  # noqa: E741
    draw = np.random.default_rng(0)
    x, dy = draw.standard_normal((T, N, I)), draw.standard_normal((T, N, H))
    h0, weights = draw.standard_normal((N, H)), weights_of(cell, I, H)
    forward, backward = both(cell)
    poisoned = x.copy()
    poisoned[3, bad] = np.nan
    others = np.arange(N) != bad
    runs = [forward(each, weights, h0, save=True, threads=threads) for each in (x, poisoned)]
    back = [
        backward(run, each, weights, h0, dy=dy, threads=threads)
        for run, each in zip(runs, (x, poisoned), strict=True)
    ]
    assert np.isnan(runs[1].y[3:, bad]).all() and np.isnan(back[1].dx[:4, bad]).all()
    assert np.isnan(back[1].dw_ih).any()
    for name in ("y", "h_n", "dx", "dh0"):
        a, b = (getattr(each, name, None) for each in (runs if name in "y h_n" else back))
        rows = (slice(None), others) if a.ndim == 3 else others
        assert same_bits(a[rows], b[rows]), name
    assert same_bits(runs[0].y[:3], runs[1].y[:3])


@each_cell
@pytest.mark.parametrize("H", [1, 5, 16, 17, 20])
def test_an_infinite_input_spoils_no_more_than_it_must(
    cell: Cell, H: int, instruction_set: str
) -> None:
    draw = np.random.default_rng(H)
    x = draw.standard_normal((3, 2, 4)).astype(np.float32)
    x[1, 0, 0] = np.inf
    weights, h0 = weights_of(cell, 4, H, seed=H)[:2], np.zeros((2, H))
    forward, backward = both(cell)
    run = forward(x, weights, h0, save=True)
    assert np.isfinite(run.y).all()  # saturated gates
    found = backward(run, x, weights, h0, dy=np.ones_like(run.y))
    for name in ("dx", "dh0", "dw_hh"):
        assert np.isfinite(getattr(found, name)).all(), name
