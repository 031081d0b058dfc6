"""Random calls: those that fit give what the reference gives and touch nothing else; the rest is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatework import native
from gatework.errors import GateworkError
from tests.native.calls import FLAGS, Case, check

cases = st.builds(
    Case,
    T=st.integers(0, 12),
    N=st.integers(0, 20),
    I=st.integers(1, 70),
    H=st.integers(1, 70),
    layout=st.sampled_from(["time", "batch", "slice"]),
    reverse=st.booleans(),
    threads=st.integers(1, 9),
    absent=st.frozensets(st.sampled_from(FLAGS)),
)


@given(cases, st.integers(0, 1 << 30))
@settings(max_examples=100)
def test_a_call_that_fits(case: Case, seed: int) -> None:
    check(case, seed)


sizes = st.integers(0, 3)
shapes = st.lists(sizes, max_size=4).map(tuple)
dtypes = st.sampled_from(["f4", "f8", "i8", "u1", "?", "c8", "U3", "O", "M8[s]", "V4"])
arrays = st.builds(np.zeros, shapes, dtypes)
scalars = st.sampled_from([None, 0, -1, 1.5, "text", float("nan"), True, 2**70, [], [[1], [1, 2]]])
anything = arrays | scalars | st.lists(scalars, max_size=3)
NAMES = ("x", "h0", "c0", "lengths", "mask", "reset", "threads", "dy", "dh_n", "dc_n")


@given(st.data(), sizes, sizes, sizes, sizes)
@settings(max_examples=200)
@pytest.mark.filterwarnings("ignore")
def test_a_call_that_may_not_fit_ends_in_a_result_or_in_our_error(
    data: st.DataObject,
    T: int,
    N: int,
    I: int,  # noqa: E741
    H: int,
) -> None:
    parts = [np.ones((4 * H, I)), np.ones((4 * H, H)), np.ones(4 * H), np.ones(4 * H)]
    fitting: dict[str, Any] = {
        "x": np.ones((T, N, I)),
        "h0": np.ones((N, H)),
        "mask": np.ones((T, N), bool),
    }
    wrong = data.draw(st.dictionaries(st.sampled_from(NAMES), anything, max_size=3))
    for place in data.draw(st.sets(st.integers(0, 3), max_size=1)):
        parts[place] = data.draw(anything)
    call = fitting | {"weights": parts} | wrong
    sent = {name: call.pop(name, None) for name in ("dy", "dh_n", "dc_n")}
    try:
        run = native.lstm_forward(**call, save=True)
        native.lstm_backward(run, **call, **sent)
    except GateworkError as error:
        assert str(error)
