"""The judgement of a call by the reference in double precision: forward, and every gradient.

Where an option has an edge (a clip, a kink of an activation), rounding may put a value on its other side; layer norm
enlarges rounding where it divides by little. For those, data is chosen on which the reference's own answer is steady.
"""

import copy
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatework.native.recurrent import TRAINABLE
from gatework.reference import gru, lstm, rnn
from gatework.reference.options import Options
from gatework.reference.weights import Weights
from tests.native.calls import Problem, is_untouched, same_bits
from tests.native.case import OUTPUTS, Case, full
from tests.native.rounding import RoundsRows, as_read, rounded_states
from tests.tolerances import TOLERANCES, assert_close, error

MODULES: dict[str, ModuleType] = {"lstm": lstm, "gru": gru, "rnn": rnn}
ROUNDING = 5e-7  # relative change of the inputs within which there must be no edge
EPSILON = 2.0**-24  # of single precision
TRIES = 20


def check(case: Case, seed: int = 0, share: float = 0.3) -> None:
    """Forward in inference and in training, then backward, against the reference; `share` as in `settled`."""
    problem = settled(case, seed, share)
    inference = problem.forward(save=False)
    expected = judge_forward(problem, inference)
    if case.precision not in TRAINABLE:
        return
    run = problem.forward()
    for name in ("y", *OUTPUTS):
        assert same_bits(run[name], inference[name]), f"{name} with and without saving"
    judge_forward(problem, run, expected)
    judge_backward(problem, problem.backward(run), expected)


class Unsettled(AssertionError):
    """The answer of every problem of a case hangs on rounding."""


def settled(case: Case, seed: int, share: float = 0.3) -> Problem:
    """A problem whose answer rounding changes little: options with an edge, and layer norm, have others.

    Rounding of the inputs alone may use up a `share` of what the table of tolerances allows.
    """
    problem = Problem(case, seed)
    if not case.delicate:
        return problem
    for attempt in range(TRIES):
        if _is_settled(problem, share):
            return problem
        problem = Problem(case, seed + 1000 * (attempt + 1))
    raise Unsettled(f"the answer of every problem depends on rounding: {case}")


def _is_settled(problem: Problem, share: float) -> bool:
    """Nudged to both sides, the answer moves in opposite directions by the same amount, unless an edge lies between;
    and rounding of the inputs alone does not use up what the table allows. Judged as in float32: rounded h has edges
    everywhere."""
    problem = copy.copy(problem)
    problem.case = replace(problem.case, precision="float32")
    steady = _answer(problem, run_reference(problem))
    for nudge in (1, 2):
        moved = [_answer(problem, run_reference(problem, sign * nudge)) for sign in (1, -1)]
        for name, array in steady.items():
            kind = gradient_of if name.startswith("d") else forward_of
            quantity, by = kind(problem.case)
            allowed = TOLERANCES["float32", quantity, by]
            middle = 0.5 * (moved[0][name] + moved[1][name])
            if not error(middle, array) <= 0.1 * allowed:
                return False
            if not error(moved[0][name], array) * EPSILON / ROUNDING <= share * allowed:
                return False
    return True


def _answer(problem: Problem, run: Any) -> dict[str, NDArray[Any]]:
    names = ("y", *OUTPUTS, "c", *problem.case.traced)
    found = {name: getattr(run, name) for name in names if hasattr(run, name)}
    return found | run_backward(problem, run)


def judge_forward(problem: Problem, found: dict[str, Any], expected: Any = None) -> Any:
    """Compares with the reference, whose run it returns."""
    case, on, H = problem.case, problem.on, problem.case.H
    kind = forward_of(case)
    expected = run_reference(problem) if expected is None else expected
    for name in ("y", *OUTPUTS):
        if found[name] is not None:
            assert_close(found[name], getattr(expected, name), *kind, name)
    assert not found["y"][~on].any(), "y at masked steps"
    if found["gates"] is not None:
        gates = unblocked(found["gates"])
        assert np.isfinite(gates[:, on]).all()
        assert not gates[:, on, H:].any(), "gates beyond H"
        names = case.traced or ("h_new",)  # the RNN saves what zoneout mixes
        for name, gate in zip(names, gates[..., :H], strict=False):
            assert_close(gate[on], getattr(expected, name)[on], *kind, name)
        assert is_untouched(found["gates"][~on]), "gates at masked steps"
    if found["c"] is not None:
        assert_close(found["c"][on, :H], expected.c[on], *kind, "c")
        assert not found["c"][on, H:].any(), "c beyond H"
        assert is_untouched(found["c"][~on]), "c at masked steps"
    problem.guarded.check()
    return expected


