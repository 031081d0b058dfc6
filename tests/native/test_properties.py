"""Random calls: those that fit give what the reference gives and touch nothing else; the rest is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from gatework import native
from gatework.errors import GateworkError
from gatework.native.recurrent import Cell
from tests.native.case import OPTIONS, Case, flags
from tests.native.judge import Unsettled, check

CELLS: tuple[Cell, ...] = ("lstm", "gru", "rnn")


def cases_of(cell: Cell) -> st.SearchStrategy[Case]:
    sizes = st.builds(
        Case,
        T=st.integers(0, 12),
        N=st.integers(0, 20),
        I=st.integers(1, 70),
        H=st.integers(1, 70),
        cell=st.just(cell),
        layout=st.sampled_from(["time", "batch", "slice"]),
        reverse=st.booleans(),
        threads=st.integers(1, 9),
        absent=st.frozensets(st.sampled_from(flags(cell))),
        add_dx=st.booleans(),
    )
    options = st.fixed_dictionaries(
        {name: st.sampled_from(values) for name, values in OPTIONS[cell].items()}
    )
    return st.builds(lambda case, chosen: replace(case, **chosen), sizes, options)


@given(st.sampled_from(CELLS).flatmap(cases_of), st.integers(0, 1 << 30))
@settings(max_examples=150)
def test_a_call_that_fits(case: Case, seed: int) -> None:
    try:
        check(case, seed, share=0.1)  # anything may be drawn here: no margin is left to luck
    except Unsettled:
        reject()


sizes = st.integers(0, 3)
shapes = st.lists(sizes, max_size=4).map(tuple)
dtypes = st.sampled_from(["f4", "f8", "i8", "u1", "?", "c8", "U3", "O", "M8[s]", "V4"])
arrays = st.builds(np.zeros, shapes, dtypes)
scalars = st.sampled_from([None, 0, -1, 1.5, "text", float("nan"), True, 2**70, [], [[1], [1, 2]]])
anything = arrays | scalars | st.lists(scalars, max_size=3)
NAMES = (
    "x", "h0", "c0", "lengths", "mask", "reset", "drop", "threads", "dy", "dh_n", "dc_n", "zoneout_h",
    "cell_clip", "layer_norm", "activations", "seed", "training",
)  # fmt: skip


@given(st.data(), st.sampled_from(CELLS), sizes, sizes, sizes, sizes)
@settings(max_examples=300)
@pytest.mark.filterwarnings("ignore")
def test_a_call_that_may_not_fit_ends_in_a_result_or_in_our_error(
    data: st.DataObject,
    cell: Cell,
    T: int,
    N: int,
    I: int,  # noqa: E741
    H: int,
) -> None:
    G = {"lstm": 4, "gru": 3, "rnn": 1}[cell]
    parts: list[Any] = [np.ones((G * H, I)), np.ones((G * H, H)), np.ones(G * H), np.ones(G * H)]
    fitting: dict[str, Any] = {
        "x": np.ones((T, N, I)),
        "h0": np.ones((N, H)),
        "mask": np.ones((T, N), bool),
    }
    names = [name for name in NAMES if cell == "lstm" or name not in ("c0", "dc_n")]
    wrong = data.draw(st.dictionaries(st.sampled_from(names), anything, max_size=3))
    for place in data.draw(st.sets(st.integers(0, 3), max_size=1)):
        parts[place] = data.draw(anything)
    for field in data.draw(st.lists(st.integers(4, 11), max_size=2)):
        parts += [None] * (field - len(parts)) + [data.draw(anything)]
    call = fitting | {"weights": parts[:12]} | wrong
    sent = {
        name: call.pop(name, None) for name in ("dy", "dh_n", "dc_n")[: 3 if cell == "lstm" else 2]
    }
    try:
        run = getattr(native, f"{cell}_forward")(**call, save=True)
        getattr(native, f"{cell}_backward")(run, **call, **sent)
    except GateworkError as error:
        assert str(error)
