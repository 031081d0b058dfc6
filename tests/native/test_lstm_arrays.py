"""The face that takes NumPy arrays: results, conversions, the stream, and a clear error for whatever does not fit."""

import re
from typing import Any

import numpy as np
import pytest

from gatework import native
from gatework.errors import GateworkError, ShapeError
from gatework.reference import lstm as reference
from tests.native.calls import same_bits
from tests.tolerances import assert_close

T, N, I, H = 6, 3, 5, 18  # noqa: E741


def arguments(seed: int = 0) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    sizes = {"w_ih": (4 * H, I), "w_hh": (4 * H, H), "b_ih": (4 * H,), "b_hh": (4 * H,)}
    return {
        "x": draw.standard_normal((T, N, I)),
        "weights": tuple(draw.standard_normal(size) * 0.4 for size in sizes.values()),
        "h0": draw.standard_normal((N, H)),
        "c0": draw.standard_normal((N, H)),
        "lengths": [T, 0, 4],
        "mask": draw.random((T, N)) < 0.8,
        "reset": draw.random((T, N)) < 0.2,
    }


@pytest.mark.parametrize("reverse", [False, True])
def test_arrays_in_arrays_out(reverse: bool) -> None:
    given = arguments()
    sent = {name: np.random.default_rng(1).standard_normal(size) for name, size in SENT.items()}
    run = native.lstm_forward(**given, reverse=reverse, save=True)
    found = native.lstm_backward(run, **given, **sent, reverse=reverse)
    single = {k: np.float32(v).astype(float) for k, v in given.items() if k in ("x", "h0", "c0")}
    weights = reference.Weights(*(np.float32(part).astype(float) for part in given["weights"]))
    steps = {k: given[k] for k in ("lengths", "mask", "reset")}
    expected = reference.forward(**single, weights=weights, **steps, reverse=reverse)
    for name in ("y", "h_n", "c_n"):
        assert_close(getattr(run, name), getattr(expected, name), "forward", "reference", name)
    gradients = reference.backward(expected, **sent)
    for name, array in found._asdict().items():
        assert_close(array, getattr(gradients, name), "gradient", "reference", name)


SENT = {"dy": (T, N, H), "dh_n": (N, H), "dc_n": (N, H)}


@pytest.mark.parametrize("rows", [1, 3, 7])
@pytest.mark.parametrize("threads", [1, 3])
def test_step_by_step_equals_the_whole_sequence(
    rows: int, threads: int, instruction_set: str
) -> None:
    for size, hidden in ((1, 1), (7, 63), (65, 64)):
        draw = np.random.default_rng(0)
        x = draw.standard_normal((9, rows, size)).astype(np.float32)
        sizes = ((4 * hidden, size), (4 * hidden, hidden), (4 * hidden,), (4 * hidden,))
        weights = [draw.standard_normal(each) * 0.3 for each in sizes]
        h0, c0 = draw.standard_normal((2, rows, hidden)).astype(np.float32)
        whole = native.lstm_forward(x, weights, h0, c0)
        stream = native.LSTMStream(weights, rows, threads)
        stream.h, stream.c = h0, c0
        outputs = np.stack([stream.step(each) for each in x])
        assert same_bits(outputs, whole.y)
        assert same_bits(stream.h, whole.h_n) and same_bits(stream.c, whole.c_n)


def test_a_stream_keeps_its_state_to_itself() -> None:
    given = arguments()
    stream = native.LSTMStream(given["weights"], N)
    mine = np.float32(given["h0"])
    mine.flags.writeable = False
    stream.h = mine
    first = stream.step(given["x"][0])
    kept, state = first.copy(), stream.h
    before = state.copy()
    assert same_bits(mine, np.float32(given["h0"]))
    stream.step(given["x"][1])
    assert same_bits(first, kept) and same_bits(state, before)


def test_a_stream_goes_on_from_what_is_written_into_its_state() -> None:
    given = arguments()
    stream = native.LSTMStream(given["weights"], N)
    first = stream.step(given["x"][0])
    stream.step(given["x"][1])
    stream.h[:], stream.c = 0.0, np.zeros((N, H))
    assert same_bits(stream.step(given["x"][0]), first)


