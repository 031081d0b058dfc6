"""Products that read fewer bits: the error is the stated one, nothing but what the header says is rounded, bits agree.

Two judges: the reference on the numbers as given says what rounding costs; the reference on the numbers as rounded
(rounding.py) says whether the kernel is right, to float32's own tolerance where only weights are rounded.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gatework import native
from gatework.errors import OptionError
from gatework.native.recurrent import PRECISIONS, TRAINABLE, Cell
from tests.native.calls import Problem, everything, same_bits
from tests.native.case import OUTPUTS, STEPS, Case, alone, case_of, choices
from tests.native.judge import check, run_backward, run_reference
from tests.native.pairs import all_pairs
from tests.native.rounding import to_8_bits, to_bfloat16
from tests.native.test_streams import STREAMS, weights_of
from tests.tolerances import assert_close, error

CELLS: tuple[Cell, ...] = ("lstm", "gru", "rnn")
each_cell = pytest.mark.parametrize("cell", CELLS)
ROUNDED = [name for name in PRECISIONS if name != "float32"]
rounded = pytest.mark.parametrize("precision", ROUNDED)
PLAIN = frozenset({*STEPS, "dgates", "dc"})
MOST_ROWS = 40
MOST_STEPS = 9  # in pairs: over more, a value that rounds to the other side in double precision reaches a kink
PAIRS = [
    replace(case, precision=precision, T=min(case.T, MOST_STEPS), N=min(case.N, MOST_ROWS))
    for precision in ROUNDED
    for cell in CELLS
    for case in [case_of(cell, options) for options in all_pairs(choices(cell))][::5]
]


class TorchsProblem(Problem):
    """Weights as torch draws them: uniform within +-1 / sqrt(H)."""

    def _weights(self) -> dict[str, Any]:
        bound = self.case.H**-0.5
        return {
            name: self.guarded.constant(self.draw.uniform(-bound, bound, array.shape), name=name)
            for name, array in super()._weights().items()
            if array is not None
        }


@each_cell
@rounded
@pytest.mark.parametrize(("T", "N", "H"), [(50, 16, 64), (50, 8, 128), (30, 8, 256), (60, 1, 65)])
def test_the_error_is_the_stated_one(
    cell: Cell, precision: str, T: int, N: int, H: int, best_instruction_set: str
) -> None:
    problem = TorchsProblem(Case(T, N, H, H, cell, absent=PLAIN, precision=precision))
    trains = precision in TRAINABLE
    run = problem.forward(save=trains)
    found = problem.backward(run) if trains else {}
    for rounds in (False, True)[: 1 + trains]:  # only weights rounded: test_pairs_of_options
        expected = run_reference(problem, rounded=rounds)
        judge = "rounded reference" if rounds else "reference"
        for name in ("y", *OUTPUTS):
            if run[name] is not None:
                kind = f"forward in {precision}"
                assert_close(run[name], getattr(expected, name), kind, judge, name)
        gradients = run_backward(problem, expected, rounds) if trains else {}
        for name, array in found.items():
            if array is not None:
                assert_close(array, gradients[name], f"gradient in {precision}", judge, name)


@pytest.mark.parametrize("case", PAIRS, ids=range(len(PAIRS)))
def test_pairs_of_options(case: Case, best_instruction_set: str) -> None:
    check(case)


@pytest.mark.parametrize("case", PAIRS[::8], ids=range(0, len(PAIRS), 8))
def test_some_pairs_everywhere(case: Case, every_instruction_set: str) -> None:
    check(case)


EACH_ALONE = [(cell, options) for cell in CELLS for options in alone(cell)]


@pytest.mark.parametrize(("cell", "options"), EACH_ALONE)
def test_bfloat16_is_exact_but_for_its_rounding(
    cell: Cell, options: str, every_instruction_set: str
) -> None:
    """To float32's own tolerance, on data where no value of h is near the middle of two bfloat16."""
    case = Case(3, 4, 18, 33, cell, precision="bfloat16", **alone(cell)[options])
    problem, expected = without_ties(case)
    assert_close(problem.forward()["y"], expected.y, "forward", "reference", "y")


