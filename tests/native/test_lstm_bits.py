"""What must be equal bit by bit: two runs, any number of threads, calls in any order; and NaN stays in its row."""

from typing import Any

import numpy as np
import pytest

from gatework import native
from gatework.native.library import load
from tests.native.calls import Case, Problem, same_bits

SHARED = (  # sizes of which several threads share rows, hidden units, or both
    Case(20, 33, 40, 64),
    Case(90, 3, 17, 65),
    Case(12, 16, 64, 63, reverse=True),
    Case(20, 33, 40, 64, absent=frozenset({"mask", "reset"})),
    Case(90, 3, 17, 65, absent=frozenset({"lengths", "mask", "reset"})),
    Case(300, 2, 30, 65, layout="batch", absent=frozenset({"dgates", "dc"})),
)


def everything(case: Case) -> dict[str, Any]:
    """All that forward and backward give for the case; masked steps of gates and c are the same NaN."""
    problem = Problem(case)
    run = problem.forward()
    found = run | problem.backward(run, problem.sent())
    problem.guarded.check()
    return found


@pytest.mark.parametrize("case", SHARED, ids=range(len(SHARED)))
def test_same_bits_for_every_number_of_threads_and_on_two_runs(
    case: Case, instruction_set: str
) -> None:
    alone = everything(case)
    assert all(np.isfinite(alone[name]).all() for name in ("y", "dx", "dh0", "dw_hh", "db"))
    for threads in (1, 2, 3, 5, 8):
        found = everything(Case(**(case.__dict__ | {"threads": threads})))
        for name, array in alone.items():
            assert same_bits(found[name], array), f"{name} with {threads} threads"


def test_workers_take_part() -> None:
    load().gw_threads_stop()
    assert load().gw_threads_alive() == 0
    everything(Case(20, 33, 40, 64, threads=3))
    assert load().gw_threads_alive() == 2
    everything(Case(20, 33, 40, 64, threads=5))
    assert load().gw_threads_alive() == 4
    load().gw_threads_stop()
    assert load().gw_threads_alive() == 0


def test_two_forwards_before_a_backward(instruction_set: str) -> None:
    first, second = Problem(Case(7, 5, 12, 33), 1), Problem(Case(7, 5, 12, 33), 2)
    run = first.forward()
    sent = first.sent()
    at_once = first.backward(run, sent)
    second.forward()
    second.forward(save=False)
    afterwards = first.backward(run, sent)
    for name, array in at_once.items():
        assert same_bits(afterwards[name], array), name


@pytest.mark.parametrize("layout", ["batch", "slice"])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_layout_does_not_matter(layout: str, threads: int, instruction_set: str) -> None:
    plain = everything(Case(20, 9, 40, 65, threads=threads))
    found = everything(Case(20, 9, 40, 65, threads=threads, layout=layout))
    for name, array in plain.items():
        assert same_bits(found[name], array), name


@pytest.mark.parametrize("threads", [1, 3])
def test_nan_in_a_row_stays_in_the_row(threads: int, instruction_set: str) -> None:
    T, N, I, H, bad = 12, 13, 40, 65, 4  # noqa: E741
    draw = np.random.default_rng(0)
    x, dy = draw.standard_normal((T, N, I)), draw.standard_normal((T, N, H))
    weights = native_weights(I, H)
    poisoned = x.copy()
    poisoned[3, bad] = np.nan
    others = np.arange(N) != bad
    runs = [
        native.lstm_forward(each, weights, save=True, threads=threads) for each in (x, poisoned)
    ]
    back = [
        native.lstm_backward(run, each, weights, dy=dy, threads=threads)
        for run, each in zip(runs, (x, poisoned), strict=True)
    ]
    assert np.isnan(runs[1].y[3:, bad]).all() and np.isnan(back[1].dx[:4, bad]).all()
    assert np.isnan(back[1].dw_ih).any()
    for a, b in zip((*runs[0][:3], *back[0][:3]), (*runs[1][:3], *back[1][:3]), strict=True):
        rows = (slice(None), others) if a.ndim == 3 else others
        assert same_bits(a[rows], b[rows])
    assert same_bits(runs[0].y[:3], runs[1].y[:3])


def native_weights(I: int, H: int, seed: int = 0) -> list[Any]:  # noqa: E741
    draw = np.random.default_rng(seed)
    sizes = ((4 * H, I), (4 * H, H), (4 * H,), (4 * H,))
    return [(draw.standard_normal(size) * size[-1] ** -0.5).astype(np.float32) for size in sizes]


@pytest.mark.parametrize("H", [1, 5, 16, 17, 20])
def test_an_infinite_input_spoils_no_more_than_it_must(H: int, instruction_set: str) -> None:
    draw = np.random.default_rng(H)
    x = draw.standard_normal((3, 2, 4)).astype(np.float32)
    x[1, 0, 0] = np.inf
    weights = tuple(draw.standard_normal((4 * H, k)).astype(np.float32) for k in (4, H))
    run = native.lstm_forward(x, weights, save=True)
    assert np.isfinite(run.y).all()  # saturated gates
    found = native.lstm_backward(run, x, weights, dy=np.ones_like(run.y))
    for name in ("dx", "dh0", "dc0", "dw_hh", "db"):
        assert np.isfinite(getattr(found, name)).all(), name