WRONG: dict[str, list[Any]] = {
    "x": [
        np.zeros((T, N)), np.zeros((T, N, I + 1)), np.zeros(I), 3.0, None, "text", [[1.0], [1.0, 2.0]],
        np.zeros((T, N, I), complex), np.full((T, N, I), "a"), np.empty((T, N, I), object), [],
    ],
    "weights": [
        (), None, (np.zeros((4 * H, I)),), (np.zeros((4 * H, I)), None), (None, np.zeros((4 * H, H))),
        (np.zeros((4 * H, 0)), np.zeros((4 * H, H))), (np.zeros((0, I)), np.zeros((0, 0))),
        (np.zeros((H, I)), np.zeros((H, H))), (np.zeros((4 * H, I)), np.zeros((H, 4 * H))),
        (np.zeros((4 * H, I)), np.zeros((4 * H, H)), np.zeros(H)),
        (np.zeros((4 * H, I)), np.zeros((4 * H, H)), None, np.zeros((4 * H, 1))),
        (np.zeros((4 * H, I)), np.zeros((4 * H, H)), None, None, None), 7,
    ],
    "h0": [np.zeros(H), np.zeros((1, N, H)), np.zeros((N, H + 1)), "text", np.zeros((N, H), complex)],
    "c0": [np.zeros(H), np.zeros((N + 1, H)), np.zeros((H, N)), [None] * N],
    "lengths": [
        [T, T], [[T, T, T]], [T + 1, 0, 0], [-1, 0, 0], 3, [1.5, 0, 0], [np.nan, 0, 0], ["1", "0", "0"],
        [2**63, 0, 0], [2**70, 0, 0], [True, False, True], [None, 1, 1],
    ],
    "mask": [np.ones((N, T), bool), np.ones(T, bool), np.ones((T, N, 1), bool), np.ones((T, N)), "text", True],
    "reset": [np.ones((N, T), bool), np.ones(N, bool), np.ones((T, N)), [["a"] * N] * T],
    "threads": [0, -1, 1.5, "two", 2**40],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_what_does_not_fit_is_refused(name: str, value: Any) -> None:
    given = arguments()
    run = native.lstm_forward(**given, save=True)
    wanted = GateworkError if name == "threads" else ShapeError
    with pytest.raises(wanted) as forward:
        native.lstm_forward(**(given | {name: value}))
    with pytest.raises(wanted):
        native.lstm_backward(run, **(given | {name: value}))
    assert re.search(
        "weights|w_ih|w_hh|b_ih|b_hh" if name == "weights" else name, str(forward.value)
    )


@pytest.mark.parametrize("name", ["dy", "dh_n", "dc_n"])
@pytest.mark.parametrize("value", [np.zeros((N, 1, H)), 1.0, "text", np.zeros((T, N, H), complex)])
def test_gradients_that_do_not_fit_are_refused(name: str, value: Any) -> None:
    given = arguments()
    run = native.lstm_forward(**given, save=True)
    with pytest.raises(ShapeError, match=name):
        native.lstm_backward(run, **given, **{name: value})


def test_a_run_of_other_sizes_is_refused() -> None:
    given = arguments()
    run = native.lstm_forward(**given, save=True)
    longer = given | {"x": np.zeros((2 * T, N, I)), "mask": None, "reset": None}
    with pytest.raises(ShapeError, match="y"):
        native.lstm_backward(run, **longer)
    for name in ("y", "gates", "c"):
        with pytest.raises(ShapeError, match=name):
            native.lstm_backward(run._replace(**{name: getattr(run, name)[:-1]}), **given)
    with pytest.raises(ShapeError, match="save=True"):
        native.lstm_backward(native.lstm_forward(**given), **given)


@pytest.mark.parametrize("value", [np.zeros((N, I + 1)), np.zeros((N + 1, I)), np.zeros(I), "text"])
def test_a_stream_refuses_what_does_not_fit(value: Any) -> None:
    stream = native.LSTMStream(arguments()["weights"], N)
    with pytest.raises(ShapeError, match="x"):
        stream.step(value)
    stream.h = np.zeros((N, H + 1))
    with pytest.raises(ShapeError, match="h"):
        stream.step(np.zeros((N, I)))


@pytest.mark.parametrize("rows", [-1, 1.5, "two"])
def test_a_stream_refuses_wrong_rows(rows: Any) -> None:
    with pytest.raises(ShapeError, match="rows"):
        native.LSTMStream(arguments()["weights"], rows)


def test_sizes_beyond_the_kernels_are_refused() -> None:
    addresses = dict.fromkeys(
        ("x", "h0", "c0", "w_ih", "w_hh", "b_ih", "b_hh", "lengths", "mask", "reset", "y", "h_n", "c_n"), 0
    )  # fmt: skip
    large = ((1, 1, 1, 2**40), (2**40, 1, 1, 1), (2**20, 2**20, 64, 64))
    for sizes in ((-1, 1, 1, 1), (1, -1, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0), *large):
        with pytest.raises(ShapeError, match="a size is negative or too large"):
            native.forward_at(native.Layout(*sizes, 1, 1, 1, 1), 1, **addresses, gates=0, c=0)