def without_ties(case: Case) -> tuple[Problem, Any]:
    """A problem that the reference answers alike when its inputs move by the rounding of single precision."""
    for seed in range(200):
        problem = Problem(case, seed)
        expected = run_reference(problem)
        moved = (run_reference(problem, nudge).y for nudge in (1, -1, 2, -2))
        if all(error(y, expected.y) < 1e-5 for y in moved):
            return problem, expected
    raise AssertionError(f"a value of every problem lies in the middle of two bfloat16: {case}")


@each_cell
@rounded
@pytest.mark.parametrize("options", ["plain", "everything", "everything, eval"])
@pytest.mark.parametrize("sizes", [(20, 33, 40, 96), (90, 3, 17, 129)])
def test_same_bits_for_every_number_of_threads(
    cell: Cell, precision: str, options: str, sizes: tuple[int, ...], every_instruction_set: str
) -> None:
    case = Case(*sizes, cell, precision=precision, **alone(cell)[options])
    expected = all_of(case)
    assert np.isfinite(expected["y"]).all()
    for threads in (1, 2, 3, 5, 8):
        found = all_of(replace(case, threads=threads))
        for name, array in expected.items():
            assert same_bits(found[name], array), f"{name} with {threads} threads"


def all_of(case: Case) -> dict[str, Any]:
    if case.precision in TRAINABLE:
        return everything(case)
    problem = Problem(case)
    found = problem.forward(save=False)
    problem.guarded.check()
    return found


@each_cell
@rounded
@pytest.mark.parametrize("options", ["plain", "everything, eval"])
@pytest.mark.parametrize(("rows", "sizes"), [(1, (7, 63)), (3, (65, 64)), (40, (1, 1))])
def test_step_by_step_equals_the_whole_sequence(
    cell: Cell,
    precision: str,
    options: str,
    rows: int,
    sizes: tuple[int, int],
    every_instruction_set: str,
) -> None:
    within = alone(cell)[options]
    names = ("zoneout_h", "zoneout_c", "layer_norm", "coupled", "cell_clip", "reset_after")
    words = {name: within[name] for name in names if name in within} | {"precision": precision}
    weights = weights_of(cell, *sizes, within)
    x = np.random.default_rng(0).standard_normal((9, rows, sizes[0]))
    whole = getattr(native, f"{cell}_forward")(x, weights, **words)
    stream = STREAMS[cell](weights, rows, 3, **words)
    assert same_bits(np.stack([stream.step(each) for each in x]), whole.y)
    assert same_bits(stream.h, whole.h_n)


@each_cell
@pytest.mark.parametrize("precision", [name for name in PRECISIONS if name not in TRAINABLE])
def test_what_is_for_inference_does_not_train(cell: Cell, precision: str) -> None:
    x, weights = np.ones((2, 3, 5)), weights_of(cell, 5, 18, {})
    forward, backward = getattr(native, f"{cell}_forward"), getattr(native, f"{cell}_backward")
    said = f"precision is '{precision}', which is for inference"
    with pytest.raises(OptionError, match=said):
        forward(x, weights, save=True, precision=precision)
    run = forward(x, weights, save=True)
    with pytest.raises(OptionError, match=said):
        backward(run, x, weights, precision=precision)


@each_cell
def test_a_wrong_weight_shows(cell: Cell) -> None:
    """Rounding to 8 bits must not turn NaN into a number."""
    x, weights = np.ones((2, 3, 5)), weights_of(cell, 5, 18, {})
    broken = np.array(weights.w_hh)
    broken[0, 0] = np.nan
    for precision in PRECISIONS:
        run = getattr(native, f"{cell}_forward")(
            x, weights._replace(w_hh=broken), precision=precision
        )
        assert np.isnan(run.y).any(), precision


def test_the_judge_rounds_as_the_format_says() -> None:
    values = [1.0, 1.00390625, 1.01171875, -0.0, 3.4e38, np.inf]
    assert to_bfloat16(values).tolist() == [1.0, 1.0, 1.015625, -0.0, np.inf, np.inf]
    assert np.isnan(to_bfloat16(np.nan))
    read = to_8_bits([[1.27, -0.004, 0.006], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(read, [[1.27, 0.0, 0.01], [0.0, 0.0, 0.0]], rtol=1e-6)