def judge_backward(problem: Problem, found: dict[str, Any], run: Any) -> None:
    """Compares every gradient that was wanted with the reference."""
    expected, off = run_backward(problem, run), ~problem.on
    kind = gradient_of(problem.case)
    if found["dx"] is not None:
        masked, before = found["dx"][off], problem.dx_before
        if before is None:
            assert not masked.any(), "dx at masked steps"
        else:
            assert same_bits(masked, before[off]), "dx at masked steps"
            expected["dx"] = np.where(problem.on[..., None], expected["dx"], 0.0) + before
    for name, array in found.items():
        if array is not None:
            assert_close(array, expected[name], *kind, name)
    problem.guarded.check()


def forward_of(case: Case) -> tuple[str, str]:
    """What outputs are, and who judges them, as the table of tolerances calls it."""
    if case.precision == "bfloat16":
        return "forward in bfloat16", "rounded reference"
    return "forward", "reference"


def gradient_of(case: Case) -> tuple[str, str]:
    """The same for gradients."""
    if case.precision == "bfloat16":
        return "gradient in bfloat16", "rounded reference"
    if case.layer_norm and case.P == 1:
        return "gradient through layer norm of one projected unit", "reference"
    narrow = case.layer_norm and 1 in (case.I, case.H)
    return "gradient through layer norm" if narrow else "gradient", "reference"


def run_reference(problem: Problem, nudge: int = 0, rounded: bool = True) -> Any:
    """The same run in double precision, of what the case's precision reads, or where not `rounded` of what was given;
    where `nudge`, on inputs that differ by rounding."""
    case, cell = problem.case, problem.case.cell
    precision = case.precision if rounded else "float32"
    draw, size = np.random.default_rng(abs(nudge)), np.sign(nudge) * ROUNDING

    def given(array: NDArray[Any] | None) -> Any:
        if array is None:
            return None
        values = np.nan_to_num(array.astype(float))
        return values * (1.0 + size * draw.choice([-1.0, 1.0], values.shape))

    def read(name: str, array: NDArray[Any] | None) -> Any:
        found = given(as_read(precision, name, array))
        multiplies = precision == "bfloat16" and name in ("w_ih", "w_hr") and found is not None
        return found.view(RoundsRows) if multiplies else found

    weights = Weights(**{name: read(name, array) for name, array in problem.weights.items()})
    states = [given(problem.states["h0"])] + [given(problem.states["c0"])] * (cell == "lstm")
    with rounded_states(precision, MODULES[cell]):
        return MODULES[cell].forward(
            read("x", problem.x.view), *states, weights, reference_options(problem),
            drop=None if problem.drop is None else problem.drop.astype(float),
            lengths=problem.lengths, reverse=case.reverse,
            mask=None if problem.mask is None else problem.mask.view[..., 0],
            reset=None if problem.reset is None else problem.reset.view[..., 0],
        )  # fmt: skip


def reference_options(problem: Problem) -> Options:
    """The options in the reference's words; the bound of the cell as the float that the kernels get."""
    case = problem.case
    words = case.words(problem.options.seed)
    del words["precision"]
    if "activations" in words:
        words["activations"] = full(words["activations"])
    if "cell_clip" in words:
        words["cell_clip"] = float(np.float32(words["cell_clip"] or 0.0))
    return Options(**words)


def run_backward(problem: Problem, run: Any, rounded: bool = True) -> dict[str, NDArray[Any]]:
    """Every gradient of the reference by the names of `Problem.backward`."""
    case, sent = problem.case, problem.sent
    T, N, H = case.T, case.N, case.H
    sizes = {"dy": (T, N, case.R), "dh_n": (N, case.R)}
    if case.cell == "lstm":
        sizes["dc_n"] = (N, H)
    arrived: dict[str, Any] = {
        name: np.zeros(size) if sent[name] is None else np.nan_to_num(sent[name].astype(float))
        for name, size in sizes.items()
    }
    if sent.get("dgates") is not None:
        gates = unblocked(np.nan_to_num(sent["dgates"]))[: len(case.traced), ..., :H]
        arrived["dgates"] = tuple(gates.astype(float))
    if sent.get("dc") is not None:
        arrived["dc"] = np.nan_to_num(sent["dc"][..., :H].astype(float))
    with rounded_states(case.precision if rounded else "float32", MODULES[case.cell]):
        found = MODULES[case.cell].backward(run, **arrived)._asdict()
    if "db" in found:
        found["db_ih"] = found.pop("db")
    return {name: array for name, array in found.items() if array is not None}


def unblocked(gates: NDArray[Any]) -> NDArray[Any]:
    """From the kernels' layout [T, N, S, 16 Hb] to [S, T, N, 16 Hb]."""
    return np.moveaxis(gates, 2, 0)
